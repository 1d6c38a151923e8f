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
    if (op->status != CM_OK) /* the intents are still open: the next start finds them again */
        cm_engine_notice(engine, "store: %s; promised serials stay open", op->err.text);
    else if (op->abandoned_count > 0)
        cm_engine_notice(engine, "%u serials promised before a crash were abandoned",
                         op->abandoned_count);
    free(abandonment->rows);
    free(abandonment->closed);
    free(abandonment);
    engine->counters.in_flight--;
    cm_engine_look_around(engine);
}

static struct abandonment *abandonment_new(struct cm_engine *engine, uint32_t promises_count)
{
    struct abandonment *abandonment = calloc(1, sizeof *abandonment);
    if (!abandonment)
        abort();
    abandonment->engine = engine;
    abandonment->rows = calloc(promises_count, sizeof *abandonment->rows);
    abandonment->closed = calloc(promises_count, sizeof *abandonment->closed);
    if (!abandonment->rows || !abandonment->closed)
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
    snprintf(abandonment->detail, sizeof abandonment->detail, "{\"abandoned\":%u,\"closed\":%u}",
             op->abandoned_count, op->intents_closed_count);
    abandonment->audit = (struct cm_audit_event){ .kind = "abandon",
                                                  .actor = cm_bytes_str("engine"),
                                                  .detail = cm_bytes_str(abandonment->detail) };
    op->audit = &abandonment->audit;
    abandonment->engine->counters.in_flight++; /* stopping waits for it */
    cm_store_submit(abandonment->engine->store, op);
}

static void abandon_all(struct cm_engine *engine)
{
    struct abandonment *abandonment = abandonment_new(engine, engine->promises.open_count);
    cm_promises_walk(&engine->promises, collect_overdue, abandonment);
    submit(abandonment);
}

void cm_abandon_close(struct cm_engine *engine, int64_t intent_number)
{
    struct abandonment *abandonment = abandonment_new(engine, 1);
    abandonment->closed[0] = intent_number;
    abandonment->op.intents_closed_count = 1;
    submit(abandonment);
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
