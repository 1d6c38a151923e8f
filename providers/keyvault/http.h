/*
 * HTTP: requests over TLS, hundreds at once, on the loop.
 *
 * libcurl's multi interface does the work (connections kept and shared, HTTP/2 where the server
 * offers it, proxies from the environment as curl understands them); this file gives it the loop's
 * sockets and timer, and says of every request how it ended:
 *
 *     ANSWERED   there is a whole answer, whatever its status
 *     NOT_SENT   nothing of the request had left (no name, no connection, no TLS)
 *     LOST       it had left, and no whole answer came: it may have been carried out
 *
 * Redirects are not followed. Certificates are verified, always; TLS 1.2 or later. Answers longer
 * than CM_HTTP_ANSWER_MAX are LOST.
 *
 * Thread: the loop's alone.
 */
#ifndef CM_PROVIDERS_KEYVAULT_HTTP_H
#define CM_PROVIDERS_KEYVAULT_HTTP_H

#include "engine/base/bytes.h"
#include "engine/base/loop.h"

#define CM_HTTP_ANSWER_MAX (256u << 10)

struct cm_http;
struct cm_http_call;

enum cm_http_outcome { CM_HTTP_ANSWERED, CM_HTTP_NOT_SENT, CM_HTTP_LOST };

typedef void cm_http_done_fn(struct cm_http_call *call, void *arg);

/* One request. Lives in its owner, who fills the first part; zero-initialised. */
struct cm_http_call {
    /* asked; texts are borrowed for cm_http_start alone, the body until done */
    const char *method;       /* "GET", "POST", "PUT", "DELETE" */
    const char *url;          /* https, or http where is_plain */
    const char *bearer;       /* of the Authorization header; NULL: none */
    const char *header;       /* one more, "Name: value"; NULL: none */
    const char *content_type; /* of the body; NULL: there is none */
    struct cm_bytes body;
    uint32_t timeout_ms;
    bool is_plain; /* without TLS and past any proxy: the metadata service of this machine */
    bool
        is_once; /* on a connection of its own: libcurl sends a request again when one that was kept
                      had died */
    cm_http_done_fn *done;
    void *arg;
    /* the answer; valid inside done */
    enum cm_http_outcome outcome;
    long status;            /* ANSWERED */
    struct cm_bytes answer; /* ANSWERED: the body */
    char challenge[2048];   /* WWW-Authenticate: the line with Bearer; "": none */
    char retry_after[64];   /* "": none */
    char request_id[64];    /* x-ms-request-id, for the operator's support case; "": none */
    char why[256];          /* NOT_SENT, LOST */
    /* http's own */
    struct cm_http *http;
    void *easy;
    void *headers;
    size_t answer_space;
};

/*
 * trust: PEM file of the CAs; NULL: the system's. connections_max: to each server.
 * Fails with: NO_MEMORY, UNSUPPORTED (a libcurl without TLS).
 */
CM_MUST_USE cm_status cm_http_new(struct cm_loop *loop, const char *trust, uint32_t connections_max,
                                  struct cm_http **ret_http, struct cm_error *err);

/* With no call out. Takes NULL. */
void cm_http_free(struct cm_http *http);

/* Calls back: call->done, once, never inside this call. The call may be freed or started again there. */
void cm_http_start(struct cm_http *http, struct cm_http_call *call);

/* Takes a call that is out back: done will not be called. For the end. */
void cm_http_stop(struct cm_http_call *call);

bool cm_http_is_out(const struct cm_http_call *call);

#endif
