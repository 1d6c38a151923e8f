/*
 * Abandon: promises from before a crash that nobody came for.
 *
 * A request whose intent was durable when the engine died comes again from its queue, and its promise
 * is kept. One that has not come within the hold time never will: its serial is given up, recorded,
 * and from then on revoked as unaccounted.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"

enum { LOOK_MS = 10000 };

/* Lives from the submission of the operation to its end. */
struct abandonment {
    struct cm_engine *engine;
    struct cm_store_op op;
    struct cm_audit_event audit;
    struct cm_abandoned_row *rows;
    int64_t *closed;
    char detail[64];
};

static void collect_overdue(struct cm_promise *promise, void *arg)
{
    struct abandonment *abandonment = arg;
    struct cm_store_op *op = &abandonment->op;
    abandonment->rows[op->abandoned_count++] =
        (struct cm_abandoned_row){ .serial = promise->item.serial,
                                   .generation_number = promise->generation_number };
    int64_t intent_number = cm_promises_settle(&abandonment->engine->promises, promise);
    if (intent_number != 0)
        abandonment->closed[op->intents_closed_count++] = intent_number;
}

static void on_abandoned(struct cm_store_op *op)
{
    struct abandonment *abandonment = op->arg;
    struct cm_engine *engine = abandonment->engine;
    if (op->status == CM_OK)
        cm_engine_notice(engine, "%u serials promised before a crash were abandoned",
                         op->abandoned_count);
    else /* the intents are still open: the next start finds them again */
        cm_engine_notice(engine, "store: %s; promised serials stay open", op->err.text);
    free(abandonment->rows);
    free(abandonment->closed);
    free(abandonment);
    engine->counters.in_flight--;
    cm_engine_look_around(engine);
}

static void abandon_all(struct cm_engine *engine)
{
    uint32_t count = engine->promises.open_count;
    struct abandonment *abandonment = calloc(1, sizeof *abandonment);
    if (!abandonment)
        abort();
    abandonment->engine = engine;
    abandonment->rows = calloc(count, sizeof *abandonment->rows);
    abandonment->closed = calloc(count, sizeof *abandonment->closed);
    if (!abandonment->rows || !abandonment->closed)
        abort();
    struct cm_store_op *op = &abandonment->op;
    op->kind = CM_STORE_RECORD;
    op->done = on_abandoned;
    op->arg = abandonment;
    op->abandoned = abandonment->rows;
    op->intents_closed = abandonment->closed;
    cm_promises_walk(&engine->promises, collect_overdue, abandonment);
    snprintf(abandonment->detail, sizeof abandonment->detail, "{\"abandoned\":%u}",
             op->abandoned_count);
    abandonment->audit = (struct cm_audit_event){ .kind = "abandon",
                                                  .actor = cm_bytes_str("engine"),
                                                  .detail = cm_bytes_str(abandonment->detail) };
    op->audit = &abandonment->audit;
    engine->counters.in_flight++; /* stopping waits for it */
    cm_store_submit(engine->store, op);
}

static void look(void *arg)
{
    struct cm_engine *engine = arg;
    uint64_t age_ns = cm_clock_monotonic_ns() - engine->promises_since_ns;
    if (engine->promises.open_count > 0
        && age_ns >= engine->settings->engine.intent_hold_s * CM_NS_PER_S)
        abandon_all(engine);
    cm_timer_start(&engine->promises_timer, engine->loop, LOOK_MS, look, engine);
}

void cm_abandon_watch(struct cm_engine *engine)
{
    engine->promises_since_ns = cm_clock_monotonic_ns();
    cm_timer_start(&engine->promises_timer, engine->loop, LOOK_MS, look, engine);
}
