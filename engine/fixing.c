#include "engine/fixing.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "engine/base/arena.h"

enum { ARENA_SIZE = 16384 };

/* One generation that is being fixed; the record is a copy, in the arena. */
struct fix {
    struct fix *next;
    struct cm_fixing *fixing;
    struct cm_store_op op;
    struct cm_generation generation;
    struct cm_audit_event audit;
};

struct cm_fixing {
    struct cm_store *store;
    struct cm_arena arena;
    struct fix *fixes;
    uint32_t pending_count;
    cm_status status; /* the first that failed */
    struct cm_error err;
    cm_fixing_done_fn *done;
    void *arg;
};

char *cm_fill_issuer_url(const char *url, const char *issuer_name)
{
    static const char hole[] = "${issuer}";
    const char *at = url ? strstr(url, hole) : NULL;
    char *filled = NULL;
    if (!url)
        return NULL;
    if (asprintf(&filled, "%.*s%s%s", at ? (int)(at - url) : (int)strlen(url), url,
                 at ? issuer_name : "", at ? at + sizeof hole - 1 : "")
        < 0)
        abort();
    return filled;
}

struct cm_fixing *cm_fixing_new(struct cm_store *store)
{
    struct cm_fixing *fixing = calloc(1, sizeof *fixing);
    if (!fixing)
        abort();
    fixing->store = store;
    cm_arena_init(&fixing->arena, ARENA_SIZE);
    return fixing;
}

void cm_fixing_free(struct cm_fixing *fixing)
{
    if (!fixing)
        return;
    cm_arena_done(&fixing->arena);
    free(fixing);
}

static struct cm_bytes detail_of(struct cm_arena *arena, const char *name,
                                 const struct cm_fixed *fixed)
{
    json_t *object = json_pack("{s:s, s:I, s:s}", "issuer", name, "crl_shards",
                               (json_int_t)fixed->crl_shards, "crl_url", fixed->crl_url);
    char *text = json_dumps(object, JSON_COMPACT);
    struct cm_bytes detail = cm_arena_copy(arena, cm_bytes_str(text ? text : "{}"));
    free(text);
    json_decref(object);
    return detail;
}

/* A change replaces the whole record, so it says all of it again. */
static void note(struct cm_fixing *fixing, const struct cm_generation *from, const char *name,
                 const struct cm_fixed *fixed)
{
    struct cm_arena *arena = &fixing->arena;
    struct fix *fix = cm_arena_zalloc(arena, sizeof *fix);
    struct cm_generation *to = &fix->generation;
    *to = *from;
    to->authority = cm_arena_copy(arena, from->authority);
    to->provider = cm_arena_copy(arena, from->provider);
    to->key = cm_arena_copy(arena, from->key);
    to->sigalg = cm_arena_copy(arena, from->sigalg);
    to->certificate = cm_arena_copy(arena, from->certificate);
    to->chain = cm_arena_copy(arena, from->chain);
    to->crl_shards = fixed->crl_shards;
    to->crl_url = cm_arena_copy(arena, cm_bytes_str(fixed->crl_url));
    fix->audit = (struct cm_audit_event){ .kind = "ca-fix",
                                          .actor = cm_bytes_str("engine"),
                                          .detail = detail_of(arena, name, fixed) };
    fix->fixing = fixing;
    fix->next = fixing->fixes;
    fixing->fixes = fix;
}

static char *copy_text(struct cm_bytes text)
{
    char *copy = strndup((const char *)text.data, text.size);
    if (!copy)
        abort();
    return copy;
}

/* A record with shards and no URL has none yet: it gets the one of the settings, for its own shards. */
void cm_fixing_look(struct cm_fixing *fixing, const struct cm_generation *generation,
                    const char *name, const struct cm_settings_authority *authority,
                    struct cm_fixed *ret_fixed)
{
    char *wanted = cm_fill_issuer_url(authority->crl_url, name);
    uint32_t shards = authority->crl_shards ? authority->crl_shards : 1;
    *ret_fixed = (struct cm_fixed){ .crl_shards = generation->crl_shards };
    if (generation->crl_shards > 0 && generation->crl_url.size > 0) {
        ret_fixed->crl_url = copy_text(generation->crl_url);
        ret_fixed->differs =
            generation->crl_shards != shards || !wanted || strcmp(wanted, ret_fixed->crl_url) != 0;
        free(wanted);
        return;
    }
    ret_fixed->crl_url = wanted;
    if (generation->crl_shards == 0)
        ret_fixed->crl_shards = wanted ? shards : 1;
    if (wanted && fixing->store)
        note(fixing, generation, name, ret_fixed);
}

static void on_fixed(struct cm_store_op *op)
{
    struct fix *fix = op->arg;
    struct cm_fixing *fixing = fix->fixing;
    if (op->status != CM_OK && fixing->status == CM_OK) {
        fixing->status = op->status;
        fixing->err = op->err;
    }
    if (--fixing->pending_count == 0)
        fixing->done(fixing->status, &fixing->err, fixing->arg);
}

void cm_fixing_begin(struct cm_fixing *fixing, cm_fixing_done_fn *done, void *arg)
{
    fixing->done = done;
    fixing->arg = arg;
    if (!fixing->fixes) {
        done(CM_OK, &fixing->err, arg);
        return;
    }
    for (struct fix *fix = fixing->fixes; fix; fix = fix->next)
        fixing->pending_count++;
    for (struct fix *fix = fixing->fixes; fix; fix = fix->next) {
        fix->op = (struct cm_store_op){ .kind = CM_STORE_GENERATION,
                                        .done = on_fixed,
                                        .arg = fix,
                                        .generation = &fix->generation,
                                        .audit = &fix->audit };
        cm_store_submit(fixing->store, &fix->op);
    }
}
