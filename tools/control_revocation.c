/* Revocation: orders, CRLs to be made anew, and certificates that move in. */
#include "tools/control_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "engine/control/control.h"

/* Half of what a message may have: the last row of a part never goes over it. */
enum { PART_SIZE_MAX = CM_CONTROL_MESSAGE_SIZE_MAX / 2 };

static cm_status no_memory(struct cm_error *err)
{
    return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
}

/* --- orders -------------------------------------------------------------------------------------- */

static void put_text(json_t *object, const char *key, struct cm_bytes text)
{
    if (text.size > 0)
        json_object_set_new(object, key, json_stringn((const char *)text.data, text.size));
}

static void put_serial(json_t *object, struct cm_bytes serial)
{
    char text[2 * CM_SERIAL_SIZE + 1];
    if (serial.size == 0 || serial.size > CM_SERIAL_SIZE)
        return;
    cm_hex_encode(serial, text);
    json_object_set_new(object, "serial", json_string(text));
}

static void put_plan(json_t *object, const struct cm_plan_use *plan)
{
    char text[2 * CM_PLAN_ID_SIZE + 1];
    cm_hex_encode(cm_bytes(plan->id, sizeof plan->id), text);
    json_object_set_new(object, "plan", json_string(text));
}

static json_t *make_order(const struct cm_order *order)
{
    json_t *object = json_pack("{s:s}", "kind", cm_order_name(order->kind));
    put_serial(object, order->serial);
    put_text(object, "issuer", order->issuer);
    put_text(object, "device", order->device);
    put_text(object, "group", order->group);
    put_text(object, "why", order->why);
    if (order->kind == CM_ORDER_REVOKE)
        json_object_set_new(object, "reason", json_string(cm_reason_name(order->reason)));
    if (order->invalidity_s > 0)
        json_object_set_new(object, "invalidity", json_integer(order->invalidity_s));
    if (order->plan)
        put_plan(object, order->plan);
    return object;
}

static uint32_t number(const json_t *row, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(row, key));
}

/* A code that is not known here is a refusal as well. */
static cm_status take_outcome(const json_t *row, struct cm_order *order, struct cm_error *err)
{
    const char *code = json_string_value(json_object_get(row, "code"));
    const char *message = json_string_value(json_object_get(row, "message"));
    if (!code)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "the engine's answer does not say what came of an order");
    order->code = code[0] == '\0' ? CM_REFUSAL_NONE : cm_refusal_find(code);
    order->certificates_changed = number(row, "certificates");
    order->devices_changed = number(row, "devices");
    snprintf(order->message, sizeof order->message, "%s", message ? message : "");
    if (code[0] != '\0' && order->code == CM_REFUSAL_NONE) {
        order->code = CM_REFUSAL_ENGINE_INTERNAL;
        snprintf(order->message, sizeof order->message, "%.60s: %.180s", code,
                 message ? message : "");
    }
    return CM_OK;
}

static cm_status take_outcomes(const json_t *answer, struct cm_order *orders, uint32_t count,
                               struct cm_error *err)
{
    const json_t *rows = json_object_get(answer, "orders");
    cm_status status = CM_OK;
    if (json_array_size(rows) != count)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the engine answered %zu of %u orders",
                       json_array_size(rows), count);
    for (uint32_t i = 0; i < count && status == CM_OK; i++)
        status = take_outcome(json_array_get(rows, i), &orders[i], err);
    return status;
}

cm_status cm_control_client_orders(struct cm_control_client *client, struct cm_order *orders,
                                   uint32_t count, struct cm_error *err)
{
    json_t *rows = json_array();
    json_t *answer = NULL;
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(rows, make_order(&orders[i]));
    json_t *request =
        json_pack("{s:i, s:s, s:s%, s:o}", "v", CM_CONTROL_VERSION, "op", "orders", "actor",
                  (const char *)orders[0].actor.data, orders[0].actor.size, "orders", rows);
    if (!request)
        return no_memory(err);
    cm_status status = cm_control_client_call(client, request, &answer, err);
    json_decref(request);
    if (status == CM_OK)
        status = take_outcomes(answer, orders, count, err);
    json_decref(answer);
    return status;
}

