/*
 * The certificates of a device, on the writer's side: what they are and why is in listing.h. When the log
 * is long, it is read into memory, sorted, and written as a run, some rows in each transaction; with the
 * last of them the run counts, and its part of the log goes. A run that was begun and not finished is
 * begun again.
 *
 * So that an order does not read through the whole log each time, its pairs stay in memory, sorted:
 *
 *     ... device_run ...     moving          recent          the end of the log
 *                            ... moving_until ... recent_until ...
 */
#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

enum {
    LOGGED_MIN = 32768,
    LOGGED_MAX = 262144,
    LOGGED_SHARE = 4, /* the log may be this part of all: there are few runs then */
    READ_MAX = 4096,  /* pairs of the log that an order reads */
    MOVE_ROWS = 64    /* of a run, in one transaction */
};

/* ------------------------------------------------------------------- finding -- */

/* Both are sorted, and so is what comes of them. */
static cm_status merge(struct cm_sqlite_list *list, const struct cm_sqlite_list *added,
                       struct cm_error *err)
{
    struct cm_sqlite_list merged = { .count = 0 };
    size_t one = 0, other = 0;
    cm_status status = CM_OK;
    while (status == CM_OK && one + other < list->count + added->count) {
        bool takes_one =
            other == added->count
            || (one < list->count
                && cm_sqlite_listed_compare(&list->items[one], &added->items[other]) < 0);
        status = cm_sqlite_list_add(&merged,
                                    takes_one ? &list->items[one++] : &added->items[other++], err);
    }
    if (status != CM_OK) {
        cm_sqlite_list_drop(&merged);
        return status;
    }
    cm_sqlite_list_drop(list);
    *list = merged;
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
        status = cm_sqlite_list_add(list, &from->items[first], err);
    return status;
}

static int64_t covered_until(const struct cm_sqlite_listing *listing)
{
    return cm_sqlite_max(listing->moving_until, listing->recent_until);
}

/* The log comes into memory, as far as it is not there. */
static cm_status cover(struct cm_sqlite_store *store, size_t most, struct cm_error *err)
{
    struct cm_sqlite_listing *listing = &store->listing;
    struct cm_sqlite_list added = { .count = 0 };
    int64_t until = covered_until(listing);
    cm_status status = cm_sqlite_find_in_log(store->db, store->statements[CM_SQLITE_DEVICE_LOGGED],
                                             NULL, 0, most, &until, &added, err);
    cm_sqlite_list_sort(&added);
    if (status == CM_OK)
        status = merge(&listing->recent, &added, err);
    cm_sqlite_list_drop(&added);
    if (status == CM_OK)
        listing->recent_until = until;
    return status;
}

static bool is_end_long(const struct cm_sqlite_store *store)
{
    return store->tally.logged > (int64_t)store->listing.recent.count + READ_MAX;
}

static cm_status add_device(struct cm_sqlite_store *store, int64_t device,
                            struct cm_sqlite_list *list, struct cm_error *err)
{
    cm_status status = cm_sqlite_find_in_runs(store->db, store->statements[CM_SQLITE_DEVICE_IN_RUN],
                                              store->tally.device_runs, device, list, err);
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
    cm_status status = is_end_long(store) ? cover(store, 0, err) : CM_OK;
    int64_t until = covered_until(&store->listing);
    for (size_t i = 0; status == CM_OK && i < count; i++)
        status = add_device(store, devices[i], &list, err);
    if (status == CM_OK && count > 0)
        status = cm_sqlite_find_in_log(store->db, store->statements[CM_SQLITE_DEVICE_LOGGED],
                                       devices, count, 0, &until, &list, err);
    if (status != CM_OK) {
        cm_sqlite_list_drop(&list);
        return status;
    }
    cm_sqlite_list_sort(&list);
    *ret_list = list;
    return CM_OK;
}

/* ------------------------------------------------------------------- logging -- */

void cm_sqlite_listing_begin(struct cm_sqlite_store *store)
{
    store->listing.log.count = 0;
}

cm_status cm_sqlite_list_certificate(struct cm_sqlite_store *store,
                                     const struct cm_sqlite_listed *listed, struct cm_error *err)
{
    return cm_sqlite_list_add(&store->listing.log, listed, err);
}

/* On the heap. */
static cm_status encode(const struct cm_sqlite_listed *items, size_t count, uint8_t **ret_octets,
                        struct cm_error *err)
{
    uint8_t *octets = malloc(count * CM_SQLITE_LISTED_SIZE);
    if (!octets)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for certificates");
    for (size_t i = 0; i < count; i++)
        cm_sqlite_listed_write(octets + i * CM_SQLITE_LISTED_SIZE, &items[i]);
    *ret_octets = octets;
    return CM_OK;
}

