#include "engine/store/sqlite/internal.h"

#include "engine/base/clock.h"

/* Runs a statement that returns no rows. */
cm_status cm_sqlite_step(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                         const char *what, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[change];
    int code = sqlite3_step(statement);
    cm_status status = code == SQLITE_DONE ? CM_OK : cm_sqlite_fail(store->db, code, what, err);
    sqlite3_reset(statement);
    return status;
}

/* Runs a statement that returns one row of up to two integers, or none. */
cm_status cm_sqlite_look_up(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                            bool *ret_found, int64_t ret_values[2], struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[change];
    cm_status status = CM_OK;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        ret_values[0] = sqlite3_column_int64(statement, 0);
        ret_values[1] = sqlite3_column_int64(statement, 1);
    } else if (code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "look up", err);
    *ret_found = code == SQLITE_ROW;
    sqlite3_reset(statement);
    return status;
}

/* ------------------------------------------------------------------ devices -- */

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

static cm_status change_device(struct cm_sqlite_store *store, const struct cm_device_row *row,
                               bool *ret_changed, struct cm_error *err)
{
    int64_t group = 0;
    bool changed = false;
    cm_status status = find_or_add_group(store, row->group, &group, err);
    if (status == CM_OK)
        status = add_device(store, row, group, &changed, err);
    if (status == CM_OK && !changed && row->replace) {
        bind_device(store->statements[CM_SQLITE_DEVICE_REPLACE], row, group);
        status = cm_sqlite_step(store, CM_SQLITE_DEVICE_REPLACE, "replace a device", err);
        changed = true;
    }
    if (status == CM_OK)
        *ret_changed = changed;
    return status;
}

static cm_status change_devices(struct cm_sqlite_store *store, struct cm_store_op *op,
                                struct cm_error *err)
{
    cm_status status = CM_OK;
    op->devices_changed = 0; /* this may be the second attempt */
    for (uint32_t i = 0; status == CM_OK && i < op->devices_count; i++) {
        bool changed = false;
        status = change_device(store, &op->devices[i], &changed, err);
        op->devices_changed += changed;
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
    bool changed;
    cm_status status = change_device(store, &device, &changed, err);
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

/* -------------------------------------------------------------- generations -- */

static cm_status change_generation(struct cm_sqlite_store *store, struct cm_generation *generation,
                                   struct cm_error *err)
{
    bool is_new = generation->number == 0;
    enum cm_sqlite_change change = is_new ? CM_SQLITE_GENERATION : CM_SQLITE_GENERATION_REPLACE;
    sqlite3_stmt *statement = store->statements[change];
    cm_sqlite_bind_text(statement, 1, generation->authority);
    sqlite3_bind_int64(statement, 2, generation->generation);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(cm_generation_state_name(generation->state)));
    cm_sqlite_bind_text(statement, 4, generation->provider);
    cm_sqlite_bind_text(statement, 5, generation->key);
    cm_sqlite_bind_text(statement, 6, generation->sigalg);
    cm_sqlite_bind_bytes(statement, 7, generation->certificate);
    cm_sqlite_bind_text(statement, 8, generation->chain);
    sqlite3_bind_int64(statement, 9, generation->created_ms);
    if (!is_new)
        sqlite3_bind_int64(statement, 10, generation->number);
    cm_status status = cm_sqlite_step(store, change, "record a generation", err);
    store->generation_added = sqlite3_last_insert_rowid(store->db);
    if (status == CM_OK && !is_new && sqlite3_changes(store->db) == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "store: no generation has number %lld",
                       (long long)generation->number);
    return status;
}

/* -------------------------------------------------------------------- audit -- */

static cm_status append_audit(struct cm_sqlite_store *store, const struct cm_audit_event *event,
                              struct cm_error *err)
{
    struct cm_sqlite_tally *tally = &store->tally;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_AUDIT];
    struct cm_audit_row row = { .number = tally->audit_rows + 1,
                                .time_ms = cm_clock_wall_ms(),
                                .kind = event->kind,
                                .actor = event->actor,
                                .detail = event->detail };
    memcpy(row.digest, event->digest, CM_HASH_SIZE);
    memcpy(row.previous, tally->audit_hash, CM_HASH_SIZE);
    cm_audit_hash(&row, row.hash);
    sqlite3_bind_int64(statement, 1, row.number);
    sqlite3_bind_int64(statement, 2, row.time_ms);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(row.kind));
    cm_sqlite_bind_text(statement, 4, row.actor);
    cm_sqlite_bind_text(statement, 5, row.detail);
    cm_sqlite_bind_blob(statement, 6, row.digest, CM_HASH_SIZE);
    cm_sqlite_bind_blob(statement, 7, row.previous, CM_HASH_SIZE);
    cm_sqlite_bind_blob(statement, 8, row.hash, CM_HASH_SIZE);
    cm_status status = cm_sqlite_step(store, CM_SQLITE_AUDIT, "append to the audit log", err);
    if (status != CM_OK)
        return status;
    tally->audit_rows = row.number;
    tally->last_time_ms = cm_sqlite_max(tally->last_time_ms, row.time_ms);
    memcpy(tally->audit_hash, row.hash, CM_HASH_SIZE);
    return CM_OK;
}

/* -------------------------------------------------------------------- whole -- */

static cm_status change_by_kind(struct cm_sqlite_store *store, struct cm_store_op *op,
                                struct cm_error *err)
{
    switch (op->kind) {
    case CM_STORE_INTENT:
        return cm_sqlite_change_intent(store, op->intent, err);
    case CM_STORE_RECORD:
        return cm_sqlite_change_record(store, op, err);
    case CM_STORE_DEVICES:
        return change_devices(store, op, err);
    case CM_STORE_GENERATION:
        return change_generation(store, op->generation, err);
    }
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, op->kind, "store: no such kind of operation");
}

cm_status cm_sqlite_change(struct cm_sqlite_store *store, struct cm_store_op *op,
                           struct cm_error *err)
{
    cm_status status = change_by_kind(store, op, err);
    if (status == CM_OK && op->audit)
        status = append_audit(store, op->audit, err);
    return status;
}

cm_status cm_sqlite_change_total(struct cm_sqlite_store *store, struct cm_error *err)
{
    const struct cm_sqlite_tally *tally = &store->tally;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_TOTAL];
    sqlite3_bind_int64(statement, 1, tally->devices);
    sqlite3_bind_int64(statement, 2, tally->certificates);
    sqlite3_bind_int64(statement, 3, tally->refusals);
    sqlite3_bind_int64(statement, 4, tally->abandoned);
    sqlite3_bind_int64(statement, 5, tally->audit_rows);
    sqlite3_bind_int64(statement, 6, tally->last_number);
    sqlite3_bind_int64(statement, 7, tally->last_time_ms);
    return cm_sqlite_step(store, CM_SQLITE_TOTAL, "keep the totals", err);
}
