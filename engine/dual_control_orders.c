/* Orders about whole groups, as plans have them, and back. */
#include "engine/dual_control.h"

#include <inttypes.h>

#include "engine/base/clock.h"
#include "engine/orders.h"

enum { PARAMETERS_MAX = 4 };

static const char *text_of(struct cm_bytes text, struct cm_arena *arena)
{
    return cm_arena_printf(arena, "%.*s", (int)text.size, (const char *)text.data);
}

/* In the order of their names. */
bool cm_deed_of_order(const struct cm_order *order, struct cm_arena *arena,
                      struct cm_deed *ret_deed)
{
    bool is_revoke = order->kind == CM_ORDER_REVOKE;
    if (order->group.size == 0 || (!is_revoke && order->kind != CM_ORDER_RETIRE))
        return false;
    struct cm_plan_parameter *rows = cm_arena_zalloc(arena, PARAMETERS_MAX * sizeof *rows);
    uint32_t count = 0;
    if (order->invalidity_s > 0)
        rows[count++] =
            (struct cm_plan_parameter){ "invalidity",
                                        cm_arena_printf(arena, "%" PRId64, order->invalidity_s) };
    rows[count++] = (struct cm_plan_parameter){ "kind", cm_order_name(order->kind) };
    if (is_revoke)
        rows[count++] = (struct cm_plan_parameter){ "reason", cm_reason_name(order->reason) };
    if (order->why.size > 0)
        rows[count++] = (struct cm_plan_parameter){ "why", text_of(order->why, arena) };
    *ret_deed = (struct cm_deed){ .operation = CM_CEREMONY_REVOKE_GROUP,
                                  .subject = text_of(order->group, arena),
                                  .parameters = rows,
                                  .parameters_count = count };
    return true;
}

cm_status cm_deed_order(const struct cm_plan *plan, struct cm_arena *arena,
                        struct cm_order *ret_order, struct cm_error *err)
{
    struct cm_order_texts texts = { .group = cm_bytes_str(plan->subject) };
    const struct {
        const char *name;
        struct cm_bytes *text;
    } rows[] = { { "invalidity", &texts.invalidity },
                 { "kind", &texts.kind },
                 { "reason", &texts.reason },
                 { "why", &texts.why } };
    struct cm_refusal refusal = { .message = "its kind or a parameter" };
    struct cm_deed deed;
    for (uint32_t i = 0; i < plan->parameters_count; i++)
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            if (strcmp(plan->parameters[i].name, rows[r].name) == 0)
                *rows[r].text = cm_bytes_str(plan->parameters[i].value);
    if (plan->operation == CM_CEREMONY_REVOKE_GROUP && texts.kind.data
        && cm_order_read(&texts, cm_clock_wall_s(), arena, ret_order, &refusal)
        && cm_deed_of_order(ret_order, arena, &deed)
        && cm_plan_does(plan, deed.operation, deed.subject, deed.parameters, deed.parameters_count))
        return CM_OK;
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "the plan is no order about a group: %.160s",
                   refusal.message);
}
