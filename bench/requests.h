/*
 * Requests: CSRs of one key type, made by the first benchmark that asks for them and kept for all suites. Each is
 * of another key, but for RSA, whose keys take long to make: there they come by turns.
 */
#ifndef CM_BENCH_REQUESTS_H
#define CM_BENCH_REQUESTS_H

#include "bench/harness.h"
#include "engine/x509/csr.h"
#include "tools/fleet.h"

enum { CM_BENCH_REQUESTS = 64, CM_BENCH_RSA_REQUESTS = 8 };

struct cm_bench_requests {
    struct cm_fleet *fleet; /* of different ones */
    struct cm_arena arena;
    struct cm_csr csrs[CM_BENCH_REQUESTS]; /* read */
};

/* NULL, after cm_bench_fail: they could not be made. */
struct cm_bench_requests *cm_bench_requests(struct cm_bench_run *run, enum cm_key_type type);

/* Of all types, more than once, too. */
void cm_bench_requests_close(void);

#endif
