#include "engine/x509/template.h"

#include <stdio.h>

#include "engine/x509/composition.h"
#include "engine/x509/serial.h"
#include "engine/x509/subject.h"

static bool check_serial(struct cm_bytes serial, struct cm_refusal *refusal)
{
    return cm_serial_is_good(serial)
           || cm_refuse(refusal, CM_REFUSAL_ENGINE_INTERNAL, CM_REFUSAL_NO_OFFSET,
                        "the serial is not a positive INTEGER of 1 to 20 octets");
}

static bool resolve_validity(struct cm_composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    const struct cm_issuer *issuer = &c->template->issuer;
    int64_t now_s = c->in->issue_time_s;
    int64_t validity_s = profile->validity_s;
    if (now_s < issuer->not_before_s || now_s > issuer->not_after_s)
        return cm_refuse(c->refusal, CM_REFUSAL_POLICY_ISSUER_EXPIRED, CM_REFUSAL_NO_OFFSET,
                         "the issuing certificate is %s",
                         now_s < issuer->not_before_s ? "not valid yet" : "not valid any more");
    if (c->in->validity_s > 0 && c->in->validity_s < validity_s)
        validity_s = c->in->validity_s;
    c->not_before_s = now_s - profile->backdate_s;
    if (c->not_before_s < issuer->not_before_s)
        c->not_before_s = issuer->not_before_s;
    /* Subtracted, because a sum might overflow. */
    c->not_after_s = issuer->not_after_s;
    if (validity_s == CM_VALIDITY_NO_EXPIRY)
        c->not_after_s = CM_DER_TIME_MAX_S;
    else if (validity_s - 1 < issuer->not_after_s - c->not_before_s)
        c->not_after_s = c->not_before_s + validity_s - 1;
    return true;
}

static bool check_key(struct cm_composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    enum cm_key_type type = c->in->key_type;
    if (!(profile->key_types & CM_KEY_TYPE_BIT(type)))
        return cm_refuse(c->refusal, CM_REFUSAL_POLICY_KEY_TYPE_NOT_ALLOWED, CM_REFUSAL_NO_OFFSET,
                         "profile %s does not allow %s keys", profile->name,
                         cm_key_type_name(type));
    c->ski = c->in->ski.size > 0 ? c->in->ski : cm_bytes(c->own_ski, sizeof c->own_ski);
    return cm_composer_ski(c->composer, profile->ski_method, c->in->spki, c->own_ski)
           || cm_refuse(c->refusal, CM_REFUSAL_KEY_ENCODING, CM_REFUSAL_NO_OFFSET, NULL);
}

static void put_altnames(struct cm_der_writer *w, const struct cm_composition *c)
{
    size_t mark = cm_der_mark(w);
    for (size_t index = c->altnames_count; index-- > 0;)
        cm_altname_put(w, &c->altnames[index]);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_SUBJECT_ALT_NAME), c->subject_count == 0);
}

static void put_ski(struct cm_der_writer *w, const struct cm_composition *c)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_OCTET_STRING, c->ski);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_SUBJECT_KEY_ID), false);
}

static void put_crl(struct cm_der_writer *w, const struct cm_composition *c)
{
    char shard[11];
    int length = snprintf(shard, sizeof shard, "%u", c->crl_shard);
    cm_extension_put_points(w, CM_OID_CRL_DISTRIBUTION_POINTS, c->template->crl_url_parts[0],
                            cm_bytes(shard, (size_t)length), c->template->crl_url_parts[1]);
}

static void put_extensions(struct cm_der_writer *w, const struct cm_composition *c)
{
    const struct cm_template *template = c->template;
    size_t mark = cm_der_mark(w);
    if (c->altnames_count > 0)
        put_altnames(w, c);
    put_ski(w, c);
    if (template->crl_url_parts[0].size > 0 && !template->profile->no_revocation_info)
        put_crl(w, c);
    cm_der_put(w, template->extensions[c->in->key_type == CM_KEY_RSA]);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(w, CM_DER_CONTEXT_CONSTRUCTED(3), mark);
}

static struct cm_bytes put_subject(struct cm_der_writer *w, const struct cm_composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    size_t mark = cm_der_mark(w);
    if (c->in->subject.size > 0) {
        cm_der_put(w, c->in->subject);
        return c->in->subject;
    }
    for (size_t index = profile->subject_count; index-- > 0;)
        if (c->subject[index].size > 0)
            cm_subject_put(w, profile->subject[index].field, c->subject[index]);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    return cm_bytes(w->next, cm_der_mark(w) - mark);
}

