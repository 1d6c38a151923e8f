/*
 * Status service: what relying parties and operators ask over HTTP.
 *
 *     GET  /crl/<issuer>/<shard>.crl, /crl/<issuer>/<shard>-delta.crl, /ca/<issuer>.cer, .pem
 *     POST /ocsp, GET /ocsp/<base64>
 *     GET  /metrics  /healthz  /readyz  /  /api/v1/status
 *
 * Threads of its own, each with an event loop, on one address; they share nothing with issuance but
 * the shelf, the book, readers of the store, and a bounded queue for OCSP responses to be signed. So
 * nothing that is sent here stops a certificate. Bounds: connections, size of header and body, a
 * deadline for each request and each answer; who is slower is cut off.
 *
 * HEAD like GET; ETag and If-None-Match; other methods 405, other paths 404; nothing is opened by its
 * name: a path is looked up on the shelf or in a table (engine/status/target.h).
 *
 * OCSP: what is malformed, by others, or asks for several issuers at once, is answered unsigned. The
 * status of a certificate is looked up in the book as the answer is composed, and again when it has
 * been signed: if it has changed meanwhile the answer is made anew. Answers about one certificate
 * without a nonce are kept until cm_status_service_forget, and made anew when half of their time is
 * over. Signatures of what is kept, and RSA's, are all verified before they leave; others every sixteenth.
 *
 * Life: open (listens; an address that is taken is an error), stop (no new connections, those idle are
 * closed), close. Thread: the loop's.
 */
#ifndef CM_ENGINE_STATUS_SERVICE_H
#define CM_ENGINE_STATUS_SERVICE_H

#include "engine/revocation/book.h"
#include "engine/revocation/responder.h"
#include "engine/revocation/shelf.h"

struct cm_status_service;
struct json_t;

/* A key of ours that OCSP is answered for. */
struct cm_status_generation {
    int64_t number;
    struct cm_ocsp_issuer_hashes hashes;
    uint32_t validity_s; /* of an answer: its authority's ocsp_validity_s */
};

struct cm_status_service_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_store *store;
    struct cm_book *book;
    struct cm_shelf *shelf;
    const struct cm_status_generation *generations; /* copied */
    uint32_t generations_count;
    /* Who signs for a generation; NULL: nobody, for now. What it returns, and its key, stays as it is
     * until close. Asked on the loop: at open, at forget, and every second. */
    const struct cm_responder *(*find_responder)(int64_t generation_number, void *arg);
    /* the engine's, called on the loop: what the control socket's status says, "ready" among it */
    void (*fill_status)(struct json_t *ret_object, void *arg);
    void (*on_notice)(const char *text, void *arg); /* on the loop */
    /* Unix milliseconds, on any thread; NULL: the wall clock. Negative: nothing is to be signed. */
    int64_t (*time_ms)(void *arg);
    void *arg;
};

/* Fails with: MALFORMED (listen), EXISTS (the address is taken), DENIED, IO. */
CM_MUST_USE cm_status cm_status_service_open(const struct cm_status_service_env *env,
                                             struct cm_status_service **ret_service,
                                             struct cm_error *err);

/* One more generation. Fails with: EXISTS, BUSY (CM_STATUS_GENERATIONS_MAX are there). */
#define CM_STATUS_GENERATIONS_MAX 1024
CM_MUST_USE cm_status cm_status_service_add_generation(
    struct cm_status_service *service, const struct cm_status_generation *generation,
    struct cm_error *err);

/* The port it listens on: where the settings say 0, the system's choice. */
uint16_t cm_status_service_port(const struct cm_status_service *service);

/* Revocations have come, or another responder signs: cached answers about these are not given any more
 * from here on. generation_number and serial of one; an empty serial: the whole generation. After the
 * book has read the change. */
void cm_status_service_forget(struct cm_status_service *service, int64_t generation_number,
                              struct cm_bytes serial);

void cm_status_service_stop(struct cm_status_service *service);
bool cm_status_service_is_idle(const struct cm_status_service *service); /* no signature is out */
void cm_status_service_close(struct cm_status_service *service);         /* idle; takes NULL */

#endif
