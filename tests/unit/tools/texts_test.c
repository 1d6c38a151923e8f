/*
 * Goal: serial numbers and times are taken as people write them, and nothing else is. Method: texts in,
 * values out, and back.
 */
#include "tests/support/test_main.h"

#include <string.h>

#include "tools/serial.h"
#include "tools/time_text.h"

static void test_serials_come_in_every_usual_spelling(void)
{
    static const char *const spellings[] = { "19af3c", "19AF3C", "19:af:3c", "0019af3c",
                                             "00:19:AF:3C" };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        struct cm_serial_content serial;
        CU_ASSERT_TRUE(cm_serial_read(spellings[i], &serial));
        CU_ASSERT_EQUAL(serial.size, 3);
        CU_ASSERT_EQUAL(memcmp(serial.octets, "\x19\xaf\x3c", 3), 0);
    }
}

static void test_a_serial_is_positive_and_minimal(void)
{
    struct cm_serial_content serial;
    char text[CM_SERIAL_TEXT_SIZE];
    CU_ASSERT_TRUE(cm_serial_read("ff", &serial));
    CU_ASSERT_EQUAL(serial.size, 2);
    CU_ASSERT_EQUAL(memcmp(serial.octets, "\0\xff", 2), 0);
    cm_serial_write(cm_serial_bytes(&serial), text);
    CU_ASSERT_STRING_EQUAL(text, "ff");
    CU_ASSERT_TRUE(cm_serial_read("7", &serial));
    CU_ASSERT_EQUAL(serial.size, 1);
    CU_ASSERT_TRUE(cm_serial_read("7f00000000000000000000000000000000000001", &serial));
    CU_ASSERT_EQUAL(serial.size, 20);
}

static void test_what_is_no_serial_is_refused(void)
{
    static const char *const texts[] = { "",
                                         "0",
                                         "00:00",
                                         "0x19",
                                         "19 af",
                                         "19::af",
                                         "19:",
                                         ":19",
                                         "-1",
                                         "ff00000000000000000000000000000000000001",
                                         "7f0000000000000000000000000000000000000102" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cm_serial_content serial;
        CU_ASSERT_FALSE(cm_serial_read(texts[i], &serial));
    }
}

static void test_times_come_as_moment_day_or_number(void)
{
    int64_t seconds;
    char text[CM_TIME_TEXT_SIZE];
    CU_ASSERT_TRUE(cm_time_read("2026-01-31T12:00:00Z", &seconds));
    CU_ASSERT_EQUAL(seconds, 1769860800);
    CU_ASSERT_STRING_EQUAL(cm_time_write(seconds, text), "2026-01-31T12:00:00Z");
    CU_ASSERT_TRUE(cm_time_read("2026-01-31", &seconds));
    CU_ASSERT_EQUAL(seconds, 1769817600);
    CU_ASSERT_TRUE(cm_time_read("1769860800", &seconds));
    CU_ASSERT_EQUAL(seconds, 1769860800);
}

static void test_what_is_no_time_is_refused(void)
{
    static const char *const texts[] = { "",           "now",
                                         "2026-02-30", "2026-01-31 12:00:00Z",
                                         "2026-1-31",  "2026-01-31T25:00:00Z",
                                         "-5",         "2026-01-31T12:00:00+01",
                                         "1e9",        "99999999999999" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t seconds;
        CU_ASSERT_FALSE(cm_time_read(texts[i], &seconds));
    }
}

CM_TEST_SUITE(texts, CM_TEST(test_serials_come_in_every_usual_spelling),
              CM_TEST(test_a_serial_is_positive_and_minimal),
              CM_TEST(test_what_is_no_serial_is_refused),
              CM_TEST(test_times_come_as_moment_day_or_number),
              CM_TEST(test_what_is_no_time_is_refused));
