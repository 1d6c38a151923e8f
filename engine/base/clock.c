#include "engine/base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

static _Atomic int64_t wall_offset_ms;

/* How far the wall is ahead of the time since the boot, at most, as far as it is believed. */
static _Atomic int64_t believed_ms;
static atomic_bool is_wary;

static int64_t read_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME) + atomic_load(&wall_offset_ms);
}

uint64_t cm_clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CM_NS_PER_S + (uint64_t)now.tv_nsec;
}

void cm_clock_disbelieve_leaps(void)
{
    atomic_store(&believed_ms, system_wall_ms() - read_ms(CLOCK_BOOTTIME));
    atomic_store(&is_wary, true);
}

/* Steps that are small are followed up; down they are not, so that the way back is no leap. */
static int64_t look(int64_t *ret_leap_ms)
{
    int64_t wall_ms = system_wall_ms();
    *ret_leap_ms = 0;
    if (!atomic_load(&is_wary))
        return wall_ms;
    int64_t boot_ms = read_ms(CLOCK_BOOTTIME), believed = atomic_load(&believed_ms);
    if (wall_ms - boot_ms - believed > CM_CLOCK_LEAP_MS) {
        *ret_leap_ms = wall_ms - boot_ms - believed;
        return boot_ms + believed;
    }
    while (wall_ms - boot_ms > believed)
        if (atomic_compare_exchange_weak(&believed_ms, &believed, wall_ms - boot_ms))
            break;
    return wall_ms;
}

int64_t cm_clock_leap_ms(void)
{
    int64_t leap_ms;
    (void)look(&leap_ms);
    return leap_ms;
}

int64_t cm_clock_wall_ms(void)
{
    int64_t leap_ms;
    return look(&leap_ms);
}

int64_t cm_clock_wall_s(void)
{
    int64_t ms = cm_clock_wall_ms();
    return ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
}

void cm_clock_set_wall_offset_ms(int64_t offset_ms)
{
    atomic_store(&wall_offset_ms, offset_ms);
}
