/* certmill bench: a load run through the whole engine, beside what the bare cryptography allows. */
#include "tools/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/scratch.h"

#define CEILING_SECONDS 1.5

static const char *const paragraphs[] = {
    "Makes a scratch deployment with `N` devices on its allow-list and as many CSRs with keys of "
    "their own, then lets the engine answer them: proof of possession checked, every certificate "
    "durable in SQLite (synchronous FULL). The clock runs from the first request to the last "
    "answer; requests are made before.",
    "Before and after, one thread for each processor does nothing but verify and sign with prepared "
    "keys: the ceiling that the figures are held against.",
    "With `--queue redis` a private redis-server on a Unix socket is started, and the requests come "
    "from a process of its own that checks that each is answered exactly once.",
    NULL
};

static const struct cm_option options[] = {
    { .name = "devices",
      .letter = 'n',
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "20000",
      .min = 10,
      .max = 10000000,
      .help = "Requests of the run." },
    { .name = "queue",
      .type = CM_OPTION_CHOICE,
      .argument = "KIND",
      .standard = "memory",
      .choices = "memory redis spool",
      .help = "Where the requests come from." },
    { .name = "rate",
      .type = CM_OPTION_NUMBER,
      .argument = "R",
      .standard = "0",
      .max = 1000000,
      .help = "Push so many requests a second, whatever the answers; 0: as fast as answers come." },
    { .name = "window",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "4096",
      .min = 1,
      .max = 1000000,
      .help = "Without a rate: so many requests wait for their answers." },
    { .name = "key-type",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .standard = "p256",
      .choices = "p256 p384 p521 rsa ed25519 mix",
      .help = "Of the devices' keys; `rsa` has 2048 bits; `mix` is mostly P-256." },
    { .name = "ca-key",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .standard = "p256",
      .choices = "p256 p384 p521 rsa-2048 rsa-3072 rsa-4096 ed25519",
      .help = "Of the authorities' keys." },
    { .name = "provider",
      .type = CM_OPTION_CHOICE,
      .argument = "KIND",
      .standard = "openssl",
      .choices = "openssl pkcs11",
      .help = "Where the authorities' keys live: in files, or in a SoftHSM token that is made for "
              "the run. Then a bare loop over C_Sign is measured, too." },
    { .name = "check-signatures",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "1",
      .min = 1,
      .max = 1000000,
      .help = "Every N-th new signature is verified before it leaves (a setting of the engine)." },
    { .name = "signers",
      .type = CM_OPTION_CHOICE,
      .argument = "WHERE",
      .standard = "process",
      .choices = "process inline",
      .help = "Where keys are (a setting of the engine); what `process` costs is the difference." },
    { .name = "redis-aof",
      .type = CM_OPTION_CHOICE,
      .argument = "WHEN",
      .standard = "no",
      .choices = "no everysec always",
      .help = "When the private redis-server syncs its log." },
    { .name = "dir",
      .type = CM_OPTION_PATH,
      .argument = "DIR",
      .help = "Where the scratch deployment goes, and stays; a new folder. Without it: below "
              "$TMPDIR or /var/tmp, removed at the end." },
    { .name = "report",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "Write a page with plots, one HTML file." },
    CM_OPTION_JSON,
    CM_OPTION_QUIET,
};

static const struct cm_example examples[] = {
    { "certmill bench", "20,000 requests, inside one process." },
    { "certmill bench --queue redis --devices 300000 --report bench.html",
      "A long run through Redis, with a page of plots." },
    { "certmill bench --queue redis --provider pkcs11 --ca-key rsa-2048",
      "With the keys in a token, beside what the token alone can do." },
    { "certmill bench --queue redis --rate 2000", "Latencies at 2,000 requests a second." },
};

/* --- scratch ------------------------------------------------------------------------------------- */

static cm_status make_folder(const char *wanted, char *ret_path, size_t space, struct cm_error *err)
{
    if (wanted) {
        snprintf(ret_path, space, "%s", wanted);
        if (mkdir(wanted, 0700) != 0)
            return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_OS, errno, "%s", wanted);
        return CM_OK;
    }
    return cm_scratch_make("certmill-bench", ret_path, space, err);
}

/* --- phases -------------------------------------------------------------------------------------- */

cm_status cm_bench_make_fleet(const struct cm_bench_plan *plan, struct cm_fleet **ret_fleet,
                              struct cm_error *err)
{
    struct cm_fleet_settings settings;
    struct cm_progress progress;
    if (strcmp(plan->key_type, "mix") == 0)
        cm_fleet_settings_mix(plan->devices_count, &settings);
    else
        cm_fleet_settings_uniform(plan->devices_count, cm_key_type_find(plan->key_type), &settings);
    cm_progress_start(&progress, "requests made", plan->devices_count, plan->quiet);
    cm_status status = cm_fleet_make(&settings, &progress, ret_fleet, err);
    cm_progress_end(&progress);
    return status;
}

