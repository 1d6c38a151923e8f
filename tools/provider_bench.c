/* certmill provider bench: signatures a second and latencies, by algorithm and number of sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tools/commands.h"
#include "tools/interruptions.h"
#include "tools/progress.h"
#include "tools/provider_load.h"
#include "tools/provider_target.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SESSIONS_MAX = 64, IN_FLIGHT_MAX = 4096, STEPS_MAX = 16 };

struct bench {
    const struct cm_call *call;
    struct cm_provider_target target;
    uint32_t sessions[STEPS_MAX];
    size_t sessions_count;
    double seconds;
    uint32_t batch_items;
    json_t *rows; /* NULL: text */
    unsigned failures_count;
    bool has_deleted;             /* a key that its vault keeps */
    char left[CM_LEFT_TEXT_SIZE]; /* a key that could not be destroyed; "": none */
};

/* One kind of key with one number of sessions. */
struct cell {
    const char *algorithm;
    uint32_t sessions;
    struct cm_provider_load_result rate, single; /* in batches; one by one */
};

/* ---------------------------------------------------------------------------------- telling -- */

static void tell_cell(struct bench *bench, const struct cell *cell)
{
    bench->failures_count += cell->rate.failures + cell->single.failures > 0;
    if (bench->rows) {
        json_array_append_new(
            bench->rows,
            json_pack("{s:s, s:i, s:f, s:f, s:f, s:I}", "algorithm", cell->algorithm, "sessions",
                      (int)cell->sessions, "per_second", cell->rate.per_second, "p50_us",
                      cell->single.p50_us, "p99_us", cell->single.p99_us, "failures",
                      (json_int_t)(cell->rate.failures + cell->single.failures)));
        return;
    }
    printf("%-10s %8u %14.0f %12.3f %12.3f", cell->algorithm, cell->sessions, cell->rate.per_second,
           cell->single.p50_us / 1e3, cell->single.p99_us / 1e3);
    if (cell->rate.failures + cell->single.failures > 0)
        printf("   %llu failed: %s",
               (unsigned long long)(cell->rate.failures + cell->single.failures),
               cm_status_text(cell->rate.failures ? cell->rate.failure : cell->single.failure));
    putchar('\n');
    fflush(stdout);
}

static void tell_absent(struct bench *bench, const char *algorithm, const char *why)
{
    if (bench->rows)
        json_array_append_new(bench->rows,
                              json_pack("{s:s, s:s}", "algorithm", algorithm, "not_offered", why));
    else
        printf("%-10s %8s   not offered: %s\n", algorithm, "-", why);
}

/* -------------------------------------------------------------------------------- measuring -- */

static cm_status measure(struct bench *bench, struct cm_provider_session *session,
                         struct cm_key *key, struct cell *cell, struct cm_error *err)
{
    uint32_t most = cm_provider_caps(session->provider).batches_in_flight;
    const struct cm_provider_load_size size = {
        .sessions = cell->sessions,
        .batches_max = most,
        .batch_items = bench->batch_items,
        .is_vault = cm_provider_target_is_vault(&bench->target),
    };
    const struct cm_provider_load in_batches = cm_provider_load_in_batches(&size, bench->seconds);
    const struct cm_provider_load one_by_one = { .batches_in_flight =
                                                     most < cell->sessions ? most : cell->sessions,
                                                 .batch_items = 1,
                                                 .seconds = bench->seconds };
    cm_status status = cm_provider_load_run(session, key, &in_batches, &cell->rate, err);
    if (status == CM_OK)
        status = cm_provider_load_run(session, key, &one_by_one, &cell->single, err);
    if (status == CM_OK)
        status = cm_interruptions_check(err);
    if (status == CM_OK)
        tell_cell(bench, cell);
    return status;
}

/* The provider opened with so many sessions, and the key in it. */
static cm_status measure_sessions(struct bench *bench, const char *algorithm, const char *reference,
                                  uint32_t sessions, struct cm_error *err)
{
    const struct cm_settings_provider provider = cm_provider_target_with(&bench->target, sessions);
    struct cm_provider_session session;
    struct cm_key *key = NULL;
    struct cell cell = { .algorithm = algorithm, .sessions = sessions };
    cm_status status = cm_provider_session_open(&session, &provider, err);
    if (status == CM_OK)
        status = cm_provider_session_open_key(&session, reference, CM_SIGALG_UNKNOWN, &key, err);
    if (status == CM_OK)
        status = measure(bench, &session, key, &cell, err);
    if (key)
        cm_provider_close_key(key);
    cm_provider_session_close(&session);
    return status;
}

