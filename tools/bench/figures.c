#include "tools/bench/figures.h"

#include "tools/bench/plot.h"
#include "tools/bench/scale.h"

static double middle_of(const struct cm_bench_slice *interval)
{
    return (interval->begin_s + interval->end_s) / 2;
}

static void add_asked_rates(struct cm_plot *plot, const struct cm_bench_plan *plan,
                            const struct cm_bench_figures *figures)
{
    if (figures->stages_count == 0)
        return;
    struct cm_plot_line *line = cm_plot_line(plot, "asked for");
    line->is_step = true;
    for (uint32_t i = 0; i < figures->stages_count; i++) {
        const struct cm_bench_stage *stage = &plan->schedule.stages[i];
        cm_plot_add(line, (double)stage->begins_ns / 1e9, stage->rate_per_s);
        if (i == figures->stages_count - 1)
            cm_plot_add(line, (double)cm_bench_stage_end_ns(stage) / 1e9, stage->rate_per_s);
    }
}

static void write_rates(const struct cm_bench_plan *plan, const struct cm_bench_result *result,
                        FILE *out)
{
    const struct cm_bench_figures *figures = &result->figures;
    struct cm_plot plot = {
        .title = "Throughput",
        .about =
            "Answers a second. The ceiling is what the processors could do if a certificate were "
            "nothing but one verification and one signature.",
        .unit = "answers a second",
        .x_unit = "seconds from the first request",
    };
    struct cm_plot_line *line = cm_plot_line(&plot, "answers");
    for (uint32_t i = 0; i < figures->intervals_count; i++)
        cm_plot_add(line, middle_of(&figures->intervals[i]), figures->intervals[i].per_second);
    add_asked_rates(&plot, plan, figures);
    cm_plot_mark(&plot, "ceiling", result->ceiling.per_second);
    cm_plot_mark(&plot, "token alone", result->token_per_second);
    cm_plot_mark(&plot, "provider alone", result->provider_per_second);
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

static void write_latencies(const struct cm_bench_plan *plan, const struct cm_bench_result *result,
                            FILE *out)
{
    const struct cm_bench_figures *figures = &result->figures;
    struct cm_plot plot = {
        .title = "Latency over time",
        .about =
            "Of the answers that came at that time, on a logarithmic axis; p99: 99 of 100 took no "
            "longer.",
        .unit = "milliseconds",
        .x_unit = "seconds from the first request",
        .is_logarithmic = true,
    };
    struct cm_plot_line *p50 = cm_plot_line(&plot, "median"), *p90 = cm_plot_line(&plot, "p90");
    struct cm_plot_line *p99 = cm_plot_line(&plot, "p99"), *max = cm_plot_line(&plot, "longest");
    for (uint32_t i = 0; i < figures->intervals_count; i++) {
        const struct cm_bench_slice *interval = &figures->intervals[i];
        if (interval->answers == 0)
            continue;
        cm_plot_add(p50, middle_of(interval), interval->latency.p50);
        cm_plot_add(p90, middle_of(interval), interval->latency.p90);
        cm_plot_add(p99, middle_of(interval), interval->latency.p99);
        cm_plot_add(max, middle_of(interval), interval->latency.max);
    }
    if (cm_bench_is_open_loop(plan))
        cm_plot_mark(&plot, "bound", plan->latency_bound_ms);
    cm_plot_write(&plot, out);
    cm_plot_done(&plot);
}

static void write_histogram(const struct cm_bench_figures *figures, FILE *out)
{
    struct cm_bars bars = {
        .title = "Latencies of all answers",
        .about = "How many answers took how long, on a logarithmic axis.",
        .unit = "answers",
    };
    unsigned first = CM_BENCH_HISTOGRAM, last = 0;
    char name[CM_PLOT_NAME_SIZE];
    for (unsigned i = 0; i < CM_BENCH_HISTOGRAM; i++) {
        if (!figures->histogram[i])
            continue;
        first = i < first ? i : first;
        last = i;
    }
    for (unsigned i = first; i <= last; i++) {
        cm_bars_add(&bars, cm_scale_label(cm_bench_bucket_ms(i), name, sizeof name),
                    figures->histogram[i], false);
    }
    cm_bars_write_standing(&bars, "milliseconds", out);
}

void cm_bench_write_figures(const struct cm_bench_plan *plan, const struct cm_bench_result *result,
                            FILE *out)
{
    write_rates(plan, result, out);
    write_latencies(plan, result, out);
    write_histogram(&result->figures, out);
    cm_bench_write_machine_figures(plan, result, out);
}
