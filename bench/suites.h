/* Suites: the tables of bench/harness.h, one for each file of benchmarks. */
#ifndef CM_BENCH_SUITES_H
#define CM_BENCH_SUITES_H

#include "bench/harness.h"

extern const struct cm_bench_suite cm_bench_base; /* what everything stands on */
extern const struct cm_bench_suite cm_bench_csr;  /* requests, before anybody decides about them */
extern const struct cm_bench_suite
    cm_bench_certificate; /* certificates, before and after their signature */
extern const struct cm_bench_suite cm_bench_signatures; /* many verified at once */
extern const struct cm_bench_suite cm_bench_revocation; /* CRLs and OCSP */
extern const struct cm_bench_suite cm_bench_providers;  /* signatures, wherever the key is */
extern const struct cm_bench_suite cm_bench_store;      /* what is durable, and looked up */
extern const struct cm_bench_suite cm_bench_queue;      /* entries in, answers out */
extern const struct cm_bench_suite cm_bench_stations;   /* the engine's, in their order */

#endif
