#include "tools/generations.h"

#include <inttypes.h>
#include <string.h>

enum { GENERATIONS_MAX = 4096 };

bool cm_is_authority_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return size > 0 && size <= 64 && name[size] == '\0' && name[0] != '-' && name[0] != '.';
}

static bool keep(const struct cm_generation *generation, void *arg)
{
    struct cm_generations *generations = arg;
    struct cm_arena *arena = generations->arena;
    struct cm_generation copy = *generation;
    copy.authority = cm_arena_copy(arena, generation->authority);
    copy.provider = cm_arena_copy(arena, generation->provider);
    copy.key = cm_arena_copy(arena, generation->key);
    copy.sigalg = cm_arena_copy(arena, generation->sigalg);
    copy.certificate = cm_arena_copy(arena, generation->certificate);
    copy.chain = cm_arena_copy(arena, generation->chain);
    copy.crl_url = cm_arena_copy(arena, generation->crl_url);
    generations->all[generations->count++] = copy;
    return generations->count < GENERATIONS_MAX;
}

cm_status cm_generations_read(struct cm_store *store, struct cm_arena *arena,
                              struct cm_generations *ret_generations, struct cm_error *err)
{
    struct cm_store_reader *reader = NULL;
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status != CM_OK)
        return status;
    *ret_generations = (struct cm_generations){
        .all = cm_arena_zalloc(arena, GENERATIONS_MAX * sizeof *ret_generations->all),
        .arena = arena,
    };
    status = cm_store_reader_begin(reader, err);
    if (status == CM_OK)
        status = cm_store_walk_generations(reader, keep, ret_generations, err);
    cm_store_reader_end(reader);
    cm_store_reader_close(reader);
    return status;
}

const char *cm_generation_name(struct cm_arena *arena, const struct cm_generation *generation)
{
    return cm_arena_printf(arena, "%.*s-%" PRId64, (int)generation->authority.size,
                           (const char *)generation->authority.data, generation->generation);
}

cm_status cm_generations_named(const struct cm_generations *generations, const char *name,
                               const struct cm_generation **ret_generation, struct cm_error *err)
{
    for (uint32_t i = 0; i < generations->count; i++)
        if (strcmp(cm_generation_name(generations->arena, &generations->all[i]), name) == 0) {
            *ret_generation = &generations->all[i];
            return CM_OK;
        }
    return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                   "there is no key %.80s of an authority; certmill ca list shows them", name);
}
