/*
 * What the stations share: the engine, a worker's context, and the stations themselves.
 *
 * Arrows between the stations do not exist: only pipeline.c knows their order.
 */
#ifndef CM_ENGINE_INTERNAL_H
#define CM_ENGINE_INTERNAL_H

#include "engine/batch.h"
#include "engine/clones.h"
#include "engine/engine.h"
#include "engine/inflight.h"
#include "engine/issuers.h"
#include "engine/limits.h"
#include "engine/promises.h"
#include "engine/serials.h"

/* One worker's own tools: nothing here is shared, so nothing is locked. */
struct cm_worker {
    struct cm_engine *engine;
    struct cm_store_reader *reader;
    struct cm_composer *composer;
    struct cm_proof *proof;
    struct cm_verifier **verifiers; /* by position of the issuer key; made when first needed */
};

enum cm_engine_state {
    CM_ENGINE_IS_OPEN,
    CM_ENGINE_IS_STARTING,
    CM_ENGINE_IS_RUNNING,
    CM_ENGINE_IS_STOPPING,
    CM_ENGINE_IS_STOPPED
};

/* An event on its way to the engine's owner. */
struct cm_engine_news {
    struct cm_task task;
    bool is_posted;
    struct cm_engine *engine;
    enum cm_engine_event event;
    char text[CM_ERROR_TEXT_SIZE];
};

struct cm_engine {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_engine_options options;
    enum cm_engine_state state;
    struct cm_engine_news news[CM_ENGINE_NOTICE]; /* by event; notices are told at once */

    struct cm_store *store;
    struct cm_provider **providers; /* by position in the settings */
    struct cm_issuers issuers;
    struct cm_queue *queue;
    bool queue_exhausted;
    struct cm_workers *workers;
    uint32_t workers_count;

    struct cm_serials serials;
    struct cm_clones clones;
    struct cm_limit *requester_limits; /* by position in the settings */
    struct cm_limit *group_limits;
    struct cm_inflight inflight;
    struct cm_promises promises;
    struct cm_timer promises_timer;
    uint64_t promises_since_ns;   /* when they were loaded: the hold time counts from here */
    _Atomic int64_t last_time_ms; /* highest wall time that the store or a batch has seen */

    struct cm_batch *batches; /* the pool's memory */
    uint32_t batches_count;
    struct cm_batch *free_batches;
    struct cm_batch *gathering; /* the batch that intake fills; NULL: none */
    struct cm_timer gathering_timer;
    uint32_t considering_count; /* batches waiting for or on a worker in the first half */
    struct cm_entry **backlog;  /* entries for which no batch is free */
    uint32_t backlog_first, backlog_count, backlog_space; /* ring */

    struct cm_engine_counters counters;
};

/* --- stations: over a whole batch, on a worker unless said otherwise ----------------------------- */

/* Loop: puts entries into batches; full or aged batches go on to the pipeline. */
void cm_intake(struct cm_engine *engine, struct cm_entry **entries, uint32_t count);
/* Loop: a batch has come free, or a worker has: what waits may go on. */
void cm_intake_continue(struct cm_engine *engine);

/* Envelope and CSR into spans. */
void cm_decode_envelopes(struct cm_batch *batch);
void cm_decode_requests(struct cm_batch *batch);
/* Answered before? Then the same answer. */
void cm_admit_recall(struct cm_batch *batch, struct cm_worker *worker);
/* Who may have what. */
void cm_admit(struct cm_batch *batch, struct cm_worker *worker);
/* Whose key is it? */
void cm_prove(struct cm_batch *batch, struct cm_worker *worker);
/* The bytes to be signed, linted and hashed. */
void cm_compose(struct cm_batch *batch, struct cm_worker *worker);
/* Loop: intents, then signatures; calls cm_pipeline_signed when nothing is out any more. */
void cm_dispatch(struct cm_batch *batch);
/* Certificates, each signature checked. */
void cm_seal(struct cm_batch *batch, struct cm_worker *worker);
/* Loop: one durable transaction; calls cm_pipeline_recorded. */
void cm_record(struct cm_batch *batch);
/* Loop: the answers; calls cm_pipeline_answered. Afterwards the requests let go of what they held. */
void cm_reply(struct cm_batch *batch);
void cm_reply_let_go(struct cm_batch *batch);

/* --- pipeline: the order of the stations --------------------------------------------------------- */

void cm_pipeline_begin(struct cm_batch *batch);
void cm_pipeline_signed(struct cm_batch *batch);
void cm_pipeline_recorded(struct cm_batch *batch);
void cm_pipeline_answered(struct cm_batch *batch);

/* --- helpers of the engine ----------------------------------------------------------------------- */

struct cm_batch *cm_engine_take_batch(struct cm_engine *engine);
void cm_engine_notice(struct cm_engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Gives up the serials of promises that are older than the hold time; from the start on. */
void cm_abandon_watch(struct cm_engine *engine);
/* Everything answered? Then whoever waits for that is told. */
void cm_engine_look_around(struct cm_engine *engine);
struct cm_limit *cm_engine_requester_limit(struct cm_engine *engine,
                                           const struct cm_settings_requester *requester);
struct cm_limit *cm_engine_group_limit(struct cm_engine *engine,
                                       const struct cm_settings_group *group);

#endif