static cm_status measure_key(struct bench *bench, const char *algorithm, const char *reference,
                             struct cm_error *err)
{
    cm_status status = CM_OK;
    for (size_t i = 0; i < bench->sessions_count && status == CM_OK; i++)
        status = measure_sessions(bench, algorithm, reference, bench->sessions[i], err);
    return status;
}

static void destroy(struct bench *bench, const char *reference)
{
    struct cm_provider_session session;
    struct cm_error err = { 0 };
    cm_status status = cm_provider_session_open(&session, &bench->target.provider, &err);
    if (status == CM_OK)
        status = cm_provider_session_take_back(&session, NULL, reference, bench->left);
    else
        cm_provider_session_say_left(reference, &err, bench->left);
    cm_provider_session_close(&session);
    if (status == CM_OK && cm_vault_keeps(reference))
        bench->has_deleted = true;
}

static cm_status create(struct bench *bench, const struct cm_provider_kind *kind,
                        const char *reference, struct cm_error *err)
{
    struct cm_provider_session session;
    struct cm_key *key = NULL;
    cm_status status = cm_provider_session_open(&session, &bench->target.provider, err);
    if (status == CM_OK)
        status = cm_provider_session_create_key(&session, reference, &kind->spec, &key, err);
    if (key)
        cm_provider_close_key(key);
    cm_provider_session_close(&session);
    return status;
}

static cm_status measure_new_key(struct bench *bench, const struct cm_provider_kind *kind,
                                 const char *reference, struct cm_error *err)
{
    cm_status status = create(bench, kind, reference, err);
    if (status == CM_UNSUPPORTED) {
        tell_absent(bench, kind->name, err->text);
        return CM_OK;
    }
    if (status != CM_OK)
        return status;
    status = measure_key(bench, kind->name, reference, err);
    destroy(bench, reference);
    return status;
}

static cm_status measure_kind(struct bench *bench, const struct cm_provider_kind *kind,
                              struct cm_error *err)
{
    char reference[512];
    cm_status status =
        cm_provider_target_name_key(&bench->target, reference, sizeof reference, err);
    if (status != CM_OK)
        return status;
    cm_interruptions_hold("destroying the key %s; interrupt again to leave it there", reference);
    status = cm_interruptions_check(err);
    if (status == CM_OK)
        status = measure_new_key(bench, kind, reference, err);
    cm_interruptions_release();
    return status;
}

static bool is_wanted(const char *words, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = words; (at = strstr(at, name)); at += size)
        if ((at == words || at[-1] == ' ' || at[-1] == ',')
            && (at[size] == '\0' || at[size] == ' ' || at[size] == ','))
            return true;
    return false;
}

static cm_status measure_all(struct bench *bench, struct cm_error *err)
{
    const char *key = cm_call_value(bench->call, "key");
    const char *algorithms = cm_call_value(bench->call, "algorithms");
    cm_status status = CM_OK;
    if (!bench->rows)
        printf("%-10s %8s %14s %12s %12s\n", "ALGORITHM", "SESSIONS", "SIGNATURES/S", "P50 MS",
               "P99 MS");
    if (key)
        return measure_key(bench, "key", key, err);
    for (size_t i = 0; i < cm_provider_kinds_count && status == CM_OK && !bench->left[0]; i++)
        if (!algorithms || is_wanted(algorithms, cm_provider_kinds[i].name))
            status = measure_kind(bench, &cm_provider_kinds[i], err);
    return status;
}

/* ------------------------------------------------------------------------------ the command -- */

static bool read_sessions(struct bench *bench, const char *text, unsigned long most)
{
    char *end;
    while (*text && bench->sessions_count < STEPS_MAX) {
        unsigned long number = strtoul(text, &end, 10);
        if (end == text || number < 1 || number > most)
            return false;
        bench->sessions[bench->sessions_count++] = (uint32_t)number;
        text = end + strspn(end, " ,");
    }
    return bench->sessions_count > 0 && !*text;
}

