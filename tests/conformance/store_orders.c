#include "tests/conformance/store_orders.h"

#include <stdio.h>
#include <stdlib.h>

static void require(cm_status status, const struct cm_error *err)
{
    if (status == CM_OK)
        return;
    fprintf(stderr, "orders: %s\n", err->text);
    abort();
}

void orders_put_devices(struct fixture *fixture, unsigned count)
{
    struct cm_device_row row = { .state = CM_DEVICE_ALLOWED };
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = &row, .devices_count = 1, .audit = &fixture_audit
    };
    for (unsigned n = 1; n <= count; n++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", n);
        row.id = cm_bytes_str(id);
        row.group = cm_bytes_str(n % 2 ? "odd" : "even");
        require(cm_store_apply(fixture->store, &op, &fixture->err), &fixture->err);
    }
}

void orders_record(struct fixture *fixture, unsigned first, unsigned count, unsigned devices)
{
    static struct record record;
    record_fill(&record, first, count);
    for (unsigned i = 0; i < count; i++)
        record.rows[i].device_number = 1 + (first + i - 1) % devices;
    require(cm_store_apply(fixture->store, &record.op, &fixture->err), &fixture->err);
}

static struct cm_order order_of(enum cm_order_kind kind)
{
    return (struct cm_order){ .kind = kind,
                              .time_s = ORDER_TIME_S,
                              .actor = cm_bytes_str("tester"),
                              .why = cm_bytes_str("a \"test\"") };
}

struct cm_order order_for_serial(unsigned n, enum cm_reason reason)
{
    static struct cm_serial serial;
    struct cm_order order = order_of(CM_ORDER_REVOKE);
    serial = row_serial(n);
    order.serial = cm_serial_content(&serial);
    order.reason = reason;
    return order;
}

struct cm_order order_for_device(enum cm_order_kind kind, const char *device)
{
    struct cm_order order = order_of(kind);
    order.device = cm_bytes_str(device);
    return order;
}

struct cm_order order_for_group(enum cm_order_kind kind, const char *group)
{
    struct cm_order order = order_of(kind);
    order.group = cm_bytes_str(group);
    return order;
}

cm_status order_apply(struct fixture *fixture, struct cm_order *order)
{
    struct cm_store_op op = { .kind = CM_STORE_RECORD, .orders = order, .orders_count = 1 };
    return cm_store_apply(fixture->store, &op, &fixture->err);
}

struct sought {
    struct cm_serial serial;
    struct cm_revocation found;
};

static bool compare(const struct cm_revocation *revocation, void *arg)
{
    struct sought *sought = arg;
    if (cm_bytes_equal(revocation->serial, cm_serial_content(&sought->serial)))
        sought->found = *revocation;
    return true;
}

struct cm_revocation order_standing(struct fixture *fixture, unsigned n)
{
    struct sought sought = { .serial = row_serial(n) };
    require(
        cm_store_walk_revocations(fixture_snapshot(fixture), 0, compare, &sought, &fixture->err),
        &fixture->err);
    sought.found.serial = cm_bytes(NULL, 0);
    return sought.found;
}

int order_reason(struct fixture *fixture, unsigned n)
{
    struct cm_revocation standing = order_standing(fixture, n);
    return standing.revision > 0 ? (int)standing.reason : -1;
}

struct last {
    struct fixture *fixture;
    struct cm_audit_row row;
};

static bool keep(const struct cm_audit_row *row, void *arg)
{
    struct last *last = arg;
    last->row = *row;
    last->row.kind = cm_arena_printf(&last->fixture->arena, "%s", row->kind);
    last->row.actor = cm_arena_copy(&last->fixture->arena, row->actor);
    last->row.detail = cm_arena_copy(&last->fixture->arena, row->detail);
    return true;
}

struct cm_audit_row order_audit(struct fixture *fixture)
{
    struct last last = { .fixture = fixture };
    require(cm_store_walk_audit(fixture_snapshot(fixture), 1, keep, &last, &fixture->err),
            &fixture->err);
    return last.row;
}
