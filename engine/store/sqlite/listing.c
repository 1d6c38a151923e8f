/*
 * The certificates of a device. A row put into an index by device lands anywhere in it, dirties a page of
 * its own, and that page is what it costs. So the newest certificates are in no such index: they are the
 * end of the table, behind the number total.listed_until, and whoever looks reads through that end. When
 * it has grown long, the writer moves it into device_certificate, sorted, a stretch of devices in each
 * transaction; the mark follows when the last one has moved.
 *
 * So that an order does not read through the whole end each time, its sorted rows stay in memory:
 *
 *     ...... listed_until ...... moving_until ...... recent_until ...... newest
 *     device_certificate   moving              recent              read from the table
 *
 * Certificates are not recorded in the order of their numbers. One whose number is behind any of these
 * marks is put into device_certificate at once; so a certificate may be found twice, and none is missed.
 */
#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

enum {
    UNLISTED_MIN = 32768,
    UNLISTED_MAX = 1048576,
    LISTED_SHARE = 4, /* the end may be this part of all: then a page takes many */
    NEWEST = 4096,    /* rows that stay: beside them others may still come, with lower numbers */
    READ_MAX = 8192,  /* rows that an order reads from the table */
    MOVE_ROWS = 4096  /* in one transaction */
};

/* --------------------------------------------------------------------- lists -- */

static int compare(const void *a, const void *b)
{
    const struct cm_sqlite_listed *one = a, *other = b;
    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    return (one->certificate > other->certificate) - (one->certificate < other->certificate);
}

static cm_status reserve(struct cm_sqlite_list *list, size_t count, struct cm_error *err)
{
    size_t space = list->space ? list->space : 256;
    while (space < list->count + count)
        space *= 2;
    if (space == list->space)
        return CM_OK;
    struct cm_sqlite_listed *larger = realloc(list->items, space * sizeof *larger);
    if (!larger)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for certificates");
    list->items = larger;
    list->space = space;
    return CM_OK;
}

static cm_status add(struct cm_sqlite_list *list, const struct cm_sqlite_listed *listed,
                     struct cm_error *err)
{
    cm_status status = reserve(list, 1, err);
    if (status == CM_OK)
        list->items[list->count++] = *listed;
    return status;
}

static void sort(struct cm_sqlite_list *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, compare);
}

static void drop(struct cm_sqlite_list *list)
{
    free(list->items);
    *list = (struct cm_sqlite_list){ .count = 0 };
}

/* What stands twice, once. */
static void unify(struct cm_sqlite_list *list)
{
    size_t kept = 0;
    sort(list);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || compare(&list->items[i], &list->items[kept - 1]) != 0)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

/* Both sorted; the room is made first, then filled from the end. */
static cm_status merge(struct cm_sqlite_list *list, const struct cm_sqlite_list *added,
                       struct cm_error *err)
{
    cm_status status = reserve(list, added->count, err);
    if (status != CM_OK)
        return status;
    size_t from = list->count, rest = added->count;
    list->count += added->count;
    for (size_t to = list->count; rest > 0; to--)
        if (from > 0 && compare(&list->items[from - 1], &added->items[rest - 1]) > 0)
            list->items[to - 1] = list->items[--from];
        else
            list->items[to - 1] = added->items[--rest];
    return CM_OK;
}

/* Those of the device from a sorted list. */
static cm_status add_of_device(struct cm_sqlite_list *list, const struct cm_sqlite_list *from,
                               int64_t device, struct cm_error *err)
{
    size_t first = 0, end = from->count;
    cm_status status = CM_OK;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (from->items[middle].device < device)
            first = middle + 1;
        else
            end = middle;
    }
    for (; status == CM_OK && first < from->count && from->items[first].device == device; first++)
        status = add(list, &from->items[first], err);
    return status;
}

/* ------------------------------------------------------------------- reading -- */

static int compare_numbers(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* Rows of device and certificate: those of the given devices (sorted; NULL: of all). */
static cm_status add_rows(struct cm_sqlite_store *store, sqlite3_stmt *row, const int64_t *devices,
                          size_t count, struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    int code = SQLITE_DONE;
    while (status == CM_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const struct cm_sqlite_listed listed = { .device = sqlite3_column_int64(row, 0),
                                                 .certificate = sqlite3_column_int64(row, 1) };
        if (!devices || bsearch(&listed.device, devices, count, sizeof *devices, compare_numbers))
            status = add(list, &listed, err);
    }
    if (status == CM_OK && code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "read the certificates of a device", err);
    sqlite3_reset(row);
    return status;
}

/* Certificates behind it are neither in device_certificate nor in memory. */
static int64_t covered_until(const struct cm_sqlite_store *store)
{
    const struct cm_sqlite_listing *listing = &store->listing;
    return cm_sqlite_max(store->tally.listed_until,
                         cm_sqlite_max(listing->moving_until, listing->recent_until));
}

static cm_status read_end(struct cm_sqlite_store *store, int64_t until, const int64_t *devices,
                          size_t count, struct cm_sqlite_list *list, struct cm_error *err)
{
    sqlite3_stmt *row = store->statements[CM_SQLITE_UNLISTED];
    sqlite3_bind_int64(row, 1, covered_until(store));
    sqlite3_bind_int64(row, 2, until);
    return add_rows(store, row, devices, count, list, err);
}

static cm_status cover_until(struct cm_sqlite_store *store, int64_t until, struct cm_error *err)
{
    struct cm_sqlite_list added = { .count = 0 };
    cm_status status = read_end(store, until, NULL, 0, &added, err);
    sort(&added);
    if (status == CM_OK)
        status = merge(&store->listing.recent, &added, err);
    drop(&added);
    if (status == CM_OK)
        store->listing.recent_until = until;
    return status;
}

/* The end comes into memory, as far as it is not there, the newest left out. */
static cm_status cover(struct cm_sqlite_store *store, struct cm_error *err)
{
    int64_t values[2];
    bool found = false;
    sqlite3_bind_int64(store->statements[CM_SQLITE_NEWEST], 1, NEWEST);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_NEWEST, &found, values, err);
    if (status == CM_OK && found && values[0] > covered_until(store))
        status = cover_until(store, values[0], err);
    return status;
}

