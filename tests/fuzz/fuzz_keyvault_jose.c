/*
 * Keys and signatures as a vault writes them: {"key": JWK, "value": signature}. A key that is taken is
 * one that the rest of certmill takes, and a signature of it is the DER that OpenSSL reads, or as long
 * as the modulus.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>

#include "engine/x509/key.h"
#include "providers/keyvault/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ecdsa(const uint8_t *der, uint32_t size)
{
    const uint8_t *at = der;
    uint8_t *again = NULL;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, size);
    if (!signature || at != der + size || i2d_ECDSA_SIG(signature, &again) != (int)size
        || memcmp(der, again, size) != 0)
        abort();
    OPENSSL_free(again);
    ECDSA_SIG_free(signature);
}

static void check_signature(const json_t *answer, enum cm_key_type type, uint32_t bits)
{
    uint8_t signature[CM_SIGNATURE_SIZE_MAX];
    uint32_t size = cm_jose_signature(answer, type, bits, signature, sizeof signature);
    if (size > sizeof signature)
        abort();
    if (size > 0 && type == CM_KEY_RSA && size != (bits + 7) / 8)
        abort();
    if (size > 0 && type != CM_KEY_RSA)
        check_ecdsa(signature, size);
}

static void check_key(const json_t *answer)
{
    struct cm_jwk jwk;
    struct cm_error err = { .status = CM_OK };
    struct cm_public_key key;
    struct cm_refusal refusal;
    if (cm_jwk_read(json_object_get(answer, "key"), &jwk, &err) != CM_OK) {
        if ((err.status != CM_CORRUPT && err.status != CM_UNSUPPORTED) || err.text[0] == '\0')
            abort();
        return;
    }
    if (!cm_public_key_read(jwk.spki, &key, &refusal) || key.type != jwk.type
        || key.bits != jwk.bits)
        abort();
    check_signature(answer, jwk.type, jwk.bits);
    cm_jwk_done(&jwk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *answer = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!answer)
        return 0;
    check_key(answer);
    check_signature(answer, CM_KEY_P256, 256);
    check_signature(answer, CM_KEY_P384, 384);
    check_signature(answer, CM_KEY_P521, 521);
    check_signature(answer, CM_KEY_RSA, 2048);
    json_decref(answer);
    return 0;
}
