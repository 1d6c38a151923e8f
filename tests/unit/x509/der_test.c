#include "engine/x509/der.h"
#include "engine/x509/oid.h"
#include "tests/support/test_main.h"

#include <stdlib.h>

/* Hex to bytes that stay until the next call but one. */
static struct cm_bytes hex(const char *text)
{
    static uint8_t space[2][4096];
    static size_t turn;
    size_t size = 0;
    turn ^= 1;
    CU_ASSERT_FATAL(cm_hex_decode(text, strlen(text), space[turn], sizeof space[turn], &size));
    return cm_bytes(space[turn], size);
}

static enum cm_refusal_code check(const char *text)
{
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    bool is_accepted = cm_der_check(hex(text), &refusal);
    CU_ASSERT_EQUAL(is_accepted, refusal.code == CM_REFUSAL_NONE);
    return refusal.code;
}

static void test_the_walk_refuses_what_is_not_der(void)
{
    static const struct {
        const char *text;
        enum cm_refusal_code code;
    } rows[] = {
        { "30", CM_REFUSAL_DER_TRUNCATED },
        { "3005020100", CM_REFUSAL_DER_TRUNCATED },
        { "308200", CM_REFUSAL_DER_TRUNCATED },
        { "3080020100", CM_REFUSAL_DER_INDEFINITE_LENGTH },
        { "308103020100", CM_REFUSAL_DER_LENGTH_NOT_MINIMAL },
        { "30820003020100", CM_REFUSAL_DER_LENGTH_NOT_MINIMAL },
        { "3084ffffffff", CM_REFUSAL_DER_LENGTH_OVERFLOW },
        { "30850000000000", CM_REFUSAL_DER_LENGTH_OVERFLOW },
        { "1f0100", CM_REFUSAL_DER_UNEXPECTED_TAG },
        { "0000", CM_REFUSAL_DER_UNEXPECTED_TAG },
        { "1000", CM_REFUSAL_DER_UNEXPECTED_TAG },
        { "0200", CM_REFUSAL_DER_UNEXPECTED_LENGTH },
        { "02020001", CM_REFUSAL_DER_INTEGER_NOT_MINIMAL },
        { "0202ff80", CM_REFUSAL_DER_INTEGER_NOT_MINIMAL },
        { "0100", CM_REFUSAL_DER_UNEXPECTED_LENGTH },
        { "010101", CM_REFUSAL_DER_BOOLEAN_NOT_CANONICAL },
        { "050100", CM_REFUSAL_DER_UNEXPECTED_LENGTH },
        { "0300", CM_REFUSAL_DER_UNEXPECTED_LENGTH },
        { "030101", CM_REFUSAL_DER_BITSTRING_UNUSED_BITS },
        { "03020880", CM_REFUSAL_DER_BITSTRING_UNUSED_BITS },
        { "03020401", CM_REFUSAL_DER_BITSTRING_UNUSED_BITS },
        { "2403040100", CM_REFUSAL_DER_STRING_CONSTRUCTED },
        { "0600", CM_REFUSAL_DER_OID_INVALID },
        { "06028055", CM_REFUSAL_DER_OID_INVALID },
        { "0603558001", CM_REFUSAL_DER_OID_INVALID },
        { "06025581", CM_REFUSAL_DER_OID_INVALID },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(check(rows[i].text), rows[i].code);
}

static void test_the_walk_accepts_der(void)
{
    static const char *const rows[] = { "",       "3000",     "02020080", "0202ff7f",
                                        "0101ff", "03020780", "06025501", "a003020101" };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(check(rows[i]), CM_REFUSAL_NONE);
}

/* depth elements of one inside the other */
static enum cm_refusal_code check_nested(size_t depth)
{
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    uint8_t data[64];
    for (size_t i = 0; i < depth; i++) {
        data[2 * i] = CM_DER_SEQUENCE;
        data[2 * i + 1] = (uint8_t)(2 * (depth - i - 1));
    }
    cm_der_check(cm_bytes(data, 2 * depth), &refusal);
    return refusal.code;
}

static void test_sixteen_levels_are_the_limit(void)
{
    CU_ASSERT_EQUAL(check_nested(16), CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(check_nested(17), CM_REFUSAL_DER_TOO_DEEP);
}

static void test_offsets_count_from_the_start_of_the_whole_input(void)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(hex("30050403010101"), &refusal), inside;
    struct cm_bytes content;
    CU_ASSERT_FATAL(cm_der_enter(&der, CM_DER_SEQUENCE, "outer", &inside));
    CU_ASSERT_FATAL(cm_der_read_octet_string(&inside, "octets", &content));
    inside = cm_der_inside(&der, content);
    bool value;
    CU_ASSERT_FALSE(cm_der_read_boolean(&inside, "flag", &value));
    CU_ASSERT_STRING_EQUAL(refusal.message, "flag: 0x01, expected 0xff at offset 4");
}

static void test_an_extra_element_is_refused(void)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(hex("020100"), &refusal);
    CU_ASSERT_FALSE(cm_der_finish(&der, "nothing"));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_DER_UNEXPECTED_TAG);
}

