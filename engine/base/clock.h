/*
 * Clock: the wall for certificates and audit rows, the monotonic clock for everything else.
 *
 * Deadlines, ages and rates use cm_clock_monotonic_ns. Tests move the wall with
 * cm_clock_set_wall_offset; nothing else may. Any thread.
 */
#ifndef CM_BASE_CLOCK_H
#define CM_BASE_CLOCK_H

#include <stdint.h>

#define CM_NS_PER_MS 1000000ull
#define CM_NS_PER_S  1000000000ull

uint64_t cm_clock_monotonic_ns(void);

/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t cm_clock_wall_ms(void);

/* Seconds since 1970-01-01T00:00:00Z. */
int64_t cm_clock_wall_s(void);

/* Tests only: added to the wall clock from now on. */
void cm_clock_set_wall_offset_ms(int64_t offset_ms);

#endif
