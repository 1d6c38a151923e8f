/* CRLs read: our own, and those of CAs that move in. */
#include "engine/x509/crl.h"
#include "engine/x509/extension.h"
#include "engine/x509/serial.h"
#include "engine/x509/signed.h"

/* What is refused because this reader does not do it; everything else is malformed. */
static cm_status status_of(const struct cm_refusal *refusal)
{
    bool is_unsupported = refusal->code == CM_REFUSAL_CSR_VERSION
                          || refusal->code == CM_REFUSAL_CSR_EXT_CRITICAL_UNKNOWN
                          || refusal->code == CM_REFUSAL_CSR_EXT_NOT_ALLOWED;
    return is_unsupported ? CM_UNSUPPORTED : CM_MALFORMED;
}

/* --- extensions ------------------------------------------------------------------------------------ */

/* Reads all of a value into what the extensions are about. */
typedef bool value_reader(struct cm_der *value, const struct cm_extension *extension, void *about);

static bool read_extensions(struct cm_der *der, uint8_t tag, value_reader *read, void *about)
{
    struct cm_extensions extensions;
    if (!cm_extensions_enter(der, tag, &extensions))
        return false;
    while (!cm_extensions_are_read(&extensions)) {
        struct cm_extension extension;
        if (!cm_extensions_next(&extensions, &extension))
            return false;
        struct cm_der value = cm_der_inside(&extensions.list, extension.value);
        if (!read(&value, &extension, about) || !cm_der_finish(&value, "extension"))
            return false;
    }
    return true;
}

/* For what nobody here knows. */
static bool skip_value(struct cm_der *value, const struct cm_extension *extension)
{
    value->position = value->end;
    return !extension->critical || cm_extension_refuse_critical(value, extension);
}

/* --- extensions of the list ----------------------------------------------------------------------- */

static bool read_number(struct cm_der *value, const char *what, struct cm_bytes *ret_number)
{
    size_t offset = value->position;
    if (!cm_der_read_unsigned(value, what, ret_number))
        return false;
    return ret_number->size <= CM_CRL_NUMBER_SIZE_MAX
           || cm_refuse(value->refusal, CM_REFUSAL_DER_TOO_LARGE, offset,
                        "%s of %zu octets, allowed %d", what, ret_number->size,
                        CM_CRL_NUMBER_SIZE_MAX);
}

/* The first URI among the full names; empty where there is none. */
static bool read_point_name(struct cm_der *point, struct cm_bytes *ret_url)
{
    static const char what[] = "distributionPoint";
    struct cm_der name, names;
    struct cm_der_element element;
    if (!cm_der_enter(point, CM_DER_CONTEXT_CONSTRUCTED(0), what, &name))
        return false;
    if (!cm_der_next_is(&name, CM_DER_CONTEXT_CONSTRUCTED(0)))
        return cm_der_read(&name, CM_DER_CONTEXT_CONSTRUCTED(1), what, &element)
               && cm_der_finish(&name, what);
    if (!cm_der_enter(&name, CM_DER_CONTEXT_CONSTRUCTED(0), what, &names)
        || !cm_der_finish(&name, what))
        return false;
    while (!cm_der_at_end(&names)) {
        if (!cm_der_read_any(&names, what, &element))
            return false;
        if (element.tag == CM_DER_CONTEXT(6) && ret_url->size == 0)
            *ret_url = element.content;
    }
    return true;
}

/* Of what a list may be about, only certificates of either kind, of one issuer, for all reasons. */
static bool read_scope(struct cm_der *point, const struct cm_extension *extension)
{
    struct cm_der_element element;
    while (!cm_der_at_end(point)) {
        if (!cm_der_read_any(point, "issuingDistributionPoint", &element))
            return false;
        if (element.tag == CM_DER_CONTEXT(1) || element.tag == CM_DER_CONTEXT(2))
            continue; /* onlyContainsUserCerts, onlyContainsCACerts */
        return cm_refuse(point->refusal, CM_REFUSAL_CSR_EXT_NOT_ALLOWED, extension->offset,
                         "a list for some reasons only, of other issuers, or of attribute "
                         "certificates");
    }
    return true;
}

