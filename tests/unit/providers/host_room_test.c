/* How many batches a signer process takes, and what becomes of those that wait. */
#include "tests/unit/providers/host_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "providers/fake/fake.h"
#include "providers/host/internal.h"

static void test_host_has_batches_wait_and_withdraws_them_where_the_backend_is_busy(void)
{
    struct rig rig;
    char script[600] = "delay=300";
    for (unsigned i = 1; i < 60; i++) {
        size_t used = strlen(script);
        snprintf(script + used, sizeof script - used, " busy=%u", i);
    }
    host_use_fake();
    rig_open(&rig, &cm_provider_fake, script, 1);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batches[3];
    for (unsigned i = 0; i < 3; i++) {
        batches[i] = rig_batch_new(&rig, key, 2);
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    }
    cm_provider_cancel(rig.provider, &batches[1]->batch);
    rig_wait(&rig, &rig.dones, 3);
    CU_ASSERT_TRUE(rig_all_verify(batches[0]));
    CU_ASSERT_EQUAL(rig_count_status(batches[1], CM_CANCELLED), 2);
    CU_ASSERT_TRUE(rig_all_verify(batches[2]));
    for (unsigned i = 0; i < 3; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

/* As where a service throttles: the backend has them all, and signs none for a while. */
static void test_host_withdraws_batches_that_wait_inside_the_backend(void)
{
    enum { BATCHES = 4 };
    struct rig rig;
    struct rig_batch *batches[BATCHES];
    char script[600], path[512];
    snprintf(path, sizeof path, "%s/held", cm_test_scratch());
    snprintf(script, sizeof script, "holds=%s in-flight=%d", path, BATCHES);
    host_use_fake();
    rig_open(&rig, &cm_provider_fake, script, BATCHES);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    rig_write_file("held", "", 0, 0600);
    for (unsigned i = 0; i < BATCHES; i++) {
        batches[i] = rig_batch_new(&rig, key, 300);
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    }
    for (unsigned i = 1; i < BATCHES; i++)
        cm_provider_cancel(rig.provider, &batches[i]->batch);
    rig_drain(&rig);
    rig_wait(&rig, &rig.dones, BATCHES - 1);
    for (unsigned i = 1; i < BATCHES; i++)
        CU_ASSERT_EQUAL(rig_count_status(batches[i], CM_CANCELLED), 300);
    CU_ASSERT_EQUAL(rig.draineds, 0);
    unlink(path);
    rig_wait(&rig, &rig.draineds, 1);
    CU_ASSERT_TRUE(rig_all_verify(batches[0]));
    for (unsigned i = 0; i < BATCHES; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

static void test_host_opens_with_as_many_workers_as_settings_allow(void)
{
    enum { WORKERS = 1024 };
    struct rig rig;
    struct cm_error err;
    const struct cm_host_settings host = { .kind = "openssl", .program = TEST_SIGNER };
    const struct cm_provider_settings settings = {
        .name = "many", .folder = cm_test_scratch(), .workers_count = WORKERS, .host = &host
    };
    cm_status status = rig_try_open(&rig, &cm_provider_hosted, &settings, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    CU_ASSERT_TRUE(cm_provider_caps(rig.provider).batches_in_flight > WORKERS);
    rig_close(&rig);
}

/* How many of them are taken at once; all that are get signed. */
static unsigned submit_together(struct rig *rig, struct rig_batch **batches, unsigned count)
{
    unsigned taken = 0, dones = rig->dones;
    while (taken < count && rig_submit(batches[taken]) == CM_OK)
        taken++;
    rig_wait(rig, &rig->dones, dones + taken);
    for (unsigned i = 0; i < taken; i++)
        CU_ASSERT_EQUAL(rig_count_status(batches[i], CM_OK), batches[i]->batch.items_count);
    return taken;
}

static void test_host_gives_a_signer_no_more_batches_than_it_takes_now(void)
{
    enum { BATCHES = 5 };
    struct rig rig;
    struct rig_batch *batches[BATCHES];
    struct cm_key *key = NULL;
    char path[512];
    host_open(&rig, &host_stuck, "stuck");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "any", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    for (unsigned i = 0; i < BATCHES; i++)
        batches[i] = rig_batch_new(&rig, key, 2);
    CU_ASSERT_EQUAL(submit_together(&rig, batches, BATCHES), 4);
    snprintf(path, sizeof path, "%s", rig_write_file("narrow", "", 0, 0600));
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.ups, 1);
    host_sign_when_back(batches[0]);
    CU_ASSERT_EQUAL(submit_together(&rig, batches, BATCHES), 1);
    unlink(path);
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.ups, 2);
    host_sign_when_back(batches[0]);
    CU_ASSERT_EQUAL(submit_together(&rig, batches, BATCHES), 4);
    CU_ASSERT_EQUAL(host_told.downs, 2);
    for (unsigned i = 0; i < BATCHES; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_waits_for_a_signer_that_takes_the_batches_there_are(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    char path[512];
    host_open(&rig, &host_stuck, "stuck");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "any", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    struct rig_batch *batch = rig_batch_new(&rig, key, 16);
    snprintf(path, sizeof path, "%s", rig_write_file("small", "", 0, 0600));
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.downs, 2);
    CU_ASSERT_EQUAL(host_told.ups, 0);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    rig_wait(&rig, &host_told.downs, 3); /* the fourth end: the third was not told */
    CU_ASSERT_EQUAL(host_told.notices, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_NOTICE],
                                  "it takes batches of 8 items, the first one took 16: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_NOTICE], "restart the engine"));
    unlink(path);
    rig_wait(&rig, &host_told.ups, 1);
    host_sign_when_back(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 16);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

/* A CRL of a million entries; what is twice as large is refused and harms nobody. */
static void test_host_signs_a_message_as_large_as_a_crl_and_says_no_to_a_larger_one(void)
{
    enum { LARGE = 40 << 20, TOO_LARGE = 70 << 20 };
    static uint8_t large[TOO_LARGE];
    struct rig rig;
    struct cm_error err;
    host_open(&rig, &host_usual, "roomy");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 1), *usual = rig_batch_new(&rig, key, 16);
    batch->batch.lane = CM_LANE_CRL;
    CU_ASSERT_EQUAL(cm_provider_caps(rig.provider).batch_octets_max, 64 << 20);
    batch->items[0].message = cm_bytes(large, TOO_LARGE);
    CU_ASSERT_EQUAL(cm_provider_sign(rig.provider, &batch->batch, &err), CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more shards"));
    batch->items[0].message = cm_bytes(large, LARGE);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(usual), CM_OK);
    rig_wait(&rig, &rig.dones, 2);
    CU_ASSERT_TRUE(rig_verifies(key, &batch->items[0]));
    CU_ASSERT_TRUE(rig_all_verify(usual));
    CU_ASSERT_EQUAL(host_told.downs, 0);
    CU_ASSERT_TRUE(((struct cm_host *)rig.provider)->channel.out.space <= CM_BUFFER_KEPT);
    rig_batch_free(batch);
    rig_batch_free(usual);
    cm_provider_close_key(key);
    rig_close(&rig);
}

CM_TEST_SUITE(host_room,
              CM_TEST(test_host_signs_a_message_as_large_as_a_crl_and_says_no_to_a_larger_one),
              CM_TEST(test_host_has_batches_wait_and_withdraws_them_where_the_backend_is_busy),
              CM_TEST(test_host_withdraws_batches_that_wait_inside_the_backend),
              CM_TEST(test_host_opens_with_as_many_workers_as_settings_allow),
              CM_TEST(test_host_gives_a_signer_no_more_batches_than_it_takes_now),
              CM_TEST(test_host_waits_for_a_signer_that_takes_the_batches_there_are));
