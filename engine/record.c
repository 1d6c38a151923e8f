/*
 * Record: what the batch came to, in one durable transaction, before anyone hears of it.
 *
 * Orders, certificates, remembered refusals, abandoned serials, the use of quotas, the closing of
 * intents and the audit entries stand or fall together. When the disk is full the operation is tried
 * again until it succeeds: the certificates exist, and an unrecorded certificate may never leave.
 *
 * A certificate for a device that has lost its right, or was revoked, since it was promised is left
 * out: its serial is abandoned, its request refused, and the rest is recorded without it. An order that
 * the store refuses has changed nothing; that it was refused is remembered by a second operation.
 */
#include "engine/internal.h"

#include <assert.h>
#include <stdio.h>

#include "engine/authority/record_tree.h"
#include "engine/base/faultpoint.h"

enum { RETRY_MS = 1000 };

static void add_certificate(struct cm_batch *batch, const struct cm_request *request)
{
    struct cm_store_op *op = &batch->record_op;
    op->certificates[op->certificates_count++] = (struct cm_certificate_row){
        .serial = request->serial,
        .key = request->key,
        .digest = request->digest,
        .device_number = request->device.number,
        .enroll_device = request->enrolls ? request->device_id : cm_bytes(NULL, 0),
        .enroll_group = request->enrolls ? cm_bytes_str(request->group->name) : cm_bytes(NULL, 0),
        .generation_number = request->issuer->generation_number,
        .key_fingerprint = request->key_fingerprint,
        .not_after = request->tbs.not_after_s,
        .der = request->certificate,
        .leaf_hash = request->leaf_hash,
    };
}

/* Retryable refusals are not remembered: the same id may try again. */
static bool is_remembered(const struct cm_request *request)
{
    return request->has_key && request->requester->remember_refusals
           && request->refusal.code != CM_REFUSAL_REQUEST_ID_REUSED
           && cm_refusal_kind_of(request->refusal.code) != CM_REFUSAL_RETRYABLE;
}

static void add_refusal(struct cm_batch *batch, const struct cm_request *request)
{
    struct cm_store_op *op = &batch->record_op;
    if (is_remembered(request))
        op->refusals[op->refusals_count++] =
            (struct cm_refusal_row){ .key = request->key,
                                     .digest = request->digest,
                                     .code = request->refusal.code,
                                     .message = request->refusal.message };
}

static void add_order(struct cm_batch *batch, const struct cm_request *request)
{
    struct cm_store_op *op = &batch->record_op;
    op->orders[op->orders_count++] = *request->order;
}

static void abandon(struct cm_batch *batch, const struct cm_serial *serial,
                    int64_t generation_number, int64_t not_after_s)
{
    struct cm_store_op *op = &batch->record_op;
    op->abandoned[op->abandoned_count++] = (struct cm_abandoned_row){
        .serial = *serial, .generation_number = generation_number, .not_after_s = not_after_s
    };
}

/* What was composed under it may have been signed, and would end then. */
static void abandon_request(struct cm_batch *batch, const struct cm_request *request)
{
    int64_t generation_number = request->issuer->generation_number;
    int64_t not_after_s = request->tbs.not_after_s;
    if (not_after_s == 0)
        not_after_s = cm_engine_generation_end_s(batch->engine, generation_number);
    abandon(batch, &request->serial, generation_number, not_after_s);
}

/* Of a promise only the hash is known: it ends with its authority at the latest. */
static void abandon_promise(struct cm_batch *batch, const struct cm_promise *promise)
{
    abandon(batch, &promise->item.serial, promise->generation_number,
            cm_engine_generation_end_s(batch->engine, promise->generation_number));
}

static void add_usage(struct cm_batch *batch, const char *name)
{
    struct cm_store_op *op = &batch->record_op;
    int64_t day = cm_limit_day(batch->time_ms);
    for (uint32_t i = 0; i < op->usage_count; i++) {
        if (cm_bytes_is(op->usage[i].name, name)) {
            op->usage[i].count++;
            return;
        }
    }
    op->usage[op->usage_count++] =
        (struct cm_usage_row){ .name = cm_bytes_str(name), .period = day, .count = 1 };
}

static void count_usage(struct cm_batch *batch, const struct cm_request *request)
{
    struct cm_engine *engine = batch->engine;
    struct cm_limit *requester = cm_engine_requester_limit(engine, request->requester);
    struct cm_limit *group = cm_engine_group_limit(engine, request->group);
    if (requester->quota_per_day > 0)
        add_usage(batch, requester->name);
    if (group->quota_per_day > 0)
        add_usage(batch, group->name);
}

