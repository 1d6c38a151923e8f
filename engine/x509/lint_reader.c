#include "engine/x509/lint_reader.h"

#include "engine/x509/subject.h"

static bool read_version(struct cm_der *tbs)
{
    struct cm_der version;
    struct cm_bytes number;
    size_t offset = tbs->position;
    if (!cm_der_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(0), "version", &version)
        || !cm_der_read_integer(&version, "version", &number)
        || !cm_der_finish(&version, "version"))
        return false;
    return (number.size == 1 && number.data[0] == 2)
           || cm_refuse(tbs->refusal, CM_REFUSAL_LINT_FAILED, offset, "version is not v3");
}

static bool read_time(struct cm_der *validity, const char *what, struct cm_lint_time *ret_time)
{
    if (cm_der_at_end(validity))
        return cm_refuse(validity->refusal, CM_REFUSAL_DER_TOO_FEW_ELEMENTS, validity->position,
                         "%s", what);
    ret_time->tag = validity->start[validity->position];
    return cm_der_read_time(validity, what, &ret_time->time_s);
}

static bool read_validity(struct cm_der *tbs, struct cm_lint_reading *r)
{
    struct cm_der validity;
    return cm_der_enter(tbs, CM_DER_SEQUENCE, "validity", &validity)
           && read_time(&validity, "notBefore", &r->not_before)
           && read_time(&validity, "notAfter", &r->not_after)
           && cm_der_finish(&validity, "validity");
}

/* One RDN with one attribute; anything but DER only turns the flag off. */
static bool read_rdn(struct cm_der *name, struct cm_lint_reading *r)
{
    struct cm_der rdn, attribute;
    struct cm_bytes oid;
    struct cm_der_element value;
    struct cm_refusal ignored;
    if (!cm_der_enter(name, CM_DER_SET, "RDN", &rdn)
        || !cm_der_enter(&rdn, CM_DER_SEQUENCE, "attribute", &attribute)
        || !cm_der_finish(&rdn, "RDN") || !cm_der_read_oid(&attribute, "attribute", &oid)
        || !cm_der_read_any(&attribute, "attribute", &value)
        || !cm_der_finish(&attribute, "attribute"))
        return false;
    enum cm_subject_field field = cm_subject_field_of_oid(cm_oid_find(oid));
    if (field == CM_SUBJECT_FIELD_COUNT || value.tag != cm_subject_string_tag(field)
        || !cm_subject_value_check(field, value.content, &ignored))
        r->subject_is_good = false;
    else
        r->subject_counts[field]++;
    return true;
}

static bool read_subject(struct cm_der *tbs, struct cm_lint_reading *r)
{
    struct cm_der name = *tbs, rdns;
    if (!cm_der_read_sequence(tbs, "subject", &r->subject)
        || !cm_der_enter(&name, CM_DER_SEQUENCE, "subject", &rdns))
        return false;
    r->subject_is_good = true;
    while (!cm_der_at_end(&rdns))
        if (!read_rdn(&rdns, r))
            return false;
    return true;
}

/* What stands in an otherName: HardwareModuleName or PermanentIdentifier. */
static bool read_other_name(struct cm_der *names, const struct cm_der_element *element,
                            struct cm_altname_value *ret_name)
{
    struct cm_der other = cm_der_inside(names, element->content), outer, inner;
    struct cm_der_element value = { 0 };
    struct cm_bytes type;
    if (!cm_der_read_oid(&other, "otherName", &type)
        || !cm_der_enter(&other, CM_DER_CONTEXT_CONSTRUCTED(0), "otherName", &outer)
        || !cm_der_finish(&other, "otherName")
        || !cm_der_enter(&outer, CM_DER_SEQUENCE, "otherName", &inner)
        || !cm_der_finish(&outer, "otherName"))
        return false;
    bool is_module = cm_oid_find(type) == CM_OID_HARDWARE_MODULE_NAME;
    ret_name->kind = is_module ? CM_ALTNAME_HARDWARE_MODULE : CM_ALTNAME_PERMANENT_ID;
    if (!is_module && !cm_bytes_equal(type, cm_altname_permanent_identifier()))
        ret_name->kind = CM_ALTNAME_COUNT;
    while (!cm_der_at_end(&inner)) {
        if (!cm_der_read_any(&inner, "otherName", &value))
            return false;
        if (value.tag == CM_DER_OID)
            ret_name->oid = value.whole;
        else if (value.tag == (is_module ? CM_DER_OCTET_STRING : CM_DER_UTF8_STRING))
            ret_name->value = value.content;
        else
            ret_name->kind = CM_ALTNAME_COUNT;
    }
    return true;
}