/* Nobody but a CA with the issuer's own key bears the issuer's name. */
static bool check_subject(const struct cm_composition *c, struct cm_bytes name)
{
    const struct cm_template *template = c->template;
    bool is_self_signed =
        template->profile->ca && cm_bytes_equal(c->in->spki, template->issuer.spki);
    return is_self_signed || !cm_bytes_equal(name, template->issuer.name)
           || cm_refuse(c->refusal, CM_REFUSAL_NAME_IS_ISSUER, CM_REFUSAL_NO_OFFSET, NULL);
}

static void put_validity(struct cm_der_writer *w, const struct cm_composition *c)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_time(w, c->not_after_s);
    cm_der_put_time(w, c->not_before_s);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

static bool put_tbs(struct cm_der_writer *w, const struct cm_composition *c)
{
    static const uint8_t version_3[] = { 0xa0, 0x03, 0x02, 0x01, 0x02 };
    put_extensions(w, c);
    cm_der_put(w, c->in->spki);
    if (!check_subject(c, put_subject(w, c)))
        return false;
    put_validity(w, c);
    cm_der_put(w, c->template->head);
    cm_der_put_tlv(w, CM_DER_INTEGER, c->in->serial);
    cm_der_put(w, cm_bytes(version_3, sizeof version_3));
    cm_der_wrap(w, CM_DER_SEQUENCE, 0);
    return !w->overflow
           || cm_refuse(c->refusal, CM_REFUSAL_DER_TOO_LARGE, CM_REFUSAL_NO_OFFSET,
                        "the certificate would be larger than %d bytes", CM_TBS_SIZE_MAX);
}

uint32_t cm_crl_shard(struct cm_bytes serial, uint32_t shards_count)
{
    uint64_t number = 0;
    for (size_t index = serial.size > 8 ? serial.size - 8 : 0; index < serial.size; index++)
        number = number << 8 | serial.data[index];
    return shards_count > 1 ? (uint32_t)(number % shards_count) : 0;
}

/* The tables are large, filled as far as counted, and not zeroed. */
static void begin(struct cm_composition *c, const struct cm_template *template,
                  struct cm_composer *composer, const struct cm_template_input *in,
                  struct cm_refusal *refusal)
{
    c->template = template;
    c->composer = composer;
    c->in = in;
    c->refusal = refusal;
    c->space = (struct cm_text_space){ .data = composer->text, .size = sizeof composer->text };
    c->subject_count = 0;
    c->altnames_count = 0;
}

bool cm_template_compose_subject(const struct cm_template *template, struct cm_composer *composer,
                                 const struct cm_template_input *in, struct cm_arena *arena,
                                 struct cm_bytes *ret_name, struct cm_refusal *refusal)
{
    struct cm_composition c;
    struct cm_der_writer w;
    begin(&c, template, composer, in, refusal);
    if (!cm_composition_resolve_subject(&c))
        return false;
    cm_der_writer_init(&w, composer->tbs, sizeof composer->tbs);
    put_subject(&w, &c);
    *ret_name = cm_arena_copy(arena, cm_der_written(&w));
    return true;
}

bool cm_template_compose(const struct cm_template *template, struct cm_composer *composer,
                         const struct cm_template_input *in, struct cm_arena *arena,
                         struct cm_tbs *ret_tbs, struct cm_refusal *refusal)
{
    struct cm_composition c;
    struct cm_der_writer w;
    begin(&c, template, composer, in, refusal);
    if (!check_serial(in->serial, refusal) || !resolve_validity(&c) || !check_key(&c)
        || !cm_composition_resolve_subject(&c) || !cm_composition_resolve_altnames(&c))
        return false;
    c.crl_shard = cm_crl_shard(in->serial, template->issuer.crl_shards);
    cm_der_writer_init(&w, composer->tbs, sizeof composer->tbs);
    if (!put_tbs(&w, &c))
        return false;
    ret_tbs->der = cm_arena_copy(arena, cm_der_written(&w));
    ret_tbs->not_before_s = c.not_before_s;
    ret_tbs->not_after_s = c.not_after_s;
    ret_tbs->crl_shard = c.crl_shard;
    return true;
}