/* A key that stays is the operator's to know, whatever else went wrong. */
static int conclude(struct bench *bench, cm_status status, const struct cm_error *err)
{
    const char *left = bench->left[0] ? bench->left : NULL;
    if (status != CM_OK && left)
        fprintf(stderr, "certmill: %s\n", left);
    if (bench->has_deleted)
        fprintf(stderr, "certmill: keys were deleted; " CM_VAULT_KEEPS "\n");
    return cm_provider_target_conclude(&bench->target, bench->rows, bench->failures_count,
                                       status == CM_OK ? left : err->text);
}

static int run(const struct cm_call *call)
{
    struct bench bench = { .call = call,
                           .seconds = (double)cm_call_number(call, "milliseconds") / 1e3,
                           .batch_items = (uint32_t)cm_call_number(call, "batch") };
    struct cm_error err = { 0 };
    const char *complaint = cm_provider_target_complaint(call);
    if (complaint)
        return cm_usage_fail("%s", complaint);
    cm_status status = cm_provider_target_find(&bench.target, call, &err);
    bool is_vault = status == CM_OK && cm_provider_target_is_vault(&bench.target);
    const char *sessions = cm_call_value(call, "sessions"),
               *usual = is_vault ? "1 16 256" : "1 2 4 8";
    int most = is_vault ? IN_FLIGHT_MAX : SESSIONS_MAX;
    if (status == CM_OK
        && !read_sessions(&bench, sessions ? sessions : usual, (unsigned long)most)) {
        cm_provider_target_done(&bench.target);
        return cm_usage_fail("--sessions takes up to %d numbers of 1 to %d, like \"1 2 4\"",
                             STEPS_MAX, most);
    }
    if (cm_call_flag(call, "json"))
        bench.rows = json_array();
    if (status == CM_OK)
        status = measure_all(&bench, &err);
    int exit_code = conclude(&bench, status, &err);
    cm_provider_target_done(&bench.target);
    return exit_code;
}

static const char *const paragraphs[] = {
    "Makes a key of each kind that the provider offers, signs with it for a while with each number "
    "of sessions, and destroys it again. With `--key` it signs with a key that is there, and makes "
    "none.",
    "Signatures a second are those of batches, as the engine sends them; the latencies are those of "
    "single signatures, as many at once as there are sessions, or as the provider takes batches.",
    "A vault has requests in flight instead of sessions, and is asked no faster than its budget "
    "(the settings' `rate`) allows. Its keys are deleted softly: it keeps them until they are purged or "
    "their retention time is over.",
    NULL
};
static const struct cm_option options[] = {
    CM_PROVIDER_TARGET_OPTIONS,
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "Sign with this key and make none." },
    { .name = "algorithms",
      .type = CM_OPTION_TEXT,
      .argument = "LIST",
      .help = "Only these: p256, p384, p521, ed25519, rsa-2048, rsa-3072, rsa-4096." },
    { .name = "sessions",
      .type = CM_OPTION_TEXT,
      .argument = "LIST",
      .help = "The numbers of sessions to try, of a vault those of requests in flight. Without it: "
              "`1 2 4 8`, of a vault `1 16 256`." },
    { .name = "milliseconds",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "1000",
      .min = 10,
      .max = 600000,
      .help = "How long each figure is measured." },
    { .name = "batch",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "64",
      .min = 1,
      .max = 1024,
      .help = "Signatures in a batch." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill provider bench -c /srv/ca/certmill.yaml", "The settings' first provider." },
    { "certmill provider bench --kind pkcs11 --module /opt/hsm.so --pin env:PIN",
      "A token before there is a deployment." },
    { "certmill provider bench vault --vault https://NAME.vault.azure.net",
      "The settings' provider `vault`, with new keys in this vault." },
};

const struct cm_command cm_command_provider_bench = {
    .name = "provider bench",
    .operands = "[NAME]",
    .operands_max = 1,
    .summary = "measure how fast a provider signs",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "the provider could not be used, or signatures failed",
    .run = run,
};
