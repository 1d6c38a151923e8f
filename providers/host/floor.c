#include "providers/host/floor_look.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/audit_context.h"
#include "engine/base/hash.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/extension.h"
#include "engine/x509/key.h"
#include "engine/x509/profile.h"

enum { SERIAL_OCTETS_MAX = 20 };

/* 2.16.840.1.113730.1.1; not among the OIDs that a CSR may know. */
#define NETSCAPE_TYPE "\x60\x86\x48\x01\x86\xf8\x42\x01\x01"

#define CA_USAGES (CM_USAGE_KEY_CERT_SIGN | CM_USAGE_CRL_SIGN)

/* ------------------------------------------------------------------ parts -- */

bool cm_look_deny(struct cm_look *look, const char *why)
{
    snprintf(look->text, CM_FLOOR_TEXT_SIZE, "%s", why);
    return false;
}

bool cm_look_open(struct cm_look *look, struct cm_der *ret_inside)
{
    struct cm_der der = cm_der_open(look->question->message, look->refusal);
    return cm_der_check_inside(&der) && cm_der_enter(&der, CM_DER_SEQUENCE, "whole", ret_inside)
           && cm_der_finish(&der, "whole");
}

bool cm_look_skip(struct cm_der *der, const char *what)
{
    struct cm_der_element ignored;
    return cm_der_read(der, CM_DER_SEQUENCE, what, &ignored);
}

bool cm_look_issuer(struct cm_look *look, struct cm_der *der)
{
    struct cm_der_element issuer;
    return cm_der_read(der, CM_DER_SEQUENCE, "issuer", &issuer)
           && (cm_bytes_equal(issuer.whole, look->floor->issuer_name)
               || cm_look_deny(look, "the issuer is not the key's own name"));
}

static bool check_version(struct cm_look *look, struct cm_der *tbs)
{
    struct cm_der version;
    struct cm_bytes number;
    if (!cm_der_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(0), "version", &version)
        || !cm_der_read_integer(&version, "version", &number)
        || !cm_der_finish(&version, "version"))
        return false;
    return (number.size == 1 && number.data[0] == 2) || cm_look_deny(look, "the version is not 3");
}

static bool check_serial(struct cm_look *look, struct cm_der *tbs)
{
    struct cm_bytes serial;
    if (!cm_der_read_integer(tbs, "serialNumber", &serial))
        return false;
    if (serial.size > SERIAL_OCTETS_MAX)
        return cm_look_deny(look, "the serial has more than 20 octets");
    return ((serial.data[0] & 0x80) == 0 && (serial.size > 1 || serial.data[0] != 0))
           || cm_look_deny(look, "the serial is not greater than zero");
}

static bool check_validity(struct cm_look *look, struct cm_der *tbs)
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
        return cm_look_deny(look, "notBefore lies too far in the past");
    if (begin_s > now_s + CM_FLOOR_FUTURE_S_MAX)
        return cm_look_deny(look, "notBefore lies in the future");
    if (end_s < begin_s)
        return cm_look_deny(look, "notAfter lies before notBefore");
    bool is_endless = end_s == CM_DER_TIME_MAX_S && look->allows_no_expiry;
    return is_endless || end_s - begin_s <= look->validity_s_max
           || cm_look_deny(look, "the validity is longer than this key may give");
}

/* ------------------------------------------------------------------ extensions -- */

static bool read_constraints(struct cm_look *look, struct cm_der *value)
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

static bool read_usage(struct cm_look *look, struct cm_der *value)
{
    uint16_t bits;
    if (!cm_der_read_named_bits(value, "keyUsage", &bits))
        return false;
    look->usages = bits;
    return true;
}

static bool read_purposes(struct cm_look *look, struct cm_der *value)
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

static bool read_extension(struct cm_look *look, const struct cm_der *list,
                           const struct cm_extension *extension)
{
    struct cm_der value = cm_der_inside(list, extension->value);
    bool is_read = true;
    look->has_netscape_type |= cm_bytes_is(extension->oid, NETSCAPE_TYPE);
    if (extension->id == CM_OID_BASIC_CONSTRAINTS)
        is_read = read_constraints(look, &value);
    else if (extension->id == CM_OID_KEY_USAGE)
        is_read = read_usage(look, &value);
    else if (extension->id == CM_OID_EXTENDED_KEY_USAGE)
        is_read = read_purposes(look, &value);
    else
        return true; /* cannot make an authority of anyone */
    return is_read && cm_der_finish(&value, "extension");
}

static bool read_extensions(struct cm_look *look, struct cm_der *tbs)
{
    struct cm_extensions extensions;
    struct cm_extension extension;
    if (!cm_extensions_enter(tbs, CM_DER_CONTEXT_CONSTRUCTED(3), &extensions))
        return false;
    while (!cm_extensions_are_read(&extensions))
        if (!cm_extensions_next(&extensions, &extension)
            || !read_extension(look, &extensions.list, &extension))
            return false;
    return true;
}

