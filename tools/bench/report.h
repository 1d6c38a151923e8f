/*
 * Report: the JSON object that tells of a run, and its name and version.
 */
#ifndef CM_TOOLS_BENCH_REPORT_H
#define CM_TOOLS_BENCH_REPORT_H

#include "tools/bench/bench.h"

#define CM_BENCH_REPORT_NAME    "certmill bench"
#define CM_BENCH_REPORT_VERSION 1

/* Seconds from the first request to a sample; 0 for those before it. */
double cm_bench_sample_s(const struct cm_bench_result *result, uint32_t position);

#endif
