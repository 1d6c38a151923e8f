/*
 * Entries: the encoded entries of one list, sorted, one behind the other; and changes to them.
 *
 * A list is immutable, and lives as long as somebody holds it. A new one is made from an old one in one
 * linear pass, with all the changes that wait. Each entry has the shape that cm_crl_entry_write gives
 * it: lengths of one octet.
 *
 * Inside engine/revocation. Lists may be held by any thread; changes belong to one.
 */
#ifndef CM_REVOCATION_ENTRIES_H
#define CM_REVOCATION_ENTRIES_H

#include "engine/x509/crl.h"

struct cm_entries {
    _Atomic uint32_t holders_count;
    uint32_t count;
    size_t size;
    uint8_t octets[];
};

void cm_entries_hold(struct cm_entries *entries);
void cm_entries_let_go(struct cm_entries *entries); /* takes NULL */

/* The list whose octets these are. */
struct cm_entries *cm_entries_of(struct cm_bytes octets);

struct cm_entry_span {
    struct cm_bytes der;    /* the whole entry */
    struct cm_bytes serial; /* content of its INTEGER */
};

/* Takes the first entry off; false at the end, and where what stands there has another shape. */
bool cm_entries_next(struct cm_bytes *rest, struct cm_entry_span *ret_entry);

/* Whether all of it is entries of that shape, in their order: other software may write others. */
bool cm_entries_are_ordered(struct cm_bytes octets);

/* One change: an entry that is to be there, or not to be there any more. */
struct cm_change {
    uint64_t key; /* the order of serials, as far as it fits */
    size_t offset;
};

struct cm_changes {
    struct cm_change *items;
    uint32_t count, space;
    uint8_t *octets; /* of each: whether it goes, and the entry */
    size_t octets_size, octets_space;
};

/* Of two changes to one serial the later holds. False: no such entry can be written. */
bool cm_changes_add(struct cm_changes *changes, const struct cm_crl_entry *entry, bool goes);
void cm_changes_done(struct cm_changes *changes);

/* The old list (NULL: an empty one) with the changes, which it sorts. One holder: the caller. Out of
 * memory aborts. */
struct cm_entries *cm_entries_merge(const struct cm_entries *old, struct cm_changes *changes);

#endif
