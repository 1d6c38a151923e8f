#include "engine/clones.h"

#include <stdlib.h>

#include "engine/base/hash.h"

enum { SLOTS_AT_FIRST = 1024 };

static void table_init(struct cm_clones_table *table, size_t slots_count)
{
    table->slots = calloc(slots_count, sizeof *table->slots);
    if (!table->slots)
        abort();
    table->slots_count = slots_count;
    table->used_count = 0;
}

/* The slot of this fingerprint, or the free one where it belongs. */
static struct cm_clones_slot *table_find(const struct cm_clones_table *table, uint64_t fingerprint)
{
    size_t mask = table->slots_count - 1;
    size_t slot = (size_t)fingerprint & mask;
    while (table->slots[slot].value != 0 && table->slots[slot].fingerprint != fingerprint)
        slot = (slot + 1) & mask;
    return &table->slots[slot];
}

static void table_grow(struct cm_clones_table *table)
{
    struct cm_clones_table larger;
    table_init(&larger, table->slots_count * 2);
    for (size_t i = 0; i < table->slots_count; i++)
        if (table->slots[i].value != 0)
            *table_find(&larger, table->slots[i].fingerprint) = table->slots[i];
    larger.used_count = table->used_count;
    free(table->slots);
    *table = larger;
}

static void table_put(struct cm_clones_table *table, uint64_t fingerprint, uint64_t value)
{
    struct cm_clones_slot *slot = table_find(table, fingerprint);
    if (slot->value == 0) {
        table->used_count++;
        slot->fingerprint = fingerprint;
    }
    slot->value = value;
    if (table->used_count * 4 > table->slots_count * 3)
        table_grow(table);
}

/* Later entries of the probe sequence move up, so that no gap hides them. */
static void table_remove(struct cm_clones_table *table, struct cm_clones_slot *slot)
{
    size_t mask = table->slots_count - 1;
    size_t gap = (size_t)(slot - table->slots);
    table->used_count--;
    for (size_t i = (gap + 1) & mask; table->slots[i].value != 0; i = (i + 1) & mask) {
        size_t distance_home = (i - (size_t)table->slots[i].fingerprint) & mask;
        if (distance_home >= ((i - gap) & mask)) {
            table->slots[gap] = table->slots[i];
            gap = i;
        }
    }
    table->slots[gap].value = 0;
}

void cm_clones_init(struct cm_clones *clones)
{
    pthread_mutex_init(&clones->shared.mutex, NULL);
    table_init(&clones->shared.certified, SLOTS_AT_FIRST);
    table_init(&clones->shared.claimed, SLOTS_AT_FIRST);
}

void cm_clones_done(struct cm_clones *clones)
{
    free(clones->shared.certified.slots);
    free(clones->shared.claimed.slots);
    pthread_mutex_destroy(&clones->shared.mutex);
}

static uint64_t hash_first_octets(struct cm_bytes bytes)
{
    uint8_t hash[CM_SHA256_SIZE];
    cm_sha256(&bytes, 1, hash);
    return cm_big_endian_read(hash, 8);
}

uint64_t cm_clones_fingerprint(struct cm_bytes spki)
{
    return hash_first_octets(spki);
}

/* The value of a claim: 48 bits that tell the device, 16 that count its requests in flight. */
enum { CLAIM_COUNT_BITS = 16 };

static uint64_t device_tag(struct cm_bytes device_id)
{
    return hash_first_octets(device_id) >> CLAIM_COUNT_BITS;
}

enum cm_clone_verdict cm_clones_claim(struct cm_clones *clones, uint64_t fingerprint,
                                      struct cm_bytes device_id, cm_certificate_number *ret_number)
{
    uint64_t tag = device_tag(device_id);
    pthread_mutex_lock(&clones->shared.mutex); /* { */
    uint64_t claim = table_find(&clones->shared.claimed, fingerprint)->value;
    uint64_t certified = table_find(&clones->shared.certified, fingerprint)->value;
    bool contested = claim != 0 && claim >> CLAIM_COUNT_BITS != tag;
    if (!contested)
        table_put(&clones->shared.claimed, fingerprint,
                  claim != 0 ? claim + 1 : tag << CLAIM_COUNT_BITS | 1);
    pthread_mutex_unlock(&clones->shared.mutex); /* } */
    if (contested)
        return CM_CLONE_CONTESTED;
    if (certified == 0)
        return claim == 0 ? CM_CLONE_NEW : CM_CLONE_CLAIMED;
    *ret_number = (cm_certificate_number)certified;
    return CM_CLONE_KNOWN;
}

void cm_clones_release(struct cm_clones *clones, uint64_t fingerprint, cm_certificate_number number)
{
    const uint64_t count_mask = (1u << CLAIM_COUNT_BITS) - 1;
    pthread_mutex_lock(&clones->shared.mutex); /* { */
    struct cm_clones_slot *slot = table_find(&clones->shared.claimed, fingerprint);
    if ((--slot->value & count_mask) == 0)
        table_remove(&clones->shared.claimed, slot);
    if (number != 0)
        table_put(&clones->shared.certified, fingerprint, (uint64_t)number);
    pthread_mutex_unlock(&clones->shared.mutex); /* } */
}

void cm_clones_add(struct cm_clones *clones, uint64_t fingerprint, cm_certificate_number number)
{
    pthread_mutex_lock(&clones->shared.mutex); /* { */
    table_put(&clones->shared.certified, fingerprint, (uint64_t)number);
    pthread_mutex_unlock(&clones->shared.mutex); /* } */
}
