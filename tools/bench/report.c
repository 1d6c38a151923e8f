/*
 * What is told of a run, as one JSON object: for machines, and for `certmill bench compare`, which relies on
 * the members that docs/guides/benchmarks.md names. VERSION rises when one of them changes its meaning.
 */
#include "tools/bench/bench.h"

#include <string.h>

#include <jansson.h>

#include "tools/bench/machine.h"
#include "tools/bench/report.h"

/* --- what follows from the result ---------------------------------------------------------------- */

static double quotient(double dividend, double divisor)
{
    return divisor > 0 ? dividend / divisor : 0;
}

double cm_bench_ratio(const struct cm_bench_result *result)
{
    return quotient(result->figures.per_second, result->ceiling.per_second);
}

double cm_bench_cpu_us(const struct cm_bench_result *result)
{
    double seconds = 0;
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        seconds += result->cpu_s[i];
    return quotient(seconds * 1e6, result->figures.issued);
}

double cm_bench_cpu_ratio(const struct cm_bench_result *result)
{
    return quotient(result->ceiling.cpu_us, cm_bench_cpu_us(result));
}

double cm_bench_token_ratio(const struct cm_bench_result *result)
{
    return quotient(result->figures.per_second, result->token_per_second);
}

/*
 * What the processors allow, when each certificate needs the token's own time for its signature and
 * what the rest of the engine takes: the token is software here, on the same processors.
 */
double cm_bench_token_share(const struct cm_bench_result *result)
{
    double token_us = (result->token_before.cpu_us + result->token_after.cpu_us) / 2;
    return quotient(token_us, cm_bench_cpu_us(result));
}

/* --- pieces -------------------------------------------------------------------------------------- */

static json_t *latency_json(const struct cm_bench_latency *latency)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "p50", latency->p50, "p90", latency->p90, "p99",
                     latency->p99, "p999", latency->p999, "max", latency->max);
}

static json_t *slice_json(const struct cm_bench_slice *slice)
{
    return json_pack("{s:f, s:f, s:I, s:f, s:o}", "begin_s", slice->begin_s, "end_s", slice->end_s,
                     "answers", (json_int_t)slice->answers, "per_second", slice->per_second,
                     "latency_ms", latency_json(&slice->latency));
}

static json_t *intervals_json(const struct cm_bench_figures *figures)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < figures->intervals_count; i++)
        json_array_append_new(rows, slice_json(&figures->intervals[i]));
    return rows;
}

/* [[from_ms, answers], ...]: up to where the next begins; those without answers are left out. */
static json_t *histogram_json(const struct cm_bench_figures *figures)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < CM_BENCH_HISTOGRAM; i++)
        if (figures->histogram[i] > 0)
            json_array_append_new(rows, json_pack("[f, I]", cm_bench_bucket_ms(i),
                                                  (json_int_t)figures->histogram[i]));
    return rows;
}

static json_t *stages_json(const struct cm_bench_figures *figures, double bound_ms)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < figures->stages_count; i++) {
        const struct cm_bench_stage_figures *stage = &figures->stages[i];
        json_array_append_new(
            rows, json_pack("{s:I, s:f, s:I, s:f, s:I, s:o, s:b, s:b}", "rate",
                            (json_int_t)stage->rate_per_s, "seconds", stage->seconds, "requests",
                            (json_int_t)stage->requests, "per_second", stage->per_second, "backlog",
                            (json_int_t)stage->backlog, "latency_ms", latency_json(&stage->latency),
                            "falls_behind", stage->is_behind, "well",
                            cm_bench_stage_is_well(stage, bound_ms)));
    }
    return rows;
}

static json_t *open_loop_json(const struct cm_bench_plan *plan,
                              const struct cm_bench_figures *figures)
{
    uint32_t well = cm_bench_well_stages(figures, plan->latency_bound_ms);
    json_t *object =
        json_pack("{s:f, s:o, s:f, s:f}", "latency_bound_ms", plan->latency_bound_ms, "stages",
                  stages_json(figures, plan->latency_bound_ms), "generator_late_mean_ms",
                  figures->late_mean_ms, "generator_late_max_ms", figures->late_max_ms);
    json_object_set_new(object, "well_up_to",
                        well > 0 ? json_integer(figures->stages[well - 1].rate_per_s)
                                 : json_null());
    json_object_set_new(object, "not_well_at",
                        well < figures->stages_count
                            ? json_integer(figures->stages[well].rate_per_s)
                            : json_null());
    return object;
}

/* --- samples ------------------------------------------------------------------------------------- */

static json_t *processes_json(const double values[CM_BENCH_PROCESS_COUNT])
{
    json_t *object = json_object();
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        json_object_set_new(object, cm_bench_process_name(i), json_real(values[i]));
    return object;
}

static json_t *memory_json(const struct cm_bench_sample *sample)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        json_object_set_new(object, cm_bench_process_name(i),
                            json_integer((json_int_t)sample->memory[i]));
    return object;
}

