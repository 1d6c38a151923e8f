/* Two entries that differ in anything but their auth have different canonical forms. */
#include "queue/canonical.h"

#include "engine/base/auth.h"
#include "tests/support/test_main.h"

static uint8_t space[CM_CANONICAL_SIZE_MAX];

static struct cm_bytes canonical(const struct cm_bytes *fields)
{
    size_t size = cm_canonical_write(fields, space, sizeof space);
    return cm_bytes(space, size);
}

static void test_every_field_but_auth_has_its_line(void)
{
    struct cm_bytes fields[CM_FIELD_COUNT];
    static const char expected[] =
        "certmill-request-v1\nop 5 issue\nid 7 order-1\nrequester 6 line-1\ndevice 6 pump-1\n"
        "csr-sha256 64 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
        "profile 6 ldevid\nserial 2 0a\nreason 13 keyCompromise\ninvalidity 10 1700000000\n"
        "why 11 stolen van\n\npriority 4 high\n"
        "time 13 1735689600000\n";
    fields[CM_FIELD_OP] = cm_bytes_str("issue");
    fields[CM_FIELD_ID] = cm_bytes_str("order-1");
    fields[CM_FIELD_REQUESTER] = cm_bytes_str("line-1");
    fields[CM_FIELD_DEVICE] = cm_bytes_str("pump-1");
    fields[CM_FIELD_CSR] = cm_bytes_str("abc");
    fields[CM_FIELD_PROFILE] = cm_bytes_str("ldevid");
    fields[CM_FIELD_SERIAL] = cm_bytes_str("0a");
    fields[CM_FIELD_REASON] = cm_bytes_str("keyCompromise");
    fields[CM_FIELD_INVALIDITY] = cm_bytes_str("1700000000");
    fields[CM_FIELD_WHY] = cm_bytes_str("stolen van\n");
    fields[CM_FIELD_TIME] = cm_bytes_str("1735689600000");
    fields[CM_FIELD_AUTH] = cm_bytes_str("ed25519:x");
    fields[CM_FIELD_PRIORITY] = cm_bytes_str("high");
    CU_ASSERT_TRUE(cm_bytes_is(canonical(fields), expected));
    /* Should a field be added to the wire format, it must have its line, too. */
    CU_ASSERT_EQUAL(CM_FIELD_COUNT, 13);
}

/* As docs/reference/wire.md has it. */
static void test_the_documented_order_has_the_documented_auth(void)
{
    struct cm_bytes fields[CM_FIELD_COUNT] = { { NULL, 0 } };
    struct cm_auth_signer *signer;
    struct cm_error err;
    char text[CM_AUTH_TEXT_SIZE];
    fields[CM_FIELD_OP] = cm_bytes_str("revoke");
    fields[CM_FIELD_ID] = cm_bytes_str("revoke-7");
    fields[CM_FIELD_REQUESTER] = cm_bytes_str("line-1");
    fields[CM_FIELD_SERIAL] = cm_bytes_str("0a1b2c");
    fields[CM_FIELD_REASON] = cm_bytes_str("keyCompromise");
    fields[CM_FIELD_INVALIDITY] = cm_bytes_str("1735000000");
    fields[CM_FIELD_WHY] = cm_bytes_str("stolen van 12");
    fields[CM_FIELD_TIME] = cm_bytes_str("1735689600000");
    CU_ASSERT_EQUAL_FATAL(
        cm_auth_signer_new_secret(cm_bytes_str("0123456789abcdef0123456789abcdef"), &signer, &err),
        CM_OK);
    CU_ASSERT_TRUE(cm_auth_sign(signer, canonical(fields), text));
    CU_ASSERT_STRING_EQUAL(text, "hmac-sha256:GDmFTIqQ41LN3-x8EwiMNR7A24eE0YHbesCcWlirX9g");
    cm_auth_signer_free(signer);
}

static void test_an_absent_field_is_not_an_empty_one(void)
{
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++) {
        struct cm_bytes fields[CM_FIELD_COUNT] = { { NULL, 0 } };
        CU_ASSERT_TRUE(cm_bytes_is(canonical(fields), "certmill-request-v1\n"));
        fields[field] = cm_bytes("", 0);
        CU_ASSERT_EQUAL(cm_bytes_is(canonical(fields), "certmill-request-v1\n"),
                        field == CM_FIELD_AUTH);
    }
}

static void test_a_value_that_looks_like_lines_is_another_request(void)
{
    struct cm_bytes one[CM_FIELD_COUNT] = { { NULL, 0 } };
    struct cm_bytes two[CM_FIELD_COUNT] = { { NULL, 0 } };
    uint8_t first[200];
    one[CM_FIELD_ID] = cm_bytes_str("a");
    one[CM_FIELD_DEVICE] = cm_bytes_str("b");
    two[CM_FIELD_ID] = cm_bytes_str("a\ndevice 1 b");
    size_t size = cm_canonical_write(one, first, sizeof first);
    CU_ASSERT_FALSE(cm_bytes_equal(canonical(two), cm_bytes(first, size)));
}

static void test_what_does_not_fit_is_nothing(void)
{
    struct cm_bytes fields[CM_FIELD_COUNT] = { { NULL, 0 } };
    fields[CM_FIELD_ID] = cm_bytes_str("order-1");
    size_t size = canonical(fields).size;
    for (size_t room = 0; room < size; room++)
        CU_ASSERT_EQUAL(cm_canonical_write(fields, space, room), 0);
    CU_ASSERT_EQUAL(cm_canonical_write(fields, space, size), size);
}

static void test_the_largest_entry_fits(void)
{
    static uint8_t large[CM_ENTRY_SIZE_MAX];
    struct cm_bytes fields[CM_FIELD_COUNT];
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
        fields[field] = cm_bytes(large, field == CM_FIELD_DEVICE ? sizeof large : 0);
    CU_ASSERT_TRUE(canonical(fields).size > sizeof large);
}

CM_TEST_SUITE(canonical, CM_TEST(test_every_field_but_auth_has_its_line),
              CM_TEST(test_the_documented_order_has_the_documented_auth),
              CM_TEST(test_an_absent_field_is_not_an_empty_one),
              CM_TEST(test_a_value_that_looks_like_lines_is_another_request),
              CM_TEST(test_what_does_not_fit_is_nothing), CM_TEST(test_the_largest_entry_fits));
