#include "tests/support/keyvault/keyvault.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

struct kv_algorithm {
    const char *name;
    enum kv_family family;
    int bits; /* EC: of the curve */
    int padding;
    const EVP_MD *(*hash)(void);
    size_t digest_size;
};

static const struct kv_algorithm algorithms[] = {
    { "ES256", KV_EC, 256, 0, EVP_sha256, 32 },
    { "ES384", KV_EC, 384, 0, EVP_sha384, 48 },
    { "ES512", KV_EC, 521, 0, EVP_sha512, 64 },
    { "RS256", KV_RSA, 0, RSA_PKCS1_PADDING, EVP_sha256, 32 },
    { "RS384", KV_RSA, 0, RSA_PKCS1_PADDING, EVP_sha384, 48 },
    { "RS512", KV_RSA, 0, RSA_PKCS1_PADDING, EVP_sha512, 64 },
    { "PS256", KV_RSA, 0, RSA_PKCS1_PSS_PADDING, EVP_sha256, 32 },
    { "PS384", KV_RSA, 0, RSA_PKCS1_PSS_PADDING, EVP_sha384, 48 },
    { "PS512", KV_RSA, 0, RSA_PKCS1_PSS_PADDING, EVP_sha512, 64 },
};

const struct kv_algorithm *kv_algorithm_find(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

size_t kv_algorithm_digest_size(const struct kv_algorithm *algorithm)
{
    return algorithm->digest_size;
}

bool kv_algorithm_fits(const struct kv_algorithm *algorithm, const struct kv_type *type)
{
    return algorithm->family == type->family
           && (algorithm->family == KV_RSA || algorithm->bits == type->bits);
}

static bool set_padding(EVP_PKEY_CTX *context, const struct kv_algorithm *algorithm)
{
    if (algorithm->family == KV_EC)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, algorithm->padding) == 1
           && EVP_PKEY_CTX_set_signature_md(context, algorithm->hash()) == 1
           && (algorithm->padding != RSA_PKCS1_PSS_PADDING
               || EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

/* The context is kept: OpenSSL 3 takes about as long to make one as to sign with P-256. */
static EVP_PKEY_CTX *signing_context(struct kv_version *version,
                                     const struct kv_algorithm *algorithm)
{
    if (version->signing && version->signing_algorithm == algorithm)
        return version->signing;
    EVP_PKEY_CTX_free(version->signing);
    version->signing = EVP_PKEY_CTX_new_from_pkey(NULL, version->pkey, NULL);
    version->signing_algorithm = algorithm;
    if (version->signing && EVP_PKEY_sign_init(version->signing) == 1
        && set_padding(version->signing, algorithm))
        return version->signing;
    EVP_PKEY_CTX_free(version->signing);
    return version->signing = NULL;
}

static size_t to_raw(const uint8_t *der, size_t der_size, size_t half, uint8_t *ret_signature)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)der_size);
    bool done = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_signature, (int)half) > 0
                && BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_signature + half, (int)half) > 0;
    ECDSA_SIG_free(pair);
    return done ? 2 * half : 0;
}

size_t kv_sign(struct kv_version *version, const struct kv_algorithm *algorithm,
               const uint8_t *digest, uint8_t *ret_signature)
{
    uint8_t signature[KV_SIGNATURE_SIZE_MAX];
    size_t size = sizeof signature;
    EVP_PKEY_CTX *context = signing_context(version, algorithm);
    if (!context || EVP_PKEY_sign(context, signature, &size, digest, algorithm->digest_size) != 1)
        return 0;
    if (algorithm->family == KV_EC)
        return to_raw(signature, size, (size_t)(algorithm->bits + 7) / 8, ret_signature);
    memcpy(ret_signature, signature, size);
    return size;
}

/* r || s as DER; 0: it is not. */
static size_t to_der(const uint8_t *raw, size_t raw_size, size_t half, uint8_t *ret_der)
{
    if (raw_size != 2 * half)
        return 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)half, NULL), *s = BN_bin2bn(raw + half, (int)half, NULL);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    int size = i2d_ECDSA_SIG(pair, &ret_der);
    ECDSA_SIG_free(pair);
    return size > 0 ? (size_t)size : 0;
}

bool kv_verify(struct kv_version *version, const struct kv_algorithm *algorithm,
               const uint8_t *digest, const uint8_t *signature, size_t signature_size)
{
    uint8_t der[KV_SIGNATURE_SIZE_MAX];
    if (algorithm->family == KV_EC) {
        signature_size = to_der(signature, signature_size, (size_t)(algorithm->bits + 7) / 8, der);
        signature = der;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, version->pkey, NULL);
    bool good =
        signature_size > 0 && context && EVP_PKEY_verify_init(context) == 1
        && set_padding(context, algorithm)
        && EVP_PKEY_verify(context, signature, signature_size, digest, algorithm->digest_size) == 1;
    EVP_PKEY_CTX_free(context);
    return good;
}
