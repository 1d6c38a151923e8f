/*
 * Recent requests: the keys that were answered lately, in memory.
 *
 * A request's key is a hash, so the index over all of them (table request) is the store's one
 * random index: a row put into it alone dirties a page of its own. New keys therefore go into the
 * log of requests (table request_log, one row an operation, in the order of commits) and in here.
 * When enough have gathered, the writer moves them into the index by stretches of neighbouring
 * keys, many rows to a page, and forgets them here. A start reads the log back.
 *
 * Threads: one writer adds, undoes, sorts and forgets; any thread finds. Each stretch has a mutex.
 */
#ifndef CM_STORE_SQLITE_RECENT_H
#define CM_STORE_SQLITE_RECENT_H

#include "engine/store/store.h"

/* A stretch holds the keys that begin with one octet. */
enum { CM_RECENT_STRETCHES = 256 };

/* What a request came to. */
struct cm_recent_item {
    struct cm_request_key key;
    int64_t answer; /* number of its certificate; of its refusal, negative */
};

struct cm_recent;

/* NULL when out of memory. */
struct cm_recent *cm_recent_new(void);
void cm_recent_free(struct cm_recent *recent); /* takes NULL */

/* Any thread. The answer, or 0: not here. It may be that of a transaction that is still open: only
 * who finds its row in a snapshot may believe it. */
int64_t cm_recent_find(struct cm_recent *recent, const struct cm_request_key *key);

/*
 * Any thread. How often stretches were forgotten. Who finds a key neither here nor in a snapshot of
 * the index knows that it is in neither only when this number is what it was before the snapshot
 * was taken: it grows after the moved rows are durable and before they are forgotten.
 */
uint64_t cm_recent_moves(const struct cm_recent *recent);

/* Writer. False: the key is here already. What was added since settle can be undone. */
CM_MUST_USE bool cm_recent_add(struct cm_recent *recent, const struct cm_recent_item *item);
void cm_recent_settle(struct cm_recent *recent);
void cm_recent_undo(struct cm_recent *recent);

/* Writer, with everything settled. */
size_t cm_recent_count(const struct cm_recent *recent);
/* The items of a stretch in the order of their keys; valid until the next call on this table. */
const struct cm_recent_item *cm_recent_sorted(struct cm_recent *recent, unsigned stretch,
                                              size_t *ret_count);
void cm_recent_forget(struct cm_recent *recent, unsigned first_stretch, unsigned count);

#endif
