/* What everything that lists does: one statement, row after row. */
#ifndef CM_STORE_SQLITE_WALKING_H
#define CM_STORE_SQLITE_WALKING_H

#include "engine/store/sqlite/internal.h"

/*
 * Walks are rare and long: their statements are made when they are wanted. Each statement is a
 * snapshot by itself, inside begin and end that of the reader.
 */
struct cm_sqlite_walk {
    sqlite3 *db;
    sqlite3_stmt *row;
    const char *sql;
};

static inline cm_status cm_sqlite_open_walk(struct cm_store_reader *base, const char *sql,
                                            struct cm_sqlite_walk *ret_walk, struct cm_error *err)
{
    *ret_walk = (struct cm_sqlite_walk){ .db = ((struct cm_sqlite_reader *)base)->db, .sql = sql };
    int code = sqlite3_prepare_v2(ret_walk->db, sql, -1, &ret_walk->row, NULL);
    return code == SQLITE_OK ? CM_OK : cm_sqlite_fail(ret_walk->db, code, sql, err);
}

/* True when there is a row; else *status says whether that was the end or an error. */
static inline bool cm_sqlite_next_row(struct cm_sqlite_walk *walk, cm_status *status,
                                      struct cm_error *err)
{
    int code = sqlite3_step(walk->row);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        *status = cm_sqlite_fail(walk->db, code, walk->sql, err);
    return false;
}

static inline cm_status cm_sqlite_close_walk(struct cm_sqlite_walk *walk, cm_status status)
{
    sqlite3_finalize(walk->row);
    return status;
}

static inline cm_status cm_sqlite_fail_row(const char *what, struct cm_error *err)
{
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the store is damaged: %s", what);
}

#endif
