/*
 * The Key Vault provider while its vault misbehaves: what each fault of the emulator makes of a signature
 * and of an opening, and that all is well again behind it.
 */
#include "tests/unit/providers/keyvault_stage.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "providers/keyvault/vault.h"

/* A fault, and what comes of the request that meets it. */
struct fault_case {
    const char *fault; /* without "on" */
    cm_status expected;
    unsigned requests; /* 0: whatever it takes */
};

static void play(struct vault_stage *stage, const char *operation, const char *fault)
{
    char text[256];
    snprintf(text, sizeof text, "{\"on\":\"%s\",%s}", operation, fault);
    cm_keyvault_fault(&stage->vault, text);
}

static void check_signature(struct vault_stage *stage, struct cm_key *key,
                            const struct fault_case *fault)
{
    long long before = cm_keyvault_statistic(&stage->vault, "requests.sign");
    play(stage, "sign", fault->fault);
    cm_status status = vault_stage_sign_one(stage, key);
    long long after = cm_keyvault_statistic(&stage->vault, "requests.sign");
    CU_ASSERT_EQUAL(status, fault->expected);
    CU_ASSERT_TRUE(fault->requests == 0 || after - before == fault->requests);
    if (status != fault->expected || (fault->requests > 0 && after - before != fault->requests))
        printf("%s: %s, %lld requests\n", fault->fault, cm_status_name(status), after - before);
    cm_keyvault_clear_faults(&stage->vault);
    CU_ASSERT_TRUE(rig_signs(&stage->rig, key, 2));
}

/* For answers that come a minute late; all others have as long as the provider gives them. */
#define SHORT_TIMEOUT ", \"timeout-ms\": 3000"

static void check_signatures(const char *options, const struct fault_case *faults, size_t count)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, options);
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    for (size_t i = 0; i < count; i++)
        check_signature(&stage, key, &faults[i]);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

#define CHECK_SIGNATURES(options, ...)                                                             \
    do {                                                                                           \
        static const struct fault_case faults[] = { __VA_ARGS__ };                                 \
        check_signatures(options, faults, sizeof faults / sizeof faults[0]);                       \
    } while (0)

static void test_signature_survives_what_passes(void)
{
    CHECK_SIGNATURES("", { "\"kind\":\"status\",\"status\":401", CM_OK, 2 },
                     { "\"kind\":\"status\",\"status\":500,\"count\":2", CM_OK, 3 },
                     { "\"kind\":\"status\",\"status\":429", CM_OK, 2 },
                     { "\"kind\":\"status\",\"status\":429,\"retry_after\":\"1\"", CM_OK, 2 },
                     { "\"kind\":\"slow\",\"delay_ms\":50", CM_OK, 1 });
}

static void test_signature_is_unavailable_where_the_vault_refuses(void)
{
    CHECK_SIGNATURES("", { "\"kind\":\"status\",\"status\":401,\"count\":0", CM_UNAVAILABLE, 2 },
                     { "\"kind\":\"status\",\"status\":403,\"count\":0", CM_UNAVAILABLE, 1 },
                     { "\"kind\":\"status\",\"status\":404,\"count\":0", CM_UNAVAILABLE, 1 },
                     { "\"kind\":\"status\",\"status\":400,\"count\":0", CM_UNAVAILABLE, 1 },
                     { "\"kind\":\"status\",\"status\":409,\"count\":0", CM_UNAVAILABLE, 1 },
                     { "\"kind\":\"status\",\"status\":302,\"count\":0", CM_UNAVAILABLE, 1 },
                     { "\"kind\":\"status\",\"status\":503,\"count\":0", CM_UNAVAILABLE, 3 });
}

static void test_signature_whose_answer_is_lost_is_uncertain(void)
{
    CHECK_SIGNATURES(SHORT_TIMEOUT, { "\"kind\":\"slow\",\"delay_ms\":60000", CM_UNCERTAIN, 1 });
    CHECK_SIGNATURES("", { "\"kind\":\"truncate\"", CM_UNCERTAIN, 1 },
                     { "\"kind\":\"close-after-headers\"", CM_UNCERTAIN, 1 },
                     { "\"kind\":\"close-before\",\"count\":0", CM_UNCERTAIN, 0 },
                     { "\"kind\":\"huge\",\"size\":1000000", CM_UNCERTAIN, 1 },
                     { "\"kind\":\"bad-json\"", CM_UNCERTAIN, 1 },
                     { "\"kind\":\"empty\"", CM_UNCERTAIN, 1 });
}

