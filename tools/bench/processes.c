#include "tools/bench/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* --- the machine, a process ---------------------------------------------------------------------- */

struct cm_bench_machine cm_bench_read_machine(void)
{
    unsigned long long user = 0, nice = 0, kernel = 0, idle = 0, waiting = 0, irq = 0, softirq = 0;
    FILE *file = fopen("/proc/stat", "r");
    if (!file
        || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &kernel, &idle,
                  &waiting, &irq, &softirq)
               != 7)
        idle = 1;
    if (file)
        fclose(file);
    const double ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    return (struct cm_bench_machine){
        .idle_s = (double)(idle + waiting) / ticks_per_s,
        .busy_s = (double)(user + nice + kernel + irq + softirq) / ticks_per_s,
    };
}

double cm_bench_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double cm_bench_cpu_of_s(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

uint64_t cm_bench_memory_of(pid_t pid)
{
    char path[64];
    unsigned long long pages = 0;
    if (pid <= 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void cm_bench_forget_peak_memory(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    if (fd < 0)
        return;
    if (write(fd, "5", 1) != 1)
        fprintf(stderr, "certmill: the peak of memory counts from the start of the process\n");
    close(fd);
}

uint64_t cm_bench_peak_memory(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return (uint64_t)kib * 1024;
}

/* --- threads ------------------------------------------------------------------------------------- */

static bool read_line(const char *path, char *text, size_t space)
{
    FILE *file = fopen(path, "r");
    bool is_read = file && fgets(text, (int)space, file);
    if (file)
        fclose(file);
    return is_read;
}

/* "TID (NAME) S ...": the name may hold anything, so it ends with the last parenthesis. */
static bool read_stat(const char *text, char *ret_name, size_t space, double *ret_cpu_s)
{
    unsigned long user = 0, kernel = 0;
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close
        || sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel)
               != 2)
        return false;
    snprintf(ret_name, space, "%.*s", (int)(close - open - 1), open + 1);
    *ret_cpu_s = (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* The scheduler's own account is in nanoseconds; where there is none, ticks will do. */
static void read_thread(pid_t pid, pid_t thread, cm_bench_thread_fn *on_thread, void *arg)
{
    char path[96], text[512], name[32];
    unsigned long long ns;
    double cpu_s;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/stat", (long)pid, (long)thread);
    if (!read_line(path, text, sizeof text) || !read_stat(text, name, sizeof name, &cpu_s))
        return;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/schedstat", (long)pid, (long)thread);
    if (read_line(path, text, sizeof text) && sscanf(text, "%llu", &ns) == 1 && ns > 0)
        cpu_s = (double)ns / 1e9;
    on_thread(thread, name, cpu_s, arg);
}

void cm_bench_walk_threads(pid_t pid, cm_bench_thread_fn *on_thread, void *arg)
{
    char path[64];
    const struct dirent *entry;
    if (pid <= 0)
        return;
    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            read_thread(pid, (pid_t)strtol(entry->d_name, NULL, 10), on_thread, arg);
    if (folder)
        closedir(folder);
}
