#include "engine/store/sqlite/internal.h"

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
        return cm_sqlite_change_generation(store, op, err);
    case CM_STORE_TRANSITION:
        return cm_sqlite_change_state(store, op->transition, err);
    case CM_STORE_PLAN:
        return cm_sqlite_change_plan(store, op->plan_change, err);
    case CM_STORE_CRLS:
        return cm_sqlite_change_crls(store, op, err);
    case CM_STORE_IMPORT:
        return cm_sqlite_change_imported(store, op, err);
    case CM_STORE_CHECKPOINT:
        return cm_sqlite_change_checkpoint(store, op->checkpoint, err);
    case CM_STORE_CAMPAIGN:
        return cm_sqlite_change_campaign(store, op->campaign, err);
    }
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, op->kind, "store: no such kind of operation");
}

/* A step of a plan that was made before is no news. */
static bool says_something(const struct cm_store_op *op)
{
    return op->audit && (op->kind != CM_STORE_PLAN || op->plan_change->changed);
}

cm_status cm_sqlite_change(struct cm_sqlite_store *store, struct cm_store_op *op,
                           struct cm_error *err)
{
    cm_status status = cm_sqlite_plan_begin(store, op->plan, err);
    if (status == CM_OK)
        status = change_by_kind(store, op, err);
    if (status == CM_OK && says_something(op))
        status = cm_sqlite_append_audit(store, op->audit, err);
    if (status == CM_OK && op->plan)
        status = cm_sqlite_plan_end(store, op->plan, true, op->audit->actor, err);
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
