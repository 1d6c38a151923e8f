/*
 * Batch: a few hundred requests that move together.
 *
 * Life: taken from the pool by intake, filled, and carried from station to station by the pipeline
 * until reply gives it back. One holder at a time: the loop, one worker, the store or a provider.
 * Its arena holds everything the requests need and is reset, not freed, between lives.
 */
#ifndef CM_ENGINE_BATCH_H
#define CM_ENGINE_BATCH_H

#include "engine/base/arena.h"
#include "engine/base/workers.h"
#include "engine/request.h"
#include "engine/stations.h"

struct cm_engine;
struct cm_batch;
struct cm_choice;

/*
 * Lot: the requests of a batch that one issuer key signs in one lane. Its intent and its signatures are asked
 * for together.
 */
struct cm_lot {
    struct cm_batch *batch;
    const struct cm_issuer_key *issuer;
    enum cm_lane lane;
    struct cm_request **requests; /* in the batch's arena */
    uint32_t requests_count;
    struct cm_intent intent; /* items for those that have no kept promise */
    struct cm_store_op intent_op;
    struct cm_sign_item *sign_items;
    struct cm_sign_batch sign_batch;
    uint64_t progress_ns;     /* last signature, or the beginning: its patience counts from here */
    uint64_t signer_since_ns; /* state of the provider as the attempt began */
    uint32_t waits_count;     /* in a row: the signer was away, or slow */
    uint32_t losses_count;    /* no entry of it has lost more answers as a signer died */
    uint32_t failures_count;  /* signing attempts that went wrong */
    bool has_moved;           /* items stand in another order than requests */
    bool is_out;              /* the provider has the sign_batch */
    struct cm_timer retry;
};

struct cm_batch {
    struct cm_batch *next; /* of the pool */
    struct cm_engine *engine;
    struct cm_arena arena;
    struct cm_request *requests;
    uint32_t requests_count;
    uint32_t credits_count;    /* requests that the queue has not had its credit back for */
    uint32_t ahead_count;      /* those that were taken out ahead of others: of another credit */
    struct cm_choice *choices; /* of issuer keys, by position of the authority; in the arena */
    uint64_t oldest_ns;        /* arrival of the oldest entry */
    int64_t time_ms;           /* wall clock when it was composed: notBefore follows from it */
    bool clock_suspect;        /* the wall clock went back: nothing of it may be signed */
    struct cm_work work;       /* its turn on a worker */
    struct cm_laps laps;       /* what its time went into */
    void (*done)(struct cm_batch *batch); /* of the station it is in */

    struct cm_lot *lots; /* in the arena */
    uint32_t lots_count;
    uint32_t lots_pending; /* those whose store or provider answer is still out */

    struct cm_store_op record_op;
    struct cm_audit_event audit;
    int64_t *intents_closed;   /* of the record_op; in the arena */
    struct cm_timer retry;     /* of recording */
    struct cm_answer *answers; /* in the arena */
    uint32_t answers_count;
};

#endif
