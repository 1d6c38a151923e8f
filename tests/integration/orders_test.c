/*
 * Orders through every station: carried out once, by whom may, with certificates being issued beside them.
 * The store is looked at afterwards.
 */
#include "tests/integration/engine_rig.h"

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

#include <stdio.h>

enum { EVERYTHING = (1u << CM_OPERATION_COUNT) - 1 };

static void deploy(void)
{
    rig_deploy();
    rig_operations = EVERYTHING;
    rig_remembers_refusals = true;
}

static void issue(const char *id, int device)
{
    rig_push(id, rig_device(device), rig_csrs[device]);
}

static void order(const char *id, const char *op, const char *device)
{
    rig_push_fields((const char *const[]){ "id", id, "op", op, "device", device, NULL });
}

static void revoke(const char *id, const char *serial, const char *reason)
{
    rig_push_fields((const char *const[]){ "id", id, "op", "revoke", "serial", serial, "reason",
                                           reason, NULL });
}

static enum cm_answer_status status_of(const char *id)
{
    const struct cm_answer *answer = rig_answer(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    return answer->status;
}

/* Prints what was not expected. */
static void expect_code(const char *id, enum cm_refusal_code code)
{
    const struct cm_answer *answer = rig_answer(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    if (answer->code != code)
        printf("  %s: %s, expected %s\n", id, cm_refusal_name(answer->code), cm_refusal_name(code));
    CU_ASSERT_EQUAL(answer->code, code);
    CU_ASSERT_EQUAL(answer->status, CM_ANSWER_REFUSED);
}

/* The serial of a certificate that was issued, in hexadecimal and as its INTEGER. */
static const char *serial_of(const char *id, struct cm_bytes *ret_serial)
{
    const struct cm_answer *answer = rig_answer(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    CU_ASSERT_EQUAL_FATAL(answer->status, CM_ANSWER_ISSUED);
    char *text = cm_arena_alloc(&rig_arena, 2 * answer->serial.size + 1);
    cm_hex_encode(answer->serial, text);
    *ret_serial = cm_arena_copy(&rig_arena, answer->serial);
    return text;
}

static enum cm_reason reason_of(struct cm_bytes serial)
{
    struct cm_revocation found;
    CU_ASSERT_TRUE_FATAL(rig_find_revocation(serial, &found));
    return found.reason;
}

static void test_orders_about_a_device_hold_free_and_end_it(void)
{
    struct cm_bytes first;
    deploy();
    rig_open("");
    issue("dev-first", 0);
    rig_run(1);
    serial_of("dev-first", &first);
    order("dev-hold", "quarantine", "dev-0");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("dev-hold"), CM_ANSWER_DONE);
    issue("dev-none", 0);
    rig_run(1);
    expect_code("dev-none", CM_REFUSAL_POLICY_DEVICE_STATE);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(first), CM_REASON_CERTIFICATE_HOLD);
    rig_open("");
    order("dev-free", "reinstate", "dev-0");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("dev-free"), CM_ANSWER_DONE);
    issue("dev-again", 0);
    order("dev-free-twice", "reinstate", "dev-1");
    rig_run(2);
    CU_ASSERT_EQUAL(status_of("dev-again"), CM_ANSWER_ISSUED);
    expect_code("dev-free-twice", CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    order("dev-end", "retire", "dev-0");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("dev-end"), CM_ANSWER_DONE);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(first), CM_REASON_CESSATION_OF_OPERATION);
    CU_ASSERT_EQUAL(rig_audit_count("quarantine", "requester:local"), 1);
    CU_ASSERT_EQUAL(rig_audit_count("retire", "requester:local"), 1);
}

static void test_a_certificate_is_revoked_by_its_serial(void)
{
    struct cm_bytes serial, other;
    struct cm_revocation found;
    deploy();
    rig_open("");
    issue("serial-0", 0);
    issue("serial-1", 1);
    rig_run(2);
    serial_of("serial-1", &other);
    rig_push_fields((const char *const[]){ "id", "serial-revoke", "op", "revoke", "serial",
                                           serial_of("serial-0", &serial), "reason",
                                           "keyCompromise", "why", "stolen", NULL });
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("serial-revoke"), CM_ANSWER_DONE);
    CU_ASSERT_EQUAL(rig_answer("serial-revoke")->certificate.size, 0);
    issue("serial-2", 0); /* the device has done nothing wrong */
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("serial-2"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(serial), CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_FALSE(rig_find_revocation(other, &found));
}

