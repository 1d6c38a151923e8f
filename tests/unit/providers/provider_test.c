/* The front alone, before a backend that answers at once and would take anything. */
#include "providers/backends.h"
#include "tests/conformance/provider_rig.h"

#include <stdlib.h>

enum { ITEMS_MAX = 4, IN_FLIGHT = 2 };

static struct cm_sign_batch *held[IN_FLIGHT + 1];
static unsigned held_count, cancels;
static bool hold, refuse;

static cm_status open_instant(struct cm_loop *loop, const struct cm_provider_settings *settings,
                              struct cm_provider **ret_provider, struct cm_error *err)
{
    (void)loop;
    (void)settings;
    if (refuse)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "refused");
    struct cm_provider *provider = calloc(1, sizeof *provider);
    provider->caps =
        (struct cm_provider_caps){ .batch_items_max = ITEMS_MAX, .batches_in_flight = IN_FLIGHT };
    *ret_provider = provider;
    return CM_OK;
}

static void close_instant(struct cm_provider *provider)
{
    free(provider);
}

static void open_instant_key(struct cm_provider *provider, const char *reference,
                             enum cm_sigalg alg, cm_key_opened_fn *opened, void *arg)
{
    (void)provider;
    (void)reference;
    (void)alg;
    (void)opened;
    (void)arg;
}

static void close_instant_key(struct cm_key *key)
{
    (void)key;
}

static cm_status sign_instantly(struct cm_provider *provider, struct cm_sign_batch *batch,
                                struct cm_error *err)
{
    if (refuse)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "refused");
    for (uint32_t i = 0; i < batch->items_count; i++)
        batch->items[i].status = CM_OK;
    if (hold)
        held[held_count++] = batch;
    else
        cm_provider_batch_done(provider, batch);
    return CM_OK;
}

static void count_cancel(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    (void)provider;
    (void)batch;
    cancels++;
}

static const struct cm_provider_ops instant = { .name = "instant",
                                                .open = open_instant,
                                                .close = close_instant,
                                                .open_key = open_instant_key,
                                                .close_key = close_instant_key,
                                                .sign = sign_instantly,
                                                .cancel = count_cancel };

struct stage {
    struct rig rig;
    struct cm_key key;
    struct rig_batch *batches[IN_FLIGHT + 1];
};

static void stage_open(struct stage *stage)
{
    held_count = cancels = 0;
    hold = refuse = false;
    rig_open(&stage->rig, &instant, NULL, 1);
    stage->key = (struct cm_key){ .provider = stage->rig.provider, .signature_size_max = 8 };
    for (unsigned i = 0; i <= IN_FLIGHT; i++)
        stage->batches[i] = rig_batch_new(&stage->rig, &stage->key, ITEMS_MAX);
}

static void stage_close(struct stage *stage)
{
    for (unsigned i = 0; i <= IN_FLIGHT; i++)
        rig_batch_free(stage->batches[i]);
    rig_close(&stage->rig);
}

static void test_provider_front_posts_done_of_a_backend_that_answers_at_once(void)
{
    struct stage stage;
    stage_open(&stage);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[0]), CM_OK);
    CU_ASSERT_EQUAL(stage.batches[0]->dones, 0);
    rig_wait(&stage.rig, &stage.batches[0]->dones, 1);
    stage_close(&stage);
}

static void test_provider_front_is_busy_before_the_backend_is_asked(void)
{
    struct stage stage;
    stage_open(&stage);
    hold = true;
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        CU_ASSERT_EQUAL(rig_submit(stage.batches[i]), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[IN_FLIGHT]), CM_BUSY);
    CU_ASSERT_EQUAL(held_count, IN_FLIGHT);
    cm_provider_batch_done(stage.rig.provider, held[1]);
    rig_wait(&stage.rig, &stage.batches[1]->dones, 1);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[IN_FLIGHT]), CM_OK);
    cm_provider_batch_done(stage.rig.provider, held[0]);
    cm_provider_batch_done(stage.rig.provider, held[2]);
    rig_wait(&stage.rig, &stage.rig.dones, 3);
    stage_close(&stage);
}

static void test_provider_front_counts_nothing_that_the_backend_refused(void)
{
    struct stage stage;
    stage_open(&stage);
    refuse = true;
    for (unsigned i = 0; i < 2 * IN_FLIGHT; i++)
        CU_ASSERT_EQUAL(rig_submit(stage.batches[0]), CM_UNAVAILABLE);
    stage_close(&stage);
}

