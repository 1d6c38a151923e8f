/*
 * Dispatch: a batch goes to the keys.
 *
 * The requests of a batch are sorted into lots, one for each issuer key and lane. For each lot the
 * intent is made durable first; only then does the provider see the bytes. A signature that did not
 * come is asked for again over the very same bytes: nothing has left the engine meanwhile, so a
 * second signature over them harms nobody. A signer that is away or slow is waited for, as long as
 * it takes; where the waiting would hold up others, or another key of the authority signs, its
 * requests leave the batch after a while and come again (engine/aside.h). Answers that are wrong, or
 * lost with their signer, are asked for a bounded number of times; those that were lost are counted
 * with the entry, wherever it goes. After that the serial is abandoned.
 */
#include "engine/internal.h"

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/floors.h"

/* A loss is the death of a signer over these very bytes: many have another reason than the bytes. */
enum {
    FAILURES_MAX = 6,
    LOSSES_MAX = 64,
    RETRY_MS = 50,
    RETRY_SHIFT_MAX = 4,
    SIGN_DEADLINE_S = 60,
    PATIENCE_MS = 3000 /* without a signature, of a lot that has somewhere to go */
};
enum { LANES = CM_LANE_CEREMONY + 1 };

/* Attempts in a row that came to nothing, before an engine that stops waits no longer. */
enum { STOPPING_WAITS_MAX = 2 };

static void sign_lot(void *arg);

static void finish_lot(struct cm_lot *lot)
{
    cm_laps_end(&lot->batch->laps, CM_STATION_SIGN);
    cm_spread_remove(&lot->batch->engine->spread, lot->issuer, lot->requests_count);
    if (--lot->batch->lots_pending == 0)
        lot->batch->done(lot->batch);
}

/* Nothing was signed, and nothing is wrong with what was asked. */
static bool is_to_be_waited_for(cm_status status)
{
    enum cm_class class = cm_status_class(status);
    return class == CM_CLASS_WAIT || class == CM_CLASS_ELSEWHERE || status == CM_EXPIRED
           || status == CM_CANCELLED;
}

/* Items move between attempts; the message stays the request's. */
static const struct cm_request *request_of(const struct cm_lot *lot,
                                           const struct cm_sign_item *item)
{
    uint32_t i = 0;
    while (lot->requests[i]->tbs.der.data != item->message.data)
        i++;
    return lot->requests[i];
}

static bool may_be_tried_again(const struct cm_lot *lot, const struct cm_sign_item *item)
{
    if (is_to_be_waited_for(item->status))
        return true;
    if (item->status == CM_UNCERTAIN)
        return lot->losses_count < LOSSES_MAX
               || request_of(lot, item)->entry->losses_count < LOSSES_MAX;
    return cm_status_class(item->status) == CM_CLASS_RECORD && lot->failures_count < FAILURES_MAX;
}

/* Who did not get to a key in time, or was withdrawn, says nothing of it: it may just be slow. */
static bool says_nothing(cm_status status)
{
    return status == CM_EXPIRED || status == CM_CANCELLED;
}

static bool tells_of_trouble(cm_status status)
{
    return status == CM_UNCERTAIN || (!says_nothing(status) && is_to_be_waited_for(status));
}

/* What an attempt tells of its key. */
static void judge_key(struct cm_lot *lot, bool has_progress, bool is_away)
{
    struct cm_engine *engine = lot->batch->engine;
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (has_progress) {
        lot->progress_ns = now_ns;
        if (!cm_spread_signed(&engine->spread, lot->issuer))
            return;
        cm_aside_look(engine);
        cm_intake_continue(engine);
    } else if (is_away) {
        cm_spread_failed(&engine->spread, lot->issuer, now_ns);
    }
}

/* Lost with its signer, maybe because of these bytes; else the way to the key is at fault. */
static bool has_signer_died(const struct cm_lot *lot)
{
    return cm_provider_state(lot->issuer->key->provider).since_ns != lot->signer_since_ns;
}

/* They stay with the request when it leaves: bytes that kill every signer leave again and again. */
static void count_losses(struct cm_lot *lot)
{
    if (!has_signer_died(lot))
        return;
    for (uint32_t i = 0; i < lot->sign_batch.items_count; i++)
        if (lot->sign_batch.items[i].status == CM_UNCERTAIN)
            request_of(lot, &lot->sign_batch.items[i])->entry->losses_count++;
}

