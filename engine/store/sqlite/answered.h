/*
 * Answered requests: what is known of every request's key without reading a page.
 *
 * A request's key is a hash, so the index over all of them (table request) is the store's one
 * random index: a row put into it alone dirties a page of its own, and a look into it reads one. New
 * keys therefore go into the log of requests (table request_log, one row an operation, in the order
 * of commits) and, with their answers, in here. When enough have gathered, the writer moves them
 * into the index by stretches of neighbouring keys, many rows to a page. Of a key in the index 40
 * bits stay here, so that nobody looks for what was never asked: of a million new keys among ten
 * million old ones about nine are looked for in vain. A start reads log and index back.
 *
 * Memory: 32 to 64 octets a recent request, 6 to 11 an older one.
 * Threads: one writer adds, undoes, sorts and moves; any thread finds. Each stretch has a mutex.
 */
#ifndef CM_STORE_SQLITE_ANSWERED_H
#define CM_STORE_SQLITE_ANSWERED_H

#include "engine/store/store.h"

/* A stretch holds the keys that begin with one octet. */
enum { CM_ANSWERED_STRETCHES = 256 };

/* What a request came to. */
struct cm_answered_item {
    struct cm_request_key key;
    int64_t answer; /* number of its certificate; of its refusal, negative */
};

struct cm_answered;

/* NULL when out of memory. */
struct cm_answered *cm_answered_new(void);
void cm_answered_free(struct cm_answered *answered); /* takes NULL */

enum cm_answered_verdict {
    CM_ANSWERED_NEVER,
    CM_ANSWERED_LATELY, /* in no index yet; perhaps in a transaction that is still open */
    CM_ANSWERED_PERHAPS /* the index knows */
};

/* Any thread. *ret_answer is written for LATELY: believe it where a snapshot has its row. */
enum cm_answered_verdict cm_answered_find(struct cm_answered *answered,
                                          const struct cm_request_key *key, int64_t *ret_answer);

/*
 * Any thread. How often stretches were moved. A snapshot that was taken when this number was
 * smaller may lack in its index what is no longer a recent one.
 */
uint64_t cm_answered_moves(const struct cm_answered *answered);

/* Writer. False: the key is among the recent ones. What was added since settle can be undone. */
CM_MUST_USE bool cm_answered_add(struct cm_answered *answered, const struct cm_answered_item *item);
void cm_answered_settle(struct cm_answered *answered);
void cm_answered_undo(struct cm_answered *answered);

/* Writer, at the start: a key that stands in the index. */
void cm_answered_note_indexed(struct cm_answered *answered, const struct cm_request_key *key);

/* Writer, with everything settled. */
size_t cm_answered_recent_count(const struct cm_answered *answered);
/* The recent ones of a stretch in the order of their keys; valid until the next call on this table. */
const struct cm_answered_item *cm_answered_sorted(struct cm_answered *answered, unsigned stretch,
                                                  size_t *ret_count);
/* Their rows are durable in the index. */
void cm_answered_move(struct cm_answered *answered, unsigned first_stretch, unsigned count);

#endif
