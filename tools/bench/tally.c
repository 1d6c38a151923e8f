#include "tools/bench/tally.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

enum { ID_DIGITS = 8 };

void cm_bench_tally_init(struct cm_bench_tally *tally, const struct cm_bench_schedule *schedule)
{
    *tally = (struct cm_bench_tally){ .schedule = schedule, .count = schedule->requests_count };
    tally->moments = calloc(tally->count, sizeof *tally->moments);
    tally->arrivals = calloc(tally->count, sizeof *tally->arrivals);
    if (!tally->moments || !tally->arrivals)
        abort();
}

void cm_bench_tally_done(struct cm_bench_tally *tally)
{
    free(tally->moments);
    free(tally->arrivals);
    *tally = (struct cm_bench_tally){ 0 };
}

void cm_bench_request_id(uint32_t index, char ret_id[CM_BENCH_ID_SIZE])
{
    snprintf(ret_id, CM_BENCH_ID_SIZE, "r%0*" PRIu32, ID_DIGITS, index);
}

/* --- noting -------------------------------------------------------------------------------------- */

void cm_bench_tally_send(struct cm_bench_tally *tally, uint32_t index, uint64_t begin_ns,
                         uint64_t now_ns)
{
    bool is_open = tally->schedule->stages_count > 0;
    uint64_t due_ns = is_open ? cm_bench_schedule_due_ns(tally->schedule, begin_ns, index) : now_ns;
    uint64_t late_ns = now_ns > due_ns ? now_ns - due_ns : 0;
    tally->moments[index].sent_ns = due_ns;
    tally->late_sum_ns += late_ns;
    if (late_ns > tally->late_max_ns)
        tally->late_max_ns = late_ns;
    tally->sent++;
}

/* The count of the tally when the id is not one of ours. */
static uint32_t index_of(const struct cm_bench_tally *tally, struct cm_bytes id)
{
    uint64_t index = 0;
    if (id.size < 1 + ID_DIGITS || id.size > 12 || id.data[0] != 'r')
        return tally->count;
    for (size_t i = 1; i < id.size; i++) {
        if (id.data[i] < '0' || id.data[i] > '9')
            return tally->count;
        index = index * 10 + (id.data[i] - (unsigned)'0');
    }
    return index < tally->count ? (uint32_t)index : tally->count;
}

static void note_problem(struct cm_bench_tally *tally, struct cm_bytes status, struct cm_bytes code,
                         struct cm_bytes message)
{
    if (!tally->problem[0])
        snprintf(tally->problem, sizeof tally->problem, "%.*s %.*s: %.*s", (int)status.size,
                 (const char *)status.data, (int)code.size, (const char *)code.data,
                 (int)message.size, (const char *)message.data);
}

void cm_bench_tally_receive(struct cm_bench_tally *tally, struct cm_bytes id,
                            struct cm_bytes status, struct cm_bytes code, struct cm_bytes message,
                            uint64_t now_ns)
{
    uint32_t index = index_of(tally, id);
    if (index == tally->count) {
        tally->unknown++;
        return;
    }
    if (tally->moments[index].received_ns) {
        tally->repeated++;
        return;
    }
    if (cm_bytes_is(status, "issued")) {
        tally->issued++;
    } else {
        note_problem(tally, status, code, message);
        if (cm_bytes_is(status, "refused"))
            tally->refused++;
        else
            tally->failed++;
    }
    tally->moments[index].received_ns = now_ns;
    tally->arrivals[tally->answered] = index;
    tally->answered++;
}

/* --- latencies ----------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static unsigned bucket_of(uint64_t latency_ns)
{
    double us = (double)latency_ns / 1e3;
    double bucket = us > 1 ? 4 * log2(us) : 0;
    return bucket < CM_BENCH_HISTOGRAM - 1 ? (unsigned)bucket : CM_BENCH_HISTOGRAM - 1;
}

double cm_bench_bucket_ms(unsigned bucket)
{
    return exp2(bucket / 4.0) / 1e3;
}

static uint64_t latency_of(const struct cm_bench_moment *moment)
{
    return moment->received_ns > moment->sent_ns ? moment->received_ns - moment->sent_ns : 0;
}

static double at_ms(const uint64_t *sorted, uint32_t count, double share)
{
    uint32_t index = (uint32_t)(share * (double)(count - 1) + 0.5);
    return (double)sorted[index] / 1e6;
}

/* Of count latencies, which it sorts. */
static struct cm_bench_latency describe(uint64_t *latencies, uint32_t count)
{
    if (count == 0)
        return (struct cm_bench_latency){ 0 };
    qsort(latencies, count, sizeof *latencies, compare);
    return (struct cm_bench_latency){
        .p50 = at_ms(latencies, count, 0.5),
        .p90 = at_ms(latencies, count, 0.9),
        .p99 = at_ms(latencies, count, 0.99),
        .p999 = at_ms(latencies, count, 0.999),
        .max = at_ms(latencies, count, 1),
    };
}

