/*
 * Goal: rates, latencies and verdicts follow from the moments, and nothing that went wrong is passed over.
 * Method: runs of a few hundred requests with moments that are made up.
 */
#include "tests/support/test_main.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tools/bench/tally.h"

#define MS          CM_NS_PER_MS
#define BEGIN       (5 * CM_NS_PER_S)
#define CLOSE(a, b) CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-6)

static struct cm_bench_schedule schedule;
static struct cm_bench_tally tally;
static struct cm_bench_figures figures;

static void begin_closed(uint32_t count)
{
    cm_bench_schedule_closed(count, &schedule);
    cm_bench_tally_init(&tally, &schedule);
}

static void answer_with(uint32_t index, const char *status, uint64_t now_ns)
{
    char id[CM_BENCH_ID_SIZE];
    cm_bench_request_id(index, id);
    cm_bench_tally_receive(&tally, cm_bytes_str(id), cm_bytes_str(status),
                           cm_bytes_str("csr.malformed"), cm_bytes_str("why"), now_ns);
}

static void answer(uint32_t index, uint64_t now_ns)
{
    answer_with(index, "issued", now_ns);
}

static void work_out(void)
{
    cm_bench_tally_work_out(&tally, &figures);
    cm_bench_tally_done(&tally);
}

static void test_tally_counts_each_answer_once(void)
{
    begin_closed(20);
    for (uint32_t i = 0; i < 19; i++)
        cm_bench_tally_send(&tally, i, BEGIN, BEGIN);
    for (uint32_t i = 0; i < 16; i++)
        answer(i, BEGIN + MS);
    answer_with(16, "refused", BEGIN + MS);
    answer_with(17, "failed", BEGIN + MS);
    answer(3, BEGIN + 2 * MS);
    cm_bench_tally_receive(&tally, cm_bytes_str("r00000020"), cm_bytes_str("issued"),
                           cm_bytes_str(""), cm_bytes_str(""), BEGIN);
    cm_bench_tally_receive(&tally, cm_bytes_str("x"), cm_bytes_str("issued"), cm_bytes_str(""),
                           cm_bytes_str(""), BEGIN);
    work_out();
    CU_ASSERT_EQUAL(figures.issued, 16);
    CU_ASSERT_EQUAL(figures.refused, 1);
    CU_ASSERT_EQUAL(figures.failed, 1);
    CU_ASSERT_EQUAL(figures.missing, 2);
    CU_ASSERT_EQUAL(figures.sent, 19);
    CU_ASSERT_EQUAL(figures.repeated, 1);
    CU_ASSERT_EQUAL(figures.unknown, 2);
    CU_ASSERT_STRING_EQUAL(figures.problem, "refused csr.malformed: why");
}

static void test_tally_percentiles_are_those_of_the_answers(void)
{
    begin_closed(1000);
    for (uint32_t i = 0; i < 1000; i++)
        cm_bench_tally_send(&tally, i, BEGIN, BEGIN);
    for (uint32_t i = 0; i < 1000; i++)
        answer(999 - i, BEGIN + (i + 1) * MS);
    work_out();
    CLOSE(figures.latency.p50, 501);
    CLOSE(figures.latency.p90, 900);
    CLOSE(figures.latency.p99, 990);
    CLOSE(figures.latency.p999, 999);
    CLOSE(figures.latency.max, 1000);
    CLOSE(figures.seconds, 1);
    CLOSE(figures.per_second, 1000);
    uint32_t sum = 0;
    for (unsigned i = 0; i < CM_BENCH_HISTOGRAM; i++)
        sum += figures.histogram[i];
    CU_ASSERT_EQUAL(sum, 1000);
}

static void test_tally_tenths_and_intervals_hold_every_answer_once(void)
{
    uint32_t in_slices = 0, in_intervals = 0;
    begin_closed(1005);
    for (uint32_t i = 0; i < 1005; i++)
        cm_bench_tally_send(&tally, i, BEGIN, BEGIN);
    for (uint32_t i = 0; i < 1005; i++)
        answer(i, BEGIN + (i + 1) * 31 * MS);
    work_out();
    CU_ASSERT_EQUAL(figures.slices_count, CM_BENCH_SLICES);
    for (uint32_t i = 0; i < figures.slices_count; i++)
        in_slices += figures.slices[i].answers;
    for (uint32_t i = 0; i < figures.intervals_count; i++) {
        in_intervals += figures.intervals[i].answers;
        CU_ASSERT_TRUE(i == 0 || figures.intervals[i].begin_s == figures.intervals[i - 1].end_s);
    }
    CU_ASSERT_EQUAL(in_slices, 1005);
    CU_ASSERT_EQUAL(in_intervals, 1005);
    CU_ASSERT_TRUE(figures.intervals_count > CM_BENCH_INTERVALS_MAX / 3);
    CLOSE(figures.intervals[figures.intervals_count - 1].end_s, figures.seconds);
}