/* Nobody comes for it any more: whoever asks again is refused again. */
static bool is_refused_for_good(const struct cm_request *request)
{
    return request->outcome == CM_OUTCOME_REFUSED && is_remembered(request);
}

/*
 * A promise whose serial this batch has used or given up. It stays in memory until the record is
 * durable: should that fail, the promise still stands.
 */
static void settle_promise(struct cm_batch *batch, struct cm_request *request)
{
    struct cm_promise *promise = request->promise;
    bool is_used =
        request->keeps_promise
        && (request->outcome == CM_OUTCOME_ISSUED || request->outcome == CM_OUTCOME_FAILED
            || request->outcome == CM_OUTCOME_MOVED || request->is_denied);
    bool is_broken = !is_used
                     && ((request->breaks_promise && request->outcome != CM_OUTCOME_GIVEN_BACK)
                         || is_refused_for_good(request));
    if (!promise || (!is_used && !is_broken))
        return;
    if (is_broken)
        abandon_promise(batch, promise);
    promise->settled_by = batch;
}

static void add_request(struct cm_batch *batch, struct cm_request *request)
{
    switch (request->outcome) {
    case CM_OUTCOME_ISSUED:
        add_certificate(batch, request);
        count_usage(batch, request);
        break;
    case CM_OUTCOME_ORDERED:
        add_order(batch, request);
        break;
    case CM_OUTCOME_REFUSED:
        add_refusal(batch, request);
        if (request->is_denied)
            abandon_request(batch, request);
        break;
    case CM_OUTCOME_FAILED:
    case CM_OUTCOME_MOVED:
        abandon_request(batch, request);
        break;
    case CM_OUTCOME_OPEN:
    case CM_OUTCOME_REPEATED:
    case CM_OUTCOME_GIVEN_BACK:
    case CM_OUTCOME_SET_ASIDE:
        break;
    }
}

static bool contains(const int64_t *numbers, uint32_t count, int64_t number)
{
    for (uint32_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* What the lot promised is used or abandoned by now; kept promises are of other intents. */
static bool is_over(const struct cm_lot *lot)
{
    for (uint32_t i = 0; i < lot->requests_count; i++) {
        const struct cm_request *request = lot->requests[i];
        if (!request->keeps_promise
            && (request->outcome == CM_OUTCOME_GIVEN_BACK
                || request->outcome == CM_OUTCOME_SET_ASIDE))
            return false;
    }
    return true;
}

static uint32_t close_own_intents(const struct cm_batch *batch, int64_t *closed)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->lots_count; i++)
        if (batch->lots[i].intent.items_count > 0 && batch->lots[i].intent_op.status == CM_OK
            && is_over(&batch->lots[i]))
            closed[count++] = batch->lots[i].intent.number;
    return count;
}

/* Intents of earlier batches, of which this batch settles the last promise. */
static uint32_t close_old_intents(const struct cm_batch *batch, int64_t *closed, uint32_t count)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        const struct cm_promise *promise = batch->requests[i].promise;
        if (promise && promise->settled_by == batch
            && !contains(closed, count, promise->intent_number)
            && cm_promises_closes(&batch->engine->promises, promise->intent_number, batch))
            closed[count++] = promise->intent_number;
    }
    return count;
}

/* Its intent is open, and when it comes again the same bytes are signed. */
static struct cm_promise *promise_again(struct cm_engine *engine, const struct cm_request *request)
{
    struct cm_intent_item item = { .key = request->key, .serial = request->serial };
    memcpy(item.tbs_hash, request->tbs_hash, CM_HASH_SIZE);
    return cm_promises_add(&engine->promises, &request->lot->intent, &item);
}

static void settle(struct cm_batch *batch, struct cm_promise *promise)
{
    const struct cm_store_op *op = &batch->record_op;
    int64_t last_of = cm_promises_settle(&batch->engine->promises, promise);
    if (last_of != 0 && !contains(op->intents_closed, op->intents_closed_count, last_of))
        cm_abandon_close(batch->engine, last_of);
}

/*
 * Durable: what was settled is taken out. Else everything stands as before. The request holds what was
 * promised to it until it is released.
 */
