/*
 * Goal: a difference is told from noise, in the right direction, and what cannot be known is not claimed.
 * Method: reports that are made up, with tenths that are level or scattered.
 */
#include "tests/support/test_main.h"

#include <math.h>
#include <string.h>

#include "tools/bench/comparison.h"

#define CLOSE(a, b) CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-6)

static struct cm_bench_row rows[CM_BENCH_ROWS_MAX];
static size_t rows_count;

/* Ten figures around a mean, by turns above and below. */
static json_t *tenths(double mean, double scatter)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < 10; i++)
        json_array_append_new(list, json_real(mean * (1 + (i % 2 ? scatter : -scatter))));
    return list;
}

static json_t *report(double rate, double scatter, double memory_mb)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:o, s:{s:f, s:f}, s:{s:o, s:o}}",
                     "certificates_per_second", rate, "ratio_to_ceiling", rate / 20000,
                     "ceiling_before", 20000.0, "ceiling_after", 20000.0, "peak_memory_bytes",
                     memory_mb * 1e6, "issued", (json_int_t)1000, "batches", (json_int_t)10,
                     "devices", (json_int_t)1000, "slices", tenths(rate, scatter), "latency_ms",
                     "p50", 1e6 / rate, "p99", 2e6 / rate, "tenths", "latency_p50_ms",
                     tenths(1e6 / rate, scatter), "latency_p99_ms", tenths(2e6 / rate, scatter));
}

static void compare_many(json_t *const *before, size_t before_count, json_t *const *after,
                         size_t after_count)
{
    const struct cm_bench_runs left = { before, before_count }, right = { after, after_count };
    rows_count = cm_bench_compare(&left, &right, rows);
    for (size_t i = 0; i < before_count; i++)
        json_decref(before[i]);
    for (size_t i = 0; i < after_count; i++)
        json_decref(after[i]);
}

static void compare(json_t *before, json_t *after)
{
    compare_many(&before, 1, &after, 1);
}

static const struct cm_bench_row *row_of(const char *name)
{
    for (size_t i = 0; i < rows_count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static const char *verdict_of(const char *name)
{
    const struct cm_bench_row *row = row_of(name);
    return row ? cm_bench_verdict_text(row) : "no such row";
}

static void test_comparison_of_a_run_with_itself_finds_no_difference(void)
{
    compare(report(10000, 0.02, 100), report(10000, 0.02, 100));
    for (size_t i = 0; i < rows_count; i++) {
        CLOSE(rows[i].difference, 0);
        CU_ASSERT_TRUE(rows[i].verdict == CM_BENCH_SAME || rows[i].verdict == CM_BENCH_UNKNOWN);
    }
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "no difference beyond the noise");
}

static void test_comparison_tells_faster_from_slower(void)
{
    compare(report(10000, 0.01, 100), report(12000, 0.01, 100));
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "faster");
    CU_ASSERT_STRING_EQUAL(verdict_of("of the ceiling"), "faster");
    CU_ASSERT_STRING_EQUAL(verdict_of("latency, median"), "faster");
    CLOSE(row_of("certificates")->difference, 0.2);
    compare(report(12000, 0.01, 100), report(10000, 0.01, 100));
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "slower");
    CU_ASSERT_STRING_EQUAL(verdict_of("latency, p99"), "slower");
}

static void test_comparison_takes_scatter_for_noise(void)
{
    compare(report(10000, 0.2, 100), report(12000, 0.2, 100));
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "no difference beyond the noise");
    CU_ASSERT_TRUE(row_of("certificates")->noise > 0.2);
}

/* Sixteen runs that are all the same: what is left is what their tenths say of a mean of 160. */
static void test_comparison_of_more_runs_has_less_noise(void)
{
    json_t *before[16], *after[16];
    compare(report(10000, 0.2, 100), report(12000, 0.2, 100));
    double noise = row_of("certificates")->noise;
    for (unsigned i = 0; i < 16; i++) {
        before[i] = report(10000, 0.2, 100);
        after[i] = report(12000, 0.2, 100);
    }
    compare_many(before, 16, after, 16);
    double expected = noise / 2 * 2.086 / sqrt(16) / sqrt(10);
    CU_ASSERT_DOUBLE_EQUAL(row_of("certificates")->noise, expected, expected / 15);
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "faster");
}

