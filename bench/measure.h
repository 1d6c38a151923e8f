/* What the programs for whole arrangements share: processor time, and the end when something fails. */
#ifndef CM_BENCH_MEASURE_H
#define CM_BENCH_MEASURE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* Processor time of this process, and of those of its own that have ended, microseconds. */
static inline double cpu_of_processes_us(void)
{
    double sum_us = 0;
    for (int i = 0; i < 2; i++) {
        struct rusage usage;
        getrusage(i ? RUSAGE_CHILDREN : RUSAGE_SELF, &usage);
        sum_us += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
                  + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    }
    return sum_us;
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
