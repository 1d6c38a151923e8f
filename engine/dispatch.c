/*
 * Dispatch: a batch goes to the keys.
 *
 * The requests of a batch are sorted into lots, one for each issuer key. For each lot the intent is
 * made durable first; only then does the provider see the bytes. A signature that did not come is
 * asked for again over the very same bytes, a bounded number of times: nothing has left the engine
 * meanwhile, so a second signature over them harms nobody. After that the serial is abandoned.
 */
#include "engine/internal.h"

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"

enum { ATTEMPTS_MAX = 6, RETRY_MS = 50, SIGN_DEADLINE_S = 60 };

static void sign_lot(void *arg);

static void finish_lot(struct cm_lot *lot)
{
    if (--lot->batch->lots_pending == 0)
        lot->batch->done(lot->batch);
}

static bool may_be_tried_again(cm_status status)
{
    switch (cm_status_class(status)) {
    case CM_CLASS_WAIT:
    case CM_CLASS_ELSEWHERE:
    case CM_CLASS_RECORD: /* UNCERTAIN, CORRUPT: the same bytes again */
        return true;
    case CM_CLASS_DONE:
    case CM_CLASS_REFUSE:
    case CM_CLASS_BUG:
        break;
    }
    return status == CM_EXPIRED;
}

/* Moves the items that are still without a signature to the front; returns how many there are. */
static uint32_t keep_unsigned(struct cm_lot *lot)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < lot->sign_batch.items_count; i++) {
        struct cm_sign_item *item = &lot->sign_batch.items[i];
        if (item->status != CM_OK && may_be_tried_again(item->status)) {
            struct cm_sign_item other = lot->sign_batch.items[left];
            lot->sign_batch.items[left] = *item;
            *item = other;
            left++;
        }
    }
    return left;
}

/* Items may have moved between attempts: each request finds its own by the message. */
static void join_items(struct cm_lot *lot)
{
    for (uint32_t i = 0; i < lot->requests_count; i++)
        for (uint32_t j = 0; j < lot->requests_count; j++)
            if (lot->sign_items[j].message.data == lot->requests[i]->tbs.der.data)
                lot->requests[i]->sign_item = &lot->sign_items[j];
}

static void retry_later(struct cm_lot *lot)
{
    uint32_t shift = lot->attempts_count > 6 ? 6 : lot->attempts_count;
    uint32_t delay_ms = (uint32_t)RETRY_MS << shift;
    cm_timer_start(&lot->retry, lot->batch->engine->loop, delay_ms, sign_lot, lot);
}

static void on_signed(struct cm_sign_batch *sign_batch, void *arg)
{
    struct cm_lot *lot = arg;
    uint32_t left = keep_unsigned(lot);
    (void)sign_batch;
    if (left > 0 && lot->attempts_count < ATTEMPTS_MAX) {
        lot->sign_batch.items_count = left;
        retry_later(lot);
        return;
    }
    if (lot->attempts_count > 1)
        join_items(lot);
    CM_FAULT_POINT("signed");
    finish_lot(lot);
}

static void sign_lot(void *arg)
{
    struct cm_lot *lot = arg;
    struct cm_error err;
    lot->sign_batch.deadline_ns = cm_clock_monotonic_ns() + SIGN_DEADLINE_S * CM_NS_PER_S;
    cm_status status = cm_provider_sign(lot->issuer->key->provider, &lot->sign_batch, &err);
    if (status == CM_OK) {
        lot->attempts_count++;
    } else if (status == CM_BUSY) {
        /* Back-pressure is no failed attempt. */
        cm_timer_start(&lot->retry, lot->batch->engine->loop, 2, sign_lot, lot);
    } else if (++lot->attempts_count < ATTEMPTS_MAX) {
        retry_later(lot);
    } else {
        for (uint32_t i = 0; i < lot->sign_batch.items_count; i++)
            lot->sign_batch.items[i].status = status;
        join_items(lot);
        finish_lot(lot);
    }
}

