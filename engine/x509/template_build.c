/* The constant half of a template: made once, when settings are loaded or a CA key is activated. */
#include <stdlib.h>

#include "engine/x509/internal.h"
#include "engine/x509/name_constraints.h"
#include "engine/x509/url.h"

#define SHARD_PLACEHOLDER "${shard}"
#define ISSUER_NAME_MAX   4096
#define ENCODED_SIZE_MAX  (8 * 1024)

#define REFUSE(err, status, ...) CM_FAIL(err, status, CM_ORIGIN_SELF, 0, __VA_ARGS__)

static void put_basic_constraints(struct cm_der_writer *w, const struct cm_profile *profile)
{
    size_t mark = cm_der_mark(w);
    if (profile->ca) {
        if (profile->path_len != CM_PATH_LEN_NONE)
            cm_der_put_uint(w, (uint64_t)profile->path_len);
        cm_der_put_true(w);
    }
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_BASIC_CONSTRAINTS), true);
}

static void put_key_usage(struct cm_der_writer *w, unsigned usage)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_named_bits(w, usage);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_KEY_USAGE), true);
}

/* The profile has been checked: every text is an OID. */
static void put_purposes(struct cm_der_writer *w, const struct cm_profile *profile)
{
    size_t mark = cm_der_mark(w);
    for (size_t index = profile->purposes_count; index-- > 0;)
        cm_der_put_oid(w, cm_bytes_str(cm_purpose_oid(profile->purposes[index])));
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_EXTENDED_KEY_USAGE),
                      profile->purposes_critical);
}

static void put_ocsp_no_check(struct cm_der_writer *w)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_NULL, cm_bytes(NULL, 0));
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_OCSP_NO_CHECK), false);
}

static void put_policies(struct cm_der_writer *w, const struct cm_profile *profile)
{
    size_t mark = cm_der_mark(w);
    for (size_t index = profile->policies_count; index-- > 0;) {
        size_t policy = cm_der_mark(w);
        cm_der_put_oid(w, cm_bytes_str(profile->policies[index]));
        cm_der_wrap(w, CM_DER_SEQUENCE, policy);
    }
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_CERTIFICATE_POLICIES), false);
}

static bool has_name_constraints(const struct cm_profile *profile)
{
    return profile->permitted_names_count > 0 || profile->excluded_names_count > 0;
}

static void put_name_constraints(struct cm_der_writer *w, const struct cm_profile *profile)
{
    size_t mark = cm_der_mark(w);
    cm_name_constraints_put(w, profile->permitted_names, profile->permitted_names_count,
                            profile->excluded_names, profile->excluded_names_count);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_NAME_CONSTRAINTS), true);
}

/* Written backwards: the certificate has AKI first. */
static void put_extensions(struct cm_der_writer *w, const struct cm_template *template,
                           unsigned usage)
{
    const struct cm_profile *profile = template->profile;
    const struct cm_issuer *issuer = &template->issuer;
    bool has_crl = issuer->crl_url && !template->crl_url_parts[0].size;
    if (!profile->no_revocation_info && has_crl)
        cm_extension_put_points(w, CM_OID_CRL_DISTRIBUTION_POINTS, cm_bytes_str(issuer->crl_url),
                                cm_bytes(NULL, 0), cm_bytes(NULL, 0));
    if (!profile->no_revocation_info && (issuer->ocsp_url || issuer->ca_issuers_url))
        cm_extension_put_authority_info(w, issuer->ocsp_url, issuer->ca_issuers_url);
    if (profile->ocsp_no_check)
        put_ocsp_no_check(w);
    if (profile->policies_count > 0)
        put_policies(w, profile);
    if (has_name_constraints(profile))
        put_name_constraints(w, profile);
    if (profile->purposes_count > 0)
        put_purposes(w, profile);
    put_key_usage(w, usage);
    if (profile->ca || profile->basic_constraints)
        put_basic_constraints(w, profile);
    cm_extension_put_aki(w, issuer->ski);
}

static struct cm_bytes encode_extensions(struct cm_template *template, unsigned usage)
{
    struct cm_der_writer w;
    cm_der_writer_init(&w, cm_arena_alloc(&template->memory, ENCODED_SIZE_MAX), ENCODED_SIZE_MAX);
    put_extensions(&w, template, usage);
    return cm_der_written(&w);
}

static void encode_head(struct cm_template *template)
{
    struct cm_bytes algorithm = cm_sigalg_der(template->issuer.sigalg);
    size_t size = algorithm.size + template->issuer.name.size;
    uint8_t *head = cm_arena_alloc(&template->memory, size);
    memcpy(head, algorithm.data, algorithm.size);
    memcpy(head + algorithm.size, template->issuer.name.data, template->issuer.name.size);
    template->head = cm_bytes(head, size);
}

static cm_status check_url(const char *what, const char *url, struct cm_error *err)
{
    const char *problem = url ? cm_url_problem(url) : NULL;
    return problem ? REFUSE(err, CM_MALFORMED, "%s: %s", what, problem) : CM_OK;
}

static cm_status check_urls(const struct cm_issuer *issuer, struct cm_error *err)
{
    bool is_sharded = issuer->crl_url && strstr(issuer->crl_url, SHARD_PLACEHOLDER);
    if (check_url("CRL URL", issuer->crl_url, err) != CM_OK
        || check_url("OCSP URL", issuer->ocsp_url, err) != CM_OK
        || check_url("URL of the CA certificate", issuer->ca_issuers_url, err) != CM_OK)
        return CM_MALFORMED;
    if (issuer->crl_url && issuer->crl_shards > 1 && !is_sharded)
        return REFUSE(err, CM_MALFORMED, "CRL URL: %u shards, but no " SHARD_PLACEHOLDER,
                      issuer->crl_shards);
    return CM_OK;
}

