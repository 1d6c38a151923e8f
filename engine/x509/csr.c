#include "engine/x509/csr.h"

#include "engine/x509/csr_extensions.h"
#include "engine/x509/oid.h"

struct attributes {
    struct cm_bytes seen[CM_CSR_ATTRIBUTES_MAX];
    struct cm_bytes last; /* whole element before, for the order of the SET OF */
    size_t seen_count;
};

/* --- what is this? ---------------------------------------------------------------------------------- */

static bool next_holds(struct cm_der der, uint8_t tag, uint8_t first_inside)
{
    struct cm_der_element element;
    struct cm_refusal ignored;
    der.refusal = &ignored;
    if (!cm_der_next_is(&der, tag) || !cm_der_read_any(&der, "", &element))
        return false;
    return element.content.size > 0 && element.content.data[0] == first_inside;
}

/*
 * True for PKCS#8 (0 or 1, algorithm, OCTET STRING), encrypted PKCS#8 (algorithm, OCTET STRING),
 * PKCS#1 (0, modulus, ...) and SEC 1 (1, OCTET STRING).
 */
static bool looks_like_private_key(struct cm_der der)
{
    struct cm_der_element first;
    struct cm_refusal ignored;
    der.refusal = &ignored;
    bool is_encrypted = next_holds(der, CM_DER_SEQUENCE, CM_DER_OID);
    if (cm_der_at_end(&der) || !cm_der_read_any(&der, "", &first))
        return false;
    if (is_encrypted)
        return cm_der_next_is(&der, CM_DER_OCTET_STRING);
    if (first.tag != CM_DER_INTEGER || first.content.size != 1 || first.content.data[0] > 1)
        return false;
    return cm_der_next_is(&der, CM_DER_INTEGER) || cm_der_next_is(&der, CM_DER_OCTET_STRING)
           || next_holds(der, CM_DER_SEQUENCE, CM_DER_OID);
}

static bool check_form(struct cm_der inside)
{
    if (looks_like_private_key(inside))
        return cm_refuse(inside.refusal, CM_REFUSAL_CSR_IS_PRIVATE_KEY, CM_REFUSAL_NO_OFFSET, NULL);
    if (next_holds(inside, CM_DER_SEQUENCE, CM_DER_CONTEXT_CONSTRUCTED(0)))
        return cm_refuse(inside.refusal, CM_REFUSAL_CSR_IS_CERTIFICATE, CM_REFUSAL_NO_OFFSET, NULL);
    return true;
}

static bool open_outer(struct cm_bytes input, struct cm_refusal *refusal, struct cm_der *ret_inside)
{
    struct cm_der der = cm_der_open(input, refusal);
    if (input.size == 0)
        return cm_refuse(refusal, CM_REFUSAL_DER_EMPTY, CM_REFUSAL_NO_OFFSET, "the CSR is empty");
    if (input.size > CM_CSR_SIZE_MAX)
        return cm_refuse(refusal, CM_REFUSAL_DER_TOO_LARGE, CM_REFUSAL_NO_OFFSET,
                         "CSR of %zu bytes, allowed %d", input.size, CM_CSR_SIZE_MAX);
    if (!cm_der_enter(&der, CM_DER_SEQUENCE, "CSR", ret_inside) || !check_form(*ret_inside))
        return false;
    if (!cm_der_at_end(&der))
        return cm_refuse(refusal, CM_REFUSAL_DER_TRAILING_DATA, der.position,
                         "%zu bytes after the CSR", der.end - der.position);
    return cm_der_check(input, refusal);
}

/* --- attributes ------------------------------------------------------------------------------------- */

static bool refuse_oid(const struct cm_der *der, enum cm_refusal_code code, size_t offset,
                       struct cm_bytes oid)
{
    char dotted[CM_OID_TEXT_SIZE];
    return cm_refuse(der->refusal, code, offset, "%s", cm_oid_dotted(oid, dotted, sizeof dotted));
}

static size_t count_values(struct cm_der values)
{
    struct cm_der_element value;
    size_t count = 0;
    for (; !cm_der_at_end(&values) && cm_der_read_any(&values, "value", &value); count++)
        continue;
    return count;
}

static bool note_attribute(const struct cm_der *der, size_t offset, struct cm_bytes type,
                           struct attributes *attributes)
{
    for (size_t i = 0; i < attributes->seen_count; i++)
        if (cm_bytes_equal(attributes->seen[i], type))
            return refuse_oid(der, CM_REFUSAL_CSR_ATTR_DUPLICATE, offset, type);
    attributes->seen[attributes->seen_count++] = type;
    return true;
}

