/* Which key a signer process opens, what it tells of itself, and what its floors forbid. */
#include "tests/unit/providers/host_rig.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/hash.h"
#include "providers/fake/fake.h"
#include "providers/host/floor.h"
#include "tests/support/tbs_maker.h"

enum { DAY_S = 86400 };

/* ------------------------------------------------------------------ keys -- */

static void test_host_uses_no_key_that_is_another_than_before(void)
{
    struct rig rig;
    char path[512], kept[520];
    snprintf(path, sizeof path, "%s", rig_key_reference("p384") + 5);
    snprintf(kept, sizeof kept, "%s.kept", path);
    host_open(&rig, &host_usual, "soft");
    struct cm_key *key = rig_key(&rig, "p384", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    rename(path, kept);
    (void)rig_key_reference("p384"); /* makes it anew */
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.notices, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_NOTICE], "another key"));
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    rename(kept, path);
    host_sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

/* As a vault does with a key that is asked for without a version. */
static void test_host_opens_a_key_again_by_the_reference_that_it_was_pinned_to(void)
{
    struct rig rig;
    char path[512], asked[520], pinned[PATH_MAX], expected[PATH_MAX + 8];
    struct cm_key *key = NULL;
    host_open_fake(&rig, "pins=1");
    snprintf(path, sizeof path, "%s/current.pem", cm_test_scratch());
    snprintf(asked, sizeof asked, "file:%s", path);
    CU_ASSERT_EQUAL_FATAL(symlink(rig_key_reference("p384") + 5, path), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(path, pinned));
    snprintf(expected, sizeof expected, "file:%s", pinned);
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, asked, CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    CU_ASSERT_STRING_EQUAL_FATAL(key->reference, expected);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    unlink(path);
    CU_ASSERT_EQUAL_FATAL(symlink(rig_key_reference("p256") + 5, path), 0); /* the next version */
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.ups, 1);
    host_sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    CU_ASSERT_EQUAL(host_told.notices, 0);
    CU_ASSERT_STRING_EQUAL(key->reference, expected);
    unlink(path);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