static void test_a_missing_element_is_told_apart_from_a_cut_one(void)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(hex("3000"), &refusal), inside;
    struct cm_bytes content;
    CU_ASSERT_FATAL(cm_der_enter(&der, CM_DER_SEQUENCE, "outer", &inside));
    CU_ASSERT_FALSE(cm_der_read_integer(&inside, "version", &content));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_DER_TOO_FEW_ELEMENTS);
}

static void test_unsigned_integers_lose_their_sign_octet(void)
{
    struct cm_refusal refusal;
    struct cm_bytes magnitude;
    struct cm_der der = cm_der_open(hex("02020080020100"
                                        "0201ff"),
                                    &refusal);
    CU_ASSERT_FATAL(cm_der_read_unsigned(&der, "a", &magnitude));
    CU_ASSERT(magnitude.size == 1 && magnitude.data[0] == 0x80);
    CU_ASSERT_FATAL(cm_der_read_unsigned(&der, "b", &magnitude));
    CU_ASSERT_EQUAL(magnitude.size, 0);
    CU_ASSERT_FALSE(cm_der_read_unsigned(&der, "c", &magnitude));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_DER_INTEGER_NEGATIVE);
}

static bool named_bits(const char *text, uint16_t *ret_bits)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(hex(text), &refusal);
    return cm_der_read_named_bits(&der, "bits", ret_bits);
}

static void test_named_bits_count_from_the_top(void)
{
    uint16_t bits = 99;
    CU_ASSERT(named_bits("03020780", &bits) && bits == 1);
    CU_ASSERT(named_bits("03020106", &bits) && bits == 0x60);
    CU_ASSERT(named_bits("030100", &bits) && bits == 0);
    CU_ASSERT(named_bits("0303070080", &bits) && bits == 0x100);
    CU_ASSERT_FALSE(named_bits("03020080", &bits)); /* trailing zero bits */
    CU_ASSERT_FALSE(named_bits("030400808080", &bits));
}

static bool read_time(const char *tag, const char *text, int64_t *ret_unix_seconds)
{
    uint8_t data[64];
    struct cm_refusal refusal;
    size_t size = strlen(text);
    data[0] = (uint8_t)strtoul(tag, NULL, 16);
    data[1] = (uint8_t)size;
    memcpy(data + 2, text, size);
    struct cm_der der = cm_der_open(cm_bytes(data, size + 2), &refusal);
    return cm_der_read_time(&der, "time", ret_unix_seconds);
}

static void test_times_are_those_of_rfc_5280(void)
{
    int64_t at = 0;
    static const char *const bad[] = { "7001010000Z",    "700101000000",  "700101000000+0000",
                                       "701301000000Z",  "700230000000Z", "700101240000Z",
                                       "700101006000Z",  "700101000060Z", "7001010000000Z",
                                       "70010100000.0Z", "-00101000000Z", "" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(read_time("17", bad[i], &at));
    CU_ASSERT_FALSE(read_time("18", "20230229000000Z", &at));
    CU_ASSERT_FALSE(read_time("18", "20230228000000.5Z", &at));
    CU_ASSERT(read_time("17", "700101000000Z", &at) && at == 0);
    CU_ASSERT(read_time("17", "491231235959Z", &at) && at == 2524607999);
    CU_ASSERT(read_time("17", "500101000000Z", &at) && at == -631152000);
    CU_ASSERT(read_time("18", "20240229120000Z", &at) && at == 1709208000);
    CU_ASSERT(read_time("18", "99991231235959Z", &at) && at == 253402300799);
}

static void test_object_identifiers_print_as_dotted_text(void)
{
    char text[CM_OID_TEXT_SIZE];
    static const struct {
        const char *octets;
        const char *text;
    } rows[] = { { "550403", "2.5.4.3" },
                 { "2a864886f70d01010b", "1.2.840.113549.1.1.11" },
                 { "8837", "2.999" },
                 { "27", "0.39" },
                 { "55ffffffffffffffffffff7f", "2.5.?" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_STRING_EQUAL(cm_oid_dotted(hex(rows[i].octets), text, sizeof text), rows[i].text);
    CU_ASSERT_STRING_EQUAL(cm_oid_dotted(hex("2a864886f70d01010b"), text, 8), "1.2.840");
}

static void test_every_known_object_identifier_is_found_again(void)
{
    for (unsigned oid = 1; oid < CM_OID_COUNT; oid++)
        CU_ASSERT_EQUAL(cm_oid_find(cm_oid_content((enum cm_oid)oid)), oid);
    CU_ASSERT_EQUAL(cm_oid_find(cm_bytes("\x2a\x03", 2)), CM_OID_UNKNOWN);
}

CM_TEST_SUITE(der, CM_TEST(test_the_walk_refuses_what_is_not_der),
              CM_TEST(test_sixteen_levels_are_the_limit),
              CM_TEST(test_offsets_count_from_the_start_of_the_whole_input),
              CM_TEST(test_an_extra_element_is_refused),
              CM_TEST(test_a_missing_element_is_told_apart_from_a_cut_one),
              CM_TEST(test_unsigned_integers_lose_their_sign_octet),
              CM_TEST(test_named_bits_count_from_the_top),
              CM_TEST(test_times_are_those_of_rfc_5280), CM_TEST(test_the_walk_accepts_der),
              CM_TEST(test_object_identifiers_print_as_dotted_text),
              CM_TEST(test_every_known_object_identifier_is_found_again));
