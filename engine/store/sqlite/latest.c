/*
 * What a renewal asks of the store: the newest certificates of devices, and what one is worth.
 *
 * The log of certificates is not sorted by device; it is read through once for all devices of a call. Then
 * come the runs, the last one first, for those that want more, so that a device that was renewed lately costs
 * no look into the old ones.
 */
#include "engine/store/sqlite/internal.h"

#include <assert.h>
#include <stdlib.h>

static int compare_numbers(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* The newest of the device's from a sorted list, as many as are still wanted. */
static void take_newest(struct cm_latest *latest, const struct cm_sqlite_list *list)
{
    size_t first = 0, end = list->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (list->items[middle].device <= latest->device_number)
            first = middle + 1;
        else
            end = middle;
    }
    while (first > 0 && list->items[first - 1].device == latest->device_number
           && latest->numbers_count < latest->wanted_count)
        latest->numbers[latest->numbers_count++] = list->items[--first].certificate;
}

static cm_status find_in_log(struct cm_sqlite_reader *reader, struct cm_latest *latest,
                             uint32_t count, struct cm_error *err)
{
    struct cm_sqlite_list list = { .count = 0 };
    int64_t until = 0, *devices = calloc(count, sizeof *devices);
    if (!devices)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for certificates");
    for (uint32_t i = 0; i < count; i++)
        devices[i] = latest[i].device_number;
    qsort(devices, count, sizeof *devices, compare_numbers);
    cm_status status = cm_sqlite_find_in_log(reader->db, reader->statements[CM_SQLITE_LOGGED],
                                             devices, count, 0, &until, &list, err);
    cm_sqlite_list_sort(&list);
    for (uint32_t i = 0; status == CM_OK && i < count; i++)
        take_newest(&latest[i], &list);
    cm_sqlite_list_drop(&list);
    free(devices);
    return status;
}

static cm_status find_in_runs(struct cm_sqlite_reader *reader, int64_t runs,
                              struct cm_latest *latest, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (int64_t run = runs;
         status == CM_OK && run > 0 && latest->numbers_count < latest->wanted_count; run--) {
        struct cm_sqlite_list list = { .count = 0 };
        status = cm_sqlite_find_in_run(reader->db, reader->statements[CM_SQLITE_IN_RUN], run,
                                       latest->device_number, &list, err);
        cm_sqlite_list_sort(&list);
        if (status == CM_OK)
            take_newest(latest, &list);
        cm_sqlite_list_drop(&list);
    }
    return status;
}

cm_status cm_sqlite_find_latest(struct cm_store_reader *base, struct cm_latest *latest,
                                uint32_t count, struct cm_error *err)
{
    struct cm_sqlite_reader *reader = (struct cm_sqlite_reader *)base;
    int64_t runs = 0;
    cm_status status = cm_sqlite_reader_is_whole(reader, err);
    for (uint32_t i = 0; i < count; i++) {
        assert(latest[i].wanted_count <= CM_STORE_LATEST_MAX);
        latest[i].numbers_count = 0;
    }
    if (status == CM_OK && count > 0)
        status = cm_sqlite_count_runs(reader, &runs, err);
    if (status == CM_OK && count > 0)
        status = find_in_log(reader, latest, count, err);
    for (uint32_t i = 0; status == CM_OK && i < count; i++)
        status = find_in_runs(reader, runs, &latest[i], err);
    return status;
}

static cm_status read_standing(sqlite3_stmt *row, struct cm_certificate_standing *ret_standing,
                               struct cm_error *err)
{
    const char *state = (const char *)sqlite3_column_text(row, 0);
    struct cm_certificate_standing standing = { .is_revoked = false };
    if (!state || !cm_generation_state_find(state, &standing.generation_state))
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the store is damaged: a generation has an unknown state");
    if (sqlite3_column_type(row, 1) != SQLITE_NULL) {
        standing.reason = (enum cm_reason)sqlite3_column_int(row, 1);
        standing.is_revoked = standing.reason != CM_REASON_REMOVE_FROM_CRL;
    }
    *ret_standing = standing;
    return CM_OK;
}

cm_status cm_sqlite_find_standing(struct cm_store_reader *base, int64_t generation_number,
                                  struct cm_bytes serial,
                                  struct cm_certificate_standing *ret_standing,
                                  struct cm_error *err)
{
    struct cm_sqlite_reader *reader = (struct cm_sqlite_reader *)base;
    sqlite3_stmt *row = reader->statements[CM_SQLITE_GET_STANDING];
    cm_status status = cm_sqlite_reader_is_whole(reader, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(row, 1, generation_number);
    cm_sqlite_bind_bytes(row, 2, serial);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW)
        status = read_standing(row, ret_standing, err);
    else if (code == SQLITE_DONE)
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "store: no generation %lld",
                         (long long)generation_number);
    else
        status = cm_sqlite_fail(reader->db, code, "read what a certificate is worth", err);
    sqlite3_reset(row);
    return status;
}
