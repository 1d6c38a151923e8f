#include "tests/conformance/provider_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "providers/fake/fake.h"
#include "providers/fake/script.h"

/* A fake with a script, its key, and a batch of eight. */
struct stage {
    struct rig rig;
    struct cm_key *key;
    struct rig_batch *batch;
};

static void stage_open(struct stage *stage, const char *script)
{
    rig_open(&stage->rig, &cm_provider_fake, script, 2);
    stage->key = rig_key(&stage->rig, "p256", CM_SIGALG_UNKNOWN);
    stage->batch = rig_batch_new(&stage->rig, stage->key, 8);
}

static void stage_close(struct stage *stage)
{
    rig_batch_free(stage->batch);
    cm_provider_close_key(stage->key);
    rig_close(&stage->rig);
}

static size_t signed_times(const struct stage *stage, uint32_t item)
{
    return cm_fake_signatures_count_of(stage->rig.provider, stage->batch->items[item].message);
}

static void test_fake_refuses_a_script_that_it_does_not_understand(void)
{
    static const char *const scripts[] = {
        "itm=3:BUSY",  "item=3",      "item=3:NOTHING", "item=:OK",  "item=x:OK",
        "item=-1:OK",  "delay=",      "delay=1:",       "delay=1:x", "busy",
        "busy=1 dies", "in-flight=0", "items-max=x",    "witness=",  "item=99999999999999999999:OK",
        "away=",       "loses=",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct cm_fake_script script;
        struct cm_error err = { .status = CM_OK };
        CU_ASSERT_EQUAL(cm_fake_script_read(scripts[i], &script, &err), CM_UNSUPPORTED);
        CU_ASSERT_EQUAL(err.status, CM_UNSUPPORTED);
    }
    struct rig rig;
    const struct cm_provider_settings settings = { .options = "nonsense", .workers_count = 1 };
    CU_ASSERT_EQUAL(rig_try_open(&rig, &cm_provider_fake, &settings, NULL), CM_UNSUPPORTED);
}

static void test_fake_gives_items_the_status_of_the_script(void)
{
    struct stage stage;
    stage_open(&stage, "item=2:UNAVAILABLE item=5:THROTTLED");
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(stage.batch->items[2].status, CM_UNAVAILABLE);
    CU_ASSERT_EQUAL(stage.batch->items[2].signature_size, 0);
    CU_ASSERT_EQUAL(stage.batch->items[5].status, CM_THROTTLED);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), 6);
    CU_ASSERT_EQUAL(signed_times(&stage, 2), 0);
    CU_ASSERT_EQUAL(signed_times(&stage, 3), 1);
    /* The neighbours are good, and the second time the script has passed. */
    CU_ASSERT_TRUE(rig_verifies(stage.key, &stage.batch->items[3]));
    rig_sign(stage.batch);
    CU_ASSERT_TRUE(rig_all_verify(stage.batch));
    CU_ASSERT_EQUAL(signed_times(&stage, 2), 1);
    CU_ASSERT_EQUAL(signed_times(&stage, 3), 2);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(stage.rig.provider), 14);
    stage_close(&stage);
}

static void test_fake_that_answers_a_whole_batch_by_script_is_done_on_a_later_turn(void)
{
    struct stage stage;
    stage_open(&stage, "item=0:DENIED");
    stage.batch->batch.items_count = 1;
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(stage.batch->items[0].status, CM_DENIED);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(stage.rig.provider), 0);
    stage_close(&stage);
}

static void test_fake_that_is_uncertain_has_signed_and_lost_the_signature(void)
{
    struct stage stage;
    stage_open(&stage, "item=0:UNCERTAIN");
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(stage.batch->items[0].status, CM_UNCERTAIN);
    CU_ASSERT_EQUAL(stage.batch->items[0].signature_size, 0);
    CU_ASSERT_EQUAL(signed_times(&stage, 0), 1);
    stage_close(&stage);
}

static void test_fake_spoils_signatures(void)
{
    struct stage stage;
    stage_open(&stage, "item=1:wrong item=2:short");
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), 8);
    for (uint32_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(rig_verifies(stage.key, &stage.batch->items[i]), i != 1 && i != 2);
    stage_close(&stage);
}

static void test_fake_is_not_done_before_its_delay(void)
{
    struct stage stage;
    stage_open(&stage, "delay=30 delay=1:60 item=0:BUSY");
    uint64_t begin_ns = cm_clock_monotonic_ns();
    rig_sign(stage.batch);
    CU_ASSERT_TRUE(cm_clock_monotonic_ns() - begin_ns >= 30 * CM_NS_PER_MS);
    begin_ns = cm_clock_monotonic_ns();
    rig_sign(stage.batch);
    CU_ASSERT_TRUE(cm_clock_monotonic_ns() - begin_ns >= 60 * CM_NS_PER_MS);
    stage_close(&stage);
}

