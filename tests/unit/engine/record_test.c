/*
 * What a batch came to is recorded together, and what the store says of it reaches each request: a
 * certificate that is denied, an order that is refused, a disk that is full.
 */
#include "engine/internal.h"
#include "tests/support/test_main.h"

#include <stdio.h>

enum { REQUESTS_MAX = 8 };

static struct cm_engine engine;
static struct cm_batch batch;
static struct cm_request requests[REQUESTS_MAX];
static struct cm_order orders[REQUESTS_MAX];
static struct cm_issuer_key issuer;
static struct cm_loop *loop;
static struct cm_store_op *submitted; /* NULL: none is out */
static unsigned submitted_count, done_count;
static char notice[CM_ERROR_TEXT_SIZE];

static const struct cm_settings settings = { 0 };
static struct cm_settings_requester requester = { .name = "line-1", .remember_refusals = true };
static const struct cm_settings_group group = { .name = "pumps" };
static struct cm_limit limits[2];

static void submit(struct cm_store *store, struct cm_store_op *op)
{
    (void)store;
    CU_ASSERT_PTR_NULL_FATAL(submitted);
    submitted = op;
    submitted_count++;
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    (void)event;
    (void)arg;
    snprintf(notice, sizeof notice, "%s", text);
}

static void on_done(struct cm_batch *recorded)
{
    CU_ASSERT_PTR_EQUAL(recorded, &batch);
    done_count++;
}

static void open(void)
{
    static const struct cm_store_ops ops = { .name = "fake", .submit = submit };
    static struct cm_store store = { .ops = &ops };
    static struct cm_settings changed;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    changed = settings;
    changed.requesters = &requester;
    changed.groups = &group;
    issuer = (struct cm_issuer_key){ .generation_number = 7, .issuer = { .not_after_s = 4711 } };
    engine = (struct cm_engine){ .state = CM_ENGINE_IS_RUNNING,
                                 .loop = loop,
                                 .settings = &changed,
                                 .store = &store,
                                 .requester_limits = &limits[0],
                                 .group_limits = &limits[1],
                                 .issuers = { .keys = &issuer, .keys_count = 1 },
                                 .options = { .on_event = on_event } };
    memset(requests, 0, sizeof requests);
    memset(orders, 0, sizeof orders);
    batch = (struct cm_batch){ .engine = &engine, .requests = requests };
    cm_arena_init(&batch.arena, 4096);
    submitted = NULL;
    submitted_count = done_count = 0;
}

static void close(void)
{
    CU_ASSERT_PTR_NULL(submitted);
    cm_timer_done(&batch.retry);
    cm_arena_done(&batch.arena);
    cm_promises_done(&engine.promises);
    cm_loop_free(loop);
}

static struct cm_request *add(enum cm_request_outcome outcome)
{
    struct cm_request *request = &requests[batch.requests_count];
    uint8_t number = (uint8_t)++batch.requests_count;
    *request = (struct cm_request){ .outcome = outcome,
                                    .has_key = true,
                                    .key = { .octets = { number } },
                                    .requester = &requester,
                                    .group = &group,
                                    .issuer = &issuer,
                                    .device = { .number = number },
                                    .device_id = cm_bytes_str("pump"),
                                    .serial = { .octets = { number } } };
    if (outcome == CM_OUTCOME_ORDERED)
        request->order = &orders[number - 1];
    return request;
}

static void finish(cm_status status)
{
    struct cm_store_op *op = submitted;
    CU_ASSERT_PTR_NOT_NULL_FATAL(op);
    submitted = NULL;
    op->status = status;
    snprintf(op->err.text, sizeof op->err.text, "what the store says");
    op->done(op);
}

