/*
 * Verify: whether a signature belongs to a public key, by OpenSSL, for backends that prove a key.
 *
 * A backend signs a test message when it opens a key and checks the signature here, so that a
 * wrong public key, or another key behind a handle, is found before anything real is signed. Not
 * for the hot path: the key is parsed each time. Any thread; leaves OpenSSL's error queue as the
 * failure left it.
 */
#ifndef CM_PROVIDERS_VERIFY_H
#define CM_PROVIDERS_VERIFY_H

#include "engine/base/status.h"
#include "engine/x509/algorithm.h"

#include <openssl/evp.h>

/* What a proof signs. Says what it is to whoever finds it in a log of the key store. */
#define CM_PROOF_TEXT "certmill proves that a private key belongs to its public key"

/* True when the signature verifies with the SubjectPublicKeyInfo. */
CM_MUST_USE bool cm_spki_verify(struct cm_bytes spki, enum cm_sigalg alg, struct cm_bytes message,
                                struct cm_bytes signature);

/* Sets PSS with MGF1 over the signature's hash and a salt of its size (engine/x509/algorithm.h). */
CM_MUST_USE bool cm_pss_set(EVP_PKEY_CTX *context);

#endif
