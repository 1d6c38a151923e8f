/* What the benchmarks of single stations share: processor time, and the end when something fails. */
#ifndef CM_BENCH_MEASURE_H
#define CM_BENCH_MEASURE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Processor time of the calling thread, microseconds. */
static inline double cpu_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Ends the program where something that is measured does not work: its time would mean nothing. */
static inline void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

#endif