static bool read_distribution_point(struct cm_der *value, const struct cm_extension *extension,
                                    struct cm_crl_read *crl)
{
    struct cm_der point;
    return cm_der_enter(value, CM_DER_SEQUENCE, "issuingDistributionPoint", &point)
           && (!cm_der_next_is(&point, CM_DER_CONTEXT_CONSTRUCTED(0))
               || read_point_name(&point, &crl->url))
           && read_scope(&point, extension);
}

static bool read_list_value(struct cm_der *value, const struct cm_extension *extension, void *about)
{
    struct cm_crl_read *crl = about;
    if (!cm_der_check_inside(value))
        return false;
    switch (extension->id) {
    case CM_OID_AUTHORITY_KEY_ID:
        return cm_extension_read_aki(value, &crl->aki);
    case CM_OID_CRL_NUMBER:
        crl->has_number = true;
        return read_number(value, "cRLNumber", &crl->number);
    case CM_OID_DELTA_CRL_INDICATOR:
        crl->is_delta = true;
        return read_number(value, "deltaCRLIndicator", &crl->base_number);
    case CM_OID_ISSUING_DISTRIBUTION_POINT:
        return read_distribution_point(value, extension, crl);
    default:
        return skip_value(value, extension);
    }
}

/* --- the list ------------------------------------------------------------------------------------- */

/* v2, or nothing, which is v1: what openssl ca writes unless its settings name extensions. */
static bool read_version(struct cm_der *tbs, bool *ret_is_v2)
{
    size_t offset = tbs->position;
    struct cm_bytes version;
    *ret_is_v2 = cm_der_next_is(tbs, CM_DER_INTEGER);
    if (!*ret_is_v2)
        return true;
    if (!cm_der_read_unsigned(tbs, "version", &version))
        return false;
    return (version.size == 1 && version.data[0] == 1)
           || cm_refuse(tbs->refusal, CM_REFUSAL_CSR_VERSION, offset, "version is not v2");
}

static bool next_is_time(const struct cm_der *tbs)
{
    return cm_der_next_is(tbs, CM_DER_UTC_TIME) || cm_der_next_is(tbs, CM_DER_GENERALIZED_TIME);
}

static bool read_entries(struct cm_der *tbs, struct cm_bytes *ret_entries)
{
    struct cm_der_element element;
    if (!cm_der_next_is(tbs, CM_DER_SEQUENCE))
        return true;
    if (!cm_der_read(tbs, CM_DER_SEQUENCE, "revokedCertificates", &element))
        return false;
    *ret_entries = element.content;
    return true;
}

/* Reads an element and walks all of it; the entries are not walked here, but as they are read. */
static bool read_and_walk(struct cm_der *tbs, const char *what, struct cm_bytes *ret_whole)
{
    if (!cm_der_read_sequence(tbs, what, ret_whole))
        return false;
    struct cm_der inside = cm_der_inside(tbs, *ret_whole);
    return cm_der_check_inside(&inside);
}

static bool read_tbs(struct cm_der *tbs, struct cm_crl_read *crl, struct cm_bytes *ret_algorithm)
{
    bool is_v2;
    return read_version(tbs, &is_v2) && cm_der_read_sequence(tbs, "signature", ret_algorithm)
           && read_and_walk(tbs, "issuer", &crl->issuer)
           && cm_der_read_time(tbs, "thisUpdate", &crl->this_update_s)
           && (!next_is_time(tbs) || cm_der_read_time(tbs, "nextUpdate", &crl->next_update_s))
           && read_entries(tbs, &crl->entries)
           && (!is_v2 || cm_der_at_end(tbs)
               || read_extensions(tbs, CM_DER_CONTEXT_CONSTRUCTED(0), read_list_value, crl))
           && cm_der_finish(tbs, "TBSCertList");
}

