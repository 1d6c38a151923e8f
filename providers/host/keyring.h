/*
 * Keyring: the keys that a signer has open, and the floors they are bound to.
 *
 * A floor belongs to the key itself, by its public key, not to the name it was opened by: a second
 * reference to the same key does not get around it, and closing the key does not loosen it. The
 * loop's alone.
 */
#ifndef CM_PROVIDERS_HOST_KEYRING_H
#define CM_PROVIDERS_HOST_KEYRING_H

#include "providers/host/floor.h"

/* What a key was bound to, for the life of the process. */
struct cm_binding {
    struct cm_binding *next;
    struct cm_bytes spki;           /* owned */
    bool has_hash;                  /* else OCSP responses are none of its own */
    uint8_t key_hash[CM_SHA1_SIZE]; /* cm_floor_hash_key */
    bool has_floor;                 /* else it signs anything */
    struct cm_floor floor;
    struct cm_floor_bucket bucket;
};

/* An open key. */
struct cm_ring_key {
    struct cm_ring_key *next;
    uint64_t id; /* the engine's */
    struct cm_key *key;
    struct cm_binding *binding;
    uint32_t jobs_count;
    bool is_closing; /* with its last job */
};

struct cm_keyring {
    struct cm_ring_key *keys;
    struct cm_binding *bindings;
};

/* floor NULL: none. NULL when the key is bound otherwise already. */
struct cm_binding *cm_keyring_bind(struct cm_keyring *ring, struct cm_bytes spki,
                                   const struct cm_floor *floor);

struct cm_ring_key *cm_keyring_add(struct cm_keyring *ring, uint64_t id, struct cm_key *key,
                                   struct cm_binding *binding);

/* NULL: none of that id that is not closing. */
struct cm_ring_key *cm_keyring_find(const struct cm_keyring *ring, uint64_t id);

/* Closes it now, or when its last job is done: call again then. */
void cm_keyring_close(struct cm_keyring *ring, struct cm_ring_key *key);

/* With no jobs left. */
void cm_keyring_done(struct cm_keyring *ring);

#endif
