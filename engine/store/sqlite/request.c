/*
 * Requests that were answered: into the log and into memory with each operation, into the index by
 * stretches, and back into memory at the start. Why in two steps: answered.h.
 */
#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

enum {
    ITEM_SIZE = 16 + 8, /* of the log: key, answer in big-endian */
    RECENT_MIN = 32768,
    RECENT_MAX = 1048576,
    INDEX_SHARE = 16, /* recent ones may be this part of all: then a page of the index takes some */
    MOVE_ROWS = 4096  /* about so many rows in one transaction */
};

/* ------------------------------------------------------------------ recording -- */

static cm_status refuse_indexed(struct cm_sqlite_store *store, const struct cm_request_key *key,
                                struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    cm_sqlite_bind_blob(store->statements[CM_SQLITE_FIND_REQUEST], 1, key->octets,
                        sizeof key->octets);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_REQUEST, &found, values, err);
    if (status == CM_OK && found)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "store: a request is answered already");
    return status;
}

static cm_status reserve_item(struct cm_sqlite_requests *requests, struct cm_error *err)
{
    if (requests->log_size + ITEM_SIZE <= requests->log_space)
        return CM_OK;
    size_t space = requests->log_space ? 2 * requests->log_space : 512 * ITEM_SIZE;
    uint8_t *larger = realloc(requests->log, space);
    if (!larger)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for the log of requests");
    requests->log = larger;
    requests->log_space = space;
    return CM_OK;
}

static void write_item(uint8_t *octets, const struct cm_answered_item *item)
{
    memcpy(octets, item->key.octets, 16);
    cm_big_endian_write((uint64_t)item->answer, octets + 16, 8);
}

static struct cm_answered_item read_item(const uint8_t *octets)
{
    struct cm_answered_item item;
    memcpy(item.key.octets, octets, 16);
    item.answer = (int64_t)cm_big_endian_read(octets + 16, 8);
    return item;
}

cm_status cm_sqlite_record_request(struct cm_sqlite_store *store, const struct cm_request_key *key,
                                   int64_t answer, struct cm_error *err)
{
    struct cm_sqlite_requests *requests = &store->requests;
    const struct cm_answered_item item = { .key = *key, .answer = answer };
    int64_t ignored;
    cm_status status = CM_OK;
    if (cm_answered_find(requests->answered, key, &ignored) == CM_ANSWERED_PERHAPS)
        status = refuse_indexed(store, key, err);
    if (status == CM_OK)
        status = reserve_item(requests, err);
    if (status != CM_OK)
        return status;
    if (!cm_answered_add(requests->answered, &item))
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "store: a request is answered already");
    write_item(requests->log + requests->log_size, &item);
    requests->log_size += ITEM_SIZE;
    return CM_OK;
}

void cm_sqlite_requests_begin(struct cm_sqlite_store *store)
{
    store->requests.log_size = 0;
}

cm_status cm_sqlite_requests_end(struct cm_sqlite_store *store, struct cm_error *err)
{
    const struct cm_sqlite_requests *requests = &store->requests;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_REQUEST_LOG];
    if (requests->log_size == 0)
        return CM_OK;
    sqlite3_bind_int64(statement, 1, ++store->tally.last_request_log);
    cm_sqlite_bind_blob(statement, 2, requests->log, requests->log_size);
    return cm_sqlite_step(store, CM_SQLITE_REQUEST_LOG, "log requests", err);
}

/* --------------------------------------------------------------------- moving -- */

static cm_status move_item(struct cm_sqlite_store *store, const struct cm_answered_item *item,
                           struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_REQUEST];
    cm_sqlite_bind_blob(statement, 1, item->key.octets, sizeof item->key.octets);
    if (item->answer > 0) {
        sqlite3_bind_int64(statement, 2, item->answer);
        sqlite3_bind_null(statement, 3);
    } else {
        sqlite3_bind_null(statement, 2);
        sqlite3_bind_int64(statement, 3, -item->answer);
    }
    return cm_sqlite_step(store, CM_SQLITE_REQUEST, "move a request", err);
}