static cm_status check_issuer(const struct cm_issuer *issuer, struct cm_error *err)
{
    /* An empty name is a SEQUENCE of two octets. */
    if (issuer->name.size <= 2 || issuer->name.size > ISSUER_NAME_MAX)
        return REFUSE(err, CM_MALFORMED, "issuer: no name, or one longer than %d bytes",
                      ISSUER_NAME_MAX);
    if (issuer->ski.size == 0 || issuer->ski.size > CM_SKI_SIZE_MAX)
        return REFUSE(err, CM_MALFORMED, "issuer: no subject key identifier of 1 to %d bytes",
                      CM_SKI_SIZE_MAX);
    if (issuer->sigalg == CM_SIGALG_UNKNOWN || issuer->sigalg >= CM_SIGALG_COUNT)
        return REFUSE(err, CM_MALFORMED, "issuer: no signature algorithm");
    if (issuer->not_before_s < CM_DER_TIME_MIN_S || issuer->not_after_s > CM_DER_TIME_MAX_S
        || issuer->not_before_s > issuer->not_after_s)
        return REFUSE(err, CM_MALFORMED, "issuer: impossible validity");
    return check_urls(issuer, err);
}

static cm_status check_path_len(const struct cm_profile *profile, const struct cm_issuer *issuer,
                                struct cm_error *err)
{
    if (!profile->ca || issuer->path_len == CM_PATH_LEN_NONE)
        return CM_OK;
    if (issuer->path_len == 0)
        return REFUSE(err, CM_MISMATCH, "profile %s makes CAs; the issuer's path length is 0",
                      profile->name);
    if (profile->path_len == CM_PATH_LEN_NONE || profile->path_len >= issuer->path_len)
        return REFUSE(err, CM_MISMATCH, "profile %s: path length not below the issuer's, %d",
                      profile->name, issuer->path_len);
    return CM_OK;
}

static const char *copy_text(struct cm_arena *memory, const char *text)
{
    return text ? cm_arena_printf(memory, "%s", text) : NULL;
}

static void copy_issuer(struct cm_template *template, const struct cm_issuer *issuer)
{
    struct cm_issuer *copy = &template->issuer;
    *copy = *issuer;
    copy->name = cm_arena_copy(&template->memory, issuer->name);
    copy->ski = cm_arena_copy(&template->memory, issuer->ski);
    copy->spki = cm_arena_copy(&template->memory, issuer->spki);
    copy->name_constraints = cm_arena_copy(&template->memory, issuer->name_constraints);
    copy->crl_url = copy_text(&template->memory, issuer->crl_url);
    copy->ocsp_url = copy_text(&template->memory, issuer->ocsp_url);
    copy->ca_issuers_url = copy_text(&template->memory, issuer->ca_issuers_url);
    copy->crl_shards = issuer->crl_shards ? issuer->crl_shards : 1;
}

static void split_crl_url(struct cm_template *template)
{
    const char *url = template->issuer.crl_url;
    const char *shard = url ? strstr(url, SHARD_PLACEHOLDER) : NULL;
    if (!shard)
        return;
    template->crl_url_parts[0] = cm_bytes(url, (size_t)(shard - url));
    template->crl_url_parts[1] = cm_bytes_str(shard + strlen(SHARD_PLACEHOLDER));
}

/* The profile has been checked: every template parses. */
static void parse_rules(struct cm_template *template)
{
    const struct cm_profile *profile = template->profile;
    size_t size = sizeof(struct cm_text_template);
    template->subject = cm_arena_zalloc(&template->memory, profile->subject_count * size);
    template->altnames = cm_arena_zalloc(&template->memory, profile->altnames_count * size);
    template->altname_oids = cm_arena_zalloc(&template->memory, profile->altnames_count * size);
    for (size_t index = 0; index < profile->subject_count; index++)
        cm_text_template_parse(profile->subject[index].text, &template->subject[index]);
    for (size_t index = 0; index < profile->altnames_count; index++) {
        cm_text_template_parse(profile->altnames[index].text, &template->altnames[index]);
        if (profile->altnames[index].oid)
            cm_text_template_parse(profile->altnames[index].oid, &template->altname_oids[index]);
    }
}

cm_status cm_template_build(const struct cm_profile *profile, const struct cm_issuer *issuer,
                            struct cm_template **ret_template, struct cm_error *err)
{
    if (cm_profile_check(profile, err) != CM_OK || check_issuer(issuer, err) != CM_OK)
        return CM_MALFORMED;
    if (check_path_len(profile, issuer, err) != CM_OK)
        return CM_MISMATCH;
    struct cm_template *template = calloc(1, sizeof *template);
    if (!template)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "template");
    cm_arena_init(&template->memory, 2 * ENCODED_SIZE_MAX);
    template->profile = profile;
    copy_issuer(template, issuer);
    split_crl_url(template);
    parse_rules(template);
    encode_head(template);
    template->extensions[0] = encode_extensions(template, profile->key_usage);
    template->extensions[1] = encode_extensions(template, profile->key_usage_rsa);
    if (template->extensions[0].size == 0 || template->extensions[1].size == 0) {
        cm_template_free(template);
        return REFUSE(err, CM_MALFORMED, "profile %s: more than %d bytes of extensions",
                      profile->name, ENCODED_SIZE_MAX);
    }
    *ret_template = template;
    return CM_OK;
}

void cm_template_free(struct cm_template *template)
{
    if (!template)
        return;
    cm_arena_done(&template->memory);
    free(template);
}

const struct cm_profile *cm_template_profile(const struct cm_template *template)
{
    return template->profile;
}

const struct cm_issuer *cm_template_issuer(const struct cm_template *template)
{
    return &template->issuer;
}
