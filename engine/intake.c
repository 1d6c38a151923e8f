/*
 * Intake: entries from the queue become requests in a batch.
 *
 * A batch goes on when it is full. When its oldest request has waited long enough it goes on too,
 * but only if a worker is free for it: while all are busy, waiting costs nothing and the batch
 * keeps filling. So batches are small when there is little to do and large when there is much.
 *
 * Orders gather in batches of their own, have the first turn, and always find a batch: nothing of theirs
 * waits for a key. A certificate's batch may hang on one for hours.
 */
#include "engine/internal.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/base/hash.h"

enum { GIVE_BACK_MAX = 256 };

static void flush(struct cm_inlet *inlet)
{
    struct cm_engine *engine = inlet->engine;
    struct cm_batch *batch = inlet->gathering;
    inlet->gathering = NULL;
    cm_timer_stop(&inlet->timer);
    engine->considering_count++;
    engine->begin(batch);
}

static bool worker_is_free(const struct cm_engine *engine)
{
    return engine->considering_count < engine->workers_count;
}

static bool is_aged(const struct cm_engine *engine, const struct cm_batch *batch)
{
    uint64_t age_ns = cm_clock_monotonic_ns() - batch->oldest_ns;
    return age_ns >= engine->settings->engine.batch_age_ms_max * CM_NS_PER_MS;
}

static void on_age(void *arg);

/*
 * Whenever something has changed: the batch goes on, or a timer is running that will look again, or
 * all workers are busy, and the first that becomes free looks again.
 */
static void flush_when_due(struct cm_inlet *inlet)
{
    struct cm_engine *engine = inlet->engine;
    const struct cm_batch *batch = inlet->gathering;
    if (!batch || batch->requests_count == 0 || !worker_is_free(engine))
        return;
    if (is_aged(engine, batch))
        flush(inlet);
    else if (!cm_timer_is_running(&inlet->timer))
        cm_timer_start(&inlet->timer, engine->loop, engine->settings->engine.batch_age_ms_max,
                       on_age, inlet);
}

static void on_age(void *arg)
{
    flush_when_due(arg);
}

static bool is_visible_ascii(struct cm_bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return false;
    return true;
}

/* It may claim nothing: not the id, so it is neither recalled nor remembered, and not the rate. */
static bool is_distrusted(const struct cm_entry *entry)
{
    return entry->standing == CM_ENTRY_STALE || entry->standing == CM_ENTRY_FORGED;
}

/* A request that has a readable id can be remembered, and repeated. */
static void identify(struct cm_engine *engine, struct cm_request *request)
{
    struct cm_bytes id = request->entry->fields[CM_FIELD_ID];
    struct cm_bytes requester = request->entry->fields[CM_FIELD_REQUESTER];
    uint8_t hash[CM_SHA256_SIZE];
    const struct cm_bytes parts[] = { requester, cm_bytes("", 1), id };
    request->requester = cm_settings_requester(engine->settings, requester);
    if (!request->requester || is_distrusted(request->entry) || id.size < 1 || id.size > 128
        || !is_visible_ascii(id))
        return;
    cm_sha256(parts, 3, hash);
    memcpy(request->key.octets, hash, sizeof request->key.octets);
    request->has_key = true;
}

static void limit_rate(struct cm_engine *engine, struct cm_request *request)
{
    uint32_t wait_ms = 0;
    if (!request->requester || request->entry->is_rated)
        return;
    if (!cm_limit_take(cm_engine_requester_limit(engine, request->requester),
                       request->entry->arrived_ns, &wait_ms)) {
        cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_RATE_LIMITED, CM_REFUSAL_NO_OFFSET,
                  "requester %s is limited to %u requests a second; try again in %u ms",
                  request->requester->name, request->requester->rate_per_s, wait_ms);
        cm_request_refuse(request);
    }
}

/* False: an entry of the same key is in flight, and this one waits behind it. */
static bool add_request(struct cm_engine *engine, struct cm_batch *batch, struct cm_entry *entry)
{
    struct cm_request *request = &batch->requests[batch->requests_count];
    *request = (struct cm_request){ .entry = entry };
    identify(engine, request);
    if (request->has_key) {
        struct cm_request *first = cm_inflight_enter(&engine->inflight, request);
        if (first) {
            cm_inflight_wait(first, entry);
            return false;
        }
        request->promise = cm_promises_find(&engine->promises, &request->key);
        if (request->promise)
            cm_promise_hold(request->promise);
    }
    if (is_distrusted(entry)) {
        request->refusal = entry->refusal;
        cm_request_refuse(request);
    } else {
        limit_rate(engine, request);
    }
    batch->credits_count += !entry->is_credited && !entry->is_ahead;
    batch->ahead_count += entry->is_ahead;
    if (batch->requests_count++ == 0 || entry->arrived_ns < batch->oldest_ns)
        batch->oldest_ns = entry->arrived_ns;
    return true;
}

