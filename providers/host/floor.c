#include "providers/host/floor.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/x509/der.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/extension.h"
#include "engine/x509/profile.h"

enum { SERIAL_OCTETS_MAX = 20, EXTENSIONS_MAX = 32, FUTURE_S_MAX = 86400 };

/* 2.16.840.1.113730.1.1; not among the OIDs that a CSR may know. */
#define NETSCAPE_TYPE "\x60\x86\x48\x01\x86\xf8\x42\x01\x01"

#define CA_USAGES (CM_USAGE_KEY_CERT_SIGN | CM_USAGE_CRL_SIGN)

/* What is being looked at, and where the complaint goes. */
struct look {
    const struct cm_floor *floor;
    const struct cm_floor_question *question;
    struct cm_refusal *refusal; /* of the DER reader */
    char *text;
    /* of a TBSCertificate */
    bool is_ca, has_netscape_type;
    unsigned usages;
    bool has_ocsp_purpose, has_other_purpose;
    struct cm_bytes seen_oids[EXTENSIONS_MAX];
    unsigned seen_count;
};

static bool deny(struct look *look, const char *why)
{
    snprintf(look->text, CM_FLOOR_TEXT_SIZE, "%s", why);
    return false;
}

/* ------------------------------------------------------------------ parts -- */

static bool is_own_name(struct look *look, struct cm_bytes name)
{
    return cm_bytes_equal(name, look->floor->issuer_name)
           || deny(look, "the issuer is not the key's own name");
}

static bool read_whole(struct cm_der *der, const char *what, struct cm_bytes *ret_whole)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_SEQUENCE, what, &element))
        return false;
    *ret_whole = element.whole;
    return true;
}

static bool check_version(struct look *look, struct cm_der *tbs)
{
    struct cm_der version;
    struct cm_bytes number;
    if (!cm_der_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(0), "version", &version)
        || !cm_der_read_integer(&version, "version", &number)
        || !cm_der_finish(&version, "version"))
        return false;
    return (number.size == 1 && number.data[0] == 2) || deny(look, "the version is not 3");
}

static bool check_serial(struct look *look, struct cm_der *tbs)
{
    struct cm_bytes serial;
    if (!cm_der_read_integer(tbs, "serialNumber", &serial))
        return false;
    if (serial.size > SERIAL_OCTETS_MAX)
        return deny(look, "the serial has more than 20 octets");
    return ((serial.data[0] & 0x80) == 0 && (serial.size > 1 || serial.data[0] != 0))
           || deny(look, "the serial is not greater than zero");
}

static bool check_issuer(struct look *look, struct cm_der *der)
{
    struct cm_bytes issuer;
    return read_whole(der, "issuer", &issuer) && is_own_name(look, issuer);
}

static bool check_validity(struct look *look, struct cm_der *tbs)
{
    const struct cm_floor *floor = look->floor;
    int64_t now_s = look->question->now_s, begin_s, end_s;
    struct cm_der validity;
    if (!cm_der_enter(tbs, CM_DER_SEQUENCE, "validity", &validity)
        || !cm_der_read_time(&validity, "notBefore", &begin_s)
        || !cm_der_read_time(&validity, "notAfter", &end_s)
        || !cm_der_finish(&validity, "validity"))
        return false;
    if (begin_s < now_s - floor->past_s_max)
        return deny(look, "notBefore lies too far in the past");
    if (begin_s > now_s + FUTURE_S_MAX)
        return deny(look, "notBefore lies in the future");
    if (end_s < begin_s)
        return deny(look, "notAfter lies before notBefore");
    bool is_endless = end_s == CM_DER_TIME_MAX_S && floor->allows_no_expiry;
    return is_endless || end_s - begin_s <= floor->validity_s_max
           || deny(look, "the validity is longer than this key may give");
}

/* ------------------------------------------------------------------ extensions -- */

static bool read_constraints(struct look *look, struct cm_der *value)
{
    struct cm_der inner;
    struct cm_bytes ignored;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "basicConstraints", &inner))
        return false;
    if (cm_der_next_is(&inner, CM_DER_BOOLEAN) && !cm_der_read_boolean(&inner, "cA", &look->is_ca))
        return false;
    if (cm_der_next_is(&inner, CM_DER_INTEGER)
        && !cm_der_read_unsigned(&inner, "pathLenConstraint", &ignored))
        return false;
    return cm_der_finish(&inner, "basicConstraints");
}

static bool read_usage(struct look *look, struct cm_der *value)
{
    uint16_t bits;
    if (!cm_der_read_named_bits(value, "keyUsage", &bits))
        return false;
    look->usages = bits;
    return true;
}