cm_status cm_crl_read(struct cm_bytes der, struct cm_crl_read *ret_crl, struct cm_error *err)
{
    struct cm_refusal refusal;
    struct cm_der reader = cm_der_open(der, &refusal);
    struct cm_crl_read crl = { .der = der };
    struct cm_signed outer;
    struct cm_bytes inner_algorithm;
    if (!cm_signed_read(&reader, "CRL", &outer) || !read_tbs(&outer.inside, &crl, &inner_algorithm)
        || !cm_signed_check(&reader, &outer, inner_algorithm))
        return CM_FAIL(err, status_of(&refusal), CM_ORIGIN_SELF, 0, "CRL: %s", refusal.message);
    crl.tbs = outer.tbs;
    crl.signature = outer.signature;
    crl.sigalg = cm_sigalg_from_der(outer.algorithm);
    if (crl.sigalg == CM_SIGALG_UNKNOWN)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "CRL: signature algorithm not supported");
    *ret_crl = crl;
    return CM_OK;
}

/* --- entries -------------------------------------------------------------------------------------- */

static bool read_reason(struct cm_der *value, enum cm_reason *ret_reason)
{
    struct cm_der_element element;
    if (!cm_der_read(value, CM_DER_ENUMERATED, "reasonCode", &element))
        return false;
    if (element.content.size != 1 || !cm_reason_name((enum cm_reason)element.content.data[0]))
        return cm_refuse(value->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, element.offset,
                         "reasonCode: no such reason");
    *ret_reason = (enum cm_reason)element.content.data[0];
    return true;
}

static bool read_invalidity(struct cm_der *value, int64_t *ret_time_s)
{
    if (!cm_der_next_is(value, CM_DER_UTC_TIME))
        return cm_der_read_time(value, "invalidityDate", ret_time_s);
    return cm_refuse(value->refusal, CM_REFUSAL_DER_UNEXPECTED_TAG, value->position,
                     "invalidityDate is no GeneralizedTime");
}

static bool read_entry_value(struct cm_der *value, const struct cm_extension *extension,
                             void *about)
{
    struct cm_crl_entry *entry = about;
    switch (extension->id) {
    case CM_OID_REASON_CODE:
        return read_reason(value, &entry->reason) && cm_der_finish(value, "reasonCode");
    case CM_OID_INVALIDITY_DATE:
        return read_invalidity(value, &entry->invalidity_s)
               && cm_der_finish(value, "invalidityDate");
    default: /* certificateIssuer among them, which makes another CA's entry of it */
        return skip_value(value, extension);
    }
}

static bool read_entry(struct cm_der *der, struct cm_crl_entry *entry)
{
    struct cm_der inside;
    size_t offset = der->position;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "entry", &inside)
        || !cm_der_read_integer(&inside, "userCertificate", &entry->serial)
        || !cm_der_read_time(&inside, "revocationDate", &entry->revoked_s)
        || (!cm_der_at_end(&inside) && !read_extensions(&inside, 0, read_entry_value, entry))
        || !cm_der_finish(&inside, "entry"))
        return false;
    return cm_serial_is_good(entry->serial)
           || cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, offset,
                        "the serial is not a positive INTEGER of 1 to %d octets",
                        CM_SERIAL_SIZE_MAX);
}

bool cm_crl_next_entry(struct cm_bytes *entries, struct cm_crl_entry *ret_entry,
                       cm_status *ret_status, struct cm_error *err)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(*entries, &refusal);
    struct cm_crl_entry entry = { .reason = CM_REASON_UNSPECIFIED };
    *ret_status = CM_OK;
    if (entries->size == 0)
        return false;
    if (!read_entry(&der, &entry)) {
        *ret_status =
            CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "CRL entry: %s", refusal.message);
        return false;
    }
    *entries = cm_bytes_from(*entries, der.position);
    *ret_entry = entry;
    return true;
}
