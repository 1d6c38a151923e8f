/*
 * The engine's life: what is opened in which order, and let go in the reverse.
 *
 *   open    store, providers, workers          (may fail with one clear line), then the batches
 *   start   keys and templates, memory of the past (clones, promises, quotas), then the queue
 *   stop    no more credit for the queue; what is in flight is finished, or withdrawn when its key is slow
 *   close   everything, in the reverse order
 */
#include "engine/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/campaign/sender.h"
#include "engine/multibuffer/multibuffer.h"

/* With a queue that is away; who asks for a stop waits longer. */
enum { STOP_PATIENCE_MS = 3000 };

/* With keys that are slow: a throttled service may need a minute for what was given to it. */
enum { SIGN_PATIENCE_MS = 3000 };

/* --- workers ------------------------------------------------------------------------------------- */

static void worker_close(void *context)
{
    struct cm_worker *worker = context;
    for (uint32_t i = 0; worker->verifiers && i < CM_ISSUERS_MAX; i++)
        cm_verifier_free(worker->verifiers[i]);
    free(worker->verifiers);
    cm_authenticate_close(worker);
    cm_proof_free(worker->proof);
    cm_composer_free(worker->composer);
    cm_store_reader_close(worker->reader);
    free(worker);
}

static cm_status worker_open(void *arg, uint32_t worker_index, void **ret_context,
                             struct cm_error *err)
{
    struct cm_engine *engine = arg;
    struct cm_worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a worker");
    worker->engine = engine;
    cm_status status = cm_store_reader_open(engine->store, &worker->reader, err);
    if (status == CM_OK)
        status = cm_composer_new(&worker->composer, err);
    if (status == CM_OK)
        status = cm_proof_new(&worker->proof, err);
    if (status == CM_OK)
        status = cm_authenticate_open(worker, err);
    if (status == CM_OK && engine->settings->engine.forgoes_lanes)
        cm_proof_forgo_lanes(worker->proof);
    if (status == CM_OK)
        *ret_context = engine->workers_open[worker_index] = worker;
    else
        worker_close(worker);
    return status;
}

static const struct cm_worker_ops worker_ops = { .name = "engine",
                                                 .open = worker_open,
                                                 .close = worker_close };

/* --- open ---------------------------------------------------------------------------------------- */

static void init_limits(struct cm_engine *engine)
{
    const struct cm_settings *settings = engine->settings;
    engine->requester_limits =
        calloc(settings->requesters_count + 1, sizeof *engine->requester_limits);
    engine->group_limits = calloc(settings->groups_count + 1, sizeof *engine->group_limits);
    if (!engine->requester_limits || !engine->group_limits)
        abort();
    for (uint32_t i = 0; i < settings->requesters_count; i++) {
        const struct cm_settings_requester *from = &settings->requesters[i];
        cm_limit_init(&engine->requester_limits[i], "requester", from->name, from->rate_per_s,
                      from->burst, from->quota_per_day);
    }
    for (uint32_t i = 0; i < settings->groups_count; i++) {
        const struct cm_settings_group *from = &settings->groups[i];
        cm_limit_init(&engine->group_limits[i], "group", from->name, from->rate_per_s, from->burst,
                      from->quota_per_day);
    }
}

static uint32_t processors_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

static cm_status open_parts(struct cm_engine *engine, struct cm_error *err)
{
    const struct cm_settings *settings = engine->settings;
    const struct cm_store_settings store_settings = { .path = settings->store_path };
    cm_status status =
        cm_store_open(&cm_store_sqlite, engine->loop, &store_settings, &engine->store, err);
    if (status == CM_OK)
        status = cm_engine_open_signers(engine, err);
    engine->workers_count =
        settings->engine.workers ? settings->engine.workers : processors_count();
    if (!settings->engine.forgoes_lanes)
        (void)cm_mb_describe(); /* looks for the library, before requests wait for it */
    engine->workers_open = calloc(engine->workers_count, sizeof(struct cm_worker *));
    if (!engine->workers_open)
        abort();
    if (status == CM_OK)
        status = cm_workers_new(engine->loop, engine->workers_count, &worker_ops, engine,
                                &engine->workers, err);
    return status;
}

