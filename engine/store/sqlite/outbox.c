#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

static void run_outbox(struct cm_sqlite_outbox *outbox)
{
    pthread_mutex_lock(&outbox->shared.mutex); /* { */
    struct cm_store_op *op = outbox->shared.first;
    outbox->shared.first = NULL;
    outbox->shared.last = &outbox->shared.first;
    pthread_mutex_unlock(&outbox->shared.mutex); /* } */
    while (op) {
        struct cm_store_op *next = op->next; /* done may submit or free it */
        op->done(op);
        op = next;
    }
}

static void free_memory(struct cm_sqlite_outbox *outbox)
{
    pthread_mutex_destroy(&outbox->shared.mutex);
    free(outbox);
}

static void on_outbox(void *arg)
{
    struct cm_sqlite_outbox *outbox = arg;
    pthread_mutex_lock(&outbox->shared.mutex); /* { */
    outbox->shared.posted = false;
    bool orphaned = outbox->shared.orphaned;
    pthread_mutex_unlock(&outbox->shared.mutex); /* } */
    if (orphaned)
        free_memory(outbox);
    else
        run_outbox(outbox);
}

void cm_sqlite_outbox_put(struct cm_sqlite_outbox *outbox, struct cm_loop *loop,
                          struct cm_store_op *op)
{
    op->next = NULL;
    pthread_mutex_lock(&outbox->shared.mutex); /* { */
    *outbox->shared.last = op;
    outbox->shared.last = &op->next;
    bool post = !outbox->shared.posted;
    outbox->shared.posted = true;
    pthread_mutex_unlock(&outbox->shared.mutex); /* } */
    if (post)
        cm_loop_post(loop, &outbox->task);
}

cm_status cm_sqlite_outbox_new(struct cm_sqlite_outbox **ret_outbox, struct cm_error *err)
{
    struct cm_sqlite_outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a store");
    outbox->task = (struct cm_task){ .run = on_outbox, .arg = outbox };
    outbox->shared.last = &outbox->shared.first;
    pthread_mutex_init(&outbox->shared.mutex, NULL);
    *ret_outbox = outbox;
    return CM_OK;
}

void cm_sqlite_outbox_free(struct cm_sqlite_outbox *outbox)
{
    run_outbox(outbox);
    pthread_mutex_lock(&outbox->shared.mutex); /* { */
    outbox->shared.orphaned = true;
    bool posted = outbox->shared.posted;
    pthread_mutex_unlock(&outbox->shared.mutex); /* } */
    if (!posted)
        free_memory(outbox);
}
