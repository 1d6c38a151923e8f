/*
 * Devices that hold certificates of a generation.
 *
 * There is no index by generation: certificates are walked in the order of their numbers, so many at a
 * time. Those of the generation that are good are candidates; what else their devices have is looked up
 * for all of them together (listing.h), so that the log is read once a stretch.
 */
#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

enum { ROWS_DEFAULT = 20000, HOLDERS_DEFAULT = 1000, TAIL_SIZE = CM_SERIAL_SIZE - 8 };

/* X(SYMBOL, sql) */
#define STATEMENT_MAP(X)                                                                           \
    X(PROMISED, "SELECT items FROM intent WHERE generation = ?1")                                  \
    X(ROWS, "SELECT number, serial_tail, device, generation, not_after FROM certificate"           \
            " WHERE number > ?1 AND number <= ?2 ORDER BY number LIMIT ?3")                        \
    X(REVOKED, "SELECT reason FROM revocation WHERE generation = ?1 AND serial = ?2")              \
    X(LATER, "SELECT certificate.serial_tail, certificate.generation, certificate.not_after,"      \
             " generation.state = 'active' AND generation.authority ="                             \
             " (SELECT authority FROM generation WHERE number = ?2) FROM certificate"              \
             " JOIN generation ON generation.number = certificate.generation"                      \
             " WHERE certificate.number = ?1")                                                     \
    X(DEVICE, "SELECT " CM_SQLITE_DEVICE_COLUMNS " WHERE device.number = ?1")

enum statement {
#define X(symbol, sql) symbol,
    STATEMENT_MAP(X)
#undef X
        STATEMENT_COUNT
};

static const char *const statement_sql[STATEMENT_COUNT] = {
#define X(symbol, sql) [symbol] = sql,
    STATEMENT_MAP(X)
#undef X
};

struct candidate {
    struct cm_serial serial;
    int64_t device, not_after_s;
    bool is_revoked;
};

/* What a certificate is worth. */
enum worth { WORTH_GOOD, WORTH_RENEWING, WORTH_NOTHING };

struct search {
    struct cm_sqlite_reader *reader;
    struct cm_holder_stretch *stretch;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    cm_certificate_number upper; /* nothing behind it is looked at */
    struct candidate *candidates;
    uint32_t candidates_count, candidates_max;
    struct cm_sqlite_list list; /* all certificates of their devices */
};

static cm_status fail(struct search *search, int code, enum statement statement,
                      struct cm_error *err)
{
    return cm_sqlite_fail(search->reader->db, code, statement_sql[statement], err);
}

static cm_status fail_row(const char *what, struct cm_error *err)
{
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the store is damaged: %s", what);
}

/* A statement that has been bound and has one row, or none. Whoever got a row resets it. */
static cm_status look_up(struct search *search, enum statement statement, bool *ret_found,
                         struct cm_error *err)
{
    sqlite3_stmt *row = search->statements[statement];
    int code = sqlite3_step(row);
    *ret_found = code == SQLITE_ROW;
    if (*ret_found)
        return CM_OK;
    cm_status status = code == SQLITE_DONE ? CM_OK : fail(search, code, statement, err);
    sqlite3_reset(row);
    return status;
}

static bool read_serial(cm_certificate_number number, sqlite3_stmt *row, int column,
                        struct cm_serial *ret_serial)
{
    cm_big_endian_write((uint64_t)number, ret_serial->octets, 8);
    return cm_sqlite_column_exactly(row, column, ret_serial->octets + 8, TAIL_SIZE);
}

static enum worth worth_of(enum cm_reason reason)
{
    if (reason == CM_REASON_REMOVE_FROM_CRL)
        return WORTH_GOOD;
    return reason == CM_REASON_SUPERSEDED || reason == CM_REASON_CA_COMPROMISE ? WORTH_RENEWING
                                                                               : WORTH_NOTHING;
}

