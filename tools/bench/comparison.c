#include "tools/bench/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/samples.h"

enum { TENTHS = 10, NUMBERS_MAX = 4096 };

/* --- one figure of one report -------------------------------------------------------------------- */

/* Numbers of one kind, of all runs of a side. */
struct numbers {
    double values[NUMBERS_MAX];
    size_t count;
};

static void add(struct numbers *numbers, double value)
{
    if (numbers->count < NUMBERS_MAX && isfinite(value))
        numbers->values[numbers->count++] = value;
}

/* "latency_ms.p50"; NULL: it is not there. */
static const json_t *find(const json_t *object, const char *path)
{
    char step[48];
    while (object && *path) {
        size_t size = strcspn(path, ".");
        snprintf(step, sizeof step, "%.*s", (int)size, path);
        object = json_object_get(object, step);
        path += size + (path[size] == '.');
    }
    return object;
}

static double number_at(const json_t *report, const char *path)
{
    return json_number_value(find(report, path));
}

static double quotient(double dividend, double divisor)
{
    return divisor > 0 ? dividend / divisor : 0;
}

struct measure;
typedef double value_fn(const json_t *report, const struct measure *measure);
typedef void tenths_fn(const json_t *report, const struct measure *measure,
                       struct numbers *ret_numbers);

struct measure {
    const char *name, *unit;
    const char *path, *tenths_path; /* tenths_path NULL: it has none */
    bool more_is_better, is_amount;
    value_fn *value;
    tenths_fn *tenths;
};

static double plain_value(const json_t *report, const struct measure *measure)
{
    return number_at(report, measure->path);
}

static void plain_tenths(const json_t *report, const struct measure *measure,
                         struct numbers *ret_numbers)
{
    const json_t *list = find(report, measure->tenths_path), *item;
    size_t i;
    json_array_foreach(list, i, item) add(ret_numbers, json_number_value(item));
}

/* The ceiling was measured before and after: the first half is held against one, the rest against the other. */
static void ratio_tenths(const json_t *report, const struct measure *measure,
                         struct numbers *ret_numbers)
{
    const json_t *list = find(report, measure->tenths_path), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        bool is_early = 2 * i < json_array_size(list);
        add(ret_numbers,
            quotient(json_number_value(item),
                     number_at(report, is_early ? "ceiling_before" : "ceiling_after")));
    }
}

static double sum_of_tenth(const json_t *report, size_t i)
{
    double sum = 0;
    char path[64];
    for (unsigned process = 0; process < CM_BENCH_PROCESS_COUNT; process++) {
        snprintf(path, sizeof path, "tenths.cpu_us.%s",
                 cm_bench_process_name((enum cm_bench_process)process));
        sum += json_number_value(json_array_get(find(report, path), i));
    }
    return sum;
}

static void cpu_tenths(const json_t *report, const struct measure *measure,
                       struct numbers *ret_numbers)
{
    size_t count = json_array_size(find(report, "tenths.cpu_us.engine"));
    (void)measure;
    for (size_t i = 0; i < count; i++)
        add(ret_numbers, sum_of_tenth(report, i));
}

static void cpu_ratio_tenths(const json_t *report, const struct measure *measure,
                             struct numbers *ret_numbers)
{
    size_t count = json_array_size(find(report, "tenths.cpu_us.engine"));
    (void)measure;
    for (size_t i = 0; i < count; i++)
        add(ret_numbers, quotient(number_at(report, "ceiling_cpu_us"), sum_of_tenth(report, i)));
}

static double value_in_us(const json_t *report, const struct measure *measure)
{
    return quotient(number_at(report, measure->path) * 1e6, number_at(report, "issued"));
}

static double value_in_mb(const json_t *report, const struct measure *measure)
{
    return number_at(report, measure->path) / 1e6;
}

static double value_of_batch(const json_t *report, const struct measure *measure)
{
    return quotient(number_at(report, measure->path) * 1e3, number_at(report, "batches"));
}

static double bytes_of_certificate(const json_t *report, const struct measure *measure)
{
    return quotient(number_at(report, measure->path), number_at(report, "issued"));
}

