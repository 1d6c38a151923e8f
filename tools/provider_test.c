/* certmill provider test: what a provider can do, as a table, tried and not read off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "providers/verify.h"
#include "tools/commands.h"
#include "tools/interruptions.h"
#include "tools/provider_load.h"
#include "tools/provider_target.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LOAD_SECONDS   0.5
#define WRONG_PIN      "certmill-wrong-pin"
#define WRONG_PIN_NAME "CERTMILL_WRONG_PIN"

enum { BATCH_ITEMS = 16 };

enum verdict { WORKS, ABSENT, UNKNOWN, FAILS };

static const char *const verdict_names[] = {
    [WORKS] = "yes", [ABSENT] = "no", [UNKNOWN] = "?", [FAILS] = "FAILS"
};

struct test {
    const struct cm_call *call;
    struct cm_provider_target target;
    json_t *rows; /* NULL: text */
    unsigned failures_count;
    bool has_concurrency; /* it was measured with the first key that signed */
};

/* One row of the table; of what it is about, by printf. */
static void tell(struct test *test, enum verdict verdict, const char *what, const char *subject,
                 const char *detail)
{
    test->failures_count += verdict == FAILS;
    if (test->rows)
        json_array_append_new(test->rows, json_pack("{s:s, s:s, s:s, s:s}", "capability", what,
                                                    "subject", subject, "verdict",
                                                    verdict_names[verdict], "detail", detail));
    else
        printf("%-12s %-18s %-6s %s\n", what, subject, verdict_names[verdict], detail);
    fflush(stdout);
}

static double since_ms(uint64_t start_ns)
{
    return (double)(cm_clock_monotonic_ns() - start_ns) / 1e6;
}

static enum verdict verdict_of(cm_status status)
{
    return status == CM_UNSUPPORTED || status == CM_MISMATCH ? ABSENT : FAILS;
}

/* ------------------------------------------------------------------------------- signatures -- */