static cm_status find_worth(struct search *search, int64_t generation,
                            const struct cm_serial *serial, enum worth *ret_worth,
                            struct cm_error *err)
{
    sqlite3_stmt *row = search->statements[REVOKED];
    bool found = false;
    sqlite3_bind_int64(row, 1, generation);
    cm_sqlite_bind_bytes(row, 2, cm_serial_content(serial));
    cm_status status = look_up(search, REVOKED, &found, err);
    *ret_worth = found ? worth_of((enum cm_reason)sqlite3_column_int(row, 0)) : WORTH_GOOD;
    sqlite3_reset(row);
    return status;
}

/* ------------------------------------------------------------- how far to go -- */

static void bound_by_items(struct search *search, struct cm_bytes items)
{
    for (size_t at = 0; at + CM_SQLITE_ITEM_SIZE <= items.size; at += CM_SQLITE_ITEM_SIZE) {
        int64_t number = (int64_t)cm_big_endian_read(items.data + at + 16, 8);
        if (number > search->stretch->after && number <= search->upper)
            search->upper = number - 1;
    }
}

/* What is promised may be recorded after everything behind it: it is waited for. */
static cm_status bound(struct search *search, struct cm_error *err)
{
    const struct cm_holder_stretch *stretch = search->stretch;
    sqlite3_stmt *row = search->statements[PROMISED];
    int code;
    search->upper = stretch->until;
    if (stretch->settled > 0 && stretch->settled < search->upper)
        search->upper = stretch->settled;
    sqlite3_bind_int64(row, 1, stretch->generation_number);
    while ((code = sqlite3_step(row)) == SQLITE_ROW)
        bound_by_items(search, cm_sqlite_column_bytes(row, 0));
    sqlite3_reset(row);
    return code == SQLITE_DONE ? CM_OK : fail(search, code, PROMISED, err);
}

/* ---------------------------------------------------------------- candidates -- */

static cm_status consider(struct search *search, sqlite3_stmt *row, struct cm_error *err)
{
    const struct cm_holder_stretch *stretch = search->stretch;
    struct candidate *candidate = &search->candidates[search->candidates_count];
    enum worth worth = WORTH_NOTHING;
    candidate->device = sqlite3_column_int64(row, 2);
    candidate->not_after_s = sqlite3_column_int64(row, 4);
    if (sqlite3_column_int64(row, 3) != stretch->generation_number
        || candidate->not_after_s < stretch->now_s)
        return CM_OK;
    if (!read_serial(sqlite3_column_int64(row, 0), row, 1, &candidate->serial))
        return fail_row("a certificate has no serial", err);
    cm_status status =
        find_worth(search, stretch->generation_number, &candidate->serial, &worth, err);
    candidate->is_revoked = worth != WORTH_GOOD;
    search->candidates_count += status == CM_OK && worth != WORTH_NOTHING;
    return status;
}

