/* What every provider does with batches, whatever is behind it: signing, room, time, draining. */
#include "tests/conformance/provider_backends.h"

#include <stdio.h>

#include "engine/base/clock.h"

/* ------------------------------------------------------------------ signing -- */

static void check_algorithm(struct rig *rig, const char *name, enum cm_sigalg alg)
{
    if (!is_supported(name, alg))
        return;
    struct cm_key *key = rig_key(rig, name, alg);
    struct rig_batch *batch = rig_batch_new(rig, key, 5);
    CU_ASSERT_TRUE(key->provider == rig->provider);
    CU_ASSERT_TRUE(alg == CM_SIGALG_UNKNOWN || key->alg == alg);
    CU_ASSERT_TRUE(cm_sigalg_fits(key->alg, key->type));
    CU_ASSERT_TRUE(key->signature_size_max <= CM_SIGNATURE_SIZE_MAX);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    /* So that the test can fail: another message does not verify. */
    batch->items[0].message = cm_bytes_str("another");
    CU_ASSERT_FALSE(rig_verifies(key, &batch->items[0]));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void check_algorithms(struct rig *rig)
{
    static const char *const curves[] = { "p256", "p384", "p521" };
    static const char *const moduli[] = { "rsa2048", "rsa3072", "rsa4096" };
    for (unsigned i = 0; i < 3; i++) {
        check_algorithm(rig, curves[i], CM_SIGALG_UNKNOWN);
        check_algorithm(rig, moduli[i], CM_SIGALG_UNKNOWN);
        for (unsigned alg = CM_SIGALG_ECDSA_SHA256; alg <= CM_SIGALG_ECDSA_SHA512; alg++)
            check_algorithm(rig, curves[i], (enum cm_sigalg)alg);
        for (unsigned alg = CM_SIGALG_RSA_SHA256; alg <= CM_SIGALG_RSA_PSS_SHA512; alg++)
            check_algorithm(rig, moduli[i], (enum cm_sigalg)alg);
    }
    check_algorithm(rig, "ed25519", CM_SIGALG_UNKNOWN);
    check_algorithm(rig, "ed25519", CM_SIGALG_ED25519);
}

static void test_provider_signs_verifiably_with_every_algorithm(void)
{
    on_backend(check_algorithms);
}

static void check_once(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, 50);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    CU_ASSERT_EQUAL(batch->dones, 0);
    rig_wait(rig, &batch->dones, 1);
    rig_run_for(rig, 20);
    CU_ASSERT_EQUAL(batch->dones, 1);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_calls_done_once_on_the_loop_and_never_inside_sign(void)
{
    on_backend(check_once);
}

static void expect_invalid(struct rig *rig, struct rig_batch *batch)
{
    CU_ASSERT_EQUAL(rig_submit(batch), CM_INVALID);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(batch->dones, 0);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_STATUS_COUNT);
}

static void check_all_or_nothing(struct rig *rig)
{
    uint32_t items_max = cm_provider_caps(rig->provider).batch_items_max;
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, items_max + 1);
    expect_invalid(rig, batch);
    batch->batch.items_count = 0;
    expect_invalid(rig, batch);
    batch->batch.items_count = items_max;
    batch->items[items_max - 1].signature_space--;
    expect_invalid(rig, batch);
    batch->items[items_max - 1].signature_space++;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_takes_all_of_a_batch_or_nothing(void)
{
    on_backend(check_all_or_nothing);
}

static void check_sizes(struct rig *rig)
{
    static uint8_t large[100000];
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, 3);
    batch->items[0].message = cm_bytes(large, 0);
    batch->items[1].message = cm_bytes(large, sizeof large);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    batch->batch.items_count = 1;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    batch->batch.items_count = 3;
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_signs_one_item_and_messages_of_any_size(void)
{
    on_backend(check_sizes);
}

/* ------------------------------------------------------------------ room, time, wishes -- */

static void check_busy(struct rig *rig)
{
    struct rig_batch *batches[64];
    uint32_t limit = cm_provider_caps(rig->provider).batches_in_flight;
    struct cm_key *key = rig_key(rig, "rsa2048", CM_SIGALG_UNKNOWN);
    CU_ASSERT_TRUE_FATAL(limit < 64);
    for (uint32_t i = 0; i <= limit; i++)
        batches[i] = rig_batch_new(rig, key, 4);
    for (uint32_t i = 0; i < limit; i++)
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(batches[limit]), CM_BUSY);
    CU_ASSERT_EQUAL(rig_submit(batches[limit]), CM_BUSY);
    rig_wait(rig, &rig->dones, 1);
    CU_ASSERT_EQUAL(rig_submit(batches[limit]), CM_OK);
    rig_wait(rig, &rig->dones, limit + 1);
    for (uint32_t i = 0; i <= limit; i++) {
        CU_ASSERT_EQUAL(batches[i]->dones, 1);
        CU_ASSERT_TRUE(rig_all_verify(batches[i]));
        rig_batch_free(batches[i]);
    }
    cm_provider_close_key(key);
}

