#include "engine/store/sqlite/internal.h"

#include <assert.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"

enum {
    GROUP_ROWS_DEFAULT = 2048,
    IDLE_MS = 500 /* without work, before the log is moved */
};

/* ------------------------------------------------------------- transactions -- */

static cm_status begin(struct cm_sqlite_store *store, struct cm_error *err)
{
    return cm_sqlite_step(store, CM_SQLITE_BEGIN, "begin", err);
}

static cm_status commit(struct cm_sqlite_store *store, struct cm_error *err)
{
    return cm_sqlite_step(store, CM_SQLITE_COMMIT, "commit", err);
}

static void roll_back(struct cm_sqlite_store *store, const struct cm_sqlite_tally *before)
{
    struct cm_error err;
    /* Some errors have rolled back by themselves. */
    if (!sqlite3_get_autocommit(store->db) && cm_sqlite_run(store->db, "ROLLBACK", &err) != CM_OK)
        cm_sqlite_die(&err);
    int64_t last_intent = store->tally.last_intent;
    store->tally = *before;
    cm_sqlite_listing_undo(store);
    cm_answered_undo(store->requests.answered);
    store->tally.last_intent = last_intent; /* a number is given once */
}

/* After an error: nothing has happened, or the process ends. */
static void give_up(struct cm_sqlite_store *store, const struct cm_sqlite_tally *before,
                    const struct cm_error *err)
{
    cm_sqlite_die_if_fatal(err);
    roll_back(store, before);
}

/* All operations from first up to end, or none. */
static cm_status commit_together(struct cm_sqlite_store *store, struct cm_store_op *first,
                                 struct cm_store_op *end, struct cm_error *err)
{
    const struct cm_sqlite_tally before = store->tally;
    cm_status status = begin(store, err);
    for (struct cm_store_op *op = first; status == CM_OK && op != end; op = op->next)
        status = cm_sqlite_change(store, op, err);
    if (status == CM_OK)
        status = cm_sqlite_change_total(store, err);
    CM_FAULT_POINT("store-commit");
    if (status == CM_OK)
        status = commit(store, err);
    CM_FAULT_POINT("store-committed");
    if (status == CM_OK) {
        cm_answered_settle(store->requests.answered);
    } else {
        give_up(store, &before, err);
    }
    return status;
}

/* After the answers are on their way: nobody waits for it but the next group. */
static void move_requests_when_due(struct cm_sqlite_store *store)
{
    struct cm_error err;
    struct cm_sqlite_move move;
    const struct cm_sqlite_tally before = store->tally;
    if (!cm_sqlite_requests_are_many(store))
        return;
    cm_status status = begin(store, &err);
    if (status == CM_OK)
        status = cm_sqlite_requests_move(store, &move, &err);
    if (status == CM_OK)
        status = commit(store, &err);
    if (status == CM_OK)
        cm_sqlite_requests_moved(store, &move);
    else
        give_up(store, &before, &err); /* a full disk: the log keeps the rows */
}

/* The same for certificates by device: their log stays a little longer. */
static void move_listing_when_due(struct cm_sqlite_store *store)
{
    struct cm_error err;
    if (!cm_sqlite_listing_is_due(store))
        return;
    cm_status status = cm_sqlite_listing_prepare(store, &err);
    const struct cm_sqlite_tally before = store->tally;
    if (status == CM_OK)
        status = begin(store, &err);
    if (status == CM_OK)
        status = cm_sqlite_listing_move(store, &err);
    if (status == CM_OK)
        status = commit(store, &err);
    if (status == CM_OK)
        cm_sqlite_listing_moved(store);
    else
        give_up(store, &before, &err);
}

static uint64_t rows_of(const struct cm_store_op *op)
{
    return (uint64_t)op->certificates_count + op->refusals_count + op->abandoned_count
           + op->devices_count + op->orders_count + op->crls_count + op->imported_count + 1;
}

/*
 * Where the group that begins with first ends: the first operation that is not of it, or NULL. A
 * generation goes by itself: whether it is a new one shows in its number, which the commit writes,
 * so that there must be no second attempt.
 */
static struct cm_store_op *group_end(const struct cm_sqlite_store *store, struct cm_store_op *first)
{
    uint64_t rows = rows_of(first);
    struct cm_store_op *op = first->next;
    if (first->kind == CM_STORE_GENERATION)
        return op;
    while (op && op->kind != CM_STORE_GENERATION && rows + rows_of(op) <= store->group_rows_max) {
        rows += rows_of(op);
        op = op->next;
    }
    return op;
}

/* What a change tells its caller, once it is durable. */
static void write_back(const struct cm_sqlite_store *store, struct cm_store_op *op)
{
    if (op->kind == CM_STORE_GENERATION && op->generation->number == 0)
        op->generation->number = store->generation_added;
}

static void commit_alone(struct cm_sqlite_store *store, struct cm_store_op *op)
{
    op->status = commit_together(store, op, op->next, &op->err);
    if (op->status == CM_OK)
        write_back(store, op);
}

/* An operation that cannot be carried out must not spoil its neighbours: then each goes alone. */
static void commit_group(struct cm_sqlite_store *store, struct cm_store_op *first,
                         struct cm_store_op *end)
{
    struct cm_error ignored;
    bool together = first->next != end && commit_together(store, first, end, &ignored) == CM_OK;
    for (struct cm_store_op *op = first; op != end; op = op->next)
        if (together)
            op->status = CM_OK;
        else
            commit_alone(store, op);
}

/* ---------------------------------------------------------------- completion -- */

/* Somebody in cm_store_apply waits for a flag. */
static void wake_applier(struct cm_sqlite_store *store, bool *finished)
{
    pthread_mutex_lock(&store->shared.mutex); /* { */
    *finished = true;
    pthread_cond_broadcast(&store->shared.applied);
    pthread_mutex_unlock(&store->shared.mutex); /* } */
}

