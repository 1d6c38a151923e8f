/* certmill crl publish: CRLs made anew, now. */
#include <stdio.h>

#include <jansson.h>

#include "queue/memory.h"
#include "tools/commands.h"
#include "tools/control_client.h"
#include "tools/runner.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void tell(const struct cm_call *call, const struct cm_control_published *published)
{
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:I, s:I, s:s}", "published", (json_int_t)published->published,
                                   "failed", (json_int_t)published->failed, "why", published->why);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
        return;
    }
    if (!cm_call_flag(call, "quiet"))
        printf("%u CRL%s published\n", published->published, published->published == 1 ? "" : "s");
    if (published->failed > 0)
        fprintf(stderr, "certmill: %u could not be: %s\n", published->failed, published->why);
}

/* ---------------------------------------------------------------- by an engine of the command's -- */

struct publishing {
    const char *issuer; /* NULL: all */
    cm_status status;   /* OK once it is over, and published says how */
    struct cm_error err;
    struct cm_control_published published;
};

static void on_published(uint32_t published_count, uint32_t failed_count, const char *why,
                         void *arg)
{
    struct cm_runner *runner = arg;
    struct publishing *publishing = runner->arg;
    publishing->status = CM_OK;
    publishing->published =
        (struct cm_control_published){ .published = published_count, .failed = failed_count };
    snprintf(publishing->published.why, sizeof publishing->published.why, "%s", why);
    cm_engine_stop(runner->engine);
}

static void on_running(struct cm_runner *runner)
{
    struct publishing *publishing = runner->arg;
    cm_status status = cm_engine_publish(runner->engine, publishing->issuer, on_published, runner,
                                         &publishing->err);
    if (status == CM_OK)
        return;
    publishing->status = status;
    cm_engine_stop(runner->engine);
}

/* Its queue is empty: it takes no requests, and needs no server. */
static cm_status run_engine(struct cm_runner *runner, struct cm_error *err)
{
    const struct cm_queue_settings queue = { .prefix = "crl-publish" };
    struct cm_memory_broker *broker = cm_memory_broker_new(queue.prefix);
    cm_status status = cm_runner_run(runner, &cm_queue_memory, &queue, err);
    cm_memory_broker_free(broker);
    return status;
}

/* unheard: why no engine that runs could be asked. */
static cm_status publish_here(struct cm_runner *runner, const struct cm_error *unheard,
                              struct cm_control_published *ret_published, struct cm_error *err)
{
    struct publishing *publishing = runner->arg;
    struct cm_error why;
    if (!runner->settings->status.publish_folder)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "no engine runs (%.60s), and the settings have no status.publish-folder to "
                       "publish into: start certmill serve, or set it",
                       unheard->text);
    cm_status status = run_engine(runner, &why);
    if (status == CM_BUSY)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                       "%.150s, and cannot be asked (%.60s); try again when it is done", why.text,
                       unheard->text);
    if (status == CM_OK && publishing->status != CM_OK) {
        status = publishing->status;
        why = publishing->err;
    }
    if (status == CM_OK)
        *ret_published = publishing->published;
    else
        *err = why;
    return status;
}

/* -------------------------------------------------------------------------------- the command -- */

static cm_status publish(const struct cm_call *call, struct cm_control_published *ret_published,
                         struct cm_error *err)
{
    struct publishing publishing = { .issuer = cm_call_value(call, "issuer") };
    struct cm_runner runner = { .on_running = on_running, .publishes = true, .arg = &publishing };
    struct cm_control_client *client = NULL;
    struct cm_error unheard;
    publishing.status = CM_FAIL(&publishing.err, CM_CANCELLED, CM_ORIGIN_SELF, 0,
                                "interrupted; the CRLs that were not made anew stay as they were");
    cm_status status = cm_runner_open(&runner, cm_call_value(call, "config"), err);
    if (status == CM_OK)
        status = cm_control_client_open(runner.settings->store_path, &client, &unheard) == CM_OK
                     ? cm_control_client_publish(client, publishing.issuer, ret_published, err)
                     : publish_here(&runner, &unheard, ret_published, err);
    cm_control_client_close(client);
    cm_runner_done(&runner);
    return status;
}

static int run(const struct cm_call *call)
{
    struct cm_control_published published;
    struct cm_error err = { 0 };
    if (publish(call, &published, &err) != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    tell(call, &published);
    return published.failed == 0 ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

static const char *const paragraphs[] = {
    "Makes every CRL anew, signs it and publishes it, and waits until that is done. Where `certmill serve` "
    "runs, its engine does so; it is not needed in daily life then, for the engine publishes by itself after "
    "each revocation, and before a CRL ends.",
    "Where none runs, the command opens the keys and writes the CRLs into the `status.publish-folder` of the "
    "settings. So a CA without a service can revoke, publish, and leave the rest to a web server; "
    "do it again well before the CRLs end.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "Only those of this key, like `issuing-1`. Without it: of all." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};
static const struct cm_example examples[] = {
    { "certmill crl publish",
      "After a web server has lost its files, or without `certmill serve`." },
};

const struct cm_command cm_command_crl_publish = {
    .name = "crl publish",
    .operands = "",
    .summary = "make and publish every CRL anew",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "not every CRL could be made and published; those from before stay in place",
    .run = run,
};
