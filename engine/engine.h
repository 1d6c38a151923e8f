/*
 * Engine: requests in, certificates out.
 *
 * An engine joins one queue, one store and the providers of one settings file. It runs on one loop;
 * docs/main-path.md walks a request through it.
 *
 *     cm_engine_open(&options, &engine, &err);      store and providers are open
 *     cm_engine_start(engine);                      keys are opened, then requests are taken
 *     cm_loop_run(loop);                            ... options.on_event tells what happens
 *     cm_engine_close(engine);                      after CM_ENGINE_STOPPED
 *
 * It holds no keys: each provider is a signer process of its own (providers/host.h), started at
 * opening and whenever it dies; the engine sees public keys and hands bytes over. A program that
 * runs an engine therefore answers to "signer NAME" with cm_signer_main, or names one that does.
 * Thread: the loop's, all of it.
 */
#ifndef CM_ENGINE_ENGINE_H
#define CM_ENGINE_ENGINE_H

#include "engine/base/loop.h"
#include "engine/settings/settings.h"
#include "engine/stations.h"
#include "engine/store/store.h"
#include "queue/queue.h"

struct cm_engine;

enum cm_engine_event {
    CM_ENGINE_RUNNING,   /* keys are open, requests are taken */
    CM_ENGINE_EXHAUSTED, /* a finite queue is at its end and everything is answered */
    CM_ENGINE_STOPPED,   /* after cm_engine_stop: everything is answered or given back */
    CM_ENGINE_FAILED,    /* it could not start; text says why; close it */
    CM_ENGINE_NOTICE,    /* something an operator should see; it goes on */
    CM_ENGINE_ROTATION_DUE /* of an engine that listens: `ca rotate --scheduled` of the authority that text names has
                              something to do; told again every minute until it is done */
};

typedef void cm_engine_event_fn(enum cm_engine_event event, const char *text, void *arg);

struct cm_engine_options {
    struct cm_loop *loop;
    const struct cm_settings *settings; /* outlives the engine */
    const struct cm_queue_ops *queue_ops;
    const struct cm_queue_settings *queue; /* copied; its strings live until RUNNING */
    const char *signer_program;            /* as in cm_host_settings; NULL: this one */
    bool listens;   /* on the control socket (engine/control/control.h); tells of revocations */
    bool publishes; /* of revocations tells by CRLs alone: no HTTP, no responders */
    cm_engine_event_fn *on_event;
    void *arg;
};

/* What has happened since the start. Read on the loop. */
struct cm_engine_counters {
    uint64_t issued, refused, failed; /* answers */
    uint64_t done;                    /* answers, too: orders that were carried out */
    uint64_t repeated;                /* of them, those that were given before */
    uint64_t given_back;              /* entries without an answer: they come again */
    uint64_t batches;
    uint64_t batches_answered; /* of them, those that are over; the next is about them */
    uint64_t station_ns[CM_STATION_COUNT]; /* what their time went into */
    uint64_t in_flight;                    /* entries that are not answered yet */
    uint64_t latency_count;                /* answers that the histogram is about */
    uint64_t latency_log2[40]; /* answers by floor(log2(microseconds from arrival to answer)) */
};

/*
 * Owns:       *ret_engine is the caller's, until cm_engine_close.
 * Fails with: what store, providers and queue fail with at opening.
 */
CM_MUST_USE cm_status cm_engine_open(const struct cm_engine_options *options,
                                     struct cm_engine **ret_engine, struct cm_error *err);

/* Calls back: RUNNING or FAILED. */
void cm_engine_start(struct cm_engine *engine);

/* Takes nothing new, finishes what is on its way. Calls back: STOPPED. Idempotent. */
void cm_engine_stop(struct cm_engine *engine);

/* After STOPPED, FAILED, or without cm_engine_start. Takes NULL. */
void cm_engine_close(struct cm_engine *engine);

const struct cm_engine_counters *cm_engine_counters(const struct cm_engine *engine);

/* By position in the settings, for how it is; NULL past the end. Borrowed. */
const struct cm_provider *cm_engine_provider(const struct cm_engine *engine, uint32_t position);

/* The port of the status service: where the settings say 0, the system's choice. 0: there is none. */
uint16_t cm_engine_status_port(const struct cm_engine *engine);

/*
 * Does:       publishes the CRLs of an issuer ("issuing-1"), or of all (NULL), anew. From RUNNING on, of an
 *             engine that listens or publishes.
 * Calls back: done, once, never inside the call: how many were published, how many could not be, and the
 *             first one's reason.
 * Fails with: NOT_FOUND (no such issuer).
 */
typedef void cm_engine_published_fn(uint32_t published_count, uint32_t failed_count,
                                    const char *why, void *arg);
CM_MUST_USE cm_status cm_engine_publish(struct cm_engine *engine, const char *issuer,
                                        cm_engine_published_fn *done, void *arg,
                                        struct cm_error *err);

#endif