static void test_signature_that_is_wrong_is_corrupt(void)
{
    CHECK_SIGNATURES("", { "\"kind\":\"wrong-kid\"", CM_CORRUPT, 1 },
                     { "\"kind\":\"wrong-version\"", CM_CORRUPT, 1 },
                     { "\"kind\":\"bad-signature\"", CM_CORRUPT, 1 });
}

/* A page of a proxy, say: it heals, so no request may fail for it, however long it lasts. */
static void test_vault_that_answers_gibberish_is_away(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 40);
    play(&stage, "sign", "\"kind\":\"bad-json\",\"count\":0");
    play(&stage, "list", "\"kind\":\"bad-json\",\"count\":0"); /* whether it is back */
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN) + rig_count_status(batch, CM_UNAVAILABLE),
                    40);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).circuits_open, 1);
    /* It is asked whether it is back, and that answer is a page, too. */
    long long before = cm_keyvault_statistic(&stage.vault, "requests.list");
    for (unsigned i = 0; i < 1200 && cm_keyvault_statistic(&stage.vault, "requests.list") == before;
         i++)
        rig_run_for(&stage.rig, 50);
    CU_ASSERT_TRUE(cm_keyvault_statistic(&stage.vault, "requests.list") > before);
    rig_run_for(&stage.rig, 50);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).circuits_open, 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_signature_waits_for_throttling_no_longer_than_its_deadline(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 3);
    play(&stage, "sign", "\"kind\":\"status\",\"status\":429,\"count\":0,\"retry_after\":\"30\"");
    /* Its answer has come by then. */
    batch->batch.deadline_ns = cm_clock_monotonic_ns() + 2000 * CM_NS_PER_MS;
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_THROTTLED), 3);
    CU_ASSERT_TRUE(cm_provider_pace(stage.rig.provider).throttled_count > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "answers 429"));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* Four seconds: without the header it would be little more than one. */
static void test_signature_comes_again_no_sooner_than_the_vault_says(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    long long before = cm_keyvault_statistic(&stage.vault, "requests.sign");
    play(&stage, "sign", "\"kind\":\"status\",\"status\":429,\"retry_after\":\"4\"");
    uint64_t from_ns = cm_clock_monotonic_ns();
    CU_ASSERT_EQUAL(vault_stage_sign_one(&stage, key), CM_OK);
    CU_ASSERT_TRUE(cm_clock_monotonic_ns() - from_ns >= 4000 * CM_NS_PER_MS);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "requests.sign") - before, 2);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ telling -- */

static void play_in_turn(struct vault_stage *stage, struct cm_key *key, const char *const *faults,
                         unsigned faults_count)
{
    for (unsigned i = 0; i < 3 * faults_count; i++) {
        play(stage, "sign", faults[i % faults_count]);
        CU_ASSERT_NOT_EQUAL(vault_stage_sign_one(stage, key), CM_OK);
    }
}

static void test_troubles_that_take_turns_are_told_once_each(void)
{
    static const char *const faults[] = { "\"kind\":\"status\",\"status\":403",
                                          "\"kind\":\"status\",\"status\":404",
                                          "\"kind\":\"bad-signature\"" };
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    play_in_turn(&stage, key, faults, 3);
    CU_ASSERT_EQUAL(stage.notices_count, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "does not verify"));
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ opening -- */

static void check_opening(struct vault_stage *stage, const char *operation,
                          const struct fault_case *fault)
{
    play(stage, operation, fault->fault);
    cm_status status = vault_stage_try(stage, rig_vault_reference(&stage->vault, "ca"), "");
    CU_ASSERT_EQUAL(status, fault->expected);
    if (status != fault->expected)
        printf("%s %s: %s\n", operation, fault->fault, cm_status_name(status));
    cm_keyvault_clear_faults(&stage->vault);
}

