/*
 * OCSP responses (RFC 6960, 4.2; lightweight profile: RFC 9919).
 *
 *     cm_ocsp_compose(&response, arena, &tbs, &err);            ResponseData: what is signed
 *     ... signed ...
 *     der = cm_ocsp_assemble(tbs, sigalg, signature, certificate, arena);    OCSPResponse
 *
 * responderID is byKey: SHA-1 of the responder's public key bits. Times are GeneralizedTime with
 * seconds. nextUpdate is always there. Pure functions; any thread.
 */
#ifndef CM_X509_OCSP_RESPONSE_H
#define CM_X509_OCSP_RESPONSE_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"
#include "engine/x509/ocsp_request.h"
#include "engine/x509/reason.h"

/* OCSPResponseStatus */
enum cm_ocsp_status {
    CM_OCSP_SUCCESSFUL = 0,
    CM_OCSP_MALFORMED_REQUEST = 1,
    CM_OCSP_INTERNAL_ERROR = 2,
    CM_OCSP_TRY_LATER = 3,
    CM_OCSP_UNAUTHORIZED = 6
};

/* An error response, whole; unsigned. Static. Not for SUCCESSFUL. */
struct cm_bytes cm_ocsp_error(enum cm_ocsp_status status);

enum cm_ocsp_state { CM_OCSP_GOOD, CM_OCSP_REVOKED, CM_OCSP_UNKNOWN };

struct cm_ocsp_single {
    struct cm_bytes cert_id; /* CertID, DER, as in the request */
    enum cm_ocsp_state state;
    int64_t revoked_s;     /* REVOKED: Unix seconds */
    enum cm_reason reason; /* REVOKED; UNSPECIFIED is left out */
    int64_t this_update_s, next_update_s;
};

struct cm_ocsp_response {
    uint8_t responder_key_hash[20]; /* SHA-1 of the responder's subjectPublicKey bits */
    int64_t produced_s;
    const struct cm_ocsp_single *singles;
    uint32_t singles_count;
    struct cm_bytes nonce; /* content of the inner OCTET STRING; empty: none */
};

/* ResponseData, in the arena. Fails with INVALID (no single, times out of order). */
CM_MUST_USE cm_status cm_ocsp_compose(const struct cm_ocsp_response *response,
                                      struct cm_arena *arena, struct cm_bytes *ret_tbs,
                                      struct cm_error *err);

/* OCSPResponse (successful), in the arena. certificate: of a delegated responder, DER; empty: none. */
struct cm_bytes cm_ocsp_assemble(struct cm_bytes tbs, enum cm_sigalg sigalg,
                                 struct cm_bytes signature, struct cm_bytes certificate,
                                 struct cm_arena *arena);

/* SHA-1 and SHA-256 over a Name, and over the public key bits of a SubjectPublicKeyInfo: what CertIDs
 * know an issuer by. False: the SPKI is none. */
struct cm_ocsp_issuer_hashes {
    uint8_t name_sha1[20], key_sha1[20];
    uint8_t name_sha256[32], key_sha256[32];
};
CM_MUST_USE bool cm_ocsp_hash_issuer(struct cm_bytes name, struct cm_bytes spki,
                                     struct cm_ocsp_issuer_hashes *ret_hashes);

#endif
