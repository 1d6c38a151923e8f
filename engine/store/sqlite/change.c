#include "engine/store/sqlite/internal.h"

#include "engine/base/clock.h"

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
    sqlite3_bind_int64(statement, 10, generation->crl_shards);
    cm_sqlite_bind_text(statement, 11, generation->crl_url);
    if (!is_new)
        sqlite3_bind_int64(statement, 12, generation->number);
    cm_status status = cm_sqlite_step(store, change, "record a generation", err);
    store->generation_added = sqlite3_last_insert_rowid(store->db);
    if (status == CM_OK && !is_new && sqlite3_changes(store->db) == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "store: no generation has number %lld",
                       (long long)generation->number);
    return status;
}

/* -------------------------------------------------------------------- audit -- */

cm_status cm_sqlite_append_audit(struct cm_sqlite_store *store, const struct cm_audit_event *event,
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
        return cm_sqlite_change_devices(store, op, err);
    case CM_STORE_GENERATION:
        return change_generation(store, op->generation, err);
    case CM_STORE_CRLS:
        return cm_sqlite_change_crls(store, op, err);
    case CM_STORE_IMPORT:
        return cm_sqlite_change_imported(store, op, err);
    }
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, op->kind, "store: no such kind of operation");
}

cm_status cm_sqlite_change(struct cm_sqlite_store *store, struct cm_store_op *op,
                           struct cm_error *err)
{
    cm_status status = change_by_kind(store, op, err);
    if (status == CM_OK && op->audit)
        status = cm_sqlite_append_audit(store, op->audit, err);
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
    sqlite3_bind_int64(statement, 8, tally->orders);
    sqlite3_bind_int64(statement, 9, tally->revocations);
    sqlite3_bind_int64(statement, 10, tally->last_revision);
    sqlite3_bind_int64(statement, 11, tally->device_runs);
    return cm_sqlite_step(store, CM_SQLITE_TOTAL, "keep the totals", err);
}
