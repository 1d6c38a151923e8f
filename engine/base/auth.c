#include "engine/base/auth_internal.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "engine/base/base64url.h"

const char *cm_auth_method_name(enum cm_auth_method method)
{
    static const char *const names[] = { [CM_AUTH_NONE] = "none",
                                         [CM_AUTH_HMAC_SHA256] = "hmac-sha256",
                                         [CM_AUTH_ED25519] = "ed25519" };
    return names[method];
}

/* ---------------------------------------------------------------------------------- HMAC -- */

cm_status cm_auth_mac_new(struct cm_bytes secret, EVP_MAC_CTX **ret_mac, struct cm_error *err)
{
    char hash[] = "SHA256";
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
                                  OSSL_PARAM_construct_end() };
    if (secret.size < CM_AUTH_SECRET_SIZE_MIN)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the secret has %zu octets; expected at least %d", secret.size,
                       CM_AUTH_SECRET_SIZE_MIN);
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
    EVP_MAC_free(algorithm);
    if (!mac || EVP_MAC_init(mac, secret.data, secret.size, params) != 1) {
        EVP_MAC_CTX_free(mac);
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                       "prepare HMAC-SHA-256");
    }
    *ret_mac = mac;
    return CM_OK;
}

/* Started again without a key, it goes on with the one it has. */
bool cm_auth_mac_compute(EVP_MAC_CTX *mac, struct cm_bytes message,
                         uint8_t ret_value[CM_AUTH_MAC_SIZE])
{
    size_t size = 0;
    return EVP_MAC_init(mac, NULL, 0, NULL) == 1
           && EVP_MAC_update(mac, message.data, message.size) == 1
           && EVP_MAC_final(mac, ret_value, &size, CM_AUTH_MAC_SIZE) == 1
           && size == CM_AUTH_MAC_SIZE;
}

/* ------------------------------------------------------------------------------- verifier -- */

struct cm_auth_verifier {
    enum cm_auth_method method;
    uint32_t keys_count;
    EVP_MAC_CTX *macs[CM_AUTH_KEYS_MAX]; /* HMAC_SHA256 */
    EVP_PKEY *keys[CM_AUTH_KEYS_MAX];    /* ED25519 */
    EVP_MD_CTX *context;                 /* ED25519 */
};

cm_status cm_auth_verifier_new(enum cm_auth_method method, struct cm_auth_verifier **ret_verifier,
                               struct cm_error *err)
{
    struct cm_auth_verifier *verifier = calloc(1, sizeof *verifier);
    if (!verifier || !(verifier->context = EVP_MD_CTX_new())) {
        free(verifier);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a verifier");
    }
    verifier->method = method;
    *ret_verifier = verifier;
    return CM_OK;
}

static cm_status add_public_key(struct cm_bytes key, EVP_PKEY **ret_key, struct cm_error *err)
{
    *ret_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.data, key.size);
    if (*ret_key)
        return CM_OK;
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                   "not an Ed25519 public key");
}

cm_status cm_auth_verifier_add(struct cm_auth_verifier *verifier, struct cm_bytes key,
                               struct cm_error *err)
{
    uint32_t next = verifier->keys_count;
    if (next == CM_AUTH_KEYS_MAX)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0, "more than %d keys", CM_AUTH_KEYS_MAX);
    cm_status status = verifier->method == CM_AUTH_HMAC_SHA256
                           ? cm_auth_mac_new(key, &verifier->macs[next], err)
                           : add_public_key(key, &verifier->keys[next], err);
    if (status == CM_OK)
        verifier->keys_count++;
    return status;
}

static bool verify_mac(struct cm_auth_verifier *verifier, struct cm_bytes text,
                       struct cm_bytes message)
{
    uint8_t given[CM_AUTH_MAC_SIZE];
    uint8_t wanted[CM_AUTH_MAC_SIZE];
    bool is_good = false;
    if (!cm_base64url_decode(text, given, sizeof given))
        return false;
    for (uint32_t i = 0; i < verifier->keys_count && !is_good; i++)
        is_good = cm_auth_mac_compute(verifier->macs[i], message, wanted)
                  && CRYPTO_memcmp(given, wanted, sizeof given) == 0;
    OPENSSL_cleanse(wanted, sizeof wanted);
    return is_good;
}

static bool verify_signature(struct cm_auth_verifier *verifier, struct cm_bytes text,
                             struct cm_bytes message)
{
    uint8_t signature[CM_AUTH_SIGNATURE_SIZE];
    bool is_good = false;
    if (!cm_base64url_decode(text, signature, sizeof signature))
        return false;
    for (uint32_t i = 0; i < verifier->keys_count && !is_good; i++) {
        EVP_MD_CTX_reset(verifier->context);
        is_good = EVP_DigestVerifyInit(verifier->context, NULL, NULL, NULL, verifier->keys[i]) == 1
                  && EVP_DigestVerify(verifier->context, signature, sizeof signature, message.data,
                                      message.size)
                         == 1;
    }
    ERR_clear_error();
    return is_good;
}

bool cm_auth_verify(struct cm_auth_verifier *verifier, struct cm_bytes auth,
                    struct cm_bytes message)
{
    struct cm_bytes method = cm_bytes_str(cm_auth_method_name(verifier->method));
    if (auth.size <= method.size || auth.data[method.size] != ':'
        || memcmp(auth.data, method.data, method.size) != 0)
        return false;
    struct cm_bytes text = cm_bytes_from(auth, method.size + 1);
    return verifier->method == CM_AUTH_HMAC_SHA256 ? verify_mac(verifier, text, message)
                                                   : verify_signature(verifier, text, message);
}

void cm_auth_verifier_free(struct cm_auth_verifier *verifier)
{
    if (!verifier)
        return;
    for (uint32_t i = 0; i < verifier->keys_count; i++) {
        EVP_MAC_CTX_free(verifier->macs[i]);
        EVP_PKEY_free(verifier->keys[i]);
    }
    EVP_MD_CTX_free(verifier->context);
    free(verifier);
}
