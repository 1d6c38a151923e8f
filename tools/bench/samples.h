/*
 * Samples: what the machine was seen at, moment by moment: processor time, memory, store, queue, stations.
 *
 * What grows is kept as it stands (processor time so far, answers so far), so that of any two samples the
 * difference is what happened between them, and a run of any length fits: when the room is used up every other
 * sample goes, and from then on every other is not taken. Pure, one thread.
 */
#ifndef CM_TOOLS_BENCH_SAMPLES_H
#define CM_TOOLS_BENCH_SAMPLES_H

#include <stdbool.h>
#include <sys/types.h>

#include "engine/stations.h"

#define CM_BENCH_SAMPLES_MAX 600
#define CM_BENCH_THREADS_MAX 40

/* Whose time and memory. X(SYMBOL, name) */
#define CM_BENCH_PROCESS_MAP(X)                                                                    \
    X(ENGINE, "engine")                                                                            \
    X(SIGNERS, "signers")                                                                          \
    X(REDIS, "redis_server")                                                                       \
    X(LOAD, "load_generator")

enum cm_bench_process {
#define X(symbol, name) CM_BENCH_PROCESS_##symbol,
    CM_BENCH_PROCESS_MAP(X)
#undef X
        CM_BENCH_PROCESS_COUNT
};

const char *cm_bench_process_name(enum cm_bench_process process); /* "engine" */

struct cm_bench_sample {
    uint64_t at_ns; /* cm_clock_monotonic_ns() */
    uint32_t sent, answered;
    double cpu_s[CM_BENCH_PROCESS_COUNT];      /* so far */
    uint64_t memory[CM_BENCH_PROCESS_COUNT];   /* resident, bytes */
    double thread_cpu_s[CM_BENCH_THREADS_MAX]; /* so far, by position in the samples' threads */
    uint64_t store_bytes;                      /* of its files on the disk */
    uint64_t redis_bytes;                      /* what the server says it has in memory */
    uint32_t queue_length, queue_pending;      /* of the stream; both 0 where there is none */
    uint64_t batches_answered;
    uint64_t station_ns[CM_STATION_COUNT]; /* so far, of those batches */
};

/* Threads of one name in one process count as one. */
struct cm_bench_thread {
    enum cm_bench_process process;
    char name[32];
    uint32_t threads_count;
};

struct cm_bench_samples {
    struct cm_bench_sample *rows;
    uint32_t count;
    uint32_t stride, skipped; /* one of stride is kept */
    struct cm_bench_thread threads[CM_BENCH_THREADS_MAX];
    uint32_t threads_count;
};

void cm_bench_samples_init(struct cm_bench_samples *samples);
void cm_bench_samples_done(struct cm_bench_samples *samples);

/* Keeps a copy, or not. is_last: kept in any case. */
void cm_bench_samples_add(struct cm_bench_samples *samples, const struct cm_bench_sample *sample,
                          bool is_last);

/*
 * As it was at a moment: what grows is taken as if it had grown evenly between the two samples around it; what
 * does not is that of the one before. Before the first and behind the last: theirs.
 */
struct cm_bench_sample cm_bench_samples_at(const struct cm_bench_samples *samples, uint64_t at_ns);

#endif
