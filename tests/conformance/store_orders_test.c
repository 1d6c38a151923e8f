/* The store's contract: orders about one certificate, revocations, and what is remembered of both. */
#include "tests/conformance/store_orders.h"

#include <stdio.h>
#include <time.h>

#include "tests/support/test_main.h"

static struct fixture f;
static struct record record_a;

static void make(const char *name)
{
    fixture_make(&f, name);
    orders_put_devices(&f, 4);
    orders_record(&f, 1, 20, 4);
}

/* Applied, and the code that came of it. */
static enum cm_refusal_code code_of(struct cm_order *order)
{
    CU_ASSERT_EQUAL(order_apply(&f, order), CM_OK);
    return order->code;
}

static enum cm_refusal_code revoke(unsigned n, enum cm_reason reason)
{
    struct cm_order order = order_for_serial(n, reason);
    return code_of(&order);
}

/* --------------------------------------------------------------- one certificate -- */

static void test_a_revoked_certificate_is_revoked_after_a_restart(void)
{
    make("revoked");
    struct cm_order order = order_for_serial(3, CM_REASON_SUPERSEDED);
    order.invalidity_s = ORDER_TIME_S - 100;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    CU_ASSERT_EQUAL(order.devices_changed, 0);
    fixture_reopen(&f);
    struct cm_revocation standing = order_standing(&f, 3);
    CU_ASSERT_EQUAL(standing.revision, 1);
    CU_ASSERT_EQUAL(standing.generation_number, 1);
    CU_ASSERT_EQUAL(standing.reason, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(standing.revoked_s, ORDER_TIME_S);
    CU_ASSERT_EQUAL(standing.invalidity_s, ORDER_TIME_S - 100);
    CU_ASSERT_EQUAL(standing.not_after_s, 4000000000);
    CU_ASSERT_EQUAL(order_reason(&f, 4), -1);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 1);
    fixture_done(&f);
}

static void test_a_revoked_certificate_keeps_its_first_date_and_reason(void)
{
    make("again");
    CU_ASSERT_EQUAL(revoke(3, CM_REASON_SUPERSEDED), CM_REFUSAL_NONE);
    struct cm_order order = order_for_serial(3, CM_REASON_CESSATION_OF_OPERATION);
    order.time_s += 50;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 0);
    CU_ASSERT_EQUAL(order_standing(&f, 3).revision, 1);
    CU_ASSERT_EQUAL(revoke(3, CM_REASON_CERTIFICATE_HOLD), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_reason(&f, 3), CM_REASON_SUPERSEDED);
    order = order_for_serial(3, CM_REASON_KEY_COMPROMISE); /* but this is worse */
    order.time_s += 50;
    order.invalidity_s = ORDER_TIME_S - 7;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    struct cm_revocation standing = order_standing(&f, 3);
    CU_ASSERT_EQUAL(standing.reason, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(standing.revoked_s, ORDER_TIME_S);
    CU_ASSERT_EQUAL(standing.invalidity_s, ORDER_TIME_S - 7);
    CU_ASSERT_EQUAL(standing.revision, 2);
    CU_ASSERT_EQUAL(revoke(3, CM_REASON_SUPERSEDED), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_standing(&f, 3).revision, 2);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 1);
    fixture_done(&f);
}

static void test_a_certificate_on_hold_may_be_revoked_and_keeps_the_date_of_the_hold(void)
{
    make("hold");
    struct cm_order hold = order_for_serial(3, CM_REASON_CERTIFICATE_HOLD);
    hold.invalidity_s = ORDER_TIME_S - 9;
    CU_ASSERT_EQUAL(code_of(&hold), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_reason(&f, 3), CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(revoke(3, CM_REASON_CERTIFICATE_HOLD), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_standing(&f, 3).revision, 1);
    struct cm_order order = order_for_serial(3, CM_REASON_PRIVILEGE_WITHDRAWN);
    order.time_s += 50;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    struct cm_revocation standing = order_standing(&f, 3);
    CU_ASSERT_EQUAL(standing.reason, CM_REASON_PRIVILEGE_WITHDRAWN);
    CU_ASSERT_EQUAL(standing.invalidity_s, ORDER_TIME_S - 9);
    CU_ASSERT_EQUAL(standing.revoked_s, ORDER_TIME_S);
    fixture_done(&f);
}

static void test_a_certificate_that_has_ended_is_left_alone(void)
{
    make("ended");
    record_fill(&record_a, 50, 1);
    record_a.rows[0].not_after = ORDER_TIME_S;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    struct cm_order order = order_for_serial(50, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 0);
    fixture_done(&f);
}

/* ---------------------------------------------------------------- what is refused -- */

static void test_a_serial_that_is_not_ours_is_refused(void)
{
    static const uint8_t other[] = { 5 };
    make("unknown");
    CU_ASSERT_EQUAL(revoke(21, CM_REASON_UNSPECIFIED), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    struct cm_order order = order_for_serial(3, CM_REASON_UNSPECIFIED);
    order.serial.size--;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    order.serial = cm_bytes(other, 1);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    struct cm_serial near = row_serial(3); /* all but the last octet */
    near.octets[CM_SERIAL_SIZE - 1]++;
    order.serial = cm_serial_content(&near);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    CU_ASSERT(order.message[0] != '\0');
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).audit_rows, 5); /* devices and certificates */
    fixture_done(&f);
}

