/* certmill bench compare: the difference between runs, with its noise. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/comparison.h"
#include "tools/bench/report.h"
#include "tools/bench/scale.h"
#include "tools/commands.h"

enum { RUNS_MAX = 100, LIST_SIZE = 600 };

#define BETWEEN "vs"

/* The files of one side, and what is in them. */
struct side {
    char *const *paths;
    size_t count;
    json_t *reports[RUNS_MAX];
};

/* --- reading ------------------------------------------------------------------------------------- */

static cm_status check(const json_t *report, const char *path, struct cm_error *err)
{
    const char *name = json_string_value(json_object_get(report, "report"));
    json_int_t version = json_integer_value(json_object_get(report, "version"));
    json_int_t issued = json_integer_value(json_object_get(report, "issued"));
    if (!name || strcmp(name, CM_BENCH_REPORT_NAME) != 0)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "%s is no report of certmill bench (--json makes them)", path);
    if (version != CM_BENCH_REPORT_VERSION)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "%s is a report of version %lld, and this certmill reads version %d", path,
                       (long long)version, CM_BENCH_REPORT_VERSION);
    if (json_is_true(json_object_get(report, "interrupted")))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: the run was interrupted", path);
    if (issued < 1 || issued != json_integer_value(json_object_get(report, "requests")))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "%s: not every request of the run was answered with a certificate", path);
    return CM_OK;
}

static cm_status read_report(const char *path, json_t **ret_report, struct cm_error *err)
{
    json_error_t fault;
    FILE *file = fopen(path, "r");
    if (!file)
        return CM_FAIL(err, errno == ENOENT ? CM_NOT_FOUND : CM_IO, CM_ORIGIN_OS, errno, "%s",
                       path);
    json_t *report = json_loadf(file, JSON_REJECT_DUPLICATES, &fault);
    fclose(file);
    if (!report)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s:%d: no JSON: %s", path, fault.line,
                       fault.text);
    cm_status status = check(report, path, err);
    if (status == CM_OK)
        *ret_report = report;
    else
        json_decref(report);
    return status;
}

static cm_status read_side(struct side *side, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (size_t i = 0; i < side->count && status == CM_OK; i++)
        status = read_report(side->paths[i], &side->reports[i], err);
    return status;
}

static void forget_side(struct side *side)
{
    for (size_t i = 0; i < side->count; i++)
        json_decref(side->reports[i]);
}

/* A, B: or A... vs B... */
static bool divide(const struct cm_call *call, struct side *before, struct side *after)
{
    int count = call->operands_count, at = 0;
    while (at < count && strcmp(call->operands[at], BETWEEN) != 0)
        at++;
    bool has_word = at < count;
    if (!has_word && count != 2)
        return false;
    *before = (struct side){ .paths = call->operands, .count = has_word ? (size_t)at : 1 };
    after->paths = call->operands + (has_word ? at + 1 : 1);
    after->count = (size_t)(has_word ? count - at - 1 : 1);
    for (size_t i = 0; i < after->count; i++)
        if (strcmp(after->paths[i], BETWEEN) == 0)
            return false;
    return before->count > 0 && after->count > 0 && before->count <= RUNS_MAX
           && after->count <= RUNS_MAX;
}

/* --- alike or not -------------------------------------------------------------------------------- */

/* "settings.queue (memory, redis), devices (300, 400)" */
static const char *list_of(const json_t *differences, char text[LIST_SIZE])
{
    size_t i, used = 0;
    const json_t *row;
    text[0] = '\0';
    json_array_foreach(differences, i, row)
    {
        char *before = json_dumps(json_object_get(row, "before"), JSON_ENCODE_ANY | JSON_COMPACT);
        char *after = json_dumps(json_object_get(row, "after"), JSON_ENCODE_ANY | JSON_COMPACT);
        int size = snprintf(text + used, LIST_SIZE - used, "%s%s (%s, %s)", i ? ", " : "",
                            json_string_value(json_object_get(row, "name")), before ? before : "-",
                            after ? after : "-");
        free(before);
        free(after);
        used += (size_t)size;
        if (used >= LIST_SIZE)
            break;
    }
    return text;
}