static void leave_promise(struct cm_batch *batch, struct cm_request *request, bool is_durable)
{
    struct cm_promise *promise = request->promise;
    bool is_settled = promise && promise->settled_by == batch;
    if (is_settled)
        promise->settled_by = NULL;
    if (is_settled && is_durable)
        settle(batch, promise);
    if (request->outcome != CM_OUTCOME_SET_ASIDE || !request->lot || request->keeps_promise)
        return;
    request->promise = promise_again(batch->engine, request);
    cm_promise_hold(request->promise);
    if (promise)
        cm_promise_let_go(promise);
}

static void leave_promises(struct cm_batch *batch, bool is_durable)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        leave_promise(batch, &batch->requests[i], is_durable);
}

/* What the row says of its certificates: those of a tree have a first and a last one. */
static const char *numbers_of(const struct cm_record_tree *tree, struct cm_arena *arena)
{
    if (tree->first == 0)
        return "";
    return cm_arena_printf(arena, ",\"first\":\"%016llx\",\"last\":\"%016llx\"",
                           (unsigned long long)tree->first, (unsigned long long)tree->last);
}

/* One line of the audit log for each batch: who asked, how many, and the root over all of it. */
static void describe(struct cm_batch *batch)
{
    struct cm_store_op *op = &batch->record_op;
    struct cm_record_tree tree;
    cm_record_tree(op, &tree);
    batch->audit = (struct cm_audit_event){
        .kind = "issue",
        .actor = cm_bytes_str("engine"),
        .detail = cm_bytes_str(
            cm_arena_printf(&batch->arena, "{\"issued\":%u,\"refused\":%u,\"abandoned\":%u%s}",
                            op->certificates_count, op->refusals_count, op->abandoned_count,
                            numbers_of(&tree, &batch->arena))),
    };
    memcpy(batch->audit.digest, tree.root, sizeof tree.root);
    op->audit = &batch->audit;
}

static void record_again(void *arg)
{
    struct cm_batch *batch = arg;
    cm_store_submit(batch->engine->store, &batch->record_op);
}

/*
 * The store already knows a request key or serial of this batch. That cannot happen while keys in
 * flight are exclusive and serials grow; should it happen, nothing of the batch may leave. The
 * entries come again, and find what the store knows.
 */
static void give_back_all(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        batch->requests[i].outcome = CM_OUTCOME_GIVEN_BACK;
    for (uint32_t i = 0; i < batch->lots_count; i++)
        for (uint32_t j = 0;
             batch->lots[i].intent_op.status == CM_OK && j < batch->lots[i].intent.items_count; j++)
            cm_promises_add(&batch->engine->promises, &batch->lots[i].intent,
                            &batch->lots[i].intent.items[j]);
}

static void deny(struct cm_request *request, enum cm_denial denial)
{
    char name[64];
    cm_bytes_printable(request->device_id, name, sizeof name);
    if (denial == CM_DENIAL_REVOKED)
        cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_REVOKED, CM_REFUSAL_NO_OFFSET,
                  "device %s was revoked while its certificate was being made", name);
    else
        cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_STATE, CM_REFUSAL_NO_OFFSET,
                  "device %s is not allowed any more", name);
    cm_request_refuse(request);
    request->is_denied = true;
}

/* The certificates of the operation are those that were issued, in their order. */
static void deny_all(struct cm_batch *batch)
{
    const struct cm_certificate_row *row = batch->record_op.certificates;
    uint32_t denied_count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (request->outcome != CM_OUTCOME_ISSUED)
            continue;
        if (row->denial == CM_DENIAL_ISSUER)
            request->outcome = CM_OUTCOME_MOVED; /* its serial is abandoned; another key makes it */
        else if (row->denial != CM_DENIAL_NONE)
            deny(request, row->denial);
        denied_count += row->denial != CM_DENIAL_NONE;
        row++;
    }
    assert(denied_count > 0); /* else it would be tried for ever */
}

/* In the order of the operation. Those that the store refused are to be remembered. */
static void hear_of_orders(struct cm_batch *batch)
{
    struct cm_store_op *op = &batch->record_op;
    const struct cm_order *order = op->orders;
    bool is_any_done = false;
    op->refusals_count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (request->outcome != CM_OUTCOME_ORDERED)
            continue;
        if (order->code == CM_REFUSAL_NONE) {
            is_any_done = true;
        } else if (order->code == CM_REFUSAL_REVOKE_DATE_INVALID && batch->clock_suspect) {
            request->outcome = CM_OUTCOME_GIVEN_BACK; /* our own clock may be what is wrong */
        } else {
            cm_refuse(&request->refusal, order->code, CM_REFUSAL_NO_OFFSET, "%s", order->message);
            cm_request_refuse(request);
            add_refusal(batch, request);
        }
        order++;
    }
    if (is_any_done || op->abandoned_count > 0)
        cm_engine_look_at_revocations(batch->engine);
}