/* Each run is level, but they lie far apart: that is noise, too. */
static void test_comparison_sees_the_spread_between_runs(void)
{
    json_t *before[] = { report(8000, 0.001, 100), report(12000, 0.001, 100) };
    json_t *after[] = { report(9000, 0.001, 100), report(12500, 0.001, 100) };
    compare_many(before, 2, after, 2);
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "no difference beyond the noise");
}

/* Two runs say little of how far runs lie apart; four say more of the same spread. */
static void test_comparison_of_few_runs_is_careful(void)
{
    json_t *two[] = { report(10000, 0, 100), report(10200, 0, 100) };
    json_t *other_two[] = { report(10600, 0, 100), report(10800, 0, 100) };
    compare_many(two, 2, other_two, 2);
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "no difference beyond the noise");
    json_t *four[] = { report(10000, 0, 100), report(10200, 0, 100), report(10000, 0, 100),
                       report(10200, 0, 100) };
    json_t *other_four[] = { report(10600, 0, 100), report(10800, 0, 100), report(10600, 0, 100),
                             report(10800, 0, 100) };
    compare_many(four, 4, other_four, 4);
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "faster");
}

static void test_comparison_does_not_claim_what_one_run_cannot_tell(void)
{
    compare(report(10000, 0.01, 100), report(10000, 0.01, 200));
    CU_ASSERT_STRING_EQUAL(verdict_of("memory of the engine, peak"), "noise not known");
    json_t *before[] = { report(10000, 0.01, 100), report(10000, 0.01, 101) };
    json_t *after[] = { report(10000, 0.01, 200), report(10000, 0.01, 201) };
    compare_many(before, 2, after, 2);
    CU_ASSERT_STRING_EQUAL(verdict_of("memory of the engine, peak"), "takes more");
}

static void test_comparison_holds_the_ceiling_against_its_own_drift(void)
{
    json_t *before = report(10000, 0, 100), *after = report(10400, 0, 100);
    json_object_set_new(before, "ceiling_after", json_real(24000));
    compare(before, after);
    CU_ASSERT_STRING_EQUAL(verdict_of("certificates"), "faster");
    CU_ASSERT_STRING_EQUAL(verdict_of("of the ceiling"), "no difference beyond the noise");
}

static void test_comparison_leaves_out_what_neither_has(void)
{
    compare(report(10000, 0.01, 100), report(10000, 0.01, 100));
    CU_ASSERT_PTR_NULL(row_of("processor time, redis-server"));
    CU_ASSERT_PTR_NULL(row_of("station sign"));
}

static void test_comparison_names_what_makes_workloads_different(void)
{
    json_t *before =
        json_pack("{s:i, s:{s:s, s:n}}", "devices", 10, "settings", "queue", "redis", "ramp");
    json_t *after = json_pack("{s:i, s:{s:s}}", "devices", 10, "settings", "queue", "memory");
    json_t *found = cm_bench_workload_differences(before, after);
    CU_ASSERT_EQUAL(json_array_size(found), 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(found, 0), "name")),
                           "settings.queue");
    json_decref(found);
    json_decref(before);
    json_decref(after);
}

CM_TEST_SUITE(bench_comparison, CM_TEST(test_comparison_of_a_run_with_itself_finds_no_difference),
              CM_TEST(test_comparison_tells_faster_from_slower),
              CM_TEST(test_comparison_takes_scatter_for_noise),
              CM_TEST(test_comparison_of_more_runs_has_less_noise),
              CM_TEST(test_comparison_sees_the_spread_between_runs),
              CM_TEST(test_comparison_of_few_runs_is_careful),
              CM_TEST(test_comparison_does_not_claim_what_one_run_cannot_tell),
              CM_TEST(test_comparison_holds_the_ceiling_against_its_own_drift),
              CM_TEST(test_comparison_leaves_out_what_neither_has),
              CM_TEST(test_comparison_names_what_makes_workloads_different));