static cm_status check_alike(const json_t *left, const char *left_path, const json_t *right,
                             const char *right_path, struct cm_error *err)
{
    char text[LIST_SIZE];
    json_t *differences = cm_bench_workload_differences(left, right);
    bool is_alike = json_array_size(differences) == 0;
    list_of(differences, text);
    json_decref(differences);
    return is_alike
               ? CM_OK
               : CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                         "%s and %s are of different workloads: %s", left_path, right_path, text);
}

/* Runs of one side must be alike; those of the two need not where it is asked for. */
static cm_status check_workloads(const struct side *before, const struct side *after, bool across,
                                 struct cm_error *err)
{
    cm_status status = CM_OK;
    for (size_t i = 1; i < before->count && status == CM_OK; i++)
        status = check_alike(before->reports[0], before->paths[0], before->reports[i],
                             before->paths[i], err);
    for (size_t i = 1; i < after->count && status == CM_OK; i++)
        status = check_alike(after->reports[0], after->paths[0], after->reports[i], after->paths[i],
                             err);
    if (status == CM_OK && !across)
        status = check_alike(before->reports[0], before->paths[0], after->reports[0],
                             after->paths[0], err);
    return status;
}

/* --- telling ------------------------------------------------------------------------------------- */

static void print_row(const struct cm_bench_row *row)
{
    char before[32], after[32], difference[32] = "", noise[32] = "";
    if (row->before > 0)
        snprintf(difference, sizeof difference, "%+.1f %%", row->difference * 100);
    if (row->has_noise)
        snprintf(noise, sizeof noise, "%.1f %%", row->noise * 100);
    printf("%-34s %10s %10s %-10s %10s %9s  %s\n", row->name,
           cm_scale_label(row->before, before, sizeof before),
           cm_scale_label(row->after, after, sizeof after), row->unit, difference, noise,
           cm_bench_verdict_text(row));
}

static void print_differences(const char *what, const json_t *differences)
{
    char text[LIST_SIZE];
    if (json_array_size(differences) > 0)
        printf("%s differ: %s\n", what, list_of(differences, text));
}

static void print_text(const struct side *before, const struct side *after,
                       const struct cm_bench_row *rows, size_t rows_count, const json_t *workloads,
                       const json_t *machines)
{
    print_differences("The workloads", workloads);
    print_differences("Machines or versions", machines);
    printf("%-34s %10s %10s %-10s %10s %9s\n", "", "BEFORE", "AFTER", "", "DIFFERENCE", "NOISE");
    for (size_t i = 0; i < rows_count; i++)
        print_row(&rows[i]);
    bool has_several = before->count > 1 && after->count > 1;
    printf("\nNoise is told from the spread %s (runs: %zu before, %zu after).\n%s",
           has_several ? "between the runs of each side" : "of the tenths within each run",
           before->count, after->count,
           has_several ? ""
                       : "It is smaller, and known of all figures, with several runs of each side: "
                         "A1 A2 A3 " BETWEEN " B1 B2 B3.\n");
}

static json_t *row_json(const struct cm_bench_row *row)
{
    json_t *object =
        json_pack("{s:s, s:s, s:f, s:f, s:f, s:s}", "name", row->name, "unit", row->unit, "before",
                  row->before, "after", row->after, "difference_percent", row->difference * 100,
                  "verdict", cm_bench_verdict_text(row));
    json_object_set_new(object, "noise_percent",
                        row->has_noise ? json_real(row->noise * 100) : json_null());
    return object;
}

static json_t *paths_json(const struct side *side)
{
    json_t *list = json_array();
    for (size_t i = 0; i < side->count; i++)
        json_array_append_new(list, json_string(side->paths[i]));
    return list;
}

