#include "tools/orders.h"

#include <stdio.h>

#include "engine/control/control.h"
#include "engine/dual_control.h"
#include "tools/control_client.h"
#include "tools/operator.h"
#include "tools/serial.h"

bool cm_order_take_serial(const struct cm_call *call, struct cm_arena *arena,
                          struct cm_bytes *ret_text)
{
    const char *text = cm_call_value(call, "serial");
    char plain[CM_SERIAL_TEXT_SIZE];
    struct cm_serial_content serial;
    *ret_text = cm_bytes(NULL, 0);
    if (!text)
        return true;
    if (!cm_serial_read(text, &serial)) {
        cm_usage_fail("--serial: expected hex digits, at most 20 octets, found \"%.60s\"", text);
        return false;
    }
    cm_serial_write(cm_serial_bytes(&serial), plain);
    *ret_text = cm_arena_copy(arena, cm_bytes_str(plain));
    return true;
}

static cm_status apply(struct cm_deployment *deployment, struct cm_order *orders, uint32_t count,
                       struct cm_error *err)
{
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = orders, .orders_count = count };
    return cm_store_apply(deployment->store, &op, err);
}

/* Without an engine that would: orders about a group that settings mark want a plan. */
static cm_status find_plan(struct cm_deployment *deployment, struct cm_order *order,
                           struct cm_error *err)
{
    char id[2 * CM_PLAN_ID_SIZE + 1];
    struct cm_deed deed;
    if (!cm_deed_of_order(order, &deployment->arena, &deed))
        return CM_OK;
    if (order->plan)
        cm_hex_encode(cm_bytes(order->plan->id, sizeof order->plan->id), id);
    cm_status status =
        cm_dual_control_check(deployment->settings, deployment->store, &deed,
                              order->plan ? id : NULL, &deployment->arena, &order->plan, err);
    if (status != CM_DENIED && status != CM_NOT_FOUND)
        return status;
    order->code = CM_REFUSAL_POLICY_DUAL_CONTROL;
    snprintf(order->message, sizeof order->message, "%s", err->text);
    return CM_OK;
}

/* A group goes a number of devices at a time; the counts of all steps are the order's. */
static cm_status apply_group(struct cm_deployment *deployment, struct cm_order *order,
                             struct cm_error *err)
{
    uint32_t certificates = 0, devices = 0;
    cm_status status = find_plan(deployment, order, err);
    if (status != CM_OK || order->code != CM_REFUSAL_NONE)
        return status;
    do {
        order->after_device = order->last_device;
        status = apply(deployment, order, 1, err);
        if (status != CM_OK || order->code != CM_REFUSAL_NONE)
            break;
        certificates += order->certificates_changed;
        devices += order->devices_changed;
    } while (order->last_device != 0);
    order->certificates_changed = certificates;
    order->devices_changed = devices;
    return status;
}

static cm_status apply_part(struct cm_deployment *deployment, struct cm_order *orders,
                            uint32_t count, struct cm_error *err)
{
    if (orders[0].group.size > 0)
        return apply_group(deployment, &orders[0], err);
    return apply(deployment, orders, count, err);
}

/* Orders that go together: as many as one step takes, an order about a group by itself. */
static uint32_t count_part(const struct cm_order *orders, uint32_t count)
{
    uint32_t taken = 1;
    while (orders[0].group.size == 0 && taken < count && taken < CM_CONTROL_ORDERS_MAX
           && orders[taken].group.size == 0)
        taken++;
    return taken;
}

static cm_status send_all(struct cm_deployment *deployment, struct cm_order *orders, uint32_t count,
                          struct cm_error *busy)
{
    struct cm_control_client *client;
    cm_status status = cm_control_client_open_busy(deployment->settings->store_path, &client, busy);
    for (uint32_t at = 0, taken; at < count && status == CM_OK; at += taken) {
        taken = count_part(orders + at, count - at);
        status = cm_control_client_orders(client, orders + at, taken, busy);
    }
    cm_control_client_close(client);
    return status;
}

cm_status cm_orders_carry_out(struct cm_deployment *deployment, struct cm_order *orders,
                              uint32_t count, struct cm_error *err)
{
    struct cm_bytes actor = cm_bytes_str(cm_operator_name(&deployment->arena));
    for (uint32_t i = 0; i < count; i++) {
        orders[i].actor = actor;
        orders[i].fresh_groups = deployment->settings->fresh_groups;
        orders[i].fresh_groups_count = deployment->settings->fresh_groups_count;
    }
    cm_status status = cm_deployment_open_store(deployment, CM_DEPLOYMENT_WRITE, err);
    if (status == CM_BUSY)
        return send_all(deployment, orders, count, err);
    for (uint32_t at = 0, taken; at < count && status == CM_OK; at += taken) {
        taken = count_part(orders + at, count - at);
        status = apply_part(deployment, orders + at, taken, err);
    }
    return status;
}

const char *cm_order_complaint(struct cm_arena *arena, const struct cm_order *order)
{
    return cm_arena_printf(arena, "%s: %s", cm_refusal_name(order->code), order->message);
}
