/* Plans: prepared, approved and cancelled. What carries one out names it in a request of its own. */
#include "engine/control/internal.h"

#include "engine/dual_control.h"

/* In the connection's arena until it is answered. */
struct taking {
    struct cm_connection *connection;
    struct cm_plan_taking taking;
};

static void on_taken(struct cm_store_op *op)
{
    struct taking *taking = op->arg;
    if (op->status != CM_OK)
        cm_request_answer_error(taking->connection, &op->err);
    else
        cm_connection_answer(taking->connection,
                             json_pack("{s:b}", "changed", taking->taking.change.changed));
}

static cm_status read_text(const json_t *request, struct cm_arena *arena, struct cm_bytes *ret_text,
                           struct cm_error *err)
{
    const json_t *value = json_object_get(request, "text");
    if (!json_is_string(value))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "text: expected a text");
    *ret_text = cm_arena_copy(arena, cm_bytes(json_string_value(value), json_string_length(value)));
    return CM_OK;
}

static cm_status take(struct cm_connection *connection, const char *op, struct cm_bytes text,
                      struct cm_bytes actor, struct cm_plan_taking *ret_taking,
                      struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    struct cm_arena *arena = &connection->arena;
    const char *id = cm_arena_printf(arena, "%.*s", (int)text.size, (const char *)text.data);
    if (strcmp(op, "plan-prepare") == 0)
        return cm_plan_take_new(env->settings, env->store, text, actor, arena, ret_taking, err);
    if (strcmp(op, "plan-approve") == 0)
        return cm_plan_take_approval(env->settings, env->store, text, actor, arena, ret_taking,
                                     err);
    return cm_plan_take_cancel(env->settings, env->store, id, actor, arena, ret_taking, err);
}

cm_status cm_plan_run(struct cm_connection *connection, const json_t *request, struct cm_error *err)
{
    static const char *const known[] = { "v", "op", "actor", "text" };
    struct taking *taking = cm_arena_zalloc(&connection->arena, sizeof *taking);
    struct cm_bytes actor, text;
    taking->connection = connection;
    cm_status status = cm_request_check_keys(request, known, sizeof known / sizeof known[0], err);
    if (status == CM_OK)
        status = cm_request_read_actor(request, &connection->arena, &actor, err);
    if (status == CM_OK)
        status = read_text(request, &connection->arena, &text, err);
    if (status == CM_OK)
        status = take(connection, json_string_value(json_object_get(request, "op")), text, actor,
                      &taking->taking, err);
    if (status != CM_OK)
        return status;
    connection->op = (struct cm_store_op){ .kind = CM_STORE_PLAN,
                                           .done = on_taken,
                                           .arg = taking,
                                           .plan_change = &taking->taking.change,
                                           .audit = &taking->taking.audit };
    cm_store_submit(connection->control->env.store, &connection->op);
    return CM_OK;
}
