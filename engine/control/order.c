/*
 * Orders of a request: one after the other, in as few operations as the store bears.
 *
 * Those about one certificate or one device go together. One about a group may be about a fleet: it goes
 * from device to device in operations of its own, between which requests for certificates go on.
 */
#include "engine/control/internal.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/dual_control.h"
#include "engine/orders.h"

enum { STRETCH_MAX = 100 };

/* --- read ---------------------------------------------------------------------------------------- */

/* data NULL: absent. */
static cm_status read_text(const json_t *object, const char *key, struct cm_bytes *ret_text,
                           struct cm_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_string(value))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: expected a text", key);
    if (value)
        *ret_text = cm_bytes(json_string_value(value), json_string_length(value));
    return CM_OK;
}

static cm_status read_number(const json_t *object, const char *key, struct cm_arena *arena,
                             struct cm_bytes *ret_text, struct cm_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_integer(value))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: expected a whole number", key);
    if (value)
        *ret_text =
            cm_bytes_str(cm_arena_printf(arena, "%lld", (long long)json_integer_value(value)));
    return CM_OK;
}

static cm_status read_texts(const json_t *object, struct cm_arena *arena,
                            struct cm_order_texts *texts, struct cm_error *err)
{
    static const char *const keys[] = { "kind",   "serial",     "device", "group", "issuer",
                                        "reason", "invalidity", "why",    "plan" };
    const struct {
        const char *key;
        struct cm_bytes *text;
    } rows[] = {
        { "kind", &texts->kind },   { "serial", &texts->serial }, { "device", &texts->device },
        { "group", &texts->group }, { "issuer", &texts->issuer }, { "reason", &texts->reason },
        { "why", &texts->why },
    };
    cm_status status = cm_request_check_keys(object, keys, sizeof keys / sizeof keys[0], err);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == CM_OK; i++)
        status = read_text(object, rows[i].key, rows[i].text, err);
    return status == CM_OK ? read_number(object, "invalidity", arena, &texts->invalidity, err)
                           : status;
}

/* The request's JSON goes before the orders are carried out. */
static void keep_spans(struct cm_order *order, struct cm_arena *arena)
{
    order->device = cm_arena_copy(arena, order->device);
    order->group = cm_arena_copy(arena, order->group);
    order->issuer = cm_arena_copy(arena, order->issuer);
    order->why = cm_arena_copy(arena, order->why);
}

/* Texts that are refused are an outcome, like what the store refuses: their neighbours go on. */
static cm_status read_order(const json_t *object, struct cm_arena *arena, struct cm_bytes actor,
                            struct cm_order *order, struct cm_error *err)
{
    struct cm_order_texts texts = { .kind = { NULL, 0 } };
    struct cm_refusal refusal;
    cm_status status = read_texts(object, arena, &texts, err);
    if (status != CM_OK)
        return status;
    if (cm_order_read(&texts, cm_clock_wall_s(), arena, order, &refusal)) {
        keep_spans(order, arena);
        order->actor = actor;
    } else {
        order->code = refusal.code;
        memcpy(order->message, refusal.message, sizeof order->message);
    }
    return CM_OK;
}

/* Where settings want it, whoever orders names a plan. What is denied is an outcome as well. */
static cm_status find_plan(struct cm_connection *connection, const json_t *object,
                           struct cm_order *order, struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    const json_t *plan = json_object_get(object, "plan");
    struct cm_deed deed;
    bool is_deed =
        order->code == CM_REFUSAL_NONE && cm_deed_of_order(order, &connection->arena, &deed);
    if (plan && !json_is_string(plan))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "plan: expected a text");
    if (plan && !is_deed && order->code == CM_REFUSAL_NONE)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "plan: expected with an order to revoke or retire a group only");
    if (!is_deed)
        return CM_OK;
    cm_status status =
        cm_dual_control_check(env->settings, env->store, &deed, json_string_value(plan),
                              &connection->arena, &order->plan, err);
    if (status != CM_DENIED && status != CM_NOT_FOUND)
        return status;
    order->code = CM_REFUSAL_POLICY_DUAL_CONTROL;
    snprintf(order->message, sizeof order->message, "%s", err->text);
    return CM_OK;
}

