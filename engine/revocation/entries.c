#include "engine/revocation/entries.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/x509/der.h"

static void *grown(void *memory, size_t size)
{
    void *larger = realloc(memory, size);
    if (!larger)
        abort();
    return larger;
}

/* ------------------------------------------------------------------ lists -- */

static struct cm_entries *entries_new(size_t space)
{
    struct cm_entries *entries = grown(NULL, sizeof *entries + space);
    *entries = (struct cm_entries){ .holders_count = 1 };
    return entries;
}

void cm_entries_hold(struct cm_entries *entries)
{
    atomic_fetch_add_explicit(&entries->holders_count, 1, memory_order_relaxed);
}

void cm_entries_let_go(struct cm_entries *entries)
{
    if (entries && atomic_fetch_sub_explicit(&entries->holders_count, 1, memory_order_acq_rel) == 1)
        free(entries);
}

struct cm_entries *cm_entries_of(struct cm_bytes octets)
{
    uintptr_t place = (uintptr_t)octets.data - offsetof(struct cm_entries, octets);
    return octets.data ? (struct cm_entries *)place : NULL;
}

bool cm_entries_next(struct cm_bytes *rest, struct cm_entry_span *ret_entry)
{
    const uint8_t *octets = rest->data;
    if (rest->size < 4 || octets[0] != CM_DER_SEQUENCE || octets[1] > 127)
        return false;
    size_t size = 2u + octets[1];
    if (size > rest->size || size < 4 || octets[2] != CM_DER_INTEGER || 4u + octets[3] > size)
        return false;
    ret_entry->der = cm_bytes(octets, size);
    ret_entry->serial = cm_bytes(octets + 4, octets[3]);
    *rest = cm_bytes_from(*rest, size);
    return true;
}

bool cm_entries_are_ordered(struct cm_bytes octets)
{
    struct cm_bytes before = cm_bytes(NULL, 0); /* less than any serial */
    struct cm_entry_span entry;
    while (cm_entries_next(&octets, &entry)) {
        if (entry.serial.size == 0 || cm_crl_serial_compare(before, entry.serial) >= 0)
            return false;
        before = entry.serial;
    }
    return octets.size == 0;
}

/* ------------------------------------------------------------------ changes -- */

/* Positive integers without needless octets: the longer is the larger. */
static uint64_t key_of(struct cm_bytes serial)
{
    uint8_t octets[8] = { (uint8_t)serial.size };
    memcpy(octets + 1, serial.data, serial.size < 7 ? serial.size : 7);
    return cm_big_endian_read(octets, sizeof octets);
}

static void make_room(struct cm_changes *changes)
{
    if (changes->count == changes->space) {
        changes->space = changes->space ? changes->space * 2 : 16;
        changes->items = grown(changes->items, changes->space * sizeof *changes->items);
    }
    if (changes->octets_space - changes->octets_size < 1 + CM_CRL_ENTRY_SIZE_MAX) {
        changes->octets_space = changes->octets_space * 2 + 1024;
        changes->octets = grown(changes->octets, changes->octets_space);
    }
}

bool cm_changes_add(struct cm_changes *changes, const struct cm_crl_entry *entry, bool goes)
{
    make_room(changes);
    uint8_t *octets = changes->octets + changes->octets_size;
    size_t size = cm_crl_entry_write(entry, octets + 1);
    if (size == 0)
        return false;
    octets[0] = goes;
    changes->items[changes->count++] =
        (struct cm_change){ .key = key_of(entry->serial), .offset = changes->octets_size };
    changes->octets_size += 1 + size;
    return true;
}

void cm_changes_done(struct cm_changes *changes)
{
    free(changes->items);
    free(changes->octets);
    *changes = (struct cm_changes){ 0 };
}

static struct cm_entry_span entry_of(const struct cm_changes *changes,
                                     const struct cm_change *change)
{
    struct cm_entry_span entry = { 0 };
    struct cm_bytes rest =
        cm_bytes(changes->octets + change->offset + 1, changes->octets_size - change->offset - 1);
    (void)cm_entries_next(&rest, &entry);
    return entry;
}

static int compare_changes(const void *one, const void *other, void *arg)
{
    const struct cm_change *a = one, *b = other;
    const struct cm_changes *changes = arg;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    int order = cm_crl_serial_compare(entry_of(changes, a).serial, entry_of(changes, b).serial);
    if (order == 0)
        order = a->offset < b->offset ? -1 : 1;
    return order;
}

static void sort_changes(struct cm_changes *changes)
{
    if (changes->count > 1)
        qsort_r(changes->items, changes->count, sizeof *changes->items, compare_changes, changes);
}

/* ------------------------------------------------------------------ merging -- */

struct merge {
    const struct cm_changes *changes;
    struct cm_bytes rest; /* of the old list */
    struct cm_entry_span old;
    bool has_old;
    struct cm_entries *merged;
};

static void put(struct cm_entries *entries, struct cm_bytes der, uint32_t count)
{
    memcpy(entries->octets + entries->size, der.data, der.size);
    entries->size += der.size;
    entries->count += count;
}

/* Copies what stands before the serial, in one piece. */
static void copy_before(struct merge *merge, struct cm_bytes serial)
{
    struct cm_bytes piece = cm_bytes(merge->old.der.data, 0);
    uint32_t count = 0;
    if (!merge->has_old)
        return;
    while (merge->has_old && cm_crl_serial_compare(merge->old.serial, serial) < 0) {
        piece.size += merge->old.der.size;
        count++;
        merge->has_old = cm_entries_next(&merge->rest, &merge->old);
    }
    put(merge->merged, piece, count);
}

static void apply(struct merge *merge, uint32_t index)
{
    const struct cm_changes *changes = merge->changes;
    const struct cm_change *change = &changes->items[index];
    struct cm_entry_span entry = entry_of(changes, change);
    if (index + 1 < changes->count
        && cm_bytes_equal(entry.serial, entry_of(changes, change + 1).serial))
        return;
    copy_before(merge, entry.serial);
    if (merge->has_old && cm_bytes_equal(merge->old.serial, entry.serial))
        merge->has_old = cm_entries_next(&merge->rest, &merge->old);
    if (!changes->octets[change->offset])
        put(merge->merged, entry.der, 1);
}

/* What is behind the last change. */
static void copy_rest(struct merge *merge)
{
    struct cm_bytes piece = merge->old.der;
    struct cm_entry_span entry;
    uint32_t count = 1;
    if (!merge->has_old)
        return;
    piece.size += merge->rest.size;
    while (cm_entries_next(&merge->rest, &entry))
        count++;
    put(merge->merged, piece, count);
}

struct cm_entries *cm_entries_merge(const struct cm_entries *old, struct cm_changes *changes)
{
    size_t space = (old ? old->size : 0) + changes->octets_size;
    struct merge merge = { .changes = changes, .merged = entries_new(space) };
    if (old)
        merge.rest = cm_bytes(old->octets, old->size);
    merge.has_old = cm_entries_next(&merge.rest, &merge.old);
    sort_changes(changes);
    for (uint32_t i = 0; i < changes->count; i++)
        apply(&merge, i);
    copy_rest(&merge);
    return grown(merge.merged, sizeof *merge.merged + merge.merged->size);
}
