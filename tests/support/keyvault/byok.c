#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

/* A transfer blob is RSA-OAEP (SHA-1) of an AES-256 key, then AES key wrap with padding of PKCS#8. */

enum { AES_KEY_SIZE = 32, PKCS8_SIZE_MAX = 4096 };

static bool open_aes_key(EVP_PKEY *kek, const uint8_t *wrapped, size_t size,
                         uint8_t ret_key[AES_KEY_SIZE])
{
    uint8_t opened[512];
    size_t opened_size = sizeof opened;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, kek, NULL);
    bool good = context && EVP_PKEY_decrypt_init(context) == 1
                && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha1()) == 1
                && EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha1()) == 1
                && EVP_PKEY_decrypt(context, opened, &opened_size, wrapped, size) == 1
                && opened_size == AES_KEY_SIZE;
    EVP_PKEY_CTX_free(context);
    if (good)
        memcpy(ret_key, opened, AES_KEY_SIZE);
    return good;
}

static EVP_PKEY *open_target(const uint8_t key[AES_KEY_SIZE], const uint8_t *wrapped, size_t size)
{
    uint8_t opened[PKCS8_SIZE_MAX + 16];
    const uint8_t *at = opened;
    int count = 0;
    EVP_PKEY *pkey = NULL;
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (size <= PKCS8_SIZE_MAX && cipher && context
        && EVP_DecryptInit_ex2(context, cipher, key, NULL, NULL) == 1
        && EVP_DecryptUpdate(context, opened, &count, wrapped, (int)size) == 1) {
        PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, count);
        pkey = info ? EVP_PKCS82PKEY(info) : NULL;
        PKCS8_PRIV_KEY_INFO_free(info);
    }
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    OPENSSL_cleanse(opened, sizeof opened);
    return pkey;
}

/* The key exchange key that a kid names; of whatever host, so that a test may rename the vault. */
static struct kv_version *find_kek(struct kv_keys *keys, const char *kid)
{
    char name[128] = "", id[64] = "";
    const char *path = kid ? strstr(kid, "/keys/") : NULL;
    if (!path || sscanf(path, "/keys/%127[^/]/%63s", name, id) != 2)
        return NULL;
    struct kv_key *key = kv_keys_find(keys, name);
    return key && !key->deleted ? kv_key_version(key, id) : NULL;
}

static bool is_kek(const struct kv_version *version)
{
    return version->type.family == KV_RSA && version->type.is_hsm && version->attributes.enabled
           && json_array_size(version->key_ops) == 1 && kv_version_may(version, "import");
}

static EVP_PKEY *open_ciphertext(const struct kv_version *kek, const char *text)
{
    uint8_t key[AES_KEY_SIZE], *wrapped;
    size_t size = 0, first = (size_t)EVP_PKEY_get_size(kek->pkey);
    EVP_PKEY *pkey = NULL;
    wrapped = text ? kv_base64_new(text, &size) : NULL;
    if (wrapped && size > first && open_aes_key(kek->pkey, wrapped, first, key))
        pkey = open_target(key, wrapped + first, size - first);
    free(wrapped);
    return pkey;
}

static bool says(json_t *object, const char *name, const char *value)
{
    const char *said = json_string_value(json_object_get(object, name));
    return said && strcmp(said, value) == 0;
}

static EVP_PKEY *open_file(struct kv_keys *keys, json_t *file, const char **ret_reason)
{
    json_t *header = json_object_get(file, "header");
    struct kv_version *kek = find_kek(keys, json_string_value(json_object_get(header, "kid")));
    EVP_PKEY *pkey = NULL;
    if (!says(file, "schema_version", "1.0.0"))
        *ret_reason = "schema_version is not 1.0.0";
    else if (!says(header, "alg", "dir") || !says(header, "enc", "CKM_RSA_AES_KEY_WRAP"))
        *ret_reason = "header has another alg than dir or another enc than CKM_RSA_AES_KEY_WRAP";
    else if (!kek)
        *ret_reason = "header.kid names no key of this vault";
    else if (!is_kek(kek))
        *ret_reason = "the key exchange key is no enabled RSA-HSM key with key_ops [\"import\"]";
    else if (!(pkey = open_ciphertext(kek, json_string_value(json_object_get(file, "ciphertext")))))
        *ret_reason = "ciphertext cannot be unwrapped with the key exchange key";
    return pkey;
}

EVP_PKEY *kv_byok_open(struct kv_keys *keys, const char *blob, const char **ret_reason)
{
    size_t size = 0;
    uint8_t *text = kv_base64_new(blob, &size);
    json_t *file = text ? json_loadb((const char *)text, size, 0, NULL) : NULL;
    EVP_PKEY *pkey = NULL;
    if (!json_is_object(file))
        *ret_reason = "key_hsm is no base64 of a JSON object";
    else
        pkey = open_file(keys, file, ret_reason);
    json_decref(file);
    free(text);
    return pkey;
}
