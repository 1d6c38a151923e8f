#include "engine/x509/template.h"

#include <stdio.h>

#include "engine/x509/altname.h"
#include "engine/x509/internal.h"
#include "engine/x509/subject.h"

#define SERIAL_SIZE_MAX 20

/* One certificate on its way: what the rules came to, before anything is written. */
struct composition {
    const struct cm_template *template;
    struct cm_composer *composer;
    const struct cm_template_input *in;
    struct cm_refusal *refusal;
    struct cm_text_space space;
    struct cm_bytes subject[CM_SUBJECT_RULES_MAX]; /* empty where an optional one is left out */
    size_t subject_count;                          /* of those that are not */
    struct cm_altname_value altnames[CM_ALTNAMES_MAX];
    size_t altnames_count;
    int64_t not_before_s;
    int64_t not_after_s;
    uint32_t crl_shard;
    uint8_t ski[CM_SKI_SIZE];
};

static bool check_serial(struct cm_bytes serial, struct cm_refusal *refusal)
{
    bool is_good = serial.size >= 1 && serial.size <= SERIAL_SIZE_MAX && !(serial.data[0] & 0x80);
    if (is_good && serial.data[0] == 0)
        is_good = serial.size > 1 && serial.data[1] & 0x80; /* zero, or not minimal */
    return is_good
           || cm_refuse(refusal, CM_REFUSAL_ENGINE_INTERNAL, CM_REFUSAL_NO_OFFSET,
                        "the serial is not a positive INTEGER of 1 to 20 octets");
}

static bool resolve_validity(struct composition *c)
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

static bool check_key(struct composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    enum cm_key_type type = c->in->key_type;
    if (!(profile->key_types & CM_KEY_TYPE_BIT(type)))
        return cm_refuse(c->refusal, CM_REFUSAL_POLICY_KEY_TYPE_NOT_ALLOWED, CM_REFUSAL_NO_OFFSET,
                         "profile %s does not allow %s keys", profile->name,
                         cm_key_type_name(type));
    return cm_composer_ski(c->composer, profile->ski_method, c->in->spki, c->ski)
           || cm_refuse(c->refusal, CM_REFUSAL_KEY_ENCODING, CM_REFUSAL_NO_OFFSET, NULL);
}

/* Expands a template. *ret_text is empty where an optional one has no value. */
static bool resolve_text(struct composition *c, const struct cm_text_template *text, bool optional,
                         struct cm_bytes *ret_text)
{
    char printable[64];
    struct cm_bytes value;
    switch (cm_text_template_expand(text, c->in, &c->space, &value)) {
    case CM_TEXT_DONE:
        *ret_text = value;
        return true;
    case CM_TEXT_ABSENT:
        *ret_text = cm_bytes(NULL, 0);
        return optional
               || cm_refuse(c->refusal, CM_REFUSAL_POLICY_ATTRIBUTE_MISSING, CM_REFUSAL_NO_OFFSET,
                            "profile %s needs ${%s}, which this device does not have",
                            c->template->profile->name,
                            cm_bytes_printable(value, printable, sizeof printable));
    case CM_TEXT_TOO_LONG:
        break;
    }
    return cm_refuse(c->refusal, CM_REFUSAL_NAME_TOO_LONG, CM_REFUSAL_NO_OFFSET,
                     "the names are longer than %d bytes together", CM_TEXT_SIZE_MAX);
}

/* Does the device's own record have this name? */
static bool is_name_of_device(const struct composition *c, const struct cm_altname_value *name)
{
    struct cm_altname_value own = { .kind = name->kind, .value = c->in->device };
    uint8_t octets[16];
    if (cm_altname_equal(name, &own))
        return true;
    for (size_t index = 0; index < c->in->attributes_count; index++) {
        own.value = c->in->attributes[index].value;
        if (name->kind == CM_ALTNAME_IP)
            own.value = cm_bytes(octets, cm_altname_ip_read(own.value, octets));
        if (cm_altname_equal(name, &own))
            return true;
    }
    return false;
}

/* Where the profile says that names must match: what the template may take from the CSR is the
   device's own. */
static bool check_csr_values(struct composition *c, const struct cm_text_template *text)
{
    for (size_t index = 0; index < text->parts_count; index++) {
        const struct cm_text_part *part = &text->parts[index];
        if (part->source != CM_TEXT_CSR || !c->in->csr_name)
            continue;
        struct cm_altname_value name = {
            .kind = CM_ALTNAME_URI, /* compared by octet */
            .value = cm_name_find(c->in->csr_name, cm_subject_field_oid(part->field)),
        };
        if (name.value.size > 0 && !is_name_of_device(c, &name))
            return cm_refuse(c->refusal, CM_REFUSAL_POLICY_NAME_NOT_ALLOWED, CM_REFUSAL_NO_OFFSET,
                             "%s of the request is not this device's",
                             cm_subject_field_name(part->field));
    }
    return true;
}

