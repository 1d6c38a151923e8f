/*
 * Runner: an engine on the program's main loop, from the settings file to the last answer. What
 * `serve`, `issue`, `quickstart` and `bench` have in common.
 *
 *     struct cm_runner runner = { .on_running = ..., .arg = self };
 *     if (cm_runner_open(&runner, path, &err) == CM_OK
 *         && cm_runner_run(&runner, &cm_queue_spool, &queue, &err) == CM_OK)
 *         ... counters say what happened
 *     cm_runner_done(&runner);
 *
 * SIGTERM and SIGINT stop it: what is in flight is finished, the rest stays in the queue. A second
 * one ends the process at once. Notices of the engine go to standard error.
 */
#ifndef CM_TOOLS_RUNNER_H
#define CM_TOOLS_RUNNER_H

#include "engine/engine.h"

struct cm_runner {
    /* the caller's, before open */
    void (*on_running)(struct cm_runner *runner); /* keys are open; may be NULL */
    void (*on_tick)(struct cm_runner *runner); /* ten times a second while it runs; may be NULL */
    /* `ca rotate --scheduled` of this authority has something to do; may be NULL */
    void (*on_rotation_due)(struct cm_runner *runner, const char *authority);
    bool stops_when_exhausted; /* else it waits for a signal */
    bool listens;              /* as in cm_engine_options */
    bool publishes;            /* as in cm_engine_options */
    bool with_times;           /* notices carry the time of day */
    void *arg;

    /* the runner's; the caller may read */
    struct cm_settings *settings;
    struct cm_loop *loop;
    struct cm_engine *engine;
    struct cm_engine_counters counters; /* as they were at the end */
    bool was_interrupted;
    cm_status status;
    struct cm_error err;
    uint64_t running_ns; /* cm_clock_monotonic_ns() when requests were first taken */
    uint64_t ended_ns;
    struct cm_signal on_term, on_int;
    struct cm_timer tick;
};

/* Reads the settings. Fails with: what cm_settings_read fails with. */
CM_MUST_USE cm_status cm_runner_open(struct cm_runner *runner, const char *settings_path,
                                     struct cm_error *err);

/* Opens the engine on this queue and runs until it is exhausted or stopped. */
CM_MUST_USE cm_status cm_runner_run(struct cm_runner *runner, const struct cm_queue_ops *queue_ops,
                                    const struct cm_queue_settings *queue, struct cm_error *err);

/* To standard error, as notices of the engine are. */
void cm_runner_say(const struct cm_runner *runner, const char *text);

/* From inside a callback: as if a signal had come. */
void cm_runner_stop(struct cm_runner *runner);

void cm_runner_done(struct cm_runner *runner);

/* The queue that the settings name. */
const struct cm_queue_ops *cm_runner_queue(const struct cm_settings *settings,
                                           struct cm_queue_settings *ret_queue);

/* How the settings want connections to Redis encrypted. */
struct cm_redis_tls cm_runner_tls(const struct cm_settings_redis *redis);

#endif