static void put_generation(int64_t generation)
{
    struct cm_generation row = fixture_generation(generation);
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &row), CM_OK);
}

static void test_a_certificate_of_another_issuer_is_not_the_one_that_is_named(void)
{
    make("issuer");
    put_generation(1);
    put_generation(2);
    struct cm_order order = order_for_serial(3, CM_REASON_UNSPECIFIED);
    order.issuer = cm_bytes_str("issuing-2");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    order.issuer = cm_bytes_str("nobody-1");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    order.issuer = cm_bytes_str("issuing-1");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    fixture_done(&f);
}

static void test_a_certificate_of_a_group_without_a_right_to_it_is_refused(void)
{
    static const char *const even[] = { "none", "even" };
    make("rights");
    struct cm_order order = order_for_serial(3, CM_REASON_UNSPECIFIED); /* of d3: odd */
    order.groups = even;
    order.groups_count = 2;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    struct cm_order of_even = order_for_serial(4, CM_REASON_UNSPECIFIED);
    of_even.groups = even;
    of_even.groups_count = 2;
    CU_ASSERT_EQUAL(code_of(&of_even), CM_REFUSAL_NONE);
    of_even.groups_count = 0;
    CU_ASSERT_EQUAL(code_of(&of_even), CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    CU_ASSERT_EQUAL(order_reason(&f, 3), -1);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 1);
    fixture_done(&f);
}

static void test_dates_that_cannot_be_are_refused(void)
{
    make("dates");
    const int64_t future_s = (int64_t)time(NULL) + 3600;
    const struct {
        int64_t time_s, invalidity_s;
    } dates[] = { { 0, 0 }, { -5, 0 }, { future_s, 0 }, { ORDER_TIME_S, future_s } };
    for (unsigned i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        struct cm_order order = order_for_serial(3, CM_REASON_UNSPECIFIED);
        order.time_s = dates[i].time_s;
        order.invalidity_s = dates[i].invalidity_s;
        CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_DATE_INVALID);
    }
    struct cm_order order = order_for_serial(3, CM_REASON_UNSPECIFIED);
    order.time_s = order.invalidity_s = FIXTURE_ISSUED_S;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    fixture_done(&f);
}

/* The clock may have gone back since; and a key can be older than its certificate. */
static void test_a_certificate_is_revoked_at_its_issuance_at_the_earliest(void)
{
    make("early");
    struct cm_order order = order_for_serial(3, CM_REASON_KEY_COMPROMISE);
    order.time_s = FIXTURE_ISSUED_S - 1;
    order.invalidity_s = FIXTURE_ISSUED_S - 1000;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_standing(&f, 3).revoked_s, FIXTURE_ISSUED_S);
    CU_ASSERT_EQUAL(order_standing(&f, 3).invalidity_s, FIXTURE_ISSUED_S - 1000);
    fixture_done(&f);
}

static void test_an_order_against_the_contract_is_invalid(void)
{
    static const uint8_t negative[] = { 0x80 }, long_form[] = { 0, 1 }, zero[] = { 0 };
    static const uint8_t octets[21] = { 1 };
    const struct cm_bytes serials[] = { cm_bytes(negative, 1), cm_bytes(long_form, 2),
                                        cm_bytes(zero, 1), cm_bytes(octets, 21) };
    make("contract");
    struct cm_order order = order_for_serial(3, CM_REASON_REMOVE_FROM_CRL);
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_INVALID);
    order.reason = (enum cm_reason)7;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_INVALID);
    order = order_for_serial(3, CM_REASON_UNSPECIFIED);
    order.kind = CM_ORDER_RETIRE;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_INVALID);
    order.kind = CM_ORDER_REVOKE;
    order.group = cm_bytes_str("odd");
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_INVALID);
    order.group = order.serial = cm_bytes(NULL, 0);
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_INVALID);
    for (unsigned i = 0; i < 4; i++) {
        order.serial = serials[i];
        CU_ASSERT_EQUAL(order_apply(&f, &order), CM_INVALID);
    }
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 0);
    fixture_done(&f);
}

