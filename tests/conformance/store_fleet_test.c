/* The store's contract: orders about devices and groups, and certificates for devices that they met. */
#include "tests/conformance/store_orders.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

static struct fixture f;
static struct record record_a;

enum { DEVICES = 6 };

/* d1 has the certificates 1, 7, 13, ...; odd numbers are of the group "odd". */
static void make(const char *name)
{
    fixture_make(&f, name);
    orders_put_devices(&f, DEVICES);
    orders_record(&f, 1, 18, DEVICES);
}

static enum cm_refusal_code code_of(struct cm_order *order)
{
    CU_ASSERT_EQUAL(order_apply(&f, order), CM_OK);
    return order->code;
}

static struct cm_order apply_device(enum cm_order_kind kind, const char *device)
{
    struct cm_order order = order_for_device(kind, device);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    return order;
}

static enum cm_device_state state_of(const char *id)
{
    struct cm_device device = { .state = CM_DEVICE_STATE_COUNT };
    CU_ASSERT_EQUAL(
        cm_store_find_device(fixture_snapshot(&f), cm_bytes_str(id), &f.arena, &device, &f.err),
        CM_OK);
    return device.state;
}

static cm_status record_for(unsigned n, int64_t device)
{
    record_fill(&record_a, n, 1);
    record_a.rows[0].device_number = device;
    return cm_store_apply(f.store, &record_a.op, &f.err);
}

/* ---------------------------------------------------------------------- one device -- */

static void test_a_device_is_revoked_with_all_its_certificates(void)
{
    make("device");
    CU_ASSERT_EQUAL(record_for(100, 1), CM_OK);
    record_fill(&record_a, 101, 1);
    record_a.rows[0].device_number = 1;
    record_a.rows[0].not_after = ORDER_TIME_S; /* ended before now */
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    struct cm_order order = order_for_device(CM_ORDER_REVOKE, "d1");
    order.reason = CM_REASON_AFFILIATION_CHANGED;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 4);
    CU_ASSERT_EQUAL(order.devices_changed, 1);
    fixture_reopen(&f);
    for (unsigned n = 1; n <= 18; n++)
        CU_ASSERT_EQUAL(order_reason(&f, n), n % DEVICES == 1 ? CM_REASON_AFFILIATION_CHANGED : -1);
    CU_ASSERT_EQUAL(order_reason(&f, 100), CM_REASON_AFFILIATION_CHANGED);
    CU_ASSERT_EQUAL(order_reason(&f, 101), -1);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_ALLOWED);
    CU_ASSERT_EQUAL(record_for(102, 1), CM_OK);
    fixture_done(&f);
}

static void test_a_device_s_certificates_are_not_revoked_before_their_issuance(void)
{
    make("clamped");
    struct cm_order order = order_for_device(CM_ORDER_REVOKE, "d1");
    order.time_s = FIXTURE_ISSUED_S - 1000;
    order.invalidity_s = FIXTURE_ISSUED_S - 2000;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_standing(&f, 7).revoked_s, FIXTURE_ISSUED_S);
    CU_ASSERT_EQUAL(order_standing(&f, 7).invalidity_s, FIXTURE_ISSUED_S - 2000);
    fixture_done(&f);
}

static void test_a_device_goes_into_quarantine_and_comes_back(void)
{
    make("quarantine");
    struct cm_order revoked = order_for_serial(7, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(code_of(&revoked), CM_REFUSAL_NONE);
    struct cm_order order = apply_device(CM_ORDER_QUARANTINE, "d1");
    CU_ASSERT_EQUAL(order.certificates_changed, 2);
    CU_ASSERT_EQUAL(order.devices_changed, 1);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_QUARANTINED);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_reason(&f, 2), -1);
    order = apply_device(CM_ORDER_QUARANTINE, "d1"); /* it is there */
    CU_ASSERT_EQUAL(order.certificates_changed + order.devices_changed, 0);
    order = order_for_device(CM_ORDER_REINSTATE, "d1");
    order.time_s += 10;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 2);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_ALLOWED);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_REMOVE_FROM_CRL);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_standing(&f, 1).revoked_s, ORDER_TIME_S + 10);
    /* And again: what came off hold is good. */
    order = order_for_device(CM_ORDER_QUARANTINE, "d1");
    order.time_s += 20;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 2);
    CU_ASSERT_EQUAL(order_standing(&f, 1).revoked_s, ORDER_TIME_S + 20);
    fixture_done(&f);
}