static bool read_purposes(struct look *look, struct cm_der *value)
{
    struct cm_der inner;
    struct cm_bytes oid;
    if (!cm_der_enter(value, CM_DER_SEQUENCE, "extKeyUsage", &inner))
        return false;
    while (!cm_der_at_end(&inner)) {
        if (!cm_der_read_oid(&inner, "extKeyUsage", &oid))
            return false;
        if (cm_oid_find(oid) == CM_OID_OCSP_SIGNING)
            look->has_ocsp_purpose = true;
        else
            look->has_other_purpose = true;
    }
    return true;
}

static bool note_extension(struct look *look, struct cm_bytes oid)
{
    for (unsigned i = 0; i < look->seen_count; i++)
        if (cm_bytes_equal(look->seen_oids[i], oid))
            return deny(look, "an extension stands twice");
    if (look->seen_count == EXTENSIONS_MAX)
        return deny(look, "there are too many extensions");
    look->seen_oids[look->seen_count++] = oid;
    return true;
}

static bool read_extension(struct look *look, struct cm_der *list)
{
    struct cm_extension extension;
    if (!cm_extension_read(list, &extension) || !note_extension(look, extension.oid))
        return false;
    struct cm_der value = cm_der_inside(list, extension.value);
    bool is_read = true;
    look->has_netscape_type |= cm_bytes_is(extension.oid, NETSCAPE_TYPE);
    if (extension.id == CM_OID_BASIC_CONSTRAINTS)
        is_read = read_constraints(look, &value);
    else if (extension.id == CM_OID_KEY_USAGE)
        is_read = read_usage(look, &value);
    else if (extension.id == CM_OID_EXTENDED_KEY_USAGE)
        is_read = read_purposes(look, &value);
    else
        return true; /* cannot make an authority of anyone */
    return is_read && cm_der_finish(&value, "extension");
}

static bool read_extensions(struct look *look, struct cm_der *tbs)
{
    struct cm_der outer, list;
    if (!cm_der_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(3), "extensions", &outer)
        || !cm_der_enter(&outer, CM_DER_SEQUENCE, "extensions", &list)
        || !cm_der_finish(&outer, "extensions"))
        return false;
    while (!cm_der_at_end(&list))
        if (!read_extension(look, &list))
            return false;
    return true;
}

/* ------------------------------------------------------------------ messages -- */

static bool check_certificate(struct look *look)
{
    struct cm_der der = cm_der_open(look->question->message, look->refusal), tbs;
    struct cm_bytes ignored;
    return cm_der_check_inside(&der) && cm_der_enter(&der, CM_DER_SEQUENCE, "whole", &tbs)
           && cm_der_finish(&der, "whole") && check_version(look, &tbs) && check_serial(look, &tbs)
           && read_whole(&tbs, "signature", &ignored) && check_issuer(look, &tbs)
           && check_validity(look, &tbs) && read_whole(&tbs, "subject", &ignored)
           && read_whole(&tbs, "subjectPublicKeyInfo", &ignored) && read_extensions(look, &tbs)
           && cm_der_finish(&tbs, "TBSCertificate");
}

/* A certificate that makes no authority of its holder. */
static bool check_end_entity(struct look *look)
{
    if (!check_certificate(look))
        return false;
    if (look->is_ca)
        return deny(look, "it would be a CA certificate");
    /* Where there are no basicConstraints, old software takes a CA's type in it at its word. */
    if (look->has_netscape_type)
        return deny(look, "it has a Netscape certificate type");
    return (look->usages & CA_USAGES) == 0 || deny(look, "its key could sign certificates or CRLs");
}

static bool check_leaf(struct look *look)
{
    return check_end_entity(look)
           && (!look->has_ocsp_purpose || deny(look, "its key could sign OCSP responses"));
}

static bool check_responder_certificate(struct look *look)
{
    return check_end_entity(look)
           && ((look->has_ocsp_purpose && !look->has_other_purpose)
               || deny(look, "its purpose is not OCSP signing alone"));
}

/* ResponseData (RFC 6960, 4.2.1): a responder, a time, responses. */
static bool check_response(struct look *look)
{
    struct cm_der der = cm_der_open(look->question->message, look->refusal), data, id;
    struct cm_der_element time, responses;
    if (!cm_der_check_inside(&der) || !cm_der_enter(&der, CM_DER_SEQUENCE, "whole", &data)
        || !cm_der_finish(&der, "whole"))
        return false;
    if (cm_der_next_is(&data, CM_DER_CONTEXT_CONSTRUCTED(1))) {
        if (!cm_der_enter(&data, CM_DER_CONTEXT_CONSTRUCTED(1), "byName", &id)
            || !check_issuer(look, &id) || !cm_der_finish(&id, "byName"))
            return false;
    } else if (!cm_der_enter(&data, CM_DER_CONTEXT_CONSTRUCTED(2), "byKey", &id)) {
        return false;
    }
    if (!cm_der_read(&data, CM_DER_GENERALIZED_TIME, "producedAt", &time)
        || !cm_der_read(&data, CM_DER_SEQUENCE, "responses", &responses))
        return false;
    if (cm_der_next_is(&data, CM_DER_CONTEXT_CONSTRUCTED(1))
        && !cm_der_enter(&data, CM_DER_CONTEXT_CONSTRUCTED(1), "responseExtensions", &id))
        return false;
    return cm_der_finish(&data, "ResponseData");
}