/* What names no order, or nothing that is known, goes the way of certificates: it is refused there. */
bool cm_intake_is_order(struct cm_bytes op)
{
    enum cm_operation operation;
    return op.data && cm_operation_find(op, &operation) && cm_operation_is_order(operation);
}

static struct cm_inlet *inlet_of(struct cm_engine *engine, const struct cm_entry *entry)
{
    bool is_order = cm_intake_is_order(entry->fields[CM_FIELD_OP]);
    return &engine->inlets[is_order ? CM_INLET_ORDERS : CM_INLET_CERTIFICATES];
}

/* False when no batch is free. */
static bool gather(struct cm_engine *engine, struct cm_entry *entry)
{
    struct cm_inlet *inlet = inlet_of(engine, entry);
    if (!inlet->gathering) {
        inlet->gathering = cm_pool_take(engine, (enum cm_inlet_kind)(inlet - engine->inlets));
        if (!inlet->gathering)
            return false;
    }
    struct cm_batch *batch = inlet->gathering;
    add_request(engine, batch, entry);
    if (batch->requests_count == engine->batch_items_max)
        flush(inlet);
    return true;
}

static void backlog_push(struct cm_engine *engine, struct cm_entry *entry)
{
    struct cm_inlet *inlet = inlet_of(engine, entry);
    if (inlet->backlog_count == engine->backlog_space)
        abort(); /* the credit given to the queue is the ring's size */
    uint32_t last = (inlet->backlog_first + inlet->backlog_count++) % engine->backlog_space;
    inlet->backlog[last] = entry;
}

static struct cm_entry *backlog_peek(const struct cm_inlet *inlet)
{
    return inlet->backlog_count ? inlet->backlog[inlet->backlog_first] : NULL;
}

static void backlog_pop(struct cm_inlet *inlet)
{
    inlet->backlog_first = (inlet->backlog_first + 1) % inlet->engine->backlog_space;
    inlet->backlog_count--;
}

static void gather_orders(struct cm_engine *engine)
{
    struct cm_inlet *orders = &engine->inlets[CM_INLET_ORDERS];
    struct cm_entry *entry;
    while ((entry = backlog_peek(orders)) && gather(engine, entry))
        backlog_pop(orders);
}

/* While both have some they alternate: after an outage tens of thousands may come from aside. */
static bool is_turn_of_aside(const struct cm_engine *engine)
{
    return cm_aside_peek(engine)
           && (engine->inlets[CM_INLET_CERTIFICATES].backlog_count == 0 || !engine->aside.had_turn);
}

static void gather_certificates(struct cm_engine *engine)
{
    struct cm_inlet *certificates = &engine->inlets[CM_INLET_CERTIFICATES];
    for (;;) {
        bool is_of_aside = is_turn_of_aside(engine);
        struct cm_entry *entry = is_of_aside ? cm_aside_peek(engine) : backlog_peek(certificates);
        if (!entry || !gather(engine, entry))
            break;
        if (is_of_aside)
            cm_aside_take(engine);
        else
            backlog_pop(certificates);
        engine->aside.had_turn = is_of_aside;
    }
}

void cm_intake_continue(struct cm_engine *engine)
{
    gather_orders(engine);
    gather_certificates(engine);
    for (unsigned i = 0; i < CM_INLETS; i++)
        flush_when_due(&engine->inlets[i]);
}

void cm_intake(struct cm_engine *engine, struct cm_entry **entries, uint32_t count)
{
    CM_FAULT_POINT("entries-arrived");
    engine->counters.in_flight += count;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i]->is_credited) /* the ring has no place for it */
            cm_aside_put(engine, entries[i], NULL, NULL);
        else if (!cm_gate_take(engine, entries[i]))
            backlog_push(engine, entries[i]);
    }
    cm_gate_continue(engine);
    cm_intake_continue(engine);
}

/* --- back to the queue --------------------------------------------------------------------------- */

void cm_intake_give_back(struct cm_engine *engine, struct cm_entry **entries, uint32_t count)
{
    engine->counters.in_flight -= count;
    engine->counters.given_back += count;
    cm_queue_give_back(engine->queue, entries, count);
}

void cm_intake_give_back_all(struct cm_engine *engine,
                             struct cm_entry *(*take)(struct cm_engine *engine))
{
    struct cm_entry *entries[GIVE_BACK_MAX];
    uint32_t count;
    do {
        count = 0;
        while (count < GIVE_BACK_MAX && (entries[count] = take(engine)))
            count++;
        cm_intake_give_back(engine, entries, count);
    } while (count == GIVE_BACK_MAX);
}

static struct cm_entry *backlog_take(struct cm_engine *engine)
{
    for (unsigned i = 0; i < CM_INLETS; i++) {
        struct cm_entry *entry = backlog_peek(&engine->inlets[i]);
        if (!entry)
            continue;
        backlog_pop(&engine->inlets[i]);
        return entry;
    }
    return NULL;
}

void cm_intake_give_back_backlog(struct cm_engine *engine)
{
    cm_intake_give_back_all(engine, backlog_take);
}