static void finish(struct cm_batch *batch)
{
    CM_FAULT_POINT("recorded");
    batch->done(batch);
}

/* True: it is tried again, when the disk may have room. */
static bool is_put_off(struct cm_store_op *op)
{
    struct cm_batch *batch = op->arg;
    if (op->status != CM_IO)
        return false;
    cm_engine_notice(batch->engine, "store: %s; trying again", op->err.text);
    cm_timer_start(&batch->retry, batch->engine->loop, RETRY_MS, record_again, batch);
    return true;
}

static void on_refusals_recorded(struct cm_store_op *op)
{
    struct cm_batch *batch = op->arg;
    if (is_put_off(op))
        return;
    if (op->status != CM_OK)
        cm_engine_notice(batch->engine, "store: %s; refusals are not remembered", op->err.text);
    finish(batch);
}

static void record_refused_orders(struct cm_batch *batch)
{
    struct cm_store_op *op = &batch->record_op;
    *op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                .done = on_refusals_recorded,
                                .arg = batch,
                                .refusals = op->refusals,
                                .refusals_count = op->refusals_count };
    describe(batch);
    cm_store_submit(batch->engine->store, op);
}

static void record(struct cm_batch *batch);

static void on_recorded(struct cm_store_op *op)
{
    struct cm_batch *batch = op->arg;
    if (is_put_off(op))
        return;
    if (op->status == CM_DENIED) {
        deny_all(batch);
        record(batch);
        return;
    }
    if (op->status != CM_OK) {
        cm_engine_notice(batch->engine, "store: %s; the batch is given back", op->err.text);
        give_back_all(batch);
    }
    leave_promises(batch, op->status == CM_OK);
    if (op->status == CM_OK)
        hear_of_orders(batch);
    if (op->status == CM_OK && op->refusals_count > 0)
        record_refused_orders(batch);
    else
        finish(batch);
}

/* Once for all that may come: what is left out later makes no more rows. */
static void prepare(struct cm_batch *batch)
{
    struct cm_arena *arena = &batch->arena;
    uint32_t count = batch->requests_count;
    struct cm_store_op *op = &batch->record_op;
    *op = (struct cm_store_op){
        .kind = CM_STORE_RECORD,
        .done = on_recorded,
        .arg = batch,
        .orders = cm_arena_alloc(arena, count * sizeof *op->orders),
        .certificates = cm_arena_alloc(arena, count * sizeof *op->certificates),
        .refusals = cm_arena_alloc(arena, count * sizeof *op->refusals),
        .abandoned = cm_arena_alloc(arena, 2 * count * sizeof *op->abandoned),
        .usage = cm_arena_alloc(arena, 2 * count * sizeof *op->usage),
    };
    batch->intents_closed =
        cm_arena_alloc(arena, (count + batch->lots_count) * sizeof *batch->intents_closed);
    op->intents_closed = batch->intents_closed;
}

static void gather(struct cm_batch *batch)
{
    struct cm_store_op *op = &batch->record_op;
    int64_t *closed = batch->intents_closed;
    op->orders_count = op->certificates_count = op->refusals_count = op->abandoned_count =
        op->usage_count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        add_request(batch, &batch->requests[i]);
        settle_promise(batch, &batch->requests[i]);
    }
    op->intents_closed_count = close_old_intents(batch, closed, close_own_intents(batch, closed));
}

static void record(struct cm_batch *batch)
{
    struct cm_store_op *op = &batch->record_op;
    gather(batch);
    uint32_t rows_count = op->certificates_count + op->refusals_count + op->abandoned_count
                          + op->intents_closed_count;
    op->audit = NULL; /* of nothing but orders: each says it of itself */
    if (rows_count > 0)
        describe(batch);
    if (rows_count + op->orders_count > 0) {
        cm_store_submit(batch->engine->store, op);
        return;
    }
    leave_promises(batch, true);
    batch->done(batch);
}

void cm_record(struct cm_batch *batch, cm_batch_done_fn *done)
{
    batch->done = done;
    prepare(batch);
    record(batch);
}
