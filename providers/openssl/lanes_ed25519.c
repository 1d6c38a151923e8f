#include "providers/openssl/lanes.h"

static bool open_ed25519(struct cm_ossl_lanes *lanes, const EVP_PKEY *pkey)
{
    size_t seed_size = sizeof lanes->seed, key_size = sizeof lanes->public_key;
    return EVP_PKEY_get_raw_private_key(pkey, lanes->seed, &seed_size) == 1
           && seed_size == sizeof lanes->seed
           && EVP_PKEY_get_raw_public_key(pkey, lanes->public_key, &key_size) == 1
           && key_size == sizeof lanes->public_key;
}

static uint8_t sign_ed25519(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                            struct cm_sign_item *items, unsigned count)
{
    struct cm_mb_ed25519_draft drafts[CM_MB_LANES];
    (void)signer;
    for (unsigned i = 0; i < count; i++) {
        drafts[i] = (struct cm_mb_ed25519_draft){ .message = items[i].message,
                                                  .signature = items[i].signature };
        items[i].signature_size = CM_MB_ED25519_SIGNATURE_SIZE;
    }
    return cm_mb_ed25519_sign(lanes->seed, lanes->public_key, drafts, count);
}

const struct cm_ossl_lane_ops cm_ossl_ed25519_lanes = { .open = open_ed25519,
                                                        .sign = sign_ed25519 };
