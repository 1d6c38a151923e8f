#include "tools/bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

enum { ID_DIGITS = 8 };

void cm_bench_tally_init(struct cm_bench_tally *tally, uint32_t count)
{
    *tally = (struct cm_bench_tally){ .count = count };
    tally->moments = calloc(count, sizeof *tally->moments);
    tally->arrivals_ns = calloc(count, sizeof *tally->arrivals_ns);
    if (!tally->moments || !tally->arrivals_ns)
        abort();
}

void cm_bench_tally_done(struct cm_bench_tally *tally)
{
    free(tally->moments);
    free(tally->arrivals_ns);
    *tally = (struct cm_bench_tally){ 0 };
}

void cm_bench_request_id(uint32_t index, char ret_id[CM_BENCH_ID_SIZE])
{
    snprintf(ret_id, CM_BENCH_ID_SIZE, "r%0*" PRIu32, ID_DIGITS, index);
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
    tally->arrivals_ns[tally->answered] = now_ns;
    tally->answered++;
}

/* --- rates --------------------------------------------------------------------------------------- */

uint64_t cm_bench_due_ns(const struct cm_bench_plan *plan, uint64_t begin_ns, uint32_t index)
{
    return begin_ns + index * CM_NS_PER_S / plan->rate_per_s;
}

uint32_t cm_bench_due(const struct cm_bench_plan *plan, uint64_t begin_ns, uint64_t now_ns)
{
    if (plan->rate_per_s == 0)
        return plan->devices_count;
    uint64_t due = (now_ns - begin_ns) * plan->rate_per_s / CM_NS_PER_S + 1;
    return due < plan->devices_count ? (uint32_t)due : plan->devices_count;
}

/* --- figures ------------------------------------------------------------------------------------- */

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

static double at_ms(const uint64_t *sorted, uint32_t count, double share)
{
    uint32_t index = (uint32_t)(share * (double)(count - 1) + 0.5);
    return (double)sorted[index] / 1e6;
}

static void work_out_latencies(const struct cm_bench_tally *tally, struct cm_bench_figures *figures)
{
    uint64_t *latencies = calloc(tally->answered, sizeof *latencies);
    uint32_t count = 0;
    if (!latencies)
        abort();
    for (uint32_t i = 0; i < tally->count; i++) {
        const struct cm_bench_moment *moment = &tally->moments[i];
        if (!moment->received_ns)
            continue;
        uint64_t latency =
            moment->received_ns > moment->sent_ns ? moment->received_ns - moment->sent_ns : 0;
        latencies[count++] = latency;
        figures->histogram[bucket_of(latency)]++;
    }
    qsort(latencies, count, sizeof *latencies, compare);
    figures->p50_ms = at_ms(latencies, count, 0.5);
    figures->p90_ms = at_ms(latencies, count, 0.9);
    figures->p99_ms = at_ms(latencies, count, 0.99);
    figures->max_ms = at_ms(latencies, count, 1);
    free(latencies);
}

static double rate(uint64_t count, uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)count * 1e9 / (double)(to_ns - from_ns) : 0;
}

static void work_out_rates(const struct cm_bench_tally *tally, struct cm_bench_figures *figures)
{
    uint64_t first = UINT64_MAX, from = 0;
    uint32_t count = tally->answered;
    for (uint32_t i = 0; i < tally->count; i++)
        if (tally->moments[i].sent_ns && tally->moments[i].sent_ns < first)
            first = tally->moments[i].sent_ns;
    uint64_t last = tally->arrivals_ns[count - 1];
    figures->seconds = (double)(last - first) / 1e9;
    figures->per_second = rate(tally->issued, first, last);
    from = first;
    for (unsigned slice = 0; slice < CM_BENCH_SLICES && count >= CM_BENCH_SLICES; slice++) {
        uint32_t begin = (uint32_t)((uint64_t)count * slice / CM_BENCH_SLICES);
        uint32_t end = (uint32_t)((uint64_t)count * (slice + 1) / CM_BENCH_SLICES);
        uint64_t to = tally->arrivals_ns[end - 1];
        figures->slices[slice] = rate(end - begin, from, to);
        from = to;
    }
}

void cm_bench_tally_work_out(struct cm_bench_tally *tally, struct cm_bench_figures *ret_figures)
{
    struct cm_bench_figures figures = {
        .requests = tally->count,
        .issued = tally->issued,
        .refused = tally->refused,
        .failed = tally->failed,
        .repeated = tally->repeated,
        .unknown = tally->unknown,
        .missing = tally->count - tally->answered,
    };
    memcpy(figures.problem, tally->problem, sizeof figures.problem);
    if (tally->answered > 0) {
        work_out_latencies(tally, &figures);
        work_out_rates(tally, &figures);
    }
    *ret_figures = figures;
}