static void check_openings(const char *options, const char *operation,
                           const struct fault_case *faults, size_t count)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, options);
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    CU_ASSERT_TRUE(vault_stage_works(&stage, "ca"));
    for (size_t i = 0; i < count; i++)
        check_opening(&stage, operation, &faults[i]);
    CU_ASSERT_TRUE(vault_stage_works(&stage, "ca"));
    vault_stage_close(&stage);
}

static void test_opening_repeats_what_came_too_late(void)
{
    static const struct fault_case slow = { "\"kind\":\"slow\",\"delay_ms\":60000", CM_OK, 0 };
    check_openings(SHORT_TIMEOUT, "get", &slow, 1);
    check_openings(SHORT_TIMEOUT, "sign", &slow, 1);
}

static void test_opening_repeats_what_was_lost_and_says_what_was_refused(void)
{
    static const struct fault_case faults[] = {
        { "\"kind\":\"status\",\"status\":401", CM_OK, 0 },
        { "\"kind\":\"status\",\"status\":500,\"count\":2", CM_OK, 0 },
        { "\"kind\":\"truncate\"", CM_OK, 0 },
        { "\"kind\":\"close-after-headers\"", CM_OK, 0 },
        { "\"kind\":\"close-before\",\"count\":2", CM_OK, 0 },
        { "\"kind\":\"huge\",\"size\":1000000", CM_OK, 0 },
        { "\"kind\":\"status\",\"status\":401,\"count\":0", CM_DENIED, 0 },
        { "\"kind\":\"status\",\"status\":403,\"count\":0", CM_DENIED, 0 },
        { "\"kind\":\"status\",\"status\":404,\"count\":0", CM_NO_KEY, 0 },
        { "\"kind\":\"status\",\"status\":409,\"count\":0", CM_UNAVAILABLE, 0 },
        { "\"kind\":\"status\",\"status\":503,\"count\":3", CM_UNAVAILABLE, 0 },
        { "\"kind\":\"bad-json\"", CM_CORRUPT, 0 },
        { "\"kind\":\"empty\"", CM_CORRUPT, 0 },
        { "\"kind\":\"wrong-kid\"", CM_CORRUPT, 0 },
    };
    check_openings("", "get", faults, sizeof faults / sizeof faults[0]);
}

static void test_opening_proves_the_key(void)
{
    static const struct fault_case faults[] = {
        { "\"kind\":\"status\",\"status\":403", CM_DENIED, 0 },
        { "\"kind\":\"bad-signature\"", CM_CORRUPT, 0 },
        { "\"kind\":\"wrong-kid\"", CM_CORRUPT, 0 },
        { "\"kind\":\"wrong-version\"", CM_CORRUPT, 0 },
    };
    check_openings("", "sign", faults, sizeof faults / sizeof faults[0]);
}

