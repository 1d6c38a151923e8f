/*
 * Processes: what the kernel tells of a process and of each of its threads. Any thread.
 */
#ifndef CM_TOOLS_BENCH_PROCESSES_H
#define CM_TOOLS_BENCH_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

/* Processor time of the whole machine since it started. Seconds of one processor. */
struct cm_bench_machine {
    double idle_s, busy_s;
};

struct cm_bench_machine cm_bench_read_machine(void);

/* User and system time so far of this process, and of another (0 when it is gone). Seconds. */
double cm_bench_cpu_s(void);
double cm_bench_cpu_of_s(pid_t pid);

/* Resident memory; 0 when it is gone. Bytes. */
uint64_t cm_bench_memory_of(pid_t pid);

/* From now on the kernel counts the peak of this process anew, where it can; and what it is. Bytes. */
void cm_bench_forget_peak_memory(void);
uint64_t cm_bench_peak_memory(void);

/* Each thread of a process: its name, and its processor time so far in seconds. */
typedef void cm_bench_thread_fn(pid_t thread, const char *name, double cpu_s, void *arg);
void cm_bench_walk_threads(pid_t pid, cm_bench_thread_fn *on_thread, void *arg);

#endif
