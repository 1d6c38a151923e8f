/*
 * Backend: what the queue suite needs from each queue's other side, where requesters stand.
 *
 * A name is what the tests call a request: its id and device where the backend has fields, its file
 * name (without extension) where it has files.
 */
#ifndef CM_TESTS_CONFORMANCE_QUEUE_BACKEND_H
#define CM_TESTS_CONFORMANCE_QUEUE_BACKEND_H

#include "queue/memory.h"
#include "queue/queue.h"

/* What a requester reads. */
struct queue_answer {
    char status[16];
    char code[64];
    char certificate[64]; /* as text; the rig's certificates are */
    unsigned copies_count;
};

struct queue_backend {
    const char *name;
    const struct cm_queue_ops *ops;
    bool counts_deliveries; /* also those to an engine that died */

    /* Before each test: an empty queue. False: not available here, the reason was printed. */
    bool (*set_up)(struct cm_queue_settings *ret_settings);
    void (*tear_down)(void);

    void (*push)(const char *name, struct cm_bytes csr);
    /* NULL where requests have no fields. */
    void (*push_pairs)(const struct cm_memory_pair *pairs, size_t pairs_count);

    /* False when the name has no answer. An empty name: of the requests without one. */
    bool (*find_answer)(const char *name, struct queue_answer *ret_answer);

    /* The notice that was published as number index, from 0: its fields but v, each behind a blank, in the
     * order of wire.md. False: there are not so many. */
    bool (*read_notice)(size_t index, char *ret_text, size_t space);

    /* Requests that are not acknowledged. */
    size_t (*count_pending)(void);
};

extern const struct queue_backend queue_backend_memory;
extern const struct queue_backend queue_backend_redis;
extern const struct queue_backend queue_backend_spool;

#endif
