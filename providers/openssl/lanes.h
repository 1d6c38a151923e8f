/*
 * Lanes: signatures with one key, up to eight at a time, by multi-buffer arithmetic (engine/multibuffer).
 *
 * Only for keys whose private numbers are in this process (key files). What is copied of them is wiped
 * with the handle. A signature that does not come about in a lane is made one by one. As with all
 * signatures, whoever asked for them verifies them before they leave the engine (engine/seal.c): a fault
 * in the Chinese remainders of an RSA key would give it away.
 *
 * Thread: the lanes of a key are shared and only read; each worker brings its own signer.
 */
#ifndef CM_PROVIDERS_OPENSSL_LANES_H
#define CM_PROVIDERS_OPENSSL_LANES_H

#include "engine/multibuffer/multibuffer.h"
#include "providers/openssl/internal.h"
#include "providers/openssl/nonce.h"

/* What a kind of key does in lanes. */
struct cm_ossl_lane_ops {
    /* Fills what is of the kind. False: not with this key; what is filled is let go by close. */
    bool (*open)(struct cm_ossl_lanes *lanes, const EVP_PKEY *pkey);
    void (*close)(struct cm_ossl_lanes *lanes); /* may be NULL */
    /* Bit i: item i is signed, its signature_size written. */
    uint8_t (*sign)(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                    struct cm_sign_item *items, unsigned count);
};

extern const struct cm_ossl_lane_ops cm_ossl_ecdsa_lanes, cm_ossl_ed25519_lanes, cm_ossl_rsa_lanes;

struct cm_ossl_lanes {
    const struct cm_ossl_lane_ops *ops;
    enum cm_mb_kind kind;
    enum cm_sigalg alg;
    uint32_t bits;
    unsigned worth; /* how many there must be to be cheaper than one by one */
    /* ECDSA */
    struct cm_ossl_order order;
    cm_mb_limb scalar[CM_MB_LIMBS_MAX];
    uint8_t scalar_octets[CM_MB_FIELD_SIZE_MAX];
    bool has_fixed_nonces;
    /* Ed25519 */
    uint8_t seed[CM_MB_ED25519_KEY_SIZE], public_key[CM_MB_ED25519_KEY_SIZE];
    /* RSA */
    BIGNUM *p, *q, *dp, *dq, *qinv; /* owned */
    void *public_half;              /* an RSA of OpenSSL, for the sizes that PSS asks for; owned */
};

/* NULL: signatures with this key are made one by one. */
struct cm_ossl_lanes *cm_ossl_lanes_new(const EVP_PKEY *pkey, const struct cm_key *key,
                                        bool has_fixed_nonces);
void cm_ossl_lanes_free(struct cm_ossl_lanes *lanes); /* takes NULL */

/* count: 1 to CM_MB_LANES. Bit i: item i is signed. */
uint8_t cm_ossl_lanes_sign(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                           struct cm_sign_item *items, unsigned count);

#endif
