/*
 * Pipeline: the order of the stations, and on which thread each takes place.
 *
 *   loop     intake, and the choice of the issuer keys
 *   worker   decode  admit  renew  prove  compose
 *   loop     dispatch:  store (intents durable), then provider (signatures)
 *   worker   seal
 *   loop     record:    store (certificates durable)
 *   loop     reply:     queue (answers written, entries acknowledged)
 */
#include "engine/internal.h"

#include "engine/base/clock.h"

enum { GIVE_BACK_PAUSE_MS = 500 };

static struct cm_batch *batch_of(struct cm_work *work)
{
    return (struct cm_batch *)((char *)work - offsetof(struct cm_batch, work));
}

/* A snapshot of the store for each batch: what was answered before now is known here. */
static void consider(struct cm_work *work, void *context)
{
    struct cm_batch *batch = batch_of(work);
    struct cm_worker *worker = context;
    struct cm_error err;
    cm_laps_end(&batch->laps, CM_STATION_WAIT);
    cm_decode_envelopes(batch);
    cm_laps_end(&batch->laps, CM_STATION_DECODE);
    if (cm_store_reader_begin(worker->reader, &err) != CM_OK) {
        for (uint32_t i = 0; i < batch->requests_count; i++)
            batch->requests[i].outcome = CM_OUTCOME_GIVEN_BACK;
        return;
    }
    cm_admit_recall(batch, worker);
    cm_laps_end(&batch->laps, CM_STATION_ADMIT);
    cm_decode_requests(batch);
    cm_laps_end(&batch->laps, CM_STATION_DECODE);
    cm_admit(batch, worker);
    cm_laps_end(&batch->laps, CM_STATION_ADMIT);
    cm_renew(batch, worker);
    cm_laps_end(&batch->laps, CM_STATION_RENEW);
    cm_prove(batch, worker);
    cm_store_reader_end(worker->reader);
    cm_laps_end(&batch->laps, CM_STATION_PROVE);
    cm_compose(batch, worker);
    cm_laps_end(&batch->laps, CM_STATION_COMPOSE);
}

static void count_laps(const struct cm_batch *batch)
{
    struct cm_engine_counters *counters = &batch->engine->counters;
    counters->batches_answered++;
    for (unsigned i = 0; i < CM_STATION_COUNT; i++)
        counters->station_ns[i] += batch->laps.ns[i];
}

static void on_answered(struct cm_batch *batch)
{
    struct cm_engine *engine = batch->engine;
    uint32_t count = batch->requests_count;
    cm_laps_end(&batch->laps, CM_STATION_REPLY);
    count_laps(batch);
    cm_release(batch);
    uint32_t credits_count = batch->credits_count, ahead_count = batch->ahead_count;
    cm_pool_give(batch);
    engine->counters.in_flight -= count;
    if (engine->state == CM_ENGINE_IS_RUNNING) {
        cm_queue_want(engine->queue, credits_count);
        cm_queue_want_ahead(engine->queue, ahead_count, cm_intake_is_order);
    }
    cm_intake_continue(engine);
    cm_engine_look_around(engine);
}

static void reply_now(void *arg)
{
    cm_reply(arg, on_answered);
}

static bool gives_back(const struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        if (batch->requests[i].outcome == CM_OUTCOME_GIVEN_BACK)
            return true;
    return false;
}

/*
 * What is given back comes again at once. Where the disk or the clock is why, that would be a circle
 * without rest.
 */
static void on_recorded(struct cm_batch *batch)
{
    struct cm_engine *engine = batch->engine;
    cm_laps_end(&batch->laps, CM_STATION_RECORD);
    if (engine->state == CM_ENGINE_IS_RUNNING && gives_back(batch))
        cm_timer_start(&batch->retry, engine->loop, GIVE_BACK_PAUSE_MS, reply_now, batch);
    else
        reply_now(batch);
}

static void seal(struct cm_work *work, void *context)
{
    struct cm_batch *batch = batch_of(work);
    cm_laps_end(&batch->laps, CM_STATION_WAIT);
    cm_seal(batch, context);
    cm_laps_end(&batch->laps, CM_STATION_SEAL);
}

static void on_sealed(struct cm_work *work)
{
    struct cm_batch *batch = batch_of(work);
    cm_laps_end(&batch->laps, CM_STATION_WAIT);
    cm_record(batch, on_recorded);
}

static void on_signed(struct cm_batch *batch)
{
    if (batch->lots_count == 0) { /* nothing was to be signed: refusals and repetitions only */
        cm_record(batch, on_recorded);
        return;
    }
    batch->work.run = seal;
    batch->work.done = on_sealed;
    cm_workers_submit(batch->engine->workers, &batch->work);
}

static void on_considered(struct cm_work *work)
{
    struct cm_batch *batch = batch_of(work);
    struct cm_engine *engine = batch->engine;
    engine->considering_count--;
    cm_laps_end(&batch->laps, CM_STATION_WAIT);
    if (batch->clock_suspect)
        cm_engine_notice(engine, "the clock has gone back: nothing is signed until it is right");
    cm_dispatch(batch, on_signed);
    cm_intake_continue(engine);
}

/* Kept by its own key the promise is kept to the octet, unless that key is in trouble and another is not. */
static void choose_kept(struct cm_engine *engine, struct cm_request *request)
{
    const struct cm_issuer_key *issuer =
        request->promise
            ? cm_issuers_by_generation(&engine->issuers, request->promise->generation_number)
            : NULL;
    if (issuer && issuer->issues && !cm_spread_has_better(&engine->spread, issuer))
        request->kept_issuer = issuer;
}

static bool has_kept(const struct cm_batch *batch, const struct cm_issuer_key *issuer)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        if (batch->requests[i].kept_issuer == issuer)
            return true;
    return false;
}

/* Else every probe in vain, while an authority is away, would leave one more intent open. */
static void reserve_probes(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->engine->settings->authorities_count; i++) {
        struct cm_choice *choice = &batch->choices[i];
        choice->is_probe_promised = choice->probe && !choice->issuer
                                    && (has_kept(batch, choice->probe)
                                        || cm_aside_has_promised(batch->engine, choice->probe));
    }
}

static void choose_issuers(struct cm_batch *batch)
{
    struct cm_engine *engine = batch->engine;
    batch->choices =
        cm_arena_alloc(&batch->arena, engine->settings->authorities_count * sizeof *batch->choices);
    cm_spread_choose(&engine->spread, batch->requests_count, cm_clock_monotonic_ns(),
                     batch->choices);
    for (uint32_t i = 0; i < batch->requests_count; i++)
        choose_kept(engine, &batch->requests[i]);
    reserve_probes(batch);
}

void cm_pipeline_begin(struct cm_batch *batch)
{
    batch->time_ms = cm_clock_wall_ms();
    batch->engine->counters.batches++;
    cm_laps_begin(&batch->laps, batch->oldest_ns);
    cm_laps_end(&batch->laps, CM_STATION_GATHER);
    choose_issuers(batch);
    batch->work.run = consider;
    batch->work.done = on_considered;
    cm_workers_submit(batch->engine->workers, &batch->work);
}
