/*
 * In flight: the requests that have arrived and are not answered yet, by their key.
 *
 * A second entry with the same (requester, id) waits behind the first, so that the engine never
 * works on one request twice at once; when the first is answered, the store knows the answer and
 * the second is told the same. The loop's alone.
 */
#ifndef CM_ENGINE_INFLIGHT_H
#define CM_ENGINE_INFLIGHT_H

#include "engine/request.h"

struct cm_inflight {
    struct cm_request **slots; /* open addressing, linear probing; NULL: free */
    uint32_t slots_count;      /* a power of two, at least twice the requests in flight */
};

void cm_inflight_init(struct cm_inflight *inflight, uint32_t requests_max);
void cm_inflight_done(struct cm_inflight *inflight);

/* An entry that waits for the request before it. */
struct cm_waiting {
    struct cm_waiting *next;
    struct cm_entry *entry;
};

/* Adds the request and returns NULL, or returns the one that is in flight under the same key. */
struct cm_request *cm_inflight_enter(struct cm_inflight *inflight, struct cm_request *request);

/* Hangs an entry behind the request in flight. */
void cm_inflight_wait(struct cm_request *first, struct cm_entry *entry);

/*
 * Takes the request out. Returns the entries that waited for it, in order of arrival; the caller
 * frees the nodes.
 */
struct cm_waiting *cm_inflight_leave(struct cm_inflight *inflight, struct cm_request *request);

#endif