static void test_tally_of_one_answer_has_one_interval(void)
{
    begin_closed(10);
    cm_bench_tally_send(&tally, 0, BEGIN, BEGIN);
    answer(0, BEGIN + MS);
    work_out();
    CU_ASSERT_EQUAL(figures.intervals_count, 1);
    CU_ASSERT_EQUAL(figures.slices_count, 0);
    CLOSE(figures.latency.p99, 1);
}

static void test_tally_without_answers_has_no_figures(void)
{
    begin_closed(10);
    cm_bench_tally_send(&tally, 0, BEGIN, BEGIN);
    work_out();
    CU_ASSERT_EQUAL(figures.missing, 10);
    CU_ASSERT_EQUAL(figures.intervals_count, 0);
    CLOSE(figures.per_second, 0);
}

/* Coordinated omission: a generator that stood still does not make answers faster. */
static void test_tally_latency_counts_from_when_a_request_was_due(void)
{
    cm_bench_schedule_rate(100, 100, &schedule);
    cm_bench_tally_init(&tally, &schedule);
    for (uint32_t i = 0; i < 100; i++) /* all of them are pushed a second late, answered at once */
        cm_bench_tally_send(&tally, i, BEGIN, BEGIN + CM_NS_PER_S);
    for (uint32_t i = 0; i < 100; i++)
        answer(i, BEGIN + CM_NS_PER_S + MS);
    work_out();
    CLOSE(figures.latency.max, 1001);
    CLOSE(figures.latency.p50, 1001 - 490 + 0.0);
    CLOSE(figures.late_max_ms, 1000);
    CLOSE(figures.late_mean_ms, 505);
}

/* Two rates of a second each; the answers of the second come half as fast as they are asked for. */
static void test_tally_says_at_which_rate_it_falls_behind(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_bench_schedule_ramp("100:200:100", 1, &schedule, &err), CM_OK);
    cm_bench_tally_init(&tally, &schedule);
    for (uint32_t i = 0; i < 300; i++) {
        uint64_t due_ns = cm_bench_schedule_due_ns(&schedule, BEGIN, i);
        cm_bench_tally_send(&tally, i, BEGIN, due_ns);
    }
    for (uint32_t i = 0; i < 300; i++)
        answer(i, BEGIN + i * 10 * MS + MS);
    work_out();
    CU_ASSERT_EQUAL_FATAL(figures.stages_count, 2);
    CU_ASSERT_FALSE(figures.stages[0].is_behind);
    CLOSE(figures.stages[0].per_second, 100);
    CLOSE(figures.stages[0].latency.p99, 1);
    CU_ASSERT_TRUE(figures.stages[1].is_behind);
    CLOSE(figures.stages[1].per_second, 100);
    CU_ASSERT_EQUAL(figures.stages[1].backlog, 100);
    CU_ASSERT_EQUAL(cm_bench_well_stages(&figures, 50), 1);
    CU_ASSERT_EQUAL(cm_bench_well_stages(&figures, 0.5), 0);
}

static void test_tally_of_an_interrupted_ramp_judges_what_began(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_bench_schedule_ramp("100:300:100", 1, &schedule, &err), CM_OK);
    cm_bench_tally_init(&tally, &schedule);
    for (uint32_t i = 0; i < 150; i++) {
        uint64_t due_ns = cm_bench_schedule_due_ns(&schedule, BEGIN, i);
        cm_bench_tally_send(&tally, i, BEGIN, due_ns);
        answer(i, due_ns + MS);
    }
    work_out();
    CU_ASSERT_EQUAL_FATAL(figures.stages_count, 2);
    CU_ASSERT_EQUAL(figures.stages[1].requests, 50);
    CLOSE(figures.stages[1].seconds, 0.25);
    CU_ASSERT_FALSE(figures.stages[1].is_behind);
}

CM_TEST_SUITE(bench_tally, CM_TEST(test_tally_counts_each_answer_once),
              CM_TEST(test_tally_percentiles_are_those_of_the_answers),
              CM_TEST(test_tally_tenths_and_intervals_hold_every_answer_once),
              CM_TEST(test_tally_of_one_answer_has_one_interval),
              CM_TEST(test_tally_without_answers_has_no_figures),
              CM_TEST(test_tally_latency_counts_from_when_a_request_was_due),
              CM_TEST(test_tally_says_at_which_rate_it_falls_behind),
              CM_TEST(test_tally_of_an_interrupted_ramp_judges_what_began));