static json_t *stations_json(const uint64_t station_ns[CM_STATION_COUNT])
{
    json_t *object = json_object();
    for (unsigned i = 0; i < CM_STATION_COUNT; i++)
        json_object_set_new(object, cm_station_name(i), json_real((double)station_ns[i] / 1e9));
    return object;
}

static json_t *sample_json(const struct cm_bench_result *result, uint32_t position)
{
    const struct cm_bench_samples *samples = &result->samples;
    const struct cm_bench_sample *sample = &samples->rows[position];
    json_t *threads = json_array();
    for (uint32_t i = 0; i < samples->threads_count; i++)
        json_array_append_new(threads, json_real(sample->thread_cpu_s[i]));
    return json_pack(
        "{s:f, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "at_s",
        cm_bench_sample_s(result, position), "sent", (json_int_t)sample->sent, "answered",
        (json_int_t)sample->answered, "cpu_seconds", processes_json(sample->cpu_s),
        "thread_cpu_seconds", threads, "memory_bytes", memory_json(sample), "store_bytes",
        (json_int_t)sample->store_bytes, "redis_bytes", (json_int_t)sample->redis_bytes,
        "queue_length", (json_int_t)sample->queue_length, "queue_pending",
        (json_int_t)sample->queue_pending, "batches", (json_int_t)sample->batches_answered,
        "station_seconds", stations_json(sample->station_ns));
}

static json_t *samples_json(const struct cm_bench_result *result)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < result->samples.count; i++)
        json_array_append_new(rows, sample_json(result, i));
    return rows;
}

static json_t *threads_json(const struct cm_bench_samples *samples)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < samples->threads_count; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I}", "process",
                                              cm_bench_process_name(samples->threads[i].process),
                                              "name", samples->threads[i].name, "threads",
                                              (json_int_t)samples->threads[i].threads_count));
    return rows;
}

/* --- tenths: what noise is told from ------------------------------------------------------------- */

static void add_to(json_t *object, const char *name, double value)
{
    json_t *list = json_object_get(object, name);
    if (!list) {
        list = json_array();
        json_object_set_new(object, name, list);
    }
    json_array_append_new(list, json_real(value));
}

static uint64_t moment_ns(const struct cm_bench_result *result, double at_s)
{
    return result->figures.begin_ns + (uint64_t)(at_s * 1e9);
}

static void add_tenth(const struct cm_bench_result *result, const struct cm_bench_slice *slice,
                      json_t *cpu, json_t *stations, json_t *memory)
{
    struct cm_bench_sample from =
        cm_bench_samples_at(&result->samples, moment_ns(result, slice->begin_s));
    struct cm_bench_sample to =
        cm_bench_samples_at(&result->samples, moment_ns(result, slice->end_s));
    double batches = (double)(to.batches_answered - from.batches_answered);
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++) {
        add_to(cpu, cm_bench_process_name(i),
               quotient((to.cpu_s[i] - from.cpu_s[i]) * 1e6, slice->answers));
        add_to(memory, cm_bench_process_name(i), (double)to.memory[i]);
    }
    for (unsigned i = 0; i < CM_STATION_COUNT; i++)
        add_to(stations, cm_station_name(i),
               quotient((double)(to.station_ns[i] - from.station_ns[i]) / 1e6, batches));
}

static json_t *tenths_json(const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    json_t *cpu = json_object(), *stations = json_object(), *memory = json_object();
    json_t *p50 = json_array(), *p99 = json_array();
    for (uint32_t i = 0; i < figures->slices_count; i++) {
        const struct cm_bench_slice *slice = &figures->slices[i];
        json_array_append_new(p50, json_real(slice->latency.p50));
        json_array_append_new(p99, json_real(slice->latency.p99));
        add_tenth(result, slice, cpu, stations, memory);
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "latency_p50_ms", p50, "latency_p99_ms", p99,
                     "cpu_us", cpu, "station_ms", stations, "memory_bytes", memory);
}

/* --- the whole ----------------------------------------------------------------------------------- */

static json_t *slices_json(const struct cm_bench_figures *figures)
{
    json_t *rates = json_array();
    for (unsigned i = 0; i < figures->slices_count; i++)
        json_array_append_new(rates, json_real(figures->slices[i].per_second));
    return rates;
}

static json_t *settings_json(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    const char *ramp = cm_call_value(plan->call, "ramp");
    return json_pack(
        "{s:s, s:I, s:s?, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s}",
        "queue", plan->queue_name, "rate", (json_int_t)cm_call_number(plan->call, "rate"), "ramp",
        ramp, "hold_s", (json_int_t)(ramp ? cm_call_number(plan->call, "hold") : 0), "window",
        (json_int_t)plan->window, "per_entry", (json_int_t)plan->per_entry, "results",
        plan->results, "key_type", plan->mix, "ca_key", plan->ca_key, "check_signatures",
        (json_int_t)plan->check_signatures, "store", "sqlite, synchronous=FULL", "redis_aof",
        plan->queue == CM_BENCH_REDIS ? plan->redis_aof : "none", "multi_buffer",
        plan->multi_buffer, "signers", plan->signers, "provider", result->provider_name,
        "provider_kind", result->provider_kind);
}