static bool resolve_subject(struct composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    for (size_t index = 0; index < profile->subject_count; index++) {
        const struct cm_subject_rule *rule = &profile->subject[index];
        const struct cm_text_template *text = &c->template->subject[index];
        if (profile->csr_names_must_match && !check_csr_values(c, text))
            return false;
        if (!resolve_text(c, text, rule->optional, &c->subject[index]))
            return false;
        if (c->subject[index].size == 0)
            continue;
        if (!cm_subject_value_check(rule->field, c->subject[index], c->refusal))
            return false;
        c->subject_count++;
    }
    return true;
}

/* Adds a checked name, unless it is there already. */
static bool add_altname(struct composition *c, const struct cm_altname_value *name)
{
    for (size_t index = 0; index < c->altnames_count; index++)
        if (cm_altname_equal(name, &c->altnames[index]))
            return true;
    if (!cm_altname_check(name, c->altnames_count, c->refusal))
        return false;
    if (c->altnames_count == CM_ALTNAMES_MAX)
        return cm_refuse(c->refusal, CM_REFUSAL_SAN_TOO_MANY, CM_REFUSAL_NO_OFFSET,
                         "more than %d names", CM_ALTNAMES_MAX);
    c->altnames[c->altnames_count++] = *name;
    return true;
}

/* Bytes that live as long as the composition. */
static bool keep(struct composition *c, struct cm_bytes *bytes)
{
    if (bytes->size > c->space.size - c->space.used)
        return cm_refuse(c->refusal, CM_REFUSAL_NAME_TOO_LONG, CM_REFUSAL_NO_OFFSET,
                         "the names are longer than %d bytes together", CM_TEXT_SIZE_MAX);
    uint8_t *kept = c->space.data + c->space.used;
    memcpy(kept, bytes->data, bytes->size);
    c->space.used += bytes->size;
    bytes->data = kept;
    return true;
}

static bool resolve_ip(struct composition *c, struct cm_altname_value *name)
{
    uint8_t octets[16];
    name->value = cm_bytes(octets, cm_altname_ip_read(name->value, octets));
    if (name->value.size == 0)
        return cm_refuse(c->refusal, CM_REFUSAL_SAN_IP_LENGTH, CM_REFUSAL_NO_OFFSET,
                         "the device's value is not the text of an IP address");
    return keep(c, &name->value);
}

/* *ret_oid is empty where an optional rule has no value for it. */
static bool resolve_oid(struct composition *c, const struct cm_text_template *text, bool optional,
                        struct cm_bytes *ret_oid)
{
    uint8_t encoded[2 + CM_DER_OID_SIZE_MAX];
    struct cm_der_writer w;
    struct cm_bytes dotted;
    if (!resolve_text(c, text, optional, &dotted))
        return false;
    *ret_oid = cm_bytes(NULL, 0);
    if (dotted.size == 0)
        return true;
    cm_der_writer_init(&w, encoded, sizeof encoded);
    if (!cm_der_put_oid(&w, dotted))
        return cm_refuse(c->refusal, CM_REFUSAL_DER_OID_INVALID, CM_REFUSAL_NO_OFFSET,
                         "the device's value is not the dotted text of an OID");
    *ret_oid = cm_der_written(&w);
    return keep(c, ret_oid);
}

static bool resolve_altname(struct composition *c, size_t index)
{
    const struct cm_altname_rule *rule = &c->template->profile->altnames[index];
    struct cm_altname_value name = { .kind = rule->kind };
    if (!resolve_text(c, &c->template->altnames[index], rule->optional, &name.value))
        return false;
    if (name.value.size == 0)
        return true;
    if (rule->oid) {
        if (!resolve_oid(c, &c->template->altname_oids[index], rule->optional, &name.oid))
            return false;
        if (name.oid.size == 0)
            return true;
    }
    if (rule->kind == CM_ALTNAME_IP && !resolve_ip(c, &name))
        return false;
    return add_altname(c, &name);
}