/* Which key a batch goes to is found out later: it must fit each of them. */
static void limit_batches(struct cm_engine *engine)
{
    uint32_t wanted = engine->settings->engine.batch_items_max;
    const struct cm_provider *least = NULL;
    engine->batch_items_max = wanted;
    for (uint32_t i = 0; i < engine->settings->providers_count; i++) {
        uint32_t taken = cm_provider_caps(engine->providers[i]).batch_items_max;
        if (taken >= engine->batch_items_max)
            continue;
        engine->batch_items_max = taken;
        least = engine->providers[i];
    }
    if (least)
        cm_engine_notice(engine,
                         "batches go on with %u requests, not %u (engine.batch-items): "
                         "provider %s takes no more at a time",
                         engine->batch_items_max, wanted, cm_provider_name(least));
}

cm_status cm_engine_open(const struct cm_engine_options *options, struct cm_engine **ret_engine,
                         struct cm_error *err)
{
    struct cm_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an engine");
    engine->loop = options->loop;
    engine->settings = options->settings;
    engine->options = *options;
    engine->queue_settings = *options->queue;
    engine->begin = cm_pipeline_begin;
    cm_aside_init(engine);
    cm_clones_init(&engine->clones);
    init_limits(engine);
    cm_status status = open_parts(engine, err);
    if (status != CM_OK) {
        cm_engine_close(engine);
        return status;
    }
    limit_batches(engine);
    cm_pool_init(engine);
    cm_gate_init(engine);
    *ret_engine = engine;
    return CM_OK;
}

/* --- start --------------------------------------------------------------------------------------- */

static bool remember_key(uint64_t key_fingerprint, cm_certificate_number number, void *arg)
{
    cm_clones_add(arg, key_fingerprint, number);
    return true;
}

static bool remember_usage(const struct cm_usage_row *usage, void *arg)
{
    struct cm_engine *engine = arg;
    for (uint32_t i = 0; i < engine->settings->requesters_count; i++)
        if (cm_bytes_is(usage->name, engine->requester_limits[i].name))
            cm_limit_restore(&engine->requester_limits[i], usage->period, usage->count);
    for (uint32_t i = 0; i < engine->settings->groups_count; i++)
        if (cm_bytes_is(usage->name, engine->group_limits[i].name))
            cm_limit_restore(&engine->group_limits[i], usage->period, usage->count);
    return true;
}

/* A store that was written later than now means that the clock is wrong, or the store restored. */
static cm_status check_clock(struct cm_engine *engine, const struct cm_store_counts *counts,
                             struct cm_error *err)
{
    int64_t now_ms = cm_clock_wall_ms();
    int64_t allowed_ms = (int64_t)engine->settings->engine.clock_step_s_max * 1000;
    if (now_ms < counts->last_time_ms - allowed_ms)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the clock is %lld s behind the store's last row: set the clock right",
                       (long long)(counts->last_time_ms - now_ms) / 1000);
    atomic_store(&engine->last_time_ms, counts->last_time_ms);
    return CM_OK;
}

static cm_status remember(struct cm_engine *engine, struct cm_store_reader *reader,
                          struct cm_error *err)
{
    struct cm_store_counts counts;
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_count(reader, &counts, err);
    if (status == CM_OK)
        status = check_clock(engine, &counts, err);
    if (status == CM_OK)
        status = cm_store_walk_keys(reader, remember_key, &engine->clones, err);
    if (status == CM_OK)
        status = cm_promises_load(&engine->promises, reader, err);
    if (status == CM_OK)
        status = cm_store_walk_usage(reader, cm_limit_day(cm_clock_wall_ms()), remember_usage,
                                     engine, err);
    cm_store_reader_end(reader);
    if (status == CM_OK)
        cm_serials_init(&engine->serials, counts.last_number);
    return status;
}

static void on_queue_event(enum cm_queue_event event, const char *text, void *arg)
{
    struct cm_engine *engine = arg;
    if (event == CM_QUEUE_EXHAUSTED) {
        engine->queue_exhausted = true;
        cm_engine_look_around(engine);
        return;
    }
    cm_engine_notice(engine, "queue: %s", text);
}

/* Entries that were under way when the engine was told to stop are for the next one. */
static void on_entries(struct cm_entry **entries, uint32_t count, void *arg)
{
    struct cm_engine *engine = arg;
    if (engine->state == CM_ENGINE_IS_RUNNING)
        cm_intake(engine, entries, count);
    else
        cm_queue_give_back(engine->queue, entries, count);
}

