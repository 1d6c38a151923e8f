#include "engine/base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t wall_offset_ms;

uint64_t cm_clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CM_NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t cm_clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000 + atomic_load(&wall_offset_ms);
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
