/* The store's contract: what a renewal asks of it. */
#include "tests/conformance/store_orders.h"

#include "tests/support/test_main.h"

enum { DEVICES = 7, BLOCK = 500 };

static struct fixture f;

static struct cm_latest latest_of(int64_t device, uint32_t wanted)
{
    struct cm_latest latest = { .device_number = device,
                                .wanted_count = wanted,
                                .numbers_count = 99 };
    CU_ASSERT_EQUAL(cm_store_find_latest(fixture_snapshot(&f), &latest, 1, &f.err), CM_OK);
    return latest;
}

static cm_certificate_number number_of(unsigned n)
{
    struct cm_serial serial = row_serial(n);
    return cm_serial_number(&serial);
}

/* Devices 1 to 7, and their certificates in turn. */
static void make(const char *name, unsigned certificates)
{
    fixture_make(&f, name);
    orders_put_devices(&f, DEVICES);
    for (unsigned first = 1; first <= certificates; first += BLOCK)
        orders_record(&f, first, certificates - first < BLOCK ? certificates - first + 1 : BLOCK,
                      DEVICES);
}

/* ------------------------------------------------------------------- the newest -- */

static void test_who_has_no_certificate_gets_none(void)
{
    make("none", 3);
    CU_ASSERT_EQUAL(latest_of(4, 1).numbers_count, 0);
    CU_ASSERT_EQUAL(latest_of(99, 16).numbers_count, 0);
    CU_ASSERT_EQUAL(latest_of(0, 1).numbers_count, 0);
    CU_ASSERT_EQUAL(latest_of(-1, 1).numbers_count, 0);
    CU_ASSERT_EQUAL(latest_of(INT64_MAX, 1).numbers_count, 0);
    CU_ASSERT_EQUAL(latest_of(1, 0).numbers_count, 0);
    CU_ASSERT_EQUAL(cm_store_find_latest(fixture_snapshot(&f), NULL, 0, &f.err), CM_OK);
    fixture_done(&f);
}

static void test_the_newest_come_first_and_no_more_than_are_wanted(void)
{
    make("newest", 30);
    struct cm_latest latest = latest_of(2, 3);
    CU_ASSERT_EQUAL(latest.numbers_count, 3);
    CU_ASSERT_EQUAL(latest.numbers[0], number_of(30));
    CU_ASSERT_EQUAL(latest.numbers[1], number_of(23));
    CU_ASSERT_EQUAL(latest.numbers[2], number_of(16));
    latest = latest_of(3, CM_STORE_LATEST_MAX);
    CU_ASSERT_EQUAL(latest.numbers_count, 4);
    CU_ASSERT_EQUAL(latest.numbers[3], number_of(3));
    fixture_done(&f);
}

static void test_many_devices_are_asked_for_at_once_in_any_order_and_twice(void)
{
    static const int64_t devices[] = { 5, 1, 99, 5, 7 };
    struct cm_latest latest[5];
    make("at-once", 14);
    for (unsigned i = 0; i < 5; i++)
        latest[i] = (struct cm_latest){ .device_number = devices[i], .wanted_count = 1 };
    CU_ASSERT_EQUAL(cm_store_find_latest(fixture_snapshot(&f), latest, 5, &f.err), CM_OK);
    CU_ASSERT_EQUAL(latest[0].numbers[0], number_of(12));
    CU_ASSERT_EQUAL(latest[1].numbers[0], number_of(8));
    CU_ASSERT_EQUAL(latest[2].numbers_count, 0);
    CU_ASSERT_EQUAL(latest[3].numbers[0], number_of(12));
    CU_ASSERT_EQUAL(latest[4].numbers[0], number_of(14));
    fixture_done(&f);
}

/* So many that the log has become runs; device 7 has nothing since. */
static void test_the_newest_are_found_wherever_they_stand(void)
{
    enum { ALL = 200 * BLOCK };
    make("runs", ALL);
    fixture_reopen(&f);
    for (unsigned more = 1; more <= 6; more++)
        orders_record(&f, ALL - ALL % DEVICES + DEVICES + more, 1, DEVICES);
    for (unsigned device = 1; device <= 6; device++) {
        struct cm_latest latest = latest_of(device, 2);
        CU_ASSERT_EQUAL(latest.numbers_count, 2);
        CU_ASSERT_EQUAL(latest.numbers[0], number_of(ALL - ALL % DEVICES + DEVICES + device));
        CU_ASSERT_EQUAL(latest.numbers[1], number_of(ALL - (ALL - device) % DEVICES));
    }
    CU_ASSERT_EQUAL(latest_of(7, 1).numbers[0], number_of(ALL - ALL % DEVICES));
    CU_ASSERT_EQUAL(latest_of(7, 16).numbers[15], number_of(ALL - ALL % DEVICES - 15 * DEVICES));
    fixture_done(&f);
}

