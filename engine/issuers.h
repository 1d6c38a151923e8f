/*
 * Issuers: the active generations of every authority, ready to sign.
 *
 * An authority may have several active generations side by side, each with its own key, provider,
 * certificate and chain; engine/spread.h decides which takes a batch. For each, the engine opens the
 * key in its provider, holds the public key against the CA certificate, and prepares a template for
 * every profile that may be issued under it. From then on an issuer key is immutable, and any worker
 * may use it.
 *
 * Life: cm_issuers_open (asynchronous: keys may be far away), then lookups, then cm_issuers_close
 * when no batch is left.
 */
#ifndef CM_ENGINE_ISSUERS_H
#define CM_ENGINE_ISSUERS_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"
#include "engine/x509/certificate.h"
#include "engine/x509/proof.h"
#include "engine/x509/template.h"
#include "providers/provider.h"

/* One key that certificates are signed with. */
struct cm_issuer_key {
    char name[96]; /* "issuing-1": authority and generation */
    const struct cm_settings_authority *authority;
    int64_t generation_number;
    struct cm_key *key;
    struct cm_public_key public_key;           /* spans over key->spki */
    struct cm_issuer issuer;                   /* spans over certificate */
    struct cm_bytes certificate;               /* DER, owned */
    struct cm_bytes chain;                     /* PEM, owned */
    char *crl_url, *ocsp_url, *ca_issuers_url; /* owned, ${issuer} filled in; NULL: none */
    struct cm_template **templates;            /* by position of the profile in the settings */
    struct cm_issuers *issuers;
};

struct cm_issuers {
    const struct cm_settings *settings;
    struct cm_issuer_key *keys; /* all active generations, in the order of the store */
    uint32_t keys_count;
    uint32_t pending_count; /* keys whose opening is still out */
    cm_status status;       /* of the opening: the first that failed */
    struct cm_error err;
    struct cm_task task;
    void (*opened)(struct cm_issuers *issuers, void *arg);
    void *arg;
};

/* Provider instances, in the order of settings->providers. */
struct cm_issuers_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_provider *const *providers;
};

/*
 * Calls back: opened, once, on the loop; issuers->status says how it went (NO_KEY, MISMATCH when key
 *             and certificate differ, NOT_FOUND when an authority has no active generation, ...).
 */
void cm_issuers_open(struct cm_issuers *issuers, const struct cm_issuers_env *env,
                     struct cm_store_reader *reader,
                     void (*opened)(struct cm_issuers *issuers, void *arg), void *arg);
void cm_issuers_close(struct cm_issuers *issuers);

/* Whether the authority has an active generation. */
bool cm_issuers_have(const struct cm_issuers *issuers,
                     const struct cm_settings_authority *authority);
/* NULL when none that is active has this number. */
const struct cm_issuer_key *cm_issuers_by_generation(const struct cm_issuers *issuers,
                                                     int64_t generation_number);

/* NULL when the issuer may not issue the profile. */
const struct cm_template *cm_issuer_template(const struct cm_issuer_key *issuer,
                                             const struct cm_profile *profile);

#endif