#define CPU(member, what)                                                                          \
    {                                                                                              \
        .name = "processor time, " what, .unit = "us", .path = "cpu_seconds." member,              \
        .tenths_path = "tenths.cpu_us." member, .value = value_in_us, .tenths = plain_tenths       \
    }
#define STATION(symbol, member)                                                                    \
    { .name = "station " member,                                                                   \
      .unit = "ms a batch",                                                                        \
      .path = "station_seconds." member,                                                           \
      .tenths_path = "tenths.station_ms." member,                                                  \
      .value = value_of_batch,                                                                     \
      .tenths = plain_tenths },

static const struct measure measures[] = {
    { "certificates", "/s", "certificates_per_second", "slices", true, false, plain_value,
      plain_tenths },
    { "of the ceiling", "", "ratio_to_ceiling", "slices", true, false, plain_value, ratio_tenths },
    { "of the ceiling, by processor time", "", "ratio_by_cpu_time", "", true, false, plain_value,
      cpu_ratio_tenths },
    { "processor time, all", "us", "cpu_us", "", false, false, plain_value, cpu_tenths },
    CPU("engine", "engine"),
    CPU("signers", "signer"),
    CPU("redis_server", "redis-server"),
    CPU("load_generator", "load generator"),
    { "latency, median", "ms", "latency_ms.p50", "tenths.latency_p50_ms", false, false, plain_value,
      plain_tenths },
    { "latency, p99", "ms", "latency_ms.p99", "tenths.latency_p99_ms", false, false, plain_value,
      plain_tenths },
    { "memory of the engine, peak", "MB", "peak_memory_bytes", NULL, false, true, value_in_mb,
      NULL },
    { "store, a certificate", "bytes", "store_bytes", NULL, false, true, bytes_of_certificate,
      NULL },
    CM_STATION_MAP(STATION)
};

#define MEASURES_COUNT (sizeof measures / sizeof measures[0])

_Static_assert(MEASURES_COUNT <= CM_BENCH_ROWS_MAX, "a row for each");

/* --- a side -------------------------------------------------------------------------------------- */

static double mean_of(const struct numbers *numbers)
{
    double sum = 0;
    for (size_t i = 0; i < numbers->count; i++)
        sum += numbers->values[i];
    return numbers->count ? sum / (double)numbers->count : 0;
}

/* Standard deviation; negative: there are too few. */
static double spread_of(const struct numbers *numbers)
{
    double mean = mean_of(numbers), sum = 0;
    if (numbers->count < 2)
        return -1;
    for (size_t i = 0; i < numbers->count; i++)
        sum += (numbers->values[i] - mean) * (numbers->values[i] - mean);
    return sqrt(sum / (double)(numbers->count - 1));
}

struct side {
    size_t runs_count;
    double value;       /* the mean of the runs */
    double uncertainty; /* negative: not known */
};

static double uncertainty_of(const struct numbers *values, const struct numbers *tenths)
{
    double between = spread_of(values), within = spread_of(tenths);
    if (values->count < 2)
        return within;
    if (within > 0)
        between = fmax(between, within / sqrt(TENTHS));
    return between / sqrt((double)values->count);
}

static struct side look_at(const struct cm_bench_runs *runs, const struct measure *measure)
{
    struct numbers *values = calloc(1, sizeof *values), *tenths = calloc(1, sizeof *tenths);
    if (!values || !tenths)
        abort();
    for (size_t i = 0; i < runs->count; i++) {
        add(values, measure->value(runs->reports[i], measure));
        if (measure->tenths)
            measure->tenths(runs->reports[i], measure, tenths);
    }
    const struct side side = { .runs_count = runs->count,
                               .value = mean_of(values),
                               .uncertainty = uncertainty_of(values, tenths) };
    free(values);
    free(tenths);
    return side;
}

/* Student's distribution, both ends together 1 of 20, by degrees of freedom; few runs say little of their spread. */
static double student(size_t degrees)
{
    static const double factors[] = { 0,     12.71, 4.303, 3.182, 2.776, 2.571,
                                      2.447, 2.365, 2.306, 2.262, 2.228 };
    const size_t count = sizeof factors / sizeof factors[0];
    if (degrees < count)
        return factors[degrees];
    return degrees < 20 ? factors[count - 1] : degrees < 60 ? 2.086 : 2;
}