/* The first element tells them apart: a version, or a responder. */
static bool check_ocsp(struct look *look)
{
    struct cm_der der = cm_der_open(look->question->message, look->refusal), inner;
    if (!cm_der_enter(&der, CM_DER_SEQUENCE, "whole", &inner))
        return false;
    return cm_der_next_is(&inner, CM_DER_CONTEXT_CONSTRUCTED(0)) ? check_responder_certificate(look)
                                                                 : check_response(look);
}

static bool check_crl_version(struct look *look, struct cm_der *list)
{
    struct cm_bytes number;
    if (!cm_der_read_integer(list, "version", &number))
        return false;
    return (number.size == 1 && number.data[0] == 1) || deny(look, "the CRL's version is not 2");
}

/* TBSCertList (RFC 5280, 5.1). */
static bool check_crl(struct look *look)
{
    struct cm_der der = cm_der_open(look->question->message, look->refusal), list;
    struct cm_bytes ignored;
    int64_t time_s;
    if (!cm_der_check_inside(&der) || !cm_der_enter(&der, CM_DER_SEQUENCE, "whole", &list)
        || !cm_der_finish(&der, "whole") || !check_crl_version(look, &list)
        || !read_whole(&list, "signature", &ignored) || !check_issuer(look, &list)
        || !cm_der_read_time(&list, "thisUpdate", &time_s)
        || !cm_der_read_time(&list, "nextUpdate", &time_s))
        return false;
    if (cm_der_next_is(&list, CM_DER_SEQUENCE)
        && !read_whole(&list, "revokedCertificates", &ignored))
        return false;
    struct cm_der extensions;
    return cm_der_enter(&list, CM_DER_CONTEXT_CONSTRUCTED(0), "crlExtensions", &extensions)
           && cm_der_finish(&list, "TBSCertList");
}

/* ------------------------------------------------------------------ all -- */

static bool check_intent(struct look *look)
{
    const struct cm_floor_question *question = look->question;
    uint8_t hash[CM_SHA256_SIZE];
    if (!question->intent_hash)
        return (question->lane != CM_LANE_LEAF && question->lane != CM_LANE_CEREMONY)
               || deny(look, "no intent stands for it");
    cm_sha256(&question->message, 1, hash);
    return memcmp(hash, question->intent_hash, sizeof hash) == 0
           || deny(look, "it is not what its intent says");
}

static bool check_message(struct look *look)
{
    switch (look->question->lane) {
    case CM_LANE_LEAF:
        return check_leaf(look);
    case CM_LANE_CEREMONY:
        return check_certificate(look);
    case CM_LANE_OCSP:
        return check_ocsp(look);
    case CM_LANE_CRL:
        return check_crl(look);
    }
    return deny(look, "there is no such lane");
}

bool cm_floor_allows(const struct cm_floor *floor, const struct cm_floor_question *question,
                     char *text)
{
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    struct look look = { .floor = floor, .question = question, .refusal = &refusal };
    look.text = text;
    text[0] = '\0';
    if ((unsigned)question->lane > CM_LANE_CEREMONY
        || (floor->lanes & CM_LANE_BIT(question->lane)) == 0)
        return deny(&look, "the key is not for this lane");
    if (check_intent(&look) && check_message(&look))
        return true;
    if (text[0] == '\0') /* the DER reader's words */
        snprintf(text, CM_FLOOR_TEXT_SIZE, "%.*s", CM_FLOOR_TEXT_SIZE - 1, refusal.message);
    return false;
}

bool cm_floor_take(const struct cm_floor *floor, struct cm_floor_bucket *bucket, uint64_t now_ns)
{
    double most = floor->burst > 0 ? floor->burst : 1;
    if (floor->rate_per_s_max == 0)
        return true;
    if (bucket->filled_ns == 0)
        bucket->tokens = most;
    else
        bucket->tokens += (double)(now_ns - bucket->filled_ns) / 1e9 * floor->rate_per_s_max;
    if (bucket->tokens > most)
        bucket->tokens = most;
    bucket->filled_ns = now_ns;
    if (bucket->tokens < 1)
        return false;
    bucket->tokens -= 1;
    return true;
}
