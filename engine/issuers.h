/*
 * Issuers: the generations of every authority whose keys sign, ready to.
 *
 * An authority may have several active generations side by side, each with its own key, provider,
 * certificate and chain; engine/spread.h decides which takes a batch. For each, the engine opens the
 * key in its provider, holds the public key against the CA certificate, and prepares a template for
 * every profile that may be issued under it (engine/issuer.h).
 *
 * Generations that are pending are made ready in the same way, so that they issue from the batch on that
 * follows their activation. Those that are retiring, retired or compromised issue nothing more, but what they
 * have issued wants CRLs and OCSP responses until its end: they are here, too, as long as their own
 * certificate lasts, and nothing chooses them. A key of theirs that cannot be opened is a notice, not a failure:
 * it is tried again, and NULL until then. One that was retired with its key is not here, or stays as it is with
 * nothing done for it.
 *
 * How many CRL shards a generation has, and under which URL they are found, stands in its certificates:
 * it is fixed in the store before the first of them (engine/fixing.h), and from then on counts more than
 * the settings.
 *
 * Their number only grows, and none moves: a worker may hold on to one. What the store has new of them while the
 * engine runs, cm_issuers_look takes up.
 *
 * Life: cm_issuers_open (asynchronous: keys may be far away), then lookups, then cm_issuers_stop, and
 * cm_issuers_close when no batch is left and they are idle.
 */
#ifndef CM_ENGINE_ISSUERS_H
#define CM_ENGINE_ISSUERS_H

#include <stdatomic.h>

#include "engine/issuer.h"

/* In the life of one engine. */
enum { CM_ISSUERS_MAX = 1024 };

/* Provider instances, in the order of settings->providers. */
struct cm_issuers_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_provider *const *providers;
    struct cm_store *store; /* to fix shards and URLs in; NULL: they are the settings' */
    bool
        may_wait; /* where no generation of an authority is active: until one is; else that is a failure */
    void (*on_notice)(const char *text, void *arg); /* may be NULL */
    void (*on_idle)(void *arg); /* after stop: the last key has answered; may be NULL */
    /* The key of it has been opened; may be NULL. */
    void (*on_opened)(const struct cm_issuer_key *issuer, void *arg);
    /* After opened, on the loop: one that was not here is, and its key is open, or cannot be for now; which ones
     * issue, or have a key, has changed. May be NULL. */
    void (*on_added)(const struct cm_issuer_key *issuer, void *arg);
    void (*on_changed)(void *arg);
    void *arg;
};

struct cm_issuers {
    const struct cm_settings *settings;
    struct cm_issuers_env env;
    struct cm_issuer_key *keys;  /* in the order of the store; room for CM_ISSUERS_MAX */
    _Atomic uint32_t keys_count; /* those before it do not change their place */
    uint32_t pending_count;      /* keys whose opening is still out */
    struct cm_fixing *fixing;
    bool must_look;   /* when fixing has ended */
    cm_status status; /* of the opening: the first that failed */
    struct cm_error err;
    struct cm_task task;
    struct cm_timer retry; /* of keys that are not there */
    struct cm_timer again; /* of a look that failed */
    unsigned retries_count;
    bool is_stopped;
    void (*opened)(struct cm_issuers *issuers, void *arg);
    void *arg;
};

/*
 * Calls back: opened, once, on the loop; issuers->status says how it went (NO_KEY, MISMATCH when key
 *             and certificate differ, NOT_FOUND when an authority has no active generation, ...).
 */
void cm_issuers_open(struct cm_issuers *issuers, const struct cm_issuers_env *env,
                     struct cm_store_reader *reader,
                     void (*opened)(struct cm_issuers *issuers, void *arg), void *arg);
/*
 * Does:       takes up what the store says of generations by now: new ones, and other states. One that is
 *             active issues from the next batch on, or from when its key is open.
 * Thread:     the loop's, after opened; what fails is tried again.
 */
void cm_issuers_look(struct cm_issuers *issuers);

/* No key is tried again. */
void cm_issuers_stop(struct cm_issuers *issuers);
bool cm_issuers_are_idle(const struct cm_issuers *issuers);
void cm_issuers_close(struct cm_issuers *issuers);

/* Whether the authority has an active generation. */
bool cm_issuers_have(const struct cm_issuers *issuers,
                     const struct cm_settings_authority *authority);
/* NULL when none of these has this number. It may be one that does not issue. */
const struct cm_issuer_key *cm_issuers_by_generation(const struct cm_issuers *issuers,
                                                     int64_t generation_number);
/* Its place among the keys. */
static inline uint32_t cm_issuers_position(const struct cm_issuers *issuers,
                                           const struct cm_issuer_key *issuer)
{
    return (uint32_t)(issuer - issuers->keys);
}

#endif
