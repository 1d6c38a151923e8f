/* Devices of a request: nothing is taken from outside that a file could not bring. */
#include "engine/control/internal.h"

#include "engine/store/device.h"

static cm_status read_attributes(const json_t *attributes, struct cm_arena *arena,
                                 struct cm_bytes *ret_attributes, struct cm_error *err)
{
    struct cm_device_pair pairs[CM_DEVICE_ATTRIBUTES_MAX];
    size_t count = 0;
    const char *key;
    json_t *value;
    if (attributes && !json_is_object(attributes))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "attributes: expected an object");
    if (json_object_size(attributes) > CM_DEVICE_ATTRIBUTES_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "more than %d attributes",
                       CM_DEVICE_ATTRIBUTES_MAX);
    /* jansson's iterators take no const; nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)attributes, key, value)
    {
        if (!json_is_string(value))
            return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "an attribute is not a string");
        if (json_string_length(value) == 0)
            continue; /* no attribute, as in a file */
        pairs[count] = (struct cm_device_pair){ key, json_string_value(value) };
        cm_status status = cm_device_check_attribute(&pairs[count++], err);
        if (status != CM_OK)
            return status;
    }
    *ret_attributes = cm_device_join_attributes(arena, pairs, count);
    return CM_OK;
}

static cm_status read_group(const json_t *group, const struct cm_settings *settings,
                            struct cm_bytes *ret_group, struct cm_error *err)
{
    const char *name = json_string_value(group);
    const struct cm_settings_group *found =
        name ? cm_settings_group(settings, cm_bytes_str(name)) : NULL;
    char shown[64];
    if (!name)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "group: expected a name");
    if (!found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "\"%s\" is not a group of the settings that the engine has read",
                       cm_bytes_printable(cm_bytes_str(name), shown, sizeof shown));
    *ret_group = cm_bytes_str(found->name);
    return CM_OK;
}

static cm_status read_state(const json_t *state, enum cm_device_state *ret_state,
                            struct cm_error *err)
{
    *ret_state = CM_DEVICE_ALLOWED;
    if (state
        && (!json_is_string(state) || !cm_device_state_find(json_string_value(state), ret_state)))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "state: expected \"allowed\", \"quarantined\" or \"retired\"");
    return CM_OK;
}

static cm_status read_row(const json_t *object, const struct cm_settings *settings,
                          struct cm_arena *arena, struct cm_device_row *row, struct cm_error *err)
{
    static const char *const known[] = { "id", "group", "state", "replace", "attributes" };
    const char *id = json_string_value(json_object_get(object, "id"));
    const json_t *replace = json_object_get(object, "replace");
    cm_status status = cm_request_check_keys(object, known, sizeof known / sizeof known[0], err);
    if (status == CM_OK)
        status = cm_device_check_id(id, err);
    if (status == CM_OK)
        status = read_group(json_object_get(object, "group"), settings, &row->group, err);
    if (status == CM_OK)
        status = read_state(json_object_get(object, "state"), &row->state, err);
    if (status == CM_OK && replace && !json_is_boolean(replace))
        status = CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "replace: expected true or false");
    if (status == CM_OK)
        status =
            read_attributes(json_object_get(object, "attributes"), arena, &row->attributes, err);
    if (status != CM_OK)
        return status;
    row->id = cm_arena_copy(arena, cm_bytes_str(id));
    row->replace = json_is_true(replace);
    return CM_OK;
}

cm_status cm_rows_read(const json_t *devices, const struct cm_settings *settings,
                       struct cm_arena *arena, struct cm_device_row **ret_rows,
                       struct cm_error *err)
{
    size_t count = json_array_size(devices);
    if (count == 0 || count > CM_CONTROL_DEVICES_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "devices: expected 1 to %d of them",
                       CM_CONTROL_DEVICES_MAX);
    struct cm_device_row *rows = cm_arena_zalloc(arena, count * sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        struct cm_error why;
        cm_status status = read_row(json_array_get(devices, i), settings, arena, &rows[i], &why);
        if (status != CM_OK)
            return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "devices[%zu]: %.200s", i, why.text);
    }
    *ret_rows = rows;
    return CM_OK;
}
