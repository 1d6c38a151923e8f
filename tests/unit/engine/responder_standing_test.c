/* A responder that is quarantined or revoked as any device may be: what goes on, and what has a successor. */
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/support/test_main.h"
#include "tests/unit/engine/responding_rig.h"

static struct responding_rig rig;

static void put_device_in_quarantine(void)
{
    struct cm_device_row row = { .id = cm_bytes_str("ocsp-responder/issuing-1"),
                                 .group = cm_bytes_str("ocsp-responders"),
                                 .state = CM_DEVICE_QUARANTINED };
    const struct cm_audit_event audit = { .kind = "test",
                                          .actor = cm_bytes_str("test"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = &row, .devices_count = 1, .audit = &audit
    };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.issuing.store, &op, &err), CM_OK);
    CU_ASSERT_EQUAL(op.devices_changed, 1);
}

static void reinstate_device(void)
{
    struct cm_order order = { .kind = CM_ORDER_REINSTATE,
                              .device = cm_bytes_str("ocsp-responder/issuing-1"),
                              .actor = cm_bytes_str("test"),
                              .time_s = (int64_t)time(NULL) };
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = &order, .orders_count = 1 };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.issuing.store, &op, &err), CM_OK);
    CU_ASSERT_EQUAL(order.devices_changed, 1);
}

static void test_a_device_in_quarantine_gets_no_certificate_until_it_is_let_out(void)
{
    responding_prepare(&rig, "openssl", NULL, "openssl");
    put_device_in_quarantine();
    responding_open(&rig);
    responding_wait_for_words(&rig, "not allowed");
    CU_ASSERT_PTR_NULL(responding_find(&rig, 0));
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 0);
    reinstate_device();
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 0);
    responding_end(&rig);
}

/* Barred between the look and the record: what was signed is given up, once. */
static void test_what_was_signed_for_a_device_that_is_barred_meanwhile_is_abandoned(void)
{
    const char *script = responding_away_script(&rig);
    responding_touch(rig.away);
    responding_begin(&rig, "fake", script, "openssl");
    responding_wait_for_words(&rig, "no OCSP responses yet from the OCSP responder of issuing-1");
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 1);
    put_device_in_quarantine();
    CU_ASSERT_EQUAL_FATAL(unlink(rig.away), 0);
    responding_wait_for_words(&rig, "its device is not allowed");
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 0);
    CU_ASSERT_EQUAL(responding_count(&rig).abandoned, 1);
    responding_wait_for_words(&rig, "device ocsp-responder/issuing-1 is not allowed");
    reinstate_device();
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 1);
    CU_ASSERT_EQUAL(responding_count(&rig).abandoned, 1);
    responding_end(&rig);
}

static void read_book(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_book_read(rig.book, rig.issuing.reader, NULL, NULL, &err), CM_OK);
}

static void begin_with_book(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_book_new(&rig.book, &err), CM_OK);
    cm_book_add_generation(rig.book, 1, 1);
    responding_begin(&rig, "openssl", NULL, "openssl");
    CU_ASSERT_EQUAL(rig.issuing.issuers.keys[0].generation_number, 1);
    responding_wait_for_changes(&rig, 1);
}

static void end_with_book(void)
{
    responding_end(&rig);
    cm_book_free(rig.book);
    rig.book = NULL;
}

static void carry_out(struct cm_order order)
{
    order.time_s = cm_clock_wall_s();
    order.actor = cm_bytes_str("tester");
    order.why = cm_bytes_str("a test");
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = &order, .orders_count = 1 };
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.issuing.store, &op, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(order.code, CM_REFUSAL_NONE);
    read_book();
}

static void order_for_serial(struct cm_bytes serial)
{
    carry_out((struct cm_order){
        .kind = CM_ORDER_REVOKE, .serial = serial, .reason = CM_REASON_SUPERSEDED });
}

static void order_for_device(enum cm_order_kind kind)
{
    carry_out(
        (struct cm_order){ .kind = kind, .device = cm_bytes_str("ocsp-responder/issuing-1") });
}

static void revoke_what_is_in_use(void)
{
    struct cm_certificate read;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(responding_find(&rig, 0)->certificate, &read, NULL),
                          CM_OK);
    order_for_serial(read.serial);
}

static void test_a_certificate_that_is_revoked_has_a_successor_at_once(void)
{
    begin_with_book();
    const struct cm_responder *first = responding_find(&rig, 0);
    revoke_what_is_in_use();
    CU_ASSERT_PTR_EQUAL(responding_find(&rig, 0), first); /* until there is another */
    cm_responders_look(rig.responders);
    responding_wait_for_changes(&rig, 2);
    CU_ASSERT_PTR_NOT_EQUAL(responding_find(&rig, 0), first);
    CU_ASSERT_FALSE(cm_bytes_equal(responding_find(&rig, 0)->certificate, first->certificate));
    CU_ASSERT_PTR_EQUAL(responding_find(&rig, 0)->key, first->key);
    responding_expect_openssl_to_verify(&rig, 0);
    cm_responders_look(rig.responders);
    issuing_pause(&rig.issuing, 50);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 2);
    end_with_book();
}

static void test_a_certificate_that_comes_off_hold_goes_on(void)
{
    begin_with_book();
    const struct cm_responder *first = responding_find(&rig, 0);
    order_for_device(CM_ORDER_QUARANTINE); /* its certificate is on hold */
    cm_responders_look(rig.responders);
    responding_wait_for_words(&rig, "not allowed");
    CU_ASSERT_PTR_EQUAL(responding_find(&rig, 0), first);
    order_for_device(CM_ORDER_REINSTATE);
    responding_wait_for_changes(&rig, 2);
    CU_ASSERT_EQUAL(responding_count(&rig).certificates,
                    1); /* nothing was promised in the quarantine */
    CU_ASSERT_EQUAL(responding_count(&rig).open_intents, 0);
    CU_ASSERT(cm_bytes_equal(responding_find(&rig, 0)->certificate, first->certificate));
    end_with_book();
}

static void test_a_certificate_that_is_revoked_is_not_used_after_a_restart(void)
{
    begin_with_book();
    struct cm_bytes first = cm_bytes_copy(responding_find(&rig, 0)->certificate);
    responding_close(&rig);
    struct cm_certificate read;
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(first, &read, NULL), CM_OK);
    order_for_serial(read.serial);
    responding_open(&rig);
    responding_wait_for_changes(&rig, 1);
    CU_ASSERT_FALSE(cm_bytes_equal(responding_find(&rig, 0)->certificate, first));
    CU_ASSERT_EQUAL(responding_count(&rig).certificates, 2);
    free((void *)(uintptr_t)first.data);
    end_with_book();
}

CM_TEST_SUITE(responder_standing,
              CM_TEST(test_a_device_in_quarantine_gets_no_certificate_until_it_is_let_out),
              CM_TEST(test_what_was_signed_for_a_device_that_is_barred_meanwhile_is_abandoned),
              CM_TEST(test_a_certificate_that_is_revoked_has_a_successor_at_once),
              CM_TEST(test_a_certificate_that_is_revoked_is_not_used_after_a_restart),
              CM_TEST(test_a_certificate_that_comes_off_hold_goes_on));
