#include "engine/authority/plan.h"

#include <stdlib.h>

#include <jansson.h>

#include "engine/base/hash.h"
#include "engine/x509/name_text.h"

enum { PARAMETER_NAME_SIZE_MAX = 32, WHO_SIZE_MAX = 200, APPROVALS_MAX = 16 };

/* 9999-12-31T23:59:59Z: what people can be shown. */
static const int64_t time_max_s = 253402300799;

/* ---------------------------------------------------------------------------- single values -- */

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
           || c == '_' || c == '-';
}

bool cm_plan_subject_is_good(const char *subject)
{
    size_t size = strlen(subject);
    if (size == 0 || size > CM_PLAN_SUBJECT_SIZE_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_name_character(subject[i]))
            return false;
    return true;
}

static bool is_line(const char *text, size_t size_max)
{
    size_t ignored;
    return strlen(text) <= size_max && cm_utf8_is_line(cm_bytes_str(text), &ignored);
}

bool cm_plan_parameter_is_good(const struct cm_plan_parameter *parameter)
{
    size_t size = strspn(parameter->name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return size > 0 && size <= PARAMETER_NAME_SIZE_MAX && parameter->name[size] == '\0'
           && is_line(parameter->value, CM_PLAN_VALUE_SIZE_MAX);
}

static int compare_names(const void *a, const void *b)
{
    const struct cm_plan_parameter *left = a, *right = b;
    return strcmp(left->name, right->name);
}

bool cm_plan_sort_parameters(struct cm_plan_parameter *parameters, uint32_t count)
{
    if (count > 0)
        qsort(parameters, count, sizeof *parameters, compare_names);
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(parameters[i - 1].name, parameters[i].name) == 0)
            return false;
    return true;
}

/* ---------------------------------------------------------------------------------- writing -- */

static json_t *hex_of(const uint8_t *octets, size_t size)
{
    char text[2 * CM_PLAN_DIGEST_SIZE + 1];
    cm_hex_encode(cm_bytes(octets, size), text);
    return json_string(text);
}

static json_t *write_found(const struct cm_plan *plan)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < plan->found_count; i++) {
        const struct cm_plan_found *found = &plan->found[i];
        json_t *certificate = found->has_certificate
                                  ? hex_of(found->certificate, sizeof found->certificate)
                                  : json_string("");
        json_array_append_new(rows, json_pack("{s:o, s:s%, s:s}", "certificate", certificate,
                                              "generation", (const char *)found->generation.data,
                                              found->generation.size, "state",
                                              cm_generation_state_name(found->state)));
    }
    return rows;
}

static json_t *write_parameters(const struct cm_plan *plan)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < plan->parameters_count; i++)
        json_object_set_new(object, plan->parameters[i].name,
                            json_string(plan->parameters[i].value));
    return object;
}

struct cm_bytes cm_plan_write(const struct cm_plan *plan, struct cm_arena *arena)
{
    json_t *object =
        json_pack("{s:i, s:o, s:s, s:s, s:o, s:o, s:I, s:i, s:s, s:s, s:I, s:I}", "v", 1, "id",
                  hex_of(plan->id, sizeof plan->id), "operation", cm_ceremony_name(plan->operation),
                  "subject", plan->subject, "parameters", write_parameters(plan), "found",
                  write_found(plan), "devices", (json_int_t)plan->devices, "approvals",
                  (int)plan->approvals, "role", plan->role, "prepared_by", plan->prepared_by,
                  "prepared", (json_int_t)plan->prepared_s, "expires", (json_int_t)plan->expires_s);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!text) /* no memory: texts are UTF-8, as whoever fills a plan has seen to */
        abort();
    const char *kept = cm_arena_printf(arena, "%s", text);
    free(text);
    json_decref(object);
    return cm_bytes_str(kept);
}

/* ---------------------------------------------------------------------------------- reading -- */

struct reading {
    const json_t *object;
    struct cm_arena *arena;
    struct cm_error *err;
};

static cm_status fail(struct cm_error *err, const char *what)
{
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "not a plan: %s", what);
}

static const char *keep(const struct reading *reading, const char *text)
{
    return cm_arena_printf(reading->arena, "%s", text);
}

