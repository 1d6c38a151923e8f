/*
 * Client: the other side of the Redis queue, where requesters stand. For `certmill submit`, load
 * generators and tests; backend services use any Redis client (docs/reference/wire.md).
 *
 *     cm_client_open(loop, &settings, on_results, on_event, self, &client, &err);
 *     cm_client_push(client, requests, 100, on_pushed, self);
 *     ... on_results(results, 37, self) ...          in the order in which the engine wrote them
 *
 * Results are read from where the requester's result stream ended when the client first connected,
 * so a push is sent only once that place is known: nothing that answers it is missed. After a lost
 * connection reading goes on where it stopped; results are never repeated by the client, but the
 * engine may have written one twice (at-least-once): look at the id.
 *
 * Everything runs on the loop's thread and calls back there, never inside the call that caused it.
 * Out of memory aborts.
 */
#ifndef CM_QUEUE_CLIENT_H
#define CM_QUEUE_CLIENT_H

#include "queue/queue.h"

struct cm_client;

/* Plain data, copied by open. */
struct cm_client_settings {
    const char *url;          /* as in struct cm_queue_settings */
    const char *password_ref; /* NULL: none */
    struct cm_redis_tls tls;  /* as there */
    const char *prefix;       /* NULL: "certmill" */
    const char *requester;    /* whose results are read, and the field of requests without one */
    uint32_t timeout_ms;      /* 0: 5000 */
    uint32_t per_entry;       /* requests in one entry of the stream, at most; 0: 1 */
    bool deletes_results;     /* XDEL after they were handed out, so that the stream stays short */
};

struct cm_client_request {
    struct cm_bytes fields[CM_FIELD_COUNT]; /* data NULL: not sent */
};

/* Fields that the result does not have are empty. */
struct cm_client_result {
    struct cm_bytes id;
    struct cm_bytes status; /* "issued", "done", "refused" or "failed" */
    struct cm_bytes code;
    struct cm_bytes message;
    struct cm_bytes serial;      /* lower-case hex */
    struct cm_bytes certificate; /* DER */
    struct cm_bytes issuer;
    struct cm_bytes device;
    struct cm_bytes not_after; /* decimal Unix seconds */
};

/* results and what they point at are borrowed for the call. */
typedef void cm_client_results_fn(const struct cm_client_result *results, uint32_t count,
                                  void *arg);

/*
 * OK: all are in the stream. UNAVAILABLE: the connection was lost, or the client closed, before all
 * were confirmed; push them again under the same ids. DENIED, with the server's words: refused.
 */
typedef void cm_client_pushed_fn(cm_status status, const char *text, void *arg);

/* pem is empty when no chain was published for the issuer, or Redis cannot be reached. */
typedef void cm_client_chain_fn(struct cm_bytes pem, void *arg);

/* event is UP or DOWN; on_event may be NULL. Fails as cm_queue_open does. */
CM_MUST_USE cm_status cm_client_open(struct cm_loop *loop,
                                     const struct cm_client_settings *settings,
                                     cm_client_results_fn *on_results, cm_queue_event_fn *on_event,
                                     void *arg, struct cm_client **ret_client,
                                     struct cm_error *err);

/* Pushes requests in their order, when the client is up. Borrowed until pushed is called, once. */
void cm_client_push(struct cm_client *client, const struct cm_client_request *requests,
                    uint32_t count, cm_client_pushed_fn *pushed, void *arg);

/* Asks for the chain of an issuer, as a result names it. Calls on_chain once. */
void cm_client_read_chain(struct cm_client *client, const char *issuer,
                          cm_client_chain_fn *on_chain, void *arg);

/* What was not called back is, before this returns. Not from inside a callback. Takes NULL. */
void cm_client_close(struct cm_client *client);

#endif
