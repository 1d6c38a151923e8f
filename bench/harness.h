/*
 * Harness: how a benchmark is written in C and run by Google Benchmark.
 *
 * A suite is one C file with a table of benchmarks, and stands in bench/suites.c. What is measured is
 * one function, run; everything else that a benchmark needs is not on the clock:
 *
 *     static bool hash(struct cm_bench_run *run)
 *     {
 *         cm_sha256(&message, 1, digest);
 *         return true;
 *     }
 *
 *     static const struct cm_bench benches[] = {
 *         { .name = "sha256", .setup = make_message, .run = hash, .sizes = { 64, 4096 } },
 *     };
 *     const struct cm_bench_suite cm_bench_base = { "base", benches, CM_BENCH_COUNT(benches), NULL };
 *
 * That makes base/sha256/64 and base/sha256/4096. A run of one of them is
 *
 *     setup     prepare run settle   prepare run settle   ...     teardown
 *               `-- an iteration -'
 *
 * and comes several times, each with more iterations, until there were enough of them: what is dear to
 * make (an engine, a key, a server) is made by the first setup that needs it, kept by the suite, and
 * let go by its close. A run deals with `size` items an iteration: the figures are of an iteration,
 * items_per_second of the items.
 *
 * Errors: whatever does not work, or does not come to the result that it is timed for, ends the run by
 * `return cm_bench_fail(run, "why")`. The benchmark is then reported as failed and the program exits 1.
 * What cannot run on this machine says so by `missing`; it is then left out, with a line about it. With
 * BENCH_ONCE in the environment each benchmark runs one iteration: tests/integration/suites_test.py.
 *
 * Thread: setup to teardown run on the process's first thread.
 * Cost: where there is a prepare or settle the clock is stopped and started in each iteration, which
 * adds about a microsecond to it: nothing for a batch, much for a single small step. Small steps loop
 * over their items within run.
 */
#ifndef CM_BENCH_HARNESS_H
#define CM_BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CM_BENCH_SIZES_MAX = 8, CM_BENCH_COUNTERS_MAX = 4, CM_BENCH_TEXT_SIZE = 256 };

struct cm_bench_run;

/* A step of a run; false, after cm_bench_fail: it did not work. */
typedef bool cm_bench_step(struct cm_bench_run *run);

/* One benchmark. What is not needed is left out. */
struct cm_bench {
    const char *name;    /* behind the suite's: "prove/p256" */
    int kind;            /* the suite's own: a key type, a profile, ... */
    const void *subject; /* the suite's own, where a number does not say it */
    /* Items of an iteration, each a benchmark of its own with the number behind its name. None: one
     * item, and no number. */
    uint32_t sizes[CM_BENCH_SIZES_MAX];
    cm_bench_step *setup;                       /* once for each run */
    cm_bench_step *prepare, *run, *settle;      /* of each iteration; only run is on the clock */
    void (*teardown)(struct cm_bench_run *run); /* also after a setup that failed */
    const char *(*missing)(void);               /* why it cannot run here; NULL: it can */
    /* Other threads or processes do a part of it: CPU time is that of all threads of this process, and
     * rates are by the clock on the wall. */
    bool is_concurrent;
    /* What is not on the clock takes long: a fixed number of iterations, 16 to 256, whatever
     * --benchmark_min_time says. More of them by --benchmark_repetitions. */
    bool is_bounded;
};

struct cm_bench_counter {
    const char *name;
    double sum;
};

struct cm_bench_run {
    const struct cm_bench *bench;
    uint32_t size;  /* items of an iteration */
    void *self;     /* the suite's, from setup to teardown; NULL at first */
    uint64_t bytes; /* that an iteration goes through; 0: bytes are not what counts */
    /* The harness's. */
    struct cm_bench_counter counters[CM_BENCH_COUNTERS_MAX];
    char failure[CM_BENCH_TEXT_SIZE]; /* empty: none */
};

/* printf. Returns false. */
bool cm_bench_fail(struct cm_bench_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds to a counter of this name (a literal), which is reported as the average of an item. */
void cm_bench_count(struct cm_bench_run *run, const char *name, double amount);

/* Processor time that another process has had so far, microseconds: for counters. 0: there is none. */
double cm_bench_cpu_us_of(pid_t pid);

struct cm_bench_suite {
    const char *name;
    const struct cm_bench *benches;
    size_t benches_count;
    void (*close)(void); /* at the end of the program; NULL: it kept nothing */
};

#define CM_BENCH_COUNT(benches) (sizeof(benches) / sizeof(benches)[0])

/* All of them, to a NULL: bench/suites.c. */
extern const struct cm_bench_suite *const cm_bench_suites[];

/* This program as a signer process ("signer NAME"): its exit code. */
int cm_bench_signer_main(void);

#ifdef __cplusplus
}
#endif

#endif
