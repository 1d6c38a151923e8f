/*
 * Spread: which key of an authority takes a batch.
 *
 * One authority may have several issuing keys: several vaults, regions, tokens. Of those that work, the
 * one with the fewest items outstanding takes the next batch, ties in rotation. Items count from
 * the moment of the choice to the end of their lot. So a key that is slow, or throttled, gets less by
 * itself, the rates of all add up, and there is no rate to configure.
 *
 *     cm_spread_choose(spread, items, now_ns, choices)     a batch begins
 *     ... the worker composes for choices[...].issuer ...
 *     cm_spread_settle(spread, items, choices)             it is composed: what it is for is known
 *     cm_spread_add(spread, issuer, n)                     for each lot
 *     cm_spread_signed(...) or cm_spread_failed(...)       for each attempt
 *     cm_spread_remove(spread, issuer, n)                  the lot is over
 *
 * Until a batch is composed nobody knows which authorities it is for, so it counts with its chosen key
 * of each.
 *
 * A key is *in trouble* from an attempt that came to nothing (the provider is away, throttled, lost
 * the answers) until a signature came from it. It gets no batch then. Every few seconds it gets one
 * request as a probe: one, because the serial of a probe in vain is abandoned when the request moves
 * to a key that works. When all keys of an authority are in trouble, the authority is *away*. If it is
 * the only one, its batches go to its keys all the same and wait there: nothing else could be done. If
 * there are others, its requests are kept out of the batches (engine/aside.h), but for the probes.
 *
 * The loop's alone: choices are written into the batch before a worker has it.
 */
#ifndef CM_ENGINE_SPREAD_H
#define CM_ENGINE_SPREAD_H

#include "engine/issuers.h"

enum { CM_PROBE_MS = 5000 };

/* What is remembered of one issuer key. */
struct cm_spread_key {
    uint32_t items_count;      /* outstanding */
    uint64_t trouble_since_ns; /* 0: it works */
    uint64_t probed_ns;        /* begin of the last probe */
    uint64_t turn;             /* number of the last choice that fell on it */
};

struct cm_spread {
    const struct cm_issuers *issuers;
    struct cm_spread_key *keys; /* by position of the issuer key */
    uint64_t turns_count;       /* choices so far */
    bool has_several;           /* authorities: the others are not to wait for one that is away */
};

/* For one authority, in a batch. */
struct cm_choice {
    const struct cm_issuer_key *issuer; /* NULL: the authority is away; its requests stay out */
    const struct cm_issuer_key *probe;  /* takes the first request; NULL: none is due */
    bool
        is_probe_promised; /* the authority is away, and the probe is for who has a promise of it */
    bool is_probe_taken;   /* the worker's: by a request; from dispatch on: the key is asked */
};

/* issuers outlives it. done takes one that was never initialised with init, zeroed. */
void cm_spread_init(struct cm_spread *spread, const struct cm_issuers *issuers);
void cm_spread_done(struct cm_spread *spread);
/* Which keys issue has changed. */
void cm_spread_look(struct cm_spread *spread);

/*
 * Does:       chooses for every authority of the settings, by its position, and counts items_count
 *             with each key chosen, until settle.
 */
void cm_spread_choose(struct cm_spread *spread, uint32_t items_count, uint64_t now_ns,
                      struct cm_choice *ret_choices);
/* Once for each choose. Probes that nobody took are due again. */
void cm_spread_settle(struct cm_spread *spread, uint32_t items_count,
                      const struct cm_choice *choices);

void cm_spread_add(struct cm_spread *spread, const struct cm_issuer_key *issuer,
                   uint32_t items_count);
void cm_spread_remove(struct cm_spread *spread, const struct cm_issuer_key *issuer,
                      uint32_t items_count);

/* An attempt brought a signature. True: the key was in trouble until now. */
bool cm_spread_signed(struct cm_spread *spread, const struct cm_issuer_key *issuer);
/* An attempt came to nothing, and nothing is wrong with what was asked. */
void cm_spread_failed(struct cm_spread *spread, const struct cm_issuer_key *issuer,
                      uint64_t now_ns);

/* Borrowed; never NULL. */
const struct cm_spread_key *cm_spread_key(const struct cm_spread *spread,
                                          const struct cm_issuer_key *issuer);
/* The key is in trouble, and another of its authority is not. */
bool cm_spread_has_better(const struct cm_spread *spread, const struct cm_issuer_key *issuer);
/* All keys of the authority are in trouble. */
bool cm_spread_is_away(const struct cm_spread *spread,
                       const struct cm_settings_authority *authority);
/* The key that a request of the authority would be taken as a probe of now; NULL: none is due. */
const struct cm_issuer_key *cm_spread_probe(const struct cm_spread *spread,
                                            const struct cm_settings_authority *authority,
                                            uint64_t now_ns);

#endif
