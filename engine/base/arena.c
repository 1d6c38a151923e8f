#include "engine/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct cm_arena_block {
    struct cm_arena_block *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) uint8_t data[];
};

static struct cm_arena_block *block_new(size_t size)
{
    struct cm_arena_block *block = malloc(sizeof *block + size);
    if (!block)
        abort();
    block->next = NULL;
    block->used = 0;
    block->size = size;
    return block;
}

void cm_arena_init(struct cm_arena *arena, size_t block_size)
{
    *arena = (struct cm_arena){ .block_size = block_size };
}

void cm_arena_reset(struct cm_arena *arena)
{
    for (struct cm_arena_block *block = arena->first; block; block = block->next)
        block->used = 0;
    arena->current = arena->first;
}

void cm_arena_done(struct cm_arena *arena)
{
    struct cm_arena_block *block = arena->first;
    while (block) {
        struct cm_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->first = NULL;
    arena->current = NULL;
}

/* Moves on to a block with room: one kept from an earlier batch, or a new one behind current. */
static struct cm_arena_block *next_block(struct cm_arena *arena, size_t size)
{
    struct cm_arena_block *current = arena->current;
    while (current && current->next) {
        current = current->next;
        if (current->size - current->used >= size)
            return arena->current = current;
    }
    struct cm_arena_block *block = block_new(size > arena->block_size ? size : arena->block_size);
    if (current)
        current->next = block;
    else
        arena->first = block;
    return arena->current = block;
}

void *cm_arena_alloc(struct cm_arena *arena, size_t size)
{
    size_t rounded = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    struct cm_arena_block *block = arena->current;
    if (rounded < size)
        abort();
    if (!block || block->size - block->used < rounded)
        block = next_block(arena, rounded);
    void *memory = block->data + block->used;
    block->used += rounded;
    return memory;
}

void *cm_arena_zalloc(struct cm_arena *arena, size_t size)
{
    return memset(cm_arena_alloc(arena, size), 0, size);
}

struct cm_bytes cm_arena_copy(struct cm_arena *arena, struct cm_bytes bytes)
{
    if (bytes.size == 0)
        return cm_bytes(NULL, 0);
    return cm_bytes(memcpy(cm_arena_alloc(arena, bytes.size), bytes.data, bytes.size), bytes.size);
}

const char *cm_arena_printf(struct cm_arena *arena, const char *format, ...)
{
    va_list args;
    char text[1024];
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0)
        abort();
    char *memory = cm_arena_alloc(arena, (size_t)length + 1);
    if ((size_t)length < sizeof text)
        return memcpy(memory, text, (size_t)length + 1);
    va_start(args, format);
    vsnprintf(memory, (size_t)length + 1, format, args);
    va_end(args);
    return memory;
}
