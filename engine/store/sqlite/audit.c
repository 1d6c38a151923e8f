/* The audit log: its rows, and the checkpoints over them. What rows are about: audit_tree.c. */
#include "engine/base/clock.h"
#include "engine/store/sqlite/walking.h"

cm_status cm_sqlite_append_audit(struct cm_sqlite_store *store, const struct cm_audit_event *event,
                                 struct cm_error *err)
{
    struct cm_sqlite_tally *tally = &store->tally;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_AUDIT];
    struct cm_audit_row row = { .number = cm_sqlite_next_audit(store),
                                .time_ms = cm_sqlite_max(cm_clock_wall_ms(), tally->audit_time_ms),
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
    tally->audit_time_ms = row.time_ms;
    tally->last_time_ms = cm_sqlite_max(tally->last_time_ms, row.time_ms);
    memcpy(tally->audit_hash, row.hash, CM_HASH_SIZE);
    return CM_OK;
}

static bool read_audit(sqlite3_stmt *row, struct cm_audit_row *ret_audit)
{
    *ret_audit = (struct cm_audit_row){
        .number = sqlite3_column_int64(row, 0),
        .time_ms = sqlite3_column_int64(row, 1),
        .kind = (const char *)sqlite3_column_text(row, 2),
        .actor = cm_sqlite_column_text(row, 3),
        .detail = cm_sqlite_column_text(row, 4),
    };
    return ret_audit->kind && cm_sqlite_column_exactly(row, 5, ret_audit->digest, CM_HASH_SIZE)
           && cm_sqlite_column_exactly(row, 6, ret_audit->previous, CM_HASH_SIZE)
           && cm_sqlite_column_exactly(row, 7, ret_audit->hash, CM_HASH_SIZE);
}

cm_status cm_sqlite_walk_audit(struct cm_store_reader *base, int64_t from_number,
                               cm_audit_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    struct cm_audit_row audit;
    cm_status status =
        cm_sqlite_open_walk(base,
                            "SELECT number, time_ms, kind, actor, detail, digest, previous,"
                            " hash FROM audit WHERE number >= ?1 ORDER BY number",
                            &walk, err);
    sqlite3_bind_int64(walk.row, 1, from_number);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!read_audit(walk.row, &audit))
            status = cm_sqlite_fail_row("an audit row is not whole", err);
        else if (!visit(&audit, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

/* ----------------------------------------------------------------- checkpoints -- */

#define CHECKPOINT_COLUMNS "number, audit, hash, time_ms, previous, spki, sigalg, signature"

static bool read_checkpoint(sqlite3_stmt *row, struct cm_checkpoint *ret_checkpoint)
{
    *ret_checkpoint = (struct cm_checkpoint){
        .number = sqlite3_column_int64(row, 0),
        .audit = sqlite3_column_int64(row, 1),
        .time_ms = sqlite3_column_int64(row, 3),
        .spki = cm_sqlite_column_bytes(row, 5),
        .sigalg = cm_sqlite_column_text(row, 6),
        .signature = cm_sqlite_column_bytes(row, 7),
    };
    return cm_sqlite_column_exactly(row, 2, ret_checkpoint->hash, CM_HASH_SIZE)
           && cm_sqlite_column_exactly(row, 4, ret_checkpoint->previous, CM_HASH_SIZE);
}

cm_status cm_sqlite_walk_checkpoints(struct cm_store_reader *base, int64_t after_number,
                                     cm_checkpoint_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    struct cm_checkpoint checkpoint;
    cm_status status = cm_sqlite_open_walk(base,
                                           "SELECT " CHECKPOINT_COLUMNS " FROM checkpoint"
                                           " WHERE number > ?1 ORDER BY number",
                                           &walk, err);
    sqlite3_bind_int64(walk.row, 1, after_number);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!read_checkpoint(walk.row, &checkpoint))
            status = cm_sqlite_fail_row("a checkpoint is not whole", err);
        else if (!visit(&checkpoint, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

/* The last one; number 0: there is none yet. */
static cm_status find_last_checkpoint(struct cm_sqlite_store *store, struct cm_checkpoint *ret_last,
                                      struct cm_error *err)
{
    sqlite3_stmt *row = store->statements[CM_SQLITE_LAST_CHECKPOINT];
    cm_status status = CM_OK;
    *ret_last = (struct cm_checkpoint){ .number = 0 };
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW && !read_checkpoint(row, ret_last))
        status = cm_sqlite_fail_row("a checkpoint is not whole", err);
    else if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "look up the last checkpoint", err);
    ret_last->spki = ret_last->sigalg = ret_last->signature = cm_bytes(NULL, 0);
    sqlite3_reset(row);
    return status;
}

static cm_status follows(const struct cm_checkpoint *last, const struct cm_checkpoint *checkpoint,
                         struct cm_error *err)
{
    uint8_t previous[CM_HASH_SIZE] = { 0 };
    if (last->number > 0)
        cm_checkpoint_hash(last, previous);
    if (checkpoint->number == last->number + 1 && checkpoint->audit > last->audit
        && memcmp(checkpoint->previous, previous, sizeof previous) == 0)
        return CM_OK;
    return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                   "store: checkpoint %lld of row %lld does not follow checkpoint %lld of row %lld",
                   (long long)checkpoint->number, (long long)checkpoint->audit,
                   (long long)last->number, (long long)last->audit);
}

static cm_status covers_row(struct cm_sqlite_store *store, const struct cm_checkpoint *checkpoint,
                            struct cm_error *err)
{
    sqlite3_stmt *row = store->statements[CM_SQLITE_IS_AUDIT_HASH];
    cm_status status = CM_OK;
    sqlite3_bind_int64(row, 1, checkpoint->audit);
    cm_sqlite_bind_blob(row, 2, checkpoint->hash, CM_HASH_SIZE);
    int code = sqlite3_step(row);
    if (code == SQLITE_DONE)
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                         "store: row %lld of the audit log does not have this checkpoint's hash",
                         (long long)checkpoint->audit);
    else if (code != SQLITE_ROW)
        status = cm_sqlite_fail(store->db, code, "look up an audit row", err);
    sqlite3_reset(row);
    return status;
}

cm_status cm_sqlite_change_checkpoint(struct cm_sqlite_store *store,
                                      const struct cm_checkpoint *checkpoint, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_CHECKPOINT];
    struct cm_checkpoint last;
    cm_status status = find_last_checkpoint(store, &last, err);
    if (status == CM_OK)
        status = follows(&last, checkpoint, err);
    if (status == CM_OK)
        status = covers_row(store, checkpoint, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(statement, 1, checkpoint->number);
    sqlite3_bind_int64(statement, 2, checkpoint->audit);
    cm_sqlite_bind_blob(statement, 3, checkpoint->hash, CM_HASH_SIZE);
    sqlite3_bind_int64(statement, 4, checkpoint->time_ms);
    cm_sqlite_bind_blob(statement, 5, checkpoint->previous, CM_HASH_SIZE);
    cm_sqlite_bind_bytes(statement, 6, checkpoint->spki);
    cm_sqlite_bind_text(statement, 7, checkpoint->sigalg);
    cm_sqlite_bind_bytes(statement, 8, checkpoint->signature);
    store->tally.last_time_ms = cm_sqlite_max(store->tally.last_time_ms, checkpoint->time_ms);
    return cm_sqlite_step(store, CM_SQLITE_CHECKPOINT, "record a checkpoint", err);
}
