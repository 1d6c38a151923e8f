#include <stdlib.h>

#include "engine/base/bytes.h"
#include "tests/support/test_main.h"

static void test_hex_goes_there_and_back(void)
{
    const uint8_t bytes[] = { 0x00, 0x7f, 0xff, 0x1a };
    char text[9];
    uint8_t back[4];
    size_t size = 0;
    cm_hex_encode(cm_bytes(bytes, sizeof bytes), text);
    CU_ASSERT_STRING_EQUAL(text, "007fff1a");
    CU_ASSERT_TRUE(cm_hex_decode(text, 8, back, sizeof back, &size));
    CU_ASSERT_TRUE(cm_bytes_equal(cm_bytes(back, size), cm_bytes(bytes, sizeof bytes)));
}

static void test_hex_refuses_what_is_none(void)
{
    uint8_t back[4];
    size_t size = 0;
    CU_ASSERT_FALSE(cm_hex_decode("abc", 3, back, sizeof back, &size));
    CU_ASSERT_FALSE(cm_hex_decode("0g", 2, back, sizeof back, &size));
    CU_ASSERT_FALSE(cm_hex_decode("0011223344", 10, back, sizeof back, &size));
    CU_ASSERT_TRUE(cm_hex_decode_exactly("00fF", back, 2));
    CU_ASSERT_EQUAL(back[1], 0xff);
    CU_ASSERT_FALSE(cm_hex_decode_exactly("00", back, 2));
    CU_ASSERT_FALSE(cm_hex_decode_exactly("001122", back, 2));
    CU_ASSERT_FALSE(cm_hex_decode_exactly("00g1", back, 2));
    CU_ASSERT_FALSE(cm_hex_decode_exactly(NULL, back, 2));
}

static void test_printable_escapes_and_cuts(void)
{
    char text[16];
    CU_ASSERT_STRING_EQUAL(cm_bytes_printable(cm_bytes("a\x1b[m", 4), text, sizeof text),
                           "a\\x1b[m");
    CU_ASSERT_STRING_EQUAL(
        cm_bytes_printable(cm_bytes_str("0123456789abcdefgh"), text, sizeof text),
        "0123456789ab...");
    CU_ASSERT_STRING_EQUAL(cm_bytes_printable(cm_bytes(NULL, 0), text, sizeof text), "");
}

static void test_a_copy_has_memory_of_its_own_also_when_it_is_empty(void)
{
    char text[] = "abc";
    struct cm_bytes copy = cm_bytes_copy(cm_bytes_str(text));
    struct cm_bytes empty = cm_bytes_copy(cm_bytes(NULL, 0));
    text[0] = 'x';
    CU_ASSERT_TRUE(cm_bytes_is(copy, "abc"));
    CU_ASSERT_PTR_NOT_NULL(empty.data);
    CU_ASSERT_EQUAL(empty.size, 0);
    free((void *)(uintptr_t)copy.data);
    free((void *)(uintptr_t)empty.data);
}

static void test_numbers_stand_with_their_highest_octet_first(void)
{
    static const uint8_t expected[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
    uint8_t octets[8] = { 0 };
    cm_big_endian_write(0x0123456789abcdef, octets, 8);
    CU_ASSERT_EQUAL(memcmp(octets, expected, 8), 0);
    CU_ASSERT_EQUAL(cm_big_endian_read(octets, 8), 0x0123456789abcdef);
    CU_ASSERT_EQUAL(cm_big_endian_read(octets, 2), 0x0123);
    cm_big_endian_write(0xfffe, octets, 4);
    CU_ASSERT_EQUAL(cm_big_endian_read(octets, 5), 0xfffe89);
    cm_big_endian_write((uint64_t)-2, octets, 8);
    CU_ASSERT_EQUAL((int64_t)cm_big_endian_read(octets, 8), -2);
}

CM_TEST_SUITE(bytes, CM_TEST(test_a_copy_has_memory_of_its_own_also_when_it_is_empty),
              CM_TEST(test_numbers_stand_with_their_highest_octet_first),
              CM_TEST(test_hex_goes_there_and_back), CM_TEST(test_hex_refuses_what_is_none),
              CM_TEST(test_printable_escapes_and_cuts));
