/*
 * Scale: an axis of a plot: where it ends, where its marks stand, and what is written there. Pure.
 */
#ifndef CM_TOOLS_BENCH_SCALE_H
#define CM_TOOLS_BENCH_SCALE_H

#include <stdbool.h>
#include <stddef.h>

#define CM_SCALE_TICKS_MAX 16

struct cm_scale {
    double from, to; /* what the axis shows; of a logarithmic one both above 0 */
    bool is_logarithmic;
    double ticks[CM_SCALE_TICKS_MAX]; /* round numbers, rising */
    unsigned ticks_count;
};

/* From 0 to a round number not below most; 1 where there is nothing to show. */
struct cm_scale cm_scale_linear(double most);
/* From 0 to just so far, with round marks: for times, which end where they end. */
struct cm_scale cm_scale_time(double most);
/* From a power of ten, or twice or five times one, to another; what is 0 lies at its beginning. */
struct cm_scale cm_scale_logarithmic(double least, double most);

/* 0 at the beginning of the axis, 1 at its end; never beyond. */
double cm_scale_share(const struct cm_scale *scale, double value);

/* "12,000", "0.05", "2.5": as short as it may be. */
const char *cm_scale_label(double value, char *text, size_t space);

#endif
