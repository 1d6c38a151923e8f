/* What a key says of certificates, as CRLs and OCSP responses. */
#include "engine/x509/extension.h"
#include "providers/host/floor_look.h"

enum {
    DAY_S = 86400,
    RESPONSE_FUTURE_S_MAX = 300, /* the engine's clock may stand still while ours goes back */
    RESPONSE_VALIDITY_S_USUAL = 30 * DAY_S,
    CRL_VALIDITY_S_USUAL = 400 * DAY_S
};

/* Each is one, and none stands twice. */
static bool read_extensions(struct cm_der *der, uint8_t tag)
{
    struct cm_extensions extensions;
    struct cm_extension ignored;
    if (!cm_extensions_enter(der, tag, &extensions))
        return false;
    while (!cm_extensions_are_read(&extensions))
        if (!cm_extensions_next(&extensions, &ignored))
            return false;
    return true;
}

/* ------------------------------------------------------------------ ResponseData (RFC 6960, 4.2.1) -- */

static bool read_general_time(struct cm_look *look, struct cm_der *der, const char *what,
                              int64_t *ret_time_s)
{
    if (!cm_der_next_is(der, CM_DER_GENERALIZED_TIME))
        return cm_look_deny(look, "a time of it is no GeneralizedTime");
    return cm_der_read_time(der, what, ret_time_s);
}

static bool is_not_ahead(struct cm_look *look, int64_t time_s)
{
    return time_s <= look->question->now_s + RESPONSE_FUTURE_S_MAX
           || cm_look_deny(look, "the response is from the future");
}

/* By name another responder of the same authority could be meant: ours is the key alone. */
static bool check_responder(struct cm_look *look, struct cm_der *data)
{
    const uint8_t *own = look->question->key_hash;
    struct cm_der id;
    struct cm_bytes hash;
    if (!cm_der_next_is(data, CM_DER_CONTEXT_CONSTRUCTED(2)))
        return cm_look_deny(look, "the responder is not named by its key");
    if (!cm_der_enter(data, CM_DER_CONTEXT_CONSTRUCTED(2), "byKey", &id)
        || !cm_der_read_octet_string(&id, "byKey", &hash) || !cm_der_finish(&id, "byKey"))
        return false;
    return (own && cm_bytes_equal(hash, cm_bytes(own, CM_SHA1_SIZE)))
           || cm_look_deny(look, "the responder is another key");
}

/* Its parameters are absent or NULL, whichever hash it is. */
static bool read_hash_algorithm(struct cm_der *id)
{
    struct cm_der algorithm;
    struct cm_bytes oid;
    return cm_der_enter(id, CM_DER_SEQUENCE, "hashAlgorithm", &algorithm)
           && cm_der_read_oid(&algorithm, "hashAlgorithm", &oid)
           && (cm_der_at_end(&algorithm) || cm_der_read_null(&algorithm, "hashAlgorithm"))
           && cm_der_finish(&algorithm, "hashAlgorithm");
}

static bool read_cert_id(struct cm_der *single)
{
    struct cm_der id;
    struct cm_bytes ignored;
    return cm_der_enter(single, CM_DER_SEQUENCE, "certID", &id) && read_hash_algorithm(&id)
           && cm_der_read_octet_string(&id, "issuerNameHash", &ignored)
           && cm_der_read_octet_string(&id, "issuerKeyHash", &ignored)
           && cm_der_read_integer(&id, "serialNumber", &ignored) && cm_der_finish(&id, "certID");
}

static bool read_revoked(struct cm_look *look, struct cm_der *single)
{
    struct cm_der info, reason;
    struct cm_der_element value;
    int64_t time_s;
    if (!cm_der_enter(single, CM_DER_CONTEXT_CONSTRUCTED(1), "revoked", &info)
        || !read_general_time(look, &info, "revocationTime", &time_s))
        return false;
    if (cm_der_next_is(&info, CM_DER_CONTEXT_CONSTRUCTED(0))
        && (!cm_der_enter(&info, CM_DER_CONTEXT_CONSTRUCTED(0), "revocationReason", &reason)
            || !cm_der_read(&reason, CM_DER_ENUMERATED, "revocationReason", &value)
            || !cm_der_finish(&reason, "revocationReason")))
        return false;
    return cm_der_finish(&info, "revoked");
}

static bool read_status(struct cm_look *look, struct cm_der *single)
{
    struct cm_der_element status;
    if (cm_der_next_is(single, CM_DER_CONTEXT_CONSTRUCTED(1)))
        return read_revoked(look, single);
    uint8_t tag = cm_der_next_is(single, CM_DER_CONTEXT(2)) ? CM_DER_CONTEXT(2) : CM_DER_CONTEXT(0);
    return cm_der_read(single, tag, "certStatus", &status)
           && (status.content.size == 0 || cm_look_deny(look, "a status of it is none"));
}

