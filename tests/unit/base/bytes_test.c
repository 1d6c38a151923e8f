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

CM_TEST_SUITE(bytes, CM_TEST(test_hex_goes_there_and_back), CM_TEST(test_hex_refuses_what_is_none),
              CM_TEST(test_printable_escapes_and_cuts));
