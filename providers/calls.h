/*
 * Calls: how long the threads that wait for a key store have been waiting.
 *
 * A vendor's module may never come back from a call, and no thread can be taken out of it. So every
 * blocking call notes when it began, in a place that a watchdog looks at from outside (host/): past
 * the deadline the process ends, and another one takes its place. Where no watchdog runs, the notes
 * cost a clock reading and two stores.
 */
#ifndef CM_PROVIDERS_CALLS_H
#define CM_PROVIDERS_CALLS_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/base/clock.h"

/* One thread's place. Zero: not in a call. */
struct cm_call {
    _Atomic uint64_t since_ns;
};

/* The places of one pool of threads; embedded in their owner. */
struct cm_calls {
    struct cm_calls *next; /* the registry's */
    struct cm_call *calls; /* borrowed from watch until unwatch */
    uint32_t calls_count;
};

/* Any thread; the registry has a lock of its own. */
void cm_calls_watch(struct cm_calls *calls);
void cm_calls_unwatch(struct cm_calls *calls);

/* How long the call that has lasted longest has lasted; 0: nobody waits. Any thread. */
uint64_t cm_calls_longest_ns(void);

/* patience_ns: what the call may take beyond the deadline (making a key takes its time). */
static inline void cm_call_begin(struct cm_call *call, uint64_t patience_ns)
{
    atomic_store_explicit(&call->since_ns, cm_clock_monotonic_ns() + patience_ns,
                          memory_order_relaxed);
}

static inline void cm_call_end(struct cm_call *call)
{
    atomic_store_explicit(&call->since_ns, 0, memory_order_relaxed);
}

#endif
