/*
 * A signer for tests, with the fake provider among its kinds. It is not protected as certmill's own
 * is, so that sanitizers can look into it.
 */
#include <string.h>

#include "providers/backends.h"
#include "providers/fake/fake.h"
#include "providers/host.h"

static const struct cm_provider_ops *find(const char *name)
{
    return strcmp(name, "fake") == 0 ? &cm_provider_fake : cm_provider_find(name);
}

int main(void)
{
    return cm_signer_main(CM_SIGNER_FD, find);
}
