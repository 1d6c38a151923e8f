/*
 * Abandon: promises that nobody came for.
 *
 * A request whose intent was durable when the engine died, or gave it back, comes again from its queue,
 * and its promise is kept; one that is set aside holds its promise. What nobody holds when the hold time
 * is over is given up: the serial is recorded, and from then on revoked as unaccounted. What a later promise
 * to the same request stands for is given up at the start.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/authority/record_tree.h"
#include "engine/base/clock.h"

enum { LOOK_MS = 10000 };

/* Lives from the submission of the operation to its end. */
struct abandonment {
    struct cm_engine *engine;
    struct cm_store_op op;
    struct cm_audit_event audit;
    struct cm_promise **promises; /* of the rows; marked, so that nobody else takes them */
    struct cm_abandoned_row *rows;
    int64_t *closed;
    char detail[64];
};

/* It stands until the record is durable: its intent must not be closed without it. */
static void collect_overdue(struct cm_promise *promise, void *arg)
{
    struct abandonment *abandonment = arg;
    struct cm_store_op *op = &abandonment->op;
    const struct cm_engine *engine = abandonment->engine;
    const struct cm_promises *promises = &engine->promises;
    promise->settled_by = abandonment;
    abandonment->promises[op->abandoned_count] = promise;
    abandonment->rows[op->abandoned_count++] = (struct cm_abandoned_row){
        .serial = promise->item.serial,
        .generation_number = promise->generation_number,
        .not_after_s = cm_engine_generation_end_s(engine, promise->generation_number)
    };
    /* True once: for the last of the intent to be marked. */
    if (cm_promises_closes(promises, promise->intent_number, abandonment))
        abandonment->closed[op->intents_closed_count++] = promise->intent_number;
}

static void collect_outdone(struct cm_promise *promise, void *arg)
{
    if (promise->is_outdone)
        collect_overdue(promise, arg);
}

static bool closes(const struct abandonment *abandonment, int64_t intent_number)
{
    for (uint32_t i = 0; i < abandonment->op.intents_closed_count; i++)
        if (abandonment->closed[i] == intent_number)
            return true;
    return false;
}

static void settle_all(struct abandonment *abandonment)
{
    struct cm_engine *engine = abandonment->engine;
    for (uint32_t i = 0; i < abandonment->op.abandoned_count; i++) {
        int64_t last_of = cm_promises_settle(&engine->promises, abandonment->promises[i]);
        if (last_of != 0 && !closes(abandonment, last_of))
            cm_abandon_close(engine, last_of);
    }
}

static void abandonment_free(struct abandonment *abandonment)
{
    free(abandonment->promises);
    free(abandonment->rows);
    free(abandonment->closed);
    free(abandonment);
}

static void on_abandoned(struct cm_store_op *op)
{
    struct abandonment *abandonment = op->arg;
    struct cm_engine *engine = abandonment->engine;
    if (op->status == CM_OK) {
        settle_all(abandonment);
        if (op->abandoned_count > 0) {
            cm_engine_look_at_revocations(engine);
            cm_engine_notice(engine, "%u promised serials that nobody came for were abandoned",
                             op->abandoned_count);
        }
    } else { /* the next look tries again */
        for (uint32_t i = 0; i < op->abandoned_count; i++)
            abandonment->promises[i]->settled_by = NULL;
        cm_engine_notice(engine, "store: %s; promised serials stay open", op->err.text);
    }
    abandonment_free(abandonment);
    engine->counters.in_flight--;
    cm_engine_look_around(engine);
}

static struct abandonment *abandonment_new(struct cm_engine *engine, uint32_t promises_count)
{
    struct abandonment *abandonment = calloc(1, sizeof *abandonment);
    if (!abandonment)
        abort();
    abandonment->engine = engine;
    abandonment->promises = calloc(promises_count, sizeof(struct cm_promise *));
    abandonment->rows = calloc(promises_count, sizeof *abandonment->rows);
    abandonment->closed = calloc(promises_count, sizeof *abandonment->closed);
    if (!abandonment->promises || !abandonment->rows || !abandonment->closed)
        abort();
    abandonment->op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                            .done = on_abandoned,
                                            .arg = abandonment,
                                            .abandoned = abandonment->rows,
                                            .intents_closed = abandonment->closed };
    return abandonment;
}

static void submit(struct abandonment *abandonment)
{
    struct cm_store_op *op = &abandonment->op;
    struct cm_record_tree tree;
    cm_record_tree(op, &tree);
    snprintf(abandonment->detail, sizeof abandonment->detail, "{\"abandoned\":%u,\"closed\":%u}",
             op->abandoned_count, op->intents_closed_count);
    abandonment->audit = (struct cm_audit_event){ .kind = "abandon",
                                                  .actor = cm_bytes_str("engine"),
                                                  .detail = cm_bytes_str(abandonment->detail) };
    memcpy(abandonment->audit.digest, tree.root, sizeof tree.root);
    op->audit = &abandonment->audit;
    abandonment->engine->counters.in_flight++; /* stopping waits for it */
    cm_store_submit(abandonment->engine->store, op);
}

static void give_up(struct cm_engine *engine,
                    void (*collect)(struct cm_promise *promise, void *arg))
{
    if (engine->promises.open_count == 0)
        return;
    struct abandonment *abandonment = abandonment_new(engine, engine->promises.open_count);
    cm_promises_walk(&engine->promises, collect, abandonment);
    if (abandonment->op.abandoned_count > 0)
        submit(abandonment);
    else
        abandonment_free(abandonment);
}

void cm_abandon_overdue(struct cm_engine *engine)
{
    give_up(engine, collect_overdue);
}

void cm_abandon_close(struct cm_engine *engine, int64_t intent_number)
{
    struct abandonment *abandonment = abandonment_new(engine, 1);
    abandonment->closed[0] = intent_number;
    abandonment->op.intents_closed_count = 1;
    submit(abandonment);
}

/* The engine before was killed between the record of the last of them and the closing. */
static void close_finished(struct cm_engine *engine)
{
    const struct cm_promises *promises = &engine->promises;
    if (promises->finished_count == 0)
        return;
    struct abandonment *abandonment = abandonment_new(engine, promises->finished_count);
    memcpy(abandonment->closed, promises->finished,
           promises->finished_count * sizeof *abandonment->closed);
    abandonment->op.intents_closed_count = promises->finished_count;
    submit(abandonment);
}

static void look(void *arg)
{
    struct cm_engine *engine = arg;
    uint64_t age_ns = cm_clock_monotonic_ns() - engine->promises_since_ns;
    if (age_ns >= engine->settings->engine.intent_hold_s * CM_NS_PER_S)
        cm_abandon_overdue(engine);
    else
        give_up(engine, collect_outdone); /* where the first attempt failed */
    cm_timer_start(&engine->promises_timer, engine->loop, LOOK_MS, look, engine);
}

void cm_abandon_watch(struct cm_engine *engine)
{
    engine->promises_since_ns = cm_clock_monotonic_ns();
    close_finished(engine);
    give_up(engine, collect_outdone);
    cm_timer_start(&engine->promises_timer, engine->loop, LOOK_MS, look, engine);
}
