#include "tests/support/keyvault/keyvault.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ------------------------------------------------------------------ members of a body -- */

static bool refuse_member(struct kv_exchange *exchange, const char *why)
{
    kv_refuse(exchange, 400, "BadParameter", NULL, "%s", why);
    return false;
}

static bool read_time(json_t *attributes, const char *name, json_int_t *value)
{
    json_t *member = json_object_get(attributes, name);
    if (!member || json_is_null(member))
        return true;
    *value = json_integer_value(member);
    return json_is_integer(member) && *value >= 0;
}

static bool read_attributes(struct kv_exchange *exchange, json_t *json,
                            struct kv_attributes *values)
{
    json_t *enabled = json_object_get(json, "enabled");
    if (!json)
        return true;
    if (!json_is_object(json))
        return refuse_member(exchange, "attributes is no object.");
    if (enabled && !json_is_null(enabled) && !json_is_boolean(enabled))
        return refuse_member(exchange, "attributes.enabled is no boolean.");
    if (json_is_boolean(enabled))
        values->enabled = json_is_true(enabled);
    if (!read_time(json, "nbf", &values->nbf) || !read_time(json, "exp", &values->exp))
        return refuse_member(exchange, "attributes.nbf and exp are Unix seconds.");
    return true;
}

static bool is_operation(const char *word)
{
    static const char *const words[] = { "encrypt", "decrypt",   "sign",   "verify",
                                         "wrapKey", "unwrapKey", "import", "export" };
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static bool key_ops_are_good(struct kv_exchange *exchange, json_t *key_ops,
                             const struct kv_type *type)
{
    size_t i;
    json_t *word;
    if (!key_ops)
        return true;
    if (!json_is_array(key_ops))
        return refuse_member(exchange, "key_ops is no list.");
    json_array_foreach(key_ops, i, word)
    {
        if (!is_operation(json_string_value(word)))
            return refuse_member(exchange, "key_ops names an operation that there is not.");
        if (strcmp(json_string_value(word), "import") == 0
            && (json_array_size(key_ops) != 1 || type->family != KV_RSA || !type->is_hsm))
            return refuse_member(exchange, "key_ops \"import\" stands alone, on an RSA-HSM key.");
    }
    return true;
}

static bool tags_are_good(struct kv_exchange *exchange, json_t *tags)
{
    const char *name;
    json_t *value;
    if (!tags)
        return true;
    if (!json_is_object(tags) || json_object_size(tags) > 15)
        return refuse_member(exchange, "tags is an object of at most 15 members.");
    json_object_foreach(tags, name, value) if (
        strlen(name) > 256 || !json_is_string(value)
        || json_string_length(value)
               > 256) return refuse_member(exchange, "tags are strings of at most 256 characters.");
    return true;
}

static json_t *present(json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);
    return json_is_null(member) ? NULL : member;
}

/* attributes, tags and key_ops of a body, all or nothing; key_ops stands in `key_holder`. */
static bool apply_members(struct kv_exchange *exchange, struct kv_version *version,
                          json_t *key_holder)
{
    struct kv_attributes attributes = version->attributes;
    json_t *tags = present(exchange->body, "tags"), *key_ops = present(key_holder, "key_ops");
    if (!read_attributes(exchange, present(exchange->body, "attributes"), &attributes)
        || !tags_are_good(exchange, tags) || !key_ops_are_good(exchange, key_ops, &version->type))
        return false;
    version->attributes = attributes;
    version->updated = time(NULL);
    if (tags) {
        json_decref(version->tags);
        version->tags = json_incref(tags);
    }
    if (key_ops) {
        json_decref(version->key_ops);
        version->key_ops = json_incref(key_ops);
    }
    return true;
}

/* ------------------------------------------------------------------ new versions -- */

/* Takes the key over. */
static void add_version(struct kv_exchange *exchange, EVP_PKEY *pkey, const struct kv_type *type,
                        json_t *key_holder)
{
    struct kv_version *version = pkey ? kv_version_new(pkey, type) : NULL;
    if (!version) {
        kv_refuse(exchange, 500, "InternalServerError", NULL, "The key could not be made.");
        return;
    }
    if (!apply_members(exchange, version, key_holder)) {
        kv_version_free(version);
        return;
    }
    struct kv_key *key = kv_keys_add(&exchange->emulator->keys, exchange->name, version);
    kv_answer(exchange, 200, kv_bundle(exchange, key, version));
}

