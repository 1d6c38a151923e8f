/* What is told of a run, for people. */
#include "tools/bench/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 12345678 as "12,345,678". */
static const char *grouped(double value, char text[32])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%.0f", value), at = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

static void print_cpu(const char *who, double seconds, const struct cm_bench_result *result)
{
    double each_us = result->figures.issued ? seconds * 1e6 / result->figures.issued : 0;
    printf("  %-22s %9.2f s CPU %9.1f us a certificate\n", who, seconds, each_us);
}

static void print_slices(const struct cm_bench_figures *figures)
{
    char number[32];
    if (figures->slices_count == 0)
        return;
    printf("\n  each tenth of the run, certificates a second:\n   ");
    for (unsigned i = 0; i < figures->slices_count; i++)
        printf(" %s", grouped(figures->slices[i].per_second, number));
    printf("\n");
}

static void print_stations(const struct cm_bench_result *result)
{
    if (result->batches_answered == 0)
        return;
    printf("\n  where a batch's time went, milliseconds by the clock:\n   ");
    for (unsigned i = 0; i < CM_STATION_COUNT; i++)
        printf(" %s %.2f%s", cm_station_name(i),
               (double)result->station_ns[i] / 1e6 / (double)result->batches_answered,
               i == CM_STATION_COUNT / 2 - 1 ? "\n   " : "");
    printf("\n");
}

/* --- open loops ---------------------------------------------------------------------------------- */

static const char *verdict(const struct cm_bench_stage_figures *stage, double bound_ms)
{
    if (cm_bench_stage_is_well(stage, bound_ms))
        return "well";
    return stage->is_behind ? "falls behind" : "too slow";
}

/* A rate below, at which something came in between, is told, too: it may be the machine. */
static size_t say_exceptions(const struct cm_bench_figures *figures, uint32_t well, double bound_ms,
                             char *text, size_t space)
{
    size_t used = 0;
    char number[32];
    for (uint32_t i = 0; i < well && used < space; i++)
        if (!cm_bench_stage_is_well(&figures->stages[i], bound_ms))
            used +=
                (size_t)snprintf(text + used, space - used, "%s %s", used ? "," : ", but not at",
                                 grouped(figures->stages[i].rate_per_s, number));
    return used < space ? used : space - 1;
}

const char *cm_bench_conclusion(const struct cm_bench_plan *plan,
                                const struct cm_bench_figures *figures, char *text, size_t space)
{
    uint32_t well = cm_bench_well_stages(figures, plan->latency_bound_ms);
    char number[32];
    size_t used = 0;
    if (well > 0) {
        used = (size_t)snprintf(text, space, "Well up to %s a second",
                                grouped(figures->stages[well - 1].rate_per_s, number));
        used += say_exceptions(figures, well, plan->latency_bound_ms, text + used, space - used);
        used += (size_t)snprintf(text + used, space - used, ". ");
    }
    if (well < figures->stages_count && used < space)
        snprintf(text + used, space - used, "At %s a second %s.",
                 grouped(figures->stages[well].rate_per_s, number),
                 figures->stages[well].is_behind ? "the answers fall behind the requests"
                                                 : "latency (p99) leaves the bound");
    return text;
}

static void print_stages(const struct cm_bench_plan *plan, const struct cm_bench_figures *figures)
{
    char text[CM_BENCH_LINE_SIZE];
    if (figures->stages_count == 0)
        return;
    printf("\n  %10s %10s %10s %10s %10s %10s\n", "asked/s", "answered/s", "p50 ms", "p99 ms",
           "max ms", "backlog");
    for (uint32_t i = 0; i < figures->stages_count; i++) {
        const struct cm_bench_stage_figures *stage = &figures->stages[i];
        printf("  %10" PRIu32 " %10.0f %10.1f %10.1f %10.1f %10" PRIu32 "  %s\n", stage->rate_per_s,
               stage->per_second, stage->latency.p50, stage->latency.p99, stage->latency.max,
               stage->backlog, verdict(stage, plan->latency_bound_ms));
    }
    printf("  %s\n", cm_bench_conclusion(plan, figures, text, sizeof text));
    printf("  the load generator itself was late by %.2f ms on average, %.1f ms at most; that is "
           "in the latencies\n",
           figures->late_mean_ms, figures->late_max_ms);
}

