#include "providers/openssl/internal.h"

#include <openssl/err.h>
#include <openssl/params.h>

#include "providers/openssl/nonce.h"
#include "providers/verify.h"

static bool prepare_hashed(struct cm_ossl_signer *signer, EVP_PKEY *pkey, enum cm_sigalg alg)
{
    signer->hash = EVP_MD_fetch(NULL, cm_sigalg_hash(alg), NULL);
    signer->sign = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    return signer->hash && signer->sign && EVP_PKEY_sign_init(signer->sign) > 0
           && EVP_DigestInit_ex2(signer->digest, signer->hash, NULL) > 0
           && EVP_PKEY_CTX_set_signature_md(signer->sign, signer->hash) > 0
           && (!cm_sigalg_is_pss(alg) || cm_pss_set(signer->sign));
}

/* Since OpenSSL 3.2; what is older ignores the wish, so that it is asked first. */
static bool fix_nonces(EVP_PKEY_CTX *ctx)
{
    static const char name[] = "nonce-type";
    unsigned by_hash_and_key = 1;
    const OSSL_PARAM wish[] = { OSSL_PARAM_construct_uint(name, &by_hash_and_key),
                                OSSL_PARAM_construct_end() };
    const OSSL_PARAM *settable = EVP_PKEY_CTX_settable_params(ctx);
    return settable && OSSL_PARAM_locate_const(settable, name)
           && EVP_PKEY_CTX_set_params(ctx, wish) == 1;
}

cm_status cm_ossl_signer_init(struct cm_ossl_signer *signer, EVP_PKEY *pkey, enum cm_sigalg alg,
                              bool has_fixed_nonces, struct cm_error *err)
{
    *signer = (struct cm_ossl_signer){ .digest = EVP_MD_CTX_new() };
    if (!signer->digest)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory to sign");
    if (cm_sigalg_hash(alg)[0] != '\0' && !prepare_hashed(signer, pkey, alg))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                       "prepare to sign with %s", cm_sigalg_name(alg));
    signer->lacks_fixed_nonces =
        has_fixed_nonces && EVP_PKEY_is_a(pkey, "EC") && !fix_nonces(signer->sign);
    return CM_OK;
}

void cm_ossl_signer_done(struct cm_ossl_signer *signer)
{
    EVP_PKEY_CTX_free(signer->sign);
    EVP_MD_CTX_free(signer->digest);
    EVP_MD_free(signer->hash);
    cm_ossl_nonces_free(signer->nonces);
    *signer = (struct cm_ossl_signer){ 0 };
}

/* Ed25519 hashes the message by itself, twice, so its one call takes the whole message. */
static bool sign_whole(struct cm_ossl_signer *signer, EVP_PKEY *pkey, struct cm_bytes message,
                       uint8_t *signature, size_t *size)
{
    return EVP_DigestSignInit_ex(signer->digest, NULL, NULL, NULL, NULL, pkey, NULL) > 0
           && EVP_DigestSign(signer->digest, signature, size, message.data, message.size) > 0;
}

bool cm_ossl_signer_hash(struct cm_ossl_signer *signer, struct cm_bytes message, uint8_t *digest,
                         unsigned *ret_size)
{
    return EVP_DigestInit_ex2(signer->digest, NULL, NULL) > 0
           && EVP_DigestUpdate(signer->digest, message.data, message.size) > 0
           && EVP_DigestFinal_ex(signer->digest, digest, ret_size) > 0;
}

static bool sign_hash(struct cm_ossl_signer *signer, struct cm_bytes message, uint8_t *signature,
                      size_t *size)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_size;
    return !signer->lacks_fixed_nonces && cm_ossl_signer_hash(signer, message, hash, &hash_size)
           && EVP_PKEY_sign(signer->sign, signature, size, hash, hash_size) > 0;
}

bool cm_ossl_signer_sign(struct cm_ossl_signer *signer, EVP_PKEY *pkey, struct cm_bytes message,
                         uint8_t *signature, uint32_t space, uint32_t *ret_size)
{
    size_t size = space;
    bool signed_ = signer->hash ? sign_hash(signer, message, signature, &size)
                                : sign_whole(signer, pkey, message, signature, &size);
    if (signed_)
        *ret_size = (uint32_t)size;
    return signed_;
}
