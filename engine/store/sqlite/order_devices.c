/* Orders about a device, or about the devices of a group: their state, and their certificates. */
#include "engine/store/sqlite/order.h"

#include <stdlib.h>

enum { DEVICES_DEFAULT = 1000 };

struct member {
    int64_t number;
    enum cm_device_state state;
};

/* The devices of one operation, by number. */
struct members {
    struct member *items;
    size_t count;
};

/* ------------------------------------------------------------- what an order does -- */

static enum cm_device_state state_after(enum cm_order_kind kind, enum cm_device_state state)
{
    switch (kind) {
    case CM_ORDER_QUARANTINE:
        return CM_DEVICE_QUARANTINED;
    case CM_ORDER_REINSTATE:
        return CM_DEVICE_ALLOWED;
    case CM_ORDER_RETIRE:
        return CM_DEVICE_RETIRED;
    case CM_ORDER_REVOKE:
    case CM_ORDER_COUNT:
        break;
    }
    return state;
}

static bool is_against_retirement(enum cm_order_kind kind, enum cm_device_state state)
{
    return state == CM_DEVICE_RETIRED
           && (kind == CM_ORDER_QUARANTINE || kind == CM_ORDER_REINSTATE);
}

static cm_status change_state(struct cm_sqlite_ordering *ordering, const struct member *member,
                              bool *ret_changed, struct cm_error *err)
{
    sqlite3_stmt *statement = ordering->store->statements[CM_SQLITE_DEVICE_STATE];
    enum cm_device_state state = state_after(ordering->order->kind, member->state);
    *ret_changed = state != member->state;
    if (!*ret_changed)
        return CM_OK;
    if (state != CM_DEVICE_ALLOWED) {
        cm_status status = cm_sqlite_bar_device(ordering->store, member->number, err);
        if (status != CM_OK)
            return status;
    }
    sqlite3_bind_int64(statement, 1, member->number);
    cm_sqlite_bind_text(statement, 2, cm_bytes_str(cm_device_state_name(state)));
    return cm_sqlite_step(ordering->store, CM_SQLITE_DEVICE_STATE, "change a device's state", err);
}

/* ---------------------------------------------------------------- certificates -- */

static cm_status order_listed(struct cm_sqlite_ordering *ordering,
                              const struct cm_sqlite_listed *listed, struct cm_error *err)
{
    sqlite3_stmt *row = ordering->store->statements[CM_SQLITE_FIND_LISTED];
    struct cm_sqlite_issued issued = { .device = listed->device,
                                       .issued_s = cm_sqlite_issued_s(listed->certificate) };
    cm_status status = CM_OK;
    cm_big_endian_write((uint64_t)listed->certificate, issued.serial.octets, 8);
    sqlite3_bind_int64(row, 1, listed->certificate);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW
        && cm_sqlite_column_exactly(row, 0, issued.serial.octets + 8, CM_SERIAL_SIZE - 8)) {
        issued.generation_number = sqlite3_column_int64(row, 1);
        issued.not_after_s = sqlite3_column_int64(row, 2);
    } else if (code == SQLITE_ROW || code == SQLITE_DONE)
        status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                         "the store is damaged: a device has a certificate that is not there");
    else
        status = cm_sqlite_fail(ordering->store->db, code, "read a certificate", err);
    sqlite3_reset(row);
    return status == CM_OK ? cm_sqlite_order_certificate(ordering, &issued, err) : status;
}

/* Its certificates are the first of *listed; they are taken off. */
static cm_status order_member(struct cm_sqlite_ordering *ordering, const struct member *member,
                              struct cm_sqlite_list *listed, struct cm_error *err)
{
    uint32_t before = ordering->order->certificates_changed;
    bool changed = false;
    cm_status status = change_state(ordering, member, &changed, err);
    if (status == CM_OK && ordering->order->kind == CM_ORDER_REVOKE)
        status = cm_sqlite_note_revoked(ordering->store, member->number,
                                        ordering->store->tally.last_number, err);
    while (status == CM_OK && listed->count > 0 && listed->items->device == member->number) {
        status = order_listed(ordering, listed->items, err);
        listed->items++;
        listed->count--;
    }
    ordering->order->devices_changed += changed || ordering->order->certificates_changed > before;
    return status;
}

static cm_status order_members(struct cm_sqlite_ordering *ordering, const struct members *members,
                               struct cm_error *err)
{
    struct cm_sqlite_list list = { .count = 0 };
    int64_t *numbers = calloc(members->count + 1, sizeof *numbers);
    if (!numbers)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an order");
    for (size_t i = 0; i < members->count; i++)
        numbers[i] = members->items[i].number;
    cm_status status =
        cm_sqlite_list_certificates(ordering->store, numbers, members->count, &list, err);
    struct cm_sqlite_list rest = list;
    for (size_t i = 0; status == CM_OK && i < members->count; i++)
        status = order_member(ordering, &members->items[i], &rest, err);
    free(list.items);
    free(numbers);
    return status;
}

/* ------------------------------------------------------------------- one device -- */

