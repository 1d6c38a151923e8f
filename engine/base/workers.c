#include "engine/base/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct worker {
    struct cm_workers *pool;
    pthread_t thread;
    uint32_t index;
};

struct cm_workers {
    struct cm_loop *loop;
    const struct cm_worker_ops *ops;
    void *arg;
    struct worker *workers;
    uint32_t started_count;

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed; /* one more work; wakes workers below the limit only */
        pthread_cond_t raised;  /* the limit; wakes the others */
        uint32_t limit;
        struct cm_work *first;
        struct cm_work **last;
        uint32_t opened_count; /* workers whose open has returned, well or not */
        cm_status open_status;
        struct cm_error open_error;
        bool stopping;
    } shared; /* under the mutex */
};

static void run_done(void *arg)
{
    struct cm_work *work = arg;
    work->done(work);
}

/* Waits for work; NULL when the pool stops and nothing is left. */
static struct cm_work *take_work(struct worker *worker)
{
    struct cm_workers *pool = worker->pool;
    pthread_mutex_lock(&pool->shared.mutex); /* { */
    for (;;) {
        bool takes_part = worker->index < pool->shared.limit;
        if (pool->shared.stopping || (takes_part && pool->shared.first))
            break;
        pthread_cond_wait(takes_part ? &pool->shared.changed : &pool->shared.raised,
                          &pool->shared.mutex);
    }
    struct cm_work *work = pool->shared.first;
    if (work) {
        pool->shared.first = work->next;
        if (!work->next)
            pool->shared.last = &pool->shared.first;
    }
    pthread_mutex_unlock(&pool->shared.mutex); /* } */
    return work;
}

static cm_status open_context(struct worker *worker, void **ret_context)
{
    struct cm_workers *pool = worker->pool;
    struct cm_error err = { .status = CM_OK };
    cm_status status = CM_OK;
    *ret_context = NULL;
    if (pool->ops->open)
        status = pool->ops->open(pool->arg, worker->index, ret_context, &err);
    pthread_mutex_lock(&pool->shared.mutex); /* { */
    pool->shared.opened_count++;
    if (status != CM_OK && pool->shared.open_status == CM_OK) {
        pool->shared.open_status = status;
        pool->shared.open_error = err;
    }
    pthread_cond_broadcast(&pool->shared.changed);
    pthread_mutex_unlock(&pool->shared.mutex); /* } */
    return status;
}

/* Linux keeps it for each thread. Nobody needs a right to be nicer; where it fails nothing else does. */
static void yield_to_others(int nice)
{
    id_t self = (id_t)gettid();
    int now = getpriority(PRIO_PROCESS, self);
    setpriority(PRIO_PROCESS, self, now + nice);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct cm_workers *pool = worker->pool;
    struct cm_work *work;
    void *context;
    char name[16];
    snprintf(name, sizeof name, "%.10s-%u", pool->ops->name, worker->index);
    pthread_setname_np(pthread_self(), name);
    if (pool->ops->nice > 0)
        yield_to_others(pool->ops->nice);
    if (open_context(worker, &context) != CM_OK)
        return NULL;
    while ((work = take_work(worker))) {
        work->run(work, context);
        work->task = (struct cm_task){ .run = run_done, .arg = work };
        cm_loop_post(work->loop, &work->task);
    }
    if (pool->ops->close)
        pool->ops->close(context);
    return NULL;
}

/* Signals belong to the loop's thread: workers are born with all of them blocked. */
static int start_threads(struct cm_workers *pool, uint32_t workers_count)
{
    sigset_t all, before;
    int code = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = 0; i < workers_count && code == 0; i++) {
        pool->workers[i] = (struct worker){ .pool = pool, .index = i };
        code = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
        if (code == 0)
            pool->started_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static cm_status wait_until_open(struct cm_workers *pool, struct cm_error *err)
{
    pthread_mutex_lock(&pool->shared.mutex); /* { */
    while (pool->shared.opened_count < pool->started_count)
        pthread_cond_wait(&pool->shared.changed, &pool->shared.mutex);
    cm_status status = pool->shared.open_status;
    if (status != CM_OK && err)
        *err = pool->shared.open_error;
    pthread_mutex_unlock(&pool->shared.mutex); /* } */
    return status;
}

cm_status cm_workers_new(struct cm_loop *loop, uint32_t workers_count,
                         const struct cm_worker_ops *ops, void *arg,
                         struct cm_workers **ret_workers, struct cm_error *err)
{
    struct cm_workers *pool = calloc(1, sizeof *pool);
    struct worker *workers = calloc(workers_count, sizeof *workers);
    if (!pool || !workers) {
        free(pool);
        free(workers);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for worker threads");
    }
    pool->loop = loop;
    pool->ops = ops;
    pool->arg = arg;
    pool->workers = workers;
    pool->shared.last = &pool->shared.first;
    pool->shared.limit = workers_count;
    pthread_mutex_init(&pool->shared.mutex, NULL);
    pthread_cond_init(&pool->shared.changed, NULL);
    pthread_cond_init(&pool->shared.raised, NULL);
    int code = start_threads(pool, workers_count);
    cm_status status = wait_until_open(pool, err);
    if (status == CM_OK && code != 0)
        status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OS, code, "start a worker thread");
    if (status != CM_OK) {
        cm_workers_free(pool);
        return status;
    }
    *ret_workers = pool;
    return CM_OK;
}

void cm_workers_free(struct cm_workers *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->shared.mutex); /* { */
    pool->shared.stopping = true;
    pthread_cond_broadcast(&pool->shared.changed);
    pthread_cond_broadcast(&pool->shared.raised);
    pthread_mutex_unlock(&pool->shared.mutex); /* } */
    for (uint32_t i = 0; i < pool->started_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->shared.changed);
    pthread_cond_destroy(&pool->shared.raised);
    pthread_mutex_destroy(&pool->shared.mutex);
    free(pool->workers);
    free(pool);
}

void cm_workers_submit(struct cm_workers *pool, struct cm_work *work)
{
    work->next = NULL;
    work->loop = pool->loop;
    pthread_mutex_lock(&pool->shared.mutex); /* { */
    *pool->shared.last = work;
    pool->shared.last = &work->next;
    pthread_cond_signal(&pool->shared.changed);
    pthread_mutex_unlock(&pool->shared.mutex); /* } */
}

void cm_workers_limit(struct cm_workers *pool, uint32_t count)
{
    pthread_mutex_lock(&pool->shared.mutex); /* { */
    pool->shared.limit = count > 0 ? count : 1;
    /* All sort themselves anew: a wake-up meant for one that no longer takes part would be lost. */
    pthread_cond_broadcast(&pool->shared.changed);
    pthread_cond_broadcast(&pool->shared.raised);
    pthread_mutex_unlock(&pool->shared.mutex); /* } */
}