static cm_status move_stretch(struct cm_sqlite_store *store, unsigned stretch, size_t *ret_count,
                              struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_STRETCH];
    size_t count;
    const struct cm_answered_item *items =
        cm_answered_sorted(store->requests.answered, stretch, &count);
    cm_status status = CM_OK;
    for (size_t i = 0; status == CM_OK && i < count; i++)
        status = move_item(store, &items[i], err);
    if (status != CM_OK)
        return status;
    *ret_count = count;
    sqlite3_bind_int64(statement, 1, stretch);
    sqlite3_bind_int64(statement, 2, store->tally.last_request_log);
    return cm_sqlite_step(store, CM_SQLITE_STRETCH, "move requests", err);
}

/* The i-th from the first that moves; they stand in a ring. */
static unsigned stretch_at(const struct cm_sqlite_move *move, unsigned i)
{
    return (move->first_stretch + i) % CM_ANSWERED_STRETCHES;
}

/* What every stretch has moved past, those of this move too, stands in the index. */
static cm_status prune_log(struct cm_sqlite_store *store, const struct cm_sqlite_move *move,
                           struct cm_error *err)
{
    int64_t least = store->tally.last_request_log;
    for (unsigned i = move->count; i < CM_ANSWERED_STRETCHES; i++) {
        int64_t until = store->requests.moved_until[stretch_at(move, i)];
        least = until < least ? until : least;
    }
    sqlite3_bind_int64(store->statements[CM_SQLITE_REQUEST_LOG_PRUNE], 1, least);
    return cm_sqlite_step(store, CM_SQLITE_REQUEST_LOG_PRUNE, "prune the log of requests", err);
}

cm_status cm_sqlite_requests_move(struct cm_sqlite_store *store, struct cm_sqlite_move *ret_move,
                                  struct cm_error *err)
{
    struct cm_sqlite_move move = { .first_stretch = store->requests.next_stretch };
    cm_status status = CM_OK;
    size_t rows = 0;
    while (status == CM_OK && rows < MOVE_ROWS && move.count < CM_ANSWERED_STRETCHES) {
        size_t moved = 0;
        status = move_stretch(store, stretch_at(&move, move.count), &moved, err);
        rows += moved;
        move.count++;
    }
    if (status == CM_OK)
        status = prune_log(store, &move, err);
    if (status == CM_OK)
        *ret_move = move;
    return status;
}

void cm_sqlite_requests_moved(struct cm_sqlite_store *store, const struct cm_sqlite_move *move)
{
    struct cm_sqlite_requests *requests = &store->requests;
    for (unsigned i = 0; i < move->count; i++)
        requests->moved_until[stretch_at(move, i)] = store->tally.last_request_log;
    requests->next_stretch = stretch_at(move, move->count);
    cm_answered_move(requests->answered, move->first_stretch, move->count);
}

bool cm_sqlite_requests_are_many(const struct cm_sqlite_store *store)
{
    int64_t all = store->tally.certificates + store->tally.refusals;
    int64_t most = all / INDEX_SHARE;
    most = most < RECENT_MIN ? RECENT_MIN : most > RECENT_MAX ? RECENT_MAX : most;
    return cm_answered_recent_count(store->requests.answered) >= (size_t)most;
}

/* -------------------------------------------------------------------- loading -- */

