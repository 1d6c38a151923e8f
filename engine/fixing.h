/*
 * Fixing: what stands in a generation's certificates for life, written down before the first of them.
 *
 * The distribution point of a certificate names the shard that its revocation would stand in. Were the
 * number of shards or the URL to follow the settings, certificates that are out would name CRLs that
 * nobody publishes any more. So the engine fixes both in the generation's record when it first starts
 * with it, and reads them from there ever after. A generation of an authority without a URL has nothing
 * to fix: one CRL, of everything, until there is a URL.
 *
 *     fixing = cm_fixing_new(store);
 *     cm_fixing_look(fixing, &generation, name, authority, &ret)      for each generation, in the walk
 *     cm_fixing_begin(fixing, done, arg);                             done comes on a later turn
 *     cm_fixing_free(fixing);
 *
 * Thread: the loop's.
 */
#ifndef CM_ENGINE_FIXING_H
#define CM_ENGINE_FIXING_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"

struct cm_fixing;

struct cm_fixed {
    uint32_t crl_shards; /* 1 .. */
    char *crl_url;       /* with ${shard}; the caller's to free; NULL: none */
    bool differs;        /* the settings would have it otherwise: they are for new generations */
};

/* store NULL: nothing is written down, and the settings count where the record says nothing. */
struct cm_fixing *cm_fixing_new(struct cm_store *store);
void cm_fixing_free(struct cm_fixing *fixing); /* takes NULL */

/* What counts for this generation, called name ("issuing-1"); what is not fixed yet is noted. */
void cm_fixing_look(struct cm_fixing *fixing, const struct cm_generation *generation,
                    const char *name, const struct cm_settings_authority *authority,
                    struct cm_fixed *ret_fixed);

/*
 * Writes down what was noted. Calls back: done, once, inside the call where nothing was noted, else on
 * the loop; with what the store failed with first.
 */
typedef void cm_fixing_done_fn(cm_status status, const struct cm_error *err, void *arg);
void cm_fixing_begin(struct cm_fixing *fixing, cm_fixing_done_fn *done, void *arg);

/* The URL with the issuer's name for ${issuer}; ${shard} stays. NULL for NULL; else the caller's to free. */
char *cm_fill_issuer_url(const char *url, const char *issuer_name);

#endif
