/*
 * The certificates of a device, without an index by device: a row put into one lands anywhere in it,
 * dirties a page of its own, and that page is what the row costs. Instead
 *
 *     device_log   one row for each operation that recorded certificates, in the order of commits
 *     device_run   when the log has grown long: all of it, sorted by device, in rows of neighbours
 *
 * are only ever appended to. Runs are numbered from 1 to total.device_runs; whoever looks for a device
 * looks into each run, and through the log. Both hold pairs of numbers, device and certificate.
 *
 * What is shared by the writer (listing.c) and the readers (walk.c) is here. A thread a connection.
 */
#ifndef CM_STORE_SQLITE_LISTING_H
#define CM_STORE_SQLITE_LISTING_H

#include <sqlite3.h>

#include "engine/store/store.h"

enum {
    CM_SQLITE_LISTED_SIZE = 16, /* device and certificate, big-endian */
    CM_SQLITE_RUN_ROW = 112     /* pairs in a row of a run: a quarter of a page */
};

/* A certificate of a device, and a list of some on the heap. */
struct cm_sqlite_listed {
    int64_t device;
    cm_certificate_number certificate;
};

struct cm_sqlite_list {
    struct cm_sqlite_listed *items;
    size_t count, space;
};

CM_MUST_USE cm_status cm_sqlite_list_add(struct cm_sqlite_list *list,
                                         const struct cm_sqlite_listed *listed,
                                         struct cm_error *err);
/* By device, then certificate. */
int cm_sqlite_listed_compare(const struct cm_sqlite_listed *one,
                             const struct cm_sqlite_listed *other);
void cm_sqlite_list_sort(struct cm_sqlite_list *list);
void cm_sqlite_list_drop(struct cm_sqlite_list *list);

void cm_sqlite_listed_write(uint8_t *octets, const struct cm_sqlite_listed *listed);

/* Rows of a run that may hold ?2: those that begin with it, and the one before them. */
#define CM_SQLITE_RUN_SQL                                                                          \
    "SELECT items FROM device_run WHERE run = ?1 AND device = ?2"                                  \
    " UNION ALL SELECT items FROM (SELECT items FROM device_run WHERE run = ?1 AND device < ?2"    \
    " ORDER BY device DESC, certificate DESC LIMIT 1)"

/* The log behind a row of it. */
#define CM_SQLITE_LOG_SQL "SELECT number, items FROM device_log WHERE number > ?1 ORDER BY number"

/* Adds what one run has of the device. The statement is of CM_SQLITE_RUN_SQL. */
CM_MUST_USE cm_status cm_sqlite_find_in_run(sqlite3 *db, sqlite3_stmt *statement, int64_t run,
                                            int64_t device, struct cm_sqlite_list *list,
                                            struct cm_error *err);

/* The same for the runs 1 to runs. */
CM_MUST_USE cm_status cm_sqlite_find_in_runs(sqlite3 *db, sqlite3_stmt *statement, int64_t runs,
                                             int64_t device, struct cm_sqlite_list *list,
                                             struct cm_error *err);

/*
 * Adds what the log has of these devices (sorted; NULL: of all) behind the row *until, and moves *until to
 * the last row that was read: the end, or where the list has got most pairs (0: no bound).
 * The statement is of CM_SQLITE_LOG_SQL.
 */
CM_MUST_USE cm_status cm_sqlite_find_in_log(sqlite3 *db, sqlite3_stmt *statement,
                                            const int64_t *devices, size_t count, size_t most,
                                            int64_t *until, struct cm_sqlite_list *list,
                                            struct cm_error *err);

#endif