static void test_an_order_again_gets_the_same_answer_and_takes_place_once(void)
{
    deploy();
    rig_open("");
    order("again-1", "quarantine", "dev-0");
    revoke("again-2", "0abc", "superseded");
    rig_run(2);
    order("again-1", "quarantine", "dev-0");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("again-1"), CM_ANSWER_DONE);
    rig_close();
    rig_open("");
    order("again-1", "quarantine", "dev-0");
    revoke("again-2", "0abc", "superseded");
    rig_run(2);
    CU_ASSERT_EQUAL(status_of("again-1"), CM_ANSWER_DONE);
    expect_code("again-2", CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    CU_ASSERT_EQUAL(rig_answers_count("again-1"), 3);
    order("again-1", "quarantine", "dev-1");
    revoke("again-2", "0abc", "keyCompromise");
    rig_run(2);
    expect_code("again-1", CM_REFUSAL_REQUEST_ID_REUSED);
    expect_code("again-2", CM_REFUSAL_REQUEST_ID_REUSED);
    rig_close();
    CU_ASSERT_EQUAL(rig_audit_count("quarantine", "requester:local"), 1);
    CU_ASSERT_EQUAL(rig_count().refusals, 1);
}

static void test_why_is_part_of_the_content(void)
{
    deploy();
    rig_open("");
    rig_push_fields((const char *const[]){ "id", "why-1", "op", "retire", "device", "dev-0", "why",
                                           "sold", NULL });
    rig_run(1);
    rig_push_fields((const char *const[]){ "id", "why-1", "op", "retire", "device", "dev-0", "why",
                                           "lost", NULL });
    rig_run(1);
    expect_code("why-1", CM_REFUSAL_REQUEST_ID_REUSED);
    rig_close();
}

static void test_a_requester_orders_what_its_settings_say(void)
{
    deploy();
    rig_operations = 0; /* as they are: issue */
    rig_open("");
    order("right-1", "quarantine", "dev-0");
    issue("right-2", 0);
    rig_run(2);
    expect_code("right-1", CM_REFUSAL_POLICY_OPERATION_NOT_ALLOWED);
    CU_ASSERT_EQUAL(status_of("right-2"), CM_ANSWER_ISSUED);
    rig_close();
    rig_operations = CM_OPERATION_BIT(CM_OPERATION_REVOKE);
    rig_open("");
    issue("right-3", 1);
    order("right-4", "retire", "dev-1");
    order("right-5", "revoke", "dev-0");
    rig_run(3);
    expect_code("right-3", CM_REFUSAL_POLICY_OPERATION_NOT_ALLOWED);
    expect_code("right-4", CM_REFUSAL_POLICY_OPERATION_NOT_ALLOWED);
    CU_ASSERT_EQUAL(status_of("right-5"), CM_ANSWER_DONE);
    rig_close();
    CU_ASSERT_EQUAL(rig_audit_count("retire", "requester:local"), 0);
}

