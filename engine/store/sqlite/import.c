/* Certificates of another CA software. What they are worth only ever gets worse by an import. */
#include "engine/store/sqlite/internal.h"

#include "engine/base/clock.h"

static bool is_date(int64_t time_s)
{
    return time_s >= 0 && time_s <= cm_sqlite_end_of_time_s;
}

static cm_status check_row(const struct cm_imported_row *row, struct cm_error *err)
{
    struct cm_serial ignored;
    bool is_good = row->reason == CM_REASON_UNSPECIFIED && row->revoked_s == 0;
    if (cm_serial_from_content(row->serial, &ignored) && is_date(row->not_after_s)
        && (is_good || row->revoked_s > 0) && row->revoked_s <= cm_clock_wall_s() + CM_STORE_AHEAD_S
        && is_date(row->invalidity_s) && row->reason != CM_REASON_REMOVE_FROM_CRL)
        return CM_OK;
    return CM_FAIL(
        err, CM_INVALID, CM_ORIGIN_SELF, 0,
        "store: an imported certificate's serial, dates or reason are outside the contract");
}

static cm_status require_generation(struct cm_sqlite_store *store, int64_t number,
                                    struct cm_error *err)
{
    int64_t values[2];
    bool found = false;
    sqlite3_bind_int64(store->statements[CM_SQLITE_FIND_GENERATION], 1, number);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_GENERATION, &found, values, err);
    if (status == CM_OK && !found)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "store: no generation has number %lld",
                       (long long)number);
    return status;
}

/* Adds the certificate, or what was not known of it. *ret_not_after_s is what is known now. */
static cm_status put_certificate(struct cm_sqlite_store *store, const struct cm_imported_row *row,
                                 bool *ret_is_new, int64_t *ret_not_after_s, struct cm_error *err)
{
    sqlite3_stmt *find = store->statements[CM_SQLITE_FIND_IMPORTED];
    int64_t not_after_s = row->not_after_s > 0 ? row->not_after_s : cm_sqlite_end_of_time_s;
    int64_t values[2];
    bool found = false;
    sqlite3_bind_int64(find, 1, row->generation_number);
    cm_sqlite_bind_bytes(find, 2, row->serial);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_IMPORTED, &found, values, err);
    if (status != CM_OK)
        return status;
    if (found && values[0] != cm_sqlite_end_of_time_s)
        not_after_s = values[0];
    enum cm_sqlite_change change = found ? CM_SQLITE_IMPORTED_REPLACE : CM_SQLITE_IMPORTED;
    sqlite3_stmt *put = store->statements[change];
    sqlite3_bind_int64(put, 1, row->generation_number);
    cm_sqlite_bind_bytes(put, 2, row->serial);
    sqlite3_bind_int64(put, 3, not_after_s);
    cm_sqlite_bind_bytes(put, 4, row->der);
    *ret_is_new = !found;
    *ret_not_after_s = not_after_s;
    return cm_sqlite_step(store, change, "import a certificate", err);
}

/* A hold of the old CA that has ended here does not come back with a list from before. */
static cm_status applies(struct cm_sqlite_store *store, const struct cm_imported_row *row,
                         bool *ret_applies, struct cm_error *err)
{
    sqlite3_stmt *find = store->statements[CM_SQLITE_FIND_REVOCATION];
    int64_t values[2];
    bool found = false;
    *ret_applies = row->revoked_s > 0;
    if (!*ret_applies || row->reason != CM_REASON_CERTIFICATE_HOLD)
        return CM_OK;
    sqlite3_bind_int64(find, 1, row->generation_number);
    cm_sqlite_bind_bytes(find, 2, row->serial);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_REVOCATION, &found, values, err);
    *ret_applies = !found;
    return status;
}

static cm_status import_row(struct cm_sqlite_store *store, const struct cm_imported_row *row,
                            bool *ret_changed, struct cm_error *err)
{
    bool is_new = false, is_worse = false, is_to_apply = false;
    int64_t not_after_s = 0;
    cm_status status = check_row(row, err);
    if (status == CM_OK)
        status = require_generation(store, row->generation_number, err);
    if (status == CM_OK)
        status = put_certificate(store, row, &is_new, &not_after_s, err);
    if (status == CM_OK)
        status = applies(store, row, &is_to_apply, err);
    if (status == CM_OK && is_to_apply) {
        const struct cm_revocation revocation = { .generation_number = row->generation_number,
                                                  .serial = row->serial,
                                                  .reason = row->reason,
                                                  .revoked_s = row->revoked_s,
                                                  .invalidity_s = row->invalidity_s,
                                                  .not_after_s = not_after_s };
        status = cm_sqlite_revoke(store, &revocation, false, &is_worse, err);
    }
    if (status == CM_OK)
        *ret_changed = is_new || is_worse;
    return status;
}

cm_status cm_sqlite_change_imported(struct cm_sqlite_store *store, struct cm_store_op *op,
                                    struct cm_error *err)
{
    cm_status status = CM_OK;
    op->imported_changed = 0; /* this may be the second attempt */
    for (uint32_t i = 0; status == CM_OK && i < op->imported_count; i++) {
        bool changed = false;
        status = import_row(store, &op->imported[i], &changed, err);
        op->imported_changed += changed;
    }
    return status;
}
