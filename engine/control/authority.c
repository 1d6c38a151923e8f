/* Authorities: what commands have made of keys and certificates, on its way into the record. */
#include "engine/control/internal.h"

#include "engine/authority/request.h"
#include "engine/base/faultpoint.h"
#include "engine/dual_control.h"

/* In the connection's arena until it is answered. */
struct change {
    struct cm_connection *connection;
    struct cm_authority_request request;
};

static void answer(struct change *change)
{
    struct cm_connection *connection = change->connection;
    struct cm_store_reader *reader;
    struct cm_error err;
    if (cm_store_reader_open(connection->control->env.store, &reader, &err) != CM_OK) {
        cm_request_answer_error(connection, &err);
        return;
    }
    cm_connection_answer(connection, cm_authority_request_answer(&change->request, reader));
    cm_store_reader_close(reader);
}

/* A certificate for others is for the store alone: whoever asks about it looks there. */
static bool changes_authorities(const struct cm_store_op *op)
{
    return op->kind == CM_STORE_GENERATION || op->kind == CM_STORE_TRANSITION;
}

static void on_changed(struct cm_store_op *op)
{
    struct change *change = op->arg;
    const struct cm_control_env *env = &change->connection->control->env;
    CM_FAULT_POINT("ca-moved");
    if (op->status != CM_OK) {
        cm_request_answer_error(change->connection, &op->err);
        return;
    }
    if (env->on_authorities && changes_authorities(op))
        env->on_authorities(env->arg);
    answer(change);
}

static cm_status read(struct change *change, const json_t *request, struct cm_error *err)
{
    struct cm_connection *connection = change->connection;
    struct cm_store_reader *reader;
    cm_status status = cm_store_reader_open(connection->control->env.store, &reader, err);
    if (status != CM_OK)
        return status;
    status = cm_authority_request_read(request, reader, &connection->arena, &change->request, err);
    cm_store_reader_close(reader);
    return status;
}

cm_status cm_authority_run(struct cm_connection *connection, const json_t *request,
                           struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    struct change *change = cm_arena_zalloc(&connection->arena, sizeof *change);
    change->connection = connection;
    cm_status status = read(change, request, err);
    if (status == CM_OK)
        status = cm_dual_control_check_request(env->settings, env->store, request,
                                               &connection->arena, &change->request, err);
    if (status == CM_OK && change->request.op.kind == CM_STORE_TRANSITION && env->check_transition)
        status = env->check_transition(&change->request.transition, err, env->arg);
    if (status != CM_OK)
        return status;
    change->request.op.done = on_changed;
    change->request.op.arg = change;
    cm_store_submit(env->store, &change->request.op);
    return CM_OK;
}
