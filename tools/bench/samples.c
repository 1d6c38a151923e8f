#include "tools/bench/samples.h"

#include <stdlib.h>

const char *cm_bench_process_name(enum cm_bench_process process)
{
    static const char *const names[CM_BENCH_PROCESS_COUNT] = {
#define X(symbol, name) [CM_BENCH_PROCESS_##symbol] = name,
        CM_BENCH_PROCESS_MAP(X)
#undef X
    };
    return names[process];
}

void cm_bench_samples_init(struct cm_bench_samples *samples)
{
    *samples = (struct cm_bench_samples){ .stride = 1 };
    samples->rows = calloc(CM_BENCH_SAMPLES_MAX, sizeof *samples->rows);
    if (!samples->rows)
        abort();
}

void cm_bench_samples_done(struct cm_bench_samples *samples)
{
    free(samples->rows);
    samples->rows = NULL;
    samples->count = 0;
}

static void thin_out(struct cm_bench_samples *samples)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < samples->count; i += 2)
        samples->rows[kept++] = samples->rows[i];
    samples->count = kept;
    samples->stride *= 2;
}

void cm_bench_samples_add(struct cm_bench_samples *samples, const struct cm_bench_sample *sample,
                          bool is_last)
{
    if (samples->count > 0 && ++samples->skipped < samples->stride && !is_last)
        return;
    samples->skipped = 0;
    if (samples->count == CM_BENCH_SAMPLES_MAX)
        thin_out(samples);
    samples->rows[samples->count++] = *sample;
}

/* --- between two --------------------------------------------------------------------------------- */

static double between(double from, double to, double share)
{
    return from + (to - from) * share;
}

static uint64_t between_counts(uint64_t from, uint64_t to, double share)
{
    return to > from ? from + (uint64_t)((double)(to - from) * share + 0.5) : from;
}

static struct cm_bench_sample mix(const struct cm_bench_sample *from,
                                  const struct cm_bench_sample *to, uint64_t at_ns)
{
    struct cm_bench_sample mixed = *from;
    double share = (double)(at_ns - from->at_ns) / (double)(to->at_ns - from->at_ns);
    mixed.at_ns = at_ns;
    mixed.sent = (uint32_t)between_counts(from->sent, to->sent, share);
    mixed.answered = (uint32_t)between_counts(from->answered, to->answered, share);
    mixed.batches_answered = between_counts(from->batches_answered, to->batches_answered, share);
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        mixed.cpu_s[i] = between(from->cpu_s[i], to->cpu_s[i], share);
    for (unsigned i = 0; i < CM_BENCH_THREADS_MAX; i++)
        mixed.thread_cpu_s[i] = between(from->thread_cpu_s[i], to->thread_cpu_s[i], share);
    for (unsigned i = 0; i < CM_STATION_COUNT; i++)
        mixed.station_ns[i] = between_counts(from->station_ns[i], to->station_ns[i], share);
    return mixed;
}

struct cm_bench_sample cm_bench_samples_at(const struct cm_bench_samples *samples, uint64_t at_ns)
{
    const struct cm_bench_sample *rows = samples->rows;
    uint32_t i = 0;
    if (samples->count == 0)
        return (struct cm_bench_sample){ .at_ns = at_ns };
    while (i < samples->count && rows[i].at_ns <= at_ns)
        i++;
    if (i == 0 || i == samples->count)
        return rows[i == 0 ? 0 : i - 1];
    return mix(&rows[i - 1], &rows[i], at_ns);
}
