/*
 * The traffic between the Key Vault provider and its vault: connections, what is in flight, and a
 * vault that goes away and comes back.
 */
#include "tests/unit/providers/keyvault_stage.h"

#include <signal.h>
#include <stdio.h>

#include "engine/base/clock.h"

/* ------------------------------------------------------------------ connections -- */

static void test_many_requests_share_few_connections(void)
{
    static const char *const emulator[] = { "--latency-ms", "5", NULL };
    struct vault_stage stage;
    vault_stage_open(&stage, emulator, ", \"in-flight\": 8");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    /* However slow we are, the first ones wait side by side. */
    cm_keyvault_fault(&stage.vault,
                      "{\"on\":\"sign\",\"kind\":\"slow\",\"delay_ms\":6000,\"count\":8}");
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 300));
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 100));
    CU_ASSERT_TRUE(cm_keyvault_statistic(&stage.vault, "connections") <= 10);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "signs_in_flight_max"), 8);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).in_flight, 0);
    CU_ASSERT_TRUE(cm_provider_pace(stage.rig.provider).succeeded_count >= 400);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_rate_of_the_settings_is_kept(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"rate\": 100");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 200);
    long long before = cm_keyvault_statistic(&stage.vault, "requests.sign");
    uint64_t from_ns = cm_clock_monotonic_ns();
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_run_for(&stage.rig, 500);
    long long count = cm_keyvault_statistic(&stage.vault, "requests.sign") - before;
    uint64_t spent_ms = (cm_clock_monotonic_ns() - from_ns) / CM_NS_PER_MS;
    /* One in 10 ms, and what was saved up in 50 ms. */
    CU_ASSERT_TRUE(count > 0 && (uint64_t)count <= spent_ms / 10 + 6);
    cm_provider_cancel(stage.rig.provider, &batch->batch);
    rig_wait(&stage.rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK) + rig_count_status(batch, CM_CANCELLED), 200);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void wait_in_flight(struct vault_stage *stage, long long count)
{
    for (unsigned i = 0;
         cm_keyvault_statistic(&stage->vault, "signs_in_flight") < count && i < 2000; i++)
        rig_run_for(&stage->rig, 5);
    CU_ASSERT_EQUAL_FATAL(cm_keyvault_statistic(&stage->vault, "signs_in_flight"), count);
}

static void test_signature_that_was_cancelled_while_it_was_out_does_not_go_again(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 1);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"sign\",\"kind\":\"status\",\"status\":503,"
                                    "\"delay_ms\":3000}");
    long long before = cm_keyvault_statistic(&stage.vault, "requests.sign");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    wait_in_flight(&stage, 1);
    cm_provider_cancel(stage.rig.provider, &batch->batch);
    rig_wait(&stage.rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_CANCELLED);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "requests.sign") - before, 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_signatures_that_are_cancelled_while_they_are_throttled_wait_no_longer(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 2);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"sign\",\"kind\":\"status\",\"status\":429,"
                                    "\"delay_ms\":2000,\"count\":0,\"retry_after\":\"1\"}");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    wait_in_flight(&stage, 2);
    cm_provider_cancel(stage.rig.provider, &batch->batch);
    rig_wait(&stage.rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_CANCELLED), 2);
    cm_keyvault_clear_faults(&stage.vault);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static struct cm_key *open_at(struct vault_stage *stage, struct cm_keyvault *vault)
{
    cm_keyvault_create_key(vault, "ca", EC_256, NULL);
    return vault_stage_open_key(stage, rig_vault_reference(vault, "ca"));
}

