/*
 * From format version 2 to version 3: revocations, CRLs, imported certificates, certificates by device.
 * Inside the one transaction of cm_sqlite_schema_upgrade: a store is of one version or of the other.
 */
#include "engine/store/sqlite/internal.h"

static const char alterations[] =
    "ALTER TABLE generation ADD COLUMN crl_shards INTEGER NOT NULL DEFAULT 0"
    " CHECK (crl_shards >= 0);"
    "ALTER TABLE generation ADD COLUMN crl_url TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE total ADD COLUMN orders INTEGER NOT NULL DEFAULT 0"
    " CHECK (orders BETWEEN 0 AND refusals);"
    "ALTER TABLE total ADD COLUMN revocations INTEGER NOT NULL DEFAULT 0"
    " CHECK (revocations >= 0);"
    "ALTER TABLE total ADD COLUMN last_revision INTEGER NOT NULL DEFAULT 0"
    " CHECK (last_revision >= 0);"
    "ALTER TABLE total ADD COLUMN device_runs INTEGER NOT NULL DEFAULT 0"
    " CHECK (device_runs >= 0);";

static const char counting[] = "UPDATE total SET revocations = (SELECT count(*) FROM revocation),"
                               " last_revision = (SELECT count(*) FROM revocation)";

/* Version 2 kept no moment of it: the moment of the promise stands for it. */
static cm_status revoke_abandoned(sqlite3 *db, sqlite3_stmt *abandoned, sqlite3_stmt *insert,
                                  struct cm_error *err)
{
    struct cm_serial serial;
    int64_t number = sqlite3_column_int64(abandoned, 0);
    cm_big_endian_write((uint64_t)number, serial.octets, 8);
    if (!cm_sqlite_column_exactly(abandoned, 1, serial.octets + 8, CM_SERIAL_SIZE - 8))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the store is damaged: an abandoned serial is not whole");
    sqlite3_bind_int64(insert, 1, sqlite3_column_int64(abandoned, 2));
    cm_sqlite_bind_bytes(insert, 2, cm_serial_content(&serial));
    sqlite3_bind_int64(insert, 3, cm_sqlite_max(cm_sqlite_issued_s(number), 1));
    int code = sqlite3_step(insert);
    sqlite3_reset(insert);
    return code == SQLITE_DONE ? CM_OK
                               : cm_sqlite_fail(db, code, "revoke an abandoned serial", err);
}

static cm_status revoke_all_abandoned(sqlite3 *db, struct cm_error *err)
{
    static const char *const sql[] = {
        "SELECT number, serial_tail, generation FROM abandoned ORDER BY number",
        "INSERT INTO revocation(generation, serial, reason, revoked_s, not_after)"
        " VALUES (?1, ?2, 0, ?3, " CM_SQLITE_END_OF_TIME ")",
    };
    sqlite3_stmt *statements[2] = { NULL, NULL };
    int code = SQLITE_DONE;
    cm_status status = cm_sqlite_prepare(db, sql, 2, statements, err);
    while (status == CM_OK && (code = sqlite3_step(statements[0])) == SQLITE_ROW)
        status = revoke_abandoned(db, statements[0], statements[1], err);
    if (status == CM_OK && code != SQLITE_DONE)
        status = cm_sqlite_fail(db, code, "read abandoned serials", err);
    cm_sqlite_finalize(statements, 2);
    return status;
}

/* --------------------------------------------------------- certificates by device -- */

enum { RUN_PAIRS = 1 << 20 }; /* in memory at a time, 16 MiB */

static cm_status put_row(sqlite3 *db, sqlite3_stmt *insert, int64_t run,
                         const struct cm_sqlite_listed *items, size_t count, struct cm_error *err)
{
    uint8_t octets[CM_SQLITE_RUN_ROW * CM_SQLITE_LISTED_SIZE];
    for (size_t i = 0; i < count; i++)
        cm_sqlite_listed_write(octets + i * CM_SQLITE_LISTED_SIZE, &items[i]);
    sqlite3_bind_int64(insert, 1, run);
    sqlite3_bind_int64(insert, 2, items->device);
    sqlite3_bind_int64(insert, 3, items->certificate);
    cm_sqlite_bind_blob(insert, 4, octets, count * CM_SQLITE_LISTED_SIZE);
    int code = sqlite3_step(insert);
    sqlite3_reset(insert);
    return code == SQLITE_DONE ? CM_OK
                               : cm_sqlite_fail(db, code, "write a run of certificates", err);
}

/* The list is empty afterwards. */
static cm_status put_run(sqlite3 *db, sqlite3_stmt *insert, int64_t run,
                         struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    cm_sqlite_list_sort(list);
    for (size_t at = 0; status == CM_OK && at < list->count; at += CM_SQLITE_RUN_ROW) {
        size_t rest = list->count - at;
        status = put_row(db, insert, run, &list->items[at],
                         rest < CM_SQLITE_RUN_ROW ? rest : CM_SQLITE_RUN_ROW, err);
    }
    list->count = 0;
    return status;
}

static cm_status put_runs(sqlite3 *db, sqlite3_stmt *row, sqlite3_stmt *insert, int64_t *ret_runs,
                          struct cm_error *err)
{
    struct cm_sqlite_list list = { .count = 0 };
    int64_t runs = 0;
    cm_status status = CM_OK;
    int code = SQLITE_DONE;
    while (status == CM_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const struct cm_sqlite_listed listed = { .device = sqlite3_column_int64(row, 0),
                                                 .certificate = sqlite3_column_int64(row, 1) };
        status = cm_sqlite_list_add(&list, &listed, err);
        if (status == CM_OK && list.count == RUN_PAIRS)
            status = put_run(db, insert, ++runs, &list, err);
    }
    if (status == CM_OK && code != SQLITE_DONE)
        status = cm_sqlite_fail(db, code, "read certificates", err);
    if (status == CM_OK && list.count > 0)
        status = put_run(db, insert, ++runs, &list, err);
    cm_sqlite_list_drop(&list);
    *ret_runs = runs;
    return status;
}

/*
 * Here, and not by the writer as it goes: it would hold up requests with a log of all certificates, and
 * the first order would read the whole of it.
 */
static cm_status list_certificates(sqlite3 *db, struct cm_error *err)
{
    static const char *const sql[] = { "SELECT device, number FROM certificate ORDER BY number",
                                       "INSERT INTO device_run VALUES (?1, ?2, ?3, ?4)",
                                       "UPDATE total SET device_runs = ?1" };
    sqlite3_stmt *statements[3] = { NULL, NULL, NULL };
    int64_t runs = 0;
    cm_status status = cm_sqlite_prepare(db, sql, 3, statements, err);
    if (status == CM_OK)
        status = put_runs(db, statements[0], statements[1], &runs, err);
    if (status == CM_OK) {
        sqlite3_bind_int64(statements[2], 1, runs);
        int code = sqlite3_step(statements[2]);
        if (code != SQLITE_DONE)
            status = cm_sqlite_fail(db, code, "count runs of certificates", err);
    }
    cm_sqlite_finalize(statements, 3);
    return status;
}

cm_status cm_sqlite_upgrade_to_3(sqlite3 *db, struct cm_error *err)
{
    cm_status status = cm_sqlite_run(db, alterations, err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, cm_sqlite_schema_added, err);
    if (status == CM_OK)
        status = revoke_all_abandoned(db, err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, counting, err);
    if (status == CM_OK)
        status = list_certificates(db, err);
    return status;
}