/* Groups of which the settings want it: what was on hold is revoked, what was good or revoked stays. */
static void test_a_device_comes_back_without_its_certificates(void)
{
    static const char *const fresh[] = { "none", "even", "odd" };
    make("fresh");
    struct cm_order hold = order_for_serial(1, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(code_of(&hold), CM_REFUSAL_NONE);
    struct cm_order order = order_for_device(CM_ORDER_REINSTATE, "d1");
    order.time_s += 10;
    order.fresh_groups = fresh;
    order.fresh_groups_count = 1;
    struct cm_order lifting = order;
    order.fresh_groups_count = 3;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_ALLOWED);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_standing(&f, 1).revoked_s, ORDER_TIME_S); /* of the hold */
    CU_ASSERT_EQUAL(order_reason(&f, 7), -1);
    apply_device(CM_ORDER_QUARANTINE, "d1");
    CU_ASSERT_EQUAL(code_of(&lifting), CM_REFUSAL_NONE); /* the group is not among them */
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_REMOVE_FROM_CRL);
    /* By its group, too. */
    apply_device(CM_ORDER_QUARANTINE, "d1");
    order = order_for_group(CM_ORDER_REINSTATE, "odd");
    order.fresh_groups = fresh;
    order.fresh_groups_count = 3;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_SUPERSEDED);
    fixture_done(&f);
}

static void test_what_is_not_on_hold_is_not_reinstated(void)
{
    make("not-on-hold");
    struct cm_order order = order_for_device(CM_ORDER_REINSTATE, "d1");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    struct cm_order hold = order_for_serial(1, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(code_of(&hold), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE); /* one certificate was */
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_REMOVE_FROM_CRL);
    fixture_done(&f);
}

static struct cm_order order_to_lift(unsigned n)
{
    struct cm_order order = order_for_serial(n, CM_REASON_UNSPECIFIED);
    order.kind = CM_ORDER_REINSTATE;
    order.time_s += 10;
    return order;
}

static void hold(unsigned n)
{
    struct cm_order order = order_for_serial(n, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
}

static void test_one_certificate_on_hold_is_reinstated(void)
{
    static const char *const groups[] = { "even", NULL };
    make("lifted");
    struct cm_order order = order_to_lift(1);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    hold(1);
    hold(7);
    order = order_to_lift(1);
    order.groups = groups;
    order.groups_count = 1;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    order.groups = NULL;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_REMOVE_FROM_CRL);
    CU_ASSERT_EQUAL(order_standing(&f, 1).revoked_s, ORDER_TIME_S + 10);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_CERTIFICATE_HOLD); /* the device's other one */
    CU_ASSERT_STRING_EQUAL(order_audit(&f).kind, "reinstate");
    order = order_to_lift(1);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    struct cm_order revoked = order_for_serial(7, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(code_of(&revoked), CM_REFUSAL_NONE);
    order = order_to_lift(7);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_SUPERSEDED);
    order = order_to_lift(900);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_SERIAL_UNKNOWN);
    fixture_done(&f);
}

static void test_a_certificate_comes_back_with_its_device_only(void)
{
    make("lifted-quarantine");
    apply_device(CM_ORDER_QUARANTINE, "d1");
    struct cm_order order = order_to_lift(1);
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    CU_ASSERT_STRING_EQUAL(order.message, "its device is in quarantine: reinstate the device");
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_CERTIFICATE_HOLD);
    apply_device(CM_ORDER_REINSTATE, "d1");
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_REMOVE_FROM_CRL);
    fixture_done(&f);
}

static void test_one_certificate_of_a_group_that_wants_fresh_ones_is_revoked(void)
{
    static const char *const fresh[] = { "odd" };
    make("lifted-fresh");
    hold(1);
    struct cm_order order = order_to_lift(1);
    order.fresh_groups = fresh;
    order.fresh_groups_count = 1;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_SUPERSEDED);
    order = order_to_lift(7); /* that was good stays so */
    order.fresh_groups = fresh;
    order.fresh_groups_count = 1;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    CU_ASSERT_EQUAL(order_reason(&f, 7), -1);
    fixture_done(&f);
}

