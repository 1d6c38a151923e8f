#include "tools/bench/sampler.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "engine/base/clock.h"
#include "tools/bench/processes.h"

enum { REDIS_PATIENCE_S = 2 };

/* --- threads of the processes -------------------------------------------------------------------- */

struct walk {
    struct cm_bench_samples *samples;
    struct cm_bench_sample *sample;
    enum cm_bench_process process;
    uint32_t seen[CM_BENCH_THREADS_MAX]; /* threads of each name, this time */
};

/* The last place takes all for which there is no other. */
static uint32_t position_of(struct cm_bench_samples *samples, enum cm_bench_process process,
                            const char *name)
{
    uint32_t i = 0;
    for (; i < samples->threads_count; i++)
        if (samples->threads[i].process == process && strcmp(samples->threads[i].name, name) == 0)
            return i;
    if (i == CM_BENCH_THREADS_MAX)
        return i - 1;
    samples->threads[i].process = process;
    snprintf(samples->threads[i].name, sizeof samples->threads[i].name, "%s",
             i == CM_BENCH_THREADS_MAX - 1 ? "others" : name);
    samples->threads_count++;
    return i;
}

static void on_thread(pid_t thread, const char *name, double cpu_s, void *arg)
{
    struct walk *walk = arg;
    (void)thread;
    uint32_t i = position_of(walk->samples, walk->process, name);
    walk->sample->thread_cpu_s[i] += cpu_s;
    if (++walk->seen[i] > walk->samples->threads[i].threads_count)
        walk->samples->threads[i].threads_count = walk->seen[i];
}

static void look_at_process(struct walk *walk, enum cm_bench_process process, pid_t pid)
{
    walk->process = process;
    cm_bench_walk_threads(pid, on_thread, walk);
    walk->sample->cpu_s[process] += cm_bench_cpu_of_s(pid);
    walk->sample->memory[process] += cm_bench_memory_of(pid);
}

/* Of a thread that has ended, or a process that was replaced, the time is not lost. */
static void keep_growing(const struct cm_bench_samples *samples, struct cm_bench_sample *sample)
{
    if (samples->count == 0)
        return;
    const struct cm_bench_sample *before = &samples->rows[samples->count - 1];
    for (unsigned i = 0; i < CM_BENCH_PROCESS_COUNT; i++)
        if (sample->cpu_s[i] < before->cpu_s[i])
            sample->cpu_s[i] = before->cpu_s[i];
    for (unsigned i = 0; i < CM_BENCH_THREADS_MAX; i++)
        if (sample->thread_cpu_s[i] < before->thread_cpu_s[i])
            sample->thread_cpu_s[i] = before->thread_cpu_s[i];
}

/* --- store and stream ---------------------------------------------------------------------------- */

static uint64_t size_of(const char *path, const char *suffix)
{
    char whole[4300];
    struct stat found;
    snprintf(whole, sizeof whole, "%s%s", path, suffix);
    return stat(whole, &found) == 0 ? (uint64_t)found.st_size : 0;
}

static redisContext *connect_to(const char *url)
{
    static const char scheme[] = "unix://";
    const struct timeval patience = { .tv_sec = REDIS_PATIENCE_S };
    if (!url || strncmp(url, scheme, sizeof scheme - 1) != 0)
        return NULL;
    redisContext *redis = redisConnectUnixWithTimeout(url + sizeof scheme - 1, patience);
    if (redis && redis->err) {
        redisFree(redis);
        redis = NULL;
    }
    if (redis)
        redisSetTimeout(redis, patience);
    return redis;
}

static uint64_t used_memory(const redisReply *reply)
{
    unsigned long long bytes = 0;
    const char *at = reply->str ? strstr(reply->str, "used_memory:") : NULL;
    if (at)
        sscanf(at, "used_memory:%llu", &bytes);
    return bytes;
}

/* Three commands in one go. A server that does not answer is not asked again. */
static void look_at_stream(struct cm_bench_sampler *sampler, struct cm_bench_sample *sample)
{
    redisReply *replies[3] = { NULL };
    redisContext *redis = sampler->redis;
    if (!redis)
        return;
    redisAppendCommand(redis, "XLEN %s", sampler->settings.redis_stream);
    redisAppendCommand(redis, "XPENDING %s %s", sampler->settings.redis_stream,
                       sampler->settings.redis_group);
    redisAppendCommand(redis, "INFO memory");
    for (unsigned i = 0; i < 3 && !redis->err; i++)
        (void)redisGetReply(redis, (void **)&replies[i]);
    if (replies[0] && replies[0]->type == REDIS_REPLY_INTEGER)
        sample->queue_length = (uint32_t)replies[0]->integer;
    if (replies[1] && replies[1]->type == REDIS_REPLY_ARRAY && replies[1]->elements > 0)
        sample->queue_pending = (uint32_t)replies[1]->element[0]->integer;
    if (replies[2])
        sample->redis_bytes = used_memory(replies[2]);
    for (unsigned i = 0; i < 3; i++)
        if (replies[i])
            freeReplyObject(replies[i]);
    if (redis->err) {
        redisFree(redis);
        sampler->redis = NULL;
    }
}

/* --- the thread ---------------------------------------------------------------------------------- */

