/*
 * Workers: threads that carry the CPU stages of batches, each with a context of its own.
 *
 * A pool is made for one loop. cm_workers_submit hands a struct cm_work to the first free worker;
 * work->run executes there and touches only what the work holds and the worker's context; then
 * work->done executes on the loop. Works start in the order of submission. The queue is unbounded
 * by itself: callers bound it by the number of batches that they own.
 *
 * Life: cm_workers_new, submit any number of times, cm_workers_free (finishes what was submitted,
 * joins the threads; the done callbacks of works that were finished are still in the loop's mailbox).
 */
#ifndef CM_BASE_WORKERS_H
#define CM_BASE_WORKERS_H

#include "engine/base/loop.h"

struct cm_workers;

/* Lives inside what it is about; borrowed from submit until done. */
struct cm_work {
    struct cm_work *next; /* the pool's */
    struct cm_loop *loop; /* the pool's */
    struct cm_task task;  /* the pool's */
    void (*run)(struct cm_work *work, void *worker_context);
    void (*done)(struct cm_work *work);
};

/* How a worker's context is made and unmade; both run on the worker's thread. What open fails to make
 * it takes apart itself: close is not called. */
struct cm_worker_ops {
    const char *name; /* of the threads, at most 10 characters */
    int nice; /* added to that of the process: above 0, others on the same processors go first */
    cm_status (*open)(void *arg, uint32_t worker_index, void **ret_context, struct cm_error *err);
    void (*close)(void *context);
};

/*
 * Starts workers_count threads and waits until each has opened its context.
 * Fails with: what open failed with (all are then gone again), NO_MEMORY.
 */
CM_MUST_USE cm_status cm_workers_new(struct cm_loop *loop, uint32_t workers_count,
                                     const struct cm_worker_ops *ops, void *arg,
                                     struct cm_workers **ret_workers, struct cm_error *err);
void cm_workers_free(struct cm_workers *workers);

/*
 * From now on only the first count workers (1 at least) take work; the others finish what they have
 * and sleep. More than there are means all, as at the start. Thread: any.
 */
void cm_workers_limit(struct cm_workers *workers, uint32_t count);

/* Thread: any. Calls back: work->done once, on the loop, never before this returns. */
void cm_workers_submit(struct cm_workers *workers, struct cm_work *work);

#endif
