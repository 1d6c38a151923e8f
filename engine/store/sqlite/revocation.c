/* What becomes of one certificate: a change for the worse, or the end of a hold. */
#include "engine/store/sqlite/internal.h"

static cm_status find_standing(struct cm_sqlite_store *store, const struct cm_revocation *wanted,
                               struct cm_revocation *ret_standing, struct cm_error *err)
{
    sqlite3_stmt *row = store->statements[CM_SQLITE_FIND_REVOCATION];
    struct cm_revocation standing = { .revision = 0 };
    cm_sqlite_bind_bytes(row, 2, wanted->serial);
    sqlite3_bind_int64(row, 1, wanted->generation_number);
    cm_status status = CM_OK;
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        standing = (struct cm_revocation){ .revision = sqlite3_column_int64(row, 0),
                                           .reason = (enum cm_reason)sqlite3_column_int(row, 1),
                                           .revoked_s = sqlite3_column_int64(row, 2),
                                           .invalidity_s = sqlite3_column_int64(row, 3) };
    else if (code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "look up a revocation", err);
    sqlite3_reset(row);
    *ret_standing = standing;
    return status;
}

/* False: all stays as it is. The first date of what is not good stays with it. */
static bool decide(const struct cm_revocation *standing, const struct cm_revocation *wanted,
                   bool only_held, struct cm_revocation *ret_next)
{
    bool is_good = standing->revision == 0 || standing->reason == CM_REASON_REMOVE_FROM_CRL;
    bool is_held = !is_good && standing->reason == CM_REASON_CERTIFICATE_HOLD;
    *ret_next = *wanted;
    if (wanted->reason == CM_REASON_REMOVE_FROM_CRL)
        return is_held;
    if (only_held && !is_held)
        return false;
    if (is_good)
        return true;
    if (wanted->reason == CM_REASON_CERTIFICATE_HOLD)
        return false;
    ret_next->revoked_s = standing->revoked_s;
    if (wanted->invalidity_s == 0)
        ret_next->invalidity_s = standing->invalidity_s;
    return is_held
           || (wanted->reason == CM_REASON_KEY_COMPROMISE
               && standing->reason != CM_REASON_KEY_COMPROMISE);
}

static cm_status take_out(struct cm_sqlite_store *store, int64_t revision, struct cm_error *err)
{
    if (revision == 0)
        return CM_OK;
    sqlite3_bind_int64(store->statements[CM_SQLITE_REVOCATION_TAKE_OUT], 1, revision);
    store->tally.revocations--;
    return cm_sqlite_step(store, CM_SQLITE_REVOCATION_TAKE_OUT, "change a revocation", err);
}

/* Behind all others: the revision is counted by heart, so that none comes back. */
static cm_status put_in(struct cm_sqlite_store *store, const struct cm_revocation *revocation,
                        struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_REVOCATION];
    sqlite3_bind_int64(statement, 1, ++store->tally.last_revision);
    sqlite3_bind_int64(statement, 2, revocation->generation_number);
    cm_sqlite_bind_bytes(statement, 3, revocation->serial);
    sqlite3_bind_int64(statement, 4, revocation->reason);
    sqlite3_bind_int64(statement, 5, revocation->revoked_s);
    if (revocation->invalidity_s != 0)
        sqlite3_bind_int64(statement, 6, revocation->invalidity_s);
    else
        sqlite3_bind_null(statement, 6);
    sqlite3_bind_int64(statement, 7, revocation->not_after_s);
    store->tally.revocations++;
    return cm_sqlite_step(store, CM_SQLITE_REVOCATION, "record a revocation", err);
}

cm_status cm_sqlite_revoke(struct cm_sqlite_store *store, const struct cm_revocation *wanted,
                           bool only_held, bool *ret_changed, struct cm_error *err)
{
    struct cm_revocation standing, next;
    cm_status status = find_standing(store, wanted, &standing, err);
    if (status != CM_OK)
        return status;
    bool changes = decide(&standing, wanted, only_held, &next);
    if (changes)
        status = take_out(store, standing.revision, err);
    if (changes && status == CM_OK)
        status = put_in(store, &next, err);
    if (status == CM_OK)
        *ret_changed = changes;
    return status;
}
