/*
 * Comparison: what differs between the runs of one side and those of another, and what of it is noise.
 *
 * Each report has ten figures, one for each tenth of its answers. Of a side with one run the uncertainty is their
 * standard deviation: the run may lie as far off as a tenth of it does, since nothing else is known of it. Of
 * several runs it is the standard deviation between them, but no less than what their tenths would give if
 * they were independent (a tenth of their variance), divided by the root of the number of runs. The noise of a
 * difference is the root of both squares, times Student's factor for 19 of 20 where both sides have several
 * runs, else times 2. What has no tenths (memory, store) has no noise that is known without several runs.
 *
 * Pure, over reports as cm_bench_report makes them. One thread.
 */
#ifndef CM_TOOLS_BENCH_COMPARISON_H
#define CM_TOOLS_BENCH_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define CM_BENCH_ROWS_MAX 40

enum cm_bench_verdict {
    CM_BENCH_SAME,    /* no difference beyond the noise */
    CM_BENCH_BETTER,  /* the second side is: faster, or takes less */
    CM_BENCH_WORSE,   /* the second side is: slower, or takes more */
    CM_BENCH_UNKNOWN, /* nothing is known of the noise */
};

struct cm_bench_row {
    char name[48];
    const char *unit;
    bool is_amount; /* less or more, not faster or slower */
    double before, after;
    double difference; /* of before; 0.1: 10 % more */
    bool has_noise;
    double noise; /* as difference */
    enum cm_bench_verdict verdict;
};

/* Reports of runs of one workload. */
struct cm_bench_runs {
    json_t *const *reports;
    size_t count; /* at least 1 */
};

/* Fills rows, in the order in which they are shown; those that are 0 on both sides are left out. */
size_t cm_bench_compare(const struct cm_bench_runs *before, const struct cm_bench_runs *after,
                        struct cm_bench_row ret_rows[CM_BENCH_ROWS_MAX]);

/* "faster", "takes more", "no difference beyond the noise", ... */
const char *cm_bench_verdict_text(const struct cm_bench_row *row);

/*
 * What two reports were not alike in: [{"name": "settings.queue", "before": ..., "after": ...}]. The workload
 * makes figures incomparable; the machine and the versions may be what is compared. The caller's.
 */
json_t *cm_bench_workload_differences(const json_t *before, const json_t *after);
json_t *cm_bench_machine_differences(const json_t *before, const json_t *after);

#endif
