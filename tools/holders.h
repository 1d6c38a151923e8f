/*
 * Holders: every device that holds a certificate of a generation, read by stretches, so that however many there
 * are none is kept in memory, and a running engine is not held up. One thread.
 */
#ifndef CM_TOOLS_HOLDERS_H
#define CM_TOOLS_HOLDERS_H

#include "engine/store/campaign.h"

/* Which ones. */
struct cm_holders {
    int64_t generation_number;
    cm_certificate_number until; /* certificates up to this one; those behind it are renewals */
    struct cm_bytes groups;      /* names, a NUL behind each; empty: every group */
};

/*
 * Does:       calls back for each, in the order of their certificates; no responder is among them.
 *             The callback returns false to stop.
 * Fails with: what the store fails with.
 */
CM_MUST_USE cm_status cm_holders_walk(struct cm_store *store, const struct cm_holders *holders,
                                      cm_holder_walk_fn *walk, void *arg, struct cm_error *err);

/* How many they are. */
struct cm_holders_count {
    int64_t to_come;       /* have no later certificate, and are allowed one */
    int64_t barred;        /* have none, and are not allowed one: quarantined, retired */
    int64_t renewed;       /* have a later one, */
    int64_t renewed_since; /* and that since then */
};
CM_MUST_USE cm_status cm_holders_count(struct cm_store *store, const struct cm_holders *holders,
                                       int64_t since_ms, struct cm_holders_count *ret_count,
                                       struct cm_error *err);

#endif