static void test_provider_is_busy_at_its_limit_and_has_room_after_a_done(void)
{
    on_backend(check_busy);
}

static void check_deadline(struct rig *rig)
{
    uint32_t count = cm_provider_caps(rig->provider).batch_items_max;
    struct cm_key *key = rig_key(rig, "rsa4096", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, count);
    batch->batch.deadline_ns = 1;
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_EXPIRED), count);
    batch->batch.deadline_ns = cm_clock_monotonic_ns() + 30 * CM_NS_PER_MS;
    rig_sign(batch);
    uint32_t expired = rig_count_status(batch, CM_EXPIRED);
    CU_ASSERT_TRUE(expired > 0);
    CU_ASSERT_EQUAL(expired + rig_count_status(batch, CM_OK), count);
    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT_TRUE((batch->items[i].status == CM_OK) == rig_verifies(key, &batch->items[i]));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_expires_items_that_were_not_begun_by_the_deadline(void)
{
    on_backend(check_deadline);
}

/* after_ms 0: nothing of a full batch can have ended; later, more or less of it has. */
static void check_cancel_after(struct rig *rig, struct cm_key *key, uint32_t after_ms)
{
    uint32_t count = cm_provider_caps(rig->provider).batch_items_max;
    struct rig_batch *batch = rig_batch_new(rig, key, count);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    if (after_ms > 0)
        rig_run_for(rig, after_ms);
    cm_provider_cancel(rig->provider, &batch->batch);
    cm_provider_cancel(rig->provider, &batch->batch);
    rig_wait(rig, &batch->dones, 1);
    uint32_t cancelled = rig_count_status(batch, CM_CANCELLED);
    CU_ASSERT_TRUE(after_ms > 0 || cancelled > 0);
    CU_ASSERT_EQUAL(cancelled + rig_count_status(batch, CM_OK), count);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(batch->dones, 1);
    /* The same memory again, and nothing of the wish is left. */
    batch->batch.items_count = 3;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
}

static void check_cancel(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "rsa4096", CM_SIGALG_UNKNOWN);
    check_cancel_after(rig, key, 0);
    check_cancel_after(rig, key, 20);
    cm_provider_close_key(key);
}

static void test_provider_cancels_what_is_not_begun_and_still_calls_done_once(void)
{
    on_backend(check_cancel);
}

/* ------------------------------------------------------------------ draining -- */

static void check_drain(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "rsa2048", CM_SIGALG_UNKNOWN);
    struct rig_batch *first = rig_batch_new(rig, key, 30);
    struct rig_batch *second = rig_batch_new(rig, key, 30);
    struct rig_batch *late = rig_batch_new(rig, key, 1);
    CU_ASSERT_EQUAL(rig_submit(first), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(second), CM_OK);
    rig_drain(rig);
    CU_ASSERT_EQUAL(rig_submit(late), CM_CLOSING);
    expect_refusal(rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_CLOSING, "closing");
    rig_wait(rig, &rig->draineds, 1);
    CU_ASSERT_TRUE(rig_all_verify(first));
    CU_ASSERT_TRUE(rig_all_verify(second));
    CU_ASSERT_EQUAL(late->dones, 0);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(rig->draineds, 1);
    rig_batch_free(first);
    rig_batch_free(second);
    rig_batch_free(late);
    cm_provider_close_key(key);
}

static void test_provider_drains_after_the_last_done_and_takes_nothing_new(void)
{
    on_backend(check_drain);
}

struct late_opening {
    struct rig *rig;
    struct cm_key *key;
    unsigned draineds_before;
};

static void on_opened_while_draining(cm_status status, struct cm_key *key,
                                     const struct cm_error *err, void *arg)
{
    struct late_opening *late = arg;
    (void)err;
    CU_ASSERT_EQUAL(status, CM_OK);
    late->key = key;
    late->draineds_before = late->rig->draineds;
}

static void check_drain_of_openings(struct rig *rig)
{
    struct late_opening late = { .rig = rig, .draineds_before = 9 };
    cm_provider_open_key(rig->provider, rig_key_reference("p256"), CM_SIGALG_UNKNOWN,
                         on_opened_while_draining, &late);
    rig_drain(rig);
    rig_wait(rig, &rig->draineds, 1);
    CU_ASSERT_EQUAL(late.draineds_before, 0);
    CU_ASSERT_PTR_NOT_NULL(late.key);
    cm_provider_close_key(late.key);
}

