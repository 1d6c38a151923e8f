/*
 * Goal: a run of any length fits, and loses nothing of what grows.
 * Method: samples whose figures are their position.
 */
#include "tests/support/test_main.h"

#include "tools/bench/samples.h"

static struct cm_bench_samples samples;

static void add(uint32_t position, bool is_last)
{
    struct cm_bench_sample sample = { .at_ns = position * 100, .answered = position };
    sample.cpu_s[CM_BENCH_PROCESS_ENGINE] = position / 10.0;
    sample.store_bytes = position * 1000;
    cm_bench_samples_add(&samples, &sample, is_last);
}

static void test_samples_of_a_long_run_are_thinned_out_evenly(void)
{
    cm_bench_samples_init(&samples);
    for (uint32_t i = 0; i < 5000; i++)
        add(i, false);
    CU_ASSERT_TRUE(samples.count <= CM_BENCH_SAMPLES_MAX);
    CU_ASSERT_TRUE(samples.count > CM_BENCH_SAMPLES_MAX / 3);
    CU_ASSERT_EQUAL(samples.rows[0].answered, 0);
    for (uint32_t i = 2; i < samples.count; i++)
        CU_ASSERT_EQUAL(samples.rows[i].at_ns - samples.rows[i - 1].at_ns,
                        samples.rows[1].at_ns - samples.rows[0].at_ns);
    cm_bench_samples_done(&samples);
}

static void test_samples_keep_the_last_in_any_case(void)
{
    cm_bench_samples_init(&samples);
    for (uint32_t i = 0; i < 4000; i++)
        add(i, false);
    add(4001, true);
    CU_ASSERT_EQUAL(samples.rows[samples.count - 1].answered, 4001);
    cm_bench_samples_done(&samples);
}

static void test_samples_between_two_have_grown_evenly(void)
{
    cm_bench_samples_init(&samples);
    add(10, false);
    add(20, false);
    struct cm_bench_sample found = cm_bench_samples_at(&samples, 1250);
    CU_ASSERT_EQUAL(found.at_ns, 1250);
    CU_ASSERT_EQUAL(found.answered, 13); /* 12.5, rounded */
    CU_ASSERT_DOUBLE_EQUAL(found.cpu_s[CM_BENCH_PROCESS_ENGINE], 1.25, 1e-9);
    CU_ASSERT_EQUAL(found.store_bytes, 10000);
    CU_ASSERT_EQUAL(cm_bench_samples_at(&samples, 5).answered, 10);
    CU_ASSERT_EQUAL(cm_bench_samples_at(&samples, 99999).answered, 20);
    cm_bench_samples_done(&samples);
}

static void test_samples_of_no_run_are_nothing(void)
{
    cm_bench_samples_init(&samples);
    CU_ASSERT_EQUAL(cm_bench_samples_at(&samples, 7).answered, 0);
    cm_bench_samples_done(&samples);
}

CM_TEST_SUITE(bench_samples, CM_TEST(test_samples_of_a_long_run_are_thinned_out_evenly),
              CM_TEST(test_samples_keep_the_last_in_any_case),
              CM_TEST(test_samples_between_two_have_grown_evenly),
              CM_TEST(test_samples_of_no_run_are_nothing));
