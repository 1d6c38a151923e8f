/* Figures from the samples: stations, processor time, memory, store, queue. */
#include "tools/bench/figures.h"

#include <math.h>
#include <string.h>

#include "tools/bench/plot.h"
#include "tools/bench/report.h"

#define MB 1e6

enum { THREADS_SHOWN = CM_PLOT_LINES_MAX - 1, PIECES_MAX = 100 };

static const char *const processes[CM_BENCH_PROCESS_COUNT] = { "engine", "signer", "redis-server",
                                                               "load generator" };

/* --- stations ------------------------------------------------------------------------------------ */

/* What grew between two samples: neighbours; in a long run so many lie between that lines stay calm. */
struct piece {
    const struct cm_bench_sample *from, *to;
    double at_s, seconds;
};

static bool find_piece(const struct cm_bench_result *result, uint32_t i, struct piece *ret_piece)
{
    const struct cm_bench_sample *rows = result->samples.rows, *to = &rows[i];
    const uint32_t stride = result->samples.count / PIECES_MAX + 1;
    if (i == 0 || i % stride != 0)
        return false;
    const struct cm_bench_sample *from = to - stride;
    *ret_piece = (struct piece){ .from = from,
                                 .to = to,
                                 .at_s = cm_bench_sample_s(result, i),
                                 .seconds = (double)(to->at_ns - from->at_ns) / 1e9 };
    return to->at_ns > from->at_ns;
}

static double of_a_batch_ms(const struct cm_bench_result *result, enum cm_station station)
{
    return (double)result->station_ns[station] / 1e6 / (double)result->batches_answered;
}

static void write_stations(const struct cm_bench_result *result, FILE *out)
{
    struct cm_bars bars = {
        .title = "Time per station",
        .about =
            "What the time of a batch goes into, on average and by the clock, from the arrival of its "
            "oldest request to its answers. wait: for a worker. intent, record: the store. sign: "
            "the provider.",
        .unit = "ms",
    };
    for (unsigned i = 0; i < CM_STATION_COUNT && result->batches_answered > 0; i++)
        cm_bars_add(&bars, cm_station_name((enum cm_station)i),
                    of_a_batch_ms(result, (enum cm_station)i),
                    i == CM_STATION_WAIT || i == CM_STATION_GATHER);
    cm_bars_write_lying(&bars, out);
}

static const struct {
    enum cm_station station;
    const char *name;
} waits[] = {
    { CM_STATION_SIGN, "provider (sign)" },
    { CM_STATION_INTENT, "store (intent)" },
    { CM_STATION_RECORD, "store (record)" },
    { CM_STATION_WAIT, "a worker (wait)" },
};

static void write_waits(const struct cm_bench_result *result, FILE *out)
{
    struct cm_plot plot = {
        .title = "Provider wait, and others",
        .about = "How long a batch waits for its signatures, for the store, and for a worker.",
        .unit = "milliseconds a batch",
        .x_unit = "seconds from the first request",
    };
    struct piece piece;
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        struct cm_plot_line *line = cm_plot_line(&plot, waits[i].name);
        for (uint32_t j = 0; j < result->samples.count; j++) {
            if (!find_piece(result, j, &piece)
                || piece.to->batches_answered == piece.from->batches_answered)
                continue;
            uint64_t ns =
                piece.to->station_ns[waits[i].station] - piece.from->station_ns[waits[i].station];
            cm_plot_add(line, piece.at_s,
                        (double)ns / 1e6
                            / (double)(piece.to->batches_answered - piece.from->batches_answered));
        }
        if (line->count == 0 && result->batches_answered > 0) /* over before anybody looked */
            cm_plot_add(line, result->figures.seconds, of_a_batch_ms(result, waits[i].station));
    }
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

/* --- processor time ------------------------------------------------------------------------------ */

static double total_of(const struct cm_bench_samples *samples, uint32_t thread)
{
    return samples->rows[samples->count - 1].thread_cpu_s[thread]
           - samples->rows[0].thread_cpu_s[thread];
}

/* The busiest first; the rest is shown as one. */
static void rank_threads(const struct cm_bench_samples *samples,
                         uint32_t ret_order[CM_BENCH_THREADS_MAX])
{
    for (uint32_t i = 0; i < samples->threads_count; i++) {
        uint32_t at = i;
        for (; at > 0 && total_of(samples, ret_order[at - 1]) < total_of(samples, i); at--)
            ret_order[at] = ret_order[at - 1];
        ret_order[at] = i;
    }
}

static const char *label_of_thread(const struct cm_bench_thread *thread, char *text, size_t space)
{
    static const char worker[] = "engine-"; /* as engine.c calls them */
    if (thread->process == CM_BENCH_PROCESS_ENGINE && strcmp(thread->name, "certmill") == 0)
        snprintf(text, space, "engine: loop");
    else if (strncmp(thread->name, worker, sizeof worker - 1) == 0)
        snprintf(text, space, "engine: worker %s", thread->name + sizeof worker - 1);
    else if (strncmp(thread->name, "signer ", 7) == 0)
        snprintf(text, space, "signer: loop");
    else if (thread->process == CM_BENCH_PROCESS_LOAD)
        snprintf(text, space, "load generator");
    else if (strcmp(thread->name, processes[thread->process]) == 0)
        snprintf(text, space, "%s", thread->name);
    else
        snprintf(text, space, "%s: %s", processes[thread->process], thread->name);
    return text;
}