static enum cm_altname_kind kind_of_tag(uint8_t tag)
{
    switch (tag) {
    case CM_DER_CONTEXT(1):
        return CM_ALTNAME_EMAIL;
    case CM_DER_CONTEXT(2):
        return CM_ALTNAME_DNS;
    case CM_DER_CONTEXT(6):
        return CM_ALTNAME_URI;
    case CM_DER_CONTEXT(7):
        return CM_ALTNAME_IP;
    default:
        return CM_ALTNAME_COUNT;
    }
}

static bool read_altname(struct cm_der *names, struct cm_lint_reading *r)
{
    struct cm_altname_value name = { 0 };
    struct cm_der_element element;
    struct cm_refusal ignored;
    if (!cm_der_read_any(names, "subjectAltName", &element))
        return false;
    name.kind = kind_of_tag(element.tag);
    name.value = element.content;
    if (element.tag == CM_DER_CONTEXT_CONSTRUCTED(0) && !read_other_name(names, &element, &name))
        return false;
    if (r->altnames_count == CM_ALTNAMES_MAX || name.kind == CM_ALTNAME_COUNT
        || (name.kind == CM_ALTNAME_HARDWARE_MODULE && name.oid.size == 0)
        || !cm_altname_check(&name, r->altnames_count, &ignored))
        r->altnames_are_good = false;
    else
        r->altnames[r->altnames_count++] = name;
    return true;
}

static bool read_altnames(struct cm_der *value, struct cm_lint_reading *r)
{
    struct cm_der names;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "subjectAltName", &names))
        return false;
    while (!cm_der_at_end(&names))
        if (!read_altname(&names, r))
            return false;
    return true;
}

/* keyIdentifier and nothing else. */
static bool read_aki(struct cm_der *value, struct cm_lint_reading *r)
{
    struct cm_der inner;
    struct cm_der_element key_id;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "authorityKeyIdentifier", &inner)
        || !cm_der_read(&inner, CM_DER_CONTEXT(0), "keyIdentifier", &key_id)
        || !cm_der_finish(&inner, "authorityKeyIdentifier"))
        return false;
    r->aki = key_id.content;
    return true;
}

static bool read_basic_constraints(struct cm_der *value, struct cm_lint_reading *r)
{
    struct cm_der inner;
    struct cm_bytes path_len;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "basicConstraints", &inner))
        return false;
    if (cm_der_next_is(&inner, CM_DER_BOOLEAN)) {
        if (!cm_der_read_boolean(&inner, "cA", &r->ca))
            return false;
        if (!r->ca)
            return cm_refuse(value->refusal, CM_REFUSAL_DER_DEFAULT_ENCODED, CM_REFUSAL_NO_OFFSET,
                             "cA is FALSE by default");
    }
    if (cm_der_next_is(&inner, CM_DER_INTEGER)) {
        if (!cm_der_read_unsigned(&inner, "pathLenConstraint", &path_len))
            return false;
        if (path_len.size > 1)
            return cm_refuse(value->refusal, CM_REFUSAL_DER_TOO_LARGE, CM_REFUSAL_NO_OFFSET,
                             "pathLenConstraint");
        r->path_len = path_len.size ? path_len.data[0] : 0;
    }
    return cm_der_finish(&inner, "basicConstraints");
}

static bool read_key_usage(struct cm_der *value, struct cm_lint_reading *r)
{
    uint16_t bits;
    if (!cm_der_read_named_bits(value, "keyUsage", &bits))
        return false;
    r->key_usage = bits;
    return true;
}

/* One distribution point with one URL and nothing else. */
static bool read_crl(struct cm_der *value, struct cm_lint_reading *r)
{
    static const char what[] = "cRLDistributionPoints";
    struct cm_der points, point, name, full_name;
    struct cm_der_element url;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, what, &points)
        || !cm_der_enter(&points, CM_DER_SEQUENCE, what, &point) || !cm_der_finish(&points, what)
        || !cm_der_enter(&point, CM_DER_CONTEXT_CONSTRUCTED(0), what, &name)
        || !cm_der_finish(&point, what)
        || !cm_der_enter(&name, CM_DER_CONTEXT_CONSTRUCTED(0), what, &full_name)
        || !cm_der_finish(&name, what) || !cm_der_read(&full_name, CM_DER_CONTEXT(6), what, &url)
        || !cm_der_finish(&full_name, what))
        return false;
    r->crl_url = url.content;
    return true;
}

static bool read_access(struct cm_der *list, struct cm_lint_reading *r)
{
    static const char what[] = "authorityInfoAccess";
    struct cm_der access;
    struct cm_bytes method;
    struct cm_der_element url;
    if (!cm_der_enter(list, CM_DER_SEQUENCE, what, &access)
        || !cm_der_read_oid(&access, what, &method)
        || !cm_der_read(&access, CM_DER_CONTEXT(6), what, &url) || !cm_der_finish(&access, what))
        return false;
    enum cm_oid id = cm_oid_find(method);
    struct cm_bytes *place = id == CM_OID_AD_OCSP         ? &r->ocsp_url
                             : id == CM_OID_AD_CA_ISSUERS ? &r->ca_issuers_url
                                                          : NULL;
    if (!place || place->size > 0)
        return cm_refuse(list->refusal, CM_REFUSAL_LINT_FAILED, CM_REFUSAL_NO_OFFSET,
                         "authorityInfoAccess: another method, or one twice");
    *place = url.content;
    return true;
}

