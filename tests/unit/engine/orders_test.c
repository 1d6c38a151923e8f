/*
 * Texts become orders, or are refused with the code that says which of them is wrong.
 *
 * A table of texts that are refused, then what good ones become.
 */
#include "engine/orders.h"
#include "tests/support/test_main.h"

#include <stdio.h>

enum { NOW_S = 1735689600 };

static struct cm_arena arena;

static int set_up(void)
{
    cm_arena_init(&arena, 4096);
    return 0;
}

static int tear_down(void)
{
    cm_arena_done(&arena);
    return 0;
}

/* NULL: absent */
struct texts {
    const char *kind, *serial, *device, *group, *issuer, *reason, *invalidity, *why;
};

static struct cm_bytes text(const char *text)
{
    return text ? cm_bytes_str(text) : cm_bytes(NULL, 0);
}

static bool read_texts(const struct texts *from, struct cm_order *ret_order,
                       struct cm_refusal *refusal)
{
    const struct cm_order_texts texts = {
        .kind = text(from->kind),
        .serial = text(from->serial),
        .device = text(from->device),
        .group = text(from->group),
        .issuer = text(from->issuer),
        .reason = text(from->reason),
        .invalidity = text(from->invalidity),
        .why = text(from->why),
    };
    return cm_order_read(&texts, NOW_S, &arena, ret_order, refusal);
}

static struct cm_order good(struct texts texts)
{
    struct cm_order order = { 0 };
    struct cm_refusal refusal = { 0 };
    if (!read_texts(&texts, &order, &refusal)) {
        printf("%s: %s\n", cm_refusal_name(refusal.code), refusal.message);
        CU_FAIL_FATAL("a good order was refused");
    }
    return order;
}

#define D         "pump-1"
#define DIGITS(n) n n n n n n n n n n /* ten times */
#define LINE_256  DIGITS("0123456789012345678901234") "012345"
#define SERIAL(of)                                                                                 \
    {                                                                                              \
        .kind = "revoke", .serial = (of)                                                           \
    }