/*
 * A challenge password is a secret between others: it goes nowhere, not even into a message. Only
 * strings of octets: OpenSSL looks into the wide ones, so that they would need looking into here.
 */
static bool skip_challenge_password(struct cm_der *values)
{
    struct cm_der_element password;
    if (!cm_der_read_any(values, "challengePassword", &password))
        return false;
    if (password.tag != CM_DER_UTF8_STRING && password.tag != CM_DER_PRINTABLE_STRING
        && password.tag != CM_DER_IA5_STRING && password.tag != CM_DER_TELETEX_STRING)
        return cm_refuse(values->refusal, CM_REFUSAL_CSR_ATTR_NOT_ALLOWED, password.offset,
                         "challengePassword with tag 0x%02x", password.tag);
    return true;
}

static bool read_attribute_value(struct cm_der *values, size_t offset, struct cm_bytes type,
                                 struct cm_arena *arena, struct cm_csr *csr)
{
    size_t count = count_values(*values);
    enum cm_oid oid = cm_oid_find(type);
    if (oid != CM_OID_EXTENSION_REQUEST && oid != CM_OID_CHALLENGE_PASSWORD)
        return refuse_oid(values, CM_REFUSAL_CSR_ATTR_NOT_ALLOWED, offset, type);
    if (count != 1)
        return cm_refuse(values->refusal, CM_REFUSAL_CSR_ATTR_VALUE_COUNT, offset,
                         "%s has %zu values, expected 1", cm_oid_name(oid), count);
    if (oid == CM_OID_EXTENSION_REQUEST)
        return cm_csr_read_extensions(values, arena, csr);
    return skip_challenge_password(values);
}

