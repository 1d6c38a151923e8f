/*
 * OCSP requests (RFC 6960, 4.1; RFC 9919; nonces: RFC 9654), read from what strangers send.
 *
 * Strict DER, bounded work, nothing allocated: what is read are spans over the input. A signed request
 * is read and its signature not looked at: requestors need not be known here.
 * Pure functions; any thread.
 */
#ifndef CM_X509_OCSP_REQUEST_H
#define CM_X509_OCSP_REQUEST_H

#include "engine/base/bytes.h"
#include "engine/base/refusal.h"

#define CM_OCSP_REQUEST_SIZE_MAX 8192 /* octets */
#define CM_OCSP_REQUESTS_MAX     8    /* CertIDs in one request */
#define CM_OCSP_NONCE_SIZE_MAX   128  /* octets (RFC 9654, 2.1) */

enum cm_ocsp_hash {
    CM_OCSP_HASH_OTHER, /* a hash that no issuer is known by */
    CM_OCSP_HASH_SHA1,
    CM_OCSP_HASH_SHA256
};

/* Spans over the request. */
struct cm_ocsp_cert_id {
    struct cm_bytes whole; /* CertID, tag included: goes into the answer as it came */
    enum cm_ocsp_hash hash;
    struct cm_bytes name_hash; /* of the issuer's Name */
    struct cm_bytes key_hash;  /* of the issuer's public key bits */
    struct cm_bytes serial;    /* content of the INTEGER: 1 to 20 octets, positive, minimal */
};

struct cm_ocsp_request {
    struct cm_ocsp_cert_id ids[CM_OCSP_REQUESTS_MAX];
    uint32_t ids_count;    /* 1 .. CM_OCSP_REQUESTS_MAX */
    struct cm_bytes nonce; /* content of the inner OCTET STRING, 1 to 128 octets; empty: none */
};

/*
 * False: malformedRequest is the answer, and refusal says why (for logs). Refused: what is not strict DER
 * (a version written out, too: v1 is the default), trailing data, no CertID or too many, hashes of another
 * size than their algorithm's, a serial that is none, a nonce of 0 or over 128 octets, an unknown critical
 * extension, an extension that stands twice.
 */
bool cm_ocsp_request_read(struct cm_bytes der, struct cm_ocsp_request *ret_request,
                          struct cm_refusal *refusal);

#endif
