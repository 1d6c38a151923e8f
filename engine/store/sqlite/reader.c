#include "engine/store/sqlite/internal.h"

#include <assert.h>
#include <stdlib.h>

static const char *const lookup_sql[CM_SQLITE_LOOKUP_COUNT] = {
#define X(symbol, sql) [CM_SQLITE_##symbol] = sql,
    CM_SQLITE_LOOKUP_MAP(X)
#undef X
};

static struct cm_sqlite_reader *reader_of(struct cm_store_reader *base)
{
    return (struct cm_sqlite_reader *)base;
}

/* --------------------------------------------------------------------- life -- */

cm_status cm_sqlite_reader_open(struct cm_store *base, struct cm_store_reader **ret_reader,
                                struct cm_error *err)
{
    const struct cm_sqlite_store *store = (struct cm_sqlite_store *)base;
    struct cm_sqlite_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a reader");
    reader->base.ops = &cm_store_sqlite;
    reader->answered = store->requests.answered;
    cm_status status = cm_sqlite_connect(store->path, true, &reader->db, err);
    if (status == CM_OK)
        status =
            cm_sqlite_run(reader->db, "PRAGMA cache_size = -4096; PRAGMA query_only = ON", err);
    if (status == CM_OK)
        status = cm_sqlite_prepare(reader->db, lookup_sql, CM_SQLITE_LOOKUP_COUNT,
                                   reader->statements, err);
    if (status != CM_OK) {
        cm_sqlite_reader_close(&reader->base);
        return status;
    }
    *ret_reader = &reader->base;
    return CM_OK;
}

void cm_sqlite_reader_close(struct cm_store_reader *base)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    cm_sqlite_finalize(reader->statements, CM_SQLITE_LOOKUP_COUNT);
    sqlite3_close(reader->db);
    free(reader);
}

/* ---------------------------------------------------------------- snapshots -- */

/*
 * Steps a lookup that has been bound. NULL with *ret_status OK: no row. Whoever got a row resets
 * it with let_go when everything has been copied.
 */
static sqlite3_stmt *look_up(struct cm_sqlite_reader *reader, enum cm_sqlite_lookup lookup,
                             cm_status *ret_status, struct cm_error *err)
{
    sqlite3_stmt *statement = reader->statements[lookup];
    int code = sqlite3_step(statement);
    *ret_status = CM_OK;
    if (code == SQLITE_ROW)
        return statement;
    if (code != SQLITE_DONE)
        *ret_status = cm_sqlite_fail(reader->db, code, lookup_sql[lookup], err);
    sqlite3_reset(statement);
    return NULL;
}

static void let_go(sqlite3_stmt *row)
{
    sqlite3_reset(row);
}

cm_status cm_sqlite_reader_begin(struct cm_store_reader *base, struct cm_error *err)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    cm_status status;
    assert(!reader->in_snapshot);
    reader->has_lost_snapshot = false;
    if (reader->answered)
        reader->moves = cm_answered_moves(reader->answered);
    look_up(reader, CM_SQLITE_SNAPSHOT_BEGIN, &status, err);
    if (status != CM_OK)
        return status;
    reader->in_snapshot = true;
    /* SQLite takes the snapshot at the first read: this one. */
    sqlite3_stmt *row = look_up(reader, CM_SQLITE_PIN, &status, err);
    if (row)
        let_go(row);
    if (status != CM_OK)
        cm_sqlite_reader_end(base);
    return status;
}

void cm_sqlite_reader_end(struct cm_store_reader *base)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    struct cm_error ignored;
    cm_status status;
    reader->has_lost_snapshot = false;
    if (!reader->in_snapshot)
        return;
    look_up(reader, CM_SQLITE_SNAPSHOT_END, &status, &ignored);
    reader->in_snapshot = false;
}

/* Between begin and end there is none when it could not be renewed: that is the disk's fault. */
cm_status cm_sqlite_reader_is_whole(const struct cm_sqlite_reader *reader, struct cm_error *err)
{
    if (!reader->has_lost_snapshot)
        return CM_OK;
    return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the store's snapshot could not be renewed");
}