/* -------------------------------------------------------------- what is remembered -- */

static void test_an_order_that_was_carried_out_is_recalled_as_one(void)
{
    const struct cm_request_key key = row_key(1000);
    const struct cm_request_digest digest = row_digest(1000);
    make("recalled");
    struct cm_order order = order_for_serial(3, CM_REASON_SUPERSEDED);
    order.key = &key;
    order.digest = &digest;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    fixture_reopen(&f);
    struct cm_recall recall = fixture_recall(&f, 1000);
    CU_ASSERT_TRUE(recall.known);
    CU_ASSERT_TRUE(recall.is_order);
    CU_ASSERT_EQUAL(recall.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(recall.number, 0);
    CU_ASSERT_EQUAL(memcmp(&recall.digest, &digest, sizeof digest), 0);
    CU_ASSERT_FALSE(fixture_recall(&f, 3).is_order);
    CU_ASSERT_EQUAL(fixture_counts(&f).refusals, 0);
    CU_ASSERT_EQUAL(fixture_record(&f, 1000, 1), CM_EXISTS);
    fixture_done(&f);
}

static void test_a_request_key_that_is_used_undoes_the_order(void)
{
    const struct cm_request_key key = row_key(5); /* of a certificate */
    const struct cm_request_digest digest = row_digest(5);
    make("used");
    struct cm_order orders[] = { order_for_serial(3, CM_REASON_SUPERSEDED),
                                 order_for_device(CM_ORDER_REVOKE, "d1") };
    orders[1].key = &key;
    orders[1].digest = &digest;
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = orders, .orders_count = 2 };
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).audit_rows, 5);
    CU_ASSERT_EQUAL(revoke(3, CM_REASON_SUPERSEDED), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_standing(&f, 3).revision, 1);
    fixture_done(&f);
}

