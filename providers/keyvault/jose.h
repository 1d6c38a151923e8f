/*
 * JOSE: keys and signatures as Key Vault writes them, in JSON, and as certmill does, in DER.
 *
 * Keys come as JWKs (RFC 7517, RFC 7518 6.2 and 6.3) of the types EC, EC-HSM, RSA and RSA-HSM.
 * ECDSA signatures come as r and s, each as long as the field, one behind the other (RFC 7518 3.4);
 * X.509 wants SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 2.2.3). Pure functions; any thread.
 */
#ifndef CM_PROVIDERS_KEYVAULT_JOSE_H
#define CM_PROVIDERS_KEYVAULT_JOSE_H

#include <jansson.h>

#include "engine/base/status.h"
#include "engine/x509/algorithm.h"
#include "providers/provider.h"

/* The "alg" of a sign request: "ES256", "RS256", "PS256", ...; NULL: the service has none. */
const char *cm_jose_alg(enum cm_sigalg alg, enum cm_key_type type);

struct cm_jwk {
    enum cm_key_type type;
    uint32_t bits;        /* of an RSA modulus; else of the curve */
    bool is_in_hsm;       /* the -HSM types */
    struct cm_bytes spki; /* SubjectPublicKeyInfo, DER; owned: cm_jwk_done */
};

/*
 * Does:       makes the public key of a JWK. Coordinates that came too short are padded; too long, or
 *             not on the curve, is refused, and of RSA what engine/x509/key.h lets nobody have: other
 *             exponents than 65537, a modulus that is even or not of 2048 to 8192 bits.
 * Fails with: CORRUPT (no such key), UNSUPPORTED (another type or curve).
 */
CM_MUST_USE cm_status cm_jwk_read(const json_t *jwk, struct cm_jwk *ret_jwk, struct cm_error *err);
void cm_jwk_done(struct cm_jwk *jwk);

/* The members of a create request for a key: {"kty", "crv"} or {"kty", "key_size"}; a new
 * reference. NULL: the service makes no such key. */
json_t *cm_jose_create_request(const struct cm_key_spec *spec, bool in_hsm);

/* Reads a member that is base64url into space octets. Returns their count; 0: absent, malformed or
 * too long. */
size_t cm_jose_octets(const json_t *object, const char *member, uint8_t *ret_octets, size_t space);

/*
 * Writes the signature of a sign answer as X.509 wants it: RSA's as it is, ECDSA's in DER, r and s
 * not zero and below the order of the curve. Returns its size; 0: not a signature that a key of this
 * type and size can have made, or no space.
 */
uint32_t cm_jose_signature(const json_t *answer, enum cm_key_type type, uint32_t bits,
                           uint8_t *ret_signature, uint32_t space);

#endif
