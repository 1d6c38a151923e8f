/* The engine's side of a run: in this process, on one loop, until the source has what it wants. */
#include "tools/bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "providers/provider.h"
#include "tools/bench/processes.h"
#include "tools/bench/sampler.h"
#include "tools/runner.h"

struct run {
    const struct cm_bench_plan *plan;
    const struct cm_bench_source *source;
    struct cm_bench_result *result;
    struct cm_bench_sampler sampler;
    struct cm_progress progress;
    struct cm_bench_machine machine;
    double cpu_s[CM_BENCH_PROCESS_COUNT]; /* before */
    bool has_begun, has_ended;
};

/* --- what it costs ------------------------------------------------------------------------------- */

/* Of the signer processes; those that were replaced on the way are not counted. */
static uint32_t find_signers(const struct cm_runner *runner, pid_t signers[CM_BENCH_SIGNERS_MAX])
{
    const struct cm_provider *provider;
    uint32_t count = 0;
    for (uint32_t i = 0; (provider = cm_engine_provider(runner->engine, i)) != NULL; i++) {
        pid_t pid = cm_provider_state(provider).pid;
        if (pid > 0 && count < CM_BENCH_SIGNERS_MAX)
            signers[count++] = pid;
    }
    return count;
}

static void read_cpu(const struct cm_runner *runner, const struct cm_bench_source *source,
                     double ret_cpu_s[CM_BENCH_PROCESS_COUNT])
{
    pid_t signers[CM_BENCH_SIGNERS_MAX];
    uint32_t count = find_signers(runner, signers);
    ret_cpu_s[CM_BENCH_PROCESS_ENGINE] = cm_bench_cpu_s();
    ret_cpu_s[CM_BENCH_PROCESS_REDIS] = cm_bench_cpu_of_s(source->redis_pid);
    ret_cpu_s[CM_BENCH_PROCESS_SIGNERS] = 0;
    for (uint32_t i = 0; i < count; i++)
        ret_cpu_s[CM_BENCH_PROCESS_SIGNERS] += cm_bench_cpu_of_s(signers[i]);
    ret_cpu_s[CM_BENCH_PROCESS_LOAD] = 0; /* the load generator counts for itself */
}

/* What the load generator took is known later only: until then it counts among the others. */
static void share_machine(struct run *run)
{
    struct cm_bench_machine now = cm_bench_read_machine();
    struct cm_bench_result *result = run->result;
    double idle_s = now.idle_s - run->machine.idle_s, busy_s = now.busy_s - run->machine.busy_s;
    double ours_s = 0, all_s = idle_s + busy_s;
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        ours_s += result->cpu_s[i];
    result->idle_share = all_s > 0 ? idle_s / all_s : 0;
    result->others_share = all_s > 0 && busy_s > ours_s ? (busy_s - ours_s) / all_s : 0;
    result->machine_s = all_s;
}

static void gather_known(struct run *run, const struct cm_runner *runner,
                         struct cm_bench_known *ret_known)
{
    const struct cm_engine_counters *counters = cm_engine_counters(runner->engine);
    *ret_known = (struct cm_bench_known){ .batches_answered = counters->batches_answered };
    memcpy(ret_known->station_ns, counters->station_ns, sizeof ret_known->station_ns);
    ret_known->signers_count = find_signers(runner, ret_known->signers);
    run->source->count(&ret_known->sent, &ret_known->answered, run->source->arg);
    cm_progress_set(&run->progress, ret_known->answered);
}

static void nudge(struct run *run, const struct cm_runner *runner)
{
    struct cm_bench_known known;
    gather_known(run, runner, &known);
    cm_bench_sampler_nudge(&run->sampler, &known);
}

/* --- from begin to end --------------------------------------------------------------------------- */

static void begin(struct cm_runner *runner)
{
    struct run *run = runner->arg;
    struct cm_bench_known known;
    cm_bench_forget_peak_memory();
    cm_progress_start(&run->progress, "certificates", run->plan->schedule.requests_count,
                      run->plan->quiet);
    gather_known(run, runner, &known);
    cm_bench_sampler_begin(&run->sampler, &known);
    read_cpu(runner, run->source, run->cpu_s);
    run->machine = cm_bench_read_machine();
    run->has_begun = true;
    run->source->begin(runner->loop, run->source->arg);
}

static void end(struct run *run, const struct cm_runner *runner)
{
    struct cm_bench_result *result = run->result;
    struct cm_bench_known known;
    if (run->has_ended || !run->has_begun)
        return;
    run->has_ended = true;
    read_cpu(runner, run->source, result->cpu_s);
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        result->cpu_s[i] -= run->cpu_s[i];
    result->peak_memory = cm_bench_peak_memory();
    share_machine(run);
    gather_known(run, runner, &known);
    cm_bench_sampler_stop(&run->sampler, &known);
    cm_progress_end(&run->progress);
}

/* A signal has the engine finish what is under way, and this is looked at until then. */
static void look(struct cm_runner *runner)
{
    struct run *run = runner->arg;
    if (run->has_ended)
        return;
    nudge(run, runner);
    if (run->source->is_done(run->source->arg))
        end(run, runner);
    if (run->has_ended)
        cm_engine_stop(runner->engine);
}

static void note_counters(const struct run *run, const struct cm_runner *runner)
{
    struct cm_bench_result *result = run->result;
    struct stat found;
    result->batches = runner->counters.batches;
    result->batches_answered = runner->counters.batches_answered;
    memcpy(result->station_ns, runner->counters.station_ns, sizeof result->station_ns);
    if (stat(run->sampler.settings.store_path, &found) == 0)
        result->store_size = (uint64_t)found.st_size; /* closed: its log is in it */
    result->is_interrupted = !run->has_ended || runner->was_interrupted;
}

/* Interrupted before the last look: what the last sample knew is what is known. */
static void end_early(struct run *run)
{
    struct cm_bench_result *result = run->result;
    cm_bench_sampler_stop(&run->sampler, NULL);
    const struct cm_bench_samples *samples = &run->sampler.samples;
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT && samples->count > 0; i++)
        result->cpu_s[i] = samples->rows[samples->count - 1].cpu_s[i] - samples->rows[0].cpu_s[i];
    result->peak_memory = cm_bench_peak_memory();
    share_machine(run);
}

cm_status cm_bench_run_engine(const struct cm_bench_plan *plan,
                              const struct cm_bench_deployment *deployment,
                              const struct cm_bench_source *source, struct cm_bench_result *result,
                              struct cm_error *err)
{
    struct cm_settings settings = deployment->settings;
    struct run run = { .plan = plan, .source = source, .result = result };
    struct cm_runner runner = {
        .on_running = begin, .on_tick = look, .arg = &run, .settings = &settings
    };
    const struct cm_bench_sampler_settings sampler = {
        .store_path = settings.store_path,
        .redis_url = source->redis_pid ? source->queue->url : NULL,
        .redis_stream = "certmill:requests",
        .redis_group = "certmill",
        .redis_pid = source->redis_pid,
        .load_pid = source->load_pid,
    };
    cm_status status = cm_bench_sampler_start(&run.sampler, &sampler, err);
    if (status == CM_OK)
        status = cm_runner_run(&runner, source->ops, source->queue, err);
    if (!run.has_ended)
        end_early(&run);
    note_counters(&run, &runner);
    result->samples = run.sampler.samples;
    if (status == CM_OK && !run.has_begun)
        status = CM_FAIL(err, CM_CANCELLED, CM_ORIGIN_SELF, 0, "interrupted");
    cm_progress_end(&run.progress);
    return status;
}