static int compare_encodings(struct cm_bytes a, struct cm_bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static bool read_attribute(struct cm_der *list, struct attributes *attributes,
                           struct cm_arena *arena, struct cm_csr *csr)
{
    struct cm_der_element element;
    struct cm_der fields, values;
    struct cm_bytes type;
    if (!cm_der_read(list, CM_DER_SEQUENCE, "attribute", &element))
        return false;
    if (attributes->last.size && compare_encodings(attributes->last, element.whole) > 0)
        csr->quirks |= CM_CSR_QUIRK_ATTRIBUTES_UNSORTED;
    attributes->last = element.whole;
    fields = cm_der_inside(list, element.content);
    return cm_der_read_oid(&fields, "attribute type", &type)
           && cm_der_enter(&fields, CM_DER_SET, "attribute values", &values)
           && cm_der_finish(&fields, "attribute")
           && note_attribute(list, element.offset, type, attributes)
           && read_attribute_value(&values, element.offset, type, arena, csr);
}

static bool read_attributes(struct cm_der *info, struct cm_arena *arena, struct cm_csr *csr)
{
    struct attributes attributes = { .seen_count = 0 };
    struct cm_der list;
    if (cm_der_at_end(info)) {
        csr->quirks |= CM_CSR_QUIRK_ATTRIBUTES_MISSING;
        return true;
    }
    if (!cm_der_enter(info, CM_DER_CONTEXT_CONSTRUCTED(0), "attributes", &list)
        || !cm_der_finish(info, "CertificationRequestInfo"))
        return false;
    size_t count = count_values(list);
    if (count > CM_CSR_ATTRIBUTES_MAX)
        return cm_refuse(list.refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, list.position,
                         "%zu attributes, allowed %d", count, CM_CSR_ATTRIBUTES_MAX);
    while (!cm_der_at_end(&list))
        if (!read_attribute(&list, &attributes, arena, csr))
            return false;
    return true;
}

/* --- the signed part -------------------------------------------------------------------------------- */

static bool read_version(struct cm_der *info)
{
    size_t offset = info->position;
    struct cm_bytes version;
    if (!cm_der_read_unsigned(info, "version", &version))
        return false;
    if (version.size == 0)
        return true;
    if (version.size > 1)
        return cm_refuse(info->refusal, CM_REFUSAL_CSR_VERSION, offset, "too large, expected 0");
    return cm_refuse(info->refusal, CM_REFUSAL_CSR_VERSION, offset, "%u, expected 0",
                     version.data[0]);
}

/* The subject is stepped over first, so that a key off the list is told before any name. */
static bool read_info(struct cm_der *outer, struct cm_arena *arena, struct cm_csr *csr)
{
    struct cm_der_element element, subject;
    struct cm_name *name = cm_arena_alloc(arena, sizeof *name);
    if (!cm_der_read(outer, CM_DER_SEQUENCE, "CertificationRequestInfo", &element))
        return false;
    csr->info = element.whole;
    struct cm_der info = cm_der_inside(outer, element.content);
    if (!read_version(&info))
        return false;
    struct cm_der names = info;
    if (!cm_der_read(&info, CM_DER_SEQUENCE, "subject", &subject)
        || !cm_public_key_read_der(&info, &csr->key, &csr->spki) || !cm_name_read(&names, name)
        || !read_attributes(&info, arena, csr))
        return false;
    csr->subject = subject.whole;
    csr->name = name;
    if (name->count == 0 && csr->sans_count == 0)
        return cm_refuse(info.refusal, CM_REFUSAL_NAME_EMPTY, subject.offset,
                         "neither a subject nor an alternative name");
    return true;
}

/* --- the signature ---------------------------------------------------------------------------------- */

/* The algorithm whose encoding is the same up to its parameters. */
static enum cm_sigalg sigalg_of_oid(struct cm_bytes oid)
{
    for (unsigned alg = 1; alg < CM_SIGALG_COUNT; alg++) {
        struct cm_refusal ignored;
        struct cm_der der = cm_der_open(cm_sigalg_der((enum cm_sigalg)alg), &ignored), inside;
        struct cm_bytes known;
        if (cm_der_enter(&der, CM_DER_SEQUENCE, "", &inside) && cm_der_read_oid(&inside, "", &known)
            && cm_bytes_equal(known, oid))
            return (enum cm_sigalg)alg;
    }
    return CM_SIGALG_UNKNOWN;
}

static bool is_ecdsa(enum cm_sigalg alg)
{
    return cm_sigalg_fits(alg, CM_KEY_P256);
}

static bool read_inexact_sigalg(const struct cm_der *outer, const struct cm_der_element *element,
                                unsigned quirks, struct cm_csr *csr)
{
    struct cm_der inside = cm_der_inside(outer, element->content);
    struct cm_bytes oid;
    if (!cm_der_read_oid(&inside, "signature algorithm", &oid))
        return false;
    enum cm_sigalg alg = sigalg_of_oid(oid);
    if (alg == CM_SIGALG_UNKNOWN)
        return refuse_oid(outer, CM_REFUSAL_CSR_SIGALG_NOT_ALLOWED, element->offset, oid);
    if (is_ecdsa(alg) && (quirks & CM_CSR_QUIRK_ECDSA_NULL)
        && cm_bytes_equal(cm_bytes_from(cm_bytes(inside.start, inside.end), inside.position),
                          cm_bytes("\x05\x00", 2))) {
        csr->sigalg = alg;
        csr->quirks |= CM_CSR_QUIRK_ECDSA_NULL;
        return true;
    }
    return cm_refuse(outer->refusal, CM_REFUSAL_CSR_SIGALG_PARAMS, element->offset,
                     "%s: other parameters than its standard's",
                     cm_sigalg_is_pss(alg) ? "RSA-PSS" : cm_sigalg_name(alg));
}

static bool read_signature(struct cm_der *outer, unsigned quirks, struct cm_csr *csr)
{
    struct cm_der_element element;
    if (!cm_der_read(outer, CM_DER_SEQUENCE, "signature algorithm", &element))
        return false;
    csr->sigalg = cm_sigalg_from_der(element.whole);
    if (csr->sigalg == CM_SIGALG_UNKNOWN && !read_inexact_sigalg(outer, &element, quirks, csr))
        return false;
    if (!cm_sigalg_fits(csr->sigalg, csr->key.type))
        return cm_refuse(outer->refusal, CM_REFUSAL_CSR_SIGALG_MISMATCH, element.offset,
                         "%s with a key of type %s", cm_sigalg_name(csr->sigalg),
                         cm_key_type_name(csr->key.type));
    return cm_der_read_bit_string(outer, "signature", &csr->signature)
           && cm_der_finish(outer, "CSR");
}

bool cm_csr_read_with(struct cm_bytes der, unsigned quirks, struct cm_arena *arena,
                      struct cm_csr *ret_csr, struct cm_refusal *refusal)
{
    struct cm_csr csr = { .may_be_ca = quirks & CM_CSR_OF_AUTHORITY, .path_len = -1 };
    struct cm_der outer;
    if (!open_outer(der, refusal, &outer) || !read_info(&outer, arena, &csr)
        || !read_signature(&outer, quirks, &csr))
        return false;
    *ret_csr = csr;
    return true;
}

bool cm_csr_read(struct cm_bytes der, struct cm_arena *arena, struct cm_csr *ret_csr,
                 struct cm_refusal *refusal)
{
    return cm_csr_read_with(der, 0, arena, ret_csr, refusal);
}