static void test_a_retired_device_stays_retired(void)
{
    make("retired");
    struct cm_order hold = order_for_serial(7, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(code_of(&hold), CM_REFUSAL_NONE);
    struct cm_order order = order_for_device(CM_ORDER_RETIRE, "d1");
    order.time_s += 10;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, 3);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_CESSATION_OF_OPERATION);
    CU_ASSERT_EQUAL(order_reason(&f, 7), CM_REASON_CESSATION_OF_OPERATION);
    CU_ASSERT_EQUAL(order_standing(&f, 1).revoked_s, ORDER_TIME_S + 10);
    CU_ASSERT_EQUAL(order_standing(&f, 7).revoked_s, ORDER_TIME_S); /* of the hold */
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_RETIRED);
    order = order_for_device(CM_ORDER_REINSTATE, "d1");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_FINAL);
    order = order_for_device(CM_ORDER_QUARANTINE, "d1");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_FINAL);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_RETIRED);
    order = apply_device(CM_ORDER_RETIRE, "d1");
    CU_ASSERT_EQUAL(order.certificates_changed + order.devices_changed, 0);
    order = order_for_device(CM_ORDER_REVOKE, "d1");
    order.reason = CM_REASON_KEY_COMPROMISE;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_KEY_COMPROMISE);
    fixture_done(&f);
}

static void test_a_device_that_is_unknown_or_out_of_reach_is_refused(void)
{
    static const char *const even[] = { "even" };
    make("reach");
    struct cm_order order = order_for_device(CM_ORDER_RETIRE, "d");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_DEVICE_UNKNOWN);
    order = order_for_device(CM_ORDER_RETIRE, "d1");
    order.groups = even;
    order.groups_count = 1;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_ALLOWED);
    order.device = cm_bytes_str("d2");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(state_of("d2"), CM_DEVICE_RETIRED);
    fixture_done(&f);
}

/* ------------------------------------------------------- certificates after an order -- */

static void test_a_certificate_for_a_device_that_is_not_allowed_is_denied(void)
{
    struct cm_device_row row = { .id = cm_bytes_str("d3"),
                                 .group = cm_bytes_str("odd"),
                                 .state = CM_DEVICE_QUARANTINED,
                                 .replace = true };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = &row, .devices_count = 1, .audit = &fixture_audit
    };
    make("denied");
    apply_device(CM_ORDER_QUARANTINE, "d1");
    apply_device(CM_ORDER_RETIRE, "d2");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK); /* by an import as well */
    for (unsigned restarts = 0; restarts < 2; restarts++) {
        CU_ASSERT_EQUAL(record_for(100, 1), CM_DENIED);
        CU_ASSERT_EQUAL(record_for(100, 2), CM_DENIED);
        CU_ASSERT_EQUAL(record_for(100, 3), CM_DENIED);
        CU_ASSERT_EQUAL(record_for(110 + restarts, 4), CM_OK);
        fixture_reopen(&f);
    }
    CU_ASSERT_FALSE(fixture_recall(&f, 100).known);
    apply_device(CM_ORDER_REINSTATE, "d1");
    CU_ASSERT_EQUAL(record_for(100, 1), CM_OK);
    fixture_done(&f);
}

static cm_status record_denied(unsigned n, int64_t device, enum cm_denial denial)
{
    cm_status status = record_for(n, device);
    CU_ASSERT_EQUAL(record_a.rows[0].denial, denial);
    return status;
}

