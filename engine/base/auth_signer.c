/* The requester's side, and the key files of both. */
#include "engine/base/auth_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "engine/base/base64url.h"
#include "engine/base/secret.h"

struct cm_auth_signer {
    EVP_MAC_CTX *mac; /* or */
    EVP_PKEY *key;
};

static cm_status keep(struct cm_auth_signer parts, struct cm_auth_signer **ret_signer,
                      struct cm_error *err)
{
    struct cm_auth_signer *signer = malloc(sizeof *signer);
    if (!signer) {
        EVP_MAC_CTX_free(parts.mac);
        EVP_PKEY_free(parts.key);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a signer");
    }
    *signer = parts;
    *ret_signer = signer;
    return CM_OK;
}

cm_status cm_auth_signer_new_secret(struct cm_bytes secret, struct cm_auth_signer **ret_signer,
                                    struct cm_error *err)
{
    struct cm_auth_signer parts = { NULL, NULL };
    cm_status status = cm_auth_mac_new(secret, &parts.mac, err);
    return status == CM_OK ? keep(parts, ret_signer, err) : status;
}

static cm_status open_file(const char *path, FILE **ret_file, struct cm_error *err)
{
    *ret_file = fopen(path, "re");
    if (*ret_file)
        return CM_OK;
    cm_status status = errno == ENOENT || errno == ENOTDIR ? CM_NOT_FOUND
                       : errno == EACCES || errno == EPERM ? CM_DENIED
                                                           : CM_IO;
    return CM_FAIL(err, status, CM_ORIGIN_OS, errno, "read key file %s", path);
}

static cm_status read_key(const char *path, bool is_private, EVP_PKEY **ret_key,
                          struct cm_error *err)
{
    FILE *file;
    cm_status status = open_file(path, &file, err);
    if (status != CM_OK)
        return status;
    EVP_PKEY *key = is_private ? PEM_read_PrivateKey(file, NULL, cm_secret_ask_nobody, NULL)
                               : PEM_read_PUBKEY(file, NULL, cm_secret_ask_nobody, NULL);
    fclose(file);
    ERR_clear_error();
    if (!key)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s holds no %s key in PEM%s", path,
                       is_private ? "private" : "public",
                       is_private ? " without a passphrase" : "");
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(key);
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "the key in %s is not an Ed25519 key",
                       path);
    }
    *ret_key = key;
    return CM_OK;
}

cm_status cm_auth_signer_new_key(const char *path, struct cm_auth_signer **ret_signer,
                                 struct cm_error *err)
{
    struct cm_auth_signer parts = { NULL, NULL };
    cm_status status = read_key(path, true, &parts.key, err);
    return status == CM_OK ? keep(parts, ret_signer, err) : status;
}

static bool make_signature(EVP_PKEY *key, struct cm_bytes message,
                           uint8_t ret_signature[CM_AUTH_SIGNATURE_SIZE])
{
    size_t size = CM_AUTH_SIGNATURE_SIZE;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1
                   && EVP_DigestSign(context, ret_signature, &size, message.data, message.size) == 1
                   && size == CM_AUTH_SIGNATURE_SIZE;
    EVP_MD_CTX_free(context);
    return is_good;
}

bool cm_auth_sign(struct cm_auth_signer *signer, struct cm_bytes message,
                  char ret_text[CM_AUTH_TEXT_SIZE])
{
    enum cm_auth_method method = signer->mac ? CM_AUTH_HMAC_SHA256 : CM_AUTH_ED25519;
    uint8_t value[CM_AUTH_SIGNATURE_SIZE];
    bool is_good = signer->mac ? cm_auth_mac_compute(signer->mac, message, value)
                               : make_signature(signer->key, message, value);
    if (!is_good)
        return false;
    int used = sprintf(ret_text, "%s:", cm_auth_method_name(method));
    cm_base64url_encode(cm_bytes(value, signer->mac ? CM_AUTH_MAC_SIZE : CM_AUTH_SIGNATURE_SIZE),
                        ret_text + used);
    return true;
}

void cm_auth_signer_free(struct cm_auth_signer *signer)
{
    if (!signer)
        return;
    EVP_MAC_CTX_free(signer->mac);
    EVP_PKEY_free(signer->key);
    free(signer);
}

cm_status cm_auth_public_key_read(const char *path, uint8_t ret_key[CM_AUTH_PUBLIC_KEY_SIZE],
                                  struct cm_error *err)
{
    EVP_PKEY *key = NULL;
    size_t size = CM_AUTH_PUBLIC_KEY_SIZE;
    cm_status status = read_key(path, false, &key, err);
    if (status != CM_OK)
        return status;
    int good = EVP_PKEY_get_raw_public_key(key, ret_key, &size);
    EVP_PKEY_free(key);
    return good == 1 ? CM_OK
                     : CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "no public key in %s", path);
}
