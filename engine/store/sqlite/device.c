/* Devices and their groups, on behalf of an operation. */
#include "engine/store/sqlite/internal.h"

static cm_status find_or_add_group(struct cm_sqlite_store *store, struct cm_bytes name,
                                   int64_t *ret_number, struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_GROUP], 1, name);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_GROUP, &found, values, err);
    if (status != CM_OK)
        return status;
    if (!found) {
        cm_sqlite_bind_text(store->statements[CM_SQLITE_GROUP], 1, name);
        status = cm_sqlite_step(store, CM_SQLITE_GROUP, "add a group", err);
        values[0] = sqlite3_last_insert_rowid(store->db);
    }
    if (status == CM_OK)
        *ret_number = values[0];
    return status;
}

static void bind_device(sqlite3_stmt *statement, const struct cm_device_row *row, int64_t group)
{
    cm_sqlite_bind_text(statement, 1, row->id);
    sqlite3_bind_int64(statement, 2, group);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(cm_device_state_name(row->state)));
    cm_sqlite_bind_bytes(statement, 4, row->attributes);
}

/* Adds the device unless its id is there. */
static cm_status add_device(struct cm_sqlite_store *store, const struct cm_device_row *row,
                            int64_t group, bool *ret_added, struct cm_error *err)
{
    bind_device(store->statements[CM_SQLITE_DEVICE], row, group);
    cm_status status = cm_sqlite_step(store, CM_SQLITE_DEVICE, "add a device", err);
    if (status != CM_OK)
        return status;
    *ret_added = sqlite3_changes(store->db) > 0;
    if (*ret_added)
        store->tally.devices++;
    return CM_OK;
}

/* The next certificate for it is looked at closer. */
static cm_status bar_device(struct cm_sqlite_store *store, struct cm_bytes id, struct cm_error *err)
{
    int64_t values[2];
    bool found = false;
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_DEVICE], 1, id);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_DEVICE, &found, values, err);
    return status == CM_OK && found ? cm_sqlite_bar_device(store, values[0], err) : status;
}

/* *ret_kept: it is quarantined or retired, and stays so: an order takes it out of that, not a list. */
static cm_status replace_device(struct cm_sqlite_store *store, const struct cm_device_row *row,
                                int64_t group, bool *ret_kept, struct cm_error *err)
{
    int64_t values[2];
    bool found = false;
    bind_device(store->statements[CM_SQLITE_DEVICE_REPLACE], row, group);
    cm_status status = cm_sqlite_step(store, CM_SQLITE_DEVICE_REPLACE, "replace a device", err);
    if (status != CM_OK)
        return status;
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_DEVICE], 1, row->id);
    status = cm_sqlite_look_up(store, CM_SQLITE_FIND_DEVICE, &found, values, err);
    if (status == CM_OK)
        *ret_kept = found && !values[1] && row->state == CM_DEVICE_ALLOWED;
    return status;
}

static cm_status change_device(struct cm_sqlite_store *store, const struct cm_device_row *row,
                               bool *ret_changed, bool *ret_kept, struct cm_error *err)
{
    int64_t group = 0;
    bool changed = false;
    cm_status status = find_or_add_group(store, row->group, &group, err);
    if (status == CM_OK)
        status = add_device(store, row, group, &changed, err);
    if (status == CM_OK && !changed && row->replace) {
        status = replace_device(store, row, group, ret_kept, err);
        changed = true;
    }
    if (status == CM_OK && changed && row->state != CM_DEVICE_ALLOWED)
        status = bar_device(store, row->id, err);
    if (status == CM_OK)
        *ret_changed = changed;
    return status;
}

cm_status cm_sqlite_change_devices(struct cm_sqlite_store *store, struct cm_store_op *op,
                                   struct cm_error *err)
{
    cm_status status = CM_OK;
    op->devices_changed = op->devices_kept = 0; /* this may be the second attempt */
    for (uint32_t i = 0; status == CM_OK && i < op->devices_count; i++) {
        bool changed = false, kept = false;
        status = change_device(store, &op->devices[i], &changed, &kept, err);
        op->devices_changed += changed;
        op->devices_kept += kept;
    }
    return status;
}

/*
 * The device of a request that registers it. Two requests of one batch may name the same new
 * device; but one that was put on the list otherwise meanwhile must be allowed.
 */
cm_status cm_sqlite_enroll_device(struct cm_sqlite_store *store,
                                  const struct cm_certificate_row *row, int64_t *ret_number,
                                  struct cm_error *err)
{
    const struct cm_device_row device = { .id = row->enroll_device,
                                          .group = row->enroll_group,
                                          .state = CM_DEVICE_ALLOWED };
    bool found = false;
    int64_t values[2];
    bool changed, kept;
    cm_status status = change_device(store, &device, &changed, &kept, err);
    if (status != CM_OK)
        return status;
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_DEVICE], 1, device.id);
    status = cm_sqlite_look_up(store, CM_SQLITE_FIND_DEVICE, &found, values, err);
    if (status != CM_OK)
        return status;
    if (!found || !values[1])
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "store: the device to enroll is on the list and not allowed");
    *ret_number = values[0];
    return CM_OK;
}
