#include "engine/x509/ocsp_request.h"

#include "engine/base/hash.h"
#include "engine/x509/extension.h"
#include "engine/x509/serial.h"

/* --- extensions ----------------------------------------------------------------------------------- */

static bool read_nonce(const struct cm_der *list, const struct cm_extension *extension,
                       struct cm_bytes *ret_nonce)
{
    struct cm_der value = cm_der_inside(list, extension->value);
    if (!cm_der_read_octet_string(&value, "nonce", ret_nonce) || !cm_der_finish(&value, "nonce"))
        return false;
    return (ret_nonce->size > 0 && ret_nonce->size <= CM_OCSP_NONCE_SIZE_MAX)
           || cm_refuse(list->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, extension->offset,
                        "nonce of %zu octets, allowed 1 to %d", ret_nonce->size,
                        CM_OCSP_NONCE_SIZE_MAX);
}

/* nonce: where it goes, empty where there is none; NULL: not known here, an extension like others. */
static bool read_extensions(struct cm_der *der, uint8_t tag, struct cm_bytes *nonce)
{
    struct cm_extensions extensions;
    if (!cm_der_next_is(der, tag))
        return true;
    if (!cm_extensions_enter(der, tag, &extensions))
        return false;
    if (cm_extensions_are_read(&extensions))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_TOO_FEW_ELEMENTS, der->position,
                         "a list of no extensions");
    while (!cm_extensions_are_read(&extensions)) {
        struct cm_extension extension;
        if (!cm_extensions_next(&extensions, &extension))
            return false;
        bool is_nonce = nonce && extension.id == CM_OID_OCSP_NONCE;
        if (is_nonce
                ? !read_nonce(&extensions.list, &extension, nonce)
                : extension.critical && !cm_extension_refuse_critical(&extensions.list, &extension))
            return false;
    }
    return true;
}

/* --- CertIDs -------------------------------------------------------------------------------------- */

static enum cm_ocsp_hash hash_of(enum cm_oid oid, size_t *ret_size)
{
    *ret_size = oid == CM_OID_SHA1 ? CM_SHA1_SIZE : CM_SHA256_SIZE;
    return oid == CM_OID_SHA1     ? CM_OCSP_HASH_SHA1
           : oid == CM_OID_SHA256 ? CM_OCSP_HASH_SHA256
                                  : CM_OCSP_HASH_OTHER;
}

/* AlgorithmIdentifier of a hash: its parameters are absent or NULL, whichever hash it is. */
static bool read_hash(struct cm_der *der, enum cm_oid *ret_oid)
{
    struct cm_der algorithm;
    struct cm_bytes oid;
    if (!cm_der_enter(der, CM_DER_SEQUENCE, "hashAlgorithm", &algorithm)
        || !cm_der_read_oid(&algorithm, "hashAlgorithm", &oid))
        return false;
    *ret_oid = cm_oid_find(oid);
    return (cm_der_at_end(&algorithm) || cm_der_read_null(&algorithm, "parameters"))
           && cm_der_finish(&algorithm, "hashAlgorithm");
}

static bool read_hashes(struct cm_der *der, struct cm_ocsp_cert_id *id)
{
    enum cm_oid oid;
    size_t size, offset = der->position;
    if (!read_hash(der, &oid) || !cm_der_read_octet_string(der, "issuerNameHash", &id->name_hash)
        || !cm_der_read_octet_string(der, "issuerKeyHash", &id->key_hash))
        return false;
    id->hash = hash_of(oid, &size);
    if (id->hash != CM_OCSP_HASH_OTHER && (id->name_hash.size != size || id->key_hash.size != size))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, offset,
                         "hashes of %zu and %zu octets, expected %zu", id->name_hash.size,
                         id->key_hash.size, size);
    return true;
}

static bool read_cert_id(struct cm_der *der, struct cm_ocsp_cert_id *ret_id)
{
    struct cm_ocsp_cert_id id;
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_SEQUENCE, "CertID", &element))
        return false;
    struct cm_der inside = cm_der_inside(der, element.content);
    id.whole = element.whole;
    if (!read_hashes(&inside, &id) || !cm_der_read_integer(&inside, "serialNumber", &id.serial)
        || !cm_der_finish(&inside, "CertID"))
        return false;
    *ret_id = id;
    return cm_serial_is_good(id.serial)
           || cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, element.offset,
                        "the serial is not a positive INTEGER of 1 to %d octets",
                        CM_SERIAL_SIZE_MAX);
}

