#include "providers/openssl/lanes.h"

#include <openssl/core_names.h>

#include "engine/x509/signature.h"

static bool open_ecdsa(struct cm_ossl_lanes *lanes, const EVP_PKEY *pkey)
{
    BIGNUM *scalar = NULL;
    int size = (int)cm_mb_field_size(lanes->kind);
    bool is_open =
        cm_ossl_order_find(lanes->kind, &lanes->order)
        && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1
        && BN_bn2lebinpad(scalar, (unsigned char *)lanes->scalar, sizeof lanes->scalar) > 0
        && BN_bn2binpad(scalar, lanes->scalar_octets, size) == size;
    BN_clear_free(scalar);
    return is_open;
}

/* As a number of the curve's size: of a longer hash the left octets count (FIPS 186-5, 6.4.1). */
static void put_digest(struct cm_bytes hash, uint8_t *digest, size_t size)
{
    size_t taken = hash.size < size ? hash.size : size;
    memset(digest, 0, size - taken);
    memcpy(digest + size - taken, hash.data, taken);
}

static bool fill(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                 struct cm_bytes message, struct cm_mb_ecdsa_draft *draft)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_size;
    if (!cm_ossl_signer_hash(signer, message, hash, &hash_size))
        return false;
    struct cm_ossl_nonce_source source = { .scalar = lanes->scalar_octets,
                                           .hash = cm_bytes(hash, hash_size) };
    put_digest(source.hash, draft->digest, cm_mb_field_size(lanes->kind));
    return cm_ossl_nonce_draw(signer->nonces, &source, draft->nonce);
}

static bool fill_all(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                     const struct cm_sign_item *items, struct cm_mb_ecdsa_draft *drafts,
                     unsigned count)
{
    if (!signer->nonces)
        signer->nonces = cm_ossl_nonces_new(
            &lanes->order, lanes->has_fixed_nonces ? cm_sigalg_hash(lanes->alg) : NULL);
    for (unsigned i = 0; signer->nonces && i < count; i++)
        if (!fill(lanes, signer, items[i].message, &drafts[i]))
            return false;
    return signer->nonces != NULL;
}

static uint8_t encode(const struct cm_ossl_lanes *lanes, struct cm_sign_item *items,
                      const struct cm_mb_ecdsa_draft *drafts, unsigned count, uint8_t made)
{
    size_t size = cm_mb_field_size(lanes->kind);
    for (unsigned i = 0; i < count; i++) {
        if (!(made >> i & 1))
            continue;
        items[i].signature_size = (uint32_t)cm_signature_write_ecdsa(
            cm_bytes(drafts[i].r, size), cm_bytes(drafts[i].s, size), items[i].signature,
            items[i].signature_space);
        if (items[i].signature_size == 0)
            made &= (uint8_t) ~(1U << i);
    }
    return made;
}

static uint8_t sign_ecdsa(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                          struct cm_sign_item *items, unsigned count)
{
    struct cm_mb_ecdsa_draft drafts[CM_MB_LANES];
    uint8_t made = 0;
    if (fill_all(lanes, signer, items, drafts, count))
        made = encode(lanes, items, drafts, count,
                      cm_mb_ecdsa_sign(lanes->kind, lanes->scalar, drafts, count));
    for (unsigned i = 0; i < count; i++)
        OPENSSL_cleanse(drafts[i].nonce, sizeof drafts[i].nonce);
    return made;
}

const struct cm_ossl_lane_ops cm_ossl_ecdsa_lanes = { .open = open_ecdsa, .sign = sign_ecdsa };
