/* Whose key it is, where the filter and the store are not of the same moment, or several ask at once. */
#include "engine/internal.h"
#include "tests/support/csr_maker.h"
#include "tests/support/test_main.h"

enum { CERTIFICATE = 4711, REQUESTS_MAX = 3 };

static struct cm_engine engine;
static struct cm_worker worker;
static struct cm_batch batch;
static struct cm_request requests[REQUESTS_MAX];
static struct cm_settings_group group;
static struct cm_certificate_found found; /* what the snapshot has under any number */
static struct cm_bytes csr;

static cm_status find_certificate(struct cm_store_reader *reader, cm_certificate_number number,
                                  struct cm_arena *arena, struct cm_certificate_found *ret_found,
                                  struct cm_error *err)
{
    (void)reader;
    (void)arena;
    (void)err;
    CU_ASSERT_EQUAL(number, CERTIFICATE);
    *ret_found = found;
    return CM_OK;
}

/* Requests of one device for one key; whose certificates the snapshot has none of. */
static void begin(enum cm_operation operation, uint32_t count)
{
    static const struct cm_store_ops ops = { .name = "fake", .find_certificate = find_certificate };
    static struct cm_store_reader reader = { .ops = &ops };
    struct cm_error err;
    EVP_PKEY *key = cm_test_key();
    group = (struct cm_settings_group){ .name = "pumps", .reuse_key = true };
    found = (struct cm_certificate_found){ .number = 0 };
    engine = (struct cm_engine){ .state = CM_ENGINE_IS_RUNNING };
    cm_clones_init(&engine.clones);
    worker = (struct cm_worker){ .engine = &engine, .reader = &reader };
    CU_ASSERT_EQUAL_FATAL(cm_proof_new(&worker.proof, &err), CM_OK);
    batch = (struct cm_batch){ .engine = &engine, .requests = requests, .requests_count = count };
    cm_arena_init(&batch.arena, 4096);
    csr = cm_test_csr(key, "pump-1", &batch.arena);
    EVP_PKEY_free(key);
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = (struct cm_request){ .operation = operation,
                                           .group = &group,
                                           .device_id = cm_bytes_str("pump-1"),
                                           .device = { .number = 1 } };
        CU_ASSERT_TRUE_FATAL(
            cm_csr_read(csr, &batch.arena, &requests[i].csr, &requests[i].refusal));
    }
}

static void end(void)
{
    for (uint32_t i = 0; i < batch.requests_count; i++)
        if (requests[i].has_claim)
            cm_clones_release(&engine.clones, requests[i].key_fingerprint, 0);
    cm_certificate_number number = 0;
    CU_ASSERT_EQUAL(cm_clones_claim(&engine.clones, requests[0].key_fingerprint,
                                    cm_bytes_str("another"), &number),
                    number == 0 ? CM_CLONE_NEW : CM_CLONE_KNOWN); /* every claim was let go */
    cm_proof_free(worker.proof);
    cm_arena_done(&batch.arena);
    cm_clones_done(&engine.clones);
}

/* Certified after the snapshot was taken: by the other device perhaps. */
static void test_a_key_whose_certificate_is_not_in_the_snapshot_yet_comes_again(void)
{
    begin(CM_OPERATION_ISSUE, 1);
    cm_clones_add(&engine.clones, cm_clones_fingerprint(requests[0].csr.spki), CERTIFICATE);
    cm_prove(&batch, &worker);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_GIVEN_BACK);
    end();
}

static void test_where_keys_may_be_used_again_a_device_may_ask_twice_at_once(void)
{
    begin(CM_OPERATION_ISSUE, 2);
    cm_prove(&batch, &worker);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_OPEN);
    CU_ASSERT_EQUAL(requests[1].outcome, CM_OUTCOME_OPEN);
    end();
}

static void test_where_they_may_not_the_first_of_two_at_once_gets_the_key(void)
{
    begin(CM_OPERATION_ISSUE, 3);
    group.reuse_key = false;
    cm_prove(&batch, &worker);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_OPEN);
    for (int i = 1; i < 3; i++) {
        CU_ASSERT_EQUAL(requests[i].outcome, CM_OUTCOME_REFUSED);
        CU_ASSERT_EQUAL(requests[i].refusal.code, CM_REFUSAL_KEY_REUSED);
    }
    end();
}

static void test_a_key_is_new_to_one_renewal_only(void)
{
    begin(CM_OPERATION_RENEW, 2);
    group.renewal_key = CM_RENEWAL_KEY_NEW;
    cm_prove(&batch, &worker);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_OPEN);
    CU_ASSERT_EQUAL(requests[1].outcome, CM_OUTCOME_REFUSED);
    CU_ASSERT_EQUAL(requests[1].refusal.code, CM_REFUSAL_RENEW_NEW_KEY_REQUIRED);
    end();
}

CM_TEST_SUITE(engine_prove,
              CM_TEST(test_a_key_whose_certificate_is_not_in_the_snapshot_yet_comes_again),
              CM_TEST(test_where_keys_may_be_used_again_a_device_may_ask_twice_at_once),
              CM_TEST(test_where_they_may_not_the_first_of_two_at_once_gets_the_key),
              CM_TEST(test_a_key_is_new_to_one_renewal_only));