static void test_fake_delays_one_batch_behind_another(void)
{
    struct stage stage;
    stage_open(&stage, "delay=0:50");
    struct rig_batch *quick = rig_batch_new(&stage.rig, stage.key, 1);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(quick), CM_OK);
    rig_wait(&stage.rig, &quick->dones, 1);
    CU_ASSERT_EQUAL(stage.batch->dones, 0);
    rig_wait(&stage.rig, &stage.batch->dones, 1);
    CU_ASSERT_TRUE(rig_all_verify(stage.batch));
    rig_batch_free(quick);
    stage_close(&stage);
}

static void test_fake_is_busy_by_script_only_while_a_done_will_come(void)
{
    struct stage stage;
    stage_open(&stage, "busy=0 busy=2 in-flight=3 items-max=8");
    struct rig_batch *second = rig_batch_new(&stage.rig, stage.key, 1);
    CU_ASSERT_EQUAL(cm_provider_caps(stage.rig.provider).batches_in_flight, 3);
    CU_ASSERT_EQUAL(cm_provider_caps(stage.rig.provider).batch_items_max, 8);
    rig_sign(second);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(second), CM_BUSY);
    CU_ASSERT_EQUAL(rig_submit(second), CM_OK);
    rig_wait(&stage.rig, &stage.rig.dones, 3);
    rig_batch_free(second);
    stage_close(&stage);
}

static void test_fake_that_died_signs_nothing_more(void)
{
    struct stage stage;
    struct cm_key *other = NULL;
    stage_open(&stage, "dies=6");
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), 6);
    CU_ASSERT_EQUAL(stage.batch->items[6].status, CM_TOKEN_REMOVED);
    CU_ASSERT_EQUAL(stage.batch->items[7].status, CM_TOKEN_REMOVED);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_UNAVAILABLE);
    CU_ASSERT_EQUAL(
        rig_open_key(&stage.rig, rig_key_reference("p384"), CM_SIGALG_UNKNOWN, &other, NULL),
        CM_UNAVAILABLE);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(stage.rig.provider), 6);
    stage_close(&stage);
}

static void make_file(const char *path)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
}

static void test_fake_is_away_and_loses_answers_for_as_long_as_there_is_a_file(void)
{
    struct stage stage;
    char away[300], loses[300], script[700];
    snprintf(away, sizeof away, "%s/away", cm_test_scratch());
    snprintf(loses, sizeof loses, "%s/loses", cm_test_scratch());
    snprintf(script, sizeof script, "away=%s loses=%s", away, loses);
    stage_open(&stage, script);
    make_file(away);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_UNAVAILABLE);
    remove(away);
    make_file(loses);
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_UNCERTAIN), 8);
    CU_ASSERT_EQUAL(signed_times(&stage, 3), 1);
    remove(loses);
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), 8);
    stage_close(&stage);
}

static void test_fake_reads_the_script_of_its_folder(void)
{
    char path[300];
    struct rig rig;
    const struct cm_provider_settings settings = { .folder = cm_test_scratch(),
                                                   .workers_count = 1 };
    snprintf(path, sizeof path, "%s/fake-script", cm_test_scratch());
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("nonsense\n", file);
    fclose(file);
    CU_ASSERT_EQUAL(rig_try_open(&rig, &cm_provider_fake, &settings, NULL), CM_UNSUPPORTED);
    remove(path);
}

static void test_fake_writes_a_line_for_every_signature(void)
{
    struct stage stage;
    char script[600], line[100];
    unsigned lines = 0;
    snprintf(script, sizeof script, "witness=%s/witness item=0:BUSY", cm_test_scratch());
    stage_open(&stage, script);
    rig_sign(stage.batch);
    strchr(script, ' ')[0] = '\0';
    FILE *file = fopen(strchr(script, '=') + 1, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (; fgets(line, sizeof line, file); lines++)
        CU_ASSERT_EQUAL(strlen(line), 65);
    fclose(file);
    CU_ASSERT_EQUAL(lines, 7);
    stage_close(&stage);
}

CM_TEST_SUITE(fake, CM_TEST(test_fake_refuses_a_script_that_it_does_not_understand),
              CM_TEST(test_fake_gives_items_the_status_of_the_script),
              CM_TEST(test_fake_that_answers_a_whole_batch_by_script_is_done_on_a_later_turn),
              CM_TEST(test_fake_that_is_uncertain_has_signed_and_lost_the_signature),
              CM_TEST(test_fake_spoils_signatures), CM_TEST(test_fake_is_not_done_before_its_delay),
              CM_TEST(test_fake_delays_one_batch_behind_another),
              CM_TEST(test_fake_is_busy_by_script_only_while_a_done_will_come),
              CM_TEST(test_fake_that_died_signs_nothing_more),
              CM_TEST(test_fake_is_away_and_loses_answers_for_as_long_as_there_is_a_file),
              CM_TEST(test_fake_reads_the_script_of_its_folder),
              CM_TEST(test_fake_writes_a_line_for_every_signature));
