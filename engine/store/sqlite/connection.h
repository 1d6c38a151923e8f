/*
 * A connection to the file: its settings, errors and bindings, the tables that must be there, and the lock that
 * makes one process the writer. connection.c, schema.c, schema_upgrade.c, lock.c. Private to engine/store/sqlite.
 *
 * Thread: a connection belongs to one thread at a time. SQLite is used without its mutexes.
 */
#ifndef CM_STORE_SQLITE_CONNECTION_H
#define CM_STORE_SQLITE_CONNECTION_H

#include <sqlite3.h>

#include "engine/base/bytes.h"
#include "engine/base/status.h"

enum { CM_SQLITE_BUSY_TIMEOUT_MS = 10000 };

/* Opens without creating; sets what both faces need. Fails with: NOT_FOUND, CORRUPT, IO. */
CM_MUST_USE cm_status cm_sqlite_connect(const char *path, bool read_only, sqlite3 **ret_db,
                                        struct cm_error *err);

/* Maps the connection's last error to a status, with what was being done and SQLite's words. */
cm_status cm_sqlite_fail(sqlite3 *db, int code, const char *what, struct cm_error *err);

/* Errors after which nothing may be believed: the state of the disk is unknown, or damaged. */
bool cm_sqlite_is_fatal(int64_t code);

CM_MUST_USE cm_status cm_sqlite_run(sqlite3 *db, const char *sql, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_prepare(sqlite3 *db, const char *const *sql, unsigned count,
                                        sqlite3_stmt **ret_statements, struct cm_error *err);
void cm_sqlite_finalize(sqlite3_stmt **statements, unsigned count);

/* The first column of the first row. */
CM_MUST_USE cm_status cm_sqlite_get_integer(sqlite3 *db, const char *sql, int64_t *ret_value,
                                            struct cm_error *err);

/* Bindings refer to the caller's memory, which outlives the step. An empty span is no NULL. */
void cm_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size);
void cm_sqlite_bind_bytes(sqlite3_stmt *statement, int index, struct cm_bytes bytes);
void cm_sqlite_bind_text(sqlite3_stmt *statement, int index, struct cm_bytes text);

/* Spans over the statement's row: valid until its next step or reset. */
struct cm_bytes cm_sqlite_column_bytes(sqlite3_stmt *statement, int index);
struct cm_bytes cm_sqlite_column_text(sqlite3_stmt *statement, int index);

/* Copies a column of exactly size octets; false when it has another size. */
bool cm_sqlite_column_exactly(sqlite3_stmt *statement, int index, void *ret_octets, size_t size);

/* ------------------------------------------------------------------- schema -- */

CM_MUST_USE cm_status cm_sqlite_schema_create(sqlite3 *db, struct cm_error *err);

/* In one transaction, where the store has a version that can be; else nothing. Fails with: as check. */
CM_MUST_USE cm_status cm_sqlite_schema_upgrade(sqlite3 *db, const char *path, struct cm_error *err);

enum { CM_SQLITE_OLDEST_VERSION = 2 };      /* the first version that can be brought up to date */
extern const char cm_sqlite_schema_added[]; /* by version 3 */

/* Inside a transaction: tables of the version before become those of this one. */
CM_MUST_USE cm_status cm_sqlite_upgrade_to_3(sqlite3 *db, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_upgrade_to_4(sqlite3 *db, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_upgrade_to_5(sqlite3 *db, struct cm_error *err);

/* Fails with: MISMATCH (another version, or no store at all), CORRUPT, IO. */
CM_MUST_USE cm_status cm_sqlite_schema_check(sqlite3 *db, const char *path, struct cm_error *err);

/* --------------------------------------------------------------------- lock -- */

struct cm_sqlite_lock {
    int fd;           /* -1: none */
    bool was_unclean; /* the writer before us did not close the store */
};

/* Fails with: BUSY (text names the pid), IO. */
CM_MUST_USE cm_status cm_sqlite_lock_take(const char *path, struct cm_sqlite_lock *ret_lock,
                                          struct cm_error *err);
/* A clean stop leaves an empty lock file behind. */
void cm_sqlite_lock_release(struct cm_sqlite_lock *lock);

#endif