/* A generation of an authority that was made, or activated, while the engine runs. */
static void on_issuer_added(const struct cm_issuer_key *issuer, void *arg)
{
    struct cm_engine *engine = arg;
    if (engine->state != CM_ENGINE_IS_RUNNING)
        return;
    cm_queue_publish_chain(engine->queue, issuer->name, issuer->chain);
    cm_engine_add_to_revocations(engine, issuer);
}

/* From the next batch on. What waited for a key may have one now. */
static void on_issuers_changed(void *arg)
{
    struct cm_engine *engine = arg;
    if (engine->state != CM_ENGINE_IS_RUNNING)
        return;
    cm_spread_look(&engine->spread);
    cm_schedule_look(&engine->schedule);
    cm_aside_look(engine);
    cm_intake_continue(engine);
}

static cm_status open_queue(struct cm_engine *engine, struct cm_error *err)
{
    cm_status status =
        cm_queue_open(engine->options.queue_ops, engine->loop, &engine->queue_settings, on_entries,
                      on_queue_event, engine, &engine->queue, err);
    if (status != CM_OK)
        return status;
    for (uint32_t i = 0; i < engine->issuers.keys_count; i++)
        cm_queue_publish_chain(engine->queue, engine->issuers.keys[i].name,
                               engine->issuers.keys[i].chain);
    cm_queue_want(engine->queue, engine->backlog_space - CM_AHEAD_MAX);
    cm_queue_want_ahead(engine->queue, CM_AHEAD_MAX, cm_intake_is_order);
    return CM_OK;
}

/* Renewal campaigns; what they have to say goes where the requests come from. */
static cm_status open_sender(struct cm_engine *engine, struct cm_error *err)
{
    const struct cm_sender_env env = { .loop = engine->loop,
                                       .store = engine->store,
                                       .queue = engine->queue,
                                       .on_notice = cm_engine_on_notice,
                                       .on_idle = cm_engine_on_idle,
                                       .arg = engine };
    return cm_sender_open(&env, &engine->sender, err);
}

static void on_rotation_due(const struct cm_settings_authority *authority, void *arg)
{
    cm_engine_post_rotation(arg, authority);
}

static void begin_schedule(struct cm_engine *engine)
{
    const struct cm_schedule_env env = { .loop = engine->loop,
                                         .issuers = &engine->issuers,
                                         .on_notice = cm_engine_on_notice,
                                         .on_due = on_rotation_due,
                                         .arg = engine };
    engine->rotation_news =
        calloc(engine->settings->authorities_count + 1, sizeof *engine->rotation_news);
    if (!engine->rotation_news)
        abort();
    cm_schedule_begin(&engine->schedule, &env);
}

static void on_issuers_opened(struct cm_issuers *issuers, void *arg)
{
    struct cm_engine *engine = arg;
    struct cm_error err = issuers->err;
    struct cm_store_reader *reader = NULL;
    cm_status status = issuers->status;
    if (status == CM_OK)
        status = cm_store_reader_open(engine->store, &reader, &err);
    if (status == CM_OK)
        status = remember(engine, reader, &err);
    cm_store_reader_close(reader);
    if (status == CM_OK)
        cm_spread_init(&engine->spread, &engine->issuers);
    if (status == CM_OK && (engine->options.listens || engine->options.publishes))
        status = cm_engine_open_revocations(engine, &err);
    if (status == CM_OK)
        status = open_queue(engine, &err);
    if (status == CM_OK)
        status = cm_checkpoints_open(engine, &engine->checkpoints, &err);
    if (status == CM_OK && engine->options.listens)
        status = open_sender(engine, &err);
    if (status != CM_OK) {
        cm_engine_close_revocations(engine); /* before anything of it begins */
        engine->state = CM_ENGINE_IS_STOPPED;
        cm_audit_fail(engine, err.text);
        return;
    }
    cm_abandon_watch(engine);
    bool is_stopping = engine->state == CM_ENGINE_IS_STOPPING;
    if (is_stopping) {
        cm_engine_stop_revocations(engine);
        cm_sender_stop(engine->sender);
        cm_engine_look_around(engine);
    } else {
        engine->state = CM_ENGINE_IS_RUNNING;
        if (engine->options.listens)
            cm_engine_listen(engine);
        cm_engine_post(engine, CM_ENGINE_RUNNING, "requests are taken");
        if (engine->options.listens)
            begin_schedule(engine);
    }
}

