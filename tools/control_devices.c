/* The allow-list: devices that the engine is to take. */
#include "tools/control_client.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/control/control.h"

/* Half of what a message may have: the last row of a part never goes over it. */
enum { PART_SIZE_MAX = CM_CONTROL_MESSAGE_SIZE_MAX / 2 };

static json_t *make_attributes(struct cm_bytes attributes)
{
    json_t *object = json_object();
    const char *at = (const char *)attributes.data;
    const char *end = at + attributes.size;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        json_object_set_new(object, at, json_string(value));
        at = value + strlen(value) + 1;
    }
    return object;
}

static json_t *make_device(const struct cm_device_row *row)
{
    return json_pack("{s:s%, s:s%, s:s, s:b, s:o}", "id", row->id.data, row->id.size, "group",
                     row->group.data, row->group.size, "state", cm_device_state_name(row->state),
                     "replace", row->replace, "attributes", make_attributes(row->attributes));
}

/* As JSON with every character escaped that may need it, and the names of the keys. */
static size_t bound_size(const struct cm_device_row *row)
{
    return 2 * (row->id.size + row->group.size + row->attributes.size) + 512;
}

/* How many rows from here go into one request. */
static uint32_t count_part(const struct cm_device_row *rows, uint32_t count)
{
    size_t size = 0;
    uint32_t taken = 0;
    while (taken < count && taken < CM_CONTROL_DEVICES_MAX && size < PART_SIZE_MAX)
        size += bound_size(&rows[taken++]);
    return taken;
}

static cm_status send_part(struct cm_control_client *client, const char *op, const char *actor,
                           const struct cm_device_row *rows, uint32_t count,
                           struct cm_imported_devices *ret_imported, struct cm_error *err)
{
    json_t *devices = json_array();
    json_t *answer = NULL;
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(devices, make_device(&rows[i]));
    json_t *request = json_pack("{s:i, s:s, s:s, s:o}", "v", CM_CONTROL_VERSION, "op", op, "actor",
                                actor, "devices", devices);
    if (!request)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
    cm_status status = cm_control_client_call(client, request, &answer, err);
    json_decref(request);
    if (status != CM_OK)
        return status;
    ret_imported->changed = (uint32_t)json_integer_value(json_object_get(answer, "changed"));
    ret_imported->state_kept = (uint32_t)json_integer_value(json_object_get(answer, "state_kept"));
    json_decref(answer);
    return CM_OK;
}

/* A file goes in whole or not at all: what the engine would refuse is found before the first row. */
static cm_status check_all(struct cm_control_client *client, const char *actor,
                           const struct cm_device_row *rows, uint32_t count, struct cm_error *err)
{
    cm_status status = CM_OK;
    struct cm_imported_devices ignored;
    for (uint32_t at = 0, taken; at < count && status == CM_OK; at += taken) {
        taken = count_part(rows + at, count - at);
        status = send_part(client, "check-devices", actor, rows + at, taken, &ignored, err);
    }
    return status;
}

/* Without an answer to a part nobody knows whether it was taken; doing it again does no harm. */
static cm_status explain_half(uint32_t done, struct cm_error *err)
{
    char text[CM_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text,
             "%.120s; %u of the devices are on the list for certain, import the file again",
             err->text, done);
    return CM_FAIL(err, err->status, CM_ORIGIN_SELF, 0, "%s", text);
}

cm_status cm_control_client_import(struct cm_control_client *client, const char *actor,
                                   const struct cm_device_row *rows, uint32_t count,
                                   struct cm_progress *progress,
                                   struct cm_imported_devices *ret_imported, struct cm_error *err)
{
    struct cm_imported_devices total = { 0 }, part = { 0 };
    uint32_t done = 0;
    cm_status status = check_all(client, actor, rows, count, err);
    while (done < count && status == CM_OK) {
        uint32_t taken = count_part(rows + done, count - done);
        status = send_part(client, "devices", actor, rows + done, taken, &part, err);
        if (status != CM_OK)
            return done > 0 || status == CM_UNCERTAIN ? explain_half(done, err) : status;
        done += taken;
        total.changed += part.changed;
        total.state_kept += part.state_kept;
        cm_progress_set(progress, done);
    }
    if (status == CM_OK)
        *ret_imported = total;
    return status;
}
