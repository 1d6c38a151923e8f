/*
 * Goal: requests of an open loop are due exactly when their rate says, whoever looks when, and a ramp is what
 * was typed.
 * Method: moments against the arithmetic of the rates; texts that are no ramps.
 */
#include "tests/support/test_main.h"

#include <string.h>

#include "engine/base/clock.h"
#include "tools/bench/schedule.h"

static void test_schedule_of_a_closed_loop_has_all_due_at_once(void)
{
    struct cm_bench_schedule schedule;
    cm_bench_schedule_closed(500, &schedule);
    CU_ASSERT_EQUAL(schedule.stages_count, 0);
    CU_ASSERT_EQUAL(cm_bench_schedule_due(&schedule, 7, 7), 500);
}

static void test_schedule_of_a_rate_is_due_evenly(void)
{
    struct cm_bench_schedule schedule;
    cm_bench_schedule_rate(1000, 400, &schedule);
    CU_ASSERT_EQUAL(cm_bench_schedule_due_ns(&schedule, 50, 0), 50);
    CU_ASSERT_EQUAL(cm_bench_schedule_due_ns(&schedule, 50, 400), 50 + CM_NS_PER_S);
    CU_ASSERT_EQUAL(cm_bench_schedule_due_ns(&schedule, 50, 3), 50 + 7500000);
    CU_ASSERT_EQUAL(cm_bench_schedule_due(&schedule, 50, 50), 1);
    CU_ASSERT_EQUAL(cm_bench_schedule_due(&schedule, 50, 50 + CM_NS_PER_S), 401);
    CU_ASSERT_EQUAL(cm_bench_schedule_due(&schedule, 50, 50 + 10 * CM_NS_PER_S), 1000);
}

/* Whoever asks how many are due, and whoever asks when, hear the same. */
static void test_schedule_counts_a_request_from_its_very_moment(void)
{
    struct cm_bench_schedule schedule;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_bench_schedule_ramp("1000:4000:1500", 2, &schedule, &err), CM_OK);
    for (uint32_t i = 0; i < schedule.requests_count; i++) {
        uint64_t due_ns = cm_bench_schedule_due_ns(&schedule, 1000, i);
        /* A rate that does not divide a second has its moments rounded down, by less than one nanosecond. */
        CU_ASSERT_TRUE(cm_bench_schedule_due(&schedule, 1000, due_ns + 1) >= i + 1);
        CU_ASSERT_TRUE(i == 0 || cm_bench_schedule_due(&schedule, 1000, due_ns - 1) <= i);
    }
}

static void test_schedule_of_a_ramp_has_a_stage_for_each_rate(void)
{
    struct cm_bench_schedule schedule;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_bench_schedule_ramp("100:300:100", 5, &schedule, &err), CM_OK);
    CU_ASSERT_EQUAL(schedule.stages_count, 3);
    CU_ASSERT_EQUAL(schedule.requests_count, 500 + 1000 + 1500);
    CU_ASSERT_EQUAL(schedule.stages[2].rate_per_s, 300);
    CU_ASSERT_EQUAL(schedule.stages[2].first, 1500);
    CU_ASSERT_EQUAL(schedule.stages[2].begins_ns, 10 * CM_NS_PER_S);
    CU_ASSERT_EQUAL(cm_bench_stage_end_ns(&schedule.stages[2]), 15 * CM_NS_PER_S);
}

static void test_schedule_holds_for_hours_without_overflow(void)
{
    struct cm_bench_schedule schedule = { .stages_count = 1, .requests_count = UINT32_MAX };
    schedule.stages[0] =
        (struct cm_bench_stage){ .rate_per_s = CM_BENCH_RATE_MAX, .count = UINT32_MAX };
    uint64_t due_ns = cm_bench_schedule_due_ns(&schedule, 0, UINT32_MAX - 1);
    CU_ASSERT_EQUAL(due_ns, (uint64_t)(UINT32_MAX - 1) * 1000);
    CU_ASSERT_EQUAL(cm_bench_schedule_due(&schedule, 0, due_ns), UINT32_MAX);
}

static void test_schedule_refuses_what_is_no_ramp(void)
{
    static const char *const wrong[] = { "",           "100",   "100:200", "100:200:0",
                                         "200:100:10", "a:b:c", "1:2:3:4", "-1:2:1",
                                         " 1:2:1",     "0:2:1", "1:2:1x",  "1:9999999:1",
                                         "1::1" };
    struct cm_bench_schedule schedule;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cm_error err = { 0 };
        CU_ASSERT_EQUAL(cm_bench_schedule_ramp(wrong[i], 1, &schedule, &err), CM_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "FROM:TO:STEP"));
    }
}

static void test_schedule_refuses_a_ramp_that_is_too_much(void)
{
    struct cm_bench_schedule schedule;
    struct cm_error err = { 0 };
    CU_ASSERT_EQUAL(cm_bench_schedule_ramp("1:100:1", 1, &schedule, &err), CM_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "stages"));
    CU_ASSERT_EQUAL(cm_bench_schedule_ramp("900000:1000000:100000", 3600, &schedule, &err),
                    CM_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "requests"));
}

CM_TEST_SUITE(bench_schedule, CM_TEST(test_schedule_of_a_closed_loop_has_all_due_at_once),
              CM_TEST(test_schedule_of_a_rate_is_due_evenly),
              CM_TEST(test_schedule_counts_a_request_from_its_very_moment),
              CM_TEST(test_schedule_of_a_ramp_has_a_stage_for_each_rate),
              CM_TEST(test_schedule_holds_for_hours_without_overflow),
              CM_TEST(test_schedule_refuses_what_is_no_ramp),
              CM_TEST(test_schedule_refuses_a_ramp_that_is_too_much));