static bool is_end_long(const struct cm_sqlite_store *store)
{
    return store->tally.unlisted > (int64_t)store->listing.recent.count + READ_MAX;
}

static cm_status add_device(struct cm_sqlite_store *store, int64_t device,
                            struct cm_sqlite_list *list, struct cm_error *err)
{
    sqlite3_stmt *row = store->statements[CM_SQLITE_LISTED];
    sqlite3_bind_int64(row, 1, device);
    cm_status status = add_rows(store, row, NULL, 0, list, err);
    if (status == CM_OK)
        status = add_of_device(list, &store->listing.moving, device, err);
    if (status == CM_OK)
        status = add_of_device(list, &store->listing.recent, device, err);
    return status;
}

cm_status cm_sqlite_list_certificates(struct cm_sqlite_store *store, const int64_t *devices,
                                      size_t count, struct cm_sqlite_list *ret_list,
                                      struct cm_error *err)
{
    struct cm_sqlite_list list = { .count = 0 };
    cm_status status = is_end_long(store) ? cover(store, err) : CM_OK;
    for (size_t i = 0; status == CM_OK && i < count; i++)
        status = add_device(store, devices[i], &list, err);
    if (status == CM_OK && count > 0)
        status = read_end(store, INT64_MAX, devices, count, &list, err);
    if (status != CM_OK) {
        drop(&list);
        return status;
    }
    unify(&list);
    *ret_list = list;
    return CM_OK;
}

/* ------------------------------------------------------------------- writing -- */

static cm_status put(struct cm_sqlite_store *store, const struct cm_sqlite_listed *listed,
                     struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_LIST];
    sqlite3_bind_int64(statement, 1, listed->device);
    sqlite3_bind_int64(statement, 2, listed->certificate);
    return cm_sqlite_step(store, CM_SQLITE_LIST, "list a certificate", err);
}

cm_status cm_sqlite_list_certificate(struct cm_sqlite_store *store,
                                     const struct cm_sqlite_listed *listed, struct cm_error *err)
{
    if (listed->certificate <= covered_until(store))
        return put(store, listed, err);
    store->tally.unlisted++;
    return CM_OK;
}

void cm_sqlite_listing_undo(struct cm_sqlite_store *store)
{
    drop(&store->listing.recent);
    store->listing.recent_until = 0;
}

bool cm_sqlite_listing_is_due(const struct cm_sqlite_store *store)
{
    int64_t most = store->tally.certificates / LISTED_SHARE;
    most = most < UNLISTED_MIN ? UNLISTED_MIN : most > UNLISTED_MAX ? UNLISTED_MAX : most;
    return store->listing.moving_until != 0 || store->tally.unlisted >= most;
}

cm_status cm_sqlite_listing_begin(struct cm_sqlite_store *store, struct cm_error *err)
{
    struct cm_sqlite_listing *listing = &store->listing;
    cm_status status = listing->moving_until == 0 ? cover(store, err) : CM_OK;
    if (status != CM_OK || listing->moving_until != 0)
        return status;
    *listing = (struct cm_sqlite_listing){ .moving = listing->recent,
                                           .moving_until = listing->recent_until };
    store->tally.unlisted =
        cm_sqlite_max(store->tally.unlisted - (int64_t)listing->moving.count, 0);
    return CM_OK;
}

cm_status cm_sqlite_listing_move(struct cm_sqlite_store *store, struct cm_error *err)
{
    const struct cm_sqlite_listing *listing = &store->listing;
    cm_status status = CM_OK;
    size_t end = listing->moved + MOVE_ROWS;
    for (size_t i = listing->moved; status == CM_OK && i < end && i < listing->moving.count; i++)
        status = put(store, &listing->moving.items[i], err);
    if (status != CM_OK || end < listing->moving.count)
        return status;
    store->tally.listed_until = listing->moving_until;
    return cm_sqlite_change_total(store, err);
}

void cm_sqlite_listing_moved(struct cm_sqlite_store *store)
{
    struct cm_sqlite_listing *listing = &store->listing;
    listing->moved += MOVE_ROWS;
    if (listing->moved < listing->moving.count)
        return;
    drop(&listing->moving);
    listing->moved = 0;
    listing->moving_until = 0;
}

void cm_sqlite_listing_done(struct cm_sqlite_store *store)
{
    drop(&store->listing.moving);
    drop(&store->listing.recent);
}
