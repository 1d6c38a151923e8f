/*
 * What the stations share: the engine, a worker's context, and the stations themselves.
 *
 * Stations do not know each other: only pipeline.c knows their order.
 */
#ifndef CM_ENGINE_INTERNAL_H
#define CM_ENGINE_INTERNAL_H

#include "engine/aside.h"
#include "engine/batch.h"
#include "engine/checkpoints.h"
#include "engine/clones.h"
#include "engine/control/control.h"
#include "engine/engine.h"
#include "engine/gate.h"
#include "engine/inflight.h"
#include "engine/issuers.h"
#include "engine/limits.h"
#include "engine/promises.h"
#include "engine/schedule.h"
#include "engine/serials.h"
#include "engine/spread.h"

struct cm_revocations;
struct cm_sender;
struct json_t;

/* One worker's own tools: nothing here is shared, so nothing is locked. */
struct cm_worker {
    struct cm_engine *engine;
    struct cm_store_reader *reader;
    struct cm_composer *composer;
    struct cm_proof *proof;
    struct cm_auth_verifier **authenticators; /* by position of the requester; NULL: needs none */
    uint8_t *canonical;                       /* what is being authenticated */
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

/*
 * Two ways in, each with batches of its own: orders wait for no key, so they share no batch with what
 * does.
 */
enum { CM_AHEAD_MAX = 256 }; /* orders in hand that were taken out ahead of what waits */
enum cm_inlet_kind { CM_INLET_ORDERS, CM_INLET_CERTIFICATES, CM_INLETS };

struct cm_inlet {
    struct cm_engine *engine;
    struct cm_batch *gathering; /* the batch that intake fills; NULL: none */
    struct cm_timer timer;      /* until it is old enough */
    struct cm_entry **backlog;  /* entries for which no batch is free; a ring of backlog_space */
    uint32_t backlog_first, backlog_count;
};

struct cm_audit_note;

/* What the engine says of itself in the audit log (audit.c). */
struct cm_audit {
    struct cm_audit_note *notes;      /* rows on their way into the store */
    bool has_ended;                   /* the last row was submitted */
    char failure[CM_ERROR_TEXT_SIZE]; /* why it could not start; told when no row is on its way */
};

struct cm_engine {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_engine_options options;
    struct cm_queue_settings queue_settings; /* the strings are the owner's */
    enum cm_engine_state state;
    struct cm_engine_news news[CM_ENGINE_NOTICE]; /* by event; notices are told at once */
    struct cm_engine_news *rotation_news;         /* by position of the authority in the settings */

    struct cm_store *store;
    struct cm_provider **providers; /* by position in the settings */
    struct cm_issuers issuers;
    struct cm_spread spread;    /* over the issuer keys, once they are open */
    struct cm_control *control; /* NULL: nobody listens */
    struct cm_queue *queue;
    bool queue_exhausted;
    struct cm_workers *workers;
    struct cm_worker *
        *workers_open; /* what each has: theirs, but for counts that anybody may read */
    uint32_t workers_count;

    struct cm_serials serials;
    struct cm_clones clones;
    struct cm_limit *requester_limits; /* by position in the settings */
    struct cm_limit *group_limits;
    struct cm_gate gate;
    struct cm_inflight inflight;
    struct cm_promises promises;
    struct cm_timer promises_timer;
    struct cm_timer stop_timer;   /* until what waits in the providers is withdrawn */
    bool withdraws;               /* it has run out: nothing is given to a provider any more */
    uint64_t promises_since_ns;   /* when they were loaded: the hold time counts from here */
    _Atomic int64_t last_time_ms; /* highest wall time that the store or a batch has seen */

    uint32_t
        batch_items_max; /* as in the settings, or what each provider takes where that is less */
    struct cm_batch *batches; /* the pool's memory */
    uint32_t batches_count;
    struct cm_batch *free_batches;
    struct cm_inlet inlets[CM_INLETS];
    void (*begin)(struct cm_batch *batch); /* where a filled batch goes */
    uint32_t considering_count; /* batches waiting for or on a worker in the first half */
    uint32_t backlog_space; /* of each inlet: all the credit that the queue has, of both kinds */
    struct cm_aside aside;  /* entries that wait for a key */

