/*
 * Pool: the batches, and the rings of entries for which none is free. All memory that a request needs
 * is here before the first one comes; exhaustion is back-pressure, because the queue gets no more
 * credit than there is room.
 */
#include "engine/internal.h"

#include <stdlib.h>

enum { ARENA_BLOCK_SIZE = 256 * 1024 };

static void init_inlets(struct cm_engine *engine)
{
    for (unsigned i = 0; i < CM_INLETS; i++) {
        engine->inlets[i].engine = engine;
        engine->inlets[i].backlog = calloc(engine->backlog_space, sizeof(struct cm_entry *));
        if (!engine->inlets[i].backlog)
            abort();
    }
}

/* A batch for each in flight, the one that fills, and one more that only orders get. */
void cm_pool_init(struct cm_engine *engine)
{
    const struct cm_settings_engine *settings = &engine->settings->engine;
    engine->batches_count = settings->batches_in_flight + 2;
    engine->backlog_space = engine->batches_count * engine->batch_items_max + CM_AHEAD_MAX;
    engine->batches = calloc(engine->batches_count, sizeof *engine->batches);
    if (!engine->batches)
        abort();
    init_inlets(engine);
    for (uint32_t i = 0; i < engine->batches_count; i++) {
        struct cm_batch *batch = &engine->batches[i];
        batch->engine = engine;
        cm_arena_init(&batch->arena, ARENA_BLOCK_SIZE);
        batch->requests = calloc(engine->batch_items_max, sizeof *batch->requests);
        if (!batch->requests)
            abort();
        batch->next = engine->free_batches;
        engine->free_batches = batch;
    }
    /* Waiting entries are in no batch, but their firsts are: twice the credit is enough. */
    cm_inflight_init(&engine->inflight, engine->backlog_space);
}

void cm_pool_done(struct cm_engine *engine)
{
    for (uint32_t i = 0; i < engine->batches_count; i++) {
        cm_timer_done(&engine->batches[i].retry);
        cm_arena_done(&engine->batches[i].arena);
        free(engine->batches[i].requests);
    }
    free(engine->batches);
    for (unsigned i = 0; i < CM_INLETS; i++) {
        cm_timer_done(&engine->inlets[i].timer);
        free(engine->inlets[i].backlog);
    }
}

/* What waits for a key may hold all batches but one; orders soon give back what they hold. */
struct cm_batch *cm_pool_take(struct cm_engine *engine, enum cm_inlet_kind kind)
{
    struct cm_batch *batch = engine->free_batches;
    if (!batch || (kind != CM_INLET_ORDERS && !batch->next))
        return NULL;
    engine->free_batches = batch->next;
    batch->requests_count = 0;
    batch->credits_count = 0;
    batch->ahead_count = 0;
    batch->choices = NULL;
    batch->clock_suspect = false;
    batch->lots_count = 0;
    return batch;
}

void cm_pool_give(struct cm_batch *batch)
{
    struct cm_engine *engine = batch->engine;
    for (uint32_t i = 0; i < batch->lots_count; i++)
        cm_timer_done(&batch->lots[i].retry);
    batch->lots_count = 0; /* they lie in the arena */
    cm_arena_reset(&batch->arena);
    batch->next = engine->free_batches;
    engine->free_batches = batch;
}