static void test_a_requester_without_groups_orders_nothing(void)
{
    struct cm_bytes serial;
    struct cm_revocation found;
    deploy();
    rig_open("");
    issue("groups-1", 0);
    rig_run(1);
    const char *text = serial_of("groups-1", &serial);
    rig_close();
    rig_has_no_groups = true;
    rig_open("");
    order("groups-2", "quarantine", "dev-0");
    revoke("groups-3", text, "superseded");
    rig_run(2);
    expect_code("groups-2", CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    expect_code("groups-3", CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    rig_close();
    CU_ASSERT_FALSE(rig_find_revocation(serial, &found));
}

/* While there is such a file, the fake provider does what its script says. */
static const char *switch_path(void)
{
    return cm_arena_printf(&rig_arena, "%s/switch", cm_test_scratch());
}

static const char *script_with_switch(const char *name, const char *more)
{
    return cm_arena_printf(&rig_arena, "%s=%s %s", name, switch_path(), more);
}

static void turn_on(void)
{
    FILE *file = fopen(switch_path(), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
}

static void turn_off(void)
{
    CU_ASSERT_EQUAL_FATAL(remove(switch_path()), 0);
}

/* What was decided from the snapshot of their batch is not so any more as it is recorded. */
static void test_a_device_that_is_held_while_its_request_is_signed_gets_no_certificate(void)
{
    deploy();
    rig_open(script_with_switch("holds", ""));
    turn_on();
    for (int i = 0; i < RIG_DEVICES; i++)
        issue(cm_arena_printf(&rig_arena, "mixed-%d", i), i);
    rig_run_until_promised(RIG_DEVICES);
    order("mixed-hold", "quarantine", "dev-3");
    order("mixed-end", "retire", "dev-30");
    revoke("mixed-unknown", "0abc", "superseded");
    rig_run(3);
    turn_off();
    rig_run(RIG_DEVICES);
    for (int i = 0; i < RIG_DEVICES; i++) {
        const char *id = cm_arena_printf(&rig_arena, "mixed-%d", i);
        if (i == 3 || i == 30)
            expect_code(id, CM_REFUSAL_POLICY_DEVICE_STATE);
        else
            CU_ASSERT_EQUAL(status_of(id), CM_ANSWER_ISSUED);
    }
    CU_ASSERT_EQUAL(status_of("mixed-hold"), CM_ANSWER_DONE);
    CU_ASSERT_EQUAL(status_of("mixed-end"), CM_ANSWER_DONE);
    expect_code("mixed-unknown", CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    issue("mixed-3", 3); /* and the same again */
    rig_run(1);
    expect_code("mixed-3", CM_REFUSAL_POLICY_DEVICE_STATE);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, RIG_DEVICES - 2);
    CU_ASSERT_EQUAL(rig_count().abandoned, 2);
    CU_ASSERT_EQUAL(rig_count().open_intents, 0);
    CU_ASSERT_EQUAL(rig_count().refusals, 3);
    CU_ASSERT_EQUAL(rig_signatures_count(), RIG_DEVICES);
}

/* The device may ask again, under the same id: what it gets then is another certificate. */
static void
test_a_device_that_is_revoked_while_its_request_is_signed_gets_no_certificate_of_that(void)
{
    deploy();
    rig_open(script_with_switch("holds", ""));
    turn_on();
    issue("meanwhile-0", 0);
    issue("meanwhile-1", 1);
    rig_run_until_promised(2);
    rig_push_fields((const char *const[]){ "id", "meanwhile-order", "op", "revoke", "device",
                                           "dev-0", "reason", "keyCompromise", NULL });
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("meanwhile-order"), CM_ANSWER_DONE);
    turn_off();
    rig_run(2);
    expect_code("meanwhile-0", CM_REFUSAL_POLICY_DEVICE_REVOKED);
    CU_ASSERT_EQUAL(status_of("meanwhile-1"), CM_ANSWER_ISSUED);
    issue("meanwhile-0", 0);
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("meanwhile-0"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, 2);
    CU_ASSERT_EQUAL(rig_count().abandoned, 1);
    CU_ASSERT_EQUAL(rig_count().open_intents, 0);
}

static void test_an_order_beside_requests_is_answered_while_their_key_is_away(void)
{
    struct cm_bytes serial;
    deploy();
    rig_open(script_with_switch("away", ""));
    issue("away-first", 0);
    rig_run(1);
    const char *hex = serial_of("away-first", &serial);
    turn_on();
    issue("away-waits", 1);
    revoke("away-order", hex, "keyCompromise");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("away-order"), CM_ANSWER_DONE);
    CU_ASSERT_PTR_NULL(rig_answer("away-waits"));
    revoke("away-order", hex, "keyCompromise"); /* and once more, from the store */
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("away-order"), CM_ANSWER_DONE);
    turn_off();
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("away-waits"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(serial), CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(rig_audit_count("revoke", "requester:local"), 1);
}

/* Batches of one: as many requests hang on their key as there are batches for them. */
static void test_an_order_finds_a_batch_while_all_others_hang_on_a_key(void)
{
    enum { BATCHES = 8 + 1 };
    struct cm_bytes serial;
    deploy();
    rig_open(script_with_switch("away", "items-max=1"));
    issue("full-first", 0);
    rig_run(1);
    const char *hex = serial_of("full-first", &serial);
    turn_on();
    for (int i = 0; i < BATCHES; i++)
        issue(cm_arena_printf(&rig_arena, "full-%d", i), i);
    revoke("full-order", hex, "keyCompromise");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("full-order"), CM_ANSWER_DONE);
    order("full-hold", "quarantine", "dev-20"); /* its batch came free again */
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("full-hold"), CM_ANSWER_DONE);
    turn_off();
    rig_run(BATCHES);
    for (int i = 0; i < BATCHES; i++)
        CU_ASSERT_EQUAL(status_of(cm_arena_printf(&rig_arena, "full-%d", i)), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(serial), CM_REASON_KEY_COMPROMISE);
}