/* NULL: no text. One with a NUL in it did not load. */
static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool read_number(const struct reading *reading, const char *key, int64_t max,
                        int64_t *ret_number)
{
    const json_t *value = json_object_get(reading->object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return false;
    *ret_number = json_integer_value(value);
    return true;
}

static bool read_one_found(const struct reading *reading, const json_t *row,
                           struct cm_plan_found *found)
{
    const char *generation = text_of(row, "generation"), *state = text_of(row, "state");
    const char *certificate = text_of(row, "certificate");
    if (!generation || !cm_plan_subject_is_good(generation) || !state || !certificate
        || json_object_size(row) != 3 || !cm_generation_state_find(state, &found->state))
        return false;
    found->generation = cm_bytes_str(keep(reading, generation));
    found->has_certificate = certificate[0] != '\0';
    return !found->has_certificate
           || cm_hex_decode_exactly(certificate, found->certificate, sizeof found->certificate);
}

static cm_status read_found(const struct reading *reading, struct cm_plan *plan)
{
    const json_t *rows = json_object_get(reading->object, "found");
    size_t count = json_array_size(rows);
    if (!json_is_array(rows) || count > CM_PLAN_FOUND_MAX)
        return fail(reading->err, "found");
    struct cm_plan_found *found = cm_arena_zalloc(reading->arena, (count + 1) * sizeof *found);
    for (size_t i = 0; i < count; i++)
        if (!read_one_found(reading, json_array_get(rows, i), &found[i]))
            return fail(reading->err, "found");
    plan->found = found;
    plan->found_count = (uint32_t)count;
    return CM_OK;
}

static cm_status read_parameters(const struct reading *reading, struct cm_plan *plan)
{
    json_t *object = json_object_get(reading->object, "parameters");
    size_t count = json_object_size(object), i = 0;
    const char *name;
    json_t *value;
    if (!json_is_object(object) || count > CM_PLAN_PARAMETERS_MAX)
        return fail(reading->err, "parameters");
    struct cm_plan_parameter *rows = cm_arena_zalloc(reading->arena, (count + 1) * sizeof *rows);
    json_object_foreach(object, name, value)
    {
        const char *text = text_of(object, name);
        if (!text)
            return fail(reading->err, "parameters");
        rows[i].name = keep(reading, name);
        rows[i].value = keep(reading, text);
        if (!cm_plan_parameter_is_good(&rows[i++]))
            return fail(reading->err, "parameters");
    }
    if (!cm_plan_sort_parameters(rows, (uint32_t)count))
        return fail(reading->err, "parameters");
    plan->parameters = rows;
    plan->parameters_count = (uint32_t)count;
    return CM_OK;
}

static cm_status read_texts(const struct reading *reading, struct cm_plan *plan)
{
    const char *operation = text_of(reading->object, "operation");
    const char *subject = text_of(reading->object, "subject");
    const char *role = text_of(reading->object, "role");
    const char *who = text_of(reading->object, "prepared_by");
    if (!cm_hex_decode_exactly(text_of(reading->object, "id"), plan->id, sizeof plan->id))
        return fail(reading->err, "id");
    if (!operation || !cm_ceremony_find(cm_bytes_str(operation), &plan->operation))
        return fail(reading->err, "operation");
    if (!subject || !cm_plan_subject_is_good(subject))
        return fail(reading->err, "subject");
    if (!role || (role[0] && !cm_plan_subject_is_good(role)))
        return fail(reading->err, "role");
    if (!who || !who[0] || !is_line(who, WHO_SIZE_MAX))
        return fail(reading->err, "prepared_by");
    plan->subject = keep(reading, subject);
    plan->role = keep(reading, role);
    plan->prepared_by = keep(reading, who);
    return CM_OK;
}

static cm_status read_numbers(const struct reading *reading, struct cm_plan *plan)
{
    int64_t version = 0, approvals = 0;
    if (!read_number(reading, "v", 1, &version) || version != 1)
        return fail(reading->err, "v");
    if (!read_number(reading, "approvals", APPROVALS_MAX, &approvals) || approvals < 1)
        return fail(reading->err, "approvals");
    if (!read_number(reading, "devices", INT64_MAX, &plan->devices))
        return fail(reading->err, "devices");
    if (!read_number(reading, "prepared", time_max_s, &plan->prepared_s))
        return fail(reading->err, "prepared");
    if (!read_number(reading, "expires", time_max_s, &plan->expires_s)
        || plan->expires_s <= plan->prepared_s)
        return fail(reading->err, "expires");
    plan->approvals = (uint32_t)approvals;
    return CM_OK;
}

static cm_status read_object(const struct reading *reading, struct cm_plan *plan)
{
    cm_status status = read_numbers(reading, plan);
    if (status == CM_OK)
        status = read_texts(reading, plan);
    if (status == CM_OK)
        status = read_parameters(reading, plan);
    return status == CM_OK ? read_found(reading, plan) : status;
}

/* Another order of keys, a space or a key that is not known: then it is not what was written. */
static cm_status check_canonical(struct cm_bytes text, const struct cm_plan *plan,
                                 struct cm_arena *arena, struct cm_error *err)
{
    return cm_bytes_equal(cm_plan_write(plan, arena), text)
               ? CM_OK
               : fail(err, "it is not in its canonical form");
}

cm_status cm_plan_read(struct cm_bytes text, struct cm_arena *arena, struct cm_plan *ret_plan,
                       struct cm_error *err)
{
    struct cm_plan plan = { .operation = CM_CEREMONY_COUNT };
    json_error_t ignored;
    if (text.size == 0 || text.size > CM_PLAN_SIZE_MAX)
        return fail(err, "its size");
    json_t *object =
        json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &ignored);
    const struct reading reading = { .object = object, .arena = arena, .err = err };
    cm_status status =
        json_is_object(object) ? read_object(&reading, &plan) : fail(err, "it is no JSON object");
    if (status == CM_OK)
        status = check_canonical(text, &plan, arena, err);
    if (status == CM_OK)
        *ret_plan = plan;
    json_decref(object);
    return status;
}

/* ---------------------------------------------------------------------------------- the rest -- */

void cm_plan_digest(struct cm_bytes text, uint8_t ret_digest[CM_PLAN_DIGEST_SIZE])
{
    cm_sha256(&text, 1, ret_digest);
}

bool cm_plan_does(const struct cm_plan *plan, enum cm_ceremony operation, const char *subject,
                  const struct cm_plan_parameter *parameters, uint32_t parameters_count)
{
    bool same = plan->operation == operation && strcmp(plan->subject, subject) == 0
                && plan->parameters_count == parameters_count;
    for (uint32_t i = 0; same && i < parameters_count; i++)
        same = strcmp(plan->parameters[i].name, parameters[i].name) == 0
               && strcmp(plan->parameters[i].value, parameters[i].value) == 0;
    return same;
}
