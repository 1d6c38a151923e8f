#include "providers/openssl/lanes.h"

#include <openssl/crypto.h>

/* From how many on: eight at once by crypto-mb against one by OpenSSL (docs/benchmarks.md). RSA by its size: the
 * lanes are of one size each. */
static const struct {
    enum cm_key_type type;
    uint32_t bits;
    enum cm_mb_kind kind;
    unsigned worth;
    const struct cm_ossl_lane_ops *ops;
} kinds[] = {
    { CM_KEY_P256, 256, CM_MB_P256, 3, &cm_ossl_ecdsa_lanes },
    { CM_KEY_P384, 384, CM_MB_P384, 1, &cm_ossl_ecdsa_lanes },
    { CM_KEY_P521, 521, CM_MB_P521, 2, &cm_ossl_ecdsa_lanes },
    { CM_KEY_ED25519, 256, CM_MB_ED25519, 2, &cm_ossl_ed25519_lanes },
    { CM_KEY_RSA, 2048, CM_MB_RSA, 3, &cm_ossl_rsa_lanes },
    { CM_KEY_RSA, 3072, CM_MB_RSA, 3, &cm_ossl_rsa_lanes },
    { CM_KEY_RSA, 4096, CM_MB_RSA, 2, &cm_ossl_rsa_lanes },
};

static bool choose(struct cm_ossl_lanes *lanes, const struct cm_key *key)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type != key->type || (key->type == CM_KEY_RSA && kinds[i].bits != key->bits))
            continue;
        lanes->kind = kinds[i].kind;
        lanes->worth = kinds[i].worth;
        lanes->ops = kinds[i].ops;
        return cm_mb_takes(kinds[i].kind);
    }
    return false;
}

static bool open_lanes(struct cm_ossl_lanes *lanes, const EVP_PKEY *pkey, const struct cm_key *key)
{
    lanes->alg = key->alg;
    lanes->bits = key->bits;
    return choose(lanes, key) && lanes->ops->open(lanes, pkey);
}

struct cm_ossl_lanes *cm_ossl_lanes_new(const EVP_PKEY *pkey, const struct cm_key *key,
                                        bool has_fixed_nonces)
{
    struct cm_ossl_lanes *lanes = OPENSSL_zalloc(sizeof *lanes);
    if (!lanes)
        return NULL;
    lanes->has_fixed_nonces = has_fixed_nonces;
    if (open_lanes(lanes, pkey, key))
        return lanes;
    cm_ossl_lanes_free(lanes);
    return NULL;
}

void cm_ossl_lanes_free(struct cm_ossl_lanes *lanes)
{
    if (!lanes)
        return;
    if (lanes->ops && lanes->ops->close)
        lanes->ops->close(lanes);
    OPENSSL_clear_free(lanes, sizeof *lanes);
}

uint8_t cm_ossl_lanes_sign(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                           struct cm_sign_item *items, unsigned count)
{
    return lanes->ops->sign(lanes, signer, items, count);
}