static void print_json(const struct side *before, const struct side *after,
                       const struct cm_bench_row *rows, size_t rows_count, json_t *workloads,
                       json_t *machines)
{
    json_t *list = json_array();
    for (size_t i = 0; i < rows_count; i++)
        json_array_append_new(list, row_json(&rows[i]));
    json_t *object =
        json_pack("{s:s, s:i, s:o, s:o, s:O, s:O, s:o}", "report", "certmill bench compare",
                  "version", 1, "before", paths_json(before), "after", paths_json(after),
                  "workload_differences", workloads, "machine_differences", machines, "rows", list);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(7));
    putchar('\n');
    json_decref(object);
}

static void tell(const struct cm_call *call, const struct side *before, const struct side *after)
{
    const struct cm_bench_runs left = { before->reports, before->count };
    const struct cm_bench_runs right = { after->reports, after->count };
    struct cm_bench_row rows[CM_BENCH_ROWS_MAX];
    size_t rows_count = cm_bench_compare(&left, &right, rows);
    json_t *workloads = cm_bench_workload_differences(before->reports[0], after->reports[0]);
    json_t *machines = cm_bench_machine_differences(before->reports[0], after->reports[0]);
    if (cm_call_flag(call, "json"))
        print_json(before, after, rows, rows_count, workloads, machines);
    else
        print_text(before, after, rows, rows_count, workloads, machines);
    json_decref(workloads);
    json_decref(machines);
}

/* --- the command --------------------------------------------------------------------------------- */

static int run(const struct cm_call *call)
{
    static struct side before, after;
    struct cm_error err = { 0 };
    if (!divide(call, &before, &after))
        return cm_usage_fail("two reports, or several of each side with \"" BETWEEN
                             "\" between them: A1.json A2.json " BETWEEN " B1.json B2.json");
    cm_status status = read_side(&before, &err);
    if (status == CM_OK)
        status = read_side(&after, &err);
    if (status == CM_OK)
        status = check_workloads(&before, &after, cm_call_flag(call, "across"), &err);
    if (status == CM_OK)
        tell(call, &before, &after);
    forget_side(&before);
    forget_side(&after);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

static const char *const paragraphs[] = {
    "Reads reports that `certmill bench --json` has written, and shows for rate, processor time, "
    "latencies, memory and stations how the second differs from the first, and how large a difference "
    "may be that is none.",
    "That noise comes, with one run of each side, from the spread of the tenths within each: twice their "
    "standard deviation, which is much. Several runs of each side, taken by turns, tell how far runs lie "
    "apart, and the noise is what 19 of 20 differences between equal sides stay within: name them all, "
    "with `vs` between the sides.",
    "Reports of different workloads are refused, and it is said what differs. Machines and versions may "
    "differ, and that is said, too.",
    NULL
};

static const struct cm_option options[] = {
    { .name = "across",
      .type = CM_OPTION_FLAG,
      .help = "Compare runs of different workloads, too: what a setting costs." },
    CM_OPTION_JSON,
};

static const struct cm_example examples[] = {
    { "certmill bench compare before.json after.json", "One run of each." },
    { "certmill bench compare a1.json a2.json a3.json vs b1.json b2.json b3.json",
      "Three of each: smaller differences are told from noise." },
    { "certmill bench compare --across process.json inline.json",
      "What `--signers process` costs." },
};

const struct cm_command cm_command_bench_compare = {
    .name = "bench compare",
    .operands = "FILE... [vs] FILE...",
    .operands_min = 2,
    .operands_max = 2 * RUNS_MAX + 1,
    .summary = "show the difference between runs, with its noise",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = sizeof options / sizeof options[0],
    .examples = examples,
    .examples_count = sizeof examples / sizeof examples[0],
    .when_failed = "a file is no report, or the reports cannot be compared",
    .run = run,
};
