/* PSS encodes with one of OpenSSL's low-level calls, deprecated since 3.0 and present in every 3.x. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "providers/openssl/lanes.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "engine/x509/pkcs1.h"

static bool read_numbers(struct cm_ossl_lanes *lanes, const EVP_PKEY *pkey)
{
    const struct {
        const char *name;
        BIGNUM **number;
    } numbers[] = {
        { OSSL_PKEY_PARAM_RSA_FACTOR1, &lanes->p },
        { OSSL_PKEY_PARAM_RSA_FACTOR2, &lanes->q },
        { OSSL_PKEY_PARAM_RSA_EXPONENT1, &lanes->dp },
        { OSSL_PKEY_PARAM_RSA_EXPONENT2, &lanes->dq },
        { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &lanes->qinv },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (EVP_PKEY_get_bn_param(pkey, numbers[i].name, numbers[i].number) != 1)
            return false;
    return true;
}

static RSA *public_half_of(const EVP_PKEY *pkey)
{
    BIGNUM *modulus = NULL, *exponent = NULL;
    RSA *rsa = RSA_new();
    if (rsa && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1
        && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1
        && RSA_set0_key(rsa, modulus, exponent, NULL) == 1)
        return rsa;
    BN_free(modulus);
    BN_free(exponent);
    RSA_free(rsa);
    return NULL;
}

/* Two primes of half the size, as the library takes them; a key of more primes has a third one. */
static bool open_rsa(struct cm_ossl_lanes *lanes, const EVP_PKEY *pkey)
{
    BIGNUM *third = NULL;
    bool has_third = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR3, &third) == 1;
    int half = (int)lanes->bits / 2;
    BN_clear_free(third);
    lanes->public_half = public_half_of(pkey);
    return !has_third && lanes->public_half && read_numbers(lanes, pkey)
           && BN_num_bits(lanes->p) == half && BN_num_bits(lanes->q) == half;
}

static bool encode(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                   struct cm_bytes message, uint8_t *encoded)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size;
    if (!cm_ossl_signer_hash(signer, message, digest, &size))
        return false;
    if (cm_sigalg_is_pss(lanes->alg))
        return RSA_padding_add_PKCS1_PSS_mgf1(lanes->public_half, encoded, digest, signer->hash,
                                              signer->hash, RSA_PSS_SALTLEN_DIGEST)
               == 1;
    return cm_pkcs1_encode(lanes->alg, cm_bytes(digest, size), encoded, lanes->bits / 8);
}

static uint8_t sign_rsa(const struct cm_ossl_lanes *lanes, struct cm_ossl_signer *signer,
                        struct cm_sign_item *items, unsigned count)
{
    const struct cm_mb_rsa_key key = {
        .p = lanes->p, .q = lanes->q, .dp = lanes->dp, .dq = lanes->dq, .qinv = lanes->qinv
    };
    uint8_t encoded[CM_MB_LANES][CM_MB_RSA_SIZE_MAX];
    struct cm_mb_rsa_draft drafts[CM_MB_LANES];
    for (unsigned i = 0; i < count; i++) {
        if (!encode(lanes, signer, items[i].message, encoded[i]))
            return 0;
        drafts[i] =
            (struct cm_mb_rsa_draft){ .encoded = encoded[i], .signature = items[i].signature };
        items[i].signature_size = lanes->bits / 8;
    }
    return cm_mb_rsa_private(lanes->bits, &key, drafts, count);
}

static void close_rsa(struct cm_ossl_lanes *lanes)
{
    BIGNUM *numbers[] = { lanes->p, lanes->q, lanes->dp, lanes->dq, lanes->qinv };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        BN_clear_free(numbers[i]);
    RSA_free(lanes->public_half);
}

const struct cm_ossl_lane_ops cm_ossl_rsa_lanes = { .open = open_rsa,
                                                    .close = close_rsa,
                                                    .sign = sign_rsa };