/* ------------------------------------------------------------------ its standing -- */

static cm_status find_standing(int64_t generation, unsigned n,
                               struct cm_certificate_standing *ret_standing)
{
    struct cm_serial serial = row_serial(n);
    return cm_store_find_standing(fixture_snapshot(&f), generation, cm_serial_content(&serial),
                                  ret_standing, &f.err);
}

static void put_generation(void)
{
    struct cm_generation row = fixture_generation(1);
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &row), CM_OK);
    CU_ASSERT_EQUAL(row.number, 1);
}

static void test_of_an_unknown_generation_nothing_is_said(void)
{
    struct cm_certificate_standing standing = { .reason = CM_REASON_SUPERSEDED };
    make("unknown", 1);
    CU_ASSERT_EQUAL(find_standing(7, 1, &standing), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(standing.reason, CM_REASON_SUPERSEDED);
    fixture_done(&f);
}

static void order_of(unsigned n, enum cm_order_kind kind, enum cm_reason reason)
{
    struct cm_order order = order_for_serial(n, reason);
    order.kind = kind;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_NONE);
}

static void test_what_is_revoked_says_why_and_what_is_not_is_good(void)
{
    struct cm_certificate_standing standing;
    fixture_make(&f, "standing");
    put_generation();
    orders_put_devices(&f, DEVICES);
    orders_record(&f, 1, 3, DEVICES);
    order_of(1, CM_ORDER_REVOKE, CM_REASON_UNSPECIFIED);
    order_of(2, CM_ORDER_REVOKE, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(find_standing(1, 1, &standing), CM_OK);
    CU_ASSERT_TRUE(standing.is_revoked);
    CU_ASSERT_EQUAL(standing.reason, CM_REASON_UNSPECIFIED);
    CU_ASSERT_EQUAL(standing.generation_state, CM_GENERATION_ACTIVE);
    CU_ASSERT_EQUAL(find_standing(1, 2, &standing), CM_OK);
    CU_ASSERT_TRUE(standing.is_revoked);
    CU_ASSERT_EQUAL(standing.reason, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(find_standing(1, 3, &standing), CM_OK);
    CU_ASSERT_FALSE(standing.is_revoked);
    order_of(2, CM_ORDER_REINSTATE, CM_REASON_UNSPECIFIED);
    CU_ASSERT_EQUAL(find_standing(1, 2, &standing), CM_OK);
    CU_ASSERT_FALSE(standing.is_revoked);
    fixture_done(&f);
}

static void test_a_generation_s_state_is_that_of_now(void)
{
    struct cm_certificate_standing standing;
    struct cm_transition transition = { .number = 1, .to = CM_GENERATION_COMPROMISED };
    struct cm_store_op op = { .kind = CM_STORE_TRANSITION,
                              .transition = &transition,
                              .audit = &fixture_audit };
    fixture_make(&f, "state");
    put_generation();
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(find_standing(1, 1, &standing), CM_OK);
    CU_ASSERT_EQUAL(standing.generation_state, CM_GENERATION_COMPROMISED);
    CU_ASSERT_FALSE(standing.is_revoked);
    fixture_done(&f);
}

CM_TEST_SUITE(store_latest, CM_TEST(test_who_has_no_certificate_gets_none),
              CM_TEST(test_the_newest_come_first_and_no_more_than_are_wanted),
              CM_TEST(test_many_devices_are_asked_for_at_once_in_any_order_and_twice),
              CM_TEST(test_the_newest_are_found_wherever_they_stand),
              CM_TEST(test_of_an_unknown_generation_nothing_is_said),
              CM_TEST(test_what_is_revoked_says_why_and_what_is_not_is_good),
              CM_TEST(test_a_generation_s_state_is_that_of_now));