static void test_a_denied_certificate_is_left_out_and_the_rest_is_recorded(void)
{
    open();
    add(CM_OUTCOME_REPEATED);
    add(CM_OUTCOME_ISSUED);
    struct cm_request *denied = add(CM_OUTCOME_ISSUED);
    add(CM_OUTCOME_ISSUED);
    cm_record(&batch, on_done);
    CU_ASSERT_EQUAL(submitted->certificates_count, 3);
    submitted->certificates[1].denial = CM_DENIAL_STATE;
    finish(CM_DENIED);
    CU_ASSERT_EQUAL(submitted->certificates_count, 2);
    CU_ASSERT_EQUAL(submitted->refusals_count, 1);
    CU_ASSERT_EQUAL_FATAL(submitted->abandoned_count, 1);
    CU_ASSERT_EQUAL(submitted->abandoned[0].serial.octets[0], 3);
    CU_ASSERT_EQUAL(submitted->abandoned[0].not_after_s, 4711);
    finish(CM_OK);
    CU_ASSERT_EQUAL(done_count, 1);
    CU_ASSERT_EQUAL(denied->outcome, CM_OUTCOME_REFUSED);
    CU_ASSERT_EQUAL(denied->refusal.code, CM_REFUSAL_POLICY_DEVICE_STATE);
    CU_ASSERT_EQUAL(requests[1].outcome, CM_OUTCOME_ISSUED);
    CU_ASSERT_EQUAL(requests[3].outcome, CM_OUTCOME_ISSUED);
    CU_ASSERT_EQUAL(engine.revocation_looks_count, 1); /* its serial is revoked */
    close();
}

static void test_all_that_are_denied_are_left_out_at_once(void)
{
    open();
    for (int i = 0; i < 4; i++)
        add(CM_OUTCOME_ISSUED);
    cm_record(&batch, on_done);
    submitted->certificates[0].denial = CM_DENIAL_STATE;
    submitted->certificates[2].denial = CM_DENIAL_REVOKED;
    submitted->certificates[3].denial = CM_DENIAL_STATE;
    finish(CM_DENIED);
    CU_ASSERT_EQUAL(submitted->certificates_count, 1);
    CU_ASSERT_EQUAL(submitted->certificates[0].serial.octets[0], 2);
    CU_ASSERT_EQUAL(submitted->certificates[0].denial, CM_DENIAL_NONE);
    CU_ASSERT_EQUAL(submitted->abandoned_count, 3);
    finish(CM_OK);
    CU_ASSERT_EQUAL(submitted_count, 2);
    CU_ASSERT_EQUAL(requests[0].refusal.code, CM_REFUSAL_POLICY_DEVICE_STATE);
    CU_ASSERT_EQUAL(requests[1].outcome, CM_OUTCOME_ISSUED);
    CU_ASSERT_EQUAL(requests[2].refusal.code, CM_REFUSAL_POLICY_DEVICE_REVOKED);
    CU_ASSERT_EQUAL(requests[3].refusal.code, CM_REFUSAL_POLICY_DEVICE_STATE);
    close();
}

static void test_all_certificates_may_be_denied(void)
{
    open();
    for (int i = 0; i < 3; i++)
        add(CM_OUTCOME_ISSUED);
    cm_record(&batch, on_done);
    for (int i = 0; i < 3; i++)
        submitted->certificates[i].denial = CM_DENIAL_STATE;
    finish(CM_DENIED);
    CU_ASSERT_EQUAL(submitted->certificates_count, 0);
    CU_ASSERT_EQUAL(submitted->abandoned_count, 3);
    finish(CM_OK);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(requests[i].refusal.code, CM_REFUSAL_POLICY_DEVICE_STATE);
    close();
}

/* An engine before this one promised the serial: it is abandoned once, and its intent closed. */
static void test_a_kept_promise_of_a_denied_certificate_is_settled(void)
{
    const struct cm_intent intent = { .number = 12, .generation_number = 7 };
    const struct cm_intent_item item = { .key = { .octets = { 1 } },
                                         .serial = { .octets = { 1 } } };
    open();
    struct cm_request *request = add(CM_OUTCOME_ISSUED);
    request->keeps_promise = true;
    request->promise = cm_promises_add(&engine.promises, &intent, &item);
    cm_promise_hold(request->promise);
    cm_record(&batch, on_done);
    submitted->certificates[0].denial = CM_DENIAL_STATE;
    finish(CM_DENIED);
    CU_ASSERT_EQUAL(submitted->abandoned_count, 1);
    CU_ASSERT_EQUAL_FATAL(submitted->intents_closed_count, 1);
    CU_ASSERT_EQUAL(submitted->intents_closed[0], 12);
    finish(CM_OK);
    CU_ASSERT_EQUAL(engine.promises.open_count, 0);
    cm_promise_let_go(request->promise);
    close();
}