static void test_host_hands_a_blob_to_the_backend_up_to_its_bound(void)
{
    enum { BOUND = 64 * 1024 };
    static const uint8_t blob[BOUND + 1];
    struct rig rig;
    struct cm_error err;
    struct cm_key *key = NULL;
    char asked[520];
    struct cm_key_spec spec = { .type = CM_KEY_P256, .transfer_blob = cm_bytes(blob, BOUND) };
    snprintf(asked, sizeof asked, "file:%s/imported.pem", cm_test_scratch());
    host_open(&rig, &host_usual, "soft");
    CU_ASSERT_EQUAL(rig_create_key(&rig, asked, &spec, CM_SIGALG_UNKNOWN, &key, &err),
                    CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "imports no keys")); /* the backend's words */
    spec.transfer_blob.size++;
    CU_ASSERT_EQUAL(rig_create_key(&rig, asked, &spec, CM_SIGALG_UNKNOWN, &key, &err),
                    CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more than 65536"));
    CU_ASSERT_NOT_EQUAL(access(asked + 5, F_OK), 0);
    CU_ASSERT_EQUAL(cm_provider_state(rig.provider).restarts_count, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ what it says by itself -- */

static void test_host_passes_on_what_is_to_be_said_of_a_key_that_opens(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    host_open(&rig, &host_stuck, "slow");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "noted", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    rig_wait(&rig, &host_told.notices, 1);
    CU_ASSERT_STRING_EQUAL(host_told.last[CM_PROVIDER_NOTICE],
                           "signer slow: the key?works, but slowly");
    host_end_signer(&rig, SIGKILL); /* opened again, in another one */
    rig_wait(&rig, &host_told.notices, 2);
    CU_ASSERT_STRING_EQUAL(host_told.last[CM_PROVIDER_NOTICE],
                           "signer slow: the key?works, but slowly");
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_passes_notices_on_and_counts_those_of_a_flood(void)
{
    struct rig rig;
    host_open_fake(&rig, "tells=50");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 1);
    rig_sign(batch); /* its answer comes after them */
    CU_ASSERT_EQUAL(host_told.notices, 20);
    CU_ASSERT_STRING_EQUAL(host_told.last[CM_PROVIDER_NOTICE],
                           "signer under test: the fake?has notice 19 to tell");
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.ups, 1);
    CU_ASSERT_EQUAL(host_told.notices, 21);
    CU_ASSERT_STRING_EQUAL(host_told.last[CM_PROVIDER_NOTICE],
                           "signer under test said more: 30 notices left out");
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

/* Until the signer has told of so many answers, or a minute is over. */
static struct cm_provider_pace pace_when(struct rig *rig, uint64_t succeeded, uint32_t open)
{
    struct cm_provider_pace pace = cm_provider_pace(rig->provider);
    for (unsigned i = 0; i < 3000; i++) {
        if (pace.rate_per_s + open > 0 && pace.succeeded_count == succeeded
            && pace.circuits_open == open)
            break;
        rig_run_for(rig, 20);
        pace = cm_provider_pace(rig->provider);
    }
    return pace;
}

static void test_host_knows_the_pace_of_its_backend_while_there_is_a_signer(void)
{
    struct rig rig;
    char script[600], path[512];
    snprintf(path, sizeof path, "%s/circuit", cm_test_scratch());
    snprintf(script, sizeof script, "pace=200 circuit=%s", path);
    host_open_fake(&rig, script);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 3);
    CU_ASSERT_EQUAL(pace_when(&rig, 0, 0).rate_per_s, 200);
    rig_sign(batch);
    struct cm_provider_pace pace = pace_when(&rig, 3, 0);
    CU_ASSERT_EQUAL(pace.succeeded_count, 3);
    CU_ASSERT_EQUAL(pace.latency_us_median, 20400);
    CU_ASSERT_EQUAL(pace.latency_us_p99, 80600);
    rig_write_file("circuit", "", 0, 0600);
    pace = pace_when(&rig, 3, 1);
    CU_ASSERT_EQUAL(pace.circuits_open, 1);
    CU_ASSERT_EQUAL(pace.rate_per_s, 0);
    unlink(path);
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.ups, 1);
    CU_ASSERT_EQUAL(cm_provider_pace(rig.provider).succeeded_count, 0);
    CU_ASSERT_EQUAL(pace_when(&rig, 0, 0).rate_per_s, 200);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

static void test_host_has_no_pace_where_the_backend_has_none(void)
{
    struct rig rig;
    host_open(&rig, &host_usual, "soft");
    rig_run_for(&rig, 1200);
    const struct cm_provider_pace pace = cm_provider_pace(rig.provider);
    CU_ASSERT_EQUAL(pace.rate_per_s + pace.succeeded_count + pace.circuits_open, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ floors -- */

static struct cm_floor floor_of_ca(void)
{
    return (struct cm_floor){ .issuer_name = tbs_name("CA"),
                              .lanes = CM_LANE_BIT(CM_LANE_LEAF),
                              .validity_s_max = 10 * DAY_S,
                              .past_s_max = DAY_S };
}

static void test_host_opens_no_key_without_a_floor_unless_it_may_sign_anything(void)
{
    struct rig rig;
    struct cm_host_settings host = { .kind = "openssl" };
    struct cm_floor floor = floor_of_ca();
    struct cm_key *key = NULL, *again = NULL;
    struct cm_error err;
    char reference[512], other[520];
    snprintf(reference, sizeof reference, "%s", rig_key_reference("p256"));
    host_open(&rig, &host, "guarded");
    CU_ASSERT_EQUAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, &err), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "floor"));
    cm_host_bind(rig.provider, reference, &floor);
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    /* Neither under the same name, nor under another, nor after it was closed. */
    floor.lanes |= CM_LANE_BIT(CM_LANE_CEREMONY);
    cm_host_bind(rig.provider, reference, &floor);
    CU_ASSERT_EQUAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &again, &err), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another floor"));
    snprintf(other, sizeof other, "FILE:%s", reference + 5);
    cm_host_bind(rig.provider, other, &floor);
    CU_ASSERT_EQUAL(rig_open_key(&rig, other, CM_SIGALG_UNKNOWN, &again, NULL), CM_DENIED);
    cm_provider_close_key(key);
    CU_ASSERT_EQUAL(rig_open_key(&rig, other, CM_SIGALG_UNKNOWN, &again, NULL), CM_DENIED);
    rig_close(&rig);
}