static void add_thread(struct cm_plot_line *line, const struct cm_bench_result *result,
                       const uint32_t *threads, uint32_t threads_count)
{
    struct piece piece;
    for (uint32_t i = 0; i < result->samples.count; i++) {
        double seconds = 0;
        if (!find_piece(result, i, &piece))
            continue;
        for (uint32_t j = 0; j < threads_count; j++)
            seconds += piece.to->thread_cpu_s[threads[j]] - piece.from->thread_cpu_s[threads[j]];
        cm_plot_add(line, piece.at_s, fmax(seconds, 0) / piece.seconds);
    }
}

static void write_threads(const struct cm_bench_result *result, FILE *out)
{
    const struct cm_bench_samples *samples = &result->samples;
    uint32_t order[CM_BENCH_THREADS_MAX], i = 0;
    char name[CM_PLOT_NAME_SIZE];
    struct cm_plot plot = {
        .title = "Processor time by thread",
        .about =
            "How many processors each thread keeps busy, one upon the other; the busiest at the "
            "bottom.",
        .unit = "processors",
        .x_unit = "seconds from the first request",
        .is_stacked = true,
    };
    if (samples->count < 2)
        return;
    rank_threads(samples, order);
    for (; i < samples->threads_count && i < THREADS_SHOWN; i++)
        if (total_of(samples, order[i]) > 0)
            add_thread(cm_plot_line(
                           &plot, label_of_thread(&samples->threads[order[i]], name, sizeof name)),
                       result, &order[i], 1);
    if (i < samples->threads_count && total_of(samples, order[i]) > 0)
        add_thread(cm_plot_line(&plot, "others"), result, order + i, samples->threads_count - i);
    cm_plot_mark(&plot, "processors", result->processors);
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

static void write_costs(const struct cm_bench_result *result, FILE *out)
{
    struct cm_bars bars = {
        .title = "Processor time of one certificate",
        .about = "By process, beside what one verification and one signature take alone.",
        .unit = "us",
    };
    const double issued = result->figures.issued ? result->figures.issued : 1;
    cm_bars_add(&bars, "verify + sign", result->ceiling.cpu_us, true);
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        if (result->cpu_s[i] > 0)
            cm_bars_add(&bars, processes[i], result->cpu_s[i] * 1e6 / issued, false);
    cm_bars_write_lying(&bars, out);
}

/* --- memory, store, queue ------------------------------------------------------------------------ */

static void write_memory(const struct cm_bench_result *result, FILE *out)
{
    const struct cm_bench_samples *samples = &result->samples;
    struct cm_plot plot = {
        .title = "Memory",
        .about =
            "Resident, by process. The load generator holds the fleet's requests; with the memory queue "
            "the engine does.",
        .unit = "MB",
        .x_unit = "seconds from the first request",
    };
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++) {
        if (samples->count == 0 || samples->rows[0].memory[i] == 0)
            continue;
        struct cm_plot_line *line = cm_plot_line(&plot, processes[i]);
        for (uint32_t j = 0; j < samples->count; j++)
            if (samples->rows[j].memory[i] > 0)
                cm_plot_add(line, cm_bench_sample_s(result, j),
                            (double)samples->rows[j].memory[i] / MB);
    }
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

static void write_store(const struct cm_bench_plan *plan, const struct cm_bench_result *result,
                        FILE *out)
{
    const struct cm_bench_samples *samples = &result->samples;
    struct cm_plot plot = {
        .title = "Store growth",
        .about =
            "The store's files on the disk, its log among them, and what redis-server holds in memory.",
        .unit = "MB",
        .x_unit = "seconds from the first request",
    };
    struct cm_plot_line *store = cm_plot_line(&plot, "store");
    struct cm_plot_line *redis =
        plan->queue == CM_BENCH_REDIS ? cm_plot_line(&plot, "redis-server's data") : NULL;
    for (uint32_t i = 0; i < samples->count; i++) {
        cm_plot_add(store, cm_bench_sample_s(result, i), (double)samples->rows[i].store_bytes / MB);
        if (redis)
            cm_plot_add(redis, cm_bench_sample_s(result, i),
                        (double)samples->rows[i].redis_bytes / MB);
    }
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

static void write_queue(const struct cm_bench_plan *plan, const struct cm_bench_result *result,
                        FILE *out)
{
    const struct cm_bench_samples *samples = &result->samples;
    bool is_redis = plan->queue == CM_BENCH_REDIS;
    struct cm_plot plot = {
        .title = "Queue growth",
        .about =
            is_redis
                ? "Requests without an answer, entries in the stream (XLEN), and those of them "
                  "that the engine has on lease (XPENDING)."
                : "Requests that were sent and have no answer yet.",
        .unit = "requests",
        .x_unit = "seconds from the first request",
    };
    struct cm_plot_line *waiting = cm_plot_line(&plot, "without an answer");
    struct cm_plot_line *length = is_redis ? cm_plot_line(&plot, "in the stream") : NULL;
    struct cm_plot_line *pending = is_redis ? cm_plot_line(&plot, "on lease") : NULL;
    for (uint32_t i = 0; i < samples->count; i++) {
        const struct cm_bench_sample *row = &samples->rows[i];
        double at_s = cm_bench_sample_s(result, i);
        cm_plot_add(waiting, at_s, row->sent > row->answered ? row->sent - row->answered : 0);
        if (length)
            cm_plot_add(length, at_s, row->queue_length);
        if (pending)
            cm_plot_add(pending, at_s, row->queue_pending);
    }
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

void cm_bench_write_machine_figures(const struct cm_bench_plan *plan,
                                    const struct cm_bench_result *result, FILE *out)
{
    write_stations(result, out);
    write_waits(result, out);
    write_threads(result, out);
    write_costs(result, out);
    write_memory(result, out);
    write_store(plan, result, out);
    write_queue(plan, result, out);
}