/* --- CRLs ---------------------------------------------------------------------------------------- */

cm_status cm_control_client_publish(struct cm_control_client *client, const char *issuer,
                                    struct cm_control_published *ret_published,
                                    struct cm_error *err)
{
    json_t *request =
        json_pack("{s:i, s:s, s:s*}", "v", CM_CONTROL_VERSION, "op", "publish", "issuer", issuer);
    json_t *answer = NULL;
    if (!request)
        return no_memory(err);
    cm_status status = cm_control_client_call(client, request, &answer, err);
    json_decref(request);
    if (status != CM_OK)
        return status;
    const char *why = json_string_value(json_object_get(answer, "why"));
    *ret_published = (struct cm_control_published){ .published = number(answer, "published"),
                                                    .failed = number(answer, "failed") };
    snprintf(ret_published->why, sizeof ret_published->why, "%s", why ? why : "");
    json_decref(answer);
    return CM_OK;
}

/* --- certificates that move in ------------------------------------------------------------------- */

static size_t base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

json_t *cm_control_base64(struct cm_bytes der)
{
    char *text = malloc(base64_size(der.size) + 1);
    if (!text)
        abort();
    EVP_EncodeBlock((unsigned char *)text, der.data, (int)der.size);
    json_t *string = json_string(text);
    free(text);
    return string;
}

static json_t *make_row(const struct cm_imported_row *row)
{
    json_t *object = json_pack("{s:I}", "not_after", (json_int_t)row->not_after_s);
    put_serial(object, row->serial);
    if (row->der.size > 0)
        json_object_set_new(object, "der", cm_control_base64(row->der));
    if (row->revoked_s == 0)
        return object;
    json_object_set_new(object, "reason", json_string(cm_reason_name(row->reason)));
    json_object_set_new(object, "revoked", json_integer(row->revoked_s));
    if (row->invalidity_s > 0)
        json_object_set_new(object, "invalidity", json_integer(row->invalidity_s));
    return object;
}

static uint32_t count_part(const struct cm_imported_row *rows, uint32_t count)
{
    size_t size = 0;
    uint32_t taken = 0;
    while (taken < count && taken < CM_CONTROL_CERTIFICATES_MAX && size < PART_SIZE_MAX)
        size += base64_size(rows[taken++].der.size) + 256;
    return taken;
}

static cm_status send_part(struct cm_control_client *client, const char *actor, const char *issuer,
                           const struct cm_imported_row *rows, uint32_t count,
                           uint32_t *ret_changed, struct cm_error *err)
{
    json_t *certificates = json_array();
    json_t *answer = NULL;
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(certificates, make_row(&rows[i]));
    json_t *request =
        json_pack("{s:i, s:s, s:s, s:s, s:o}", "v", CM_CONTROL_VERSION, "op", "import", "actor",
                  actor, "issuer", issuer, "certificates", certificates);
    if (!request)
        return no_memory(err);
    cm_status status = cm_control_client_call(client, request, &answer, err);
    json_decref(request);
    if (status == CM_OK)
        *ret_changed = number(answer, "changed");
    json_decref(answer);
    return status;
}

cm_status cm_control_client_take_over(struct cm_control_client *client, const char *actor,
                                      const char *issuer, const struct cm_imported_row *rows,
                                      uint32_t count, struct cm_progress *progress,
                                      uint32_t *ret_changed, struct cm_error *err)
{
    uint32_t total = 0, changed = 0;
    cm_status status = CM_OK;
    for (uint32_t at = 0, taken; at < count && status == CM_OK; at += taken) {
        taken = count_part(rows + at, count - at);
        status = send_part(client, actor, issuer, rows + at, taken, &changed, err);
        if (status == CM_OK)
            total += changed;
        cm_progress_set(progress, at + taken);
    }
    if (status == CM_OK)
        *ret_changed = total;
    return status;
}