static bool take_csr_altname(struct composition *c, const struct cm_san *from_csr)
{
    const struct cm_profile *profile = c->template->profile;
    struct cm_altname_value name = { .kind = (enum cm_altname_kind)from_csr->type,
                                     .value = from_csr->value };
    if (!(profile->csr_altnames & CM_ALTNAME_BIT(name.kind)))
        return !profile->csr_names_strict
               || cm_refuse(c->refusal, CM_REFUSAL_SAN_TYPE_NOT_ALLOWED, CM_REFUSAL_NO_OFFSET,
                            "profile %s takes no %s name from a request", profile->name,
                            cm_altname_kind_name(name.kind));
    for (size_t index = 0; index < c->altnames_count; index++)
        if (cm_altname_equal(&name, &c->altnames[index]))
            return true; /* a rule made the same name: nothing to match */
    if (profile->csr_names_must_match && !is_name_of_device(c, &name))
        return cm_refuse(c->refusal, CM_REFUSAL_SAN_NOT_OWNED, CM_REFUSAL_NO_OFFSET,
                         "a %s name of the request is not this device's",
                         cm_altname_kind_name(name.kind));
    return add_altname(c, &name);
}

static bool resolve_altnames(struct composition *c)
{
    for (size_t index = 0; index < c->template->profile->altnames_count; index++)
        if (!resolve_altname(c, index))
            return false;
    for (size_t index = 0; index < c->in->csr_sans_count; index++)
        if (!take_csr_altname(c, &c->in->csr_sans[index]))
            return false;
    if (c->subject_count == 0 && (c->altnames_count == 0 || c->template->profile->ca))
        return cm_refuse(c->refusal, CM_REFUSAL_NAME_EMPTY, CM_REFUSAL_NO_OFFSET,
                         "the certificate would name nobody");
    return true;
}

static void put_altnames(struct cm_der_writer *w, const struct composition *c)
{
    size_t mark = cm_der_mark(w);
    for (size_t index = c->altnames_count; index-- > 0;)
        cm_altname_put(w, &c->altnames[index]);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_SUBJECT_ALT_NAME), c->subject_count == 0);
}

static void put_ski(struct cm_der_writer *w, const struct composition *c)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_tlv(w, CM_DER_OCTET_STRING, cm_bytes(c->ski, sizeof c->ski));
    cm_extension_wrap(w, mark, cm_oid_content(CM_OID_SUBJECT_KEY_ID), false);
}

static void put_crl(struct cm_der_writer *w, const struct composition *c)
{
    char shard[11];
    int length = snprintf(shard, sizeof shard, "%u", c->crl_shard);
    cm_extension_put_crl(w, c->template->crl_url_parts[0], cm_bytes(shard, (size_t)length),
                         c->template->crl_url_parts[1]);
}

static void put_extensions(struct cm_der_writer *w, const struct composition *c)
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

static struct cm_bytes put_subject(struct cm_der_writer *w, const struct composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    size_t mark = cm_der_mark(w);
    for (size_t index = profile->subject_count; index-- > 0;)
        if (c->subject[index].size > 0)
            cm_subject_put(w, profile->subject[index].field, c->subject[index]);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
    return cm_bytes(w->next, cm_der_mark(w) - mark);
}

/* Nobody but a CA with the issuer's own key bears the issuer's name. */
static bool check_subject(const struct composition *c, struct cm_bytes name)
{
    const struct cm_template *template = c->template;
    bool is_self_signed =
        template->profile->ca && cm_bytes_equal(c->in->spki, template->issuer.spki);
    return is_self_signed || !cm_bytes_equal(name, template->issuer.name)
           || cm_refuse(c->refusal, CM_REFUSAL_NAME_IS_ISSUER, CM_REFUSAL_NO_OFFSET, NULL);
}

static void put_validity(struct cm_der_writer *w, const struct composition *c)
{
    size_t mark = cm_der_mark(w);
    cm_der_put_time(w, c->not_after_s);
    cm_der_put_time(w, c->not_before_s);
    cm_der_wrap(w, CM_DER_SEQUENCE, mark);
}

static bool put_tbs(struct cm_der_writer *w, const struct composition *c)
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
static void begin(struct composition *c, const struct cm_template *template,
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
    struct composition c;
    struct cm_der_writer w;
    begin(&c, template, composer, in, refusal);
    if (!resolve_subject(&c))
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
    struct composition c;
    struct cm_der_writer w;
    begin(&c, template, composer, in, refusal);
    if (!check_serial(in->serial, refusal) || !resolve_validity(&c) || !check_key(&c)
        || !resolve_subject(&c) || !resolve_altnames(&c))
        return false;
    c.crl_shard = cm_crl_shard(in->serial, template->issuer.crl_shards);
    cm_der_writer_init(&w, composer->tbs, sizeof composer->tbs);
    if (!put_tbs(&w, &c))
        return false;
    ret_tbs->der = cm_arena_copy(arena, cm_der_written(&w));
    ret_tbs->not_before_s = c.not_before_s;
    ret_tbs->not_after_s = c.not_after_s;
    ret_tbs->crl_shard = c.crl_shard;
    memcpy(ret_tbs->ski, c.ski, sizeof c.ski);
    return true;
}
