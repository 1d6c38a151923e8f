/* certmill submit: CSRs into the queue, as a backend would push them, and the answers out of it. */
#include "tools/submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/settings/settings.h"
#include "tools/command.h"
#include "tools/commands.h"

static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "requester",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .standard = "local",
      .help = "In whose name the requests are made." },
    { .name = "device",
      .type = CM_OPTION_TEXT,
      .argument = "ID",
      .help = "The device id; default: each file's name without its extension." },
    { .name = "id",
      .type = CM_OPTION_TEXT,
      .argument = "ID",
      .help =
          "The request id, for a single CSR; default: made from the file's name and content, so that "
          "submitting again is a repetition. Redis only." },
    { .name = "profile",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "The profile to ask for; default: that of the device's group. Redis only." },
    { .name = "renew",
      .type = CM_OPTION_FLAG,
      .help =
          "Ask for certificates that take the place of those that the devices have (`op=renew`). "
          "Redis only." },
    { .name = "serial",
      .type = CM_OPTION_TEXT,
      .argument = "HEX",
      .help =
          "With `--renew` and a single CSR: the serial number of the certificate that is renewed; "
          "default: the device's newest." },
    { .name = "auth-key",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help =
          "The requester's Ed25519 private key (PEM), where its settings ask for `ed25519`. Redis "
          "only." },
    { .name = "per-entry",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "1",
      .min = 1,
      .max = 64,
      .help = "Put up to so many requests into one entry of the stream. Redis only." },
    { .name = "out",
      .type = CM_OPTION_PATH,
      .argument = "DIR",
      .help = "Save each answer as NAME.pem or NAME.error.json here instead of printing it." },
    { .name = "timeout",
      .type = CM_OPTION_NUMBER,
      .argument = "SECONDS",
      .standard = "30",
      .min = 1,
      .max = 86400,
      .help = "How long to wait for all answers." },
    CM_OPTION_JSON,
};

static const char *const paragraphs[] = {
    "Pushes each CSR to the queue that the settings name, waits for the answers of a running "
    "`certmill serve`, and prints or saves them: certificates as PEM, refusals with their code and message.",
    "The answer belongs to the request id: submitting the same file again gives the same certificate.",
    "With `--renew` each CSR is for a certificate that takes the place of the device's newest one of the profile, or "
    "of the one that `--serial` names. The id is made from the serial number, too: who renews with the same CSR again and "
    "again names the serial number, or another `--id` each time.",
    "Where the settings of the requester ask for authenticated requests, they are signed: with its secret "
    "(`hmac-sha256`), or with the key of `--auth-key` (`ed25519`).",
    NULL
};

static const struct cm_example examples[] = {
    { "certmill submit device-000001.csr", "The certificate goes to standard output." },
    { "certmill submit --out certs csrs/*.csr", "Each answer in a file of its own." },
    { "certmill submit --renew device-000001.csr", "The device's next certificate." },
};

static int run(const struct cm_call *call)
{
    struct cm_settings *settings;
    struct cm_error err;
    cm_status status = cm_settings_read(cm_call_value(call, "config"), &settings, &err);
    if (status != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    struct cm_submission submission = {
        .settings = settings,
        .requester = cm_call_value(call, "requester"),
        .device = cm_call_value(call, "device"),
        .id = cm_call_value(call, "id"),
        .profile = cm_call_value(call, "profile"),
        .renews = cm_call_flag(call, "renew"),
        .serial = cm_call_value(call, "serial"),
        .auth_key = cm_call_value(call, "auth-key"),
        .per_entry = (uint32_t)cm_call_number(call, "per-entry"),
        .folder = cm_call_value(call, "out"),
        .timeout_s = (uint32_t)cm_call_number(call, "timeout"),
        .is_json = cm_call_flag(call, "json"),
    };
    int code;
    if ((submission.device || submission.id || submission.serial) && call->operands_count > 1)
        code = cm_usage_fail("--device, --id and --serial are for a single CSR");
    else if (submission.serial && !submission.renews)
        code = cm_usage_fail("--serial is for --renew");
    else if (cm_submission_read(&submission, call->operands, (uint32_t)call->operands_count, &err)
             != CM_OK)
        code = cm_call_fail(call, "%s", err.text);
    else {
        status = settings->queue_kind == CM_QUEUE_KIND_REDIS ? cm_submit_redis(&submission, &err)
                                                             : cm_submit_spool(&submission, &err);
        code = status == CM_OK ? cm_submission_report(&submission)
                               : cm_call_fail(call, "%s", err.text);
    }
    cm_submission_done(&submission);
    cm_settings_free(settings);
    return code;
}

const struct cm_command cm_command_submit = {
    .name = "submit",
    .operands = "CSR...",
    .operands_min = 1,
    .operands_max = 100000,
    .summary = "push CSRs to the queue and wait for the answers",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed = "not every CSR got a certificate in time",
    .run = run,
};
