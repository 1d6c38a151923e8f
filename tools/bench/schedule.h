/*
 * Schedule: when each request of a run is due.
 *
 * Without stages there is no due moment: requests go as fast as answers come (closed loop). With stages,
 * one for a fixed rate and several for a ramp, requests are due at fixed moments whether answers come or
 * not (open loop). Latency then counts from when a request was due, also where the generator itself is
 * late: who waits in a queue that is not even filled waits, too. Pure functions, any thread.
 */
#ifndef CM_TOOLS_BENCH_SCHEDULE_H
#define CM_TOOLS_BENCH_SCHEDULE_H

#include <stdbool.h>

#include "engine/base/status.h"

#define CM_BENCH_STAGES_MAX   64
#define CM_BENCH_RATE_MAX     1000000
#define CM_BENCH_REQUESTS_MAX 10000000

struct cm_bench_stage {
    uint32_t rate_per_s;
    uint32_t first; /* the index of its first request */
    uint32_t count;
    uint64_t begins_ns; /* from the beginning of the run */
};

struct cm_bench_schedule {
    struct cm_bench_stage stages[CM_BENCH_STAGES_MAX];
    uint32_t stages_count; /* 0: closed loop */
    uint32_t requests_count;
};

void cm_bench_schedule_closed(uint32_t requests_count, struct cm_bench_schedule *ret_schedule);
void cm_bench_schedule_rate(uint32_t requests_count, uint32_t rate_per_s,
                            struct cm_bench_schedule *ret_schedule);

/* "1000:8000:1000": 1,000 a second for hold_s, then 2,000, up to 8,000. Fails with: INVALID. */
CM_MUST_USE cm_status cm_bench_schedule_ramp(const char *text, uint32_t hold_s,
                                             struct cm_bench_schedule *ret_schedule,
                                             struct cm_error *err);

/* How many requests are due at now_ns of a run that began at begin_ns; all in a closed loop. */
uint32_t cm_bench_schedule_due(const struct cm_bench_schedule *schedule, uint64_t begin_ns,
                               uint64_t now_ns);

/* When a request of an open loop is due. */
uint64_t cm_bench_schedule_due_ns(const struct cm_bench_schedule *schedule, uint64_t begin_ns,
                                  uint32_t index);

/* From the beginning of the run to the end of a stage. */
uint64_t cm_bench_stage_end_ns(const struct cm_bench_stage *stage);

#endif
