#include "engine/store/sqlite/listing.h"

#include <stdlib.h>

#include "engine/store/sqlite/internal.h"

/* --------------------------------------------------------------------- lists -- */

cm_status cm_sqlite_list_add(struct cm_sqlite_list *list, const struct cm_sqlite_listed *listed,
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

int cm_sqlite_listed_compare(const struct cm_sqlite_listed *one,
                             const struct cm_sqlite_listed *other)
{
    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    return (one->certificate > other->certificate) - (one->certificate < other->certificate);
}

static int compare(const void *a, const void *b)
{
    return cm_sqlite_listed_compare(a, b);
}

void cm_sqlite_list_sort(struct cm_sqlite_list *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, compare);
}

void cm_sqlite_list_drop(struct cm_sqlite_list *list)
{
    free(list->items);
    *list = (struct cm_sqlite_list){ .count = 0 };
}

/* -------------------------------------------------------------------- octets -- */

void cm_sqlite_listed_write(uint8_t *octets, const struct cm_sqlite_listed *listed)
{
    cm_big_endian_write((uint64_t)listed->device, octets, 8);
    cm_big_endian_write((uint64_t)listed->certificate, octets + 8, 8);
}

static struct cm_sqlite_listed read_listed(const uint8_t *octets)
{
    return (struct cm_sqlite_listed){ .device = (int64_t)cm_big_endian_read(octets, 8),
                                      .certificate = (int64_t)cm_big_endian_read(octets + 8, 8) };
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* Nearly all that a log holds is of others: most of those are told by one bit. */
enum { WANTED_BITS = 8192 };

struct wanted {
    const int64_t *devices; /* sorted; NULL: all */
    size_t count;
    uint64_t bits[WANTED_BITS / 64];
};

/* By its last octets as they stand there; devices are numbered one after the other. */
static unsigned bit_of(const uint8_t device[8])
{
    return ((unsigned)device[6] << 8 | device[7]) % WANTED_BITS;
}

static void want(struct wanted *wanted, const int64_t *devices, size_t count)
{
    *wanted = (struct wanted){ .devices = devices, .count = count };
    for (size_t i = 0; i < count; i++) {
        uint8_t octets[8];
        cm_big_endian_write((uint64_t)devices[i], octets, sizeof octets);
        wanted->bits[bit_of(octets) / 64] |= 1ull << bit_of(octets) % 64;
    }
}

static bool is_wanted(const struct wanted *wanted, const uint8_t *octets)
{
    if (!wanted->devices)
        return true;
    if (!(wanted->bits[bit_of(octets) / 64] >> bit_of(octets) % 64 & 1))
        return false;
    int64_t device = (int64_t)cm_big_endian_read(octets, 8);
    return bsearch(&device, wanted->devices, wanted->count, sizeof device, compare_numbers);
}

static cm_status add_items(struct cm_bytes items, const struct wanted *wanted,
                           struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (size_t at = 0; status == CM_OK && at + CM_SQLITE_LISTED_SIZE <= items.size;
         at += CM_SQLITE_LISTED_SIZE) {
        if (!is_wanted(wanted, items.data + at))
            continue;
        const struct cm_sqlite_listed listed = read_listed(items.data + at);
        status = cm_sqlite_list_add(list, &listed, err);
    }
    return status;
}

/* ------------------------------------------------------------------- finding -- */

cm_status cm_sqlite_find_in_run(sqlite3 *db, sqlite3_stmt *row, int64_t run, int64_t device,
                                struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    int code = SQLITE_DONE;
    struct wanted wanted;
    want(&wanted, &device, 1);
    sqlite3_bind_int64(row, 1, run);
    sqlite3_bind_int64(row, 2, device);
    while (status == CM_OK && (code = sqlite3_step(row)) == SQLITE_ROW)
        status = add_items(cm_sqlite_column_bytes(row, 0), &wanted, list, err);
    if (status == CM_OK && code != SQLITE_DONE)
        status = cm_sqlite_fail(db, code, "read the certificates of a device", err);
    sqlite3_reset(row);
    return status;
}

cm_status cm_sqlite_find_in_runs(sqlite3 *db, sqlite3_stmt *statement, int64_t runs, int64_t device,
                                 struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (int64_t run = 1; status == CM_OK && run <= runs; run++)
        status = cm_sqlite_find_in_run(db, statement, run, device, list, err);
    return status;
}

cm_status cm_sqlite_find_in_log(sqlite3 *db, sqlite3_stmt *statement, const int64_t *devices,
                                size_t count, size_t most, int64_t *until,
                                struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = CM_OK;
    int code = SQLITE_DONE;
    struct wanted wanted;
    want(&wanted, devices, count);
    sqlite3_bind_int64(statement, 1, *until);
    while (status == CM_OK && (most == 0 || list->count < most)
           && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = add_items(cm_sqlite_column_bytes(statement, 1), &wanted, list, err);
        if (status == CM_OK)
            *until = sqlite3_column_int64(statement, 0);
    }
    if (status == CM_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        status = cm_sqlite_fail(db, code, "read the certificates of devices", err);
    sqlite3_reset(statement);
    return status;
}
