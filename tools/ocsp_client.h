/*
 * OCSP client: asks a responder about one certificate, and believes only what verifies.
 *
 * OpenSSL makes the request and checks the answer: signed by the issuer's own key, or by a responder
 * that the issuer has certified for it; about the certificate that was asked for; valid now. So the
 * engine's answers are judged by code that is not the engine's. One thread.
 */
#ifndef CM_TOOLS_OCSP_CLIENT_H
#define CM_TOOLS_OCSP_CLIENT_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"
#include "engine/x509/name_write.h"
#include "engine/x509/ocsp_response.h"

struct cm_ocsp_question {
    struct cm_bytes issuer; /* certificate, DER */
    struct cm_bytes serial; /* content of the INTEGER */
    const char *url;        /* of the responder, without what GET adds */
    const char *hash;       /* of the CertID: "sha1", "sha256" */
    bool with_nonce;
};

struct cm_ocsp_said {
    enum cm_ocsp_state state;
    int64_t produced_s, this_update_s;
    int64_t next_update_s; /* 0: newer answers are there at any time */
    int64_t revoked_s;     /* REVOKED */
    enum cm_reason reason; /* REVOKED */
    char responder[CM_NAME_TEXT_SIZE];
    bool is_delegated; /* a responder's certificate signs, not the issuer */
    bool echoes_nonce; /* with_nonce; responders may leave it out (RFC 9919) */
    bool was_sent_as_get;
};

/*
 * Does:       asks by GET where the request fits an URL of 255 bytes and has no nonce, else by POST.
 * Fails with: UNAVAILABLE (no answer over HTTP, or tryLater), DENIED (unauthorized: the responder does
 *             not know the issuer), MALFORMED, MISMATCH (another certificate, another nonce), CORRUPT (it
 *             does not verify), EXPIRED.
 */
CM_MUST_USE cm_status cm_ocsp_ask(const struct cm_ocsp_question *question,
                                  struct cm_ocsp_said *ret_said, struct cm_error *err);

#endif