/* --- pieces of the run --------------------------------------------------------------------------- */

/* What is worked with. */
struct work {
    const struct cm_bench_tally *tally;
    struct cm_bench_figures *figures;
    uint64_t *latencies; /* room for those of all answers */
    uint64_t begin_ns, end_ns;
};

static uint64_t arrival_ns(const struct work *work, uint32_t position)
{
    return work->tally->moments[work->tally->arrivals[position]].received_ns;
}

static double rate(uint64_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0;
}

/* The answers from one position to another, as those of a time. */
static struct cm_bench_slice slice_of(const struct work *work, uint32_t from, uint32_t to,
                                      double begin_s, double end_s)
{
    for (uint32_t i = from; i < to; i++)
        work->latencies[i - from] = latency_of(&work->tally->moments[work->tally->arrivals[i]]);
    return (struct cm_bench_slice){ .begin_s = begin_s,
                                    .end_s = end_s,
                                    .answers = to - from,
                                    .per_second = rate(to - from, end_s - begin_s),
                                    .latency = describe(work->latencies, to - from) };
}

static double since_begin_s(const struct work *work, uint64_t moment_ns)
{
    return (double)(moment_ns - work->begin_ns) / 1e9;
}

static void cut_into_tenths(const struct work *work)
{
    uint32_t count = work->tally->answered;
    double from_s = 0;
    if (count < CM_BENCH_SLICES)
        return;
    for (unsigned slice = 0; slice < CM_BENCH_SLICES; slice++) {
        uint32_t begin = (uint32_t)((uint64_t)count * slice / CM_BENCH_SLICES);
        uint32_t end = (uint32_t)((uint64_t)count * (slice + 1) / CM_BENCH_SLICES);
        double to_s = since_begin_s(work, arrival_ns(work, end - 1));
        work->figures->slices[slice] = slice_of(work, begin, end, from_s, to_s);
        from_s = to_s;
    }
    work->figures->slices_count = CM_BENCH_SLICES;
}

/* 0.1, 0.2, 0.5, 1, 2, 5, ... seconds. */
static double interval_s(double seconds)
{
    static const double steps[] = { 2, 2.5, 2 };
    double length = 0.1;
    for (unsigned i = 0; seconds / length > CM_BENCH_INTERVALS_MAX; i = (i + 1) % 3)
        length *= steps[i];
    return length;
}

/* The last takes what is left, so that none is so short that its rate says nothing. */
static void cut_by_time(const struct work *work)
{
    const double seconds = work->figures->seconds, length = interval_s(seconds);
    const uint32_t pieces = (uint32_t)fmax(1, floor(seconds / length + 0.5));
    uint32_t from = 0, count = work->tally->answered;
    for (uint32_t i = 0; i < pieces && i < CM_BENCH_INTERVALS_MAX; i++) {
        bool is_last = i + 1 == pieces || i + 1 == CM_BENCH_INTERVALS_MAX;
        double begin_s = i * length, end_s = is_last ? seconds : begin_s + length;
        uint32_t to = from;
        while (to < count && (is_last || since_begin_s(work, arrival_ns(work, to)) < end_s))
            to++;
        work->figures->intervals[i] = slice_of(work, from, to, begin_s, end_s);
        work->figures->intervals_count = i + 1;
        from = to;
    }
}

/* --- stages -------------------------------------------------------------------------------------- */

#define BEHIND_SHARE 0.95

