/*
 * Figures: the plots of a run, in the order of the page. What was not there (no stream, no ramp) has none.
 */
#ifndef CM_TOOLS_BENCH_FIGURES_H
#define CM_TOOLS_BENCH_FIGURES_H

#include <stdio.h>

#include "tools/bench/bench.h"

void cm_bench_write_figures(const struct cm_bench_plan *plan, const struct cm_bench_result *result,
                            FILE *out);
/* The part of them that comes from samples. */
void cm_bench_write_machine_figures(const struct cm_bench_plan *plan,
                                    const struct cm_bench_result *result, FILE *out);

#endif
