/* What benchmarks call of the harness; bench/harness.cc calls them. */
#include "bench/harness.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool cm_bench_fail(struct cm_bench_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->failure, sizeof run->failure, format, arguments);
    va_end(arguments);
    return false;
}

void cm_bench_count(struct cm_bench_run *run, const char *name, double amount)
{
    unsigned i = 0;
    while (i < CM_BENCH_COUNTERS_MAX && run->counters[i].name
           && strcmp(run->counters[i].name, name) != 0)
        i++;
    assert(i < CM_BENCH_COUNTERS_MAX);
    run->counters[i].name = name;
    run->counters[i].sum += amount;
}

double cm_bench_cpu_us_of(pid_t pid)
{
    clockid_t clock;
    struct timespec time = { 0 };
    if (pid > 0 && clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}
