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

/*
 * A clock that leaps ahead, by an error of whoever sets it, would have certificates and CRLs of the future
 * signed, and revocations of certificates that have not ended taken off the lists. From the call on the
 * wall clock of this process is believed as far as it runs with the time that passes (CLOCK_BOOTTIME,
 * which counts sleep); where it is more than CM_CLOCK_LEAP_MS ahead of that, the functions above go on
 * with the time that has passed, until it is right again. A process that starts believes what it finds.
 */
#define CM_CLOCK_LEAP_MS (24ll * 60 * 60 * 1000)
void cm_clock_disbelieve_leaps(void);

/* How far ahead the system's clock is of the one that is believed. 0: it is believed. */
int64_t cm_clock_leap_ms(void);

/* The pause before the next attempt: first_ms doubles with each that came to nothing, doublings_max times. */
static inline uint32_t cm_clock_backoff_ms(uint32_t first_ms, uint32_t failures_count,
                                           uint32_t doublings_max)
{
    return first_ms << (failures_count < doublings_max ? failures_count : doublings_max);
}

/* Tests only: added to the wall clock from now on. */
void cm_clock_set_wall_offset_ms(int64_t offset_ms);

#endif