static cm_status measure_ceiling(const struct cm_bench_plan *plan,
                                 struct cm_bench_ceiling *ret_ceiling, struct cm_error *err)
{
    bool is_rsa = strncmp(plan->ca_key, "rsa-", 4) == 0;
    enum cm_key_type ca = is_rsa ? CM_KEY_RSA : cm_key_type_find(plan->ca_key);
    enum cm_key_type device = cm_key_type_find(plan->key_type);
    return cm_bench_measure_ceiling(device == CM_KEY_UNKNOWN ? CM_KEY_P256 : device, ca,
                                    is_rsa ? (uint32_t)atoi(plan->ca_key + 4) : 0, CEILING_SECONDS,
                                    ret_ceiling, err);
}

static cm_status run_queue(const struct cm_bench_plan *plan, struct cm_bench_result *result,
                           struct cm_error *err)
{
    switch (plan->queue) {
    case CM_BENCH_REDIS:
        return cm_bench_run_redis(plan, result, err);
    case CM_BENCH_SPOOL:
        return cm_bench_run_spool(plan, result, err);
    default:
        return cm_bench_run_memory(plan, result, err);
    }
}

static cm_status measure_token(const struct cm_bench_plan *plan,
                               const struct cm_private_token *token,
                               struct cm_bench_token *ret_token, struct cm_error *err)
{
    if (strcmp(plan->provider, "pkcs11") != 0)
        return CM_OK;
    return cm_bench_measure_token(token, plan->ca_key, ret_token, err);
}

static cm_status run_phases(const struct cm_bench_plan *plan, struct cm_bench_result *result,
                            struct cm_error *err)
{
    struct cm_private_token token;
    cm_status status = cm_bench_deploy(plan, &token, err);
    if (status == CM_OK)
        status = measure_token(plan, &token, &result->token_before, err);
    if (status == CM_OK)
        status = run_queue(plan, result, err);
    if (status == CM_OK)
        status = measure_token(plan, &token, &result->token_after, err);
    if (status == CM_OK)
        status = measure_ceiling(plan, &result->ceiling_after, err);
    result->token_per_second =
        (result->token_before.per_second + result->token_after.per_second) / 2;
    result->ceiling.per_second =
        (result->ceiling_before.per_second + result->ceiling_after.per_second) / 2;
    result->ceiling.cpu_us = (result->ceiling_before.cpu_us + result->ceiling_after.cpu_us) / 2;
    result->processors = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    return status;
}

static bool all_is_well(const struct cm_bench_figures *figures)
{
    return figures->issued == figures->requests && figures->repeated == 0 && figures->unknown == 0;
}

static int report(const struct cm_call *call, const struct cm_bench_plan *plan,
                  const struct cm_bench_result *result)
{
    const char *page = cm_call_value(call, "report");
    struct cm_error err;
    if (cm_call_flag(call, "json"))
        cm_bench_print_json(plan, result);
    else
        cm_bench_print_text(plan, result);
    if (page && cm_bench_write_html(plan, result, page, &err) != CM_OK) {
        fprintf(stderr, "certmill: %s\n", err.text);
        return CM_EXIT_FAILED;
    }
    return all_is_well(&result->figures) ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

static void read_plan(const struct cm_call *call, struct cm_bench_plan *plan)
{
    const char *queue = cm_call_value(call, "queue");
    *plan = (struct cm_bench_plan){
        .devices_count = (uint32_t)cm_call_number(call, "devices"),
        .queue = strcmp(queue, "redis") == 0   ? CM_BENCH_REDIS
                 : strcmp(queue, "spool") == 0 ? CM_BENCH_SPOOL
                                               : CM_BENCH_MEMORY,
        .queue_name = queue,
        .rate_per_s = (uint32_t)cm_call_number(call, "rate"),
        .window = (uint32_t)cm_call_number(call, "window"),
        .key_type = cm_call_value(call, "key-type"),
        .ca_key = cm_call_value(call, "ca-key"),
        .provider = cm_call_value(call, "provider"),
        .check_signatures = (uint32_t)cm_call_number(call, "check-signatures"),
        .signers = cm_call_value(call, "signers"),
        .redis_aof = cm_call_value(call, "redis-aof"),
        .quiet = cm_call_flag(call, "quiet") || cm_call_flag(call, "json"),
    };
}

static int run(const struct cm_call *call)
{
    struct cm_bench_plan plan;
    struct cm_bench_result result = { 0 };
    struct cm_error err = { 0 };
    char folder[4096];
    const char *wanted = cm_call_value(call, "dir");
    read_plan(call, &plan);
    if (plan.rate_per_s && plan.queue == CM_BENCH_SPOOL)
        return cm_usage_fail("--rate goes with --queue memory or redis: files are all there");
    if (make_folder(wanted, folder, sizeof folder, &err) != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    plan.folder = folder;
    cm_status status = measure_ceiling(&plan, &result.ceiling_before, &err);
    if (status == CM_OK)
        status = run_phases(&plan, &result, &err);
    int exit_code =
        status == CM_OK ? report(call, &plan, &result) : cm_call_fail(call, "%s", err.text);
    if (!wanted)
        cm_scratch_remove(folder);
    return exit_code;
}

const struct cm_command cm_command_bench = {
    .name = "bench",
    .operands = "",
    .summary = "measure the whole engine under load",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed = "the run failed, or a request was not answered with exactly one certificate",
    .run = run,
};
