/*
 * Arena: memory of one batch, given back all at once.
 *
 * Life: cm_arena_init, any number of allocations, cm_arena_reset when the batch has been answered
 * (the blocks stay and serve the next batch), cm_arena_done at shutdown. After a few batches the
 * arena has grown to its working size and takes nothing more from the heap.
 *
 * Thread: owned by whoever holds the batch; no locking.
 * Fails:  out of memory aborts the process: requests are still leased and come back.
 */
#ifndef CM_BASE_ARENA_H
#define CM_BASE_ARENA_H

#include <stddef.h>

#include "engine/base/bytes.h"

struct cm_arena_block;

struct cm_arena {
    struct cm_arena_block *first;   /* owned chain */
    struct cm_arena_block *current; /* where the next allocation goes */
    size_t block_size;              /* bytes asked from the heap at a time */
};

void cm_arena_init(struct cm_arena *arena, size_t block_size);
void cm_arena_reset(struct cm_arena *arena);
void cm_arena_done(struct cm_arena *arena);

/* Uninitialised memory, aligned for any type. */
void *cm_arena_alloc(struct cm_arena *arena, size_t size);

/* The same, filled with zero bytes. */
void *cm_arena_zalloc(struct cm_arena *arena, size_t size);

/* A copy of the bytes that lives as long as the arena's content. */
struct cm_bytes cm_arena_copy(struct cm_arena *arena, struct cm_bytes bytes);

/* printf into the arena; the result is NUL-terminated. */
const char *cm_arena_printf(struct cm_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
