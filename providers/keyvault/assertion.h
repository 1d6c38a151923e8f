/*
 * Assertion: what proves to the directory that we hold a certificate's private key, instead of a
 * secret: a JWT signed with PS256, good for ten minutes, with an id of its own (RFC 7519, RFC 7523).
 *
 * Source: Microsoft Entra, "Certificate credentials".
 */
#ifndef CM_PROVIDERS_KEYVAULT_ASSERTION_H
#define CM_PROVIDERS_KEYVAULT_ASSERTION_H

#include <stdint.h>

#include "engine/base/status.h"

#define CM_ASSERTION_LIFE_S 600

struct cm_assertion_claims {
    const char *client;   /* issuer and subject */
    const char *audience; /* the URL that the assertion is sent to */
    int64_t now_s;
};

/*
 * Does:       reads the certificate and its private key from a PEM file, in any order, and signs.
 * passphrase: of the private key; NULL: it is not encrypted.
 * Owns:       *ret_assertion is the caller's: OPENSSL_clear_free.
 * Thread:     any.
 * Fails with: NOT_FOUND, DENIED (unreadable, open to all users, the passphrase is wrong), MALFORMED
 *             (no certificate or no key in it, not of one pair, not RSA of 2048 bits or more),
 *             NO_MEMORY.
 */
CM_MUST_USE cm_status cm_assertion_make(const char *path, const char *passphrase,
                                        const struct cm_assertion_claims *claims,
                                        char **ret_assertion, struct cm_error *err);

#endif