static json_t *fleet_json(const struct cm_bench_result *result)
{
    json_t *types = json_object();
    for (unsigned i = 1; i < CM_KEY_TYPE_COUNT; i++)
        if (result->type_counts[i] > 0)
            json_object_set_new(types, cm_fleet_key_name((enum cm_key_type)i),
                                json_integer(result->type_counts[i]));
    return json_pack("{s:o, s:f, s:b}", "key_types", types, "seconds", result->fleet_s,
                     "from_cache", result->is_fleet_cached);
}

static json_t *answers_json(const struct cm_bench_figures *figures)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "requests",
                     (json_int_t)figures->requests, "sent", (json_int_t)figures->sent, "issued",
                     (json_int_t)figures->issued, "refused", (json_int_t)figures->refused, "failed",
                     (json_int_t)figures->failed, "missing", (json_int_t)figures->missing,
                     "repeated", (json_int_t)figures->repeated, "unknown",
                     (json_int_t)figures->unknown, "seconds", figures->seconds,
                     "certificates_per_second", figures->per_second);
}

static json_t *ceiling_json(const struct cm_bench_result *result)
{
    json_t *object = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "ceiling_per_second", result->ceiling.per_second,
        "ceiling_before", result->ceiling_before.per_second, "ceiling_after",
        result->ceiling_after.per_second, "ceiling_cpu_us", result->ceiling.cpu_us,
        "ratio_to_ceiling", cm_bench_ratio(result), "ratio_by_cpu_time", cm_bench_cpu_ratio(result),
        "provider_per_second", result->provider_per_second);
    if (result->token_per_second > 0) {
        json_t *token = json_pack(
            "{s:f, s:i, s:f, s:f}", "token_per_second", result->token_per_second, "token_sessions",
            (int)result->token_before.sessions, "ratio_to_token", cm_bench_token_ratio(result),
            "token_share_of_cpu", cm_bench_token_share(result));
        json_object_update(object, token);
        json_decref(token);
    }
    return object;
}

static json_t *costs_json(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    return json_pack(
        "{s:f, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o}", "cpu_us",
        cm_bench_cpu_us(result), "latency_ms", latency_json(&result->figures.latency),
        "cpu_seconds", processes_json(result->cpu_s), "peak_memory_bytes",
        (json_int_t)result->peak_memory, "store_bytes", (json_int_t)result->store_size, "batches",
        (json_int_t)result->batches, "devices", (json_int_t)plan->fleet.devices_count, "processors",
        (json_int_t)result->processors, "idle_share", result->idle_share, "others_share",
        result->others_share, "station_seconds", stations_json(result->station_ns));
}

static void take(json_t *object, json_t *members)
{
    json_object_update(object, members);
    json_decref(members);
}

json_t *cm_bench_report(const struct cm_bench_plan *plan, const struct cm_bench_result *result)
{
    const struct cm_bench_figures *figures = &result->figures;
    char line[CM_BENCH_LINE_SIZE];
    json_t *object = json_pack("{s:s, s:i, s:b, s:s}", "report", CM_BENCH_REPORT_NAME, "version",
                               CM_BENCH_REPORT_VERSION, "interrupted", result->is_interrupted,
                               "command", cm_bench_line(plan->call, line, sizeof line));
    take(object, answers_json(figures));
    take(object, ceiling_json(result));
    take(object, costs_json(plan, result));
    json_object_set_new(object, "slices", slices_json(figures));
    json_object_set_new(object, "tenths", tenths_json(result));
    if (figures->stages_count > 0)
        json_object_set_new(object, "open_loop", open_loop_json(plan, figures));
    json_object_set_new(object, "settings", settings_json(plan, result));
    json_object_set_new(object, "fleet", fleet_json(result));
    json_object_set_new(object, "machine", cm_bench_describe_machine());
    json_object_set_new(object, "versions", cm_bench_describe_versions(result->redis_version));
    json_object_set_new(object, "latency_histogram", histogram_json(figures));
    json_object_set_new(object, "intervals", intervals_json(figures));
    json_object_set_new(object, "threads", threads_json(&result->samples));
    json_object_set_new(object, "samples", samples_json(result));
    return object;
}

double cm_bench_sample_s(const struct cm_bench_result *result, uint32_t position)
{
    uint64_t at_ns = result->samples.rows[position].at_ns, begin_ns = result->figures.begin_ns;
    if (begin_ns == 0)
        begin_ns = result->samples.rows[0].at_ns;
    return at_ns > begin_ns ? (double)(at_ns - begin_ns) / 1e9 : 0;
}
