/*
 * Which certificates and abandoned serials an audit row is about. Each names its row; the way back is an
 * index for abandoned serials, which are few, and for certificates ranges of their numbers: an operation's
 * serials were drawn together, so one or two ranges hold them all (format version 5).
 */
#include "engine/store/sqlite/walking.h"

#include <stdlib.h>

/* ---------------------------------------------------------------------- ranges -- */

static int compare_numbers(const void *a, const void *b)
{
    cm_certificate_number one = *(const cm_certificate_number *)a;
    cm_certificate_number other = *(const cm_certificate_number *)b;
    return (one > other) - (one < other);
}

static cm_status put_range(struct cm_sqlite_store *store, cm_certificate_number first,
                           cm_certificate_number last, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_AUDIT_RANGE];
    sqlite3_bind_int64(statement, 1, cm_sqlite_next_audit(store));
    sqlite3_bind_int64(statement, 2, first);
    sqlite3_bind_int64(statement, 3, last);
    return cm_sqlite_step(store, CM_SQLITE_AUDIT_RANGE, "record which certificates a row has", err);
}

/* They are sorted. */
static cm_status put_ranges(struct cm_sqlite_store *store, const cm_certificate_number *numbers,
                            uint32_t count, struct cm_error *err)
{
    cm_status status = CM_OK;
    uint32_t first = 0;
    for (uint32_t i = 1; status == CM_OK && i <= count; i++)
        if (i == count || numbers[i] - numbers[i - 1] > cm_sqlite_range_gap) {
            status = put_range(store, numbers[first], numbers[i - 1], err);
            first = i;
        }
    return status;
}

cm_status cm_sqlite_record_ranges(struct cm_sqlite_store *store,
                                  const struct cm_certificate_row *rows, uint32_t count,
                                  struct cm_error *err)
{
    if (count == 0)
        return CM_OK;
    cm_certificate_number *numbers = malloc(count * sizeof *numbers);
    if (!numbers)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an audit row");
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = cm_serial_number(&rows[i].serial);
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    cm_status status = put_ranges(store, numbers, count, err);
    free(numbers);
    return status;
}

/* --------------------------------------------------------------------- walking -- */

/*
 * Range by range, and abandoned serials by their index; merged, so that no more than the entries of one row
 * have to be sorted. NOT INDEXED: by number, and no index is made for the question.
 */
static const char audited_sql[] =
    "SELECT audit_range.audit AS row, 0 AS given_up, number, serial_tail, generation, der"
    " FROM audit_range CROSS JOIN certificate NOT INDEXED"
    "  ON number BETWEEN first AND last AND certificate.audit = audit_range.audit"
    " LEFT JOIN certificate_der USING (number)"
    " WHERE audit_range.audit BETWEEN ?1 AND ?2"
    " UNION ALL SELECT audit, 1, number, serial_tail, generation, NULL FROM abandoned"
    " WHERE audit BETWEEN ?1 AND ?2 AND audit > 0"
    " ORDER BY row, given_up, number";

static const char strays_sql[] =
    "SELECT audit, 0, number, serial_tail, generation, NULL FROM certificate WHERE audit > 0"
    " AND NOT EXISTS (SELECT 1 FROM audit_range WHERE audit_range.audit = certificate.audit"
    "  AND number BETWEEN first AND last)";

static bool read_audited(sqlite3_stmt *row, struct cm_audited *ret_audited)
{
    *ret_audited = (struct cm_audited){ .audit = sqlite3_column_int64(row, 0),
                                        .is_abandoned = sqlite3_column_int(row, 1) != 0,
                                        .generation_number = sqlite3_column_int64(row, 4),
                                        .der = cm_sqlite_column_bytes(row, 5) };
    cm_big_endian_write((uint64_t)sqlite3_column_int64(row, 2), ret_audited->serial, 8);
    return cm_sqlite_column_exactly(row, 3, ret_audited->serial + 8, CM_SERIAL_SIZE - 8);
}

/* The walk was opened, with this status, and bound; it is closed. */
static cm_status visit_all(struct cm_sqlite_walk *walk, cm_status status, cm_audited_walk_fn *visit,
                           void *arg, struct cm_error *err)
{
    struct cm_audited audited;
    while (status == CM_OK && cm_sqlite_next_row(walk, &status, err)) {
        if (!read_audited(walk->row, &audited))
            status = cm_sqlite_fail_row("a serial is not whole", err);
        else if (!visit(&audited, arg))
            break;
    }
    return cm_sqlite_close_walk(walk, status);
}

cm_status cm_sqlite_walk_audited(struct cm_store_reader *base, int64_t first, int64_t last,
                                 cm_audited_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    cm_status status = cm_sqlite_open_walk(base, audited_sql, &walk, err);
    sqlite3_bind_int64(walk.row, 1, first);
    sqlite3_bind_int64(walk.row, 2, last);
    return visit_all(&walk, status, visit, arg, err);
}

cm_status cm_sqlite_walk_strays(struct cm_store_reader *base, cm_audited_walk_fn *visit, void *arg,
                                struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    cm_status status = cm_sqlite_open_walk(base, strays_sql, &walk, err);
    return visit_all(&walk, status, visit, arg, err);
}

cm_status cm_sqlite_count_audited(struct cm_store_reader *base,
                                  struct cm_audited_counts *ret_counts, struct cm_error *err)
{
    static const char sql[] = "SELECT count(*), count(*) FILTER (WHERE audit = 0),"
                              " (SELECT count(*) FROM certificate_der),"
                              " (SELECT count(*) FROM abandoned),"
                              " (SELECT count(*) FROM abandoned WHERE audit = 0) FROM certificate";
    struct cm_sqlite_walk walk;
    cm_status status = cm_sqlite_open_walk(base, sql, &walk, err);
    if (status == CM_OK && cm_sqlite_next_row(&walk, &status, err))
        *ret_counts = (struct cm_audited_counts){
            .certificates = sqlite3_column_int64(walk.row, 0),
            .certificates_unaudited = sqlite3_column_int64(walk.row, 1),
            .contents = sqlite3_column_int64(walk.row, 2),
            .abandoned = sqlite3_column_int64(walk.row, 3),
            .abandoned_unaudited = sqlite3_column_int64(walk.row, 4),
        };
    return cm_sqlite_close_walk(&walk, status);
}
