#include "engine/x509/composition.h"
#include "engine/x509/subject.h"

/* Expands a template. *ret_text is empty where an optional one has no value. */
static bool resolve_text(struct cm_composition *c, const struct cm_text_template *text,
                         bool optional, struct cm_bytes *ret_text)
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
static bool is_name_of_device(const struct cm_composition *c, const struct cm_altname_value *name)
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
static bool check_csr_values(struct cm_composition *c, const struct cm_text_template *text)
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

bool cm_composition_resolve_subject(struct cm_composition *c)
{
    const struct cm_profile *profile = c->template->profile;
    if (c->in->subject.size > 0) { /* it is what it is */
        c->subject_count = 1;
        return true;
    }
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
static bool add_altname(struct cm_composition *c, const struct cm_altname_value *name)
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
static bool keep(struct cm_composition *c, struct cm_bytes *bytes)
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

static bool resolve_ip(struct cm_composition *c, struct cm_altname_value *name)
{
    uint8_t octets[16];
    name->value = cm_bytes(octets, cm_altname_ip_read(name->value, octets));
    if (name->value.size == 0)
        return cm_refuse(c->refusal, CM_REFUSAL_SAN_IP_LENGTH, CM_REFUSAL_NO_OFFSET,
                         "the device's value is not the text of an IP address");
    return keep(c, &name->value);
}

/* *ret_oid is empty where an optional rule has no value for it. */
static bool resolve_oid(struct cm_composition *c, const struct cm_text_template *text,
                        bool optional, struct cm_bytes *ret_oid)
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

static bool resolve_altname(struct cm_composition *c, size_t index)
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

static bool take_csr_altname(struct cm_composition *c, const struct cm_san *from_csr)
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

bool cm_composition_resolve_altnames(struct cm_composition *c)
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