static void test_vault_that_is_slow_keeps_no_other_waiting(void)
{
    struct vault_stage stage;
    struct cm_keyvault other;
    char trust[340];
    vault_stage_start(&stage, NULL);
    CU_ASSERT_TRUE_FATAL(cm_keyvault_start(&other, (const char *const[]){ "--any-token", NULL }));
    snprintf(trust, sizeof trust, "%.300s/both.pem", cm_test_scratch());
    vault_stage_append_trust(stage.vault.certificate, trust);
    vault_stage_append_trust(other.certificate, trust);
    snprintf(stage.vault.certificate, sizeof stage.vault.certificate, "%s", trust);
    vault_stage_open_with(&stage, rig_vault_options(&stage.vault, ", \"in-flight\": 1"),
                          rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET));
    struct cm_key *slow = open_at(&stage, &stage.vault), *quick = open_at(&stage, &other);
    struct rig_batch *batch = rig_batch_new(&stage.rig, slow, 1);
    rig_run_for(&stage.rig, 100);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"sign\",\"kind\":\"slow\",\"delay_ms\":9000}");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_run_for(&stage.rig, 50);
    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_TRUE(rig_signs(&stage.rig, quick, 2));
    CU_ASSERT_EQUAL(batch->dones, 0);
    cm_keyvault_stop(&stage.vault);
    rig_wait(&stage.rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_UNCERTAIN);
    rig_batch_free(batch);
    cm_provider_close_key(slow);
    cm_provider_close_key(quick);
    vault_stage_close(&stage);
    cm_keyvault_stop(&other);
}

/* ------------------------------------------------------------------ away -- */

struct late_start {
    struct vault_stage *stage;
    char port[16];
    char trust[400];
    struct cm_timer timer;
};

static void start_late(void *arg)
{
    struct late_start *late = arg;
    const char *const emulator[] = { "--port", late->port, NULL };
    CU_ASSERT_TRUE_FATAL(cm_keyvault_start(&late->stage->vault, emulator));
    vault_stage_append_trust(late->stage->vault.certificate, late->trust);
    cm_keyvault_create_key(&late->stage->vault, "ca", EC_256, NULL);
}

static void test_vault_that_comes_up_after_us_is_found(void)
{
    struct vault_stage stage;
    struct late_start late = { .stage = &stage };
    vault_stage_start(&stage, NULL);
    snprintf(late.port, sizeof late.port, "%d", stage.vault.port);
    snprintf(late.trust, sizeof late.trust, "%s/late.pem", cm_test_scratch());
    cm_keyvault_stop(&stage.vault);
    snprintf(stage.vault.certificate, sizeof stage.vault.certificate, "%.330s", late.trust);
    vault_stage_open_with(&stage, rig_vault_options(&stage.vault, ""),
                          rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET));
    cm_timer_start(&late.timer, stage.rig.loop, 300, start_late, &late);
    CU_ASSERT_TRUE(vault_stage_works(&stage, "ca"));
    /* It was asked, and not all the time. */
    CU_ASSERT_TRUE(cm_provider_pace(stage.rig.provider).failed_count >= 1);
    CU_ASSERT_TRUE(cm_provider_pace(stage.rig.provider).failed_count <= 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "cannot be reached"));
    cm_timer_done(&late.timer);
    vault_stage_close(&stage);
}

static void test_vault_that_dies_leaves_nothing_waiting(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"in-flight\": 10");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 40);
    cm_keyvault_fault(&stage.vault,
                      "{\"on\":\"sign\",\"kind\":\"slow\",\"delay_ms\":60000,\"count\":0}");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    wait_in_flight(&stage, 10);
    cm_keyvault_stop(&stage.vault);
    rig_wait(&stage.rig, &batch->dones, 1);
    /* What was out may have been signed; what waited was not. */
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN), 10);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNAVAILABLE), 30);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).circuits_open, 1);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "is away"));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* Before the circuit opens, too: what did not get its turn is not to blame for it. */
static void test_deadline_passes_as_unavailable_where_the_vault_does_not_answer(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"in-flight\": 1, \"timeout-ms\": 2000");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 7);
    kill(stage.vault.pid, SIGSTOP);
    batch->batch.deadline_ns = cm_clock_monotonic_ns() + 5000 * CM_NS_PER_MS;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_count_status(batch, CM_UNAVAILABLE) > 0);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_EXPIRED), 0);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).circuits_open, 0);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    kill(stage.vault.pid, SIGCONT);
    vault_stage_close(&stage);
}

