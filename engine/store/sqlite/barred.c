/*
 * Devices that may not be allowed, a bit for each number. Every certificate is checked against its
 * device's state once more as it is recorded; a bit that is clear answers that without a look-up. A
 * bit that is set only means: look. So bits are set early and stay set, and no rollback touches them.
 *
 * A device that is revoked stays allowed; only what was promised to it by then is not to be handed out.
 * That is remembered in memory: by the number of the last promise, whosever it was. A rollback leaves it
 * there, and costs a request that may be made again. After a start the audit log says which devices were
 * revoked since the oldest promise that is still open.
 */
#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

static cm_status grow(struct cm_sqlite_barred *barred, size_t size, struct cm_error *err)
{
    size_t larger = barred->size ? barred->size : 4096;
    while (larger < size)
        larger *= 2;
    uint8_t *bits = realloc(barred->bits, larger);
    if (!bits)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for devices");
    memset(bits + barred->size, 0, larger - barred->size);
    barred->bits = bits;
    barred->size = larger;
    return CM_OK;
}

cm_status cm_sqlite_bar_device(struct cm_sqlite_store *store, int64_t device, struct cm_error *err)
{
    struct cm_sqlite_barred *barred = &store->barred;
    size_t at = (size_t)device / 8;
    cm_status status = at < barred->size ? CM_OK : grow(barred, at + 1, err);
    if (status == CM_OK)
        barred->bits[at] |= (uint8_t)(1U << (device % 8));
    return status;
}

enum { REVOKED_SPACE_MIN = 64 };

/* The place of the device, or the free one where it would be. There is one. */
static struct cm_sqlite_revoked *place_of(struct cm_sqlite_revoked *places, size_t space,
                                          int64_t device)
{
    uint64_t spread = (uint64_t)device * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(spread >> 32) & (space - 1);
    while (places[at].device != 0 && places[at].device != device)
        at = (at + 1) & (space - 1);
    return &places[at];
}

static cm_status grow_revoked(struct cm_sqlite_barred *barred, struct cm_error *err)
{
    size_t space = barred->revoked_space ? 2 * barred->revoked_space : REVOKED_SPACE_MIN;
    struct cm_sqlite_revoked *places = calloc(space, sizeof *places);
    if (!places)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for devices");
    for (size_t i = 0; i < barred->revoked_space; i++)
        if (barred->revoked[i].device != 0)
            *place_of(places, space, barred->revoked[i].device) = barred->revoked[i];
    free(barred->revoked);
    barred->revoked = places;
    barred->revoked_space = space;
    return CM_OK;
}

cm_status cm_sqlite_note_revoked(struct cm_sqlite_store *store, int64_t device,
                                 cm_certificate_number last, struct cm_error *err)
{
    struct cm_sqlite_barred *barred = &store->barred;
    cm_status status = CM_OK;
    if (2 * (barred->revoked_count + 1) > barred->revoked_space)
        status = grow_revoked(barred, err);
    if (status != CM_OK)
        return status;
    struct cm_sqlite_revoked *place = place_of(barred->revoked, barred->revoked_space, device);
    barred->revoked_count += place->device == 0;
    *place = (struct cm_sqlite_revoked){ device, cm_sqlite_max(place->number, last) };
    return CM_OK;
}

bool cm_sqlite_was_revoked(const struct cm_sqlite_store *store, int64_t device,
                           cm_certificate_number number)
{
    const struct cm_sqlite_barred *barred = &store->barred;
    if (barred->revoked_count == 0)
        return false;
    const struct cm_sqlite_revoked *place =
        place_of(barred->revoked, barred->revoked_space, device);
    return place->device == device && number <= place->number;
}

cm_status cm_sqlite_require_allowed(struct cm_sqlite_store *store, int64_t device,
                                    struct cm_error *err)
{
    const struct cm_sqlite_barred *barred = &store->barred;
    size_t at = (size_t)device / 8;
    int64_t values[2];
    bool found = false;
    if (at >= barred->size || !(barred->bits[at] & (1U << (device % 8))))
        return CM_OK;
    sqlite3_bind_int64(store->statements[CM_SQLITE_FIND_ALLOWED], 1, device);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_ALLOWED, &found, values, err);
    if (status == CM_OK && found && !values[0])
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "store: a device is not allowed any more");
    return status;
}

/* ------------------------------------------------------------------ at the start -- */

typedef cm_status note_fn(struct cm_sqlite_store *store, sqlite3_stmt *row, struct cm_error *err);

static cm_status for_each_row(struct cm_sqlite_store *store, const char *sql, int64_t bound,
                              note_fn *note, struct cm_error *err)
{
    sqlite3_stmt *row = NULL;
    int code = SQLITE_DONE;
    cm_status status = cm_sqlite_prepare(store->db, &sql, 1, &row, err);
    if (status == CM_OK && sqlite3_bind_parameter_count(row) > 0)
        sqlite3_bind_int64(row, 1, bound);
    while (status == CM_OK && (code = sqlite3_step(row)) == SQLITE_ROW)
        status = note(store, row, err);
    if (status == CM_OK && code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "read devices", err);
    sqlite3_finalize(row);
    return status;
}

static cm_status note_barred(struct cm_sqlite_store *store, sqlite3_stmt *row, struct cm_error *err)
{
    return cm_sqlite_bar_device(store, sqlite3_column_int64(row, 0), err);
}

/* Numbers begin with the time: all that were promised by the millisecond of the order. */
static cm_status note_ordered(struct cm_sqlite_store *store, sqlite3_stmt *row,
                              struct cm_error *err)
{
    return cm_sqlite_note_revoked(store, sqlite3_column_int64(row, 0),
                                  cm_sqlite_last_of(sqlite3_column_int64(row, 1)), err);
}

/* Orders since then, by the name of a device or of its group. The log is read from its end. */
#define REVOKED_SINCE                                                                              \
    " WHERE audit.kind = 'revoke' AND audit.number >"                                              \
    "  coalesce((SELECT number FROM audit WHERE time_ms < ?1 ORDER BY number DESC LIMIT 1), 0)"

static cm_status load_revoked(struct cm_sqlite_store *store, struct cm_error *err)
{
    int64_t oldest_ms = 0;
    cm_status status = cm_sqlite_get_integer(
        store->db, "SELECT coalesce(min(created_ms), 0) FROM intent", &oldest_ms, err);
    if (status != CM_OK || oldest_ms == 0)
        return status;
    status = for_each_row(
        store,
        "SELECT device.number, audit.time_ms FROM audit"
        " JOIN device ON device.id = json_extract(audit.detail, '$.device')" REVOKED_SINCE,
        oldest_ms, note_ordered, err);
    if (status == CM_OK)
        status = for_each_row(
            store,
            "SELECT device.number, audit.time_ms FROM audit"
            " JOIN device_group ON device_group.name = json_extract(audit.detail, '$.group')"
            " JOIN device ON device.device_group = device_group.number" REVOKED_SINCE,
            oldest_ms, note_ordered, err);
    return status;
}

cm_status cm_sqlite_barred_load(struct cm_sqlite_store *store, struct cm_error *err)
{
    cm_status status = for_each_row(
        store, "SELECT number FROM device INDEXED BY device_not_allowed WHERE state <> 'allowed'",
        0, note_barred, err);
    return status == CM_OK ? load_revoked(store, err) : status;
}