    struct cm_engine_counters counters;
    struct cm_audit audit;
    struct cm_checkpoints *checkpoints; /* NULL: none are made */
    /* NULL: this engine tells nobody what certificates are worth. */
    struct cm_revocations *revocations;
    struct cm_sender *sender;        /* of renewal campaigns; NULL: none are carried on */
    struct cm_schedule schedule;     /* of keys; begun where it listens */
    uint64_t revocation_looks_count; /* times that the store had new ones */
};

/*
 * --- stations, in their order; over a whole batch ------------------------------------------------
 *
 * Those with a done are asynchronous and belong to the loop; done is called once, perhaps at once.
 * The others run on a worker. None knows the station after it.
 */
typedef void cm_batch_done_fn(struct cm_batch *batch);

/* Loop: puts entries into batches, orders into their own; full or aged ones go to engine->begin. */
void cm_intake(struct cm_engine *engine, struct cm_entry **entries, uint32_t count);
/* What is an order by its op goes its own way, and may be taken out ahead of what waits for a key. */
bool cm_intake_is_order(struct cm_bytes op);
/* Loop: a batch has come free, or a worker has: what waits may go on. */
void cm_intake_continue(struct cm_engine *engine);

/* Loop: entries that were in hand and in no batch go back to the queue. */
void cm_intake_give_back(struct cm_engine *engine, struct cm_entry **entries, uint32_t count);
/* Loop: all that take gives, until NULL; many at a time. */
void cm_intake_give_back_all(struct cm_engine *engine,
                             struct cm_entry *(*take)(struct cm_engine *engine));
/* Loop: the engine stops; what waits for a batch goes back. */
void cm_intake_give_back_backlog(struct cm_engine *engine);

/* Worker: is the entry its requester's? Before intake, see gate.h; gives it its standing. */
void cm_authenticate(struct cm_entry *entry, struct cm_worker *worker, int64_t time_ms);
/* Envelope and CSR into spans. */
void cm_decode_envelopes(struct cm_batch *batch);
void cm_decode_requests(struct cm_batch *batch);
/* Answered before? Then the same answer. */
void cm_admit_recall(struct cm_batch *batch, struct cm_worker *worker);
/* Who may have what. */
void cm_admit(struct cm_batch *batch, struct cm_worker *worker);
/* Of renewals: may that certificate be renewed? */
void cm_renew(struct cm_batch *batch, struct cm_worker *worker);
/* Whose key is it? */
void cm_prove(struct cm_batch *batch, struct cm_worker *worker);
/* The bytes to be signed, linted and hashed. */
void cm_compose(struct cm_batch *batch, struct cm_worker *worker);
/* Intents durable, then signatures. */
void cm_dispatch(struct cm_batch *batch, cm_batch_done_fn *done);
/* What no key has begun to sign is given back; the rest ends with its true result. */
void cm_dispatch_withdraw(struct cm_engine *engine);
/* Certificates, each signature checked. */
void cm_seal(struct cm_batch *batch, struct cm_worker *worker);
/* One durable transaction. */
void cm_record(struct cm_batch *batch, cm_batch_done_fn *done);
/* The answers. */
void cm_reply(struct cm_batch *batch, cm_batch_done_fn *done);
/* Loop: what the requests held is let go; entries that waited behind them come in again. */
void cm_release(struct cm_batch *batch);

/* The order of the stations. Loop: a batch that intake has filled. */
void cm_pipeline_begin(struct cm_batch *batch);

/* --- around them --------------------------------------------------------------------------------- */

/* The pool. take returns NULL when all are on their way; the last that is free is for orders. */
void cm_pool_init(struct cm_engine *engine);
void cm_pool_done(struct cm_engine *engine);
struct cm_batch *cm_pool_take(struct cm_engine *engine, enum cm_inlet_kind kind);
void cm_pool_give(struct cm_batch *batch);

/* A worker's keys of all requesters. Fails with what their secrets fail with. close always. */
CM_MUST_USE cm_status cm_authenticate_open(struct cm_worker *worker, struct cm_error *err);
void cm_authenticate_close(struct cm_worker *worker);

/*
 * The engine's own rows of the audit log. note: detail is taken over; digest may be NULL. is_over: every
 * row is durable, and the last checkpoint is made; asked when all else is at rest, it begins the last row
 * and the checkpoint over it. Loop.
 */
void cm_audit_note(struct cm_engine *engine, const char *kind, struct json_t *detail,
                   const uint8_t *digest);
void cm_audit_note_key(struct cm_engine *engine, const char *name, const struct cm_key *key);
void cm_audit_begin(struct cm_engine *engine);
bool cm_audit_is_over(struct cm_engine *engine);
/* The engine could not start: its owner is told so, once the store has called back. */
void cm_audit_fail(struct cm_engine *engine, const char *why);
void cm_audit_close(struct cm_engine *engine); /* the store is closed */

/* News for the engine's owner. */
void cm_engine_post(struct cm_engine *engine, enum cm_engine_event event, const char *text);
/* Posted, one at a time of each authority. */
void cm_engine_post_rotation(struct cm_engine *engine,
                             const struct cm_settings_authority *authority);
void cm_engine_notice(struct cm_engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Everything answered? Then whoever waits for that is told. */
void cm_engine_look_around(struct cm_engine *engine);
/* The two above for the engine's parts: on_notice and on_idle of their envs; arg: the engine. */
void cm_engine_on_notice(const char *text, void *arg);
void cm_engine_on_idle(void *arg);

/* The providers of the settings. What was opened before one failed is closed with the engine. */
CM_MUST_USE cm_status cm_engine_open_signers(struct cm_engine *engine, struct cm_error *err);

/* Opens the control socket; without one the engine goes on, with a notice. */
void cm_engine_listen(struct cm_engine *engine);

/* Gives up the serials of promises that are older than the hold time; from the start on. */
void cm_abandon_watch(struct cm_engine *engine);
/* Gives up every promise whose request is not in work. What fails is tried again by the next call. */
void cm_abandon_overdue(struct cm_engine *engine);
/* What becomes of certificates, told to whoever relies on them (revocations.c): opened once the issuers
 * are there, closed when idle. Fails with what the publisher, the responders and the service fail with. */
CM_MUST_USE cm_status cm_engine_open_revocations(struct cm_engine *engine, struct cm_error *err);
void cm_engine_stop_revocations(struct cm_engine *engine);
bool cm_engine_revocations_are_idle(const struct cm_engine *engine);
void cm_engine_close_revocations(struct cm_engine *engine);
/* What control socket and status service say of the engine; arg: the engine. */
void cm_engine_fill_status(struct json_t *ret_object, void *arg);
/* Of that, what is about CRLs. False: one is past its nextUpdate. */
bool cm_engine_describe_revocations(const struct cm_engine *engine, struct json_t *ret_object);
/* What stands in the store has new revocations in it: whoever tells of them is told. Loop. */
void cm_engine_look_at_revocations(struct cm_engine *engine);
/* A generation that has come while the engine runs: its CRLs, its responder. */
void cm_engine_add_to_revocations(struct cm_engine *engine, const struct cm_issuer_key *issuer);
/* When the last certificate of this generation will have ended. Unix seconds. */
int64_t cm_engine_generation_end_s(const struct cm_engine *engine, int64_t generation_number);
/* Closes an intent of which several batches settled the last promises, so that none could close it. */
void cm_abandon_close(struct cm_engine *engine, int64_t intent_number);

static inline struct cm_limit *
cm_engine_requester_limit(struct cm_engine *engine, const struct cm_settings_requester *requester)
{
    return &engine->requester_limits[requester - engine->settings->requesters];
}

static inline struct cm_limit *cm_engine_group_limit(struct cm_engine *engine,
                                                     const struct cm_settings_group *group)
{
    return &engine->group_limits[group - engine->settings->groups];
}

#endif
