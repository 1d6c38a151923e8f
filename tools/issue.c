/* certmill issue: certificates for a folder or file of CSRs, without a server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "tools/command.h"
#include "tools/commands.h"
#include "tools/progress.h"
#include "tools/runner.h"

static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "in",
      .type = CM_OPTION_PATH,
      .argument = "PATH",
      .required = true,
      .help = "A folder of CSRs, a file, or `-` for standard input (concatenated PEM)." },
    { .name = "out",
      .type = CM_OPTION_PATH,
      .argument = "DIR",
      .required = true,
      .help = "The folder of the answers; made when it is not there." },
    { .name = "device-from",
      .type = CM_OPTION_CHOICE,
      .argument = "WHERE",
      .standard = "file-name",
      .choices = "file-name cn serial-number",
      .help = "Where the device id stands: in the file's name, or in the CSR's subject." },
    { .name = "requester",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "In whose name the requests are made; default: the spool's requester." },
    { .name = "enroll",
      .type = CM_OPTION_TEXT,
      .argument = "GROUP",
      .help = "Register devices that are not on the allow-list in this group. Without it they are "
              "refused." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};

static const char *const paragraphs[] = {
    "For each `NAME.csr`, `NAME.pem` or `NAME.der` (PEM or DER, whatever the name) it writes "
    "`DIR/NAME.pem`, the certificate followed by its chain, or `DIR/NAME.error.json` with `code` and "
    "`message`. The device id is `NAME` unless `--device-from` says otherwise.",
    "Everything is recorded as with `certmill serve`: the same file answered twice gives the same "
    "certificate, so a run that was interrupted is simply started again.",
    NULL
};

static const struct cm_example examples[] = {
    { "certmill issue --in csrs --out certs", "One certificate for each CSR in csrs/." },
    { "cat *.csr | certmill issue --in - --out certs --device-from cn",
      "CSRs from a pipe, each for the device that its common name says." },
};

struct issuing {
    struct cm_progress progress;
};

static uint64_t answered_count(const struct cm_engine_counters *counters)
{
    return counters->issued + counters->refused + counters->failed;
}

static void on_tick(struct cm_runner *runner)
{
    struct issuing *issuing = runner->arg;
    cm_progress_set(&issuing->progress, answered_count(cm_engine_counters(runner->engine)));
}

static int report(const struct cm_call *call, const struct cm_runner *runner)
{
    const struct cm_engine_counters *counters = &runner->counters;
    double seconds = (double)(runner->ended_ns - runner->running_ns) / (double)CM_NS_PER_S;
    bool is_complete = !runner->was_interrupted && counters->refused + counters->failed == 0;
    if (cm_call_flag(call, "json")) {
        json_t *object = json_pack("{s:I, s:I, s:I, s:f}", "issued", (json_int_t)counters->issued,
                                   "refused", (json_int_t)counters->refused, "failed",
                                   (json_int_t)counters->failed, "seconds", seconds);
        json_dumpf(object, stdout, JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(object);
    } else if (!cm_call_flag(call, "quiet")) {
        printf("%llu issued, %llu refused, %llu failed in %.2f s; answers in %s\n",
               (unsigned long long)counters->issued, (unsigned long long)counters->refused,
               (unsigned long long)counters->failed, seconds, cm_call_value(call, "out"));
    }
    if (runner->was_interrupted)
        fprintf(stderr, "certmill: interrupted; start it again to go on\n");
    return is_complete ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

static cm_status check(const struct cm_call *call, const struct cm_settings *settings,
                       const char *requester, struct cm_error *err)
{
    const char *group = cm_call_value(call, "enroll");
    const char *out = cm_call_value(call, "out");
    const struct cm_settings_requester *found =
        cm_settings_requester(settings, cm_bytes_str(requester));
    if (!found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "no requester \"%s\" in %s", requester,
                       settings->path);
    if (found->auth != CM_AUTH_NONE)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "requester %s must authenticate its requests, which files cannot do: name "
                       "another with --requester",
                       requester);
    if (group && !cm_settings_group(settings, cm_bytes_str(group)))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "no group \"%s\" in %s", group,
                       settings->path);
    if (mkdir(out, 0755) != 0 && errno != EEXIST)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make folder %s", out);
    return CM_OK;
}

static cm_status issue(const struct cm_call *call, struct cm_runner *runner, struct cm_error *err)
{
    cm_status status = cm_runner_open(runner, cm_call_value(call, "config"), err);
    if (status != CM_OK)
        return status;
    const char *requester = cm_call_value(call, "requester");
    if (!requester)
        requester = runner->settings->spool.requester;
    status = check(call, runner->settings, requester, err);
    if (status != CM_OK)
        return status;
    const struct cm_queue_settings queue = { .input = cm_call_value(call, "in"),
                                             .output = cm_call_value(call, "out"),
                                             .requester = requester,
                                             .device_from = cm_call_value(call, "device-from"),
                                             .enroll_group = cm_call_value(call, "enroll") };
    return cm_runner_run(runner, &cm_queue_spool, &queue, err);
}

static int run(const struct cm_call *call)
{
    struct issuing issuing;
    struct cm_runner runner = { .on_tick = on_tick, .stops_when_exhausted = true, .arg = &issuing };
    struct cm_error err;
    bool is_silent = cm_call_flag(call, "json") || cm_call_flag(call, "quiet");
    cm_progress_start(&issuing.progress, "requests answered", 0, is_silent);
    cm_status status = issue(call, &runner, &err);
    cm_progress_end(&issuing.progress);
    int code = status == CM_OK ? report(call, &runner) : cm_call_fail(call, "%s", err.text);
    cm_runner_done(&runner);
    return code;
}

const struct cm_command cm_command_issue = {
    .name = "issue",
    .operands = "",
    .summary = "issue certificates for a folder or file of CSRs",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed = "not every CSR got a certificate; the answers say why",
    .run = run,
};
