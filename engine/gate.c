#include "engine/gate.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/internal.h"

#define NOTICE_PAUSE_NS (60 * CM_NS_PER_S)

/* Stale entries that are answered, of a requester without a rate: the backlog of a stop at once. */
enum { STALE_PER_S = 10, STALE_BURST = 10000 };

static void init_stale_limits(struct cm_gate *gate, const struct cm_settings *settings)
{
    gate->stale_limits = calloc(settings->requesters_count, sizeof *gate->stale_limits);
    if (!gate->stale_limits)
        abort();
    for (uint32_t i = 0; i < settings->requesters_count; i++) {
        const struct cm_settings_requester *from = &settings->requesters[i];
        bool has_rate = from->rate_per_s > 0;
        cm_limit_init(&gate->stale_limits[i], "stale", from->name,
                      has_rate ? from->rate_per_s : STALE_PER_S,
                      has_rate ? from->burst : STALE_BURST, 0);
    }
}

void cm_gate_init(struct cm_engine *engine)
{
    struct cm_gate *gate = &engine->gate;
    for (uint32_t i = 0; i < engine->settings->requesters_count; i++)
        gate->is_needed |= engine->settings->requesters[i].auth != CM_AUTH_NONE;
    if (!gate->is_needed)
        return;
    init_stale_limits(gate, engine->settings);
    gate->space = engine->backlog_space; /* the queue's credit */
    gate->lots_count = engine->workers_count;
    gate->waiting = calloc(gate->space, sizeof(struct cm_entry *));
    gate->lots = calloc(gate->lots_count, sizeof *gate->lots);
    if (!gate->waiting || !gate->lots)
        abort();
    for (uint32_t i = 0; i < gate->lots_count; i++)
        gate->lots[i].engine = engine;
}

void cm_gate_done(struct cm_engine *engine)
{
    struct cm_gate *gate = &engine->gate;
    for (uint32_t i = 0; gate->stale_limits && i < engine->settings->requesters_count; i++)
        cm_limit_done(&gate->stale_limits[i]);
    free(gate->stale_limits);
    free(gate->waiting);
    free(gate->lots);
}

bool cm_gate_take(struct cm_engine *engine, struct cm_entry *entry)
{
    struct cm_gate *gate = &engine->gate;
    if (!gate->is_needed || entry->standing != CM_ENTRY_UNJUDGED)
        return false;
    const struct cm_settings_requester *requester =
        cm_settings_requester(engine->settings, entry->fields[CM_FIELD_REQUESTER]);
    if (!requester || requester->auth == CM_AUTH_NONE)
        return false;
    if (gate->count == gate->space)
        abort(); /* the credit given to the queue is the ring's size */
    gate->waiting[(gate->first + gate->count++) % gate->space] = entry;
    return true;
}

static struct cm_entry *pop(struct cm_gate *gate)
{
    struct cm_entry *entry = gate->waiting[gate->first];
    gate->first = (gate->first + 1) % gate->space;
    gate->count--;
    return entry;
}

/*
 * A request outside of its window is answered, and it is also what anybody has who once read the
 * stream: copies without end would fill the requester's results. So many are not its own.
 */
static void limit_stale(struct cm_engine *engine, const struct cm_gate_lot *lot)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    for (uint32_t i = 0; i < lot->count; i++) {
        struct cm_entry *entry = lot->entries[i];
        uint32_t wait_ms;
        if (entry->standing != CM_ENTRY_STALE
            || entry->refusal.code == CM_REFUSAL_REQUEST_UNDELIVERABLE)
            continue;
        const struct cm_settings_requester *requester =
            cm_settings_requester(engine->settings, entry->fields[CM_FIELD_REQUESTER]);
        if (!cm_limit_take(&engine->gate.stale_limits[requester - engine->settings->requesters],
                           now_ns, &wait_ms))
            entry->standing = CM_ENTRY_FORGED;
    }
}

/* Told at once, and then for all of a minute together: whoever forges does it more than once. */
static void tell_forged(struct cm_engine *engine, const struct cm_gate_lot *lot)
{
    struct cm_gate *gate = &engine->gate;
    const struct cm_entry *last = NULL;
    uint64_t now_ns = cm_clock_monotonic_ns();
    for (uint32_t i = 0; i < lot->count; i++) {
        if (lot->entries[i]->standing != CM_ENTRY_FORGED)
            continue;
        last = lot->entries[i];
        gate->forged_count++;
    }
    if (!last || (gate->told_ns != 0 && now_ns - gate->told_ns < NOTICE_PAUSE_NS))
        return;
    cm_engine_notice(engine, "%u requests without a valid authentication were set aside; last: %s",
                     gate->forged_count, last->refusal.message);
    gate->forged_count = 0;
    gate->told_ns = now_ns;
}

static void on_judged(struct cm_work *work)
{
    struct cm_gate_lot *lot = (struct cm_gate_lot *)work;
    struct cm_engine *engine = lot->engine;
    lot->is_out = false;
    if (engine->state == CM_ENGINE_IS_RUNNING) {
        limit_stale(engine, lot);
        tell_forged(engine, lot);
        engine->counters.in_flight -= lot->count; /* counted again as they arrive again */
        cm_intake(engine, lot->entries, lot->count);
    } else {
        cm_intake_give_back(engine, lot->entries, lot->count);
        cm_engine_look_around(engine);
    }
}

static void judge(struct cm_work *work, void *context)
{
    const struct cm_gate_lot *lot = (const struct cm_gate_lot *)work;
    int64_t time_ms = cm_clock_wall_ms();
    for (uint32_t i = 0; i < lot->count; i++)
        cm_authenticate(lot->entries[i], context, time_ms);
}

static void send(struct cm_gate *gate, struct cm_gate_lot *lot)
{
    lot->count = 0;
    while (gate->count > 0 && lot->count < CM_GATE_LOT_MAX)
        lot->entries[lot->count++] = pop(gate);
    lot->is_out = true;
    lot->work.run = judge;
    lot->work.done = on_judged;
    cm_workers_submit(lot->engine->workers, &lot->work);
}

void cm_gate_continue(struct cm_engine *engine)
{
    struct cm_gate *gate = &engine->gate;
    for (uint32_t i = 0; i < gate->lots_count && gate->count > 0; i++)
        if (!gate->lots[i].is_out)
            send(gate, &gate->lots[i]);
}

static struct cm_entry *take(struct cm_engine *engine)
{
    return engine->gate.count > 0 ? pop(&engine->gate) : NULL;
}

void cm_gate_give_back(struct cm_engine *engine)
{
    cm_intake_give_back_all(engine, take);
}
