#include "engine/authority/reading.h"

#include <stdlib.h>
#include <string.h>

#include "engine/x509/pem.h"

enum { ACTOR_SIZE_MAX = 200 };

/* --- texts --------------------------------------------------------------------------------------- */

/* NULL and OK: it is not there, and need not be. */
cm_status cm_reading_text(struct cm_reading *reading, const json_t *object, const char *key,
                          size_t size_max, bool is_required, const char **ret_text)
{
    const json_t *value = json_object_get(object, key);
    *ret_text = NULL;
    if (!value && !is_required)
        return CM_OK;
    if (!json_is_string(value) || json_string_length(value) > size_max
        || (is_required && json_string_length(value) == 0))
        return CM_REFUSE(reading, CM_MALFORMED, "%s: expected a text of at most %zu octets", key,
                         size_max);
    *ret_text = cm_arena_printf(reading->arena, "%s", json_string_value(value));
    return CM_OK;
}

cm_status cm_reading_bytes(struct cm_reading *reading, const json_t *object, const char *key,
                           size_t size_max, struct cm_bytes *ret_bytes)
{
    const char *text = NULL;
    cm_status status = cm_reading_text(reading, object, key, size_max, true, &text);
    if (status == CM_OK)
        *ret_bytes = cm_bytes_str(text);
    return status;
}

cm_status cm_reading_base64(struct cm_reading *reading, const json_t *object, const char *key,
                            struct cm_bytes *ret_bytes)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)
        || !cm_base64_read(cm_bytes(json_string_value(value), json_string_length(value)),
                           reading->arena, ret_bytes))
        return CM_REFUSE(reading, CM_MALFORMED, "%s: expected DER in base64", key);
    return CM_OK;
}

cm_status cm_reading_certificate(struct cm_reading *reading, const json_t *object,
                                 struct cm_certificate *ret_certificate)
{
    struct cm_bytes der;
    cm_status status = cm_reading_base64(reading, object, "certificate", &der);
    return status == CM_OK ? cm_certificate_read(der, ret_certificate, reading->err) : status;
}

cm_status cm_reading_actor(struct cm_reading *reading)
{
    const char *actor = NULL;
    char shown[ACTOR_SIZE_MAX + 1];
    cm_status status =
        cm_reading_text(reading, reading->object, "actor", ACTOR_SIZE_MAX, true, &actor);
    if (status != CM_OK)
        return status;
    cm_bytes_printable(cm_bytes_str(actor), shown, sizeof shown);
    reading->request->audit.actor = cm_arena_copy(reading->arena, cm_bytes_str(shown));
    return CM_OK;
}

/* The kind of the audit row: "ca-rotate", "ca-rotate-intent". */
cm_status cm_reading_kind(struct cm_reading *reading, const char *suffix)
{
    static const char *const purposes[] = { "create", "request", "rotate", "import" };
    const char *purpose = json_string_value(json_object_get(reading->object, "purpose"));
    for (size_t i = 0; purpose && i < sizeof purposes / sizeof purposes[0]; i++)
        if (strcmp(purposes[i], purpose) == 0) {
            reading->request->audit.kind =
                cm_arena_printf(reading->arena, "ca-%s%s", purpose, suffix);
            return CM_OK;
        }
    return CM_REFUSE(reading, CM_MALFORMED, "purpose: expected create, request, rotate or import");
}

/* --- generations of the store -------------------------------------------------------------------- */

struct named {
    const char *name;
    struct cm_arena *arena;
    struct cm_generation found; /* number 0: none; what it points at is in the arena */
};

static bool take_named(const struct cm_generation *generation, void *arg)
{
    struct named *named = arg;
    if (!cm_generation_is_named(generation, named->name))
        return true;
    named->found = *generation;
    named->found.certificate = cm_arena_copy(named->arena, generation->certificate);
    named->found.chain = cm_arena_copy(named->arena, generation->chain);
    named->found.provider = cm_arena_copy(named->arena, generation->provider);
    named->found.key = cm_arena_copy(named->arena, generation->key);
    return false;
}

/* Number 0: there is none. */
cm_status cm_reading_look_up(struct cm_reading *reading, const char *name,
                             struct cm_generation *ret_generation)
{
    struct named named = { .name = name, .arena = reading->arena };
    cm_status status = cm_store_reader_begin(reading->reader, reading->err);
    if (status != CM_OK)
        return status;
    status = cm_store_walk_generations(reading->reader, take_named, &named, reading->err);
    cm_store_reader_end(reading->reader);
    *ret_generation = named.found;
    return status;
}

cm_status cm_reading_find(struct cm_reading *reading, const char *name,
                          struct cm_generation *ret_generation)
{
    char shown[96];
    cm_status status = cm_reading_look_up(reading, name, ret_generation);
    if (status == CM_OK && ret_generation->number == 0)
        return CM_REFUSE(reading, CM_NOT_FOUND, "there is no %s; certmill ca list shows them",
                         cm_bytes_printable(cm_bytes_str(name), shown, sizeof shown));
    return status;
}

/* Number 0: it is not named. */
cm_status cm_reading_find_optional(struct cm_reading *reading, const json_t *object,
                                   const char *key, struct cm_generation *ret_generation)
{
    const char *name = NULL;
    cm_status status = cm_reading_text(reading, object, key, CM_READING_TEXT_MAX, false, &name);
    *ret_generation = (struct cm_generation){ .number = 0 };
    return status == CM_OK && name ? cm_reading_find(reading, name, ret_generation) : status;
}

struct cm_bytes cm_reading_dump(struct cm_reading *reading, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    struct cm_bytes copy = cm_arena_copy(reading->arena, cm_bytes_str(text ? text : "{}"));
    free(text);
    json_decref(object);
    return copy;
}