cm_status cm_sqlite_listing_end(struct cm_sqlite_store *store, struct cm_error *err)
{
    const struct cm_sqlite_list *log = &store->listing.log;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_DEVICE_LOG];
    uint8_t *octets = NULL;
    if (log->count == 0)
        return CM_OK;
    cm_status status = encode(log->items, log->count, &octets, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(statement, 1, ++store->tally.last_device_log);
    cm_sqlite_bind_blob(statement, 2, octets, log->count * CM_SQLITE_LISTED_SIZE);
    store->tally.logged += (int64_t)log->count;
    status = cm_sqlite_step(store, CM_SQLITE_DEVICE_LOG, "log certificates of devices", err);
    free(octets);
    return status;
}

void cm_sqlite_listing_undo(struct cm_sqlite_store *store)
{
    cm_sqlite_list_drop(&store->listing.recent);
    store->listing.recent_until = 0;
}

/* -------------------------------------------------------------------- moving -- */

bool cm_sqlite_listing_is_due(const struct cm_sqlite_store *store)
{
    int64_t most = store->tally.certificates / LOGGED_SHARE;
    most = most < LOGGED_MIN ? LOGGED_MIN : most > LOGGED_MAX ? LOGGED_MAX : most;
    return store->listing.moving_until != 0 || store->tally.logged >= most;
}

static cm_status begin_run(struct cm_sqlite_store *store, struct cm_error *err)
{
    struct cm_sqlite_listing *listing = &store->listing;
    cm_status status = listing->recent.count < LOGGED_MAX ? cover(store, LOGGED_MAX, err) : CM_OK;
    if (status != CM_OK)
        return status;
    listing->moving = listing->recent;
    listing->moving_until = listing->recent_until;
    listing->moved = 0;
    listing->recent = (struct cm_sqlite_list){ .count = 0 };
    listing->recent_until = 0;
    store->tally.logged -= (int64_t)listing->moving.count;
    return CM_OK;
}

cm_status cm_sqlite_listing_prepare(struct cm_sqlite_store *store, struct cm_error *err)
{
    return store->listing.moving_until == 0 ? begin_run(store, err) : CM_OK;
}

static cm_status clear_run(struct cm_sqlite_store *store, int64_t run, struct cm_error *err)
{
    sqlite3_bind_int64(store->statements[CM_SQLITE_DEVICE_RUN_CLEAR], 1, run);
    return cm_sqlite_step(store, CM_SQLITE_DEVICE_RUN_CLEAR, "begin a run of certificates", err);
}

static cm_status put_row(struct cm_sqlite_store *store, int64_t run,
                         const struct cm_sqlite_listed *items, size_t count, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_DEVICE_RUN];
    uint8_t *octets = NULL;
    cm_status status = encode(items, count, &octets, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(statement, 1, run);
    sqlite3_bind_int64(statement, 2, items->device);
    sqlite3_bind_int64(statement, 3, items->certificate);
    cm_sqlite_bind_blob(statement, 4, octets, count * CM_SQLITE_LISTED_SIZE);
    status = cm_sqlite_step(store, CM_SQLITE_DEVICE_RUN, "write a run of certificates", err);
    free(octets);
    return status;
}

/* The run counts from now on, and its part of the log goes. */
static cm_status end_run(struct cm_sqlite_store *store, struct cm_error *err)
{
    sqlite3_bind_int64(store->statements[CM_SQLITE_DEVICE_LOG_PRUNE], 1,
                       store->listing.moving_until);
    cm_status status =
        cm_sqlite_step(store, CM_SQLITE_DEVICE_LOG_PRUNE, "prune the log of certificates", err);
    store->tally.device_runs++;
    return status == CM_OK ? cm_sqlite_change_total(store, err) : status;
}

cm_status cm_sqlite_listing_move(struct cm_sqlite_store *store, struct cm_error *err)
{
    const struct cm_sqlite_listing *listing = &store->listing;
    int64_t run = store->tally.device_runs + 1;
    size_t at = listing->moved;
    if (listing->moving.count == 0)
        return CM_OK;
    cm_status status = at == 0 ? clear_run(store, run, err) : CM_OK;
    for (unsigned i = 0; status == CM_OK && i < MOVE_ROWS && at < listing->moving.count; i++) {
        size_t rest = listing->moving.count - at;
        size_t count = rest < CM_SQLITE_RUN_ROW ? rest : CM_SQLITE_RUN_ROW;
        status = put_row(store, run, &listing->moving.items[at], count, err);
        at += count;
    }
    return status == CM_OK && at == listing->moving.count ? end_run(store, err) : status;
}

void cm_sqlite_listing_moved(struct cm_sqlite_store *store)
{
    struct cm_sqlite_listing *listing = &store->listing;
    listing->moved += (size_t)MOVE_ROWS * CM_SQLITE_RUN_ROW;
    if (listing->moved < listing->moving.count)
        return;
    cm_sqlite_list_drop(&listing->moving);
    listing->moving_until = 0;
}

void cm_sqlite_listing_done(struct cm_sqlite_store *store)
{
    cm_sqlite_list_drop(&store->listing.log);
    cm_sqlite_list_drop(&store->listing.moving);
    cm_sqlite_list_drop(&store->listing.recent);
}