/* --- all of it ----------------------------------------------------------------------------------- */

static void print_trouble(const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    if (result->is_interrupted)
        printf("\n  INTERRUPTED after %" PRIu32 " of %" PRIu32
               " requests: these are the figures of what there was.\n",
               figures->sent, figures->requests);
    if (figures->issued == figures->requests && !figures->repeated && !figures->unknown)
        return;
    printf("\n  NOT WELL: %" PRIu32 " refused, %" PRIu32 " failed, %" PRIu32
           " never answered, %" PRIu32 " answered again, %" PRIu32
           " answers to nothing asked\n  %s\n",
           figures->refused, figures->failed, figures->missing, figures->repeated, figures->unknown,
           figures->problem);
}

void cm_bench_print_text(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    char number[32];
    printf("%s certificates in %.2f s through the %s queue, %s keys, %s CA\n\n",
           grouped(figures->issued, number), figures->seconds, plan->queue_name, plan->mix,
           cm_call_value(plan->call, "key") ? "its key's" : plan->ca_key);
    printf("  %-22s %11s /s\n", "certificates", grouped(figures->per_second, number));
    printf("  %-22s %11s /s  bare verify + sign, %" PRIu32 " threads\n", "ceiling",
           grouped(result->ceiling.per_second, number), result->processors);
    printf("  %-22s %11.1f %%\n", "of the ceiling", cm_bench_ratio(result) * 100);
    printf("  %-22s %11.1f %%  by processor time\n", "", cm_bench_cpu_ratio(result) * 100);
    if (result->token_per_second > 0) {
        printf("  %-22s %11s /s  bare C_SignInit + C_Sign, %u sessions\n", "token",
               grouped(result->token_per_second, number), result->token_before.sessions);
        printf("  %-22s %11.1f %%\n", "of the token", cm_bench_token_ratio(result) * 100);
        printf("  %-22s %11.1f %%  of the processor time is the token's own\n", "",
               cm_bench_token_share(result) * 100);
    }
    if (result->provider_per_second > 0)
        printf("  %-22s %11s /s  the provider %s alone\n", "signatures",
               grouped(result->provider_per_second, number), result->provider_name);
    printf("  %-22s %11.1f ms median; p90 %.1f, p99 %.1f, max %.1f\n", "latency",
           figures->latency.p50, figures->latency.p90, figures->latency.p99, figures->latency.max);
    printf("  %-22s %11.1f MB at its peak\n", "memory of the engine",
           (double)result->peak_memory / 1e6);
    printf("  %-22s %11.1f MB\n\n", "store", (double)result->store_size / 1e6);
    print_cpu("engine", result->cpu_s[CM_BENCH_PROCESS_ENGINE], result);
    print_cpu("signer", result->cpu_s[CM_BENCH_PROCESS_SIGNERS], result);
    if (plan->queue == CM_BENCH_REDIS) {
        print_cpu("load generator", result->cpu_s[CM_BENCH_PROCESS_LOAD], result);
        print_cpu("redis-server", result->cpu_s[CM_BENCH_PROCESS_REDIS], result);
    }
    printf("  %-22s %11s %13.1f us for one verify + sign\n", "ceiling", "", result->ceiling.cpu_us);
    if (result->others_share > 0.05)
        printf(
            "\n  Other processes took %.0f %% of the processors during the run: believe the CPU\n"
            "  times, not the rates.\n",
            result->others_share * 100);
    print_slices(figures);
    print_stations(result);
    print_stages(plan, figures);
    print_trouble(result);
}