static bool check_times(struct cm_look *look, struct cm_der *single)
{
    int64_t longest_s = look->floor->ocsp_validity_s_max ? look->floor->ocsp_validity_s_max
                                                         : RESPONSE_VALIDITY_S_USUAL;
    struct cm_der next;
    int64_t this_s, next_s;
    if (!read_general_time(look, single, "thisUpdate", &this_s) || !is_not_ahead(look, this_s))
        return false;
    if (!cm_der_next_is(single, CM_DER_CONTEXT_CONSTRUCTED(0)))
        return cm_look_deny(look, "the response has no nextUpdate");
    if (!cm_der_enter(single, CM_DER_CONTEXT_CONSTRUCTED(0), "nextUpdate", &next)
        || !read_general_time(look, &next, "nextUpdate", &next_s)
        || !cm_der_finish(&next, "nextUpdate"))
        return false;
    if (next_s < this_s)
        return cm_look_deny(look, "nextUpdate lies before thisUpdate");
    return next_s <= look->question->now_s + RESPONSE_FUTURE_S_MAX + longest_s
           || cm_look_deny(look, "nextUpdate lies too far in the future");
}

static bool read_own_extensions(struct cm_der *der)
{
    return !cm_der_next_is(der, CM_DER_CONTEXT_CONSTRUCTED(1))
           || read_extensions(der, CM_DER_CONTEXT_CONSTRUCTED(1));
}

static bool check_single(struct cm_look *look, struct cm_der *list)
{
    struct cm_der single;
    return cm_der_enter(list, CM_DER_SEQUENCE, "response", &single) && read_cert_id(&single)
           && read_status(look, &single) && check_times(look, &single)
           && read_own_extensions(&single) && cm_der_finish(&single, "response");
}

static bool check_singles(struct cm_look *look, struct cm_der *data)
{
    struct cm_der list;
    if (!cm_der_enter(data, CM_DER_SEQUENCE, "responses", &list))
        return false;
    if (cm_der_at_end(&list))
        return cm_look_deny(look, "it responds to nothing");
    while (!cm_der_at_end(&list))
        if (!check_single(look, &list))
            return false;
    return true;
}

bool cm_look_response(struct cm_look *look)
{
    struct cm_der data;
    int64_t time_s;
    return cm_look_open(look, &data) && check_responder(look, &data)
           && read_general_time(look, &data, "producedAt", &time_s) && is_not_ahead(look, time_s)
           && check_singles(look, &data) && read_own_extensions(&data)
           && cm_der_finish(&data, "ResponseData");
}

/* ------------------------------------------------------------------ TBSCertList (RFC 5280, 5.1) -- */

static bool check_version(struct cm_look *look, struct cm_der *list)
{
    struct cm_bytes number;
    if (!cm_der_read_integer(list, "version", &number))
        return false;
    return (number.size == 1 && number.data[0] == 1)
           || cm_look_deny(look, "the CRL's version is not 2");
}

static bool check_updates(struct cm_look *look, struct cm_der *list)
{
    int64_t longest_s =
        look->floor->crl_validity_s_max ? look->floor->crl_validity_s_max : CRL_VALIDITY_S_USUAL;
    int64_t this_s, next_s;
    if (!cm_der_read_time(list, "thisUpdate", &this_s)
        || !cm_der_read_time(list, "nextUpdate", &next_s))
        return false;
    if (this_s > look->question->now_s + CM_FLOOR_FUTURE_S_MAX)
        return cm_look_deny(look, "thisUpdate lies in the future");
    if (next_s < this_s)
        return cm_look_deny(look, "nextUpdate lies before thisUpdate");
    return next_s - this_s <= longest_s
           || cm_look_deny(look, "the CRL would be good for longer than this key may say");
}

bool cm_look_crl(struct cm_look *look)
{
    struct cm_der list;
    if (!cm_look_open(look, &list) || !check_version(look, &list)
        || !cm_look_skip(&list, "signature") || !cm_look_issuer(look, &list)
        || !check_updates(look, &list))
        return false;
    if (cm_der_next_is(&list, CM_DER_SEQUENCE) && !cm_look_skip(&list, "revokedCertificates"))
        return false;
    return read_extensions(&list, CM_DER_CONTEXT_CONSTRUCTED(0))
           && cm_der_finish(&list, "TBSCertList");
}