static void finish_group(struct cm_sqlite_store *store, struct cm_store_op *first,
                         struct cm_store_op *end)
{
    struct cm_store_op *next;
    for (struct cm_store_op *op = first; op != end; op = next) {
        next = op->next;
        if (op->done)
            cm_sqlite_outbox_put(store->outbox, store->loop, op);
        else
            wake_applier(store, op->task.arg);
    }
}

/* ------------------------------------------------------------------- thread -- */

/* When the log may be moved, if nothing comes before. */
static struct timespec idle_deadline(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += IDLE_MS * (long)CM_NS_PER_MS;
    at.tv_sec += at.tv_nsec / (long)CM_NS_PER_S;
    at.tv_nsec %= (long)CM_NS_PER_S;
    return at;
}

static bool is_idle_locked(const struct cm_sqlite_store *store)
{
    return !store->shared.first && !store->shared.closing;
}

/* All that was submitted. NULL with *ret_closing false: a moment of idleness. */
static struct cm_store_op *take_submitted(struct cm_sqlite_store *store, bool *ret_closing)
{
    struct timespec deadline = idle_deadline();
    bool may_rest = !cm_sqlite_checkpoint_has_idle_work(store);
    int code = 0;
    pthread_mutex_lock(&store->shared.mutex); /* { */
    while (is_idle_locked(store) && code == 0)
        code = may_rest
                   ? pthread_cond_wait(&store->shared.wake, &store->shared.mutex)
                   : pthread_cond_timedwait(&store->shared.wake, &store->shared.mutex, &deadline);
    struct cm_store_op *first = store->shared.first;
    store->shared.first = NULL;
    store->shared.last = &store->shared.first;
    *ret_closing = store->shared.closing;
    pthread_mutex_unlock(&store->shared.mutex); /* } */
    return first;
}

static void carry_out(struct cm_sqlite_store *store, struct cm_store_op *op)
{
    while (op) {
        struct cm_store_op *end = group_end(store, op);
        commit_group(store, op, end);
        finish_group(store, op, end);
        move_requests_when_due(store);
        move_listing_when_due(store);
        cm_sqlite_checkpoint_when_due(store);
        op = end;
    }
}

static void *writer_main(void *arg)
{
    struct cm_sqlite_store *store = arg;
    bool closing = false;
    pthread_setname_np(pthread_self(), "store");
    for (;;) {
        struct cm_store_op *op = take_submitted(store, &closing);
        if (op)
            carry_out(store, op);
        else if (closing)
            return NULL;
        else
            cm_sqlite_checkpoint_idle(store);
    }
}

cm_status cm_sqlite_writer_start(struct cm_sqlite_store *store, struct cm_error *err)
{
    pthread_condattr_t monotonic;
    cm_status status = cm_sqlite_checkpoint_start(store, err);
    if (status == CM_OK)
        status = cm_sqlite_outbox_new(&store->outbox, err);
    if (status != CM_OK)
        return status;
    if (store->group_rows_max == 0)
        store->group_rows_max = GROUP_ROWS_DEFAULT;
    store->shared.last = &store->shared.first;
    pthread_mutex_init(&store->shared.mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->shared.wake, &monotonic);
    pthread_cond_init(&store->shared.applied, NULL);
    pthread_condattr_destroy(&monotonic);
    int code = pthread_create(&store->thread, NULL, writer_main, store);
    if (code != 0) {
        cm_sqlite_outbox_free(store->outbox);
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "start the store's thread");
    }
    store->is_writing = true;
    return CM_OK;
}

void cm_sqlite_writer_stop(struct cm_sqlite_store *store)
{
    if (!store->is_writing)
        return;
    pthread_mutex_lock(&store->shared.mutex); /* { */
    store->shared.closing = true;
    pthread_cond_signal(&store->shared.wake);
    pthread_mutex_unlock(&store->shared.mutex); /* } */
    pthread_join(store->thread, NULL);
    cm_sqlite_outbox_free(store->outbox);
    pthread_cond_destroy(&store->shared.applied);
    pthread_cond_destroy(&store->shared.wake);
    pthread_mutex_destroy(&store->shared.mutex);
    store->is_writing = false;
}

static void push_locked(struct cm_sqlite_store *store, struct cm_store_op *op)
{
    assert(!store->shared.closing);
    op->next = NULL;
    *store->shared.last = op;
    store->shared.last = &op->next;
    pthread_cond_signal(&store->shared.wake);
}

void cm_sqlite_submit(struct cm_store *base, struct cm_store_op *op)
{
    struct cm_sqlite_store *store = (struct cm_sqlite_store *)base;
    assert(store->is_writing && store->loop);
    cm_loop_assert_here(store->loop);
    pthread_mutex_lock(&store->shared.mutex); /* { */
    push_locked(store, op);
    pthread_mutex_unlock(&store->shared.mutex); /* } */
}

cm_status cm_sqlite_apply(struct cm_store *base, struct cm_store_op *op, struct cm_error *err)
{
    struct cm_sqlite_store *store = (struct cm_sqlite_store *)base;
    cm_store_done_fn *done = op->done;
    bool finished = false;
    assert(store->is_writing);
    op->done = NULL;
    op->task.arg = &finished;
    pthread_mutex_lock(&store->shared.mutex); /* { */
    push_locked(store, op);
    while (!finished)
        pthread_cond_wait(&store->shared.applied, &store->shared.mutex);
    pthread_mutex_unlock(&store->shared.mutex); /* } */
    op->done = done;
    if (op->status != CM_OK && err)
        *err = op->err;
    return op->status;
}
