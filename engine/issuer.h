/*
 * Issuer: one generation of an authority, as the engine holds it: what its certificate says of it, where its status
 * is told, its key, and the templates of what it may issue.
 *
 * Part of engine/issuers.h, which says which there are. A key that is there is held against the certificate; of a
 * generation that issues, or may soon, templates are built with it. What workers read of it stays as it is
 * from then on.
 */
#ifndef CM_ENGINE_ISSUER_H
#define CM_ENGINE_ISSUER_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"
#include "engine/x509/certificate.h"
#include "engine/x509/proof.h"
#include "engine/x509/template.h"
#include "providers/provider.h"

struct cm_issuers;

/* One key of an authority. */
struct cm_issuer_key {
    char name[96]; /* "issuing-1": authority and generation */
    const struct cm_settings_authority *authority;
    int64_t generation_number;
    enum cm_generation_state state; /* the loop's */
    int64_t active_ms;              /* since when it issues; 0: never yet; the loop's */
    int64_t replaces;               /* generation number of the one whose place it takes; 0: none */
    bool is_over; /* retired with its key: nothing of it is signed any more. The loop's */
    bool
        issues; /* certificates; else it signs only what tells of those that it has issued. The loop's */
    const struct cm_settings_provider
        *provider;      /* NULL: not in the settings; then it is not opened */
    char *reference;    /* of the key within the provider, owned */
    struct cm_key *key; /* NULL: not there yet, where it does not issue; the loop's then */
    struct cm_public_key public_key;           /* spans over certificate */
    struct cm_issuer issuer;                   /* spans over certificate */
    struct cm_bytes certificate;               /* DER, owned */
    struct cm_bytes chain;                     /* PEM, owned */
    char *crl_url, *ocsp_url, *ca_issuers_url; /* owned, ${issuer} filled in; NULL: none */
    /* By position of the profile in the settings; NULL: it issues none. */
    struct cm_template **templates;
    bool is_being_opened;
    bool is_new; /* it has come while the engine runs, and its key has not answered yet */
    struct cm_issuers *issuers;
};

/* Its certificate is past its end. */
bool cm_issuer_has_ended(const struct cm_issuer_key *issuer, int64_t now_s);

/* NULL when the issuer may not issue the profile. */
const struct cm_template *cm_issuer_template(const struct cm_issuer_key *issuer,
                                             const struct cm_profile *profile);

/* --- for issuers.c --- */

/*
 * Does:       fills it from the store's record, but for the key. Free it with cm_issuer_done, also after a
 *             failure.
 * Fails with: what the certificate fails with.
 */
CM_MUST_USE cm_status cm_issuer_init(struct cm_issuer_key *issuer, struct cm_issuers *issuers,
                                     const struct cm_generation *generation,
                                     const struct cm_settings_authority *authority,
                                     struct cm_error *err);

/* crl_url is taken over; NULL: none. */
void cm_issuer_set_urls(struct cm_issuer_key *issuer, uint32_t crl_shards, char *crl_url);

/*
 * Does:       takes the key over, whatever comes out, and builds templates where the generation issues or
 *             is pending.
 * Fails with: MISMATCH (the key is not the certificate's), what templates fail with.
 */
CM_MUST_USE cm_status cm_issuer_take_key(struct cm_issuer_key *issuer, struct cm_key *key,
                                         struct cm_error *err);

void cm_issuer_done(struct cm_issuer_key *issuer);

#endif
