/* The wall clock: what of it is believed. The offset is the error of whoever sets it. */
#include "engine/base/clock.h"

#include <stdbool.h>

#include "tests/support/test_main.h"

static const int64_t hour_ms = 60ll * 60 * 1000, day_ms = 24ll * 60 * 60 * 1000;

/* Of what is told to what it was with no offset; the seconds that the test takes do not count. */
static bool is_told(int64_t begin_ms, int64_t expected_ms)
{
    int64_t told_ms = cm_clock_wall_ms() - begin_ms;
    return told_ms >= expected_ms && told_ms < expected_ms + hour_ms / 2;
}

static void test_seconds_are_those_before_the_milliseconds(void)
{
    int64_t ms = cm_clock_wall_ms(), s = cm_clock_wall_s();
    CU_ASSERT(s * 1000 >= ms - 999 && s * 1000 < ms + 10000);
}

static void test_whoever_has_not_asked_believes_everything(void)
{
    int64_t begin_ms = cm_clock_wall_ms();
    cm_clock_set_wall_offset_ms(3650 * day_ms);
    CU_ASSERT(is_told(begin_ms, 3650 * day_ms));
    CU_ASSERT_EQUAL(cm_clock_leap_ms(), 0);
    cm_clock_set_wall_offset_ms(0);
}

static void test_a_leap_is_not_believed_until_the_clock_is_right_again(void)
{
    int64_t begin_ms = cm_clock_wall_ms();
    cm_clock_disbelieve_leaps();
    cm_clock_set_wall_offset_ms(3650 * day_ms);
    CU_ASSERT(is_told(begin_ms, 0));
    CU_ASSERT(cm_clock_leap_ms() > 3649 * day_ms);
    cm_clock_set_wall_offset_ms(hour_ms);
    CU_ASSERT(is_told(begin_ms, hour_ms));
    CU_ASSERT_EQUAL(cm_clock_leap_ms(), 0);
    cm_clock_set_wall_offset_ms(0);
}

static void test_steps_are_followed_and_one_back_makes_none_of_the_way_forward_again(void)
{
    int64_t begin_ms = cm_clock_wall_ms();
    cm_clock_disbelieve_leaps();
    for (int64_t n = 1; n <= 3; n++) {
        cm_clock_set_wall_offset_ms(n * 20 * hour_ms);
        CU_ASSERT(is_told(begin_ms, n * 20 * hour_ms));
    }
    cm_clock_set_wall_offset_ms(-3650 * day_ms);
    CU_ASSERT(is_told(begin_ms, -3650 * day_ms));
    cm_clock_set_wall_offset_ms(3 * 20 * hour_ms);
    CU_ASSERT(is_told(begin_ms, 3 * 20 * hour_ms));
    CU_ASSERT_EQUAL(cm_clock_leap_ms(), 0);
    cm_clock_set_wall_offset_ms(0);
}

CM_TEST_SUITE(clock, CM_TEST(test_seconds_are_those_before_the_milliseconds),
              CM_TEST(test_whoever_has_not_asked_believes_everything),
              CM_TEST(test_a_leap_is_not_believed_until_the_clock_is_right_again),
              CM_TEST(test_steps_are_followed_and_one_back_makes_none_of_the_way_forward_again));