static void test_a_refused_order_records_nothing_and_its_neighbours_go_ahead(void)
{
    const struct cm_request_key key = row_key(1000);
    const struct cm_request_digest digest = row_digest(1000);
    struct cm_serial serials[] = { row_serial(3), row_serial(77) };
    make("refused");
    struct cm_order orders[] = { order_for_serial(77, CM_REASON_SUPERSEDED),
                                 order_for_serial(3, CM_REASON_SUPERSEDED) };
    orders[0].serial = cm_serial_content(&serials[1]);
    orders[1].serial = cm_serial_content(&serials[0]);
    orders[0].key = &key;
    orders[0].digest = &digest;
    record_fill(&record_a, 30, 1);
    record_a.op.orders = orders;
    record_a.op.orders_count = 2;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(orders[0].code, CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    CU_ASSERT_EQUAL(orders[1].code, CM_REFUSAL_NONE);
    CU_ASSERT_FALSE(fixture_recall(&f, 1000).known);
    CU_ASSERT_TRUE(fixture_recall(&f, 30).known);
    CU_ASSERT_EQUAL(order_reason(&f, 3), CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(fixture_counts(&f).audit_rows, 7); /* the order's, and the record's */
    fixture_done(&f);
}

static void test_two_orders_of_one_operation_see_each_other(void)
{
    make("two");
    struct cm_order orders[] = { order_for_serial(3, CM_REASON_CERTIFICATE_HOLD),
                                 order_for_serial(3, CM_REASON_KEY_COMPROMISE) };
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = orders, .orders_count = 2 };
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(orders[0].certificates_changed, 1);
    CU_ASSERT_EQUAL(orders[1].certificates_changed, 1);
    CU_ASSERT_EQUAL(order_reason(&f, 3), CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(order_standing(&f, 3).revision, 2);
    fixture_done(&f);
}

static void test_the_audit_log_has_who_and_why(void)
{
    make("audit");
    struct cm_order order = order_for_serial(3, CM_REASON_SUPERSEDED);
    order.invalidity_s = ORDER_TIME_S - 60;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    struct cm_audit_row row = order_audit(&f);
    char hex[2 * CM_SERIAL_SIZE + 1], expected[512];
    cm_hex_encode(order.serial, hex);
    snprintf(expected, sizeof expected,
             "{\"serial\":\"%s\",\"reason\":\"superseded\",\"time\":\"2025-06-15T15:06:40Z\","
             "\"invalidity\":\"2025-06-15T15:05:40Z\",\"why\":\"a \\\"test\\\"\","
             "\"certificates\":1,\"devices\":0}",
             hex);
    CU_ASSERT_STRING_EQUAL(row.kind, "revoke");
    CU_ASSERT_TRUE(cm_bytes_is(row.actor, "tester"));
    CU_ASSERT_TRUE(cm_bytes_is(row.detail, expected));
    order.why = cm_bytes_str("\xff\n");
    order.invalidity_s = 0;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE); /* changes nothing, and says so */
    row = order_audit(&f);
    snprintf(expected, sizeof expected,
             "{\"serial\":\"%s\",\"reason\":\"superseded\",\"time\":\"2025-06-15T15:06:40Z\","
             "\"why\":\"\\\\xff\\\\x0a\",\"certificates\":0,\"devices\":0}",
             hex);
    CU_ASSERT_TRUE(cm_bytes_is(row.detail, expected));
    fixture_done(&f);
}

/* ----------------------------------------------------------------------- revisions -- */

static bool count_later(const struct cm_revocation *revocation, void *arg)
{
    int64_t *last = arg;
    CU_ASSERT(revocation->revision > *last);
    *last = revocation->revision;
    return true;
}

static void test_whoever_has_seen_a_revision_is_shown_what_is_later(void)
{
    int64_t last = 0;
    make("later");
    CU_ASSERT_EQUAL(revoke(1, CM_REASON_SUPERSEDED), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(revoke(2, CM_REASON_CERTIFICATE_HOLD), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(revoke(3, CM_REASON_SUPERSEDED), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(revoke(2, CM_REASON_SUPERSEDED), CM_REFUSAL_NONE); /* 4, in place of 2 */
    struct cm_store_reader *reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(cm_store_walk_revocations(reader, 0, count_later, &last, &f.err), CM_OK);
    CU_ASSERT_EQUAL(last, 4);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 3);
    last = 3;
    reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(cm_store_walk_revocations(reader, 3, count_later, &last, &f.err), CM_OK);
    CU_ASSERT_EQUAL(last, 4);
    cm_store_reader_end(reader); /* outside a snapshot as well */
    last = 4;
    CU_ASSERT_EQUAL(cm_store_walk_revocations(reader, 4, count_later, &last, &f.err), CM_OK);
    CU_ASSERT_EQUAL(last, 4);
    CU_ASSERT_EQUAL(cm_store_reader_begin(reader, &f.err), CM_OK);
    fixture_done(&f);
}

static void test_an_abandoned_serial_is_revoked(void)
{
    struct cm_abandoned_row rows[] = {
        { .serial = row_serial(40), .generation_number = 1, .not_after_s = 2000000000 },
        { .serial = row_serial(41), .generation_number = 1 },
    };
    struct cm_store_op op = {
        .kind = CM_STORE_RECORD, .abandoned = rows, .abandoned_count = 2, .audit = &fixture_audit
    };
    make("abandoned-revoked");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    struct cm_revocation one = order_standing(&f, 40), other = order_standing(&f, 41);
    CU_ASSERT_EQUAL(one.reason, CM_REASON_UNSPECIFIED);
    CU_ASSERT(one.revoked_s > ORDER_TIME_S);
    CU_ASSERT_EQUAL(one.not_after_s, 2000000000);
    CU_ASSERT_EQUAL(other.not_after_s, 253402300799);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 2);
    struct cm_order order = order_for_serial(40, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE); /* it is so already */
    CU_ASSERT_EQUAL(order.certificates_changed, 0);
    fixture_done(&f);
}

CM_TEST_SUITE(store_orders, CM_TEST(test_a_revoked_certificate_is_revoked_after_a_restart),
              CM_TEST(test_a_revoked_certificate_keeps_its_first_date_and_reason),
              CM_TEST(test_a_certificate_on_hold_may_be_revoked_and_keeps_the_date_of_the_hold),
              CM_TEST(test_a_certificate_that_has_ended_is_left_alone),
              CM_TEST(test_a_serial_that_is_not_ours_is_refused),
              CM_TEST(test_a_certificate_of_another_issuer_is_not_the_one_that_is_named),
              CM_TEST(test_a_certificate_of_a_group_without_a_right_to_it_is_refused),
              CM_TEST(test_dates_that_cannot_be_are_refused),
              CM_TEST(test_a_certificate_is_revoked_at_its_issuance_at_the_earliest),
              CM_TEST(test_an_order_against_the_contract_is_invalid),
              CM_TEST(test_an_order_that_was_carried_out_is_recalled_as_one),
              CM_TEST(test_a_request_key_that_is_used_undoes_the_order),
              CM_TEST(test_a_refused_order_records_nothing_and_its_neighbours_go_ahead),
              CM_TEST(test_two_orders_of_one_operation_see_each_other),
              CM_TEST(test_the_audit_log_has_who_and_why),
              CM_TEST(test_whoever_has_seen_a_revision_is_shown_what_is_later),
              CM_TEST(test_an_abandoned_serial_is_revoked));