/* As long as the promise is open: an engine that comes after the order would keep it. */
static void test_what_was_promised_before_a_revocation_is_denied_by_the_next_engine_too(void)
{
    struct cm_intent_item items[2] = { { .serial = row_serial(100) },
                                       { .serial = row_serial(101) } };
    struct cm_intent intent = {
        .created_ms = FIXTURE_TIME_MS, .generation_number = 1, .items = items, .items_count = 2
    };
    struct cm_store_op promise = { .kind = CM_STORE_INTENT, .intent = &intent };
    struct cm_serial later = row_serial(200);
    make("promised");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &promise, &f.err), CM_OK);
    apply_device(CM_ORDER_REVOKE, "d2");
    struct cm_order order = order_for_group(CM_ORDER_REVOKE, "odd");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    for (unsigned restarts = 0; restarts < 3; restarts++) {
        CU_ASSERT_EQUAL(record_denied(100, 2, CM_DENIAL_REVOKED), CM_DENIED);
        CU_ASSERT_EQUAL(record_denied(101, 5, CM_DENIAL_REVOKED), CM_DENIED);
        fixture_reopen(&f);
    }
    CU_ASSERT_EQUAL(record_denied(102, 4, CM_DENIAL_NONE), CM_OK);
    /* What is promised from now on may be handed out. */
    cm_big_endian_write((uint64_t)(cm_clock_wall_ms() + 60000) << 20, later.octets, 8);
    record_fill(&record_a, 200, 1);
    record_a.rows[0].device_number = 2;
    record_a.rows[0].serial = later;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    fixture_done(&f);
}

/* Two ask for one that is not on the list: the second finds it there, and revoked. */
static void test_a_device_that_was_enrolled_and_revoked_meanwhile_is_denied(void)
{
    make("enrolled");
    CU_ASSERT_EQUAL(record_for(110, 4), CM_OK); /* 100 is of a promise before */
    apply_device(CM_ORDER_REVOKE, "d1");
    record_fill(&record_a, 100, 1);
    record_a.rows[0].device_number = 0;
    record_a.rows[0].enroll_device = cm_bytes_str("d1");
    record_a.rows[0].enroll_group = cm_bytes_str("odd");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_DENIED);
    CU_ASSERT_EQUAL(record_a.rows[0].denial, CM_DENIAL_REVOKED);
    fixture_done(&f);
}

static void test_all_that_are_denied_are_told_at_once(void)
{
    make("at-once");
    apply_device(CM_ORDER_QUARANTINE, "d1");
    apply_device(CM_ORDER_RETIRE, "d3");
    record_fill(&record_a, 100, 4);
    for (unsigned i = 0; i < 4; i++)
        record_a.rows[i].device_number = i + 1;
    record_a.rows[3].denial = CM_DENIAL_STATE; /* of an earlier attempt */
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_DENIED);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(record_a.rows[i].denial, i % 2 ? CM_DENIAL_NONE : CM_DENIAL_STATE);
    CU_ASSERT_FALSE(fixture_recall(&f, 101).known);
    fixture_done(&f);
}

static void test_an_order_comes_before_the_certificates_of_its_operation(void)
{
    make("before");
    struct cm_order orders[] = { order_for_device(CM_ORDER_RETIRE, "d2"),
                                 order_for_device(CM_ORDER_QUARANTINE, "d1") };
    record_fill(&record_a, 100, 1); /* of device 1 */
    record_a.op.orders = orders;
    record_a.op.orders_count = 2;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_DENIED);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_ALLOWED);
    CU_ASSERT_EQUAL(state_of("d2"), CM_DEVICE_ALLOWED);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 0);
    CU_ASSERT_EQUAL(record_for(100, 1), CM_OK); /* though it was looked at closer */
    apply_device(CM_ORDER_QUARANTINE, "d1");
    orders[0] = order_for_device(CM_ORDER_REINSTATE, "d1");
    record_fill(&record_a, 101, 1);
    record_a.op.orders = orders;
    record_a.op.orders_count = 1;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(order_reason(&f, 100), CM_REASON_REMOVE_FROM_CRL);
    CU_ASSERT_EQUAL(order_reason(&f, 101), -1);
    fixture_done(&f);
}

static void test_orders_that_are_submitted_together_are_carried_out_in_their_order(void)
{
    make("together");
    struct cm_order orders[] = { order_for_device(CM_ORDER_QUARANTINE, "d1"),
                                 order_for_device(CM_ORDER_REINSTATE, "d1"),
                                 order_for_device(CM_ORDER_REINSTATE, "d1") };
    struct cm_store_op ops[4];
    struct cm_store_op *all[4];
    for (unsigned i = 0; i < 3; i++)
        ops[i] = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                       .orders = &orders[i],
                                       .orders_count = 1 };
    record_fill(&record_a, 1, 1); /* is there: it spoils the group, so that each goes alone */
    ops[3] = record_a.op;
    for (unsigned i = 0; i < 4; i++)
        all[i] = &ops[i];
    fixture_submit(&f, all, 4);
    CU_ASSERT_EQUAL(ops[3].status, CM_EXISTS);
    CU_ASSERT_EQUAL(orders[0].code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(orders[0].certificates_changed, 3);
    CU_ASSERT_EQUAL(orders[1].code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(orders[2].code, CM_REFUSAL_REVOKE_NOT_ON_HOLD);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 3);
    fixture_done(&f);
}

