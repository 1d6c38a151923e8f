#include <stdlib.h>

#include <openssl/err.h>

#include "engine/x509/internal.h"
#include "engine/x509/key.h"

static const char *const hash_names[2] = {
    [CM_SKI_RFC7093_1] = "SHA256",
    [CM_SKI_RFC5280_1] = "SHA1",
};

cm_status cm_composer_new(struct cm_composer **ret_composer, struct cm_error *err)
{
    struct cm_composer *composer = calloc(1, sizeof *composer);
    if (!composer)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "composer");
    for (size_t method = 0; method < 2; method++) {
        composer->hash[method] = EVP_MD_fetch(NULL, hash_names[method], NULL);
        composer->context[method] = EVP_MD_CTX_new();
        if (!composer->hash[method] || !composer->context[method]
            || !EVP_DigestInit_ex2(composer->context[method], composer->hash[method], NULL)) {
            cm_composer_free(composer);
            return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_error(),
                           "hash %s", hash_names[method]);
        }
    }
    *ret_composer = composer;
    return CM_OK;
}

void cm_composer_free(struct cm_composer *composer)
{
    if (!composer)
        return;
    for (size_t method = 0; method < 2; method++) {
        EVP_MD_CTX_free(composer->context[method]);
        EVP_MD_free(composer->hash[method]);
    }
    free(composer);
}

bool cm_composer_ski(struct cm_composer *composer, enum cm_ski_method method, struct cm_bytes spki,
                     uint8_t ret_ski[CM_SKI_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = composer->context[method];
    struct cm_bytes bits;
    if (!cm_public_key_bits(spki, &bits))
        return false;
    /* Without a type the context starts afresh with the hash it has, and nothing is looked up. */
    if (!EVP_DigestInit_ex2(context, NULL, NULL) || !EVP_DigestUpdate(context, bits.data, bits.size)
        || !EVP_DigestFinal_ex(context, digest, NULL))
        return false;
    memcpy(ret_ski, digest, CM_SKI_SIZE);
    return true;
}
