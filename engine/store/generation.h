/*
 * Generations: the keys of an authority, one after the other or side by side, and their states.
 *
 *     pending ---> active ---> retiring ---> retired
 *        \            \            \            \
 *         +------------+------------+------------+---> compromised
 *
 * pending      it has a key, and perhaps a certificate; it signs nothing yet
 * active       it issues
 * retiring     it issues no more, and goes on telling what has become of what it has issued
 * retired      all that it has issued has ended; its key is destroyed or archived, as was asked
 * compromised  someone else may have the key: nothing that it signs from now on is recorded
 *
 * A pending generation knows whose place it takes (replaces): by one transition it becomes active and the
 * other one retiring, so that there is never none and never two. One that replaces nobody stands beside
 * those that are active.
 */
#ifndef CM_ENGINE_STORE_GENERATION_H
#define CM_ENGINE_STORE_GENERATION_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

/* X(SYMBOL, name) */
#define CM_GENERATION_STATE_MAP(X)                                                                 \
    X(PENDING, "pending")                                                                          \
    X(ACTIVE, "active")                                                                            \
    X(RETIRING, "retiring")                                                                        \
    X(RETIRED, "retired")                                                                          \
    X(COMPROMISED, "compromised")

enum cm_generation_state {
#define X(symbol, name) CM_GENERATION_##symbol,
    CM_GENERATION_STATE_MAP(X)
#undef X
        CM_GENERATION_STATE_COUNT
};

const char *cm_generation_state_name(enum cm_generation_state state);
bool cm_generation_state_find(const char *name, enum cm_generation_state *ret_state);

/* Whether there is an arrow in the picture above. */
bool cm_generation_may_become(enum cm_generation_state from, enum cm_generation_state to);

/* What has become of its private key. X(SYMBOL, name) */
#define CM_KEY_FATE_MAP(X)                                                                         \
    X(KEPT, "kept")           /* it is where it was, and used */                                   \
    X(ARCHIVED, "archived")   /* it is where it was, and not used any more */                      \
    X(DESTROYED, "destroyed") /* it was destroyed */

enum cm_key_fate {
#define X(symbol, name) CM_KEY_##symbol,
    CM_KEY_FATE_MAP(X)
#undef X
        CM_KEY_FATE_COUNT
};

const char *cm_key_fate_name(enum cm_key_fate fate);
bool cm_key_fate_find(const char *name, enum cm_key_fate *ret_fate);

/* One key of an authority, with its certificate. */
struct cm_generation {
    int64_t number;            /* row; what certificates refer to */
    struct cm_bytes authority; /* "issuing" */
    int64_t generation;        /* 1, 2, ... within the authority: "issuing-1" */
    enum cm_generation_state state;
    struct cm_bytes provider;    /* name of the instance in the settings */
    struct cm_bytes key;         /* reference within the provider */
    struct cm_bytes sigalg;      /* name, engine/x509/algorithm.h */
    struct cm_bytes certificate; /* DER; empty: pending, it was asked for elsewhere */
    struct cm_bytes chain; /* PEM: this certificate and those above it, root left out; without a
                                    certificate: the request for it */
    int64_t created_ms;
    /* What stands in its certificates for life, fixed by the engine that first issues with it. */
    uint32_t crl_shards;     /* 0: not fixed yet */
    struct cm_bytes crl_url; /* with ${shard}; empty: none, or not fixed yet */
    int64_t replaces;        /* number of the one whose place it takes; 0: none */
    /* changed by transitions alone */
    int64_t active_ms;  /* since when it issues; 0: never yet */
    int64_t stopped_ms; /* since when it does not any more; 0: not yet */
    enum cm_key_fate key_fate;
};

/* "issuing-1", or "issuing/1". */
bool cm_generation_is_named(const struct cm_generation *generation, const char *name);

/*
 * The key of one generation, certified by another (RFC 4210, 4.4): "new with old" where the signer is the
 * older one, "old with new" where it is the newer.
 */
struct cm_cross_certificate {
    int64_t subject_number, issuer_number;
    struct cm_bytes certificate; /* DER */
};

/*
 * A change of state, checked and made inside the writer's transaction. Where the generation is what it is
 * to become already, nothing is changed, and it succeeds: whoever is not sure asks again.
 *
 * Fails with: NOT_FOUND; INVALID (no such arrow; without a certificate nothing becomes active); BUSY (to
 *             RETIRED: intents of it are open); DENIED (to RETIRING: it is the last active one of its
 *             authority, and may_be_last is not set).
 */
struct cm_transition {
    int64_t number;
    enum cm_generation_state to;
    enum cm_key_fate key_fate; /* to RETIRED */
    bool may_be_last;          /* to RETIRING: then the authority issues nothing */
    /* written by the store */
    bool changed;
    int64_t stopped_number; /* to ACTIVE: the one that issues no more; 0: none */
};

#endif
