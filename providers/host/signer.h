/*
 * The signer's parts: signer.c is its life and what the engine asks, job.c the batches.
 *
 *   signer process      socket ── channel ── signer ── jobs ── inner provider (openssl, pkcs11, ...)
 *                                              └ keyring (keys, floors)      └ workers, watched
 *
 * The loop's alone.
 */
#ifndef CM_PROVIDERS_HOST_SIGNER_H
#define CM_PROVIDERS_HOST_SIGNER_H

#include "providers/host/channel.h"
#include "providers/host/keyring.h"

struct cm_signer;

/* A batch of the engine's, and the part of it that the floor lets through to the inner provider. */
struct cm_job {
    struct cm_signer *signer;
    struct cm_job *next; /* free, or waiting for room inside */
    bool is_used;
    bool is_inside;    /* submitted */
    bool is_withdrawn; /* before it was */
    uint64_t id;       /* the engine's */
    struct cm_ring_key *key;
    struct cm_buffer body;       /* our copy of the frame's: messages point into it */
    struct cm_buffer signatures; /* space for them */
    struct cm_sign_item *items;  /* what the answer says of each, by the engine's position */
    struct cm_sign_item *inner;  /* those that are submitted */
    uint32_t *positions;         /* of each of those among items */
    uint32_t items_count;
    struct cm_sign_batch batch;
    char refusal[CM_FLOOR_TEXT_SIZE]; /* of the first item that the floor refused */
};

struct cm_signer {
    struct cm_loop *loop;
    struct cm_channel channel;
    const struct cm_provider_ops *(*find)(const char *name);
    char *name;
    bool signs_anything;
    struct cm_provider *provider; /* NULL before HELLO */
    struct cm_keyring ring;
    struct cm_job *jobs; /* as many as the inner provider takes at a time */
    uint32_t jobs_count;
    struct cm_job *free_jobs;
    struct cm_job *waiting; /* the inner provider was busy; oldest first */
    struct cm_timer retry;
    struct cm_timer pace_timer;
    struct cm_buffer pace_told,
        pace_now; /* frames: the last one that was sent, and one to compare */
    bool is_leaving;
    int exit_code;
};

/* job.c. False: breaks the protocol. */
CM_MUST_USE bool cm_jobs_sign(struct cm_signer *signer, const struct cm_wire_frame *frame);
void cm_jobs_cancel(struct cm_signer *signer, uint64_t id);
void cm_jobs_init(struct cm_signer *signer);
void cm_jobs_done(struct cm_signer *signer);

/* The engine has hung up: what waits is dropped, what is inside is withdrawn. */
void cm_jobs_withdraw(struct cm_signer *signer);

#endif
