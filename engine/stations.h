/*
 * Stations, by the clock: how long batches are at each, and how long they wait between them.
 *
 * A batch has one set of laps. Whoever holds it ends a lap where a station ends, and the time since the end
 * of the one before is that station's: a look at the clock for each, nothing to lock, and all of them
 * together are the time from the arrival of the oldest request to the last answer. Where a batch goes to several
 * keys at once, what passes until the last intent is durable is `intent`, and the rest `sign`.
 *
 *     cm_laps_begin(&batch->laps, batch->oldest_ns);
 *     cm_laps_end(&batch->laps, CM_STATION_GATHER);
 *
 * Time that is spent in one is not processor time: a worker may have to share its processor.
 */
#ifndef CM_ENGINE_STATIONS_H
#define CM_ENGINE_STATIONS_H

#include <string.h>

#include "engine/base/clock.h"

/* X(SYMBOL, name), in their order; `wait` is what lies between the others. */
#define CM_STATION_MAP(X)                                                                          \
    X(GATHER, "gather") /* from the arrival of its oldest request until the batch is begun */      \
    X(WAIT, "wait")     /* for a worker, and for the loop to take it back */                       \
    X(DECODE, "decode")                                                                            \
    X(ADMIT, "admit")                                                                              \
    X(RENEW, "renew")                                                                              \
    X(PROVE, "prove")                                                                              \
    X(COMPOSE, "compose")                                                                          \
    X(INTENT, "intent") /* dispatch: until the store has the intents */                            \
    X(SIGN, "sign")     /* dispatch: until the provider has signed */                              \
    X(SEAL, "seal")                                                                                \
    X(RECORD, "record")                                                                            \
    X(REPLY, "reply")

enum cm_station {
#define X(symbol, name) CM_STATION_##symbol,
    CM_STATION_MAP(X)
#undef X
        CM_STATION_COUNT
};

static inline const char *cm_station_name(enum cm_station station)
{
    static const char *const names[CM_STATION_COUNT] = {
#define X(symbol, name) [CM_STATION_##symbol] = name,
        CM_STATION_MAP(X)
#undef X
    };
    return names[station];
}

/* Of one batch; its holder's. */
struct cm_laps {
    uint64_t since_ns; /* the lap under way */
    uint64_t ns[CM_STATION_COUNT];
};

static inline void cm_laps_begin(struct cm_laps *laps, uint64_t since_ns)
{
    memset(laps, 0, sizeof *laps);
    laps->since_ns = since_ns;
}

static inline void cm_laps_end(struct cm_laps *laps, enum cm_station station)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    if (now_ns > laps->since_ns)
        laps->ns[station] += now_ns - laps->since_ns;
    laps->since_ns = now_ns;
}

#endif
