#include "tests/support/keyvault/keyvault.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool kv_name_is_good(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-')
            return false;
    return length >= 1 && length <= 127;
}

static struct kv_key **bucket_of(struct kv_keys *keys, const char *name)
{
    uint32_t hash = 2166136261U;
    for (; *name; name++)
        hash = (hash ^ (uint32_t)tolower((unsigned char)*name)) * 16777619U;
    return &keys->buckets[hash % KV_BUCKETS];
}

struct kv_key *kv_keys_find(struct kv_keys *keys, const char *name)
{
    struct kv_key *key = *bucket_of(keys, name);
    while (key && strcasecmp(key->name, name) != 0)
        key = key->next;
    return key;
}

static struct kv_key *add_key(struct kv_keys *keys, const char *name)
{
    struct kv_key *key = calloc(1, sizeof *key), **bucket = bucket_of(keys, name);
    if (!key)
        abort();
    memcpy(key->name, name, strlen(name) + 1);
    key->next = *bucket;
    return *bucket = key;
}

struct kv_key *kv_keys_add(struct kv_keys *keys, const char *name, struct kv_version *version)
{
    struct kv_key *key = kv_keys_find(keys, name);
    if (!key)
        key = add_key(keys, name);
    version->next = key->newest;
    key->newest = version;
    return key;
}

static void free_key(struct kv_key *key)
{
    while (key->newest) {
        struct kv_version *version = key->newest;
        key->newest = version->next;
        kv_version_free(version);
    }
    free(key);
}

void kv_keys_purge(struct kv_keys *keys, struct kv_key *key)
{
    struct kv_key **at = bucket_of(keys, key->name);
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    free_key(key);
}

void kv_keys_done(struct kv_keys *keys)
{
    for (size_t i = 0; i < KV_BUCKETS; i++)
        while (keys->buckets[i])
            kv_keys_purge(keys, keys->buckets[i]);
}

struct kv_version *kv_key_version(const struct kv_key *key, const char *id)
{
    struct kv_version *version = key->newest;
    if (!id || !*id)
        return version;
    while (version && strcasecmp(version->id, id) != 0)
        version = version->next;
    return version;
}

/* What a key of the type can do. */
static json_t *usual_operations(const struct kv_type *type)
{
    if (type->family == KV_EC)
        return json_pack("[ss]", "sign", "verify");
    return json_pack("[ssssss]", "encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey");
}

struct kv_version *kv_version_new(EVP_PKEY *pkey, const struct kv_type *type)
{
    struct kv_version *version = calloc(1, sizeof *version);
    if (!version) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    *version = (struct kv_version){
        .pkey = pkey,
        .type = *type,
        .jwk = kv_material_jwk(pkey, type),
        .key_ops = usual_operations(type),
        .attributes = { .enabled = true, .nbf = -1, .exp = -1 },
        .created = time(NULL),
        .updated = time(NULL),
    };
    kv_random_hex(version->id, 32);
    if (!version->jwk || !version->key_ops) {
        kv_version_free(version);
        return NULL;
    }
    return version;
}

void kv_version_free(struct kv_version *version)
{
    if (!version)
        return;
    EVP_PKEY_CTX_free(version->signing);
    EVP_PKEY_free(version->pkey);
    json_decref(version->jwk);
    json_decref(version->key_ops);
    json_decref(version->tags);
    free(version);
}

bool kv_version_may(const struct kv_version *version, const char *operation)
{
    size_t i;
    json_t *word;
    json_array_foreach(version->key_ops, i,
                       word) if (strcmp(json_string_value(word), operation) == 0) return true;
    return false;
}
