#include "tools/runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"

enum { TICK_MS = 100 };

void cm_runner_say(const struct cm_runner *runner, const char *text)
{
    char stamp[32] = "";
    if (runner->with_times) {
        time_t now = (time_t)cm_clock_wall_s();
        struct tm utc;
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &utc));
    }
    fprintf(stderr, "%scertmill: %s\n", stamp, text);
}

static void on_tick(void *arg)
{
    struct cm_runner *runner = arg;
    runner->on_tick(runner);
    cm_timer_start(&runner->tick, runner->loop, TICK_MS, on_tick, runner);
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    struct cm_runner *runner = arg;
    switch (event) {
    case CM_ENGINE_RUNNING:
        runner->running_ns = cm_clock_monotonic_ns();
        if (runner->on_running)
            runner->on_running(runner);
        if (runner->on_tick)
            cm_timer_start(&runner->tick, runner->loop, TICK_MS, on_tick, runner);
        break;
    case CM_ENGINE_EXHAUSTED:
        if (runner->stops_when_exhausted)
            cm_engine_stop(runner->engine);
        break;
    case CM_ENGINE_FAILED:
        runner->status = CM_FAIL(&runner->err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "%s", text);
        cm_loop_stop(runner->loop);
        break;
    case CM_ENGINE_STOPPED:
        cm_loop_stop(runner->loop);
        break;
    case CM_ENGINE_NOTICE:
        cm_runner_say(runner, text);
        break;
    case CM_ENGINE_ROTATION_DUE:
        if (runner->on_rotation_due)
            runner->on_rotation_due(runner, text);
        break;
    }
}

void cm_runner_stop(struct cm_runner *runner)
{
    /* The second time there is no patience left: what is in flight comes again after the lease. */
    if (runner->was_interrupted)
        _exit(1);
    runner->was_interrupted = true;
    cm_engine_stop(runner->engine);
}

static void on_signal(int signal_number, void *arg)
{
    (void)signal_number;
    cm_runner_stop(arg);
}

cm_status cm_runner_open(struct cm_runner *runner, const char *settings_path, struct cm_error *err)
{
    return cm_settings_read(settings_path, &runner->settings, err);
}

/* A peer that hangs up and a file size limit are errors of one call, never the end of the process. */
static void ignore_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static cm_status run(struct cm_runner *runner, const struct cm_queue_ops *queue_ops,
                     const struct cm_queue_settings *queue, struct cm_error *err)
{
    const struct cm_engine_options options = { .loop = runner->loop,
                                               .settings = runner->settings,
                                               .queue_ops = queue_ops,
                                               .queue = queue,
                                               .listens = runner->listens,
                                               .publishes = runner->publishes,
                                               .on_event = on_event,
                                               .arg = runner };
    cm_status status = cm_engine_open(&options, &runner->engine, err);
    if (status != CM_OK)
        return status;
    cm_signal_watch(&runner->on_term, runner->loop, SIGTERM, on_signal, runner);
    cm_signal_watch(&runner->on_int, runner->loop, SIGINT, on_signal, runner);
    cm_engine_start(runner->engine);
    cm_loop_run(runner->loop);
    runner->ended_ns = cm_clock_monotonic_ns();
    runner->counters = *cm_engine_counters(runner->engine);
    if (runner->status != CM_OK)
        *err = runner->err;
    return runner->status;
}

cm_status cm_runner_run(struct cm_runner *runner, const struct cm_queue_ops *queue_ops,
                        const struct cm_queue_settings *queue, struct cm_error *err)
{
    runner->status = CM_OK;
    runner->was_interrupted = false;
    ignore_signals();
    cm_status status = cm_loop_new(&runner->loop, err);
    if (status == CM_OK)
        status = run(runner, queue_ops, queue, err);
    cm_timer_done(&runner->tick);
    cm_engine_close(runner->engine);
    runner->engine = NULL;
    cm_signal_done(&runner->on_term);
    cm_signal_done(&runner->on_int);
    cm_loop_free(runner->loop);
    runner->loop = NULL;
    return status;
}

void cm_runner_done(struct cm_runner *runner)
{
    cm_settings_free(runner->settings);
    runner->settings = NULL;
}

struct cm_redis_tls cm_runner_tls(const struct cm_settings_redis *redis)
{
    return (struct cm_redis_tls){ .ca = redis->tls_ca,
                                  .certificate = redis->tls_certificate,
                                  .key = redis->tls_key,
                                  .server_name = redis->tls_server_name };
}

const struct cm_queue_ops *cm_runner_queue(const struct cm_settings *settings,
                                           struct cm_queue_settings *ret_queue)
{
    const struct cm_settings_redis *redis = &settings->redis;
    const struct cm_settings_spool *spool = &settings->spool;
    *ret_queue = (struct cm_queue_settings){
        .url = redis->url,
        .tls = cm_runner_tls(redis),
        .prefix = redis->prefix,
        .consumer = redis->consumer,
        .password_ref = redis->password,
        .lease_ms = redis->lease_ms,
        .deliveries_max = redis->deliveries_max,
        .results_max = redis->results_max,
        .notices_max = redis->notices_max,
        .folder = spool->folder,
        .requester = spool->requester,
        .device_from = spool->device_from,
    };
    return settings->queue_kind == CM_QUEUE_KIND_REDIS ? &cm_queue_redis : &cm_queue_spool;
}
