/* What a request asks for. */
#include "engine/control/internal.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/store/device.h"

enum { ACTOR_SIZE_MAX = 200 };

void cm_request_answer_error(struct cm_connection *connection, const struct cm_error *err)
{
    char text[CM_ERROR_TEXT_SIZE];
    json_t *answer =
        json_pack("{s:s}", "error", cm_bytes_printable(cm_bytes_str(err->text), text, sizeof text));
    if (err->status == CM_BUSY)
        json_object_set_new(answer, "busy", json_true());
    cm_connection_answer(connection, answer);
}

/* --- devices ------------------------------------------------------------------------------------- */

/* JSON text comes without NUL; what else an audit log must not hold is made visible. */
cm_status cm_request_read_actor(const json_t *request, struct cm_arena *arena,
                                struct cm_bytes *ret_actor, struct cm_error *err)
{
    const char *actor = json_string_value(json_object_get(request, "actor"));
    char shown[ACTOR_SIZE_MAX];
    if (!actor || actor[0] == '\0')
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "actor: expected a name");
    *ret_actor = cm_arena_copy(
        arena, cm_bytes_str(cm_bytes_printable(cm_bytes_str(actor), shown, sizeof shown)));
    return CM_OK;
}

cm_status cm_request_check_keys(const json_t *object, const char *const *known, size_t known_count,
                                struct cm_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < known_count; i++)
        count += json_object_get(object, known[i]) != NULL;
    if (!json_is_object(object))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "expected an object");
    if (json_object_size(object) != count)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "an unknown key");
    return CM_OK;
}

static bool any_replaces(const struct cm_device_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].replace)
            return true;
    return false;
}

static void on_devices_stored(struct cm_store_op *op)
{
    struct cm_connection *connection = op->arg;
    json_int_t changed = op->devices_changed, kept = op->devices_kept;
    if (op->status != CM_OK)
        cm_request_answer_error(connection, &op->err);
    else if (kept == 0)
        cm_connection_answer(connection, json_pack("{s:I}", "changed", changed));
    else
        cm_connection_answer(connection,
                             json_pack("{s:I, s:I}", "changed", changed, "state_kept", kept));
}

/* Fills the operation of the connection. */
static cm_status read_devices(struct cm_connection *connection, const json_t *request,
                              struct cm_error *err)
{
    struct cm_arena *arena = &connection->arena;
    const json_t *devices = json_object_get(request, "devices");
    uint32_t count = (uint32_t)json_array_size(devices);
    struct cm_device_row *rows = NULL;
    connection->audit = (struct cm_audit_event){ .kind = "device-import" };
    cm_status status = cm_request_read_actor(request, arena, &connection->audit.actor, err);
    if (status == CM_OK)
        status = cm_rows_read(devices, connection->control->env.settings, arena, &rows, err);
    if (status == CM_OK)
        status = cm_device_hash_rows(rows, count, connection->audit.digest, err);
    if (status != CM_OK)
        return status;
    connection->audit.detail =
        cm_bytes_str(cm_arena_printf(arena, "{\"devices\":%u,\"replace\":%s}", count,
                                     any_replaces(rows, count) ? "true" : "false"));
    connection->op = (struct cm_store_op){ .kind = CM_STORE_DEVICES,
                                           .done = on_devices_stored,
                                           .arg = connection,
                                           .devices = rows,
                                           .devices_count = count,
                                           .audit = &connection->audit };
    return CM_OK;
}

static cm_status change_devices(struct cm_connection *connection, const json_t *request,
                                struct cm_error *err)
{
    cm_status status = read_devices(connection, request, err);
    if (status == CM_OK)
        cm_store_submit(connection->control->env.store, &connection->op);
    return status;
}

static cm_status check_devices(struct cm_connection *connection, const json_t *request,
                               struct cm_error *err)
{
    cm_status status = read_devices(connection, request, err);
    if (status == CM_OK)
        cm_connection_answer(
            connection, json_pack("{s:I}", "checked", (json_int_t)connection->op.devices_count));
    return status;
}

/* --- status -------------------------------------------------------------------------------------- */

static cm_status tell_status(struct cm_connection *connection, const json_t *request,
                             struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    json_t *answer = json_pack("{s:s, s:I}", "status", "running", "pid", (json_int_t)getpid());
    (void)request;
    (void)err;
    env->fill_status(answer, env->arg);
    cm_connection_answer(connection, answer);
    return CM_OK;
}

/* --- all of them --------------------------------------------------------------------------------- */

/* OK: it is answered, or will be. */
typedef cm_status run_fn(struct cm_connection *connection, const json_t *request,
                         struct cm_error *err);

static const struct {
    const char *op;
    run_fn *run;
} operations[] = {
    { "devices", change_devices },
    { "check-devices", check_devices },
    { "orders", cm_orders_run },
    { "publish", cm_publish_run },
    { "import", cm_import_run },
    { "status", tell_status },
    { "ca-intent", cm_authority_run },
    { "ca-generation", cm_authority_run },
    { "ca-cross", cm_authority_run },
    { "ca-transition", cm_authority_run },
    { "plan-prepare", cm_plan_run },
    { "plan-approve", cm_plan_run },
    { "plan-cancel", cm_plan_run },
    { "campaign-start", cm_campaign_run },
    { "campaign-pause", cm_campaign_run },
    { "campaign-resume", cm_campaign_run },
    { "campaign-cancel", cm_campaign_run },
    { "campaign-list", cm_campaign_list_run },
};

static cm_status run(struct cm_connection *connection, const json_t *request, struct cm_error *err)
{
    const json_t *version = json_object_get(request, "v");
    const char *op = json_string_value(json_object_get(request, "op"));
    char shown[64];
    if (!json_is_object(request))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "expected a JSON object");
    if (!json_is_integer(version) || json_integer_value(version) != CM_CONTROL_VERSION)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "v: this engine speaks version %d of the protocol", CM_CONTROL_VERSION);
    for (size_t i = 0; op && i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(operations[i].op, op) == 0)
            return operations[i].run(connection, request, err);
    return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "op: \"%s\" is none of this engine's",
                   cm_bytes_printable(cm_bytes_str(op ? op : ""), shown, sizeof shown));
}

void cm_request_run(struct cm_connection *connection, const char *text, size_t size)
{
    struct cm_error err;
    json_error_t why;
    cm_status status;
    json_t *request = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (request)
        status = run(connection, request, &err);
    else
        status = CM_FAIL(&err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "not JSON: %s", why.text);
    if (status != CM_OK)
        cm_request_answer_error(connection, &err);
    json_decref(request);
}
