#include "providers/backends.h"

static const struct cm_provider_ops *const backends[] = { &cm_provider_openssl };

const struct cm_provider_ops *cm_provider_find(const char *name)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}