static cm_status need_snapshot(const struct cm_sqlite_reader *reader, struct cm_error *err)
{
    assert(reader->in_snapshot || reader->has_lost_snapshot);
    return cm_sqlite_reader_is_whole(reader, err);
}

static cm_status fail_row(const char *what, struct cm_error *err)
{
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the store is damaged: %s", what);
}

/* ------------------------------------------------------------------- recall -- */

static cm_status read_certificate(sqlite3_stmt *row, struct cm_arena *arena,
                                  struct cm_recall *recall, struct cm_error *err)
{
    if (!cm_sqlite_column_exactly(row, 0, recall->digest.octets, sizeof recall->digest.octets))
        return fail_row("a certificate has no digest of its request", err);
    recall->generation_number = sqlite3_column_int64(row, 2);
    recall->certificate = cm_arena_copy(arena, cm_sqlite_column_bytes(row, 4));
    return CM_OK;
}

static cm_status read_refusal(sqlite3_stmt *row, struct cm_arena *arena, struct cm_recall *recall,
                              struct cm_error *err)
{
    const char *code = (const char *)sqlite3_column_text(row, 1);
    const char *message = (const char *)sqlite3_column_text(row, 2);
    recall->is_order = code && strcmp(code, CM_SQLITE_CARRIED_OUT) == 0;
    recall->code = code ? cm_refusal_find(code) : CM_REFUSAL_NONE;
    if ((recall->code == CM_REFUSAL_NONE) != recall->is_order || !message
        || !cm_sqlite_column_exactly(row, 0, recall->digest.octets, sizeof recall->digest.octets))
        return fail_row("a refusal has a code that this program does not know", err);
    recall->message = cm_arena_printf(arena, "%s", message);
    return CM_OK;
}

/* The row that an answer names. known stays false where the snapshot does not have it. */
static cm_status read_answer(struct cm_sqlite_reader *reader, int64_t answer,
                             struct cm_arena *arena, struct cm_recall *recall, struct cm_error *err)
{
    bool issued = answer > 0;
    enum cm_sqlite_lookup lookup = issued ? CM_SQLITE_GET_CERTIFICATE : CM_SQLITE_GET_REFUSAL;
    cm_status status;
    sqlite3_bind_int64(reader->statements[lookup], 1, issued ? answer : -answer);
    sqlite3_stmt *row = look_up(reader, lookup, &status, err);
    if (!row)
        return status;
    recall->known = true;
    recall->number = issued ? answer : 0;
    status =
        issued ? read_certificate(row, arena, recall, err) : read_refusal(row, arena, recall, err);
    let_go(row);
    return status;
}

/* 0: the index does not have the key. */
static cm_status find_indexed(struct cm_sqlite_reader *reader, const struct cm_request_key *key,
                              int64_t *ret_answer, struct cm_error *err)
{
    cm_status status;
    cm_sqlite_bind_blob(reader->statements[CM_SQLITE_GET_REQUEST], 1, key->octets,
                        sizeof key->octets);
    sqlite3_stmt *row = look_up(reader, CM_SQLITE_GET_REQUEST, &status, err);
    *ret_answer = 0;
    if (row) {
        int64_t certificate = sqlite3_column_int64(row, 0);
        *ret_answer = certificate > 0 ? certificate : -sqlite3_column_int64(row, 1);
        let_go(row);
    }
    return status;
}

/* Slow, for a program beside the one that writes: reads through the whole log. */
static cm_status find_logged(struct cm_sqlite_reader *reader, const struct cm_request_key *key,
                             int64_t *ret_answer, struct cm_error *err)
{
    cm_status status;
    sqlite3_stmt *row;
    bool found = false;
    while (!found && (row = look_up(reader, CM_SQLITE_LOGGED_REQUESTS, &status, err)))
        found = cm_sqlite_log_find(cm_sqlite_column_bytes(row, 0), key, ret_answer);
    let_go(reader->statements[CM_SQLITE_LOGGED_REQUESTS]);
    return found ? CM_OK : status;
}

