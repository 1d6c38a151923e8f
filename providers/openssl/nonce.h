/*
 * Nonces of ECDSA signatures that are made in lanes: the one secret that a signature must not share with
 * any other. Either drawn from OpenSSL's private generator, or made from key and hash as RFC 6979 has it,
 * by the generator HMAC_DRBG of OpenSSL that the RFC (3.3) takes. A number that is 0 or not below the order
 * is thrown away and the next one taken, so that none is likelier than another.
 *
 * Thread: one struct cm_ossl_nonces a worker.
 */
#ifndef CM_PROVIDERS_OPENSSL_NONCE_H
#define CM_PROVIDERS_OPENSSL_NONCE_H

#include "engine/base/bytes.h"
#include "engine/multibuffer/multibuffer.h"

/* A curve's order, as the library wants numbers. */
struct cm_ossl_order {
    enum cm_mb_kind curve;
    uint32_t bits;
    cm_mb_limb limbs[CM_MB_LIMBS_MAX];
};

/* False where OpenSSL does not know the curve. */
bool cm_ossl_order_find(enum cm_mb_kind curve, struct cm_ossl_order *ret_order);

struct cm_ossl_nonces;

/* hash NULL: random ones. Else those of RFC 6979 with this hash ("SHA256"). NULL when OpenSSL cannot. */
struct cm_ossl_nonces *cm_ossl_nonces_new(const struct cm_ossl_order *order, const char *hash);
void cm_ossl_nonces_free(struct cm_ossl_nonces *nonces); /* takes NULL */

/* What a nonce is made of, for RFC 6979; scalar: the private key, in big-endian octets of the curve's field. */
struct cm_ossl_nonce_source {
    const uint8_t *scalar;
    struct cm_bytes hash;
};

/* Writes the limbs of one. False when OpenSSL's generator fails: then there is no signature. */
bool cm_ossl_nonce_draw(struct cm_ossl_nonces *nonces, const struct cm_ossl_nonce_source *source,
                        cm_mb_limb *ret_limbs);

#endif