static void on_intent_durable(struct cm_store_op *op)
{
    struct cm_lot *lot = op->arg;
    if (op->status != CM_OK) {
        cm_engine_notice(lot->batch->engine, "store: %s; nothing is signed", op->err.text);
        for (uint32_t i = 0; i < lot->requests_count; i++)
            lot->requests[i]->outcome = CM_OUTCOME_GIVEN_BACK;
        finish_lot(lot);
        return;
    }
    CM_FAULT_POINT("intent-durable");
    sign_lot(lot);
}

static void prepare_sign_item(struct cm_lot *lot, uint32_t position)
{
    struct cm_request *request = lot->requests[position];
    uint32_t space = lot->issuer->key->signature_size_max;
    struct cm_sign_item *item = &lot->sign_items[position];
    *item = (struct cm_sign_item){
        .message = request->tbs.der,
        .signature = cm_arena_alloc(&lot->batch->arena, space),
        .signature_space = space,
        .status = CM_UNAVAILABLE,
    };
    request->sign_item = item;
}

static void start_lot(struct cm_lot *lot)
{
    struct cm_batch *batch = lot->batch;
    uint32_t count = lot->requests_count;
    lot->sign_items = cm_arena_alloc(&batch->arena, count * sizeof *lot->sign_items);
    lot->intent.items = cm_arena_alloc(&batch->arena, count * sizeof *lot->intent.items);
    lot->intent.created_ms = batch->time_ms;
    lot->intent.generation_number = lot->issuer->generation_number;
    for (uint32_t i = 0; i < count; i++) {
        struct cm_request *request = lot->requests[i];
        prepare_sign_item(lot, i);
        if (request->keeps_promise)
            continue; /* its intent is in the store already */
        struct cm_intent_item *item = &lot->intent.items[lot->intent.items_count++];
        item->key = request->key;
        item->serial = request->serial;
        memcpy(item->tbs_hash, request->tbs_hash, CM_HASH_SIZE);
    }
    lot->sign_batch = (struct cm_sign_batch){ .key = lot->issuer->key,
                                              .items = lot->sign_items,
                                              .items_count = count,
                                              .done = on_signed,
                                              .done_arg = lot };
    lot->intent_op = (struct cm_store_op){
        .kind = CM_STORE_INTENT, .done = on_intent_durable, .arg = lot, .intent = &lot->intent
    };
    if (lot->intent.items_count > 0)
        cm_store_submit(batch->engine->store, &lot->intent_op);
    else
        sign_lot(lot);
}

static struct cm_lot *lot_for(struct cm_batch *batch, const struct cm_issuer_key *issuer)
{
    for (uint32_t i = 0; i < batch->lots_count; i++)
        if (batch->lots[i].issuer == issuer)
            return &batch->lots[i];
    struct cm_lot *lot = &batch->lots[batch->lots_count++];
    *lot = (struct cm_lot){ .batch = batch, .issuer = issuer };
    lot->requests =
        cm_arena_alloc(&batch->arena, batch->requests_count * sizeof(struct cm_request *));
    return lot;
}

void cm_dispatch(struct cm_batch *batch, cm_batch_done_fn *done)
{
    batch->done = done;
    batch->lots_count = 0;
    batch->lots = cm_arena_alloc(&batch->arena,
                                 (batch->engine->issuers.keys_count + 1) * sizeof *batch->lots);
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (!cm_request_is_open(request))
            continue;
        request->lot = lot_for(batch, request->issuer);
        request->lot->requests[request->lot->requests_count++] = request;
    }
    batch->lots_pending = batch->lots_count;
    if (batch->lots_count == 0) {
        batch->done(batch);
        return;
    }
    for (uint32_t i = 0; i < batch->lots_count; i++)
        start_lot(&batch->lots[i]);
}
