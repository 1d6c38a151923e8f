/*
 * Load generator: a process of its own that is to Redis what a backend is. It makes the fleet's
 * requests, waits for the word, pushes them pipelined while it reads the answers, and checks that
 * every id is answered exactly once. What it found lies in memory that both processes see.
 */
#ifndef CM_TOOLS_BENCH_LOAD_H
#define CM_TOOLS_BENCH_LOAD_H

#include "tools/bench/bench.h"

enum cm_bench_load_state { CM_LOAD_MAKING, CM_LOAD_READY, CM_LOAD_DONE, CM_LOAD_FAILED };

/* Shared by the two processes; everything but the atomics is written before state says so. */
struct cm_bench_load_page {
    _Atomic int state; /* enum cm_bench_load_state */
    _Atomic bool go;
    _Atomic bool ends; /* it was interrupted: no answers are to be waited for */
    _Atomic uint32_t sent, answered;
    bool is_fleet_cached;
    uint32_t type_counts[CM_KEY_TYPE_COUNT];
    double fleet_s;
    struct cm_bench_figures figures;
    struct cm_error err;
};

struct cm_bench_load {
    pid_t pid;
    struct cm_bench_load_page *page;
};

/* Forks: call it while the process has one thread. Fails with: IO, NO_MEMORY. */
CM_MUST_USE cm_status cm_bench_load_start(const struct cm_bench_plan *plan, const char *redis_url,
                                          struct cm_bench_load *ret_load, struct cm_error *err);

/* Has it ended? A process that died counts as failed, with the reason on the page. */
bool cm_bench_load_has_ended(struct cm_bench_load *load);

/* Has it tell what it knows by now, if it has not ended, and waits a while until it has. */
void cm_bench_load_end(struct cm_bench_load *load);

/* Waits until its requests are made. */
CM_MUST_USE cm_status cm_bench_load_wait_ready(struct cm_bench_load *load, struct cm_error *err);

/* Ends the process, if it has not ended by itself, and gives the page back. */
void cm_bench_load_stop(struct cm_bench_load *load);

#endif
