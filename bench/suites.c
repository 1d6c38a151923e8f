/* The suites, in the order in which they run; and the signer processes of those that have some. */
#include <string.h>

#include "bench/suites.h"
#include "providers/backends.h"
#include "providers/fake/fake.h"
#include "providers/host.h"

const struct cm_bench_suite *const cm_bench_suites[] = {
    &cm_bench_base,        &cm_bench_csr,
    &cm_bench_certificate, &cm_bench_signatures,
    &cm_bench_revocation,  &cm_bench_providers,
    &cm_bench_store,       &cm_bench_queue,
    &cm_bench_stations,    NULL,
};

/* With the fake among its kinds. */
static const struct cm_provider_ops *find(const char *name)
{
    return strcmp(name, "fake") == 0 ? &cm_provider_fake : cm_provider_find(name);
}

int cm_bench_signer_main(void)
{
    return cm_signer_main(CM_SIGNER_FD, find);
}
