#include "engine/x509/reissue.h"

#include <stdio.h>

#include "engine/x509/internal.h"

#define SHARD_PLACEHOLDER "${shard}"

/* What is signed with, and what is said of it. */
struct reissue {
    const struct cm_reissue_input *in;
    struct cm_bytes spki, issuer_name;
    struct cm_bytes ski, aki;
    uint8_t own_ski[CM_SKI_SIZE];
    enum cm_sigalg sigalg;
    struct cm_extension extensions[CM_EXTENSIONS_MAX];
    size_t extensions_count;
};

/* Of the signer, or of the key: not taken from the model. */
static bool is_replaced(enum cm_oid id)
{
    return id == CM_OID_AUTHORITY_KEY_ID || id == CM_OID_SUBJECT_KEY_ID
           || id == CM_OID_CRL_DISTRIBUTION_POINTS || id == CM_OID_AUTHORITY_INFO_ACCESS
           || id == CM_OID_FRESHEST_CRL;
}

/* Behind subjectPublicKeyInfo stand the extensions: the model was read, so they are there. */
static bool read_extensions(struct reissue *reissue, struct cm_refusal *refusal)
{
    const struct cm_certificate *model = reissue->in->model;
    const uint8_t *end = model->tbs.data + model->tbs.size;
    const uint8_t *at = model->spki.data + model->spki.size;
    struct cm_der der = cm_der_open(cm_bytes(at, (size_t)(end - at)), refusal);
    struct cm_extensions extensions;
    if (!cm_extensions_enter(&der, CM_DER_CONTEXT_CONSTRUCTED(3), &extensions))
        return false;
    while (!cm_extensions_are_read(&extensions)) {
        struct cm_extension extension;
        if (!cm_extensions_next(&extensions, &extension))
            return false;
        if (!is_replaced(extension.id))
            reissue->extensions[reissue->extensions_count++] = extension;
    }
    return true;
}

/* --- writing, from the end on -------------------------------------------------------------------- */

static void put_status(struct cm_der_writer *w, const struct reissue *reissue)
{
    const struct cm_issuer *issuer = reissue->in->issuer;
    if (!issuer)
        return;
    if (issuer->crl_url) {
        const char *hole = strstr(issuer->crl_url, SHARD_PLACEHOLDER);
        size_t before = hole ? (size_t)(hole - issuer->crl_url) : strlen(issuer->crl_url);
        char shard[16] = "";
        if (hole)
            snprintf(shard, sizeof shard, "%u",
                     cm_crl_shard(reissue->in->serial, issuer->crl_shards));
        cm_extension_put_points(w, CM_OID_CRL_DISTRIBUTION_POINTS,
                                cm_bytes(issuer->crl_url, before), cm_bytes_str(shard),
                                cm_bytes_str(hole ? hole + strlen(SHARD_PLACEHOLDER) : ""));
    }
    if (issuer->ocsp_url || issuer->ca_issuers_url)
        cm_extension_put_authority_info(w, issuer->ocsp_url, issuer->ca_issuers_url);
}

static void put_ski(struct cm_der_writer *w, struct cm_bytes ski)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_OCTET_STRING, ski);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_SUBJECT_KEY_ID), false);
}

static void put_extensions(struct cm_der_writer *w, const struct reissue *reissue)
{
    size_t mark = cm_der_mark(w);
    put_status(w, reissue);
    for (size_t i = reissue->extensions_count; i-- > 0;) {
        const struct cm_extension *extension = &reissue->extensions[i];
        size_t value = cm_der_mark(w);
        cm_der_put(w, extension->value);
        cm_extension_wrap(w, value, extension->oid, extension->critical);
    }
    put_ski(w, reissue->ski);
    cm_extension_put_aki(w, reissue->aki);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(3), mark);
}

static void put_tbs(struct cm_der_writer *w, const struct reissue *reissue)
{
    static const uint8_t version_3[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };
    put_extensions(w, reissue);
    cm_der_put(w, reissue->spki);
    cm_der_put(w, reissue->in->model->subject);
    size_t validity = cm_der_mark(w);
    cm_der_put_time(w, reissue->in->not_after_s);
    cm_der_put_time(w, reissue->in->not_before_s);
    cm_der_wrap(w, CM_DER_SEQUENCE, validity);
    cm_der_put(w, reissue->issuer_name);
    cm_der_put(w, cm_sigalg_der(reissue->sigalg));
    cm_der_put_tlv(w, CM_DER_INTEGER, reissue->in->serial);
    cm_der_put(w, cm_bytes(version_3, sizeof version_3));
    cm_der_wrap(w, CM_DER_SEQUENCE, 0);
}

/* --- checks -------------------------------------------------------------------------------------- */

/* Of the model's own key the identifier stays what it was, however it was made. */
static cm_status identify(struct cm_composer *composer, struct reissue *reissue,
                          struct cm_error *err)
{
    const struct cm_reissue_input *in = reissue->in;
    reissue->spki = in->spki.size > 0 ? in->spki : in->model->spki;
    reissue->ski = in->model->ski;
    if (in->spki.size > 0 || reissue->ski.size == 0) {
        if (!cm_composer_ski(composer, CM_SKI_RFC7093_1, reissue->spki, reissue->own_ski))
            return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the key is no public key");
        reissue->ski = cm_bytes(reissue->own_ski, CM_SKI_SIZE);
    }
    reissue->issuer_name = in->issuer ? in->issuer->name : in->model->subject;
    reissue->aki = in->issuer ? in->issuer->ski : reissue->ski;
    reissue->sigalg = in->issuer ? in->issuer->sigalg : in->sigalg;
    return CM_OK;
}

static cm_status check(const struct cm_reissue_input *in, struct cm_error *err)
{
    if (!in->model->is_ca)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "the certificate is no authority's");
    if (in->not_before_s > in->not_after_s || !cm_der_time_is_in_range(in->not_before_s)
        || !cm_der_time_is_in_range(in->not_after_s))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "there is no time at which it would be valid");
    if (in->issuer
        && (in->not_before_s < in->issuer->not_before_s
            || in->not_after_s > in->issuer->not_after_s))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "it would be valid when its signer's certificate is not");
    return CM_OK;
}

cm_status cm_reissue_compose(struct cm_composer *composer, const struct cm_reissue_input *in,
                             struct cm_arena *arena, struct cm_tbs *ret_tbs, struct cm_error *err)
{
    struct reissue reissue = { .in = in };
    struct cm_refusal refusal;
    struct cm_der_writer w;
    cm_status status = check(in, err);
    if (status == CM_OK)
        status = identify(composer, &reissue, err);
    if (status != CM_OK)
        return status;
    if (!read_extensions(&reissue, &refusal))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "certificate: %s", refusal.message);
    cm_der_writer_init(&w, composer->tbs, sizeof composer->tbs);
    put_tbs(&w, &reissue);
    if (w.overflow)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the certificate would be too large");
    *ret_tbs = (struct cm_tbs){ .der = cm_arena_copy(arena, cm_der_written(&w)),
                                .not_before_s = in->not_before_s,
                                .not_after_s = in->not_after_s };
    return CM_OK;
}