static cm_status find_member(struct cm_sqlite_ordering *ordering, struct member *ret_member,
                             bool *ret_reaches, struct cm_error *err)
{
    sqlite3_stmt *row = ordering->store->statements[CM_SQLITE_FIND_MEMBER];
    struct member member = { .number = 0 };
    cm_status status = CM_OK;
    cm_sqlite_bind_text(row, 1, ordering->order->device);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        member.number = sqlite3_column_int64(row, 0);
        *ret_reaches = cm_sqlite_order_reaches(ordering->order, cm_sqlite_column_text(row, 2));
        ordering->is_fresh =
            cm_sqlite_order_is_fresh(ordering->order, cm_sqlite_column_text(row, 2));
        if (!cm_device_state_find((const char *)sqlite3_column_text(row, 1), &member.state))
            status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                             "the store is damaged: a device has an unknown state");
    } else if (code != SQLITE_DONE)
        status = cm_sqlite_fail(ordering->store->db, code, "look up a device", err);
    sqlite3_reset(row);
    *ret_member = member;
    return status;
}

static cm_status order_device(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    struct member member;
    bool reaches = false;
    cm_status status = find_member(ordering, &member, &reaches, err);
    if (status != CM_OK)
        return status;
    if (member.number == 0)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_DEVICE_UNKNOWN,
                                      "the device is not on the allow-list");
    if (!reaches)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED,
                                      "the device is of another group");
    if (is_against_retirement(order->kind, member.state))
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_FINAL,
                                      "the device is retired, for good");
    const struct members one = { .items = &member, .count = 1 };
    status = order_members(ordering, &one, err);
    if (status == CM_OK && order->kind == CM_ORDER_REINSTATE && order->devices_changed == 0)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_NOT_ON_HOLD,
                                      "neither the device nor a certificate of it is on hold");
    return status;
}

/* --------------------------------------------------------------------- a group -- */

static size_t most_of(const struct cm_order *order)
{
    return order->devices_max > 0 ? order->devices_max : DEVICES_DEFAULT;
}

static cm_status read_member(sqlite3_stmt *row, struct member *ret_member, struct cm_error *err)
{
    ret_member->number = sqlite3_column_int64(row, 0);
    if (cm_device_state_find((const char *)sqlite3_column_text(row, 1), &ret_member->state))
        return CM_OK;
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                   "the store is damaged: a device has an unknown state");
}

/* One more than the operation takes, where there is one. */
static cm_status read_members(struct cm_sqlite_ordering *ordering, int64_t group,
                              struct members *members, struct cm_error *err)
{
    sqlite3_stmt *row = ordering->store->statements[CM_SQLITE_MEMBERS];
    size_t space = most_of(ordering->order) + 1;
    cm_status status = CM_OK;
    int code = SQLITE_DONE;
    sqlite3_bind_int64(row, 1, group);
    sqlite3_bind_int64(row, 2, ordering->order->after_device);
    sqlite3_bind_int64(row, 3, (int64_t)space);
    while (status == CM_OK && members->count < space && (code = sqlite3_step(row)) == SQLITE_ROW)
        status = read_member(row, &members->items[members->count++], err);
    if (status == CM_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        status = cm_sqlite_fail(ordering->store->db, code, "read a group's devices", err);
    sqlite3_reset(row);
    return status;
}

/* Of a group, devices that the order is against are passed over: the others are what is meant. */
static void pass_over_retired(enum cm_order_kind kind, struct members *members)
{
    size_t kept = 0;
    for (size_t i = 0; i < members->count; i++)
        if (!is_against_retirement(kind, members->items[i].state))
            members->items[kept++] = members->items[i];
    members->count = kept;
}

static cm_status order_group_members(struct cm_sqlite_ordering *ordering, int64_t group,
                                     struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    size_t most = most_of(order);
    struct members members = { .items = calloc(most + 1, sizeof *members.items) };
    if (!members.items)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an order");
    cm_status status = read_members(ordering, group, &members, err);
    if (members.count > most) {
        members.count = most;
        order->last_device = members.items[most - 1].number;
    }
    pass_over_retired(order->kind, &members);
    if (status == CM_OK)
        status = order_members(ordering, &members, err);
    free(members.items);
    return status;
}

static cm_status order_group(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    struct cm_sqlite_store *store = ordering->store;
    struct cm_order *order = ordering->order;
    int64_t values[2];
    bool found = false;
    if (!cm_sqlite_order_reaches(order, order->group))
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED,
                                      "the requester has no right to this group");
    ordering->is_fresh = cm_sqlite_order_is_fresh(order, order->group);
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_GROUP], 1, order->group);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_GROUP, &found, values, err);
    if (status != CM_OK)
        return status;
    if (!found)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_GROUP_UNKNOWN,
                                      "no device was ever of this group");
    return order_group_members(ordering, values[0], err);
}

cm_status cm_sqlite_order_devices(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    return ordering->order->device.size > 0 ? order_device(ordering, err)
                                            : order_group(ordering, err);
}
