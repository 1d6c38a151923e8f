/* The engine's side of a run: in this process, on one loop, until the source has what it wants. */
#include "tools/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "providers/provider.h"
#include "tools/runner.h"

/* --- what a process costs ------------------------------------------------------------------------ */

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

/* From now on the kernel counts the peak anew, where it can. */
static void forget_peak_memory(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    if (fd < 0)
        return;
    if (write(fd, "5", 1) != 1)
        fprintf(stderr, "certmill: the peak of memory counts from the start of the process\n");
    close(fd);
}

static uint64_t peak_memory(void)
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

/* --- the run ------------------------------------------------------------------------------------- */

struct run {
    const struct cm_bench_plan *plan;
    const struct cm_bench_source *source;
    struct cm_bench_result *result;
    struct cm_progress progress;
    double redis_cpu_s, signers_cpu_s; /* before */
    struct cm_bench_machine machine;
    bool is_done;
};

/* Of the signer processes; those that were replaced on the way are not counted. */
static double signers_cpu_s(const struct cm_runner *runner)
{
    const struct cm_provider *provider;
    double seconds = 0;
    for (uint32_t i = 0; (provider = cm_engine_provider(runner->engine, i)) != NULL; i++)
        seconds += cm_bench_cpu_of_s(cm_provider_state(provider).pid);
    return seconds;
}

static void begin(struct cm_runner *runner)
{
    struct run *run = runner->arg;
    forget_peak_memory();
    run->redis_cpu_s = cm_bench_cpu_of_s(run->source->redis_pid);
    run->signers_cpu_s = signers_cpu_s(runner);
    run->result->engine_cpu_s = cm_bench_cpu_s();
    run->machine = cm_bench_read_machine();
    cm_progress_start(&run->progress, "certificates", run->plan->devices_count, run->plan->quiet);
    run->source->begin(runner->loop, run->source->arg);
}

/* What the load generator took is known later only: until then it counts among the others. */
static void share_machine(struct run *run)
{
    struct cm_bench_machine now = cm_bench_read_machine();
    double idle_s = now.idle_s - run->machine.idle_s, busy_s = now.busy_s - run->machine.busy_s;
    double ours_s =
        run->result->engine_cpu_s + run->result->signers_cpu_s + run->result->redis_cpu_s;
    double all_s = idle_s + busy_s;
    run->result->idle_share = all_s > 0 ? idle_s / all_s : 0;
    run->result->others_share = all_s > 0 && busy_s > ours_s ? (busy_s - ours_s) / all_s : 0;
    run->result->machine_s = all_s;
}

static void end(struct cm_runner *runner)
{
    struct run *run = runner->arg;
    run->is_done = true;
    run->result->engine_cpu_s = cm_bench_cpu_s() - run->result->engine_cpu_s;
    run->result->signers_cpu_s = signers_cpu_s(runner) - run->signers_cpu_s;
    run->result->redis_cpu_s = cm_bench_cpu_of_s(run->source->redis_pid) - run->redis_cpu_s;
    run->result->peak_memory = peak_memory();
    share_machine(run);
    cm_progress_end(&run->progress);
    cm_engine_stop(runner->engine);
}

static void look(struct cm_runner *runner)
{
    struct run *run = runner->arg;
    if (run->is_done)
        return;
    cm_progress_set(&run->progress, run->source->answered(run->source->arg));
    if (run->source->is_done(run->source->arg))
        end(runner);
}

static void note_store(struct run *run, const struct cm_settings *settings)
{
    struct stat found;
    if (stat(settings->store_path, &found) == 0)
        run->result->store_size = (uint64_t)found.st_size;
}

cm_status cm_bench_run_engine(const struct cm_bench_plan *plan,
                              const struct cm_bench_source *source, struct cm_bench_result *result,
                              struct cm_error *err)
{
    struct run run = { .plan = plan, .source = source, .result = result };
    struct cm_runner runner = { .on_running = begin, .on_tick = look, .arg = &run };
    char path[4200];
    snprintf(path, sizeof path, "%s/certmill.yaml", plan->folder);
    cm_status status = cm_runner_open(&runner, path, err);
    if (status == CM_OK)
        status = cm_runner_run(&runner, source->ops, source->queue, err);
    if (status == CM_OK) {
        result->batches = runner.counters.batches;
        note_store(&run, runner.settings);
    }
    if (status == CM_OK && !run.is_done)
        status = CM_FAIL(err, CM_CANCELLED, CM_ORIGIN_SELF, 0, "interrupted");
    cm_progress_end(&run.progress);
    cm_runner_done(&runner);
    return status;
}
