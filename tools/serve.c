/* certmill serve: the engine at work on the deployment's queue, until a signal stops it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "tools/command.h"
#include "tools/commands.h"
#include "tools/runner.h"
#include "tools/serve_rotation.h"

static const struct cm_option options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON, CM_OPTION_QUIET };

static const char *const paragraphs[] = {
    "Takes requests from the queue that the settings name (a Redis stream, or a spool folder), decides "
    "them, issues certificates, and writes the answers. Runs in the foreground; standard error carries "
    "what an operator should see.",
    "`SIGTERM` or `SIGINT` stops it: nothing new is taken, what is in flight is finished and answered; what its key "
    "has not begun to sign after 3 s goes back to the queue. A second signal ends it at once; unanswered requests then come again, and nothing is lost. With "
    "`--json` the counts of the run are printed as one object when it has stopped.",
    "Keys are held by signer processes, one for each provider of the settings, which ps shows as "
    "`certmill signer NAME`. One that dies or hangs is replaced within two seconds, and what it was asked for "
    "is asked for again; requests wait meanwhile. Standard error says so.",
    "Keys of authorities with `issues-for` in the settings come to the end of their turn while it runs: it says so, "
    "and with `rotation: prepare` or `automatic` starts `certmill ca rotate NAME --scheduled` as a process of its "
    "own. One that fails is started again after a pause that doubles, up to an hour.",
    "While it runs the store is its own to write. `certmill device import` hands it devices through the socket "
    "`control.sock` beside the store's file; it need not be stopped for that.",
    NULL
};

static const struct cm_example examples[] = {
    { "certmill serve -c /srv/ca/certmill.yaml", "Serves the deployment in /srv/ca." },
};

struct serving {
    bool is_quiet;
    bool has_leapt; /* the clock, and it was told */
    struct cm_serve_rotation rotation;
};

/* With the port in place of 0, that the system has chosen. */
static void say_where_status_is(const struct cm_runner *runner)
{
    const char *listen = runner->settings->status.listen;
    if (listen)
        fprintf(stderr, "certmill: status at http://%.*s:%u/\n",
                (int)(strrchr(listen, ':') - listen), listen,
                cm_engine_status_port(runner->engine));
}

static void on_running(struct cm_runner *runner)
{
    const struct serving *serving = runner->arg;
    const struct cm_settings *settings = runner->settings;
    bool is_redis = settings->queue_kind == CM_QUEUE_KIND_REDIS;
    if (serving->is_quiet)
        return;
    say_where_status_is(runner);
    fprintf(stderr, "certmill: serving %s from %s\n", settings->path,
            is_redis ? settings->redis.url : settings->spool.folder);
}

/* It may run for years, and the clock be set meanwhile. */
static void on_tick(struct cm_runner *runner)
{
    struct serving *serving = runner->arg;
    int64_t leap_s = cm_clock_leap_ms() / 1000;
    char text[200];
    cm_serve_rotation_look(&serving->rotation);
    if ((leap_s > 0) == serving->has_leapt)
        return;
    serving->has_leapt = leap_s > 0;
    snprintf(text, sizeof text,
             "the clock has leapt ahead by %" PRId64 " h, and is not believed: the time that has "
             "passed since the start counts; if the clock is right, start certmill again",
             leap_s / 3600);
    cm_runner_say(runner, serving->has_leapt ? text : "the clock is right again");
}

static void on_rotation_due(struct cm_runner *runner, const char *authority)
{
    struct serving *serving = runner->arg;
    cm_serve_rotation_ask(&serving->rotation, authority);
}

static void print_json(const struct cm_engine_counters *counters)
{
    json_t *object =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "issued", (json_int_t)counters->issued, "refused",
                  (json_int_t)counters->refused, "failed", (json_int_t)counters->failed, "repeated",
                  (json_int_t)counters->repeated, "given_back", (json_int_t)counters->given_back);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static int run(const struct cm_call *call)
{
    struct serving serving = { .is_quiet = cm_call_flag(call, "quiet") };
    struct cm_runner runner = { .on_running = on_running,
                                .on_tick = on_tick,
                                .on_rotation_due = on_rotation_due,
                                .listens = true,
                                .with_times = true,
                                .arg = &serving };
    struct cm_queue_settings queue;
    struct cm_error err;
    cm_clock_disbelieve_leaps();
    cm_status status = cm_runner_open(&runner, cm_call_value(call, "config"), &err);
    if (status == CM_OK) {
        const struct cm_queue_ops *ops = cm_runner_queue(runner.settings, &queue);
        cm_serve_rotation_begin(&serving.rotation, &runner);
        status = cm_runner_run(&runner, ops, &queue, &err);
        cm_serve_rotation_end(&serving.rotation);
    }
    cm_runner_done(&runner);
    if (status != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    if (cm_call_flag(call, "json"))
        print_json(&runner.counters);
    else if (!serving.is_quiet)
        fprintf(stderr, "certmill: stopped; issued %llu, refused %llu, failed %llu\n",
                (unsigned long long)runner.counters.issued,
                (unsigned long long)runner.counters.refused,
                (unsigned long long)runner.counters.failed);
    return CM_EXIT_DONE;
}

const struct cm_command cm_command_serve = {
    .name = "serve",
    .operands = "",
    .summary = "take requests from the queue and answer them",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed = "the engine could not start",
    .run = run,
};