static cm_status read_orders(struct cm_connection *connection, const json_t *request,
                             struct cm_error *err)
{
    struct cm_orders_run *run = &connection->run;
    const struct cm_settings *settings = connection->control->env.settings;
    struct cm_arena *arena = &connection->arena;
    const json_t *orders = json_object_get(request, "orders");
    size_t count = json_array_size(orders);
    struct cm_bytes actor;
    cm_status status = cm_request_read_actor(request, arena, &actor, err);
    if (status != CM_OK)
        return status;
    if (count == 0 || count > CM_CONTROL_ORDERS_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "orders: expected 1 to %d of them",
                       CM_CONTROL_ORDERS_MAX);
    *run = (struct cm_orders_run){ .orders = cm_arena_zalloc(arena, count * sizeof *run->orders),
                                   .sums = cm_arena_zalloc(arena, count * sizeof *run->sums),
                                   .count = (uint32_t)count };
    for (size_t i = 0; i < count; i++) {
        struct cm_error why;
        status = read_order(json_array_get(orders, i), arena, actor, &run->orders[i], &why);
        if (status == CM_OK)
            status = find_plan(connection, json_array_get(orders, i), &run->orders[i], &why);
        if (status != CM_OK)
            return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "orders[%zu]: %.200s", i, why.text);
        run->orders[i].fresh_groups = settings->fresh_groups;
        run->orders[i].fresh_groups_count = settings->fresh_groups_count;
    }
    return CM_OK;
}

/* --- answered ------------------------------------------------------------------------------------ */

/* Those that were not come to are left out; why: of an order after them, NULL without one. */
static void answer(struct cm_connection *connection, const char *why)
{
    const struct cm_orders_run *run = &connection->run;
    json_t *rows = json_array();
    char text[CM_ERROR_TEXT_SIZE];
    for (uint32_t i = 0; i < run->next; i++) {
        const struct cm_order *order = &run->orders[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:I}", "code",
                                              cm_refusal_name(order->code), "message",
                                              order->code == CM_REFUSAL_NONE ? "" : order->message,
                                              "certificates", (json_int_t)run->sums[i].certificates,
                                              "devices", (json_int_t)run->sums[i].devices));
    }
    json_t *object = json_pack("{s:o}", "orders", rows);
    if (why)
        json_object_set_new(object, "error",
                            json_string(cm_bytes_printable(cm_bytes_str(why), text, sizeof text)));
    cm_connection_answer(connection, object);
}

/* --- carried out --------------------------------------------------------------------------------- */

static bool is_refused(const struct cm_order *order)
{
    return order->code != CM_REFUSAL_NONE;
}

/* How many go into the next operation. */
static uint32_t count_stretch(const struct cm_orders_run *run)
{
    const struct cm_order *first = &run->orders[run->next];
    uint32_t left = run->count - run->next, count = 0;
    if (first->group.size > 0)
        return 1;
    while (count < left && count < STRETCH_MAX && first[count].group.size == 0
           && !is_refused(&first[count]))
        count++;
    return count;
}

/* False: there is more to it, from the device on that it has come to. */
static bool take_outcome(struct cm_order *order, struct cm_order_sum *sum)
{
    sum->certificates += order->certificates_changed;
    sum->devices += order->devices_changed;
    order->after_device = order->last_device;
    return is_refused(order) || order->last_device == 0;
}

static void carry_on(struct cm_connection *connection);

static void on_carried_out(struct cm_store_op *op)
{
    struct cm_connection *connection = op->arg;
    const struct cm_control_env *env = &connection->control->env;
    struct cm_orders_run *run = &connection->run;
    CM_FAULT_POINT("orders-durable");
    if (op->status != CM_OK) {
        answer(connection, op->err.text);
        return;
    }
    if (env->on_revoked)
        env->on_revoked(env->arg);
    for (uint32_t i = 0; i < op->orders_count; i++)
        if (take_outcome(&op->orders[i], &run->sums[op->orders - run->orders + i]))
            run->next++;
    carry_on(connection);
}

static void carry_on(struct cm_connection *connection)
{
    struct cm_orders_run *run = &connection->run;
    while (run->next < run->count && is_refused(&run->orders[run->next]))
        run->next++;
    if (run->next == run->count) {
        answer(connection, NULL);
        return;
    }
    if (connection->control->is_stopping) {
        answer(connection, "the engine stops; what it has not come to is not changed");
        return;
    }
    connection->op = (struct cm_store_op){ .kind = CM_STORE_RECORD,
                                           .done = on_carried_out,
                                           .arg = connection,
                                           .orders = &run->orders[run->next],
                                           .orders_count = count_stretch(run) };
    cm_store_submit(connection->control->env.store, &connection->op);
}

cm_status cm_orders_run(struct cm_connection *connection, const json_t *request,
                        struct cm_error *err)
{
    cm_status status = read_orders(connection, request, err);
    if (status == CM_OK)
        carry_on(connection);
    return status;
}