/* ------------------------------------------------------------------ messages -- */

static bool check_certificate(struct cm_look *look)
{
    struct cm_der tbs;
    return cm_look_open(look, &tbs) && check_version(look, &tbs) && check_serial(look, &tbs)
           && cm_look_skip(&tbs, "signature") && cm_look_issuer(look, &tbs)
           && check_validity(look, &tbs) && cm_look_skip(&tbs, "subject")
           && cm_look_skip(&tbs, "subjectPublicKeyInfo") && read_extensions(look, &tbs)
           && cm_der_finish(&tbs, "TBSCertificate");
}

/* A certificate that makes no authority of its holder. */
static bool check_end_entity(struct cm_look *look)
{
    if (!check_certificate(look))
        return false;
    if (look->is_ca)
        return cm_look_deny(look, "it would be a CA certificate");
    /* Where there are no basicConstraints, old software takes a CA's type in it at its word. */
    if (look->has_netscape_type)
        return cm_look_deny(look, "it has a Netscape certificate type");
    return (look->usages & CA_USAGES) == 0
           || cm_look_deny(look, "its key could sign certificates or CRLs");
}

static bool check_leaf(struct cm_look *look)
{
    return check_end_entity(look)
           && (!look->has_ocsp_purpose || cm_look_deny(look, "its key could sign OCSP responses"));
}

static bool check_responder_certificate(struct cm_look *look)
{
    if (look->floor->is_responder)
        return cm_look_deny(look, "a responder's key signs no certificates");
    if (!look->question->intent_hash)
        return cm_look_deny(look, "no intent stands for it");
    if (look->floor->responder_validity_s_max == 0)
        return cm_look_deny(look, "this key gives no responder a certificate");
    look->validity_s_max = look->floor->responder_validity_s_max;
    look->allows_no_expiry = false;
    return check_end_entity(look)
           && ((look->has_ocsp_purpose && !look->has_other_purpose)
               || cm_look_deny(look, "its purpose is not OCSP signing alone"));
}

/* The first element tells them apart: a version, or a responder. */
static bool check_ocsp(struct cm_look *look)
{
    struct cm_der der = cm_der_open(look->question->message, look->refusal), inner;
    if (!cm_der_enter(&der, CM_DER_SEQUENCE, "whole", &inner))
        return false;
    return cm_der_next_is(&inner, CM_DER_CONTEXT_CONSTRUCTED(0)) ? check_responder_certificate(look)
                                                                 : cm_look_response(look);
}

/* No DER: nothing that means anything elsewhere begins like it. */
static bool check_checkpoint(struct cm_look *look)
{
    struct cm_bytes message = look->question->message;
    return (message.size == CM_CHECKPOINT_MESSAGE_SIZE
            && memcmp(message.data, CM_CHECKPOINT_CONTEXT, CM_CHECKPOINT_CONTEXT_SIZE) == 0)
           || cm_look_deny(look, "it is no checkpoint of the audit log");
}

/* ------------------------------------------------------------------ all -- */

static bool check_intent(struct cm_look *look)
{
    const struct cm_floor_question *question = look->question;
    uint8_t hash[CM_SHA256_SIZE];
    if (!question->intent_hash)
        return (question->lane != CM_LANE_LEAF && question->lane != CM_LANE_CEREMONY)
               || cm_look_deny(look, "no intent stands for it");
    cm_sha256(&question->message, 1, hash);
    return memcmp(hash, question->intent_hash, sizeof hash) == 0
           || cm_look_deny(look, "it is not what its intent says");
}

static bool check_message(struct cm_look *look)
{
    switch (look->question->lane) {
    case CM_LANE_LEAF:
        return check_leaf(look);
    case CM_LANE_CEREMONY:
        return check_certificate(look);
    case CM_LANE_OCSP:
        return check_ocsp(look);
    case CM_LANE_CRL:
        return cm_look_crl(look);
    case CM_LANE_AUDIT:
        return check_checkpoint(look);
    }
    return cm_look_deny(look, "there is no such lane");
}

bool cm_floor_hash_key(struct cm_bytes spki, uint8_t ret_hash[CM_SHA1_SIZE])
{
    struct cm_bytes bits;
    if (!cm_public_key_bits(spki, &bits))
        return false;
    cm_sha1(&bits, 1, ret_hash);
    return true;
}

bool cm_floor_allows(const struct cm_floor *floor, const struct cm_floor_question *question,
                     char *text)
{
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    struct cm_look look = { .floor = floor,
                            .question = question,
                            .refusal = &refusal,
                            .text = text,
                            .validity_s_max = floor->validity_s_max,
                            .allows_no_expiry = floor->allows_no_expiry };
    text[0] = '\0';
    if ((unsigned)question->lane > CM_LANE_AUDIT
        || (floor->lanes & CM_LANE_BIT(question->lane)) == 0)
        return cm_look_deny(&look, "the key is not for this lane");
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