/* ------------------------------------------------------------------------ a group -- */

static void test_a_group_is_ordered_piece_by_piece(void)
{
    make("group");
    struct cm_order order = order_for_group(CM_ORDER_QUARANTINE, "odd");
    order.devices_max = 2;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.devices_changed, 2);
    CU_ASSERT_EQUAL(order.certificates_changed, 6);
    CU_ASSERT_EQUAL(order.last_device, 3);
    CU_ASSERT_EQUAL(state_of("d5"), CM_DEVICE_ALLOWED);
    order.after_device = order.last_device;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.devices_changed, 1);
    CU_ASSERT_EQUAL(order.certificates_changed, 3);
    CU_ASSERT_EQUAL(order.last_device, 0);
    for (unsigned n = 1; n <= 18; n++)
        CU_ASSERT_EQUAL(order_reason(&f, n), n % 2 ? CM_REASON_CERTIFICATE_HOLD : -1);
    order = order_for_group(CM_ORDER_QUARANTINE, "odd"); /* all at once, and nothing to do */
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.devices_changed + order.certificates_changed, 0);
    CU_ASSERT_EQUAL(order.last_device, 0);
    struct cm_audit_row row = order_audit(&f);
    CU_ASSERT_STRING_EQUAL(row.kind, "quarantine");
    CU_ASSERT_PTR_NOT_NULL(strstr((const char *)row.detail.data, "\"group\":\"odd\""));
    fixture_done(&f);
}

static void test_devices_of_a_group_that_an_order_is_against_are_passed_over(void)
{
    make("passed-over");
    apply_device(CM_ORDER_RETIRE, "d1");
    apply_device(CM_ORDER_QUARANTINE, "d3");
    struct cm_order order = order_for_group(CM_ORDER_REINSTATE, "odd");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.devices_changed, 1);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_RETIRED);
    CU_ASSERT_EQUAL(state_of("d3"), CM_DEVICE_ALLOWED);
    CU_ASSERT_EQUAL(order_reason(&f, 1), CM_REASON_CESSATION_OF_OPERATION);
    CU_ASSERT_EQUAL(order_reason(&f, 3), CM_REASON_REMOVE_FROM_CRL);
    CU_ASSERT_EQUAL(order_reason(&f, 5), -1);
    fixture_done(&f);
}

static void test_a_group_that_is_unknown_or_out_of_reach_is_refused(void)
{
    static const char *const even[] = { "even" };
    make("group-reach");
    struct cm_order order = order_for_group(CM_ORDER_RETIRE, "none");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_GROUP_UNKNOWN);
    order.groups = even;
    order.groups_count = 1;
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    order.group = cm_bytes_str("odd");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    order.group = cm_bytes_str("even");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.devices_changed, 3);
    CU_ASSERT_EQUAL(state_of("d1"), CM_DEVICE_ALLOWED);
    fixture_done(&f);
}

/* ------------------------------------------------------- certificates of a device -- */

struct walked {
    unsigned count, sum;
    cm_certificate_number last;
};

static bool see_certificate(const struct cm_certificate_found *found, void *arg)
{
    struct walked *walked = arg;
    CU_ASSERT(found->number > walked->last);
    CU_ASSERT_EQUAL(found->der.size, 8);
    CU_ASSERT_EQUAL(found->not_after, 4000000000);
    CU_ASSERT_EQUAL(found->generation_number, 1);
    walked->last = found->number;
    walked->sum += (unsigned)(found->number & 0xfffff);
    return ++walked->count < 1000000;
}