void kv_handle_create(struct kv_exchange *exchange)
{
    struct kv_type type;
    if (!kv_type_read(exchange->body, &type))
        refuse_member(exchange,
                      "kty, crv or key_size is missing, or not one that the vault makes.");
    else
        add_version(exchange, kv_material_generate(&type), &type, exchange->body);
}

static EVP_PKEY *open_blob(struct kv_exchange *exchange, json_t *jwk, const char *blob,
                           struct kv_type *ret_type)
{
    const char *reason = NULL, *crv = json_string_value(json_object_get(jwk, "crv"));
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    EVP_PKEY *pkey = kv_byok_open(&exchange->emulator->keys, blob, &reason);
    struct kv_type type;
    if (!pkey) {
        refuse_member(exchange, reason);
        return NULL;
    }
    bool good = kv_material_type(pkey, &type);
    type.is_hsm = true;
    if (good && kty && strcmp(kty, kv_kty_name(&type)) == 0
        && (type.family == KV_RSA || (crv && strcmp(crv, kv_curve_name(type.bits)) == 0))) {
        *ret_type = type;
        return pkey;
    }
    EVP_PKEY_free(pkey);
    refuse_member(exchange, "kty and crv do not say what is in the transfer blob.");
    return NULL;
}

static EVP_PKEY *open_jwk(struct kv_exchange *exchange, json_t *jwk, struct kv_type *ret_type)
{
    EVP_PKEY *pkey = kv_material_read(jwk, ret_type);
    if (!pkey)
        refuse_member(exchange, "key is no private JWK of a type that the vault takes.");
    else if (json_is_true(json_object_get(exchange->body, "Hsm")))
        ret_type->is_hsm = true;
    return pkey;
}

void kv_handle_import(struct kv_exchange *exchange)
{
    struct kv_type type;
    json_t *jwk = json_object_get(exchange->body, "key");
    const char *blob = json_string_value(json_object_get(jwk, "key_hsm"));
    if (!json_is_object(jwk)) {
        refuse_member(exchange, "key is missing.");
        return;
    }
    EVP_PKEY *pkey = blob ? open_blob(exchange, jwk, blob, &type) : open_jwk(exchange, jwk, &type);
    if (pkey)
        add_version(exchange, pkey, &type, jwk);
}

void kv_handle_rotate(struct kv_exchange *exchange)
{
    const struct kv_version *old = exchange->version;
    EVP_PKEY *pkey = kv_material_generate(&old->type);
    struct kv_version *version = pkey ? kv_version_new(pkey, &old->type) : NULL;
    if (!version) {
        kv_refuse(exchange, 500, "InternalServerError", NULL, "The key could not be made.");
        return;
    }
    json_decref(version->key_ops);
    version->key_ops = json_incref(old->key_ops);
    version->tags = json_incref(old->tags);
    kv_keys_add(&exchange->emulator->keys, exchange->name, version);
    kv_answer(exchange, 200, kv_bundle(exchange, exchange->key, version));
}

/* ------------------------------------------------------------------ what is there -- */

void kv_handle_get(struct kv_exchange *exchange)
{
    kv_answer(exchange, 200, kv_bundle(exchange, exchange->key, exchange->version));
}

void kv_handle_update(struct kv_exchange *exchange)
{
    if (apply_members(exchange, exchange->version, exchange->body))
        kv_handle_get(exchange);
}

void kv_handle_delete(struct kv_exchange *exchange)
{
    exchange->key->deleted = time(NULL);
    kv_answer(exchange, 200, kv_deleted_bundle(exchange, exchange->key));
}

void kv_handle_get_deleted(struct kv_exchange *exchange)
{
    kv_answer(exchange, 200, kv_deleted_bundle(exchange, exchange->key));
}

void kv_handle_recover(struct kv_exchange *exchange)
{
    exchange->key->deleted = 0;
    kv_handle_get(exchange);
}

void kv_handle_purge(struct kv_exchange *exchange)
{
    kv_keys_purge(&exchange->emulator->keys, exchange->key);
    exchange->key = NULL;
    exchange->version = NULL;
    kv_answer(exchange, 204, NULL);
}

