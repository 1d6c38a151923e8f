#include "engine/x509/csr_extensions.h"

#include <assert.h>

struct extension {
    struct cm_bytes type;
    enum cm_oid oid;
    bool is_critical;
    size_t offset;
    struct cm_der value; /* over the content of the OCTET STRING */
};

struct reading {
    struct cm_arena *arena;
    struct cm_csr *csr;
    struct cm_bytes seen[CM_CSR_EXTENSIONS_MAX];
    size_t seen_count;
};

static bool refuse_oid(const struct cm_der *der, enum cm_refusal_code code, size_t offset,
                       struct cm_bytes oid)
{
    char dotted[CM_OID_TEXT_SIZE];
    return cm_refuse(der->refusal, code, offset, "%s", cm_oid_dotted(oid, dotted, sizeof dotted));
}

static bool refuse_malformed(const struct extension *extension, const char *reason)
{
    return cm_refuse(extension->value.refusal, CM_REFUSAL_CSR_EXT_MALFORMED, extension->offset,
                     "%s: %s", cm_oid_name(extension->oid), reason);
}

/* --- the known extensions --------------------------------------------------------------------------- */

static bool read_sans(struct extension *extension, struct reading *reading)
{
    struct cm_sans *sans = cm_arena_alloc(reading->arena, sizeof *sans);
    if (!cm_der_next_is(&extension->value, CM_DER_SEQUENCE))
        return refuse_malformed(extension, "not a SEQUENCE");
    if (!cm_san_read(&extension->value, sans))
        return false;
    reading->csr->sans = sans->names;
    reading->csr->sans_count = sans->count;
    return true;
}

static bool read_path_length(struct extension *extension, struct cm_der *fields, struct cm_csr *csr)
{
    struct cm_bytes number;
    if (cm_der_at_end(fields))
        return true;
    if (!cm_der_read_unsigned(fields, "pathLenConstraint", &number) || number.size > 1)
        return refuse_malformed(extension, "pathLenConstraint is none");
    csr->path_len = number.size ? number.data[0] : 0;
    return true;
}

static bool read_basic_constraints(struct extension *extension, struct reading *reading)
{
    struct cm_csr *csr = reading->csr;
    struct cm_der fields;
    bool is_ca;
    if (!cm_der_enter(&extension->value, CM_DER_SEQUENCE, "basicConstraints", &fields))
        return refuse_malformed(extension, "not a SEQUENCE");
    if (cm_der_next_is(&fields, CM_DER_BOOLEAN)) {
        if (!cm_der_read_boolean(&fields, "cA", &is_ca) || !is_ca)
            return refuse_malformed(extension, "cA FALSE is the default, and not encoded");
        if (!csr->may_be_ca)
            return cm_refuse(fields.refusal, CM_REFUSAL_CSR_EXT_CA_REQUESTED, extension->offset,
                             NULL);
        csr->is_ca = true;
        if (!read_path_length(extension, &fields, csr))
            return false;
    }
    return cm_der_at_end(&fields) || refuse_malformed(extension, "pathLenConstraint without cA");
}

static bool read_key_usage(struct extension *extension, struct reading *reading)
{
    uint16_t bits;
    if (!cm_der_read_named_bits(&extension->value, "keyUsage", &bits))
        return refuse_malformed(extension, "not a BIT STRING of named bits");
    if (bits == 0 || bits >= 1u << 9)
        return refuse_malformed(extension, "no bit, or a bit that does not exist");
    if (!reading->csr->may_be_ca
        && (bits & (CM_CSR_KEY_USAGE_KEY_CERT_SIGN | CM_CSR_KEY_USAGE_CRL_SIGN)))
        return cm_refuse(extension->value.refusal, CM_REFUSAL_CSR_EXT_KEYUSAGE_NOT_ALLOWED,
                         extension->offset, "%s",
                         bits & CM_CSR_KEY_USAGE_KEY_CERT_SIGN ? "keyCertSign" : "cRLSign");
    reading->csr->key_usage = bits;
    return true;
}

/* Purposes that make more of a device than a device: no profile hands them out on request. */
static bool purpose_is_forbidden(enum cm_oid purpose)
{
    return purpose == CM_OID_ANY_EXTENDED_KEY_USAGE || purpose == CM_OID_OCSP_SIGNING
           || purpose == CM_OID_CODE_SIGNING || purpose == CM_OID_TIME_STAMPING;
}

static bool read_purposes(struct extension *extension, struct reading *reading)
{
    struct cm_der list;
    struct cm_bytes *purposes =
        cm_arena_alloc(reading->arena, CM_CSR_PURPOSES_MAX * sizeof *purposes);
    size_t count = 0;
    if (!cm_der_enter(&extension->value, CM_DER_SEQUENCE, "extKeyUsage", &list)
        || cm_der_at_end(&list))
        return refuse_malformed(extension, "not a SEQUENCE of key purposes");
    while (!cm_der_at_end(&list)) {
        struct cm_bytes purpose;
        if (count == CM_CSR_PURPOSES_MAX || !cm_der_read_oid(&list, "key purpose", &purpose))
            return refuse_malformed(extension, "too many key purposes, or something else");
        if (purpose_is_forbidden(cm_oid_find(purpose)))
            return refuse_oid(&list, CM_REFUSAL_CSR_EXT_EKU_NOT_ALLOWED, extension->offset,
                              purpose);
        purposes[count++] = purpose;
    }
    reading->csr->purposes = purposes;
    reading->csr->purposes_count = count;
    return true;
}

