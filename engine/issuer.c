#include "engine/issuer.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/hash.h"
#include "engine/fixing.h"
#include "engine/issuers.h"

static char *copy_text(struct cm_bytes text)
{
    char *copy = strndup((const char *)text.data, text.size);
    if (!copy)
        abort();
    return copy;
}

/* ------------------------------------------------------------------ what is said of it -- */

/* The CA certificate says who the issuer is; settings and record say where its status is published. */
static cm_status describe(struct cm_issuer_key *issuer, struct cm_error *err)
{
    struct cm_certificate certificate;
    struct cm_refusal refusal;
    cm_status status = cm_certificate_read(issuer->certificate, &certificate, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&certificate, &issuer->issuer, err);
    if (status == CM_OK && !cm_public_key_read(certificate.spki, &issuer->public_key, &refusal))
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "public key of %s: %s", issuer->name,
                         refusal.message);
    return status;
}

cm_status cm_issuer_init(struct cm_issuer_key *issuer, struct cm_issuers *issuers,
                         const struct cm_generation *generation,
                         const struct cm_settings_authority *authority, struct cm_error *err)
{
    char *provider = copy_text(generation->provider);
    *issuer = (struct cm_issuer_key){ .issuers = issuers,
                                      .authority = authority,
                                      .generation_number = generation->number,
                                      .state = generation->state,
                                      .active_ms = generation->active_ms,
                                      .replaces = generation->replaces,
                                      .provider = cm_settings_provider(issuers->settings, provider),
                                      .reference = copy_text(generation->key),
                                      .certificate = cm_bytes_copy(generation->certificate),
                                      .chain = cm_bytes_copy(generation->chain) };
    snprintf(issuer->name, sizeof issuer->name, "%s-%lld", authority->name,
             (long long)generation->generation);
    free(provider);
    return describe(issuer, err);
}

void cm_issuer_set_urls(struct cm_issuer_key *issuer, uint32_t crl_shards, char *crl_url)
{
    const struct cm_settings_authority *authority = issuer->authority;
    issuer->crl_url = crl_url;
    issuer->ocsp_url = cm_fill_issuer_url(authority->ocsp_url, issuer->name);
    issuer->ca_issuers_url = cm_fill_issuer_url(authority->ca_issuers_url, issuer->name);
    issuer->issuer.crl_shards = crl_shards;
    issuer->issuer.crl_url = issuer->crl_url;
    issuer->issuer.ocsp_url = issuer->ocsp_url;
    issuer->issuer.ca_issuers_url = issuer->ca_issuers_url;
}

/* ------------------------------------------------------------------ templates -- */

static bool group_allows(const struct cm_settings_group *group, const struct cm_profile *profile)
{
    for (uint32_t i = 0; i < group->profiles_count; i++)
        if (group->profiles[i] == profile)
            return true;
    return false;
}

static bool is_issued_under(const struct cm_settings *settings, const struct cm_profile *profile,
                            const struct cm_settings_authority *authority)
{
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (settings->groups[i].authority == authority
            && group_allows(&settings->groups[i], profile))
            return true;
    return false;
}

static cm_status build_templates(struct cm_issuer_key *issuer, struct cm_error *err)
{
    const struct cm_settings *settings = issuer->issuers->settings;
    issuer->templates = calloc(settings->profiles_count, sizeof(struct cm_template *));
    if (!issuer->templates)
        abort();
    for (uint32_t i = 0; i < settings->profiles_count; i++) {
        if (!is_issued_under(settings, settings->profiles[i], issuer->authority))
            continue;
        struct cm_error why;
        cm_status status =
            cm_template_build(settings->profiles[i], &issuer->issuer, &issuer->templates[i], &why);
        if (status != CM_OK)
            return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "profile %s under %s: %s",
                           settings->profiles[i]->name, issuer->name, why.text);
    }
    return CM_OK;
}

static void free_templates(struct cm_issuer_key *issuer)
{
    for (uint32_t i = 0; issuer->templates && i < issuer->issuers->settings->profiles_count; i++)
        cm_template_free(issuer->templates[i]);
    free(issuer->templates);
    issuer->templates = NULL;
}

/* ------------------------------------------------------------------ the key -- */

/* Both fingerprints, so that an operator can tell which of the two is the wrong one. */
static cm_status refuse_other_key(const struct cm_issuer_key *issuer, const struct cm_key *key,
                                  struct cm_error *err)
{
    uint8_t hash[CM_SHA256_SIZE];
    char of_key[2 * CM_SHA256_SIZE + 1], of_certificate[2 * CM_SHA256_SIZE + 1];
    cm_sha256(&key->spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), of_key);
    cm_sha256(&issuer->issuer.spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), of_certificate);
    return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                   "%.40s: its key is not the certificate's: key %s, certificate %s", issuer->name,
                   of_key, of_certificate);
}

static bool may_issue(const struct cm_issuer_key *issuer)
{
    return issuer->state == CM_GENERATION_ACTIVE || issuer->state == CM_GENERATION_PENDING;
}

/* Where templates fail it signs what tells of certificates nevertheless; only it never issues. */
cm_status cm_issuer_take_key(struct cm_issuer_key *issuer, struct cm_key *key, struct cm_error *err)
{
    if (!cm_bytes_equal(issuer->issuer.spki, key->spki)) {
        cm_status status = refuse_other_key(issuer, key, err);
        cm_provider_close_key(key);
        return status;
    }
    cm_status status = CM_OK;
    if (may_issue(issuer)) {
        issuer->issuer.sigalg = key->alg;
        status = build_templates(issuer, err);
    }
    if (status != CM_OK)
        free_templates(issuer);
    issuer->key = key;
    return status;
}

void cm_issuer_done(struct cm_issuer_key *issuer)
{
    free_templates(issuer);
    free(issuer->reference);
    if (issuer->key)
        cm_provider_close_key(issuer->key);
    free((void *)(uintptr_t)issuer->certificate.data);
    free((void *)(uintptr_t)issuer->chain.data);
    free(issuer->crl_url);
    free(issuer->ocsp_url);
    free(issuer->ca_issuers_url);
    *issuer = (struct cm_issuer_key){ 0 };
}

/* ------------------------------------------------------------------ looking -- */

bool cm_issuer_has_ended(const struct cm_issuer_key *issuer, int64_t now_s)
{
    return now_s > issuer->issuer.not_after_s;
}

const struct cm_template *cm_issuer_template(const struct cm_issuer_key *issuer,
                                             const struct cm_profile *profile)
{
    const struct cm_settings *settings = issuer->issuers->settings;
    for (uint32_t i = 0; issuer->templates && i < settings->profiles_count; i++)
        if (settings->profiles[i] == profile)
            return issuer->templates[i];
    return NULL;
}
