/* Goal: what a progress line says, on a terminal and elsewhere. Method: invented numbers. */
#include "tests/support/test_main.h"

#include <string.h>

#include "engine/base/clock.h"
#include "tools/progress.h"

static const char *written(struct cm_progress progress, uint64_t elapsed_s)
{
    static char text[160];
    progress.what = "certificates";
    cm_progress_write(&progress, elapsed_s * CM_NS_PER_S, text, sizeof text);
    return text;
}

static void test_progress_of_an_unknown_total_has_neither_bar_nor_end(void)
{
    CU_ASSERT_STRING_EQUAL(written((struct cm_progress){ .done = 30, .terminal = true }, 3),
                           "30 certificates, 10/s");
}

static void test_progress_at_its_very_start_knows_no_rate(void)
{
    CU_ASSERT_STRING_EQUAL(written((struct cm_progress){ .total = 10 }, 0),
                           "0 of 10 certificates, 0/s");
}

static void test_progress_elsewhere_is_a_plain_line(void)
{
    CU_ASSERT_STRING_EQUAL(written((struct cm_progress){ .done = 25, .total = 100 }, 5),
                           "25 of 100 certificates, 5/s, 15 s left");
}

static void test_progress_on_a_terminal_has_a_bar(void)
{
    const char *text =
        written((struct cm_progress){ .done = 50, .total = 100, .terminal = true }, 5);
    CU_ASSERT_STRING_EQUAL(
        text, "[###############---------------]  50% 50 of 100 certificates, 10/s, 5 s left");
}

static void test_progress_beyond_the_total_stays_within_its_bar(void)
{
    const char *text =
        written((struct cm_progress){ .done = 300, .total = 100, .terminal = true }, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "[##############################] 100%"));
}

CM_TEST_SUITE(progress, CM_TEST(test_progress_of_an_unknown_total_has_neither_bar_nor_end),
              CM_TEST(test_progress_at_its_very_start_knows_no_rate),
              CM_TEST(test_progress_elsewhere_is_a_plain_line),
              CM_TEST(test_progress_on_a_terminal_has_a_bar),
              CM_TEST(test_progress_beyond_the_total_stays_within_its_bar));