static void test_an_order_that_is_refused_is_remembered_by_a_second_operation(void)
{
    open();
    add(CM_OUTCOME_ORDERED);
    struct cm_request *refused = add(CM_OUTCOME_ORDERED);
    add(CM_OUTCOME_ISSUED);
    cm_record(&batch, on_done);
    CU_ASSERT_EQUAL_FATAL(submitted->orders_count, 2);
    CU_ASSERT_PTR_NOT_NULL(submitted->audit);
    submitted->orders[1].code = CM_REFUSAL_REVOKE_SERIAL_UNKNOWN;
    snprintf(submitted->orders[1].message, CM_REFUSAL_MESSAGE_SIZE, "100%% unknown");
    finish(CM_OK);
    CU_ASSERT_EQUAL(submitted->orders_count + submitted->certificates_count, 0);
    CU_ASSERT_EQUAL_FATAL(submitted->refusals_count, 1);
    CU_ASSERT_EQUAL(submitted->refusals[0].key.octets[0], 2);
    CU_ASSERT_EQUAL(submitted->refusals[0].code, CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    CU_ASSERT_EQUAL(done_count, 0); /* it is not durable yet */
    finish(CM_OK);
    CU_ASSERT_EQUAL(done_count, 1);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_ORDERED);
    CU_ASSERT_EQUAL(refused->outcome, CM_OUTCOME_REFUSED);
    CU_ASSERT_STRING_EQUAL(refused->refusal.message, "100% unknown");
    CU_ASSERT_EQUAL(engine.revocation_looks_count, 1);
    close();
}

static void test_nothing_but_orders_needs_no_audit_row_of_the_batch(void)
{
    open();
    requester.remember_refusals = false;
    add(CM_OUTCOME_ORDERED);
    cm_record(&batch, on_done);
    CU_ASSERT_PTR_NULL(submitted->audit);
    submitted->orders[0].code = CM_REFUSAL_REVOKE_NOT_ON_HOLD;
    finish(CM_OK);
    CU_ASSERT_EQUAL(submitted_count, 1); /* its requester wants no refusal remembered */
    CU_ASSERT_EQUAL(done_count, 1);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_REFUSED);
    CU_ASSERT_EQUAL(engine.revocation_looks_count, 0);
    requester.remember_refusals = true;
    close();
}

/* The order's date is the engine's own, which is what is wrong. */
static void test_a_date_that_is_wrong_by_a_suspect_clock_gives_the_order_back(void)
{
    for (int is_suspect = 0; is_suspect < 2; is_suspect++) {
        open();
        batch.clock_suspect = is_suspect;
        add(CM_OUTCOME_ORDERED);
        cm_record(&batch, on_done);
        submitted->orders[0].code = CM_REFUSAL_REVOKE_DATE_INVALID;
        finish(CM_OK);
        CU_ASSERT_EQUAL(requests[0].outcome,
                        is_suspect ? CM_OUTCOME_GIVEN_BACK : CM_OUTCOME_REFUSED);
        if (!is_suspect)
            finish(CM_OK);
        CU_ASSERT_EQUAL(done_count, 1);
        close();
    }
}

static void test_a_store_that_knows_one_of_them_gives_all_back(void)
{
    open();
    add(CM_OUTCOME_ORDERED);
    add(CM_OUTCOME_ISSUED);
    cm_record(&batch, on_done);
    finish(CM_EXISTS);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_GIVEN_BACK);
    CU_ASSERT_EQUAL(requests[1].outcome, CM_OUTCOME_GIVEN_BACK);
    CU_ASSERT_EQUAL(engine.revocation_looks_count, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(notice, "given back"));
    close();
}

static void test_a_full_disk_is_waited_for(void)
{
    open();
    add(CM_OUTCOME_ORDERED);
    cm_record(&batch, on_done);
    finish(CM_IO);
    CU_ASSERT_EQUAL(done_count, 0);
    CU_ASSERT_TRUE(cm_timer_is_running(&batch.retry));
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_ORDERED);
    close();
}

CM_TEST_SUITE(record, CM_TEST(test_a_denied_certificate_is_left_out_and_the_rest_is_recorded),
              CM_TEST(test_all_that_are_denied_are_left_out_at_once),
              CM_TEST(test_all_certificates_may_be_denied),
              CM_TEST(test_a_kept_promise_of_a_denied_certificate_is_settled),
              CM_TEST(test_an_order_that_is_refused_is_remembered_by_a_second_operation),
              CM_TEST(test_nothing_but_orders_needs_no_audit_row_of_the_batch),
              CM_TEST(test_a_date_that_is_wrong_by_a_suspect_clock_gives_the_order_back),
              CM_TEST(test_a_store_that_knows_one_of_them_gives_all_back),
              CM_TEST(test_a_full_disk_is_waited_for));
