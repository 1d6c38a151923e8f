/*
 * Issuers: the generations of every authority whose keys sign, ready to.
 *
 * An authority may have several active generations side by side, each with its own key, provider,
 * certificate and chain; engine/spread.h decides which takes a batch. For each, the engine opens the
 * key in its provider, holds the public key against the CA certificate, and prepares a template for
 * every profile that may be issued under it.
 *
 * Generations that are retiring or retired issue nothing more, but what they have issued wants CRLs and
 * OCSP responses until its end: they are here, too, as long as their own certificate lasts, without
 * templates, and nothing chooses them. A key of theirs that cannot be opened is a notice, not a failure:
 * it is tried again, and NULL until then. Compromised ones are not here.
 *
 * How many CRL shards a generation has, and under which URL they are found, stands in its certificates:
 * it is fixed in the store before the first of them (engine/fixing.h), and from then on counts more than
 * the settings.
 *
 * All but a key that is late is immutable from opened on, and any worker may use it.
 *
 * Life: cm_issuers_open (asynchronous: keys may be far away), then lookups, then cm_issuers_stop, and
 * cm_issuers_close when no batch is left and they are idle.
 */
#ifndef CM_ENGINE_ISSUERS_H
#define CM_ENGINE_ISSUERS_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"
#include "engine/x509/certificate.h"
#include "engine/x509/proof.h"
#include "engine/x509/template.h"
#include "providers/provider.h"

/* One key of an authority. */
struct cm_issuer_key {
    char name[96]; /* "issuing-1": authority and generation */
    const struct cm_settings_authority *authority;
    int64_t generation_number;
    bool issues; /* certificates; else it signs only what tells of those that it has issued */
    const struct cm_settings_provider
        *provider;      /* NULL: not in the settings; then it is not opened */
    char *reference;    /* of the key within the provider, owned */
    struct cm_key *key; /* NULL: not there yet, where it does not issue; the loop's then */
    struct cm_public_key public_key;           /* spans over certificate */
    struct cm_issuer issuer;                   /* spans over certificate */
    struct cm_bytes certificate;               /* DER, owned */
    struct cm_bytes chain;                     /* PEM, owned */
    char *crl_url, *ocsp_url, *ca_issuers_url; /* owned, ${issuer} filled in; NULL: none */
    struct cm_template *
        *templates; /* by position of the profile in the settings; NULL: it issues none */
    bool is_being_opened;
    struct cm_issuers *issuers;
};

/* Provider instances, in the order of settings->providers. */
struct cm_issuers_env {
    struct cm_loop *loop;
    const struct cm_settings *settings;
    struct cm_provider *const *providers;
    struct cm_store *store; /* to fix shards and URLs in; NULL: they are the settings' */
    void (*on_notice)(const char *text, void *arg); /* may be NULL */
    void (*on_idle)(void *arg); /* after stop: the last key has answered; may be NULL */
    void *arg;
};

struct cm_issuers {
    const struct cm_settings *settings;
    struct cm_issuers_env env;
    struct cm_issuer_key *keys; /* in the order of the store */
    uint32_t keys_count;
    uint32_t pending_count; /* keys whose opening is still out */
    struct cm_fixing *fixing;
    cm_status status; /* of the opening: the first that failed */
    struct cm_error err;
    struct cm_task task;
    struct cm_timer retry; /* of keys that are not there */
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

/* Its certificate is past its end. */
bool cm_issuer_has_ended(const struct cm_issuer_key *issuer, int64_t now_s);

/* NULL when the issuer may not issue the profile. */
const struct cm_template *cm_issuer_template(const struct cm_issuer_key *issuer,
                                             const struct cm_profile *profile);

#endif