static struct walked walk(int64_t device)
{
    struct walked walked = { .count = 0 };
    CU_ASSERT_EQUAL(cm_store_walk_device_certificates(fixture_snapshot(&f), device, see_certificate,
                                                      &walked, &f.err),
                    CM_OK);
    return walked;
}

static void test_the_certificates_of_a_device_are_walked(void)
{
    make("walked");
    CU_ASSERT_EQUAL(walk(2).count, 3);
    CU_ASSERT_EQUAL(walk(2).sum, 2 + 8 + 14);
    CU_ASSERT_EQUAL(walk(99).count, 0);
    struct walked walked = { .count = 0 };
    cm_store_reader_end(f.reader); /* outside a snapshot as well */
    CU_ASSERT_EQUAL(
        cm_store_walk_device_certificates(f.reader, 2, see_certificate, &walked, &f.err), CM_OK);
    CU_ASSERT_EQUAL(walked.sum, 2 + 8 + 14);
    CU_ASSERT_EQUAL(cm_store_reader_begin(f.reader, &f.err), CM_OK);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(walk(2).sum, 2 + 8 + 14);
    fixture_done(&f);
}

/* Numbers are not recorded in their order: a lot may come late. */
static void test_the_certificates_of_a_device_are_found_however_many_and_late(void)
{
    enum { LATE = 20000, ALL = 200000 };
    fixture_make(&f, "many-of-device");
    orders_put_devices(&f, 7);
    for (unsigned first = 1; first < ALL; first += 1000) {
        if (first != LATE + 1)
            orders_record(&f, first, 1000, 7);
        if (first == ALL - 1000 + 1)
            orders_record(&f, LATE + 1, 1000, 7);
        if (first % 50000 == 1)
            fixture_reopen(&f);
    }
    unsigned counts[8] = { 0 }, sums[8] = { 0 };
    for (unsigned n = 1; n <= ALL; n++) {
        counts[1 + (n - 1) % 7]++;
        sums[1 + (n - 1) % 7] += n;
    }
    for (unsigned device = 1; device <= 7; device++) {
        struct walked walked = walk(device);
        CU_ASSERT_EQUAL(walked.count, counts[device]);
        CU_ASSERT_EQUAL(walked.sum, sums[device]);
    }
    struct cm_order order = order_for_device(CM_ORDER_QUARANTINE, "d4");
    CU_ASSERT_EQUAL(code_of(&order), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(order.certificates_changed, counts[4]);
    fixture_done(&f);
}

CM_TEST_SUITE(store_fleet, CM_TEST(test_a_device_is_revoked_with_all_its_certificates),
              CM_TEST(test_a_device_s_certificates_are_not_revoked_before_their_issuance),
              CM_TEST(test_a_device_goes_into_quarantine_and_comes_back),
              CM_TEST(test_a_device_comes_back_without_its_certificates),
              CM_TEST(test_what_is_not_on_hold_is_not_reinstated),
              CM_TEST(test_one_certificate_on_hold_is_reinstated),
              CM_TEST(test_a_certificate_comes_back_with_its_device_only),
              CM_TEST(test_one_certificate_of_a_group_that_wants_fresh_ones_is_revoked),
              CM_TEST(test_a_retired_device_stays_retired),
              CM_TEST(test_a_device_that_is_unknown_or_out_of_reach_is_refused),
              CM_TEST(test_a_certificate_for_a_device_that_is_not_allowed_is_denied),
              CM_TEST(test_what_was_promised_before_a_revocation_is_denied_by_the_next_engine_too),
              CM_TEST(test_a_device_that_was_enrolled_and_revoked_meanwhile_is_denied),
              CM_TEST(test_all_that_are_denied_are_told_at_once),
              CM_TEST(test_an_order_comes_before_the_certificates_of_its_operation),
              CM_TEST(test_orders_that_are_submitted_together_are_carried_out_in_their_order),
              CM_TEST(test_a_group_is_ordered_piece_by_piece),
              CM_TEST(test_devices_of_a_group_that_an_order_is_against_are_passed_over),
              CM_TEST(test_a_group_that_is_unknown_or_out_of_reach_is_refused),
              CM_TEST(test_the_certificates_of_a_device_are_walked),
              CM_TEST(test_the_certificates_of_a_device_are_found_however_many_and_late));
