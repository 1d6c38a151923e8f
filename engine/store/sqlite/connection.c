#include "engine/store/sqlite/internal.h"

/* Statistics of SQLite's heap cost a lock at every allocation. Refused where someone came first. */
static void configure_once(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

cm_status cm_sqlite_connect(const char *path, bool read_only, sqlite3 **ret_db,
                            struct cm_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    sqlite3 *db = NULL;
    pthread_once(&once, configure_once);
    int code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (!db)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SQLITE, code, "open %s", path);
    if (code != SQLITE_OK) {
        cm_status status = cm_sqlite_fail(db, code, path, err);
        sqlite3_close(db);
        return status;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, CM_SQLITE_BUSY_TIMEOUT_MS);
    *ret_db = db;
    return CM_OK;
}

static cm_status status_of(int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_ROWID:
        return CM_EXISTS;
    default:
        break;
    }
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return CM_INVALID;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CM_BUSY;
    case SQLITE_NOMEM:
        return CM_NO_MEMORY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CM_CORRUPT;
    default:
        return CM_IO;
    }
}

cm_status cm_sqlite_fail(sqlite3 *db, int code, const char *what, struct cm_error *err)
{
    int extended = sqlite3_extended_errcode(db);
    if ((extended & 0xff) != (code & 0xff))
        extended = code;
    return CM_FAIL(err, status_of(extended), CM_ORIGIN_SQLITE, extended, "store: %s: %s", what,
                   sqlite3_errmsg(db));
}

bool cm_sqlite_is_fatal(int64_t code)
{
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC
           || (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

cm_status cm_sqlite_run(sqlite3 *db, const char *sql, struct cm_error *err)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? CM_OK : cm_sqlite_fail(db, code, sql, err);
}

cm_status cm_sqlite_prepare(sqlite3 *db, const char *const *sql, unsigned count,
                            sqlite3_stmt **ret_statements, struct cm_error *err)
{
    for (unsigned i = 0; i < count; i++) {
        int code =
            sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_statements[i], NULL);
        if (code != SQLITE_OK)
            return cm_sqlite_fail(db, code, sql[i], err);
    }
    return CM_OK;
}

void cm_sqlite_finalize(sqlite3_stmt **statements, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

cm_status cm_sqlite_get_integer(sqlite3 *db, const char *sql, int64_t *ret_value,
                                struct cm_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(statement, 0);
    cm_status status = CM_OK;
    if (code == SQLITE_DONE)
        status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "store: %s: no answer", sql);
    else if (code != SQLITE_ROW)
        status = cm_sqlite_fail(db, code, sql, err);
    sqlite3_finalize(statement);
    return status;
}

/* ------------------------------------------------------ the writer's statements -- */

cm_status cm_sqlite_step(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                         const char *what, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[change];
    int code = sqlite3_step(statement);
    cm_status status = code == SQLITE_DONE ? CM_OK : cm_sqlite_fail(store->db, code, what, err);
    sqlite3_reset(statement);
    return status;
}

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

/* ------------------------------------------------------------------- values -- */

void cm_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    sqlite3_bind_blob64(statement, index, size > 0 ? data : "", size, SQLITE_STATIC);
}

void cm_sqlite_bind_bytes(sqlite3_stmt *statement, int index, struct cm_bytes bytes)
{
    cm_sqlite_bind_blob(statement, index, bytes.data, bytes.size);
}

void cm_sqlite_bind_text(sqlite3_stmt *statement, int index, struct cm_bytes text)
{
    const char *data = text.size > 0 ? (const char *)text.data : "";
    sqlite3_bind_text64(statement, index, data, text.size, SQLITE_STATIC, SQLITE_UTF8);
}

struct cm_bytes cm_sqlite_column_bytes(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_blob(statement, index);
    return cm_bytes(data, (size_t)sqlite3_column_bytes(statement, index));
}

struct cm_bytes cm_sqlite_column_text(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_text(statement, index);
    return cm_bytes(data, (size_t)sqlite3_column_bytes(statement, index));
}

bool cm_sqlite_column_exactly(sqlite3_stmt *statement, int index, void *ret_octets, size_t size)
{
    struct cm_bytes bytes = cm_sqlite_column_bytes(statement, index);
    if (bytes.size != size || !bytes.data)
        return false;
    memcpy(ret_octets, bytes.data, size);
    return true;
}
