/*
 * Promises: open intents of requests that are in no batch, with neither a certificate nor an end.
 *
 * When the engine starts, the store may hold intents whose signature nobody can account for; and a
 * request that is set aside until a key signs again leaves one (engine/aside.h). Each is
 * kept here under its request's key. When the request comes again and composing it gives the very
 * same bytes (same serial and time, hash equal), the promise is kept: those bytes are signed. When
 * it gives others, or the request does not come within the hold time, the serial is abandoned: never
 * used again, and revoked as unaccounted by the status services. The loop's alone.
 */
#ifndef CM_ENGINE_PROMISES_H
#define CM_ENGINE_PROMISES_H

#include <sys/queue.h>

#include "engine/store/store.h"

/* Of which something is still promised. */
struct cm_promised_intent {
    struct cm_promised_intent *next; /* of its bucket */
    int64_t number;
    LIST_HEAD(, cm_promise) promises;
};

struct cm_promise {
    struct cm_promise *next; /* of its bucket */
    struct cm_promised_intent *intent;
    LIST_ENTRY(cm_promise) of_intent;
    struct cm_intent_item item;
    int64_t intent_number;
    int64_t created_ms;
    int64_t generation_number;
    uint32_t holders_count; /* entries of its request that are in a batch now, or set aside */
    bool is_over;           /* settled, and there only for who holds it */
    bool is_outdone; /* a later one stands for the same request: this one was given up before */
    const void *settled_by; /* the batch, or the abandonment, whose record settles it and is not
                               durable yet; else NULL */
};

struct cm_promises {
    struct cm_promise **buckets;         /* by key; NULL when there never was one */
    struct cm_promised_intent **intents; /* buckets by number */
    uint32_t buckets_count;              /* of each; a power of two */
    uint32_t open_count;
    /* Intents, as they were loaded, of which nothing is promised any more, and which are to be closed. */
    int64_t *finished;
    uint32_t finished_count;
};

/*
 * Reads the open intents. Where a request has several promises, it had begun to break the earlier ones when the
 * engine died, and only the latest may be kept. Fails with: what the reader fails with.
 */
CM_MUST_USE cm_status cm_promises_load(struct cm_promises *promises, struct cm_store_reader *reader,
                                       struct cm_error *err);
void cm_promises_done(struct cm_promises *promises);

/* An intent whose batch had to be given back or set aside becomes a promise again. Borrowed. */
struct cm_promise *cm_promises_add(struct cm_promises *promises, const struct cm_intent *intent,
                                   const struct cm_intent_item *item);

/* NULL when nothing was promised to this request, or what was is being, or has been, given up. */
struct cm_promise *cm_promises_find(const struct cm_promises *promises,
                                    const struct cm_request_key *key);

/*
 * True when everything still open of the intent is settled by this batch (or abandonment), so that its
 * record can close the intent too.
 */
bool cm_promises_closes(const struct cm_promises *promises, int64_t intent_number,
                        const void *batch);

/*
 * Takes a promise out because its serial is durably used or abandoned. Its memory stays for who holds
 * it. Returns the number of its intent if that was the last open one of it, else 0.
 */
int64_t cm_promises_settle(struct cm_promises *promises, struct cm_promise *promise);

/*
 * For every entry of its request that is in a batch or set aside: as long as one holds it, it is not
 * overdue. One request may have several entries, and one of them may settle what another holds.
 */
void cm_promise_hold(struct cm_promise *promise);
void cm_promise_let_go(struct cm_promise *promise);

/* Calls back for every promise that is neither held nor being settled. walk settles none. */
void cm_promises_walk(struct cm_promises *promises,
                      void (*walk)(struct cm_promise *promise, void *arg), void *arg);

#endif