static void test_host_signs_what_its_floor_allows_and_nothing_else(void)
{
    struct rig rig;
    static uint8_t messages[3][TBS_SIZE_MAX];
    uint8_t hashes[3][CM_SHA256_SIZE];
    const struct tbs_parts parts[3] = { { .serial = "01" },
                                        { .extensions = "300f0603551d130101ff040530030101ff" },
                                        { .serial = "02" } };
    struct cm_host_settings host = { .kind = "openssl" };
    struct cm_floor floor = floor_of_ca();
    host_open(&rig, &host, "guarded");
    cm_host_bind(rig.provider, rig_key_reference("p256"), &floor);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 3);
    for (unsigned i = 0; i < 3; i++) {
        batch->items[i].message = tbs_make(messages[i], &parts[i]);
        batch->items[i].intent_hash = hashes[i];
        cm_sha256(&batch->items[i].message, 1, hashes[i]);
    }
    rig_sign(batch);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_OK);
    CU_ASSERT_EQUAL(batch->items[1].status, CM_DENIED);
    CU_ASSERT_EQUAL(batch->items[2].status, CM_OK);
    CU_ASSERT_TRUE(rig_verifies(key, &batch->items[0]) && rig_verifies(key, &batch->items[2]));
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_NOTICE], "CA certificate"));
    /* And so does the next signer. */
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.ups, 1);
    host_sign_when_back(batch);
    CU_ASSERT_EQUAL(batch->items[1].status, CM_DENIED);
    CU_ASSERT_EQUAL(batch->items[2].status, CM_OK);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_signs_ocsp_responses_of_the_key_itself_alone(void)
{
    struct rig rig;
    static uint8_t messages[3][TBS_SIZE_MAX];
    uint8_t hash[CM_SHA1_SIZE];
    char hex[2 * CM_SHA1_SIZE + 1];
    struct cm_host_settings host = { .kind = "openssl" };
    const struct cm_floor floor = { .issuer_name = tbs_name("CA"),
                                    .lanes = CM_LANE_BIT(CM_LANE_OCSP),
                                    .is_responder = true };
    host_open(&rig, &host, "guarded");
    cm_host_bind(rig.provider, rig_key_reference("p256"), &floor);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 3);
    CU_ASSERT_TRUE_FATAL(cm_floor_hash_key(key->spki, hash));
    cm_hex_encode(cm_bytes(hash, sizeof hash), hex);
    batch->batch.lane = CM_LANE_OCSP;
    batch->items[0].message =
        tbs_make_response(messages[0], &(struct tbs_response_parts){ .key_hash = hex });
    batch->items[1].message = tbs_make_response(messages[1], &(struct tbs_response_parts){ 0 });
    batch->items[2].message =
        tbs_make(messages[2],
                 &(struct tbs_parts){ .extensions = "30130603551d25040c300a06082b06010505070309" });
    rig_sign(batch);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_OK);
    CU_ASSERT_TRUE(rig_verifies(key, &batch->items[0]));
    CU_ASSERT_EQUAL(batch->items[1].status, CM_DENIED);
    CU_ASSERT_EQUAL(batch->items[2].status, CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_NOTICE], "another key"));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_signs_no_faster_than_its_ceiling(void)
{
    struct rig rig;
    static uint8_t message[TBS_SIZE_MAX];
    uint8_t hash[CM_SHA256_SIZE];
    struct cm_host_settings host = { .kind = "openssl" };
    struct cm_floor floor = floor_of_ca();
    floor.rate_per_s_max = 1;
    floor.burst = 4;
    host_open(&rig, &host, "guarded");
    cm_host_bind(rig.provider, rig_key_reference("p256"), &floor);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 10);
    struct cm_bytes tbs = tbs_make(message, &(struct tbs_parts){ 0 });
    cm_sha256(&tbs, 1, hash);
    for (unsigned i = 0; i < 10; i++) {
        batch->items[i].message = tbs;
        batch->items[i].intent_hash = hash;
    }
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 4);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_THROTTLED), 6);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

CM_TEST_SUITE(host_keys, CM_TEST(test_host_uses_no_key_that_is_another_than_before),
              CM_TEST(test_host_opens_a_key_again_by_the_reference_that_it_was_pinned_to),
              CM_TEST(test_host_hands_a_blob_to_the_backend_up_to_its_bound),
              CM_TEST(test_host_passes_on_what_is_to_be_said_of_a_key_that_opens),
              CM_TEST(test_host_passes_notices_on_and_counts_those_of_a_flood),
              CM_TEST(test_host_knows_the_pace_of_its_backend_while_there_is_a_signer),
              CM_TEST(test_host_has_no_pace_where_the_backend_has_none),
              CM_TEST(test_host_opens_no_key_without_a_floor_unless_it_may_sign_anything),
              CM_TEST(test_host_signs_what_its_floor_allows_and_nothing_else),
              CM_TEST(test_host_signs_ocsp_responses_of_the_key_itself_alone),
              CM_TEST(test_host_signs_no_faster_than_its_ceiling));