/* ------------------------------------------------------------------ using a key -- */

static bool is_usable(struct kv_exchange *exchange)
{
    const struct kv_attributes *attributes = &exchange->version->attributes;
    json_int_t now = time(NULL);
    const char *inner = NULL;
    if (!attributes->enabled)
        inner = "KeyDisabled";
    else if (attributes->nbf >= 0 && now < attributes->nbf)
        inner = "KeyNotYetValid";
    else if (attributes->exp >= 0 && now >= attributes->exp)
        inner = "KeyExpired";
    if (inner)
        kv_refuse(
            exchange, 403, "Forbidden", inner,
            "Operation sign is not allowed on a key that is disabled, not yet valid or expired.");
    return !inner;
}

static bool may(struct kv_exchange *exchange, const char *operation)
{
    if (kv_version_may(exchange->version, operation))
        return true;
    kv_refuse(exchange, 403, "Forbidden", "KeyOperationForbidden",
              "Operation %s is not permitted on this key.", operation);
    return false;
}

static const struct kv_algorithm *read_algorithm(struct kv_exchange *exchange)
{
    const char *name = json_string_value(json_object_get(exchange->body, "alg"));
    const struct kv_algorithm *algorithm = name ? kv_algorithm_find(name) : NULL;
    if (!algorithm)
        refuse_member(exchange, "alg is missing, or not one of the vault's.");
    else if (!kv_algorithm_fits(algorithm, &exchange->version->type))
        kv_refuse(
            exchange, 400, "BadParameter", NULL,
            "Key and signing algorithm are incompatible. Key type is '%s', and algorithm '%s'.",
            kv_kty_name(&exchange->version->type), name);
    else
        return algorithm;
    return NULL;
}

static bool read_digest(struct kv_exchange *exchange, const struct kv_algorithm *algorithm,
                        const char *member, uint8_t digest[KV_DIGEST_SIZE_MAX])
{
    const char *text = json_string_value(json_object_get(exchange->body, member));
    long size = text ? kv_base64_read(text, digest, KV_DIGEST_SIZE_MAX) : -1;
    if (size >= 0 && (size_t)size == kv_algorithm_digest_size(algorithm))
        return true;
    kv_refuse(exchange, 400, "BadParameter", NULL,
              "Invalid length of '%s': it is the base64url of a digest of %zu bytes.", member,
              kv_algorithm_digest_size(algorithm));
    return false;
}

void kv_handle_sign(struct kv_exchange *exchange)
{
    uint8_t digest[KV_DIGEST_SIZE_MAX], signature[KV_SIGNATURE_SIZE_MAX];
    const struct kv_algorithm *algorithm;
    if (!is_usable(exchange) || !may(exchange, "sign") || !(algorithm = read_algorithm(exchange))
        || !read_digest(exchange, algorithm, "value", digest))
        return;
    size_t size = kv_sign(exchange->version, algorithm, digest, signature);
    if (size == 0) {
        kv_refuse(exchange, 500, "InternalServerError", NULL, "OpenSSL did not sign.");
        return;
    }
    exchange->emulator->statistics.signed_count++;
    kv_answer(exchange, 200,
              json_pack("{soso}", "kid", kv_kid(exchange, exchange->key, exchange->version),
                        "value", kv_json_base64url(signature, size)));
}

void kv_handle_verify(struct kv_exchange *exchange)
{
    uint8_t digest[KV_DIGEST_SIZE_MAX], signature[KV_SIGNATURE_SIZE_MAX];
    const char *text = json_string_value(json_object_get(exchange->body, "value"));
    const struct kv_algorithm *algorithm;
    if (!may(exchange, "verify") || !(algorithm = read_algorithm(exchange))
        || !read_digest(exchange, algorithm, "digest", digest))
        return;
    long size = text ? kv_base64_read(text, signature, sizeof signature) : -1;
    if (size < 0)
        refuse_member(exchange, "value is no base64url of a signature.");
    else
        kv_answer(
            exchange, 200,
            json_pack("{sb}", "value",
                      kv_verify(exchange->version, algorithm, digest, signature, (size_t)size)));
}