static cm_status collect(struct search *search, struct cm_error *err)
{
    struct cm_holder_stretch *stretch = search->stretch;
    uint32_t rows_max = stretch->rows_max ? stretch->rows_max : ROWS_DEFAULT, rows = 0;
    sqlite3_stmt *row = search->statements[ROWS];
    cm_status status = CM_OK;
    int code = SQLITE_ROW;
    sqlite3_bind_int64(row, 1, stretch->after);
    sqlite3_bind_int64(row, 2, search->upper);
    sqlite3_bind_int64(row, 3, rows_max);
    while (status == CM_OK && search->candidates_count < search->candidates_max
           && (code = sqlite3_step(row)) == SQLITE_ROW) {
        rows++;
        stretch->last = sqlite3_column_int64(row, 0);
        status = consider(search, row, err);
    }
    sqlite3_reset(row);
    if (status == CM_OK && code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(search, code, ROWS, err);
    if (status == CM_OK && code == SQLITE_DONE && rows < rows_max) {
        stretch->last = cm_sqlite_max(stretch->after, search->upper);
        stretch->is_end = stretch->last >= stretch->until;
    }
    return status;
}

/* ---------------------------------------------------- what else a device has -- */

static int compare_numbers(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static cm_status list_runs(struct search *search, const int64_t *devices, size_t count,
                           struct cm_error *err)
{
    struct cm_sqlite_reader *reader = search->reader;
    sqlite3_stmt *row = reader->statements[CM_SQLITE_GET_DEVICE_RUNS];
    cm_status status = CM_OK;
    int code = sqlite3_step(row);
    int64_t runs = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    if (code != SQLITE_ROW)
        return cm_sqlite_fail(reader->db, code, "read the totals", err);
    for (size_t i = 0; status == CM_OK && i < count; i++)
        if (i == 0 || devices[i] != devices[i - 1])
            status = cm_sqlite_find_in_runs(reader->db, reader->statements[CM_SQLITE_IN_RUN], runs,
                                            devices[i], &search->list, err);
    return status;
}

/* In one snapshot: what a run has just taken from the log is in neither before and after. */
static cm_status list_devices(struct search *search, struct cm_error *err)
{
    struct cm_sqlite_reader *reader = search->reader;
    size_t count = search->candidates_count;
    int64_t until = 0;
    int64_t *devices = calloc(count + 1, sizeof *devices);
    if (!devices)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for devices");
    for (size_t i = 0; i < count; i++)
        devices[i] = search->candidates[i].device;
    qsort(devices, count, sizeof *devices, compare_numbers);
    cm_status status = list_runs(search, devices, count, err);
    if (status == CM_OK)
        status = cm_sqlite_find_in_log(reader->db, reader->statements[CM_SQLITE_LOGGED], devices,
                                       count, 0, &until, &search->list, err);
    cm_sqlite_list_sort(&search->list);
    free(devices);
    return status;
}

/* What a later certificate says of an earlier one of the same device. */
enum later { LATER_NOTHING, LATER_REPLACES, LATER_RENEWS };

static cm_status judge(struct search *search, cm_certificate_number number, enum later *ret_later,
                       struct cm_error *err)
{
    const struct cm_holder_stretch *stretch = search->stretch;
    sqlite3_stmt *row = search->statements[LATER];
    struct cm_serial serial;
    enum worth worth = WORTH_NOTHING;
    bool found = false;
    *ret_later = LATER_NOTHING;
    sqlite3_bind_int64(row, 1, number);
    sqlite3_bind_int64(row, 2, stretch->generation_number);
    cm_status status = look_up(search, LATER, &found, err);
    if (status != CM_OK || !found)
        return status;
    int64_t generation = sqlite3_column_int64(row, 1);
    bool is_ours = generation == stretch->generation_number && number <= stretch->until;
    bool is_good = sqlite3_column_int64(row, 2) >= stretch->now_s
                   && (is_ours || sqlite3_column_int(row, 3) != 0);
    if (is_good && !read_serial(number, row, 0, &serial))
        status = fail_row("a certificate has no serial", err);
    sqlite3_reset(row);
    if (status == CM_OK && is_good)
        status = find_worth(search, generation, &serial, &worth, err);
    if (status == CM_OK && is_ours && worth != WORTH_NOTHING)
        *ret_later = LATER_REPLACES;
    else if (status == CM_OK && worth == WORTH_GOOD)
        *ret_later = LATER_RENEWS;
    return status;
}

/* The first pair of the device that comes after its certificate. */
static size_t find_later(const struct cm_sqlite_list *list, const struct cm_sqlite_listed *listed)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cm_sqlite_listed_compare(&list->items[middle], listed) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The latest first: a device with many certificates shows by it that the others are replaced. */
static cm_status judge_all(struct search *search, const struct cm_sqlite_listed *listed,
                           struct cm_holder *holder, bool *ret_replaced, struct cm_error *err)
{
    const struct cm_sqlite_list *list = &search->list;
    size_t first = find_later(list, listed), end = first;
    cm_status status = CM_OK;
    *ret_replaced = false;
    while (end < list->count && list->items[end].device == listed->device)
        end++;
    while (status == CM_OK && !*ret_replaced && end-- > first) {
        enum later later;
        status = judge(search, list->items[end].certificate, &later, err);
        *ret_replaced = later == LATER_REPLACES;
        if (later == LATER_RENEWS && holder->renewed == 0)
            holder->renewed = list->items[end].certificate;
    }
    return status;
}

/* ------------------------------------------------------------------- holders -- */

static cm_status visit_device(struct search *search, struct cm_holder *holder, int64_t device,
                              cm_holder_walk_fn *visit, void *arg, bool *ret_go_on,
                              struct cm_error *err)
{
    sqlite3_stmt *row = search->statements[DEVICE];
    bool found = false;
    sqlite3_bind_int64(row, 1, device);
    cm_status status = look_up(search, DEVICE, &found, err);
    if (status != CM_OK)
        return status;
    if (!found)
        return CM_OK; /* a store that was made by hand: nobody could be told */
    if (cm_sqlite_read_device(row, &holder->device)) {
        holder->device.attributes = cm_bytes(NULL, 0);
        *ret_go_on = visit(holder, arg);
    } else {
        status = fail_row("a device has an unknown state", err);
    }
    sqlite3_reset(row);
    return status;
}

static cm_status visit_candidate(struct search *search, const struct candidate *candidate,
                                 cm_holder_walk_fn *visit, void *arg, bool *ret_go_on,
                                 struct cm_error *err)
{
    struct cm_holder holder = { .number = cm_serial_number(&candidate->serial),
                                .serial = candidate->serial,
                                .not_after_s = candidate->not_after_s,
                                .is_revoked = candidate->is_revoked };
    const struct cm_sqlite_listed listed = { candidate->device, holder.number };
    bool is_replaced;
    cm_status status = judge_all(search, &listed, &holder, &is_replaced, err);
    if (status != CM_OK || is_replaced)
        return status;
    status = visit_device(search, &holder, candidate->device, visit, arg, ret_go_on, err);
    if (status == CM_OK && !*ret_go_on) {
        search->stretch->last = holder.number;
        search->stretch->is_end = false;
    }
    return status;
}

static cm_status walk(struct search *search, cm_holder_walk_fn *visit, void *arg,
                      struct cm_error *err)
{
    bool go_on = true;
    cm_status status = cm_sqlite_prepare(search->reader->db, statement_sql, STATEMENT_COUNT,
                                         search->statements, err);
    if (status == CM_OK)
        status = bound(search, err);
    if (status == CM_OK)
        status = collect(search, err);
    if (status == CM_OK && search->candidates_count > 0)
        status = list_devices(search, err);
    for (uint32_t i = 0; status == CM_OK && go_on && i < search->candidates_count; i++)
        status = visit_candidate(search, &search->candidates[i], visit, arg, &go_on, err);
    cm_sqlite_finalize(search->statements, STATEMENT_COUNT);
    return status;
}

cm_status cm_sqlite_walk_holders(struct cm_store_reader *base, struct cm_holder_stretch *stretch,
                                 cm_holder_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct search search = { .reader = (struct cm_sqlite_reader *)base, .stretch = stretch };
    cm_status status = cm_sqlite_reader_begin(base, err);
    if (status != CM_OK)
        return status;
    stretch->last = stretch->after;
    stretch->is_end = false;
    search.candidates_max = stretch->holders_max ? stretch->holders_max : HOLDERS_DEFAULT;
    search.candidates = calloc(search.candidates_max, sizeof *search.candidates);
    status = search.candidates
                 ? walk(&search, visit, arg, err)
                 : CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for certificates");
    free(search.candidates);
    cm_sqlite_list_drop(&search.list);
    cm_sqlite_reader_end(base);
    return status;
}