static void on_key_opened(const struct cm_issuer_key *issuer, void *arg)
{
    cm_audit_note_key(arg, issuer->name, issuer->key);
}

void cm_engine_start(struct cm_engine *engine)
{
    const struct cm_issuers_env env = { .loop = engine->loop,
                                        .settings = engine->settings,
                                        .providers = engine->providers,
                                        .store = engine->store,
                                        .may_wait = engine->options.listens,
                                        .on_notice = cm_engine_on_notice,
                                        .on_idle = cm_engine_on_idle,
                                        .on_added = on_issuer_added,
                                        .on_opened = on_key_opened,
                                        .on_changed = on_issuers_changed,
                                        .arg = engine };
    struct cm_store_reader *reader;
    struct cm_error err;
    assert(engine->state == CM_ENGINE_IS_OPEN);
    engine->state = CM_ENGINE_IS_STARTING;
    if (cm_store_reader_open(engine->store, &reader, &err) != CM_OK) {
        engine->state = CM_ENGINE_IS_STOPPED;
        cm_engine_post(engine, CM_ENGINE_FAILED, err.text);
        return;
    }
    cm_audit_begin(engine);
    cm_issuers_open(&engine->issuers, &env, reader, on_issuers_opened, engine);
    cm_store_reader_close(reader);
}

/* --- stop and close ------------------------------------------------------------------------------ */

/* Entries that are in no batch go back at once. */
static void give_back_waiting(struct cm_engine *engine)
{
    cm_gate_give_back(engine);
    cm_aside_give_back(engine);
    cm_intake_give_back_backlog(engine);
}

static void withdraw(void *arg)
{
    cm_dispatch_withdraw(arg);
}

void cm_engine_stop(struct cm_engine *engine)
{
    if (engine->state == CM_ENGINE_IS_STOPPING || engine->state == CM_ENGINE_IS_STOPPED)
        return;
    bool is_running = engine->state == CM_ENGINE_IS_RUNNING;
    engine->state = CM_ENGINE_IS_STOPPING;
    cm_issuers_stop(&engine->issuers);
    cm_schedule_stop(&engine->schedule);
    if (is_running) {
        cm_engine_stop_revocations(engine);
        cm_sender_stop(engine->sender);
        cm_control_stop(engine->control);
        give_back_waiting(engine);
        cm_queue_hurry(engine->queue, STOP_PATIENCE_MS);
        cm_timer_start(&engine->stop_timer, engine->loop, SIGN_PATIENCE_MS, withdraw, engine);
        cm_engine_look_around(engine);
    }
}

static void close_limits(struct cm_engine *engine)
{
    for (uint32_t i = 0; i < engine->settings->requesters_count; i++)
        cm_limit_done(&engine->requester_limits[i]);
    for (uint32_t i = 0; i < engine->settings->groups_count; i++)
        cm_limit_done(&engine->group_limits[i]);
    free(engine->requester_limits);
    free(engine->group_limits);
}

void cm_engine_close(struct cm_engine *engine)
{
    if (!engine)
        return;
    cm_timer_done(&engine->promises_timer);
    cm_timer_done(&engine->stop_timer);
    cm_control_close(engine->control);
    cm_queue_close(engine->queue);
    cm_sender_close(engine->sender);
    cm_engine_close_revocations(engine);
    cm_checkpoints_close(engine->checkpoints);
    cm_workers_free(engine->workers);
    free(engine->workers_open);
    cm_spread_done(&engine->spread);
    cm_schedule_done(&engine->schedule);
    free(engine->rotation_news);
    cm_issuers_close(&engine->issuers);
    for (uint32_t i = 0; engine->providers && i < engine->settings->providers_count; i++)
        cm_provider_close(engine->providers[i]);
    free(engine->providers);
    cm_store_close(engine->store);
    cm_audit_close(engine);
    cm_promises_done(&engine->promises);
    cm_inflight_done(&engine->inflight);
    cm_clones_done(&engine->clones);
    close_limits(engine);
    cm_gate_done(engine);
    cm_aside_done(engine);
    cm_pool_done(engine);
    free(engine);
}

/* --- looking ------------------------------------------------------------------------------------- */

const struct cm_engine_counters *cm_engine_counters(const struct cm_engine *engine)
{
    return &engine->counters;
}
