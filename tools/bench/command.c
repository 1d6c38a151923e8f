/* certmill bench: a load run through the whole engine, beside what the bare cryptography allows. */
#include "tools/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include <jansson.h>

#include "tools/commands.h"
#include "tools/scratch.h"

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

/* --- the command --------------------------------------------------------------------------------- */

static bool all_is_well(const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    return !result->is_interrupted && figures->issued == figures->requests && figures->repeated == 0
           && figures->unknown == 0;
}

static void print_json(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    json_t *object = cm_bench_report(plan, result);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(7));
    putchar('\n');
    json_decref(object);
}

static int tell(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    const char *page = cm_call_value(plan->call, "report");
    struct cm_error err;
    if (cm_call_flag(plan->call, "json"))
        print_json(plan, result);
    else
        cm_bench_print_text(plan, result);
    if (page && cm_bench_write_page(plan, result, page, &err) != CM_OK) {
        fprintf(stderr, "certmill: %s\n", err.text);
        return CM_EXIT_FAILED;
    }
    return all_is_well(result) ? CM_EXIT_DONE : CM_EXIT_FAILED;
}

static int run(const struct cm_call *call)
{
    static struct cm_bench_result result; /* large */
    struct cm_bench_plan plan;
    struct cm_bench_deployment deployment;
    struct cm_error err = { 0 };
    char folder[4096];
    const char *wanted = cm_call_value(call, "dir");
    if (!cm_bench_plan_read(call, &plan))
        return CM_EXIT_USAGE;
    if (make_folder(wanted, folder, sizeof folder, &err) != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    plan.folder = folder;
    cm_status status = cm_bench_deploy(&plan, &deployment, &err);
    if (status == CM_OK)
        status = cm_bench_run_phases(&plan, &deployment, &result, &err);
    int exit_code = status == CM_OK ? tell(&plan, &result) : cm_call_fail(call, "%s", err.text);
    cm_bench_undeploy(&deployment);
    cm_bench_samples_done(&result.samples);
    if (!wanted)
        cm_scratch_remove(folder);
    return exit_code;
}

/* --- its description ----------------------------------------------------------------------------- */

static const char *const paragraphs[] = {
    "Makes a scratch deployment with `N` devices on its allow-list and as many CSRs with keys of "
    "their own, then lets the engine answer them: proof of possession checked, every certificate "
    "durable in SQLite (synchronous FULL). The clock runs from the first request to the last "
    "answer; requests are made before.",
    "Before and after, one thread for each processor does nothing but verify and sign with prepared "
    "keys: the ceiling that the figures are held against.",
    "With `--queue redis` a private redis-server on a Unix socket is started, and the requests come "
    "from a process of its own that checks that each is answered exactly once.",
    "Without a rate requests go as fast as answers come. With `--rate` or `--ramp` they are due at "
    "fixed moments whether answers come or not, and latency counts from when a request was due.",
    "With `-c` or `--kind` the CA's key lives where yours do: in an instance of your settings, or one "
    "that is described here as for `certmill provider bench`. A key is made there for the run and "
    "destroyed after it, unless `--key` names one. Settings, store, allow-list and queue are still the "
    "scratch deployment's, and its certificates lead to a CA of its own: your store and your streams "
    "are not opened.",
    NULL
};

static const struct cm_option options[] = {
    { .name = "devices",
      .letter = 'n',
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .min = 10,
      .max = CM_BENCH_REQUESTS_MAX,
      .help = "Requests of the run. Without it: 20,000, or what `--ramp` needs." },
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
      .max = CM_BENCH_RATE_MAX,
      .help = "Push so many requests a second, whatever the answers; 0: as fast as answers come." },
    { .name = "ramp",
      .type = CM_OPTION_TEXT,
      .argument = "FROM:TO:STEP",
      .help =
          "Push at rates that rise step by step, like `1000:8000:1000`; says up to which one all "
          "was well." },
    { .name = "hold",
      .type = CM_OPTION_NUMBER,
      .argument = "SECONDS",
      .standard = "5",
      .min = 1,
      .max = 3600,
      .help = "`--ramp`: each rate is held for so long." },
    { .name = "latency-bound",
      .type = CM_OPTION_NUMBER,
      .argument = "MS",
      .standard = "50",
      .min = 1,
      .max = 600000,
      .help =
          "`--rate`, `--ramp`: a rate is well where 99 of 100 answers take no longer, and they keep "
          "up with the requests." },
    { .name = "window",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "4096",
      .min = 1,
      .max = 1000000,
      .help = "Without a rate: so many requests wait for their answers." },
    { .name = "per-entry",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "1",
      .min = 1,
      .max = 64,
      .help = "With Redis: so many requests in one entry of the stream." },
    { .name = "results",
      .type = CM_OPTION_CHOICE,
      .argument = "HOW",
      .standard = "single",
      .choices = "single grouped",
      .help = "With Redis: each result in an entry of its own, or several in one (a setting of the "
              "requester)." },
    { .name = "key-type",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .choices = "p256 p384 p521 rsa ed25519 mix",
      .help =
          "Of the devices' keys; `rsa` has 2048 bits; `mix` is mostly P-256. Without it: `p256`." },
    { .name = "mix",
      .type = CM_OPTION_TEXT,
      .argument = "LIST",
      .help =
          "Of the devices' keys, in percent: like `p256=90,rsa-2048=10`; also p384, p521, ed25519." },
    { .name = "fleet-cache",
      .type = CM_OPTION_PATH,
      .argument = "DIR",
      .help =
          "Keep the devices' CSRs in this folder, a file for each number and mix of keys, and take "
          "them from there the next time." },
    { .name = "ca-key",
      .type = CM_OPTION_CHOICE,
      .argument = "TYPE",
      .standard = "p256",
      .choices = "p256 p384 p521 rsa-2048 rsa-3072 rsa-4096 ed25519",
      .help = "Of the authorities' keys." },
    { .name = "provider",
      .type = CM_OPTION_CHOICE,
      .argument = "KIND",
      .choices = "openssl pkcs11",
      .help =
          "Where the authorities' keys live: in files (without it), or in a SoftHSM token that is "
          "made for the run. Then a bare loop over C_Sign is measured, too." },
    { .name = "config",
      .letter = 'c',
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help =
          "The key lives with a provider of these settings: the one called `NAME`, else the first." },
    CM_PROVIDER_TARGET_FLAGS,
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "Sign with this key of the instance and make none." },
    { .name = "check-signatures",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "1",
      .min = 1,
      .max = 1000000,
      .help = "Every N-th new signature is verified before it leaves (a setting of the engine)." },
    { .name = "multi-buffer",
      .type = CM_OPTION_CHOICE,
      .argument = "WHEN",
      .standard = "auto",
      .choices = "auto off",
      .help = "Verify and sign eight at a time (a setting of the engine), or by OpenSSL alone." },
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
    { "certmill bench --queue redis --devices 300000 --fleet-cache fleets",
      "The same; the next one finds its CSRs made." },
    { "certmill bench --queue redis --provider pkcs11 --ca-key rsa-2048",
      "With the keys in a token, beside what the token alone can do." },
    { "certmill bench --queue redis --rate 2000", "Latencies at 2,000 requests a second." },
    { "certmill bench --queue redis --ramp 1000:8000:1000 --report ramp.html",
      "Up to which rate it goes well." },
    { "certmill bench -c /srv/ca/certmill.yaml hsm --queue redis --json",
      "With a key in the provider `hsm` of these settings; one JSON object, for `bench compare`." },
};

const struct cm_command cm_command_bench = {
    .name = "bench",
    .operands = "[NAME]",
    .operands_max = 1,
    .summary = "measure the whole engine under load",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed =
        "the run failed or was interrupted, or a request was not answered with exactly one certificate",
    .run = run,
};