/* Signs with one algorithm and holds the signature against the public key. */
static void try_algorithm(struct test *test, struct cm_provider_session *session,
                          const char *reference, enum cm_sigalg alg, const char *subject)
{
    static const char text[] = "certmill looks at what this key can sign";
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    size_t size;
    struct cm_key *key = NULL;
    struct cm_error err = { 0 };
    char detail[CM_ERROR_TEXT_SIZE + 32];
    cm_status status = cm_provider_session_open_key(session, reference, alg, &key, &err);
    uint64_t start_ns = cm_clock_monotonic_ns();
    if (status == CM_OK)
        status = cm_provider_session_sign(session, key, cm_bytes_str(text), signature, &size, &err);
    double spent_ms = since_ms(start_ns);
    if (status == CM_OK
        && !cm_spki_verify(key->spki, alg, cm_bytes_str(text), cm_bytes(signature, size)))
        status = CM_FAIL(&err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the signature does not verify");
    snprintf(detail, sizeof detail, "%.1f ms", spent_ms);
    tell(test, status == CM_OK ? WORKS : verdict_of(status), "sign", subject,
         status == CM_OK ? detail : err.text);
    if (key)
        cm_provider_close_key(key);
}

static void try_algorithms(struct test *test, struct cm_provider_session *session,
                           const char *reference, enum cm_key_type type, const char *name)
{
    char subject[64];
    if (type != CM_KEY_RSA) {
        try_algorithm(test, session, reference, cm_sigalg_default(type), name);
        return;
    }
    snprintf(subject, sizeof subject, "%s pkcs1", name);
    try_algorithm(test, session, reference, CM_SIGALG_RSA_SHA256, subject);
    snprintf(subject, sizeof subject, "%s pss", name);
    try_algorithm(test, session, reference, CM_SIGALG_RSA_PSS_SHA256, subject);
}

/* --------------------------------------------------------------------------------- sessions -- */

/* Signatures a second with so many sessions; negative when that did not work. */
static double rate_with(struct test *test, const char *reference, uint32_t sessions,
                        struct cm_error *err)
{
    const struct cm_settings_provider provider = cm_provider_target_with(&test->target, sessions);
    struct cm_provider_session session;
    struct cm_provider_load_result result = { .failures = 1 };
    struct cm_key *key = NULL;
    cm_status status = cm_provider_session_open(&session, &provider, err);
    if (status == CM_OK)
        status = cm_provider_session_open_key(&session, reference, CM_SIGALG_UNKNOWN, &key, err);
    if (status == CM_OK) {
        const struct cm_provider_load_size size = {
            .sessions = sessions,
            .batches_max = cm_provider_caps(session.provider).batches_in_flight,
            .batch_items = BATCH_ITEMS,
            .is_vault = cm_provider_target_is_vault(&test->target),
        };
        const struct cm_provider_load load = cm_provider_load_in_batches(&size, LOAD_SECONDS);
        status = cm_provider_load_run(&session, key, &load, &result, err);
    }
    if (status == CM_OK && result.failures > 0)
        status = CM_FAIL(err, result.failure, CM_ORIGIN_SELF, 0, "%llu signatures failed: %s",
                         (unsigned long long)result.failures, cm_status_text(result.failure));
    if (key)
        cm_provider_close_key(key);
    cm_provider_session_close(&session);
    return status == CM_OK ? result.per_second : -1;
}

static void tell_rate(struct test *test, const char *subject, double rate,
                      const struct cm_error *err)
{
    const char *what = cm_provider_target_is_vault(&test->target) ? "in flight" : "sessions";
    char detail[64];
    snprintf(detail, sizeof detail, "%.0f signatures/s", rate);
    if (rate < 0)
        tell(test, FAILS, what, subject, err->text);
    else if (rate > 0)
        tell(test, WORKS, what, subject, detail);
    else
        tell(test, UNKNOWN, what, subject, "too slow to measure here: see provider bench");
}

static void try_sessions(struct test *test, const char *reference, const char *name)
{
    static const uint32_t few[] = { 1, 2, 4, 8 }, many[] = { 1, 8, 64, 256 };
    const uint32_t *steps = cm_provider_target_is_vault(&test->target) ? many : few;
    char subject[64];
    struct cm_error err;
    test->has_concurrency = true;
    for (size_t i = 0; i < COUNT(few) && !cm_is_interrupted(); i++) {
        double rate = rate_with(test, reference, steps[i], &err);
        snprintf(subject, sizeof subject, "%u, %s", steps[i], name);
        tell_rate(test, subject, rate, &err);
    }
}

/* ------------------------------------------------------------------------------------- keys -- */

static void try_found(struct test *test, struct cm_provider_session *session, const char *reference)
{
    struct cm_key *key = NULL;
    struct cm_error err = { 0 };
    char detail[128];
    uint64_t start_ns = cm_clock_monotonic_ns();
    cm_status status =
        cm_provider_session_open_key(session, reference, CM_SIGALG_UNKNOWN, &key, &err);
    if (status != CM_OK) {
        tell(test, FAILS, "find", "key", err.text);
        return;
    }
    snprintf(detail, sizeof detail, "%s, %u bits, %.1f ms with its proof",
             cm_key_type_name(key->type), key->bits, since_ms(start_ns));
    enum cm_key_type type = key->type;
    cm_provider_close_key(key);
    tell(test, WORKS, "find", "key", detail);
    try_algorithms(test, session, reference, type, cm_key_type_name(type));
    try_sessions(test, reference, cm_key_type_name(type));
}

/* By its name, as the engine finds it at each start. */
static void try_finding(struct test *test, struct cm_provider_session *session,
                        const char *reference, const char *name)
{
    struct cm_key *key = NULL;
    struct cm_error err = { 0 };
    char detail[64];
    uint64_t start_ns = cm_clock_monotonic_ns();
    cm_status status =
        cm_provider_session_open_key(session, reference, CM_SIGALG_UNKNOWN, &key, &err);
    snprintf(detail, sizeof detail, "%.0f ms with its proof", since_ms(start_ns));
    tell(test, status == CM_OK ? WORKS : FAILS, "find", name, status == CM_OK ? detail : err.text);
    if (key)
        cm_provider_close_key(key);
}

static void destroy(struct test *test, struct cm_provider_session *session, struct cm_key *key,
                    const char *reference, const char *name)
{
    char left[CM_LEFT_TEXT_SIZE];
    if (cm_provider_session_take_back(session, key, reference, left) != CM_OK)
        tell(test, FAILS, "destroy", name, left);
    else if (cm_vault_keeps(reference))
        tell(test, WORKS, "destroy", name, CM_VAULT_KEEPS);
}

/* What a new key can do. Interrupted, it does no more. */
static void try_new(struct test *test, struct cm_provider_session *session, const char *reference,
                    const struct cm_provider_kind *kind)
{
    if (!cm_is_interrupted())
        try_finding(test, session, reference, kind->name);
    if (!cm_is_interrupted())
        try_algorithms(test, session, reference, kind->spec.type, kind->name);
    if (!test->has_concurrency && !cm_is_interrupted())
        try_sessions(test, reference, kind->name);
}

static void try_making(struct test *test, struct cm_provider_session *session,
                       const char *reference, const struct cm_provider_kind *kind)
{
    char detail[64];
    struct cm_key *key = NULL;
    struct cm_error err = { 0 };
    uint64_t start_ns = cm_clock_monotonic_ns();
    cm_status status = cm_provider_session_create_key(session, reference, &kind->spec, &key, &err);
    if (status != CM_OK) {
        tell(test, verdict_of(status), "generate", kind->name, err.text);
        return;
    }
    snprintf(detail, sizeof detail, "%.0f ms with its proof", since_ms(start_ns));
    tell(test, WORKS, "generate", kind->name, detail);
    try_new(test, session, reference, kind);
    destroy(test, session, key, reference, kind->name);
}

static cm_status try_kind(struct test *test, struct cm_provider_session *session,
                          const struct cm_provider_kind *kind, struct cm_error *err)
{
    char reference[512];
    cm_status status = cm_provider_target_name_key(&test->target, reference, sizeof reference, err);
    if (status != CM_OK)
        return status;
    cm_interruptions_hold("destroying the key %s; interrupt again to leave it there", reference);
    status = cm_interruptions_check(err);
    if (status == CM_OK)
        try_making(test, session, reference, kind);
    cm_interruptions_release();
    return status == CM_OK ? cm_interruptions_check(err) : status;
}

/* ---------------------------------------------------------------------------------- the PIN -- */

/* OK: the provider takes the PIN, whether there is a key or not. */
static cm_status try_pin(struct test *test, const char *passphrase, struct cm_error *err)
{
    struct cm_settings_provider provider = test->target.provider;
    struct cm_provider_session session;
    const char *existing = cm_call_value(test->call, "key");
    struct cm_key *key = NULL;
    char named[512];
    provider.passphrase = passphrase;
    cm_status status = cm_provider_session_open_single(&session, &provider, err);
    if (status == CM_OK && !existing)
        status = cm_provider_target_name_key(&test->target, named, sizeof named, err);
    if (status == CM_OK)
        status = cm_provider_session_open_key(&session, existing ? existing : named,
                                              CM_SIGALG_UNKNOWN, &key, err);
    if (key)
        cm_provider_close_key(key);
    cm_provider_session_close(&session);
    return status == CM_NO_KEY ? CM_OK : status;
}

/*
 * Uses up one try, so it is only done when asked for, and after the right PIN has given back those
 * that others may have used up; the right PIN afterwards gives it back, too.
 */
static cm_status try_wrong_pin(struct test *test, struct cm_error *err)
{
    struct cm_error why = { 0 };
    cm_status status = try_pin(test, test->target.provider.passphrase, err);
    if (status != CM_OK)
        return status;
    setenv(WRONG_PIN_NAME, WRONG_PIN, 1);
    status = try_pin(test, "env:" WRONG_PIN_NAME, &why);
    unsetenv(WRONG_PIN_NAME);
    tell(test, status == CM_DENIED ? WORKS : FAILS, "wrong PIN", "is refused once",
         status == CM_OK ? "the provider took it" : why.text);
    return CM_OK;
}

/* ------------------------------------------------------------------------------ the command -- */

static cm_status examine(struct test *test, struct cm_error *err)
{
    const char *key = cm_call_value(test->call, "key");
    struct cm_provider_session session;
    if (!test->rows)
        printf("%-12s %-18s %-6s %s\n", "CAPABILITY", "OF", "WORKS", "DETAIL");
    cm_status status = CM_OK;
    if (cm_call_flag(test->call, "try-wrong-pin"))
        status = try_wrong_pin(test, err);
    if (status != CM_OK)
        return status;
    status = cm_provider_session_open(&session, &test->target.provider, err);
    if (status == CM_OK && key)
        try_found(test, &session, key);
    for (size_t i = 0; status == CM_OK && !key && i < cm_provider_kinds_count; i++)
        status = try_kind(test, &session, &cm_provider_kinds[i], err);
    cm_provider_session_close(&session);
    return status;
}

/* Such a PIN comes before the provider's: the right one would be tried for the wrong one. */
static bool has_pin_source(const struct cm_call *call, const char *option)
{
    const char *uri = cm_call_value(call, option);
    return uri && strstr(uri, "pin-source=");
}

static int run(const struct cm_call *call)
{
    struct test test = { .call = call };
    struct cm_error err = { 0 };
    const char *complaint = cm_provider_target_complaint(call);
    if (complaint)
        return cm_usage_fail("%s", complaint);
    if (cm_call_flag(call, "try-wrong-pin")
        && (has_pin_source(call, "token") || has_pin_source(call, "key")))
        return cm_usage_fail("--try-wrong-pin takes no URI with a pin-source: name the PIN with "
                             "--pin, or in the settings");
    cm_status status = cm_provider_target_find(&test.target, call, &err);
    if (status == CM_OK && cm_call_flag(call, "try-wrong-pin")
        && cm_provider_target_is_vault(&test.target)) {
        cm_provider_target_done(&test.target);
        return cm_usage_fail("--try-wrong-pin: a key vault has no PIN");
    }
    if (cm_call_flag(call, "json"))
        test.rows = json_array();
    if (status == CM_OK)
        status = examine(&test, &err);
    int exit_code = cm_provider_target_conclude(&test.target, test.rows, test.failures_count,
                                                status == CM_OK ? NULL : err.text);
    cm_provider_target_done(&test.target);
    return exit_code;
}

static const char *const paragraphs[] = {
    "Tries what a provider can do and prints a table: which kinds of key it generates, which "
    "algorithms it signs with (each signature is verified), how fast it is with several sessions.",
    "Keys are made for the trial and destroyed again; with `--key` an existing key is found and "
    "tried, and none is made. `no` in a row means that the provider does not offer it, `?` that it was "
    "too slow to be measured.",
    "Keys in a key vault are deleted softly: the vault keeps them until they are purged or their "
    "retention time is over. Instead of sessions a vault has requests in flight.",
    "A wrong PIN is tried only with `--try-wrong-pin`, and only after the right one was taken: it uses "
    "up one of the token's tries until the right one follows, which it does at once.",
    NULL
};
static const struct cm_option options[] = {
    CM_PROVIDER_TARGET_OPTIONS,
    { .name = "key",
      .type = CM_OPTION_TEXT,
      .argument = "REFERENCE",
      .help = "Try this key and make none." },
    { .name = "try-wrong-pin",
      .type = CM_OPTION_FLAG,
      .help = "Also see that a wrong PIN is refused, and tried only once." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill provider test -c /srv/ca/certmill.yaml hsm", "The settings' provider `hsm`." },
    { "certmill provider test --kind pkcs11 --module /opt/hsm.so --pin env:PIN",
      "A token before there is a deployment." },
    { "certmill provider test --kind keyvault --vault https://NAME.vault.azure.net",
      "A key vault, by the machine's managed identity." },
};

const struct cm_command cm_command_provider_test = {
    .name = "provider test",
    .operands = "[NAME]",
    .operands_max = 1,
    .summary = "try what a provider can do",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "the provider could not be used, or something that it offers failed",
    .run = run,
};
