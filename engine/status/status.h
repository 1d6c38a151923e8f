/*
 * Status service: what relying parties and operators ask over HTTP.
 *
 *     GET  /crl/<issuer>/<shard>.crl, /crl/<issuer>/<shard>-delta.crl, /ca/<issuer>.cer, .pem
 *     POST /ocsp, GET /ocsp/<base64>
 *     GET  /metrics  /healthz  /readyz  /  /api/v1/status
 *
 * Threads of its own, each with an event loop, on one listening socket; they share nothing with
 * issuance but the shelf, the book, readers of the store, and a bounded queue for OCSP responses to be
 * signed. So nothing that is sent here stops a certificate. Bounds: connections, size of header and
 * body, a deadline for each request and each answer; who is slower is cut off.
 *
 * HEAD like GET; ETag and If-None-Match; other methods 405, other paths 404; nothing is opened by its
 * name: a path is looked up on the shelf or in a table.
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

struct cm_status_service_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_store *store;
    struct cm_book *book;
    struct cm_shelf *shelf;
    struct cm_responders *responders;
    /* the engine's, called on the loop: what the control socket's status says, "ready" among it */
    void (*fill_status)(struct json_t *ret_object, void *arg);
    void (*on_notice)(const char *text, void *arg);
    void *arg;
};

/* Fails with: MALFORMED (listen), EXISTS (the address is taken), DENIED, IO. */
CM_MUST_USE cm_status cm_status_service_open(const struct cm_status_service_env *env,
                                             struct cm_status_service **ret_service,
                                             struct cm_error *err);

/* The port it listens on: where the settings say 0, the system's choice. */
uint16_t cm_status_service_port(const struct cm_status_service *service);

/* Revocations have come, or another responder signs: cached answers about these are not given any more
 * from here on. generation_number and serial of one; an empty serial: the whole generation. */
void cm_status_service_forget(struct cm_status_service *service, int64_t generation_number,
                              struct cm_bytes serial);

void cm_status_service_stop(struct cm_status_service *service);
bool cm_status_service_is_idle(const struct cm_status_service *service); /* no signature is out */
void cm_status_service_close(struct cm_status_service *service);         /* takes NULL */

#endif