static void look(struct cm_bench_sampler *sampler, const struct cm_bench_known *known, bool is_last)
{
    const struct cm_bench_sampler_settings *settings = &sampler->settings;
    struct cm_bench_sample sample = { .at_ns = cm_clock_monotonic_ns(),
                                      .sent = known->sent,
                                      .answered = known->answered,
                                      .batches_answered = known->batches_answered };
    struct walk walk = { .samples = &sampler->samples, .sample = &sample };
    memcpy(sample.station_ns, known->station_ns, sizeof sample.station_ns);
    look_at_process(&walk, CM_BENCH_PROCESS_ENGINE, getpid());
    for (uint32_t i = 0; i < known->signers_count; i++)
        look_at_process(&walk, CM_BENCH_PROCESS_SIGNERS, known->signers[i]);
    look_at_process(&walk, CM_BENCH_PROCESS_REDIS, settings->redis_pid);
    look_at_process(&walk, CM_BENCH_PROCESS_LOAD, settings->load_pid);
    sample.store_bytes = size_of(settings->store_path, "") + size_of(settings->store_path, "-wal");
    look_at_stream(sampler, &sample);
    keep_growing(&sampler->samples, &sample);
    cm_bench_samples_add(&sampler->samples, &sample, is_last);
}

/* False: it is the last time. */
static bool wait_for_nudge(struct cm_bench_sampler *sampler, struct cm_bench_known *ret_known)
{
    pthread_mutex_lock(&sampler->shared.mutex); /* { */
    while (!sampler->shared.is_nudged && !sampler->shared.is_stopping)
        pthread_cond_wait(&sampler->shared.changed, &sampler->shared.mutex);
    *ret_known = sampler->shared.known;
    sampler->shared.is_nudged = false;
    bool goes_on = !sampler->shared.is_stopping;
    pthread_mutex_unlock(&sampler->shared.mutex); /* } */
    return goes_on;
}

static void tell_that_it_looked(struct cm_bench_sampler *sampler)
{
    pthread_mutex_lock(&sampler->shared.mutex); /* { */
    sampler->shared.has_looked = true;
    pthread_cond_broadcast(&sampler->shared.changed);
    pthread_mutex_unlock(&sampler->shared.mutex); /* } */
}

static void *run(void *arg)
{
    struct cm_bench_sampler *sampler = arg;
    struct cm_bench_known known;
    pthread_setname_np(pthread_self(), "sampler");
    sampler->redis = connect_to(sampler->settings.redis_url);
    while (wait_for_nudge(sampler, &known)) {
        look(sampler, &known, false);
        tell_that_it_looked(sampler);
    }
    if (sampler->shared.has_last_look)
        look(sampler, &known, true);
    if (sampler->redis)
        redisFree(sampler->redis);
    sampler->redis = NULL;
    return NULL;
}

/* Signals belong to the loop's thread. */
static int start_thread(struct cm_bench_sampler *sampler)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&sampler->thread, NULL, run, sampler);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

cm_status cm_bench_sampler_start(struct cm_bench_sampler *sampler,
                                 const struct cm_bench_sampler_settings *settings,
                                 struct cm_error *err)
{
    *sampler = (struct cm_bench_sampler){ .settings = *settings };
    cm_bench_samples_init(&sampler->samples);
    pthread_mutex_init(&sampler->shared.mutex, NULL);
    pthread_cond_init(&sampler->shared.changed, NULL);
    if (start_thread(sampler) != 0)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "could not start a thread");
    sampler->is_running = true;
    return CM_OK;
}

void cm_bench_sampler_begin(struct cm_bench_sampler *sampler, const struct cm_bench_known *known)
{
    cm_bench_sampler_nudge(sampler, known);
    pthread_mutex_lock(&sampler->shared.mutex); /* { */
    while (sampler->is_running && !sampler->shared.has_looked)
        pthread_cond_wait(&sampler->shared.changed, &sampler->shared.mutex);
    pthread_mutex_unlock(&sampler->shared.mutex); /* } */
}

void cm_bench_sampler_nudge(struct cm_bench_sampler *sampler, const struct cm_bench_known *known)
{
    if (!sampler->is_running)
        return;
    pthread_mutex_lock(&sampler->shared.mutex); /* { */
    sampler->shared.known = *known;
    sampler->shared.is_nudged = true;
    pthread_cond_signal(&sampler->shared.changed);
    pthread_mutex_unlock(&sampler->shared.mutex); /* } */
}

void cm_bench_sampler_stop(struct cm_bench_sampler *sampler, const struct cm_bench_known *known)
{
    if (!sampler->is_running)
        return;
    pthread_mutex_lock(&sampler->shared.mutex); /* { */
    sampler->shared.is_stopping = true;
    sampler->shared.has_last_look = known != NULL;
    if (known)
        sampler->shared.known = *known;
    pthread_cond_signal(&sampler->shared.changed);
    pthread_mutex_unlock(&sampler->shared.mutex); /* } */
    pthread_join(sampler->thread, NULL);
    sampler->is_running = false;
    pthread_cond_destroy(&sampler->shared.changed);
    pthread_mutex_destroy(&sampler->shared.mutex);
}
