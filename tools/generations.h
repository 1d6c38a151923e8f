/*
 * Generations: every key of every authority, as the store has them, read at once. One thread.
 */
#ifndef CM_TOOLS_GENERATIONS_H
#define CM_TOOLS_GENERATIONS_H

#include "engine/base/arena.h"
#include "engine/store/store.h"

struct cm_generations {
    struct cm_generation *all; /* in the arena, and so is all that they point at */
    uint32_t count;
    struct cm_arena *arena;
};

/* At most 64 letters, digits, '-', '_' and '.', with no '-' or '.' in front. */
bool cm_is_authority_name(const char *name);

/* In a snapshot of its own. Fails with: what the store fails with. */
CM_MUST_USE cm_status cm_generations_read(struct cm_store *store, struct cm_arena *arena,
                                          struct cm_generations *ret_generations,
                                          struct cm_error *err);

/* "issuing-1", in the arena. */
const char *cm_generation_name(struct cm_arena *arena, const struct cm_generation *generation);

/* The one of that name ("issuing-1"). Fails with: NOT_FOUND, with what to do. */
CM_MUST_USE cm_status cm_generations_named(const struct cm_generations *generations,
                                           const char *name,
                                           const struct cm_generation **ret_generation,
                                           struct cm_error *err);

#endif
