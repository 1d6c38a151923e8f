/*
 * Tally: which request was answered when, and what follows from it: rates, latencies, doubles.
 *
 *     cm_bench_tally_init(&tally, &schedule);
 *     cm_bench_tally_send(&tally, 0, due_ns, now_ns);          for each request
 *     cm_bench_tally_receive(&tally, id, status, ..., now_ns); for each answer
 *     cm_bench_tally_work_out(&tally, &figures);
 *     cm_bench_tally_done(&tally);
 *
 * Moments are those of the monotonic clock, which processes share. One thread, but for `sent` and
 * `answered`, which others may look at.
 */
#ifndef CM_TOOLS_BENCH_TALLY_H
#define CM_TOOLS_BENCH_TALLY_H

#include <stdatomic.h>

#include "engine/base/bytes.h"
#include "tools/bench/schedule.h"

#define CM_BENCH_SLICES        10
#define CM_BENCH_HISTOGRAM     96  /* four buckets for each doubling, from 1 us on */
#define CM_BENCH_INTERVALS_MAX 120 /* of one length, of 100 ms or what a long run needs */

/* One request, by its index. */
struct cm_bench_moment {
    uint64_t sent_ns; /* when it was due, in an open loop; 0: not sent */
    uint64_t received_ns;
};

struct cm_bench_tally {
    const struct cm_bench_schedule *schedule;
    struct cm_bench_moment *moments;
    uint32_t *arrivals; /* indices in the order of arrival */
    uint32_t count;
    _Atomic uint32_t sent, answered; /* different requests */
    uint32_t issued, refused, failed, repeated, unknown;
    uint64_t late_max_ns, late_sum_ns; /* from due to pushed */
    char problem[160];                 /* the first answer that was no certificate */
};

/* Milliseconds, of some answers. */
struct cm_bench_latency {
    double p50, p90, p99, p999, max;
};

/* What came in a tenth of the answers, or in a piece of the time. */
struct cm_bench_slice {
    double begin_s, end_s; /* from the first request on */
    uint32_t answers;
    double per_second;
    struct cm_bench_latency latency; /* 0: no answers */
};

/* One rate of a ramp, or of a run. */
struct cm_bench_stage_figures {
    uint32_t rate_per_s;
    double seconds;
    uint32_t requests;
    double per_second;               /* answers that came while it was held */
    uint32_t backlog;                /* requests due and not answered as it ended */
    struct cm_bench_latency latency; /* of its requests that were answered */
    bool is_behind;                  /* so many fewer answers than requests that the backlog grew */
};

/* What is left of a tally: plain data that crosses processes. */
struct cm_bench_figures {
    uint32_t requests, sent, issued, refused, failed, repeated, unknown, missing;
    uint64_t begin_ns; /* when the first request was sent, or due */
    double seconds;    /* from then to the last answer */
    double per_second;
    struct cm_bench_latency latency;
    double late_max_ms, late_mean_ms; /* of the load generator, in an open loop */
    uint32_t histogram[CM_BENCH_HISTOGRAM];
    struct cm_bench_slice slices[CM_BENCH_SLICES]; /* tenths of the answers */
    uint32_t slices_count;                         /* 0: there were too few */
    struct cm_bench_slice intervals[CM_BENCH_INTERVALS_MAX];
    uint32_t intervals_count;
    struct cm_bench_stage_figures stages[CM_BENCH_STAGES_MAX];
    uint32_t stages_count;
    double load_cpu_s;
    char problem[160];
};

void cm_bench_tally_init(struct cm_bench_tally *tally, const struct cm_bench_schedule *schedule);
void cm_bench_tally_done(struct cm_bench_tally *tally);

#define CM_BENCH_ID_SIZE 16
/* The request id of an index, "r0000000". */
void cm_bench_request_id(uint32_t index, char ret_id[CM_BENCH_ID_SIZE]);

/* Notes that a request goes out now; begin_ns: of the run, as the schedule counts. */
void cm_bench_tally_send(struct cm_bench_tally *tally, uint32_t index, uint64_t begin_ns,
                         uint64_t now_ns);

/* Notes an answer. */
void cm_bench_tally_receive(struct cm_bench_tally *tally, struct cm_bytes id,
                            struct cm_bytes status, struct cm_bytes code, struct cm_bytes message,
                            uint64_t now_ns);

void cm_bench_tally_work_out(const struct cm_bench_tally *tally,
                             struct cm_bench_figures *ret_figures);

/* Lower edge of a bucket of the histogram in milliseconds. */
double cm_bench_bucket_ms(unsigned bucket);

/* Latency (p99) within bound_ms, and not behind. */
bool cm_bench_stage_is_well(const struct cm_bench_stage_figures *stage, double bound_ms);
/* The position behind the last stage that was well: 0 where none was. */
uint32_t cm_bench_well_stages(const struct cm_bench_figures *figures, double bound_ms);

#endif