/* The subject key identifier is computed, never taken: only its form is looked at. */
static bool read_subject_key_id(struct extension *extension, struct reading *reading)
{
    struct cm_bytes ignored;
    (void)reading;
    return cm_der_read_octet_string(&extension->value, "subjectKeyIdentifier", &ignored)
           || refuse_malformed(extension, "not an OCTET STRING");
}

static const struct {
    enum cm_oid oid;
    bool (*read)(struct extension *extension, struct reading *reading);
} readers[] = {
    { CM_OID_SUBJECT_ALT_NAME, read_sans },
    { CM_OID_BASIC_CONSTRAINTS, read_basic_constraints },
    { CM_OID_KEY_USAGE, read_key_usage },
    { CM_OID_EXTENDED_KEY_USAGE, read_purposes },
    { CM_OID_SUBJECT_KEY_ID, read_subject_key_id },
};

/* --- the frame -------------------------------------------------------------------------------------- */

static bool check_value(struct extension *extension)
{
    struct cm_refusal *refusal = extension->value.refusal;
    if (cm_der_at_end(&extension->value))
        return refuse_malformed(extension, "an empty value");
    if (cm_der_check_inside(&extension->value))
        return true;
    /* Depth is an attack wherever it stands; any other fault is the extension's. */
    return refusal->code == CM_REFUSAL_DER_TOO_DEEP ? false
                                                    : refuse_malformed(extension, "not DER");
}

static bool read_known(struct extension *extension, struct reading *reading)
{
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (readers[i].oid != extension->oid)
            continue;
        if (!check_value(extension) || !readers[i].read(extension, reading))
            return false;
        return cm_der_at_end(&extension->value) || refuse_malformed(extension, "trailing bytes");
    }
    bool is_unknown_and_critical = extension->oid == CM_OID_UNKNOWN && extension->is_critical;
    return refuse_oid(&extension->value,
                      is_unknown_and_critical ? CM_REFUSAL_CSR_EXT_CRITICAL_UNKNOWN
                                              : CM_REFUSAL_CSR_EXT_NOT_ALLOWED,
                      extension->offset, extension->type);
}

static bool read_frame(struct cm_der *list, struct extension *extension)
{
    struct cm_der fields;
    struct cm_bytes value;
    *extension = (struct extension){ .offset = list->position };
    if (!cm_der_enter(list, CM_DER_SEQUENCE, "extension", &fields)
        || !cm_der_read_oid(&fields, "extension type", &extension->type))
        return false;
    if (cm_der_next_is(&fields, CM_DER_BOOLEAN)) {
        if (!cm_der_read_boolean(&fields, "critical", &extension->is_critical))
            return false;
        if (!extension->is_critical)
            return cm_refuse(list->refusal, CM_REFUSAL_DER_DEFAULT_ENCODED, extension->offset,
                             "extension.critical FALSE is encoded");
    }
    if (!cm_der_read_octet_string(&fields, "extension value", &value)
        || !cm_der_finish(&fields, "extension"))
        return false;
    extension->oid = cm_oid_find(extension->type);
    extension->value = cm_der_inside(list, value);
    return true;
}

static bool note_seen(const struct extension *extension, struct reading *reading)
{
    for (size_t i = 0; i < reading->seen_count; i++)
        if (cm_bytes_equal(reading->seen[i], extension->type))
            return refuse_oid(&extension->value, CM_REFUSAL_CSR_EXT_DUPLICATE, extension->offset,
                              extension->type);
    assert(reading->seen_count < CM_CSR_EXTENSIONS_MAX); /* count_is_bounded */
    reading->seen[reading->seen_count++] = extension->type;
    return true;
}

static bool count_is_bounded(struct cm_der list)
{
    struct cm_der_element element;
    size_t count = 0;
    while (!cm_der_at_end(&list) && cm_der_read_any(&list, "extension", &element))
        count++;
    return count <= CM_CSR_EXTENSIONS_MAX
           || cm_refuse(list.refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, list.position,
                        "%zu extensions, allowed %d", count, CM_CSR_EXTENSIONS_MAX);
}

bool cm_csr_read_extensions(struct cm_der *der, struct cm_arena *arena, struct cm_csr *csr)
{
    struct reading reading = { .arena = arena, .csr = csr };
    struct cm_der list;
    size_t offset = der->position;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "extensions", &list))
        return false;
    if (cm_der_at_end(&list))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_TOO_FEW_ELEMENTS, offset, "no extensions");
    if (!count_is_bounded(list))
        return false;
    while (!cm_der_at_end(&list)) {
        struct extension extension;
        if (!read_frame(&list, &extension) || !note_seen(&extension, &reading)
            || !read_known(&extension, &reading))
            return false;
    }
    return true;
}