/* The queue gives no more of them than there is room for: the order stands behind all the others. */
static void test_an_order_behind_more_than_the_engine_reads_does_not_wait_for_a_key(void)
{
    enum { CERTIFICATES = RIG_DEVICES - 1 };
    deploy();
    rig_open(script_with_switch("away", "items-max=1"));
    turn_on();
    for (int i = 0; i < CERTIFICATES; i++)
        issue(cm_arena_printf(&rig_arena, "behind-%d", i), i);
    order("behind-hold", "quarantine", rig_device(CERTIFICATES));
    order("behind-hold", "quarantine", rig_device(CERTIFICATES));
    rig_run(2);
    CU_ASSERT_EQUAL(status_of("behind-hold"), CM_ANSWER_DONE);
    order("hold-3", "quarantine", "dev-3"); /* whose request is one of those that wait */
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("hold-3"), CM_ANSWER_DONE);
    turn_off();
    rig_run(CERTIFICATES);
    for (int i = 0; i < CERTIFICATES; i++) {
        const char *id = cm_arena_printf(&rig_arena, "behind-%d", i);
        CU_ASSERT_EQUAL(rig_answers_count(id), 1);
        if (i == 3)
            expect_code(id, CM_REFUSAL_POLICY_DEVICE_STATE);
        else
            CU_ASSERT_EQUAL(status_of(id), CM_ANSWER_ISSUED);
    }
    rig_close();
    CU_ASSERT_EQUAL(rig_audit_count("quarantine", "requester:local"), 2);
    CU_ASSERT_EQUAL(rig_count().certificates, CERTIFICATES - 1);
}

/* The promise of an engine before this one is kept, and the certificate denied. */
static void test_a_promise_to_a_device_that_is_held_meanwhile_is_settled(void)
{
    deploy();
    rig_open("dies=1");
    issue("promise-1", 0);
    rig_run(1);
    issue("promise-2", 1);
    rig_run_until_promised(1);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().open_intents, 1);
    rig_open(script_with_switch("holds", ""));
    turn_on();
    order("promise-hold", "quarantine", "dev-1");
    rig_run(1);
    turn_off();
    rig_run(1);
    expect_code("promise-2", CM_REFUSAL_POLICY_DEVICE_STATE);
    CU_ASSERT_EQUAL(status_of("promise-hold"), CM_ANSWER_DONE);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, 1);
}

static void test_texts_that_are_wrong_are_refused(void)
{
    static const struct {
        const char *fields[10];
        enum cm_refusal_code code;
    } rows[] = {
        { { "op", "revoke" }, CM_REFUSAL_REQUEST_FIELD_MISSING },
        { { "op", "retire", "serial", "01" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "revoke", "serial", "xy" }, CM_REFUSAL_REQUEST_SERIAL_INVALID },
        { { "op", "revoke", "device", "dev-0", "reason", "removeFromCRL" },
          CM_REFUSAL_REQUEST_REASON_INVALID },
        { { "op", "revoke", "device", "dev-0", "csr", "x" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "retire", "device", "dev-0", "profile", "x" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "issue", "device", "dev-0", "csr", "x", "reason", "superseded" },
          CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "device", "dev-0", "csr", "x", "why", "" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "retire", "device", "dev-0", "why", "a\nb" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "retire", "device", "dev-0", "priority", "now" },
          CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "retire", "device", "dev-99" }, CM_REFUSAL_REVOKE_DEVICE_UNKNOWN },
        { { "op", "revoke", "device", "dev-0", "invalidity", "99999999999" },
          CM_REFUSAL_REVOKE_DATE_INVALID },
        { { "op", "renew", "device", "dev-0" }, CM_REFUSAL_REQUEST_FIELD_MISSING },
        { { "op", "renew", "csr", "x" }, CM_REFUSAL_REQUEST_FIELD_MISSING },
        { { "op", "renew", "device", "dev-0", "csr", "x", "serial", "" },
          CM_REFUSAL_REQUEST_SERIAL_INVALID },
        { { "op", "renew", "device", "dev-0", "csr", "x", "reason", "superseded" },
          CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "issue", "device", "dev-0", "csr", "x", "serial", "0a" },
          CM_REFUSAL_REQUEST_FIELD_INVALID },
        { { "op", "Revoke", "device", "dev-0" }, CM_REFUSAL_REQUEST_OP_UNKNOWN },
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    deploy();
    rig_open("");
    for (int i = 0; i < ROWS; i++) {
        const char *fields[13] = { "id", cm_arena_printf(&rig_arena, "wrong-%d", i) };
        memcpy(fields + 2, rows[i].fields, sizeof rows[i].fields);
        rig_push_fields(fields);
    }
    rig_run(ROWS);
    for (int i = 0; i < ROWS; i++)
        expect_code(cm_arena_printf(&rig_arena, "wrong-%d", i), rows[i].code);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().revocations, 0);
}

