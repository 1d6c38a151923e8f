/*
 * Sampler: a thread that looks at the run from outside, ten times a second, so that the engine's loop does
 * not have to: processor time and memory of all processes and their threads, the store's files, the stream.
 *
 * The loop gives it a nudge with what only the loop knows, and goes on.
 *
 *     cm_bench_sampler_start(&sampler, &settings, &err);
 *     cm_bench_sampler_begin(&sampler, &known);           on the loop, before the first request
 *     cm_bench_sampler_nudge(&sampler, &known);           on the loop, ten times a second
 *     cm_bench_sampler_stop(&sampler, &known);            samples are the caller's from here on
 *
 * What it costs is in the engine's processor time, as the thread `sampler`.
 */
#ifndef CM_TOOLS_BENCH_SAMPLER_H
#define CM_TOOLS_BENCH_SAMPLER_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/base/status.h"
#include "tools/bench/samples.h"

enum { CM_BENCH_SIGNERS_MAX = 16 };

struct cm_bench_sampler_settings {
    const char *store_path;
    const char *redis_url; /* unix://PATH; NULL: there is no redis-server */
    const char *redis_stream, *redis_group;
    pid_t redis_pid, load_pid; /* 0: none */
};

/* What the loop knows. */
struct cm_bench_known {
    uint32_t sent, answered;
    uint64_t batches_answered;
    uint64_t station_ns[CM_STATION_COUNT];
    pid_t signers[CM_BENCH_SIGNERS_MAX];
    uint32_t signers_count;
};

struct redisContext;

struct cm_bench_sampler {
    struct cm_bench_sampler_settings settings;
    struct cm_bench_samples samples; /* the thread's, until stop */
    pthread_t thread;
    bool is_running;
    struct redisContext *redis;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        struct cm_bench_known known;
        bool is_nudged, is_stopping, has_last_look, has_looked;
    } shared; /* under the mutex */
};

/* The settings' strings outlive the sampler. Fails with: NO_MEMORY. */
CM_MUST_USE cm_status cm_bench_sampler_start(struct cm_bench_sampler *sampler,
                                             const struct cm_bench_sampler_settings *settings,
                                             struct cm_error *err);
/* The first look: returns once it is done, so that it is from before. */
void cm_bench_sampler_begin(struct cm_bench_sampler *sampler, const struct cm_bench_known *known);
void cm_bench_sampler_nudge(struct cm_bench_sampler *sampler, const struct cm_bench_known *known);
/* With one last look; known NULL: without, what is looked at is gone. Twice, or without a start, is fine. */
void cm_bench_sampler_stop(struct cm_bench_sampler *sampler, const struct cm_bench_known *known);

#endif