static const struct {
    struct texts texts;
    enum cm_refusal_code code;
} refused[] = {
    /* kinds */
    { { .kind = NULL, .device = D }, CM_REFUSAL_REQUEST_OP_UNKNOWN },
    { { .kind = "", .device = D }, CM_REFUSAL_REQUEST_OP_UNKNOWN },
    { { .kind = "Revoke", .device = D }, CM_REFUSAL_REQUEST_OP_UNKNOWN },
    { { .kind = "issue", .device = D }, CM_REFUSAL_REQUEST_OP_UNKNOWN },
    /* whose */
    { { .kind = "revoke" }, CM_REFUSAL_REQUEST_FIELD_MISSING },
    { { .kind = "quarantine" }, CM_REFUSAL_REQUEST_FIELD_MISSING },
    { { .kind = "reinstate" }, CM_REFUSAL_REQUEST_FIELD_MISSING },
    { { .kind = "revoke", .serial = "01", .device = D }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "retire", .group = "g", .device = D }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "revoke", .device = D, .issuer = "a-1" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    /* what goes with revoke only */
    { { .kind = "quarantine", .serial = "01" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "retire", .serial = "01" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "reinstate", .serial = "01", .reason = "superseded" },
      CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "reinstate", .serial = "01", .device = D }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "reinstate", .device = D, .reason = "superseded" },
      CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "retire", .device = D, .invalidity = "1" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "quarantine", .device = D, .reason = "certificateHold" },
      CM_REFUSAL_REQUEST_FIELD_INVALID },
    /* serials */
    { SERIAL(""), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("0"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("0000"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("-1"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("0x12"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("12:34"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL(" 12"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("12\n"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("1g"), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    { SERIAL("8" DIGITS("000") "000000000"), CM_REFUSAL_REQUEST_SERIAL_INVALID }, /* 21 octets */
    { SERIAL("1" DIGITS("0000")), CM_REFUSAL_REQUEST_SERIAL_INVALID },
    /* devices */
    { { .kind = "retire", .device = "" }, CM_REFUSAL_POLICY_DEVICE_INVALID },
    { { .kind = "retire", .device = "bell\a" }, CM_REFUSAL_POLICY_DEVICE_INVALID },
    { { .kind = "retire", .device = "\xc2\x85" }, CM_REFUSAL_POLICY_DEVICE_INVALID },
    { { .kind = "retire", .device = "caf\xe9" }, CM_REFUSAL_POLICY_DEVICE_INVALID },
    { { .kind = "retire", .device = LINE_256 }, CM_REFUSAL_POLICY_DEVICE_INVALID },
    { { .kind = "quarantine", .device = "ocsp-responder/issuing-1" },
      CM_REFUSAL_POLICY_DEVICE_INVALID },
    /* reasons */
    { { .kind = "revoke", .device = D, .reason = "" }, CM_REFUSAL_REQUEST_REASON_INVALID },
    { { .kind = "revoke", .device = D, .reason = "keycompromise" },
      CM_REFUSAL_REQUEST_REASON_INVALID },
    { { .kind = "revoke", .device = D, .reason = "1" }, CM_REFUSAL_REQUEST_REASON_INVALID },
    { { .kind = "revoke", .device = D, .reason = "removeFromCRL" },
      CM_REFUSAL_REQUEST_REASON_INVALID },
    /* since when */
    { { .kind = "revoke", .device = D, .invalidity = "" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "revoke", .device = D, .invalidity = "0" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "revoke", .device = D, .invalidity = "-1" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "revoke", .device = D, .invalidity = "1e9" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "revoke", .device = D, .invalidity = "9999999999999" },
      CM_REFUSAL_REQUEST_FIELD_INVALID },
    /* why */
    { { .kind = "retire", .device = D, .why = "two\nlines" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "retire", .device = D, .why = "\xff" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
    { { .kind = "retire", .device = D, .why = LINE_256 "x" }, CM_REFUSAL_REQUEST_FIELD_INVALID },
};

static void test_texts_that_are_wrong_are_refused_with_their_code(void)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct cm_order order = { .kind = CM_ORDER_COUNT };
        struct cm_refusal refusal = { 0 };
        CU_ASSERT_FALSE(read_texts(&refused[i].texts, &order, &refusal));
        if (refusal.code != refused[i].code)
            printf("%zu: %s: %s\n", i, cm_refusal_name(refusal.code), refusal.message);
        CU_ASSERT_EQUAL(refusal.code, refused[i].code);
        CU_ASSERT_EQUAL(order.kind, CM_ORDER_COUNT); /* nothing is written */
    }
}

static void test_kinds_are_found_by_the_names_of_operations(void)
{
    static const char *const names[] = { "revoke", "quarantine", "reinstate", "retire" };
    for (unsigned kind = 0; kind < CM_ORDER_COUNT; kind++)
        CU_ASSERT_EQUAL(good((struct texts){ .kind = names[kind], .device = D }).kind, kind);
}

static void test_one_certificate_may_be_reinstated(void)
{
    struct cm_order order =
        good((struct texts){ .kind = "reinstate", .serial = "0c", .issuer = "issuing-1" });
    CU_ASSERT_EQUAL(order.kind, CM_ORDER_REINSTATE);
    CU_ASSERT_TRUE(cm_bytes_equal(order.serial, cm_bytes_str("\f")));
    CU_ASSERT_TRUE(cm_bytes_is(order.issuer, "issuing-1"));
}

static void test_a_revocation_has_what_its_texts_say(void)
{
    struct cm_order order = good((struct texts){ .kind = "revoke",
                                                 .serial = "0AbC",
                                                 .issuer = "issuing-1",
                                                 .reason = "keyCompromise",
                                                 .invalidity = "1735776000",
                                                 .why = "Schl\xc3\xbcssel lag offen" });
    CU_ASSERT_TRUE(cm_bytes_equal(order.serial, cm_bytes("\x0a\xbc", 2)));
    CU_ASSERT_TRUE(cm_bytes_is(order.issuer, "issuing-1"));
    CU_ASSERT_EQUAL(order.reason, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(order.invalidity_s, NOW_S + 86400);
    CU_ASSERT_EQUAL(order.time_s, NOW_S);
    CU_ASSERT_TRUE(cm_bytes_is(order.why, "Schl\xc3\xbcssel lag offen"));
    CU_ASSERT_EQUAL(order.device.size + order.group.size, 0);
    order = good((struct texts){ .kind = "revoke", .group = "pumps", .reason = "certificateHold" });
    CU_ASSERT_TRUE(cm_bytes_is(order.group, "pumps"));
    CU_ASSERT_EQUAL(order.reason, CM_REASON_CERTIFICATE_HOLD);
    order = good((struct texts){ .kind = "revoke", .device = D, .why = "" });
    CU_ASSERT_EQUAL(order.reason, CM_REASON_UNSPECIFIED);
    CU_ASSERT_EQUAL(order.invalidity_s, 0);
}

/* A serial in its text, and the octets of its INTEGER. */
static void expect_serial(const char *digits, const char *octets, size_t size)
{
    struct cm_order order = good((struct texts)SERIAL(digits));
    CU_ASSERT_TRUE(cm_bytes_equal(order.serial, cm_bytes(octets, size)));
}

static void test_a_serial_becomes_the_content_of_its_integer(void)
{
    expect_serial("1", "\x01", 1);
    expect_serial("0001", "\x01", 1);
    expect_serial("7f", "\x7f", 1);
    expect_serial("80", "\x00\x80", 2);
    expect_serial("00FF", "\x00\xff", 2);
    expect_serial("100", "\x01\x00", 2);
    expect_serial("f00", "\x0f\x00", 2);
}

static void test_the_longest_serials_have_twenty_octets(void)
{
    struct cm_order order = good((struct texts)SERIAL("7" DIGITS("fff") "fffffffff"));
    CU_ASSERT_EQUAL(order.serial.size, CM_SERIAL_SIZE);
    CU_ASSERT_EQUAL(order.serial.data[0], 0x7f);
    order = good((struct texts)SERIAL("000"
                                      "8" DIGITS("000") "0000000")); /* 19, and a zero */
    CU_ASSERT_EQUAL(order.serial.size, CM_SERIAL_SIZE);
    CU_ASSERT_EQUAL(order.serial.data[0], 0);
    CU_ASSERT_EQUAL(order.serial.data[1], 0x80);
}

CM_TEST_SUITE_WITH(orders, set_up, tear_down,
                   CM_TEST(test_texts_that_are_wrong_are_refused_with_their_code),
                   CM_TEST(test_kinds_are_found_by_the_names_of_operations),
                   CM_TEST(test_one_certificate_may_be_reinstated),
                   CM_TEST(test_a_revocation_has_what_its_texts_say),
                   CM_TEST(test_a_serial_becomes_the_content_of_its_integer),
                   CM_TEST(test_the_longest_serials_have_twenty_octets));
