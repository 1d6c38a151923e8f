/*
 * Gate: entries whose requester must authenticate wait here until a worker has looked at them.
 *
 * It stands before everything that an entry could claim: its (requester, id), the requester's rate,
 * the answer that recall may know. Entries of requesters that need not authenticate do not pass
 * through it, and where no requester must there is no gate.
 *
 * Entries go to the workers in lots; there are as many lots as workers, so that lots are small when
 * there is little to do and large when there is much. What comes back has a standing
 * (queue/queue.h) and goes on to intake. Stale entries have a rate of their own: they use up nothing of
 * their requester's, and what is too much of them passes for forged.
 *
 * Thread: the loop's alone.
 */
#ifndef CM_ENGINE_GATE_H
#define CM_ENGINE_GATE_H

#include "engine/base/workers.h"
#include "engine/limits.h"
#include "queue/queue.h"

struct cm_engine;

enum { CM_GATE_LOT_MAX = 64 };

struct cm_gate_lot {
    struct cm_work work;
    struct cm_engine *engine;
    bool is_out; /* on its way to a worker and back */
    struct cm_entry *entries[CM_GATE_LOT_MAX];
    uint32_t count;
};

struct cm_gate {
    bool is_needed; /* a requester must authenticate */
    struct cm_entry **waiting;
    uint32_t first, count, space; /* ring */
    struct cm_gate_lot *lots;
    uint32_t lots_count;
    struct cm_limit *stale_limits; /* by position of the requester in the settings */
    uint32_t forged_count;         /* since the owner was last told */
    uint64_t told_ns;              /* 0: never */
};

/* After the workers. The gate has room for all entries that the queue may hand out. */
void cm_gate_init(struct cm_engine *engine);
void cm_gate_done(struct cm_engine *engine);

/* True when the entry has to be looked at, and now waits for it. */
bool cm_gate_take(struct cm_engine *engine, struct cm_entry *entry);

/* Sends what waits to the workers. */
void cm_gate_continue(struct cm_engine *engine);

/* The engine stops: what waits goes back to the queue; what is on a worker will. */
void cm_gate_give_back(struct cm_engine *engine);

#endif