/* True when there is a row; else *status says whether that was the end or an error. */
static bool next_row(sqlite3 *db, sqlite3_stmt *row, cm_status *status, struct cm_error *err)
{
    int code = sqlite3_step(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        *status = cm_sqlite_fail(db, code, "read the log of requests", err);
    return code == SQLITE_ROW;
}

/* The first of those that are furthest behind: a move takes them in the order of the ring. */
static unsigned find_next(const int64_t *moved_until)
{
    unsigned next = 0;
    for (unsigned i = 0; i < CM_ANSWERED_STRETCHES; i++) {
        int64_t before = moved_until[(i + CM_ANSWERED_STRETCHES - 1) % CM_ANSWERED_STRETCHES];
        if (moved_until[i] < moved_until[next]
            || (moved_until[i] == moved_until[next] && before > moved_until[i]))
            next = i;
    }
    return next;
}

static cm_status load_marks(struct cm_sqlite_store *store, sqlite3_stmt *row, struct cm_error *err)
{
    struct cm_sqlite_requests *requests = &store->requests;
    cm_status status = CM_OK;
    while (next_row(store->db, row, &status, err))
        requests->moved_until[sqlite3_column_int64(row, 0) % CM_ANSWERED_STRETCHES] =
            sqlite3_column_int64(row, 1);
    requests->next_stretch = find_next(requests->moved_until);
    return status;
}

static cm_status load_index(struct cm_sqlite_store *store, sqlite3_stmt *row, int64_t *ret_count,
                            struct cm_error *err)
{
    struct cm_request_key key;
    cm_status status = CM_OK;
    *ret_count = 0;
    while (status == CM_OK && next_row(store->db, row, &status, err))
        if (cm_sqlite_column_exactly(row, 0, key.octets, sizeof key.octets)) {
            cm_answered_note_indexed(store->requests.answered, &key);
            ++*ret_count;
        } else
            status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                             "the store is damaged: a request has no key");
    return status;
}

static bool load_row(struct cm_sqlite_requests *requests, int64_t number, struct cm_bytes items)
{
    for (size_t at = 0; at + ITEM_SIZE <= items.size; at += ITEM_SIZE) {
        struct cm_answered_item item = read_item(items.data + at);
        if (item.answer == 0)
            return false;
        if (number > requests->moved_until[item.key.octets[0]]
            && !cm_answered_add(requests->answered, &item))
            return false;
    }
    return items.size % ITEM_SIZE == 0;
}

static cm_status load_log(struct cm_sqlite_store *store, sqlite3_stmt *row, struct cm_error *err)
{
    cm_status status = CM_OK;
    while (status == CM_OK && next_row(store->db, row, &status, err))
        if (!load_row(&store->requests, sqlite3_column_int64(row, 0),
                      cm_sqlite_column_bytes(row, 1)))
            status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                             "the store is damaged: its log of requests holds what cannot be");
    cm_answered_settle(store->requests.answered);
    return status;
}

/* A certificate or a refusal without its request's key would let that request be answered twice. */
static cm_status check_count(const struct cm_sqlite_store *store, int64_t indexed_count,
                             struct cm_error *err)
{
    int64_t known = indexed_count + (int64_t)cm_answered_recent_count(store->requests.answered);
    int64_t answered = store->tally.certificates + store->tally.refusals;
    if (known == answered)
        return CM_OK;
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                   "the store is damaged: it knows %lld requests of %lld certificates and refusals",
                   (long long)known, (long long)answered);
}

cm_status cm_sqlite_requests_load(struct cm_sqlite_store *store, struct cm_error *err)
{
    static const char *const sql[] = { "SELECT stretch, moved_until FROM request_stretch",
                                       "SELECT key FROM request",
                                       "SELECT number, items FROM request_log ORDER BY number" };
    sqlite3_stmt *rows[3] = { NULL, NULL, NULL };
    int64_t indexed_count = 0;
    store->requests.answered = cm_answered_new();
    if (!store->requests.answered)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for answered requests");
    cm_status status = cm_sqlite_prepare(store->db, sql, 3, rows, err);
    if (status == CM_OK)
        status = load_marks(store, rows[0], err);
    if (status == CM_OK)
        status = load_index(store, rows[1], &indexed_count, err);
    if (status == CM_OK)
        status = load_log(store, rows[2], err);
    if (status == CM_OK)
        status = check_count(store, indexed_count, err);
    cm_sqlite_finalize(rows, 3);
    return status;
}

void cm_sqlite_requests_done(struct cm_sqlite_store *store)
{
    cm_answered_free(store->requests.answered);
    free(store->requests.log);
}

/* ------------------------------------------------- without a writer in this process -- */

bool cm_sqlite_log_find(struct cm_bytes items, const struct cm_request_key *key,
                        int64_t *ret_answer)
{
    for (size_t at = 0; at + ITEM_SIZE <= items.size; at += ITEM_SIZE)
        if (memcmp(items.data + at, key->octets, sizeof key->octets) == 0) {
            *ret_answer = read_item(items.data + at).answer;
            return true;
        }
    return false;
}