static void test_provider_front_drains_only_when_the_last_batch_is_done(void)
{
    struct stage stage;
    stage_open(&stage);
    hold = true;
    CU_ASSERT_EQUAL(rig_submit(stage.batches[0]), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[1]), CM_OK);
    rig_drain(&stage.rig);
    cm_provider_batch_done(stage.rig.provider, held[1]);
    rig_run_for(&stage.rig, 5);
    CU_ASSERT_EQUAL(stage.rig.draineds, 0);
    cm_provider_batch_done(stage.rig.provider, held[0]);
    rig_wait(&stage.rig, &stage.rig.draineds, 1);
    CU_ASSERT_EQUAL(stage.rig.dones, 2);
    stage_close(&stage);
}

static void test_provider_front_passes_a_wish_to_cancel_on_once(void)
{
    struct stage stage;
    stage_open(&stage);
    hold = true;
    CU_ASSERT_EQUAL(rig_submit(stage.batches[0]), CM_OK);
    cm_provider_cancel(stage.rig.provider, &stage.batches[0]->batch);
    cm_provider_cancel(stage.rig.provider, &stage.batches[0]->batch);
    CU_ASSERT_EQUAL(cancels, 1);
    cm_provider_batch_done(stage.rig.provider, held[0]);
    rig_wait(&stage.rig, &stage.rig.dones, 1);
    stage_close(&stage);
}

static void test_provider_front_refuses_the_key_of_another_instance(void)
{
    struct stage stage;
    struct cm_provider other = { 0 };
    stage_open(&stage);
    stage.key.provider = &other;
    CU_ASSERT_EQUAL(rig_submit(stage.batches[0]), CM_INVALID);
    stage_close(&stage);
}

static void test_provider_front_passes_on_why_a_backend_does_not_open(void)
{
    struct rig rig;
    struct cm_error err;
    const struct cm_provider_settings settings = { .name = NULL };
    refuse = true;
    CU_ASSERT_EQUAL(rig_try_open(&rig, &instant, &settings, &err), CM_UNAVAILABLE);
    CU_ASSERT_STRING_EQUAL(err.text, "refused");
    refuse = false;
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, &instant, &settings, &err), CM_OK);
    CU_ASSERT_STRING_EQUAL(cm_provider_name(rig.provider), "instant");
    rig_close(&rig);
}

static void test_provider_is_found_by_the_name_of_its_kind(void)
{
    CU_ASSERT_PTR_EQUAL(cm_provider_find("openssl"), &cm_provider_openssl);
    CU_ASSERT_PTR_NULL(cm_provider_find("open"));
    CU_ASSERT_PTR_NULL(cm_provider_find(""));
    cm_provider_close(NULL);
}

static void test_provider_front_keeps_half_of_its_places_from_ocsp(void)
{
    struct stage stage;
    stage_open(&stage);
    hold = true;
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        stage.batches[i]->batch.lane = CM_LANE_OCSP;
    for (unsigned i = 0; i < (IN_FLIGHT + 1) / 2; i++)
        CU_ASSERT_EQUAL(rig_submit(stage.batches[i]), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[IN_FLIGHT - 1]), CM_BUSY);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[IN_FLIGHT]), CM_OK);
    cm_provider_batch_done(stage.rig.provider, held[0]);
    rig_wait(&stage.rig, &stage.batches[0]->dones, 1);
    CU_ASSERT_EQUAL(rig_submit(stage.batches[IN_FLIGHT - 1]), CM_OK);
    for (unsigned i = 1; i < held_count; i++)
        cm_provider_batch_done(stage.rig.provider, held[i]);
    rig_wait(&stage.rig, &stage.rig.dones, IN_FLIGHT + 1);
    stage_close(&stage);
}

CM_TEST_SUITE(provider_front,
              CM_TEST(test_provider_front_posts_done_of_a_backend_that_answers_at_once),
              CM_TEST(test_provider_front_is_busy_before_the_backend_is_asked),
              CM_TEST(test_provider_front_keeps_half_of_its_places_from_ocsp),
              CM_TEST(test_provider_front_counts_nothing_that_the_backend_refused),
              CM_TEST(test_provider_front_drains_only_when_the_last_batch_is_done),
              CM_TEST(test_provider_front_passes_a_wish_to_cancel_on_once),
              CM_TEST(test_provider_front_refuses_the_key_of_another_instance),
              CM_TEST(test_provider_front_passes_on_why_a_backend_does_not_open),
              CM_TEST(test_provider_is_found_by_the_name_of_its_kind));
