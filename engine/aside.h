/*
 * Aside: entries that wait in the engine for a key, outside of all batches.
 *
 * A batch is over only when all its lots are, so a request that nobody can sign for just now must not
 * stay in one: it would hold up the requests beside it, and with a few such batches the whole engine.
 * It comes here, and goes into a batch again
 *
 *   - at once, when it is to be composed anew for another key of its authority;
 *   - when a key of its authority signs again; until then one at a time, as a probe.
 *
 * From there on it takes turns with what has just come from the queue.
 *
 * What was promised to it (engine/promises.h) stands meanwhile. A probe in vain leaves a promise, so the
 * next one of that key is the same request again: one open intent for each key, however long it is away. It goes not through the queue: that
 * would hand it out again at once, before those that can be signed for, and round and round.
 *
 * An entry here gives its credit back to the queue, so that others are read in its place; its rate is
 * settled; it is detached from what came with it. Past CM_ASIDE_MAX entries no more credit is given back: then everything waits, as it does
 * in an engine whose only authority is away.
 *
 * The loop's alone.
 */
#ifndef CM_ENGINE_ASIDE_H
#define CM_ENGINE_ASIDE_H

#include <sys/queue.h>

#include "engine/base/loop.h"
#include "engine/settings/settings.h"
#include "queue/queue.h"

struct cm_engine;
struct cm_issuer_key;
struct cm_promise;

enum { CM_ASIDE_MAX = 65536 };

struct cm_aside_place;
STAILQ_HEAD(cm_aside_list, cm_aside_place);

struct cm_aside {
    struct cm_aside_list ready;   /* for the next batch */
    struct cm_aside_list waiting; /* for a key of their authority */
    uint32_t count;               /* of both */
    struct cm_timer timer;        /* runs while any are waiting */
    bool had_turn;                /* intake's: the last that went into a batch came from here */
};

void cm_aside_init(struct cm_engine *engine);
void cm_aside_done(struct cm_engine *engine); /* nothing is in it any more */

/*
 * Does:       takes an entry in, to be touched by the caller no more; authority is the one to wait for, NULL for none. promise is what was
 *             promised to it, NULL for nothing, and is held while the entry is here. An engine that no
 *             longer runs gives the entry back to the queue.
 */
void cm_aside_put(struct cm_engine *engine, struct cm_entry *entry,
                  const struct cm_settings_authority *authority, struct cm_promise *promise);

/* The first that may go into a batch; NULL: none. take is for that one. */
struct cm_entry *cm_aside_peek(const struct cm_engine *engine);
void cm_aside_take(struct cm_engine *engine);

/* A key signs again: who waited for its authority may go on. */
void cm_aside_look(struct cm_engine *engine);

/* Who has a promise of this key is here: the next probe of the key is for it. */
bool cm_aside_has_promised(const struct cm_engine *engine, const struct cm_issuer_key *issuer);

/* All of it goes back to the queue: the engine stops. */
void cm_aside_give_back(struct cm_engine *engine);

#endif