static double factor_of(const struct side *before, const struct side *after)
{
    if (before->runs_count < 2 || after->runs_count < 2)
        return 2;
    return student(before->runs_count + after->runs_count - 2);
}

/* --- both ---------------------------------------------------------------------------------------- */

static enum cm_bench_verdict judge(const struct cm_bench_row *row, bool more_is_better)
{
    if (!row->has_noise)
        return CM_BENCH_UNKNOWN;
    if (fabs(row->difference) <= row->noise)
        return CM_BENCH_SAME;
    return (row->difference > 0) == more_is_better ? CM_BENCH_BETTER : CM_BENCH_WORSE;
}

static struct cm_bench_row compare(const struct side *before, const struct side *after,
                                   const struct measure *measure)
{
    struct cm_bench_row row = {
        .unit = measure->unit,
        .is_amount = measure->is_amount,
        .before = before->value,
        .after = after->value,
        .difference = quotient(after->value - before->value, before->value),
        .has_noise = before->uncertainty >= 0 && after->uncertainty >= 0 && before->value > 0,
    };
    snprintf(row.name, sizeof row.name, "%s", measure->name);
    if (row.has_noise)
        row.noise = factor_of(before, after) * hypot(before->uncertainty, after->uncertainty)
                    / before->value;
    row.verdict = judge(&row, measure->more_is_better);
    return row;
}

size_t cm_bench_compare(const struct cm_bench_runs *before, const struct cm_bench_runs *after,
                        struct cm_bench_row ret_rows[CM_BENCH_ROWS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < MEASURES_COUNT; i++) {
        const struct side left = look_at(before, &measures[i]);
        const struct side right = look_at(after, &measures[i]);
        if (left.value > 0 || right.value > 0)
            ret_rows[count++] = compare(&left, &right, &measures[i]);
    }
    return count;
}

const char *cm_bench_verdict_text(const struct cm_bench_row *row)
{
    switch (row->verdict) {
    case CM_BENCH_SAME:
        return "no difference beyond the noise";
    case CM_BENCH_BETTER:
        return row->is_amount ? "takes less" : "faster";
    case CM_BENCH_WORSE:
        return row->is_amount ? "takes more" : "slower";
    case CM_BENCH_UNKNOWN:
        return row->before > 0 ? "noise not known" : "nothing before";
    }
    return "";
}

/* --- what was compared --------------------------------------------------------------------------- */

static bool is_nothing(const json_t *value)
{
    return !value || json_is_null(value);
}

static void note_difference(json_t *list, const json_t *before, const json_t *after,
                            const char *path)
{
    json_t *left = (json_t *)(uintptr_t)find(before, path);
    json_t *right = (json_t *)(uintptr_t)find(after, path);
    if (json_equal(left, right) || (is_nothing(left) && is_nothing(right)))
        return;
    json_array_append_new(
        list, json_pack("{s:s, s:O?, s:O?}", "name", path, "before", left, "after", right));
}

static json_t *differences(const json_t *before, const json_t *after, const char *const *paths)
{
    json_t *list = json_array();
    for (; *paths; paths++)
        note_difference(list, before, after, *paths);
    return list;
}

json_t *cm_bench_workload_differences(const json_t *before, const json_t *after)
{
    static const char *const paths[] = { "devices",
                                         "fleet.key_types",
                                         "settings.queue",
                                         "settings.rate",
                                         "settings.ramp",
                                         "settings.hold_s",
                                         "settings.window",
                                         "settings.per_entry",
                                         "settings.results",
                                         "settings.ca_key",
                                         "settings.check_signatures",
                                         "settings.redis_aof",
                                         "settings.multi_buffer",
                                         "settings.signers",
                                         "settings.provider_kind",
                                         NULL };
    return differences(before, after, paths);
}

json_t *cm_bench_machine_differences(const json_t *before, const json_t *after)
{
    static const char *const paths[] = {
        "machine.cpu",     "machine.processors", "machine.kernel",
        "machine.system",  "versions.certmill",  "versions.openssl",
        "versions.sqlite", "versions.redis",     NULL
    };
    return differences(before, after, paths);
}
