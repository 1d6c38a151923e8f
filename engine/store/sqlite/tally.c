#include "engine/store/sqlite/internal.h"

/* Where the tables stand: one row, read once at the start. */
static const char tally_sql[] =
    "SELECT devices, certificates, refusals, abandoned, audit_rows, last_number, last_time_ms,"
    " max(ifnull((SELECT max(number) FROM certificate), 0),"
    "     ifnull((SELECT max(number) FROM abandoned), 0)),"
    " ifnull((SELECT max(number) FROM abandoned), 0),"
    " ifnull((SELECT max(number) FROM intent), 0),"
    " ifnull((SELECT max(number) FROM audit), 0),"
    " ifnull((SELECT max(number) FROM refusal), 0),"
    " ifnull((SELECT hash FROM audit ORDER BY number DESC LIMIT 1), zeroblob(32)),"
    " max(ifnull((SELECT max(number) FROM request_log), 0),"
    "     ifnull((SELECT max(moved_until) FROM request_stretch), 0)),"
    " orders, revocations, last_revision,"
    " ifnull((SELECT max(revision) FROM revocation), 0), device_runs,"
    " ifnull((SELECT max(number) FROM device_log), 0),"
    " ifnull((SELECT sum(length(items)) / 16 FROM device_log), 0),"
    " ifnull((SELECT time_ms FROM audit ORDER BY number DESC LIMIT 1), 0)"
    " FROM total WHERE number = 1";

static void read_row(sqlite3_stmt *row, struct cm_sqlite_tally *ret_tally)
{
    *ret_tally = (struct cm_sqlite_tally){
        .devices = sqlite3_column_int64(row, 0),
        .certificates = sqlite3_column_int64(row, 1),
        .refusals = sqlite3_column_int64(row, 2),
        .abandoned = sqlite3_column_int64(row, 3),
        .audit_rows = sqlite3_column_int64(row, 4),
        .last_number = sqlite3_column_int64(row, 5),
        .last_time_ms = sqlite3_column_int64(row, 6),
        .last_certificate = sqlite3_column_int64(row, 7),
        .last_abandoned = sqlite3_column_int64(row, 8),
        .last_intent = sqlite3_column_int64(row, 9),
        .last_request_log = sqlite3_column_int64(row, 13),
        .orders = sqlite3_column_int64(row, 14),
        .revocations = sqlite3_column_int64(row, 15),
        .last_revision = sqlite3_column_int64(row, 16),
        .device_runs = sqlite3_column_int64(row, 18),
        .last_device_log = sqlite3_column_int64(row, 19),
        .logged = sqlite3_column_int64(row, 20),
        .audit_time_ms = sqlite3_column_int64(row, 21),
    };
}

/* What can be told without counting: rows that were taken out or put in by another hand. */
static bool is_in_step(sqlite3_stmt *row, const struct cm_sqlite_tally *tally)
{
    return sqlite3_column_int64(row, 10) == tally->audit_rows
           && sqlite3_column_int64(row, 11) == tally->refusals
           && tally->last_certificate <= tally->last_number
           && sqlite3_column_int64(row, 17) <= tally->last_revision;
}

cm_status cm_sqlite_tally_read(sqlite3 *db, struct cm_sqlite_tally *ret_tally, struct cm_error *err)
{
    sqlite3_stmt *row = NULL;
    struct cm_sqlite_tally tally;
    int code = sqlite3_prepare_v2(db, tally_sql, -1, &row, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        cm_status status = cm_sqlite_fail(db, code, "read the totals", err);
        sqlite3_finalize(row);
        return status;
    }
    bool good = code == SQLITE_ROW;
    if (good) {
        read_row(row, &tally);
        good = is_in_step(row, &tally)
               && cm_sqlite_column_exactly(row, 12, tally.audit_hash, CM_HASH_SIZE);
    }
    sqlite3_finalize(row);
    if (!good)
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the store is damaged: its totals and its tables disagree");
    *ret_tally = tally;
    return CM_OK;
}