/* Where the answer stands: in memory, in the index, nowhere; in the log, for who has no writer. */
static cm_status find_answer(struct cm_sqlite_reader *reader, const struct cm_request_key *key,
                             int64_t *ret_answer, bool *ret_is_recent, struct cm_error *err)
{
    enum cm_answered_verdict verdict = CM_ANSWERED_PERHAPS;
    *ret_answer = 0;
    if (reader->answered)
        verdict = cm_answered_find(reader->answered, key, ret_answer);
    *ret_is_recent = verdict == CM_ANSWERED_LATELY;
    if (verdict != CM_ANSWERED_PERHAPS)
        return CM_OK;
    cm_status status = find_indexed(reader, key, ret_answer, err);
    if (status == CM_OK && *ret_answer == 0 && !reader->answered)
        status = find_logged(reader, key, ret_answer, err);
    return status;
}

/*
 * As cm_store_recall, from this snapshot. What memory has and the snapshot lacks came later. What
 * the index should have and lacks in this snapshot may have been moved after it was taken.
 */
static cm_status recall_once(struct cm_sqlite_reader *reader, const struct cm_request_key *key,
                             struct cm_arena *arena, struct cm_recall *recall,
                             bool *ret_may_have_moved, struct cm_error *err)
{
    int64_t answer;
    bool is_recent;
    cm_status status = find_answer(reader, key, &answer, &is_recent, err);
    if (status == CM_OK && answer != 0)
        status = read_answer(reader, answer, arena, recall, err);
    if (status == CM_OK && answer != 0 && !recall->known && !is_recent)
        return fail_row("an answered request has neither certificate nor refusal", err);
    *ret_may_have_moved =
        answer == 0 && reader->answered && cm_answered_moves(reader->answered) != reader->moves;
    return status;
}

static cm_status renew_snapshot(struct cm_sqlite_reader *reader, struct cm_error *err)
{
    cm_sqlite_reader_end(&reader->base);
    cm_status status = cm_sqlite_reader_begin(&reader->base, err);
    reader->has_lost_snapshot = status != CM_OK;
    return status;
}

cm_status cm_sqlite_recall(struct cm_store_reader *base, const struct cm_request_key *key,
                           struct cm_arena *arena, struct cm_recall *ret_recall,
                           struct cm_error *err)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    struct cm_recall recall = { .known = false };
    bool may_have_moved = false;
    cm_status status = need_snapshot(reader, err);
    if (status == CM_OK)
        status = recall_once(reader, key, arena, &recall, &may_have_moved, err);
    while (status == CM_OK && may_have_moved) {
        status = renew_snapshot(reader, err);
        if (status == CM_OK)
            status = recall_once(reader, key, arena, &recall, &may_have_moved, err);
    }
    if (status == CM_OK)
        *ret_recall = recall;
    return status;
}

/* ------------------------------------------------------------------ lookups -- */

bool cm_sqlite_read_device(sqlite3_stmt *row, struct cm_device *ret_device)
{
    const char *state = (const char *)sqlite3_column_text(row, 3);
    ret_device->number = sqlite3_column_int64(row, 0);
    ret_device->id = cm_sqlite_column_text(row, 1);
    ret_device->group = cm_sqlite_column_text(row, 2);
    ret_device->attributes = cm_sqlite_column_bytes(row, 4);
    return state && cm_device_state_find(state, &ret_device->state);
}