static void test_provider_drains_after_keys_that_are_being_opened(void)
{
    on_backend(check_drain_of_openings);
}

static void check_idle_drain(struct rig *rig)
{
    rig_drain(rig);
    CU_ASSERT_EQUAL(rig->draineds, 0);
    rig_wait(rig, &rig->draineds, 1);
}

static void test_provider_that_is_idle_drains_on_a_later_turn(void)
{
    on_backend(check_idle_drain);
}

/* Submits its batch again from inside done, then asks for the drain from there. */
struct relay {
    struct rig *rig;
    struct cm_sign_batch batch;
    unsigned rounds;
    unsigned drained_inside;
};

static void on_relay_done(struct cm_sign_batch *batch, void *arg)
{
    struct relay *relay = arg;
    if (++relay->rounds < 50) {
        CU_ASSERT_EQUAL(cm_provider_sign(relay->rig->provider, batch, NULL), CM_OK);
        return;
    }
    rig_drain(relay->rig);
    relay->drained_inside = relay->rig->draineds;
}

static void check_relay(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, 9);
    struct relay relay = { .rig = rig, .batch = batch->batch };
    relay.batch.done = on_relay_done;
    relay.batch.done_arg = &relay;
    CU_ASSERT_EQUAL(cm_provider_sign(rig->provider, &relay.batch, NULL), CM_OK);
    rig_wait(rig, &rig->draineds, 1);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(relay.rounds, 50);
    CU_ASSERT_EQUAL(relay.drained_inside, 0);
    CU_ASSERT_EQUAL(rig->draineds, 1);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_takes_batches_and_the_wish_to_drain_from_inside_done(void)
{
    on_backend(check_relay);
}

/* ------------------------------------------------------------------ stress -- */

enum { STRESS_KEYS = 3, STRESS_BATCHES = 100 };

static void check_stress(struct rig *rig)
{
    const char *names[STRESS_KEYS] = { "p256", is_in_vault() ? "p384" : "ed25519", "rsa2048" };
    struct cm_key *keys[STRESS_KEYS];
    struct rig_batch *batches[STRESS_BATCHES];
    unsigned submitted = 0;
    for (unsigned i = 0; i < STRESS_KEYS; i++)
        keys[i] = rig_key(rig, names[i], CM_SIGALG_UNKNOWN);
    for (unsigned i = 0; i < STRESS_BATCHES; i++)
        batches[i] = rig_batch_new(rig, keys[i % STRESS_KEYS], 1 + i * 7 % 60);
    while (submitted < STRESS_BATCHES) {
        cm_status status = rig_submit(batches[submitted]);
        if (status == CM_BUSY)
            rig_wait(rig, &rig->dones, rig->dones + 1);
        else
            CU_ASSERT_EQUAL_FATAL(status, CM_OK);
        submitted += status == CM_OK;
    }
    rig_wait(rig, &rig->dones, STRESS_BATCHES);
    CU_ASSERT_EQUAL(rig->dones, STRESS_BATCHES);
    for (unsigned i = 0; i < STRESS_BATCHES; i++) {
        CU_ASSERT_EQUAL(batches[i]->dones, 1);
        CU_ASSERT_TRUE(rig_all_verify(batches[i]));
        rig_batch_free(batches[i]);
    }
    for (unsigned i = 0; i < STRESS_KEYS; i++)
        cm_provider_close_key(keys[i]);
}

static void test_provider_signs_a_hundred_batches_of_three_keys(void)
{
    on_backend(check_stress);
}

CM_TEST_SUITE_WITH(provider, choose_backend, NULL,
                   CM_TEST(test_provider_signs_verifiably_with_every_algorithm),
                   CM_TEST(test_provider_calls_done_once_on_the_loop_and_never_inside_sign),
                   CM_TEST(test_provider_takes_all_of_a_batch_or_nothing),
                   CM_TEST(test_provider_signs_one_item_and_messages_of_any_size),
                   CM_TEST(test_provider_is_busy_at_its_limit_and_has_room_after_a_done),
                   CM_TEST(test_provider_expires_items_that_were_not_begun_by_the_deadline),
                   CM_TEST(test_provider_cancels_what_is_not_begun_and_still_calls_done_once),
                   CM_TEST(test_provider_drains_after_the_last_done_and_takes_nothing_new),
                   CM_TEST(test_provider_drains_after_keys_that_are_being_opened),
                   CM_TEST(test_provider_that_is_idle_drains_on_a_later_turn),
                   CM_TEST(test_provider_takes_batches_and_the_wish_to_drain_from_inside_done),
                   CM_TEST(test_provider_signs_a_hundred_batches_of_three_keys));
