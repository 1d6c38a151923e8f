#include "providers/host/keyring.h"

#include <assert.h>
#include <stdlib.h>

static bool is_same(const struct cm_binding *binding, const struct cm_floor *floor)
{
    const struct cm_floor *own = &binding->floor;
    if (!floor || !binding->has_floor)
        return !floor && !binding->has_floor;
    return cm_bytes_equal(own->issuer_name, floor->issuer_name) && own->lanes == floor->lanes
           && own->validity_s_max == floor->validity_s_max
           && own->allows_no_expiry == floor->allows_no_expiry
           && own->past_s_max == floor->past_s_max && own->is_responder == floor->is_responder
           && own->responder_validity_s_max == floor->responder_validity_s_max
           && own->crl_validity_s_max == floor->crl_validity_s_max
           && own->ocsp_validity_s_max == floor->ocsp_validity_s_max
           && own->rate_per_s_max == floor->rate_per_s_max && own->burst == floor->burst;
}

struct cm_binding *cm_keyring_bind(struct cm_keyring *ring, struct cm_bytes spki,
                                   const struct cm_floor *floor)
{
    struct cm_binding *binding = ring->bindings;
    while (binding && !cm_bytes_equal(binding->spki, spki))
        binding = binding->next;
    if (binding)
        return is_same(binding, floor) ? binding : NULL;
    binding = calloc(1, sizeof *binding);
    if (!binding)
        abort();
    *binding = (struct cm_binding){ .next = ring->bindings, .spki = cm_bytes_copy(spki) };
    binding->has_hash = cm_floor_hash_key(spki, binding->key_hash);
    if (floor) {
        binding->has_floor = true;
        binding->floor = *floor;
        binding->floor.issuer_name = cm_bytes_copy(floor->issuer_name);
    }
    ring->bindings = binding;
    return binding;
}

struct cm_ring_key *cm_keyring_add(struct cm_keyring *ring, uint64_t id, struct cm_key *key,
                                   struct cm_binding *binding)
{
    struct cm_ring_key *added = calloc(1, sizeof *added);
    if (!added)
        abort();
    *added = (struct cm_ring_key){ .next = ring->keys, .id = id, .key = key, .binding = binding };
    ring->keys = added;
    return added;
}

struct cm_ring_key *cm_keyring_find(const struct cm_keyring *ring, uint64_t id)
{
    struct cm_ring_key *key = ring->keys;
    while (key && (key->id != id || key->is_closing))
        key = key->next;
    return key;
}

void cm_keyring_close(struct cm_keyring *ring, struct cm_ring_key *key)
{
    struct cm_ring_key **at = &ring->keys;
    key->is_closing = true;
    if (key->jobs_count > 0)
        return;
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    cm_provider_close_key(key->key);
    free(key);
}

void cm_keyring_done(struct cm_keyring *ring)
{
    while (ring->keys) {
        assert(ring->keys->jobs_count == 0);
        cm_keyring_close(ring, ring->keys);
    }
    while (ring->bindings) {
        struct cm_binding *binding = ring->bindings;
        ring->bindings = binding->next;
        free((void *)(uintptr_t)binding->spki.data);
        free((void *)(uintptr_t)binding->floor.issuer_name.data);
        free(binding);
    }
}