cm_status cm_sqlite_find_device(struct cm_store_reader *base, struct cm_bytes id,
                                struct cm_arena *arena, struct cm_device *ret_device,
                                struct cm_error *err)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    struct cm_device device = { .number = 0 };
    cm_status status = need_snapshot(reader, err);
    if (status != CM_OK)
        return status;
    cm_sqlite_bind_text(reader->statements[CM_SQLITE_GET_DEVICE], 1, id);
    sqlite3_stmt *row = look_up(reader, CM_SQLITE_GET_DEVICE, &status, err);
    if (row) {
        if (!cm_sqlite_read_device(row, &device))
            status = fail_row("a device has an unknown state", err);
        device.id = cm_arena_copy(arena, device.id);
        device.group = cm_arena_copy(arena, device.group);
        device.attributes = cm_arena_copy(arena, device.attributes);
        let_go(row);
    }
    if (status == CM_OK)
        *ret_device = device;
    return status;
}

cm_status cm_sqlite_find_certificate(struct cm_store_reader *base, cm_certificate_number number,
                                     struct cm_arena *arena, struct cm_certificate_found *ret_found,
                                     struct cm_error *err)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    struct cm_certificate_found found = { .number = 0 };
    cm_status status = need_snapshot(reader, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(reader->statements[CM_SQLITE_GET_CERTIFICATE], 1, number);
    sqlite3_stmt *row = look_up(reader, CM_SQLITE_GET_CERTIFICATE, &status, err);
    if (row) {
        found = (struct cm_certificate_found){
            .number = number,
            .device_number = sqlite3_column_int64(row, 1),
            .generation_number = sqlite3_column_int64(row, 2),
            .not_after = sqlite3_column_int64(row, 3),
            .der = cm_arena_copy(arena, cm_sqlite_column_bytes(row, 4)),
            .audit = sqlite3_column_int64(row, 5),
        };
        let_go(row);
    }
    if (status == CM_OK)
        *ret_found = found;
    return status;
}

cm_status cm_sqlite_find_issued(struct cm_store_reader *base, int64_t generation_number,
                                struct cm_bytes serial, enum cm_issued *ret_issued,
                                struct cm_error *err)
{
    struct cm_sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[CM_SQLITE_IS_ISSUED];
    enum cm_issued issued = CM_ISSUED_NEVER;
    struct cm_serial whole;
    cm_status status = cm_sqlite_reader_is_whole(reader, err);
    if (status == CM_OK && cm_serial_from_content(serial, &whole)) {
        sqlite3_bind_int64(statement, 1, cm_serial_number(&whole));
        cm_sqlite_bind_blob(statement, 2, whole.octets + 8, CM_SERIAL_SIZE - 8);
        cm_sqlite_bind_bytes(statement, 3, serial);
        sqlite3_bind_int64(statement, 4, generation_number);
        cm_sqlite_bind_blob(statement, 5, whole.octets, sizeof whole.octets);
        sqlite3_stmt *row = look_up(reader, CM_SQLITE_IS_ISSUED, &status, err);
        if (row) {
            issued = (enum cm_issued)sqlite3_column_int(row, 0);
            let_go(row);
        }
    }
    if (status == CM_OK)
        *ret_issued = issued;
    return status;
}

cm_status cm_sqlite_count(struct cm_store_reader *base, struct cm_store_counts *ret_counts,
                          struct cm_error *err)
{
    cm_status status;
    sqlite3_stmt *row = look_up(reader_of(base), CM_SQLITE_GET_TOTAL, &status, err);
    if (status != CM_OK)
        return status;
    if (!row)
        return fail_row("there are no totals", err);
    *ret_counts = (struct cm_store_counts){
        .devices = sqlite3_column_int64(row, 0),
        .certificates = sqlite3_column_int64(row, 1),
        .refusals = sqlite3_column_int64(row, 2) - sqlite3_column_int64(row, 8),
        .abandoned = sqlite3_column_int64(row, 3),
        .audit_rows = sqlite3_column_int64(row, 4),
        .last_number = sqlite3_column_int64(row, 5),
        .last_time_ms = sqlite3_column_int64(row, 6),
        .open_intents = sqlite3_column_int64(row, 7),
        .revocations = sqlite3_column_int64(row, 9),
        .checkpoints = sqlite3_column_int64(row, 10),
    };
    let_go(row);
    return CM_OK;
}
