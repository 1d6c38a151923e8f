#include "engine/store/device.h"

#include <stdlib.h>

#include <jansson.h>
#include <openssl/evp.h>

/* UTF-8 without control characters; jansson takes UTF-8 only. */
static bool is_text(const char *text)
{
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        bool c1 = c == 0xc2 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] <= 0x9f;
        if (c < ' ' || c == 0x7f || c1)
            return false;
    }
    json_t *probe = json_string(text);
    json_decref(probe);
    return probe != NULL;
}

static const char *printable(const char *text, char *space)
{
    return cm_bytes_printable(cm_bytes_str(text), space, 64);
}

bool cm_device_is_reserved(struct cm_bytes id)
{
    const size_t size = sizeof CM_DEVICE_RESERVED_PREFIX - 1;
    return id.size >= size && memcmp(id.data, CM_DEVICE_RESERVED_PREFIX, size) == 0;
}

cm_status cm_device_check_id(const char *id, struct cm_error *err)
{
    char shown[64];
    if (!id || id[0] == '\0')
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the device id is missing");
    if (strlen(id) > CM_DEVICE_ID_SIZE_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the device id is longer than %d bytes", CM_DEVICE_ID_SIZE_MAX);
    if (!is_text(id))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the device id \"%s\" is not UTF-8 without control characters",
                       printable(id, shown));
    if (cm_device_is_reserved(cm_bytes_str(id)))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the device id \"%s\" begins with " CM_DEVICE_RESERVED_PREFIX
                       ", which is the engine's own",
                       printable(id, shown));
    return CM_OK;
}

bool cm_device_is_attribute_key(const char *key)
{
    size_t size = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return size > 0 && size <= CM_DEVICE_ATTRIBUTE_KEY_MAX && key[size] == '\0';
}

cm_status cm_device_check_attribute(const struct cm_device_pair *pair, struct cm_error *err)
{
    char shown[64];
    if (!cm_device_is_attribute_key(pair->key))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "\"%s\" is not an attribute's name: 1 to %d letters, digits, '.', '_', '-'",
                       printable(pair->key, shown), CM_DEVICE_ATTRIBUTE_KEY_MAX);
    if (strlen(pair->value) > CM_DEVICE_ATTRIBUTE_VALUE_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the attribute %s is longer than %d bytes", pair->key,
                       CM_DEVICE_ATTRIBUTE_VALUE_MAX);
    if (!is_text(pair->value))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the attribute %s is not UTF-8 without control characters", pair->key);
    return CM_OK;
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct cm_device_pair *)a)->key, ((const struct cm_device_pair *)b)->key);
}

/* "key NUL value NUL", repeated, sorted by key. */
struct cm_bytes cm_device_join_attributes(struct cm_arena *arena, struct cm_device_pair *pairs,
                                          size_t count)
{
    size_t size = 0;
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++)
        size += strlen(pairs[i].key) + strlen(pairs[i].value) + 2;
    char *joined = cm_arena_alloc(arena, size > 0 ? size : 1);
    char *at = joined;
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, pairs[i].key) + 1;
        at = stpcpy(at, pairs[i].value) + 1;
    }
    return cm_bytes(joined, size);
}

/* With a NUL behind it: neighbours cannot be shifted into each other. */
static bool hash_text(EVP_MD_CTX *hash, struct cm_bytes text)
{
    return EVP_DigestUpdate(hash, text.data, text.size) == 1 && EVP_DigestUpdate(hash, "", 1) == 1;
}

cm_status cm_device_hash_rows(const struct cm_device_row *rows, uint32_t count,
                              uint8_t ret_digest[CM_HASH_SIZE], struct cm_error *err)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    for (uint32_t i = 0; i < count && good; i++)
        good = hash_text(hash, rows[i].id) && hash_text(hash, rows[i].group)
               && hash_text(hash, rows[i].attributes)
               && hash_text(hash, cm_bytes_str(cm_device_state_name(rows[i].state)));
    good = good && EVP_DigestFinal_ex(hash, ret_digest, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return good ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "hashing failed");
}
