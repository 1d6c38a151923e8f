/* The key of a delegated responder: what it is called in its provider, and that it is there. */
#include "engine/revocation/responder_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/floors.h"
#include "providers/naming.h"

static struct cm_provider *provider_of(const struct cm_responder_slot *slot)
{
    const struct cm_responders_env *env = &slot->responders->env;
    return env->providers[slot->issuer->authority->ocsp_responder - env->settings->providers];
}

/* ------------------------------------------------------------------ its name -- */

/* A key of ours in the same provider says which token, or which vault, ours are in: the issuer's own
 * before others. NULL: there is none. */
static const char *find_neighbour(const struct cm_responder_slot *slot)
{
    const struct cm_settings_provider *provider = slot->issuer->authority->ocsp_responder;
    const struct cm_issuers *issuers = slot->responders->env.issuers;
    if (slot->issuer->provider == provider)
        return slot->issuer->reference;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].provider == provider)
            return issuers->keys[i].reference;
    return NULL;
}

char *cm_responder_reference(const char *kind, const char *neighbour, const char *issuer_name)
{
    char name[128];
    snprintf(name, sizeof name, "ocsp-%s", issuer_name);
    return cm_key_name_beside(kind, neighbour, name);
}

static cm_status find_reference(struct cm_responder_slot *slot, struct cm_error *err)
{
    const struct cm_settings_provider *provider = slot->issuer->authority->ocsp_responder;
    slot->reference =
        cm_responder_reference(provider->kind, find_neighbour(slot), slot->issuer->name);
    if (!slot->reference)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "no key of an authority is in provider %s, so nothing says which token or "
                       "vault a responder's key belongs in",
                       provider->name);
    struct cm_floor floor =
        cm_floor_of_responder(slot->issuer->authority, slot->issuer->issuer.name);
    cm_host_bind(provider_of(slot), slot->reference, &floor);
    return CM_OK;
}

/* ------------------------------------------------------------------ the key -- */

static void on_created(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct cm_responder_slot *slot = arg;
    if (status != CM_OK) {
        cm_responder_failed(slot, err);
        return;
    }
    slot->key = key;
    cm_responder_tell(slot->responders, "the OCSP responder of %s has a new key: %s",
                      slot->issuer->name, slot->reference);
    cm_responder_done(slot);
}

static void on_opened(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct cm_responder_slot *slot = arg;
    const struct cm_key_spec spec = { .type = CM_KEY_P256 };
    if (status == CM_NO_KEY && !slot->responders->is_stopped) {
        cm_provider_create_key(provider_of(slot), slot->reference, &spec, CM_SIGALG_UNKNOWN,
                               on_created, slot);
    } else if (status != CM_OK) {
        cm_responder_failed(slot, err);
    } else {
        slot->key = key;
        cm_responder_done(slot);
    }
}

void cm_responder_open_key(struct cm_responder_slot *slot)
{
    struct cm_error err;
    cm_responder_begin(slot);
    if (!slot->reference && find_reference(slot, &err) != CM_OK)
        cm_responder_failed(slot, &err);
    else
        cm_provider_open_key(provider_of(slot), slot->reference, CM_SIGALG_UNKNOWN, on_opened,
                             slot);
}
