/* The second half of engine/x509/proof.h: one key, many signatures. */
#include "engine/x509/proof.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "engine/x509/signature.h"

struct cm_verifier {
    struct cm_public_key key; /* spans over octets below */
    enum cm_sigalg alg;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *ctx; /* NULL for Ed25519, which takes messages */
    EVP_MD *hash;
    EVP_MD_CTX *hash_ctx;
    uint8_t *octets;
};

static EVP_PKEY *pkey_from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1)
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static EVP_PKEY *pkey_ec(const struct cm_public_key *key)
{
    const char *curve = key->type == CM_KEY_P256   ? "P-256"
                        : key->type == CM_KEY_P384 ? "P-384"
                                                   : "P-521";
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0)
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, key->point.data,
                                            key->point.size))
        pkey = pkey_from_params("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *pkey_rsa(const struct cm_public_key *key)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *modulus = BN_bin2bn(key->modulus.data, (int)key->modulus.size, NULL);
    BIGNUM *exponent = BN_bin2bn(key->exponent.data, (int)key->exponent.size, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (modulus && exponent && builder
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
        pkey = pkey_from_params("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(exponent);
    BN_free(modulus);
    return pkey;
}

static EVP_PKEY *pkey_new(const struct cm_public_key *key)
{
    switch (key->type) {
    case CM_KEY_RSA:
        return pkey_rsa(key);
    case CM_KEY_ED25519:
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->point.data,
                                           key->point.size);
    default:
        return pkey_ec(key);
    }
}

static bool prepare_ctx(struct cm_verifier *verifier)
{
    if (verifier->key.type == CM_KEY_ED25519)
        return true;
    verifier->hash = EVP_MD_fetch(NULL, cm_sigalg_hash(verifier->alg), NULL);
    verifier->ctx = EVP_PKEY_CTX_new(verifier->pkey, NULL);
    EVP_PKEY_CTX *ctx = verifier->ctx;
    if (!verifier->hash || !ctx || EVP_PKEY_verify_init(ctx) != 1)
        return false;
    if (cm_sigalg_is_pss(verifier->alg))
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1
               && EVP_PKEY_CTX_set_signature_md(ctx, verifier->hash) == 1
               && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, verifier->hash) == 1
               && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    return EVP_PKEY_CTX_set_signature_md(ctx, verifier->hash) == 1;
}

/* The key outlives the spans it came in. */
static bool copy_key(struct cm_verifier *verifier, const struct cm_public_key *key)
{
    size_t size = key->point.size + key->modulus.size + key->exponent.size;
    struct cm_bytes *spans[] = { &verifier->key.point, &verifier->key.modulus,
                                 &verifier->key.exponent };
    uint8_t *next = verifier->octets = malloc(size);
    verifier->key = *key;
    for (size_t i = 0; next && i < sizeof spans / sizeof spans[0]; i++) {
        if (spans[i]->size == 0)
            continue;
        spans[i]->data = memcpy(next, spans[i]->data, spans[i]->size);
        next += spans[i]->size;
    }
    return verifier->octets != NULL;
}

cm_status cm_verifier_new(const struct cm_public_key *key, enum cm_sigalg alg,
                          struct cm_verifier **ret_verifier, struct cm_error *err)
{
    if (!cm_sigalg_fits(alg, key->type))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "%s with a key of type %s",
                       cm_sigalg_name(alg), cm_key_type_name(key->type));
    struct cm_verifier *verifier = calloc(1, sizeof *verifier);
    if (!verifier || !copy_key(verifier, key) || !(verifier->hash_ctx = EVP_MD_CTX_new())) {
        cm_verifier_free(verifier);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "verifier");
    }
    verifier->alg = alg;
    verifier->pkey = pkey_new(key);
    if (!verifier->pkey || !prepare_ctx(verifier)) {
        cm_verifier_free(verifier);
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                       "load a public key of type %s", cm_key_type_name(key->type));
    }
    *ret_verifier = verifier;
    return CM_OK;
}

void cm_verifier_free(struct cm_verifier *verifier)
{
    if (!verifier)
        return;
    EVP_MD_CTX_free(verifier->hash_ctx);
    EVP_MD_free(verifier->hash);
    EVP_PKEY_CTX_free(verifier->ctx);
    EVP_PKEY_free(verifier->pkey);
    free(verifier->octets);
    free(verifier);
}

/* Ed25519 contexts are initialised each time: OpenSSL 3.4 and later take one message a time. */
static bool check_message(struct cm_verifier *verifier, struct cm_bytes message,
                          struct cm_bytes signature)
{
    EVP_MD_CTX_reset(verifier->hash_ctx);
    return EVP_DigestVerifyInit(verifier->hash_ctx, NULL, NULL, NULL, verifier->pkey) == 1
           && EVP_DigestVerify(verifier->hash_ctx, signature.data, signature.size, message.data,
                               message.size)
                  == 1;
}

static bool check_digest(struct cm_verifier *verifier, struct cm_bytes message,
                         struct cm_bytes signature)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size;
    return EVP_DigestInit_ex2(verifier->hash_ctx, verifier->hash, NULL) == 1
           && EVP_DigestUpdate(verifier->hash_ctx, message.data, message.size) == 1
           && EVP_DigestFinal_ex(verifier->hash_ctx, digest, &size) == 1
           && EVP_PKEY_verify(verifier->ctx, signature.data, signature.size, digest, size) == 1;
}

cm_status cm_verifier_check(struct cm_verifier *verifier, struct cm_bytes message,
                            struct cm_bytes signature)
{
    if (!cm_signature_is_well_formed(&verifier->key, signature))
        return CM_MALFORMED;
    bool is_good = verifier->ctx ? check_digest(verifier, message, signature)
                                 : check_message(verifier, message, signature);
    if (!is_good)
        ERR_clear_error();
    return is_good ? CM_OK : CM_CORRUPT;
}
