/*
 * What format version 4 has brought: generations that take each other's place, and their cross
 * certificates; the audit row of each certificate and abandoned serial, and checkpoints; campaigns; plans and approvals. A new store
 * goes through this, too.
 */
#include "engine/store/sqlite/internal.h"

static const char generations[] =
    "ALTER TABLE generation ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0 CHECK (replaces >= 0);"
    "ALTER TABLE generation ADD COLUMN active_ms INTEGER NOT NULL DEFAULT 0 CHECK (active_ms >= 0);"
    "ALTER TABLE generation ADD COLUMN stopped_ms INTEGER NOT NULL DEFAULT 0"
    " CHECK (stopped_ms >= 0);"
    "ALTER TABLE generation ADD COLUMN key_fate TEXT NOT NULL DEFAULT 'kept'"
    " CHECK (key_fate IN ('kept', 'archived', 'destroyed'));"
    "UPDATE generation SET active_ms = created_ms WHERE state <> 'pending';"
    "CREATE TABLE cross_certificate ("
    " subject INTEGER NOT NULL CHECK (subject > 0) REFERENCES generation,"
    " issuer INTEGER NOT NULL CHECK (issuer > 0 AND issuer <> subject) REFERENCES generation,"
    " certificate BLOB NOT NULL CHECK (length(certificate) > 0),"
    " PRIMARY KEY (subject, issuer)"
    ") STRICT, WITHOUT ROWID;";

/* What is older names no row, and is in no index. */
static const char audit[] =
    "ALTER TABLE certificate ADD COLUMN audit INTEGER NOT NULL DEFAULT 0 CHECK (audit >= 0);"
    "ALTER TABLE abandoned ADD COLUMN audit INTEGER NOT NULL DEFAULT 0 CHECK (audit >= 0);"
    "CREATE INDEX certificate_by_audit ON certificate(audit) WHERE audit > 0;"
    "CREATE INDEX abandoned_by_audit ON abandoned(audit) WHERE audit > 0;"
    "CREATE TABLE checkpoint ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " audit INTEGER NOT NULL UNIQUE CHECK (audit > 0) REFERENCES audit,"
    " hash BLOB NOT NULL CHECK (length(hash) = 32),"
    " time_ms INTEGER NOT NULL,"
    " previous BLOB NOT NULL CHECK (length(previous) = 32),"
    " spki BLOB NOT NULL CHECK (length(spki) > 0),"
    " sigalg TEXT NOT NULL,"
    " signature BLOB NOT NULL CHECK (length(signature) > 0)"
    ") STRICT;";

/* device_groups: names, a NUL behind each. */
static const char campaigns[] =
    "CREATE TABLE campaign ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " name TEXT NOT NULL UNIQUE CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 64),"
    " actor TEXT NOT NULL,"
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation,"
    " device_groups BLOB NOT NULL,"
    " window_s INTEGER NOT NULL CHECK (window_s > 0),"
    " rate_per_s INTEGER NOT NULL CHECK (rate_per_s > 0),"
    " expected INTEGER NOT NULL CHECK (expected >= 0),"
    " state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'done', 'cancelled')),"
    " created_ms INTEGER NOT NULL CHECK (created_ms > 0),"
    " ended_ms INTEGER NOT NULL CHECK (ended_ms >= 0),"
    " until INTEGER NOT NULL CHECK (until > 0),"
    " cursor INTEGER NOT NULL CHECK (cursor >= 0),"
    " noticed INTEGER NOT NULL CHECK (noticed >= 0),"
    " renewed INTEGER NOT NULL CHECK (renewed >= 0)"
    ") STRICT;";

static const char plans[] =
    "CREATE TABLE plan ("
    " number INTEGER PRIMARY KEY,"
    " id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),"
    " body TEXT NOT NULL,"
    " digest BLOB NOT NULL CHECK (length(digest) = 32),"
    " state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'run', 'cancelled')),"
    " prepared_ms INTEGER NOT NULL,"
    " expires_s INTEGER NOT NULL,"
    " settled_ms INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE approval ("
    " plan INTEGER NOT NULL REFERENCES plan,"
    " purpose TEXT NOT NULL CHECK (purpose IN ('run', 'cancel')),"
    " operator TEXT NOT NULL,"
    " key BLOB NOT NULL,"
    " signature BLOB NOT NULL,"
    " time_ms INTEGER NOT NULL,"
    " PRIMARY KEY (plan, purpose, operator)"
    ") STRICT, WITHOUT ROWID;";

cm_status cm_sqlite_upgrade_to_4(sqlite3 *db, struct cm_error *err)
{
    static const char *const parts[] = { generations, audit, campaigns, plans };
    cm_status status = CM_OK;
    for (size_t i = 0; status == CM_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = cm_sqlite_run(db, parts[i], err);
    return status;
}