static bool read_requests(struct cm_der *tbs, struct cm_ocsp_request *request)
{
    struct cm_der list, single;
    if (!cm_der_enter(tbs, CM_DER_SEQUENCE, "requestList", &list))
        return false;
    if (cm_der_at_end(&list))
        return cm_refuse(tbs->refusal, CM_REFUSAL_DER_TOO_FEW_ELEMENTS, list.position,
                         "asks about no certificate");
    while (!cm_der_at_end(&list)) {
        if (request->ids_count == CM_OCSP_REQUESTS_MAX)
            return cm_refuse(tbs->refusal, CM_REFUSAL_DER_TOO_MANY_ELEMENTS, list.position,
                             "asks about more than %d certificates", CM_OCSP_REQUESTS_MAX);
        if (!cm_der_enter(&list, CM_DER_SEQUENCE, "Request", &single)
            || !read_cert_id(&single, &request->ids[request->ids_count])
            || !read_extensions(&single, CM_DER_CONTEXT_CONSTRUCTED(0), NULL)
            || !cm_der_finish(&single, "Request"))
            return false;
        request->ids_count++;
    }
    return true;
}

/* --- the whole ------------------------------------------------------------------------------------ */

/* v1 is the default, and so it is not written in DER. */
static bool check_version(struct cm_der *tbs)
{
    return !cm_der_next_is(tbs, CM_DER_CONTEXT_CONSTRUCTED(0))
           || cm_refuse(tbs->refusal, CM_REFUSAL_CSR_VERSION, tbs->position,
                        "a version is written out: only v1 is known, and it never is");
}

/* What is stepped over is DER all the same. */
static bool enter_and_walk(struct cm_der *der, uint8_t tag, const char *what,
                           struct cm_der *ret_inside)
{
    return cm_der_enter(der, tag, what, ret_inside) && cm_der_check_inside(ret_inside);
}

static bool skip_requestor(struct cm_der *tbs)
{
    struct cm_der name;
    struct cm_der_element ignored;
    if (!cm_der_next_is(tbs, CM_DER_CONTEXT_CONSTRUCTED(1)))
        return true;
    return enter_and_walk(tbs, CM_DER_CONTEXT_CONSTRUCTED(1), "requestorName", &name)
           && cm_der_read_any(&name, "requestorName", &ignored)
           && cm_der_finish(&name, "requestorName");
}

static bool skip_certificates(struct cm_der *signature)
{
    struct cm_der certificates;
    struct cm_bytes ignored;
    if (cm_der_at_end(signature))
        return true;
    return cm_der_enter(signature, CM_DER_CONTEXT_CONSTRUCTED(0), "certs", &certificates)
           && cm_der_read_sequence(&certificates, "certs", &ignored)
           && cm_der_finish(&certificates, "certs") && cm_der_finish(signature, "signature");
}

static bool skip_signature(struct cm_der *whole)
{
    struct cm_der outer, signature;
    struct cm_bytes ignored;
    struct cm_der_element bits;
    if (!cm_der_next_is(whole, CM_DER_CONTEXT_CONSTRUCTED(0)))
        return true;
    return enter_and_walk(whole, CM_DER_CONTEXT_CONSTRUCTED(0), "signature", &outer)
           && cm_der_enter(&outer, CM_DER_SEQUENCE, "signature", &signature)
           && cm_der_finish(&outer, "signature")
           && cm_der_read_sequence(&signature, "signatureAlgorithm", &ignored)
           && cm_der_read(&signature, CM_DER_BIT_STRING, "signature", &bits)
           && skip_certificates(&signature);
}

static bool read_whole(struct cm_der *der, struct cm_ocsp_request *request)
{
    struct cm_der whole, tbs;
    return cm_der_enter(der, CM_DER_SEQUENCE, "OCSPRequest", &whole)
           && cm_der_enter(&whole, CM_DER_SEQUENCE, "TBSRequest", &tbs) && check_version(&tbs)
           && skip_requestor(&tbs) && read_requests(&tbs, request)
           && read_extensions(&tbs, CM_DER_CONTEXT_CONSTRUCTED(2), &request->nonce)
           && cm_der_finish(&tbs, "TBSRequest") && skip_signature(&whole)
           && cm_der_finish(&whole, "OCSPRequest");
}

bool cm_ocsp_request_read(struct cm_bytes der, struct cm_ocsp_request *ret_request,
                          struct cm_refusal *refusal)
{
    struct cm_der reader = cm_der_open(der, refusal);
    struct cm_ocsp_request request;
    request.ids_count = 0;
    request.nonce = cm_bytes(NULL, 0);
    if (der.size > CM_OCSP_REQUEST_SIZE_MAX)
        return cm_refuse(refusal, CM_REFUSAL_DER_TOO_LARGE, CM_REFUSAL_NO_OFFSET,
                         "OCSP request of %zu octets, allowed %d", der.size,
                         CM_OCSP_REQUEST_SIZE_MAX);
    if (!read_whole(&reader, &request))
        return false;
    if (!cm_der_at_end(&reader))
        return cm_refuse(refusal, CM_REFUSAL_DER_TRAILING_DATA, reader.position,
                         "%zu bytes after the request", reader.end - reader.position);
    *ret_request = request;
    return true;
}
