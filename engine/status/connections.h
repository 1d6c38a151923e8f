/*
 * Connections: those of one thread, counted, and cut off when they are too slow.
 *
 * evhttp neither counts its connections nor tells when they end. So each is noted as it is accepted, by
 * its descriptor and the kernel's cookie of the socket: a descriptor whose cookie is another one, or
 * none, belongs to a connection that has ended.
 *
 * A connection has
 *
 *   - the deadline for a request, from its first octet to its last; for the first one, from the accept,
 *   - twice the deadline while the answer is made,
 *   - the deadline to take the answer, and a second more for each 256 KB of it,
 *   - CM_CONNECTION_IDLE_MS between an answer and the next request.
 *
 * When there are too many, the one that has waited between requests for longest makes room for one more;
 * where none does, the new one is closed at once. Room may come a turn later than the new one. One that is
 * too many is the last of its turn: what waits in the socket's backlog would else be accepted all at once,
 * and take the descriptors of everybody else.
 *
 * Whoever is over its time has its socket shut down; evhttp then frees what belongs to it. Looked at eight
 * times a deadline. What a client sends ahead stays in its socket beyond CM_CONNECTION_AHEAD_SIZE.
 *
 * Thread: its event loop's.
 */
#ifndef CM_STATUS_CONNECTIONS_H
#define CM_STATUS_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cm_loop;
struct evhttp;
struct evhttp_request;
struct cm_connections;

#define CM_CONNECTION_IDLE_MS    60000
#define CM_CONNECTION_AHEAD_SIZE 32768

struct cm_connections_limits {
    uint32_t deadline_ms;
    uint32_t connections_max;        /* of all threads */
    _Atomic uint32_t *shared_count;  /* of all threads */
    _Atomic uint64_t *refused_count; /* over the limit, closed at once */
    _Atomic uint64_t *cut_count;     /* too slow */
    void (*on_look)(void *arg); /* at each look, for whoever has something to do now and then */
    void (*accept)(bool may_accept, void *arg); /* false: no more before true, later in this turn */
    void *arg;
};

/* Notes what http accepts from now on. Ends the process without memory. */
struct cm_connections *cm_connections_new(struct cm_loop *loop, struct evhttp *http,
                                          const struct cm_connections_limits *limits);

/* After evhttp_free. Takes NULL. */
void cm_connections_free(struct cm_connections *connections);

/* A whole request is there; its answer of size octets is handed out. */
void cm_connections_begin(struct cm_connections *connections, struct evhttp_request *request);
void cm_connections_answer(struct cm_connections *connections, struct evhttp_request *request,
                           size_t size);

/* Closes those that wait for nothing, now and from now on. */
void cm_connections_stop(struct cm_connections *connections);

#endif