/* By our own clock the certificate is not born yet: that is no reason to leave it good. */
static void test_an_order_by_serial_is_carried_out_while_the_clock_has_gone_back(void)
{
    struct cm_bytes serial;
    deploy();
    rig_open("");
    issue("early-1", 0);
    rig_run(1);
    cm_clock_set_wall_offset_ms(-3600 * 1000);
    revoke("early-2", serial_of("early-1", &serial), "keyCompromise");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("early-2"), CM_ANSWER_DONE);
    cm_clock_set_wall_offset_ms(0);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(serial), CM_REASON_KEY_COMPROMISE);
}

/* Which of the two is wrong, the date in the order or our clock, shows when the clock is right. */
static void test_an_order_with_a_date_ahead_waits_for_a_clock_that_has_gone_back(void)
{
    struct cm_bytes serial;
    deploy();
    rig_open("");
    issue("clock-1", 0);
    rig_run(1);
    const char *now = cm_arena_printf(&rig_arena, "%lld", (long long)cm_clock_wall_s());
    const char *fields[13] = { "op",         "revoke", "id",
                               "clock-2",    "serial", serial_of("clock-1", &serial),
                               "invalidity", now };
    cm_clock_set_wall_offset_ms(-3600 * 1000);
    rig_push_fields(fields);
    rig_pause(200);
    CU_ASSERT_PTR_NULL(rig_answer("clock-2"));
    cm_clock_set_wall_offset_ms(0);
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("clock-2"), CM_ANSWER_DONE);
    rig_close();
    CU_ASSERT_EQUAL(reason_of(serial), CM_REASON_UNSPECIFIED);
}

CM_TEST_SUITE_WITH(
    orders, rig_set_up, rig_tear_down, CM_TEST(test_orders_about_a_device_hold_free_and_end_it),
    CM_TEST(test_a_certificate_is_revoked_by_its_serial),
    CM_TEST(test_an_order_again_gets_the_same_answer_and_takes_place_once),
    CM_TEST(test_why_is_part_of_the_content),
    CM_TEST(test_a_requester_orders_what_its_settings_say),
    CM_TEST(test_a_requester_without_groups_orders_nothing),
    CM_TEST(test_a_device_that_is_held_while_its_request_is_signed_gets_no_certificate),
    CM_TEST(test_a_device_that_is_revoked_while_its_request_is_signed_gets_no_certificate_of_that),
    CM_TEST(test_an_order_beside_requests_is_answered_while_their_key_is_away),
    CM_TEST(test_an_order_finds_a_batch_while_all_others_hang_on_a_key),
    CM_TEST(test_an_order_behind_more_than_the_engine_reads_does_not_wait_for_a_key),
    CM_TEST(test_a_promise_to_a_device_that_is_held_meanwhile_is_settled),
    CM_TEST(test_texts_that_are_wrong_are_refused),
    CM_TEST(test_an_order_by_serial_is_carried_out_while_the_clock_has_gone_back),
    CM_TEST(test_an_order_with_a_date_ahead_waits_for_a_clock_that_has_gone_back));
