/*
 * What format version 5 has brought: the certificates of an audit row are found by ranges of their
 * numbers, a row or two for each operation, in place of an index entry for each certificate. A new store
 * goes through this, too.
 */
#include "engine/store/sqlite/internal.h"

/* Between first and last every certificate that names the row is its own; others may lie there, too. */
static const char ranges[] = "CREATE TABLE audit_range ("
                             " audit INTEGER NOT NULL CHECK (audit > 0) REFERENCES audit,"
                             " first INTEGER NOT NULL CHECK (first > 0) REFERENCES certificate,"
                             " last INTEGER NOT NULL CHECK (last >= first) REFERENCES certificate,"
                             " PRIMARY KEY (audit, first)"
                             ") STRICT, WITHOUT ROWID;";

/* Where each range begins, in the order of the index; then where it ends: nothing has to be sorted. */
static const char filling[] =
    "INSERT INTO audit_range SELECT audit, number, number FROM"
    " (SELECT audit, number, lag(number) OVER (PARTITION BY audit ORDER BY number) AS before"
    "  FROM certificate WHERE audit > 0)"
    " WHERE before IS NULL OR number - before > " CM_SQLITE_RANGE_GAP ";"
    "UPDATE audit_range AS this SET last ="
    " (SELECT max(number) FROM certificate WHERE audit = this.audit AND audit > 0"
    "  AND number < ifnull((SELECT min(first) FROM audit_range AS next"
    "   WHERE next.audit = this.audit AND next.first > this.first), 9223372036854775807));"
    "DROP INDEX certificate_by_audit;";

cm_status cm_sqlite_upgrade_to_5(sqlite3 *db, struct cm_error *err)
{
    cm_status status = cm_sqlite_run(db, ranges, err);
    return status == CM_OK ? cm_sqlite_run(db, filling, err) : status;
}
