#include "tests/support/fake_pkcs11.h"
#include "tests/support/rsa_pairs.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

/* ------------------------------------------------------------------ keys -- */

static unsigned rsa_pairs_given; /* the module's lock is held */

EVP_PKEY *fake_crypto_generate(CK_MECHANISM_TYPE how, const uint8_t *params, size_t params_size,
                               unsigned bits)
{
    if (how == CKM_RSA_PKCS_KEY_PAIR_GEN)
        return bits == 2048 ? cm_rsa_pair(rsa_pairs_given++ % CM_RSA_PAIRS) : cm_rsa_pair_of(bits);
    if (how == CKM_EC_EDWARDS_KEY_PAIR_GEN)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (params_size == 10)
        return EVP_EC_gen("P-256");
    return params_size == 7 ? EVP_EC_gen(params[6] == 0x22 ? "P-384" : "P-521") : NULL;
}

/* ------------------------------------------------------------------ signatures -- */

static const EVP_MD *hash_of(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_SHA256:
    case CKM_ECDSA_SHA256:
    case CKM_SHA256_RSA_PKCS:
    case CKM_SHA256_RSA_PKCS_PSS:
        return EVP_sha256();
    case CKM_SHA384:
    case CKM_ECDSA_SHA384:
    case CKM_SHA384_RSA_PKCS:
    case CKM_SHA384_RSA_PKCS_PSS:
        return EVP_sha384();
    case CKM_SHA512:
    case CKM_ECDSA_SHA512:
    case CKM_SHA512_RSA_PKCS:
    case CKM_SHA512_RSA_PKCS_PSS:
        return EVP_sha512();
    default:
        return NULL;
    }
}

/* CK_RSA_PKCS_PSS_PARAMS (PKCS#11 2.40, 2.1.10): versions of pkcs11.h spell its fields differently. */
struct pss_params {
    CK_MECHANISM_TYPE hash;
    CK_ULONG mgf, salt_size;
};

_Static_assert(sizeof(struct pss_params) == sizeof(CK_RSA_PKCS_PSS_PARAMS), "the same layout");

static bool set_padding(EVP_PKEY_CTX *context, const CK_MECHANISM *mechanism, const EVP_MD *hash)
{
    const struct pss_params *pss = mechanism->pParameter;
    if (!pss)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0
               && (!hash || EVP_PKEY_CTX_set_signature_md(context, hash) > 0);
    return mechanism->ulParameterLen == sizeof *pss
           && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0
           && EVP_PKEY_CTX_set_signature_md(context, hash_of(pss->hash)) > 0
           && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)pss->salt_size) > 0;
}

/* SEQUENCE { r, s } as r and s side by side. */
static CK_RV flatten(const uint8_t *der, size_t der_size, size_t half, uint8_t *signature,
                     CK_ULONG *size_io)
{
    const uint8_t *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_size);
    bool good = pair && *size_io >= 2 * half
                && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)half) > 0
                && BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + half, (int)half) > 0;
    ECDSA_SIG_free(pair);
    *size_io = 2 * half;
    return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV sign_whole(EVP_PKEY *pkey, const uint8_t *data, size_t size, uint8_t *signature,
                        CK_ULONG *size_io)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t space = *size_io;
    bool good = EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) > 0
                && EVP_DigestSign(context, signature, &space, data, size) > 0;
    EVP_MD_CTX_free(context);
    *size_io = space;
    return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV fake_crypto_sign(EVP_PKEY *pkey, const CK_MECHANISM *mechanism, const uint8_t *data,
                       size_t size, uint8_t *signature, CK_ULONG *size_io)
{
    uint8_t digest[EVP_MAX_MD_SIZE], raw[1024];
    unsigned digest_size = 0;
    size_t raw_size = sizeof raw;
    const EVP_MD *hash = hash_of(mechanism->mechanism);
    if (mechanism->mechanism == CKM_EDDSA)
        return sign_whole(pkey, data, size, signature, size_io);
    if (hash && EVP_Digest(data, size, digest, &digest_size, hash, NULL) <= 0)
        return CKR_FUNCTION_FAILED;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool is_rsa = EVP_PKEY_is_a(pkey, "RSA");
    bool good =
        EVP_PKEY_sign_init(context) > 0 && (!is_rsa || set_padding(context, mechanism, hash))
        && EVP_PKEY_sign(context, raw, &raw_size, hash ? digest : data, hash ? digest_size : size)
               > 0;
    EVP_PKEY_CTX_free(context);
    if (!good)
        return CKR_FUNCTION_FAILED;
    if (!is_rsa)
        return flatten(raw, raw_size, ((size_t)EVP_PKEY_get_bits(pkey) + 7) / 8, signature,
                       size_io);
    if (*size_io < raw_size)
        return CKR_BUFFER_TOO_SMALL;
    memcpy(signature, raw, raw_size);
    *size_io = raw_size;
    return CKR_OK;
}
