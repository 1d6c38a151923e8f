#include "tests/unit/x509/key_pairs.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tests/support/test_main.h"

int key_pair_make(struct key_pair *pair)
{
    struct cm_refusal refusal;
    if (pair->group)
        pair->pkey = EVP_PKEY_Q_keygen(NULL, NULL, pair->type, pair->group);
    else if (pair->bits > 0)
        pair->pkey = EVP_PKEY_Q_keygen(NULL, NULL, pair->type, pair->bits);
    else
        pair->pkey = EVP_PKEY_Q_keygen(NULL, NULL, pair->type);
    int size = i2d_PUBKEY(pair->pkey, &pair->spki);
    return size > 0 && cm_public_key_read(cm_bytes(pair->spki, (size_t)size), &pair->key, &refusal)
               ? 0
               : 1;
}

void key_pair_done(struct key_pair *pair)
{
    EVP_PKEY_free(pair->pkey);
    OPENSSL_free(pair->spki);
}

struct cm_bytes key_pair_sign(const struct key_pair *pair, enum cm_sigalg alg,
                              struct cm_bytes message, uint8_t *space)
{
    size_t size = CM_SIGNATURE_SIZE_MAX;
    EVP_PKEY_CTX *ctx;
    EVP_MD_CTX *md_ctx = EVP_MD_CTX_new();
    const char *hash = cm_sigalg_hash(alg)[0] ? cm_sigalg_hash(alg) : NULL;
    CU_ASSERT_FATAL(EVP_DigestSignInit_ex(md_ctx, &ctx, hash, NULL, NULL, pair->pkey, NULL) == 1);
    if (cm_sigalg_is_pss(alg)) {
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST);
    }
    CU_ASSERT_FATAL(EVP_DigestSign(md_ctx, space, &size, message.data, message.size) == 1);
    EVP_MD_CTX_free(md_ctx);
    return cm_bytes(space, size);
}
