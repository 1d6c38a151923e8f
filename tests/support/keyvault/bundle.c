#include "tests/support/keyvault/keyvault.h"

json_t *kv_kid(const struct kv_exchange *exchange, const struct kv_key *key,
               const struct kv_version *version)
{
    if (!version)
        return json_sprintf("https://%s/keys/%s", exchange->host, key->name);
    return json_sprintf("https://%s/keys/%s/%s", exchange->host, key->name, version->id);
}

static json_t *attributes_of(const struct kv_version *version)
{
    const struct kv_attributes *attributes = &version->attributes;
    json_t *json = json_pack("{sbsIsIsssisbss}", "enabled", attributes->enabled, "created",
                             version->created, "updated", version->updated, "recoveryLevel",
                             "Recoverable+Purgeable", "recoverableDays", (int)KV_RETENTION_DAYS,
                             "exportable", 0, "hsmPlatform", version->type.is_hsm ? "2" : "0");
    if (attributes->nbf >= 0)
        json_object_set_new(json, "nbf", json_integer(attributes->nbf));
    if (attributes->exp >= 0)
        json_object_set_new(json, "exp", json_integer(attributes->exp));
    return json;
}

static void add_tags(json_t *json, const struct kv_version *version)
{
    if (version->tags)
        json_object_set(json, "tags", version->tags);
}

json_t *kv_bundle(const struct kv_exchange *exchange, const struct kv_key *key,
                  const struct kv_version *version)
{
    json_t *jwk =
        json_pack("{sosO}", "kid", kv_kid(exchange, key, version), "key_ops", version->key_ops);
    json_object_update(jwk, version->jwk);
    json_t *bundle = json_pack("{soso}", "key", jwk, "attributes", attributes_of(version));
    add_tags(bundle, version);
    return bundle;
}

json_t *kv_list_item(const struct kv_exchange *exchange, const struct kv_key *key,
                     const struct kv_version *version, bool with_version)
{
    json_t *item = json_pack("{soso}", "kid", kv_kid(exchange, key, with_version ? version : NULL),
                             "attributes", attributes_of(version));
    add_tags(item, version);
    return item;
}

static json_t *add_deletion(json_t *json, const struct kv_exchange *exchange,
                            const struct kv_key *key)
{
    json_object_set_new(json, "recoveryId",
                        json_sprintf("https://%s/deletedkeys/%s", exchange->host, key->name));
    json_object_set_new(json, "deletedDate", json_integer(key->deleted));
    json_object_set_new(json, "scheduledPurgeDate",
                        json_integer(key->deleted + KV_RETENTION_DAYS * 86400));
    return json;
}

json_t *kv_deleted_bundle(const struct kv_exchange *exchange, const struct kv_key *key)
{
    return add_deletion(kv_bundle(exchange, key, key->newest), exchange, key);
}

json_t *kv_deleted_item(const struct kv_exchange *exchange, const struct kv_key *key)
{
    return add_deletion(kv_list_item(exchange, key, key->newest, false), exchange, key);
}