/* The latest version is refused, and so others are looked for. */
static void test_opening_tells_an_outage_from_a_refusal(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    play(&stage, "get", "\"kind\":\"status\",\"status\":403,\"count\":0");
    play(&stage, "versions", "\"kind\":\"status\",\"status\":503,\"count\":3");
    CU_ASSERT_EQUAL(vault_stage_try(&stage, rig_vault_reference(&stage.vault, "ca"), "503"),
                    CM_UNAVAILABLE);
    play(&stage, "versions", "\"kind\":\"bad-json\"");
    CU_ASSERT_EQUAL(vault_stage_try(&stage, rig_vault_reference(&stage.vault, "ca"), "JSON"),
                    CM_CORRUPT);
    play(&stage, "versions", "\"kind\":\"status\",\"status\":404");
    CU_ASSERT_EQUAL(vault_stage_try(&stage, rig_vault_reference(&stage.vault, "ca"), "403"),
                    CM_DENIED);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ one call -- */

/* A call to the stage's vault past the provider, whose deadlines are longer than a test may take. */
struct lone_call {
    struct rig *rig;
    struct cm_vault_options options;
    struct cm_vault_env env;
    struct cm_vault *vault;
    struct cm_vault_call call;
    char url[256];
    unsigned dones;
    cm_status status;
    char text[CM_ERROR_TEXT_SIZE];
};

static void on_call_done(struct cm_vault_call *call, cm_status status, const json_t *answer,
                         const struct cm_error *err)
{
    struct lone_call *lone = call->arg;
    (void)answer;
    lone->status = status;
    snprintf(lone->text, sizeof lone->text, "%s", err->text);
    lone->dones++;
    cm_loop_stop(lone->rig->loop);
}

static void ignore_notice(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

static void lone_call_init(struct lone_call *lone, struct vault_stage *stage)
{
    const struct cm_provider_settings settings = { .folder = cm_test_scratch(),
                                                   .options = rig_vault_options(&stage->vault, ""),
                                                   .passphrase_ref = rig_vault_secret(
                                                       CM_KEYVAULT_CLIENT_SECRET) };
    struct cm_vault_uri uri;
    struct cm_http *http = NULL;
    *lone = (struct lone_call){ .rig = &stage->rig };
    CU_ASSERT_EQUAL_FATAL(cm_vault_options_read(&settings, &lone->options, NULL), CM_OK);
    CU_ASSERT_EQUAL_FATAL(
        cm_http_new(stage->rig.loop, lone->options.trust, lone->options.in_flight_max, &http, NULL),
        CM_OK);
    lone->env = (struct cm_vault_env){
        .loop = stage->rig.loop, .http = http, .options = &lone->options, .notice = ignore_notice
    };
    CU_ASSERT_EQUAL_FATAL(cm_vault_uri_read(rig_vault_reference(&stage->vault, "ca"), &uri, NULL),
                          CM_OK);
    lone->vault = cm_vault_new(&lone->env, &uri);
    cm_vault_write_url(lone->vault, "/keys/ca", "", lone->url, sizeof lone->url);
}

static void lone_call_done(struct lone_call *lone)
{
    cm_vault_free(lone->vault);
    cm_http_free(lone->env.http);
    cm_vault_options_done(&lone->options);
}

static cm_status read_key(struct lone_call *lone, uint32_t deadline_ms)
{
    lone->dones = 0;
    lone->call = (struct cm_vault_call){
        .method = "GET",
        .url = lone->url,
        .cost_us = CM_PACE_COST_OTHER_US,
        .deadline_ns = cm_clock_monotonic_ns() + deadline_ms * CM_NS_PER_MS,
        .done = on_call_done,
        .arg = lone,
    };
    cm_vault_submit(lone->vault, &lone->call);
    rig_wait(lone->rig, &lone->dones, 1);
    return lone->status;
}

/* Only signatures know other words for it. */
static void test_deadline_of_what_is_no_signature_passes_as_unavailable(void)
{
    struct vault_stage stage;
    struct lone_call lone;
    vault_stage_open(&stage, NULL, "");
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    lone_call_init(&lone, &stage);
    CU_ASSERT_EQUAL(read_key(&lone, 30000), CM_OK);
    CU_ASSERT_EQUAL(read_key(&lone, 0), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(lone.text, "did not get to it in time"));
    play(&stage, "get", "\"kind\":\"status\",\"status\":429,\"count\":0,\"retry_after\":\"30\"");
    CU_ASSERT_EQUAL(read_key(&lone, 200), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(lone.text, "429"));
    lone_call_done(&lone);
    vault_stage_close(&stage);
}

CM_TEST_SUITE(keyvault_vault, CM_TEST(test_signature_survives_what_passes),
              CM_TEST(test_signature_is_unavailable_where_the_vault_refuses),
              CM_TEST(test_signature_whose_answer_is_lost_is_uncertain),
              CM_TEST(test_signature_that_is_wrong_is_corrupt),
              CM_TEST(test_vault_that_answers_gibberish_is_away),
              CM_TEST(test_signature_waits_for_throttling_no_longer_than_its_deadline),
              CM_TEST(test_signature_comes_again_no_sooner_than_the_vault_says),
              CM_TEST(test_troubles_that_take_turns_are_told_once_each),
              CM_TEST(test_opening_repeats_what_came_too_late),
              CM_TEST(test_opening_repeats_what_was_lost_and_says_what_was_refused),
              CM_TEST(test_opening_tells_an_outage_from_a_refusal),
              CM_TEST(test_deadline_of_what_is_no_signature_passes_as_unavailable),
              CM_TEST(test_opening_proves_the_key));