/* What this attempt came to, as far as it counts. */
static void count_outcomes(struct cm_lot *lot)
{
    bool has_loss = false, has_failure = false, has_progress = false;
    bool has_trouble = false, has_other = false;
    for (uint32_t i = 0; i < lot->sign_batch.items_count; i++) {
        cm_status status = lot->sign_batch.items[i].status;
        has_loss |= status == CM_UNCERTAIN;
        has_failure |= status != CM_UNCERTAIN && cm_status_class(status) == CM_CLASS_RECORD;
        has_trouble |= tells_of_trouble(status);
        has_other |= !tells_of_trouble(status) && !says_nothing(status);
        has_progress |= status == CM_OK;
    }
    lot->losses_count += has_loss && has_signer_died(lot);
    lot->failures_count += has_failure;
    lot->waits_count = has_progress ? 0 : lot->waits_count + 1;
    judge_key(lot, has_progress, has_trouble && !has_other);
}

/* Moves the items that are still without a signature to the front; returns how many there are. */
static uint32_t keep_unsigned(struct cm_lot *lot)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < lot->sign_batch.items_count; i++) {
        struct cm_sign_item *item = &lot->sign_batch.items[i];
        if (item->status != CM_OK && may_be_tried_again(lot, item)) {
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
    cm_timer_start(&lot->retry, lot->batch->engine->loop,
                   cm_clock_backoff_ms(RETRY_MS, lot->waits_count, RETRY_SHIFT_MAX), sign_lot, lot);
}

/* What has no signature leaves the batch; what has one goes on. */
static void leave(struct cm_lot *lot, enum cm_request_outcome outcome)
{
    join_items(lot);
    for (uint32_t i = 0; i < lot->requests_count; i++) {
        struct cm_request *request = lot->requests[i];
        if (request->sign_item->status != CM_OK && may_be_tried_again(lot, request->sign_item))
            request->outcome = outcome;
    }
    finish_lot(lot);
}

/* A probe has none: it was sent to a key in trouble only to see. */
static bool has_patience(const struct cm_lot *lot)
{
    const struct cm_settings_authority *authority = lot->issuer->authority;
    const struct cm_settings *settings = lot->batch->engine->settings;
    if (lot->batch->choices[authority - settings->authorities].probe == lot->issuer)
        return false;
    return cm_clock_monotonic_ns() - lot->progress_ns < PATIENCE_MS * CM_NS_PER_MS;
}

/*
 * Without a signature. To another key, where the serials are abandoned. Or aside, where all keys of
 * the authority are away and others are not to wait for it. Or, when the engine stops, to the next
 * engine. The last two sign the same bytes: the intent stays open.
 */
static bool has_left(struct cm_lot *lot)
{
    const struct cm_engine *engine = lot->batch->engine;
    const struct cm_spread *spread = &engine->spread;
    if (engine->state != CM_ENGINE_IS_RUNNING) {
        if (!engine->withdraws && lot->waits_count <= STOPPING_WAITS_MAX)
            return false;
        leave(lot, CM_OUTCOME_GIVEN_BACK);
        return true;
    }
    if (has_patience(lot))
        return false;
    if (cm_spread_has_better(spread, lot->issuer))
        leave(lot, CM_OUTCOME_MOVED);
    else if (spread->has_several && cm_spread_is_away(spread, lot->issuer->authority))
        leave(lot, CM_OUTCOME_SET_ASIDE);
    else
        return false;
    return true;
}

static void on_signed(struct cm_sign_batch *sign_batch, void *arg)
{
    struct cm_lot *lot = arg;
    (void)sign_batch;
    lot->is_out = false;
    count_losses(lot);
    count_outcomes(lot);
    uint32_t left = keep_unsigned(lot);
    if (left > 0) {
        lot->has_moved = true;
        lot->sign_batch.items_count = left;
        if (!has_left(lot))
            retry_later(lot);
        return;
    }
    if (lot->has_moved)
        join_items(lot);
    CM_FAULT_POINT("signed");
    finish_lot(lot);
}

static void fail_lot(struct cm_lot *lot, cm_status status)
{
    for (uint32_t i = 0; i < lot->sign_batch.items_count; i++)
        lot->sign_batch.items[i].status = status;
    join_items(lot);
    finish_lot(lot);
}

static void sign_lot(void *arg)
{
    struct cm_lot *lot = arg;
    struct cm_error err;
    struct cm_provider *provider = lot->issuer->key->provider;
    if (lot->batch->engine->withdraws) {
        leave(lot, CM_OUTCOME_GIVEN_BACK);
        return;
    }
    lot->sign_batch.deadline_ns = cm_clock_monotonic_ns() + SIGN_DEADLINE_S * CM_NS_PER_S;
    lot->signer_since_ns = cm_provider_state(provider).since_ns;
    cm_status status = cm_provider_sign(provider, &lot->sign_batch, &err);
    lot->is_out = status == CM_OK;
    if (status == CM_BUSY) {
        if (!has_left(lot))
            cm_timer_start(&lot->retry, lot->batch->engine->loop, 2, sign_lot, lot);
    } else if (status != CM_OK && !is_to_be_waited_for(status)) {
        fail_lot(lot, status);
    } else if (status != CM_OK) {
        lot->waits_count++;
        judge_key(lot, false, true);
        if (!has_left(lot))
            retry_later(lot);
    }
}

static void on_intent_durable(struct cm_store_op *op)
{
    struct cm_lot *lot = op->arg;
    cm_laps_end(&lot->batch->laps, CM_STATION_INTENT);
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
        .intent_hash = request->tbs_hash,
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
    cm_spread_add(&batch->engine->spread, lot->issuer, count);
    lot->progress_ns = cm_clock_monotonic_ns();
    lot->sign_items = cm_arena_alloc(&batch->arena, count * sizeof *lot->sign_items);
    lot->intent.items = cm_arena_alloc(&batch->arena, count * sizeof *lot->intent.items);
    lot->intent.created_ms = batch->time_ms;
    lot->intent.generation_number = lot->issuer->generation_number;
    for (uint32_t i = 0; i < count; i++) {
        struct cm_request *request = lot->requests[i];
        prepare_sign_item(lot, i);
        if (request->entry->losses_count > lot->losses_count)
            lot->losses_count = request->entry->losses_count;
        if (request->keeps_promise)
            continue; /* its intent is in the store already */
        struct cm_intent_item *item = &lot->intent.items[lot->intent.items_count++];
        item->key = request->key;
        item->serial = request->serial;
        memcpy(item->tbs_hash, request->tbs_hash, CM_HASH_SIZE);
    }
    lot->sign_batch = (struct cm_sign_batch){ .key = lot->issuer->key,
                                              .lane = lot->lane,
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

static struct cm_lot *lot_for(struct cm_batch *batch, const struct cm_request *request)
{
    enum cm_lane lane = cm_lane_of(request->profile);
    for (uint32_t i = 0; i < batch->lots_count; i++)
        if (batch->lots[i].issuer == request->issuer && batch->lots[i].lane == lane)
            return &batch->lots[i];
    struct cm_lot *lot = &batch->lots[batch->lots_count++];
    *lot = (struct cm_lot){ .batch = batch, .issuer = request->issuer, .lane = lane };
    lot->requests =
        cm_arena_alloc(&batch->arena, batch->requests_count * sizeof(struct cm_request *));
    return lot;
}

static void sort_into_lots(struct cm_batch *batch)
{
    batch->lots_count = 0;
    batch->lots = cm_arena_alloc(&batch->arena, LANES * (batch->engine->issuers.keys_count + 1)
                                                    * sizeof *batch->lots);
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (!cm_request_is_open(request))
            continue;
        request->lot = lot_for(batch, request);
        request->lot->requests[request->lot->requests_count++] = request;
    }
}

/* A request that took the probe, and was refused after that, has asked no key: the next may. */
static void look_at_probes(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->engine->settings->authorities_count; i++) {
        struct cm_choice *choice = &batch->choices[i];
        choice->is_probe_taken = false;
        for (uint32_t j = 0; choice->probe && j < batch->lots_count; j++)
            choice->is_probe_taken |= batch->lots[j].issuer == choice->probe;
    }
}

void cm_dispatch(struct cm_batch *batch, cm_batch_done_fn *done)
{
    batch->done = done;
    sort_into_lots(batch);
    look_at_probes(batch);
    cm_spread_settle(&batch->engine->spread, batch->requests_count, batch->choices);
    batch->lots_pending = batch->lots_count;
    if (batch->lots_count == 0) {
        batch->done(batch);
        return;
    }
    for (uint32_t i = 0; i < batch->lots_count; i++)
        start_lot(&batch->lots[i]);
}

void cm_dispatch_withdraw(struct cm_engine *engine)
{
    engine->withdraws = true;
    for (uint32_t i = 0; i < engine->batches_count; i++) {
        struct cm_batch *batch = &engine->batches[i];
        for (uint32_t j = 0; j < batch->lots_count; j++)
            if (batch->lots[j].is_out)
                cm_provider_cancel(batch->lots[j].issuer->key->provider,
                                   &batch->lots[j].sign_batch);
    }
}
