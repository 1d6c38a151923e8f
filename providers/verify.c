#include "providers/verify.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

bool cm_pss_set(EVP_PKEY_CTX *context)
{
    /* MGF1 takes the hash of the signature unless told otherwise. */
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0
           && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

bool cm_spki_verify(struct cm_bytes spki, enum cm_sigalg alg, struct cm_bytes message,
                    struct cm_bytes signature)
{
    const unsigned char *at = spki.data;
    const char *hash = cm_sigalg_hash(alg);
    EVP_PKEY_CTX *details;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)spki.size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool verified =
        pkey && context
        && EVP_DigestVerifyInit_ex(context, &details, hash[0] ? hash : NULL, NULL, NULL, pkey, NULL)
               > 0
        && (!cm_sigalg_is_pss(alg) || cm_pss_set(details))
        && EVP_DigestVerify(context, signature.data, signature.size, message.data, message.size)
               == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return verified;
}