static bool read_authority_info(struct cm_der *value, struct cm_lint_reading *r)
{
    struct cm_der list;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "authorityInfoAccess", &list))
        return false;
    while (!cm_der_at_end(&list))
        if (!read_access(&list, r))
            return false;
    return true;
}

static bool read_value(struct cm_der *value, enum cm_oid id, struct cm_lint_reading *r)
{
    switch (id) {
    case CM_OID_SUBJECT_KEY_ID:
        return cm_der_read_octet_string(value, "subjectKeyIdentifier", &r->ski);
    case CM_OID_AUTHORITY_KEY_ID:
        return read_aki(value, r);
    case CM_OID_BASIC_CONSTRAINTS:
        return read_basic_constraints(value, r);
    case CM_OID_KEY_USAGE:
        return read_key_usage(value, r);
    case CM_OID_EXTENDED_KEY_USAGE:
        return cm_der_read_sequence(value, "extKeyUsage", &r->purposes);
    case CM_OID_CERTIFICATE_POLICIES:
        return cm_der_read_sequence(value, "certificatePolicies", &r->policies);
    case CM_OID_NAME_CONSTRAINTS:
        return cm_der_read_sequence(value, "nameConstraints", &r->name_constraints);
    case CM_OID_SUBJECT_ALT_NAME:
        return read_altnames(value, r);
    case CM_OID_CRL_DISTRIBUTION_POINTS:
        return read_crl(value, r);
    case CM_OID_AUTHORITY_INFO_ACCESS:
        return read_authority_info(value, r);
    case CM_OID_OCSP_NO_CHECK:
        return cm_der_read_null(value, "ocspNoCheck");
    default:
        value->position = value->end; /* a rule refuses it by its name */
        return true;
    }
}

static bool stands_before(const struct cm_lint_reading *r, struct cm_bytes oid)
{
    for (size_t index = 0; index < r->extensions_count; index++)
        if (cm_bytes_equal(r->extensions[index].oid, oid))
            return true;
    return false;
}

static bool read_extensions(struct cm_der *tbs, struct cm_lint_reading *r)
{
    struct cm_der outer, list;
    if (!cm_der_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(3), "extensions", &outer)
        || !cm_der_enter(&outer, CM_DER_SEQUENCE, "extensions", &list)
        || !cm_der_finish(&outer, "extensions"))
        return false;
    while (!cm_der_at_end(&list)) {
        struct cm_extension extension;
        if (!cm_extension_read(&list, &extension))
            return false;
        if (r->extensions_count == CM_LINT_EXTENSIONS_MAX)
            return cm_refuse(list.refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, list.position,
                             "extensions");
        struct cm_der value = cm_der_inside(&list, extension.value);
        /* The first of two is the one that is read; a rule refuses the second. */
        bool is_first = !stands_before(r, extension.oid);
        if (is_first
            && (!read_value(&value, extension.id, r) || !cm_der_finish(&value, "extension")))
            return false;
        r->extensions[r->extensions_count++] = extension;
    }
    return true;
}

bool cm_lint_read(struct cm_bytes tbs, struct cm_lint_reading *ret_reading,
                  struct cm_refusal *refusal)
{
    struct cm_lint_reading *r = ret_reading;
    struct cm_der der = cm_der_open(tbs, refusal), inner;
    /* The two tables are filled as far as counted. */
    memset(r, 0, offsetof(struct cm_lint_reading, extensions));
    memset(&r->extensions_count, 0,
           offsetof(struct cm_lint_reading, altnames)
               - offsetof(struct cm_lint_reading, extensions_count));
    r->altnames_count = 0;
    r->altnames_are_good = true;
    r->path_len = CM_PATH_LEN_NONE;
    /* Everything is read here or by a rule, element by element: no walk over the whole is needed. */
    return cm_der_enter(&der, CM_DER_SEQUENCE, "whole", &inner) && cm_der_finish(&der, "whole")
           && read_version(&inner) && cm_der_read_integer(&inner, "serialNumber", &r->serial)
           && cm_der_read_sequence(&inner, "signature", &r->sigalg)
           && cm_der_read_sequence(&inner, "issuer", &r->issuer) && read_validity(&inner, r)
           && read_subject(&inner, r)
           && cm_der_read_sequence(&inner, "subjectPublicKeyInfo", &r->spki)
           && read_extensions(&inner, r) && cm_der_finish(&inner, "TBSCertificate");
}