/* Answers that had come by then, to any request. */
static uint32_t answered_by(const struct work *work, uint64_t moment_ns)
{
    uint32_t low = 0, high = work->tally->answered;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (arrival_ns(work, middle) < moment_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct cm_bench_latency latency_of_requests(const struct work *work, uint32_t first,
                                                   uint32_t count)
{
    uint32_t answered = 0;
    for (uint32_t i = first; i < first + count; i++)
        if (work->tally->moments[i].received_ns)
            work->latencies[answered++] = latency_of(&work->tally->moments[i]);
    return describe(work->latencies, answered);
}

static struct cm_bench_stage_figures judge(const struct work *work,
                                           const struct cm_bench_stage *stage)
{
    uint64_t begin_ns = work->begin_ns + stage->begins_ns;
    uint64_t end_ns = work->begin_ns + cm_bench_stage_end_ns(stage);
    uint32_t before = answered_by(work, begin_ns), after = answered_by(work, end_ns);
    double seconds = (double)(end_ns - begin_ns) / 1e9;
    double backlog_before = (double)stage->first - before;
    double backlog = (double)(stage->first + stage->count) - after;
    return (struct cm_bench_stage_figures){
        .rate_per_s = stage->rate_per_s,
        .seconds = seconds,
        .requests = stage->count,
        .per_second = rate(after - before, seconds),
        .backlog = (uint32_t)fmax(backlog, 0),
        .latency = latency_of_requests(work, stage->first, stage->count),
        .is_behind = backlog - backlog_before > (1 - BEHIND_SHARE) * stage->count,
    };
}

/* As far as they went: of a run that was interrupted the rest was never asked for. */
static void judge_stages(const struct work *work)
{
    const struct cm_bench_schedule *schedule = work->tally->schedule;
    struct cm_bench_figures *figures = work->figures;
    for (uint32_t i = 0; i < schedule->stages_count; i++) {
        struct cm_bench_stage stage = schedule->stages[i];
        if (work->tally->sent <= stage.first)
            break;
        if (stage.count > work->tally->sent - stage.first)
            stage.count = work->tally->sent - stage.first;
        figures->stages[figures->stages_count++] = judge(work, &stage);
    }
}

bool cm_bench_stage_is_well(const struct cm_bench_stage_figures *stage, double bound_ms)
{
    return !stage->is_behind && stage->latency.p99 <= bound_ms;
}

uint32_t cm_bench_well_stages(const struct cm_bench_figures *figures, double bound_ms)
{
    uint32_t i = figures->stages_count;
    while (i > 0 && !cm_bench_stage_is_well(&figures->stages[i - 1], bound_ms))
        i--;
    return i;
}

/* --- all of it ----------------------------------------------------------------------------------- */

static uint64_t first_sent_ns(const struct cm_bench_tally *tally)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < tally->count; i++)
        if (tally->moments[i].sent_ns && tally->moments[i].sent_ns < first)
            first = tally->moments[i].sent_ns;
    return first;
}

static void work_out_times(const struct cm_bench_tally *tally, struct cm_bench_figures *figures)
{
    uint32_t count = tally->answered;
    struct work work = { .tally = tally,
                         .figures = figures,
                         .latencies = calloc(count, sizeof(uint64_t)),
                         .begin_ns = first_sent_ns(tally) };
    if (!work.latencies)
        abort();
    work.end_ns = arrival_ns(&work, count - 1);
    figures->begin_ns = work.begin_ns;
    figures->seconds = since_begin_s(&work, work.end_ns);
    figures->per_second = rate(tally->issued, figures->seconds);
    figures->latency = slice_of(&work, 0, count, 0, figures->seconds).latency;
    for (uint32_t i = 0; i < count; i++)
        figures->histogram[bucket_of(work.latencies[i])]++;
    cut_into_tenths(&work);
    cut_by_time(&work);
    judge_stages(&work);
    free(work.latencies);
}

void cm_bench_tally_work_out(const struct cm_bench_tally *tally,
                             struct cm_bench_figures *ret_figures)
{
    struct cm_bench_figures *figures = ret_figures;
    *figures = (struct cm_bench_figures){
        .requests = tally->count,
        .sent = tally->sent,
        .issued = tally->issued,
        .refused = tally->refused,
        .failed = tally->failed,
        .repeated = tally->repeated,
        .unknown = tally->unknown,
        .missing = tally->count - tally->answered,
        .late_max_ms = (double)tally->late_max_ns / 1e6,
        .late_mean_ms = tally->sent ? (double)tally->late_sum_ns / 1e6 / tally->sent : 0,
    };
    memcpy(figures->problem, tally->problem, sizeof figures->problem);
    if (tally->answered > 0)
        work_out_times(tally, figures);
}