/* Probes go after 1, 2, 4 s. */
static bool comes_back(struct vault_stage *stage)
{
    for (unsigned i = 0; i < 600; i++) {
        if (cm_provider_pace(stage->rig.provider).circuits_open == 0)
            return true;
        rig_run_for(&stage->rig, 50);
    }
    return false;
}

/* It listens, and says nothing: connections are taken by its kernel. */
static void test_vault_that_hangs_is_left_alone_until_a_probe_is_answered(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"in-flight\": 10, \"timeout-ms\": 3000");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 40);
    kill(stage.vault.pid, SIGSTOP);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_count_status(batch, CM_UNAVAILABLE) >= 30);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 0);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).circuits_open, 1);
    /* A probe gets no answer, and is not the last. */
    uint64_t failed = cm_provider_pace(stage.rig.provider).failed_count;
    for (unsigned i = 0; i < 200 && cm_provider_pace(stage.rig.provider).failed_count == failed;
         i++)
        rig_run_for(&stage.rig, 50);
    CU_ASSERT_TRUE(cm_provider_pace(stage.rig.provider).failed_count > failed);
    kill(stage.vault.pid, SIGCONT);
    CU_ASSERT_TRUE(comes_back(&stage));
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "is back"));
    CU_ASSERT_EQUAL(vault_stage_sign_one(&stage, key), CM_OK);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).in_flight, 0);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* The others' failures have opened the circuit before its 401 comes: it would wait for the vault. */
static void test_signature_that_needs_another_token_ends_where_the_vault_is_away(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"in-flight\": 9");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 9);
    cm_keyvault_fault(&stage.vault,
                      "[{\"on\":\"sign\",\"kind\":\"status\",\"status\":401,\"delay_ms\":500},"
                      "{\"on\":\"sign\",\"kind\":\"close-before\",\"count\":0},"
                      "{\"on\":\"list\",\"kind\":\"close-before\",\"count\":0}]");
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNAVAILABLE), 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN), 8);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).circuits_open, 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* For the leak checkers: at the end a probe is out, and the looks of two keys. */
static void test_instance_closes_while_requests_are_out(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"watch-ms\": 100, \"timeout-ms\": 5000");
    struct cm_key *a = vault_stage_key(&stage, "a", EC_256);
    struct cm_key *b = vault_stage_key(&stage, "b", EC_256);
    rig_run_for(&stage.rig, 20);
    kill(stage.vault.pid, SIGSTOP);
    rig_run_for(&stage.rig, 250);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).in_flight, 2);
    cm_provider_close_key(a);
    cm_provider_close_key(b);
    rig_close(&stage.rig);
    kill(stage.vault.pid, SIGCONT);
    cm_keyvault_stop(&stage.vault);
}

CM_TEST_SUITE(keyvault_flow, CM_TEST(test_many_requests_share_few_connections),
              CM_TEST(test_rate_of_the_settings_is_kept),
              CM_TEST(test_signature_that_was_cancelled_while_it_was_out_does_not_go_again),
              CM_TEST(test_signatures_that_are_cancelled_while_they_are_throttled_wait_no_longer),
              CM_TEST(test_vault_that_is_slow_keeps_no_other_waiting),
              CM_TEST(test_vault_that_comes_up_after_us_is_found),
              CM_TEST(test_vault_that_dies_leaves_nothing_waiting),
              CM_TEST(test_vault_that_hangs_is_left_alone_until_a_probe_is_answered),
              CM_TEST(test_deadline_passes_as_unavailable_where_the_vault_does_not_answer),
              CM_TEST(test_signature_that_needs_another_token_ends_where_the_vault_is_away),
              CM_TEST(test_instance_closes_while_requests_are_out));
