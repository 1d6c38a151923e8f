/* What the parts of control share: the control, a connection, and the way of a request. */
#ifndef CM_ENGINE_CONTROL_INTERNAL_H
#define CM_ENGINE_CONTROL_INTERNAL_H

#include <event2/bufferevent.h>
#include <jansson.h>

#include "engine/campaign/plan.h"
#include "engine/control/control.h"

enum cm_connection_phase {
    CM_CONNECTION_READS,  /* the request is on its way */
    CM_CONNECTION_WORKS,  /* the store has it */
    CM_CONNECTION_ANSWERS /* the answer is on its way */
};

/* What came of an order, over all the operations that it took. */
struct cm_order_sum {
    uint32_t certificates, devices;
};

/* Orders of a request while they are carried out, from next on; both arrays are in the arena. */
struct cm_orders_run {
    struct cm_order *orders; /* those whose texts were refused have their code from the beginning */
    struct cm_order_sum *sums;
    uint32_t count, next;
};

struct cm_connection {
    struct cm_control *control;
    struct bufferevent *stream; /* NULL: the place is free */
    enum cm_connection_phase phase;
    bool is_last; /* hung up after this answer */
    struct cm_timer deadline;
    /* the request; its rows are in the arena */
    struct cm_arena arena;
    struct cm_store_op op;
    struct cm_audit_event audit;
    struct cm_orders_run run;
    struct cm_campaign_plan plan;
};

struct cm_control {
    struct cm_control_env env;
    char *path;
    struct evconnlistener *listener; /* NULL: stopped */
    struct cm_timer pause;           /* after accept has failed */
    bool is_stopping;
    uint32_t connections_count;
    struct cm_connection connections[CM_CONTROL_CONNECTIONS_MAX];
};

/* A connection begins in a free place, with the socket given. */
void cm_connection_start(struct cm_connection *connection, evutil_socket_t fd);
/* Hangs up, at once; not while it works. */
void cm_connection_drop(struct cm_connection *connection);
/* No request after the one that it has. */
void cm_connection_stop(struct cm_connection *connection);
/* Sends the answer, which it takes over; then the next request is read. */
void cm_connection_answer(struct cm_connection *connection, json_t *answer);

/* Carries a request out; it is answered, now or later. */
void cm_request_run(struct cm_connection *connection, const char *text, size_t size);

/* What the parts of a request share. An answer that says what was wrong; who asks. */
void cm_request_answer_error(struct cm_connection *connection, const struct cm_error *err);
CM_MUST_USE cm_status cm_request_read_actor(const json_t *request, struct cm_arena *arena,
                                            struct cm_bytes *ret_actor, struct cm_error *err);

/* MALFORMED where the object has another key than these, or is none. */
CM_MUST_USE cm_status cm_request_check_keys(const json_t *object, const char *const *known,
                                            size_t known_count, struct cm_error *err);

/* Operations, each in a file of its own. OK: it is answered, or will be. */
cm_status cm_orders_run(struct cm_connection *connection, const json_t *request,
                        struct cm_error *err);
cm_status cm_publish_run(struct cm_connection *connection, const json_t *request,
                         struct cm_error *err);
cm_status cm_authority_run(struct cm_connection *connection, const json_t *request,
                           struct cm_error *err);
cm_status cm_plan_run(struct cm_connection *connection, const json_t *request,
                      struct cm_error *err);
cm_status cm_import_run(struct cm_connection *connection, const json_t *request,
                        struct cm_error *err);
cm_status cm_campaign_run(struct cm_connection *connection, const json_t *request,
                          struct cm_error *err);
cm_status cm_campaign_list_run(struct cm_connection *connection, const json_t *request,
                               struct cm_error *err);

/* Devices of a request as rows in the arena. Fails with: MALFORMED, NOT_FOUND (group). */
CM_MUST_USE cm_status cm_rows_read(const json_t *devices, const struct cm_settings *settings,
                                   struct cm_arena *arena, struct cm_device_row **ret_rows,
                                   struct cm_error *err);

#endif
