/*
 * Several: an entry of a stream that carries more than one request (docs/reference/wire.md, ADR 20).
 *
 *     requester line-1  id.1 order-1  device.1 pump-1  csr.1 ...  id.2 order-2  device.2 pump-2  csr.2 ...
 *
 * A field with a number belongs to the request of that number, one without to all of them. Each request
 * becomes a struct cm_entry like any other; what is wrong with one is no matter of its neighbours.
 *
 *     cm_several_look(&several, name);                         each name, once
 *     count = cm_several_count(&several);                      0: it is an entry of one request
 *     ... cm_entry_start for count entries ...
 *     cm_several_add(&several, entries, name, value);          each field, once more
 *     cm_several_end(&several, entries);
 *     ... cm_entry_finish for each ...
 *
 * What might belong to a request that cannot be told, because its number is out of range or its name was
 * not kept, makes one entry more: the *rest*, the last one. It has what all have, and is refused like them,
 * so that such a request gets an answer, too, although without its id.
 *
 * Zero-initialised is empty. For the backends of this folder, and for tests.
 */
#ifndef CM_QUEUE_SEVERAL_H
#define CM_QUEUE_SEVERAL_H

#include "queue/entry.h"

#define CM_SEVERAL_MAX 64 /* requests of an entry; their numbers are 1 to 64 */

struct cm_several {
    uint64_t numbers; /* bit N - 1: there is a request N */
    size_t size;      /* bytes of all names and values, kept or not */
    bool has_rest;
};

/* Whose is a field with this name? */
enum cm_several_owner {
    CM_SEVERAL_ALL,   /* no number */
    CM_SEVERAL_ONE,   /* ret_number, and ret_field without it */
    CM_SEVERAL_UNTOLD /* something like a number, or a name that was not kept */
};
enum cm_several_owner cm_several_owner(struct cm_bytes name, struct cm_bytes *ret_field,
                                       uint32_t *ret_number);

void cm_several_look(struct cm_several *several, struct cm_bytes name);

/* Entries that it makes, the rest included; 0 when no field has a number. At most CM_SEVERAL_MAX + 1. */
uint32_t cm_several_count(const struct cm_several *several);

/* Where the request of this number stands, from 0. It was looked at. */
uint32_t cm_several_position(const struct cm_several *several, uint32_t number);

/* The number of the request at this position; 0: the rest. */
uint32_t cm_several_number(const struct cm_several *several, uint32_t position);

/* entries: as many as count, in the order of the numbers, and started. value is borrowed as add_field does. */
void cm_several_add(struct cm_several *several, struct cm_entry *const *entries,
                    struct cm_bytes name, struct cm_bytes value);

/* The limit of an entry's bytes is for all its requests together. */
void cm_several_end(const struct cm_several *several, struct cm_entry *const *entries);

#endif
