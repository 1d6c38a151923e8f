/*
 * The certificates of a device. A row put into an index by device lands anywhere in it and dirties a page
 * of its own; so the newest certificates are in no such index, and are found by reading through the
 * table, whose end they are. total.listed_until says where the list (device_certificate) ends.
 */
#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const struct cm_sqlite_listed *one = a, *other = b;
    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    return (one->certificate > other->certificate) - (one->certificate < other->certificate);
}

static cm_status add(struct cm_sqlite_list *list, const struct cm_sqlite_listed *listed,
                     struct cm_error *err)
{
    if (list->count == list->space) {
        size_t space = list->space ? 2 * list->space : 256;
        struct cm_sqlite_listed *larger = realloc(list->items, space * sizeof *larger);
        if (!larger)
            return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for certificates");
        list->items = larger;
        list->space = space;
    }
    list->items[list->count++] = *listed;
    return CM_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* Rows of device and certificate; those of the given devices are added. */
static cm_status add_rows(struct cm_sqlite_store *store, sqlite3_stmt *row, const int64_t *devices,
                          size_t count, struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    int code = SQLITE_DONE;
    while (status == CM_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const struct cm_sqlite_listed listed = { .device = sqlite3_column_int64(row, 0),
                                                 .certificate = sqlite3_column_int64(row, 1) };
        if (bsearch(&listed.device, devices, count, sizeof *devices, compare_numbers))
            status = add(list, &listed, err);
    }
    if (status == CM_OK && code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "read the certificates of a device", err);
    sqlite3_reset(row);
    return status;
}

cm_status cm_sqlite_list_certificates(struct cm_sqlite_store *store, const int64_t *devices,
                                      size_t count, struct cm_sqlite_list *ret_list,
                                      struct cm_error *err)
{
    sqlite3_stmt *listed = store->statements[CM_SQLITE_LISTED];
    sqlite3_stmt *unlisted = store->statements[CM_SQLITE_UNLISTED];
    struct cm_sqlite_list list = { .count = 0 };
    cm_status status = CM_OK;
    for (size_t i = 0; status == CM_OK && i < count; i++) {
        sqlite3_bind_int64(listed, 1, devices[i]);
        sqlite3_bind_int64(listed, 2, store->tally.listed_until);
        status = add_rows(store, listed, devices, count, &list, err);
    }
    sqlite3_bind_int64(unlisted, 1, store->tally.listed_until);
    if (status == CM_OK && count > 0)
        status = add_rows(store, unlisted, devices, count, &list, err);
    if (status != CM_OK) {
        free(list.items);
        return status;
    }
    if (list.count > 1)
        qsort(list.items, list.count, sizeof *list.items, compare);
    *ret_list = list;
    return CM_OK;
}
