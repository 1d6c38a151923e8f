#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

#include "engine/base/clock.h"

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Runs a statement that returns no rows. */
static cm_status step(struct cm_sqlite_store *store, enum cm_sqlite_change change, const char *what,
                      struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[change];
    int code = sqlite3_step(statement);
    cm_status status = code == SQLITE_DONE ? CM_OK : cm_sqlite_fail(store->db, code, what, err);
    sqlite3_reset(statement);
    return status;
}

/* Runs a statement that returns one row of up to two integers, or none. */
static cm_status look_up(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                         bool *ret_found, int64_t ret_values[2], struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[change];
    cm_status status = CM_OK;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        ret_values[0] = sqlite3_column_int64(statement, 0);
        ret_values[1] = sqlite3_column_int64(statement, 1);
    } else if (code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "look up", err);
    *ret_found = code == SQLITE_ROW;
    sqlite3_reset(statement);
    return status;
}

/* Fails with EXISTS when the number stands in the table that the statement looks at. */
static cm_status refuse_number(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                               cm_certificate_number number, struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    sqlite3_bind_int64(store->statements[change], 1, number);
    cm_status status = look_up(store, change, &found, values, err);
    if (status == CM_OK && found)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "store: serial number %016llx is used already", (unsigned long long)number);
    return status;
}

/*
 * Numbers grow, so a new one is nearly always beyond all that are there, and no table has to be
 * asked; only what lies below the highest is looked up.
 */
static cm_status refuse_used_number(struct cm_sqlite_store *store, cm_certificate_number number,
                                    struct cm_error *err)
{
    cm_status status = CM_OK;
    if (number <= store->tally.last_certificate)
        status = refuse_number(store, CM_SQLITE_FIND_CERTIFICATE, number, err);
    if (status == CM_OK && number <= store->tally.last_abandoned)
        status = refuse_number(store, CM_SQLITE_FIND_ABANDONED, number, err);
    return status;
}

/* ------------------------------------------------------------------ devices -- */

static cm_status find_or_add_group(struct cm_sqlite_store *store, struct cm_bytes name,
                                   int64_t *ret_number, struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_GROUP], 1, name);
    cm_status status = look_up(store, CM_SQLITE_FIND_GROUP, &found, values, err);
    if (status != CM_OK)
        return status;
    if (!found) {
        cm_sqlite_bind_text(store->statements[CM_SQLITE_GROUP], 1, name);
        status = step(store, CM_SQLITE_GROUP, "add a group", err);
        values[0] = sqlite3_last_insert_rowid(store->db);
    }
    if (status == CM_OK)
        *ret_number = values[0];
    return status;
}

static void bind_device(sqlite3_stmt *statement, const struct cm_device_row *row, int64_t group)
{
    cm_sqlite_bind_text(statement, 1, row->id);
    sqlite3_bind_int64(statement, 2, group);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(cm_device_state_name(row->state)));
    cm_sqlite_bind_bytes(statement, 4, row->attributes);
}

/* Adds the device unless its id is there. */
static cm_status add_device(struct cm_sqlite_store *store, const struct cm_device_row *row,
                            int64_t group, bool *ret_added, struct cm_error *err)
{
    bind_device(store->statements[CM_SQLITE_DEVICE], row, group);
    cm_status status = step(store, CM_SQLITE_DEVICE, "add a device", err);
    if (status != CM_OK)
        return status;
    *ret_added = sqlite3_changes(store->db) > 0;
    if (*ret_added)
        store->tally.devices++;
    return CM_OK;
}

static cm_status change_device(struct cm_sqlite_store *store, const struct cm_device_row *row,
                               bool *ret_changed, struct cm_error *err)
{
    int64_t group = 0;
    bool changed = false;
    cm_status status = find_or_add_group(store, row->group, &group, err);
    if (status == CM_OK)
        status = add_device(store, row, group, &changed, err);
    if (status == CM_OK && !changed && row->replace) {
        bind_device(store->statements[CM_SQLITE_DEVICE_REPLACE], row, group);
        status = step(store, CM_SQLITE_DEVICE_REPLACE, "replace a device", err);
        changed = true;
    }
    if (status == CM_OK)
        *ret_changed = changed;
    return status;
}

static cm_status change_devices(struct cm_sqlite_store *store, struct cm_store_op *op,
                                struct cm_error *err)
{
    cm_status status = CM_OK;
    op->devices_changed = 0; /* this may be the second attempt */
    for (uint32_t i = 0; status == CM_OK && i < op->devices_count; i++) {
        bool changed = false;
        status = change_device(store, &op->devices[i], &changed, err);
        op->devices_changed += changed;
    }
    return status;
}

/*
 * The device of a request that registers it. Two requests of one batch may name the same new
 * device; but one that was put on the list otherwise meanwhile must be allowed.
 */
static cm_status enroll_device(struct cm_sqlite_store *store, const struct cm_certificate_row *row,
                               int64_t *ret_number, struct cm_error *err)
{
    const struct cm_device_row device = { .id = row->enroll_device,
                                          .group = row->enroll_group,
                                          .state = CM_DEVICE_ALLOWED };
    bool found = false;
    int64_t values[2];
    bool changed;
    cm_status status = change_device(store, &device, &changed, err);
    if (status != CM_OK)
        return status;
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_DEVICE], 1, device.id);
    status = look_up(store, CM_SQLITE_FIND_DEVICE, &found, values, err);
    if (status != CM_OK)
        return status;
    if (!found || !values[1])
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "store: the device to enroll is on the list and not allowed");
    *ret_number = values[0];
    return CM_OK;
}

/* ------------------------------------------------------------------ records -- */

/* What stands in request_recent, its own primary key refuses; what was moved has to be asked for. */
static cm_status refuse_known_request(struct cm_sqlite_store *store,
                                      const struct cm_request_key *key, struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    cm_sqlite_bind_blob(store->statements[CM_SQLITE_FIND_REQUEST], 1, key->octets,
                        sizeof key->octets);
    cm_status status = look_up(store, CM_SQLITE_FIND_REQUEST, &found, values, err);
    if (status == CM_OK && found)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "store: a request is answered already");
    return status;
}

static cm_status record_request(struct cm_sqlite_store *store, const struct cm_request_key *key,
                                int64_t certificate, int64_t refusal, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_REQUEST];
    cm_status status = refuse_known_request(store, key, err);
    if (status != CM_OK)
        return status;
    cm_sqlite_bind_blob(statement, 1, key->octets, sizeof key->octets);
    if (certificate) {
        sqlite3_bind_int64(statement, 2, certificate);
        sqlite3_bind_null(statement, 3);
    } else {
        sqlite3_bind_null(statement, 2);
        sqlite3_bind_int64(statement, 3, refusal);
    }
    store->tally.recent_requests++;
    return step(store, CM_SQLITE_REQUEST, "record a request", err);
}

static void bind_stretch(sqlite3_stmt *statement, const uint8_t *low, const uint8_t *high)
{
    cm_sqlite_bind_blob(statement, 1, low, 16);
    cm_sqlite_bind_blob(statement, 2, high, 16);
}

cm_status cm_sqlite_move_requests(struct cm_sqlite_store *store, struct cm_error *err)
{
    const unsigned width = 256 / CM_SQLITE_STRETCHES; /* of the key's first octet */
    uint8_t low[16] = { 0 }, high[16];
    memset(high, 0xff, sizeof high);
    low[0] = (uint8_t)(store->next_stretch * width);
    high[0] = (uint8_t)(low[0] + width - 1);
    store->next_stretch = (store->next_stretch + 1) % CM_SQLITE_STRETCHES;
    bind_stretch(store->statements[CM_SQLITE_MOVE_REQUESTS], low, high);
    bind_stretch(store->statements[CM_SQLITE_FORGET_RECENT], low, high);
    cm_status status = step(store, CM_SQLITE_MOVE_REQUESTS, "move requests", err);
    if (status == CM_OK)
        status = step(store, CM_SQLITE_FORGET_RECENT, "move requests", err);
    if (status == CM_OK)
        store->tally.recent_requests -= sqlite3_changes(store->db);
    return status;
}

static cm_status insert_certificate(struct cm_sqlite_store *store,
                                    const struct cm_certificate_row *row,
                                    cm_certificate_number number, int64_t device,
                                    struct cm_error *err)
{
    sqlite3_stmt *certificate = store->statements[CM_SQLITE_CERTIFICATE];
    sqlite3_stmt *der = store->statements[CM_SQLITE_DER];
    sqlite3_bind_int64(certificate, 1, number);
    cm_sqlite_bind_blob(certificate, 2, row->serial.octets + 8, CM_SERIAL_SIZE - 8);
    cm_sqlite_bind_blob(certificate, 3, row->digest.octets, sizeof row->digest.octets);
    sqlite3_bind_int64(certificate, 4, device);
    sqlite3_bind_int64(certificate, 5, row->generation_number);
    sqlite3_bind_int64(certificate, 6, (int64_t)row->key_fingerprint);
    sqlite3_bind_int64(certificate, 7, row->not_after);
    cm_status status = step(store, CM_SQLITE_CERTIFICATE, "record a certificate", err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(der, 1, number);
    cm_sqlite_bind_bytes(der, 2, row->der);
    return step(store, CM_SQLITE_DER, "record a certificate's content", err);
}

static cm_status record_certificate(struct cm_sqlite_store *store,
                                    const struct cm_certificate_row *row, struct cm_error *err)
{
    struct cm_sqlite_tally *tally = &store->tally;
    cm_certificate_number number = cm_serial_number(&row->serial);
    int64_t device = row->device_number;
    cm_status status = CM_OK;
    if (number <= tally->last_abandoned)
        status = refuse_number(store, CM_SQLITE_FIND_ABANDONED, number, err);
    if (status == CM_OK && device == 0)
        status = enroll_device(store, row, &device, err);
    if (status == CM_OK)
        status = insert_certificate(store, row, number, device, err);
    if (status == CM_OK)
        status = record_request(store, &row->key, number, 0, err);
    if (status != CM_OK)
        return status;
    tally->certificates++;
    tally->last_certificate = max_of(tally->last_certificate, number);
    tally->last_number = max_of(tally->last_number, number);
    return CM_OK;
}

static cm_status record_refusal(struct cm_sqlite_store *store, const struct cm_refusal_row *row,
                                struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_REFUSAL];
    int64_t number = store->tally.refusals + 1; /* refusals are never removed */
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_blob(statement, 2, row->digest.octets, sizeof row->digest.octets);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(cm_refusal_name(row->code)));
    cm_sqlite_bind_text(statement, 4, cm_bytes_str(row->message));
    cm_status status = step(store, CM_SQLITE_REFUSAL, "record a refusal", err);
    if (status == CM_OK)
        status = record_request(store, &row->key, 0, number, err);
    if (status == CM_OK)
        store->tally.refusals = number;
    return status;
}

static cm_status record_abandoned(struct cm_sqlite_store *store, const struct cm_abandoned_row *row,
                                  struct cm_error *err)
{
    struct cm_sqlite_tally *tally = &store->tally;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_ABANDONED];
    cm_certificate_number number = cm_serial_number(&row->serial);
    cm_status status = refuse_used_number(store, number, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_blob(statement, 2, row->serial.octets + 8, CM_SERIAL_SIZE - 8);
    sqlite3_bind_int64(statement, 3, row->generation_number);
    status = step(store, CM_SQLITE_ABANDONED, "abandon a serial", err);
    if (status != CM_OK)
        return status;
    tally->abandoned++;
    tally->last_abandoned = max_of(tally->last_abandoned, number);
    tally->last_certificate = max_of(tally->last_certificate, number);
    tally->last_number = max_of(tally->last_number, number);
    return CM_OK;
}

static cm_status record_usage(struct cm_sqlite_store *store, const struct cm_usage_row *row,
                              struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_USAGE];
    sqlite3_bind_int64(statement, 1, row->period);
    cm_sqlite_bind_text(statement, 2, row->name);
    sqlite3_bind_int64(statement, 3, row->count);
    return step(store, CM_SQLITE_USAGE, "add to a quota's use", err);
}

static cm_status close_intent(struct cm_sqlite_store *store, int64_t number, struct cm_error *err)
{
    sqlite3_bind_int64(store->statements[CM_SQLITE_INTENT_CLOSE], 1, number);
    return step(store, CM_SQLITE_INTENT_CLOSE, "close an intent", err);
}

static cm_status change_record(struct cm_sqlite_store *store, const struct cm_store_op *op,
                               struct cm_error *err)
{
    cm_status status = CM_OK;
    for (uint32_t i = 0; status == CM_OK && i < op->certificates_count; i++)
        status = record_certificate(store, &op->certificates[i], err);
    for (uint32_t i = 0; status == CM_OK && i < op->refusals_count; i++)
        status = record_refusal(store, &op->refusals[i], err);
    for (uint32_t i = 0; status == CM_OK && i < op->abandoned_count; i++)
        status = record_abandoned(store, &op->abandoned[i], err);
    for (uint32_t i = 0; status == CM_OK && i < op->usage_count; i++)
        status = record_usage(store, &op->usage[i], err);
    for (uint32_t i = 0; status == CM_OK && i < op->intents_closed_count; i++)
        status = close_intent(store, op->intents_closed[i], err);
    return status;
}

/* ------------------------------------------------------------------ intents -- */

static cm_status encode_items(struct cm_sqlite_store *store, const struct cm_intent *intent,
                              struct cm_error *err)
{
    size_t size = (size_t)intent->items_count * CM_SQLITE_ITEM_SIZE;
    if (size > store->scratch_size) {
        uint8_t *larger = realloc(store->scratch, size);
        if (!larger)
            return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an intent");
        store->scratch = larger;
        store->scratch_size = size;
    }
    uint8_t *octets = store->scratch;
    for (uint32_t i = 0; i < intent->items_count; i++) {
        const struct cm_intent_item *item = &intent->items[i];
        memcpy(octets, item->key.octets, 16);
        memcpy(octets + 16, item->serial.octets, CM_SERIAL_SIZE);
        memcpy(octets + 16 + CM_SERIAL_SIZE, item->tbs_hash, CM_HASH_SIZE);
        octets += CM_SQLITE_ITEM_SIZE;
    }
    return CM_OK;
}

static cm_status promise_numbers(struct cm_sqlite_store *store, const struct cm_intent *intent,
                                 struct cm_error *err)
{
    for (uint32_t i = 0; i < intent->items_count; i++) {
        cm_certificate_number number = cm_serial_number(&intent->items[i].serial);
        cm_status status = refuse_used_number(store, number, err);
        if (status != CM_OK)
            return status;
        store->tally.last_number = max_of(store->tally.last_number, number);
    }
    return CM_OK;
}

static cm_status change_intent(struct cm_sqlite_store *store, struct cm_intent *intent,
                               struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_INTENT];
    cm_status status = promise_numbers(store, intent, err);
    if (status == CM_OK)
        status = encode_items(store, intent, err);
    if (status != CM_OK)
        return status;
    /* Counted here and not by SQLite: the number of a closed intent must not come back. */
    intent->number = ++store->tally.last_intent;
    store->tally.last_time_ms = max_of(store->tally.last_time_ms, intent->created_ms);
    sqlite3_bind_int64(statement, 1, intent->number);
    sqlite3_bind_int64(statement, 2, intent->created_ms);
    sqlite3_bind_int64(statement, 3, intent->generation_number);
    cm_sqlite_bind_blob(statement, 4, store->scratch,
                        (size_t)intent->items_count * CM_SQLITE_ITEM_SIZE);
    return step(store, CM_SQLITE_INTENT, "record an intent", err);
}

/* -------------------------------------------------------------- generations -- */

static cm_status change_generation(struct cm_sqlite_store *store, struct cm_generation *generation,
                                   struct cm_error *err)
{
    bool is_new = generation->number == 0;
    enum cm_sqlite_change change = is_new ? CM_SQLITE_GENERATION : CM_SQLITE_GENERATION_REPLACE;
    sqlite3_stmt *statement = store->statements[change];
    cm_sqlite_bind_text(statement, 1, generation->authority);
    sqlite3_bind_int64(statement, 2, generation->generation);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(cm_generation_state_name(generation->state)));
    cm_sqlite_bind_text(statement, 4, generation->provider);
    cm_sqlite_bind_text(statement, 5, generation->key);
    cm_sqlite_bind_text(statement, 6, generation->sigalg);
    cm_sqlite_bind_bytes(statement, 7, generation->certificate);
    cm_sqlite_bind_text(statement, 8, generation->chain);
    sqlite3_bind_int64(statement, 9, generation->created_ms);
    if (!is_new)
        sqlite3_bind_int64(statement, 10, generation->number);
    cm_status status = step(store, change, "record a generation", err);
    store->generation_added = sqlite3_last_insert_rowid(store->db);
    if (status == CM_OK && !is_new && sqlite3_changes(store->db) == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "store: no generation has number %lld",
                       (long long)generation->number);
    return status;
}

/* -------------------------------------------------------------------- audit -- */

static cm_status append_audit(struct cm_sqlite_store *store, const struct cm_audit_event *event,
                              struct cm_error *err)
{
    struct cm_sqlite_tally *tally = &store->tally;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_AUDIT];
    struct cm_audit_row row = { .number = tally->audit_rows + 1,
                                .time_ms = cm_clock_wall_ms(),
                                .kind = event->kind,
                                .actor = event->actor,
                                .detail = event->detail };
    memcpy(row.digest, event->digest, CM_HASH_SIZE);
    memcpy(row.previous, tally->audit_hash, CM_HASH_SIZE);
    cm_audit_hash(&row, row.hash);
    sqlite3_bind_int64(statement, 1, row.number);
    sqlite3_bind_int64(statement, 2, row.time_ms);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(row.kind));
    cm_sqlite_bind_text(statement, 4, row.actor);
    cm_sqlite_bind_text(statement, 5, row.detail);
    cm_sqlite_bind_blob(statement, 6, row.digest, CM_HASH_SIZE);
    cm_sqlite_bind_blob(statement, 7, row.previous, CM_HASH_SIZE);
    cm_sqlite_bind_blob(statement, 8, row.hash, CM_HASH_SIZE);
    cm_status status = step(store, CM_SQLITE_AUDIT, "append to the audit log", err);
    if (status != CM_OK)
        return status;
    tally->audit_rows = row.number;
    tally->last_time_ms = max_of(tally->last_time_ms, row.time_ms);
    memcpy(tally->audit_hash, row.hash, CM_HASH_SIZE);
    return CM_OK;
}

/* -------------------------------------------------------------------- whole -- */

static cm_status change_by_kind(struct cm_sqlite_store *store, struct cm_store_op *op,
                                struct cm_error *err)
{
    switch (op->kind) {
    case CM_STORE_INTENT:
        return change_intent(store, op->intent, err);
    case CM_STORE_RECORD:
        return change_record(store, op, err);
    case CM_STORE_DEVICES:
        return change_devices(store, op, err);
    case CM_STORE_GENERATION:
        return change_generation(store, op->generation, err);
    }
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, op->kind, "store: no such kind of operation");
}

cm_status cm_sqlite_change(struct cm_sqlite_store *store, struct cm_store_op *op,
                           struct cm_error *err)
{
    cm_status status = change_by_kind(store, op, err);
    if (status == CM_OK && op->audit)
        status = append_audit(store, op->audit, err);
    return status;
}

cm_status cm_sqlite_change_total(struct cm_sqlite_store *store, struct cm_error *err)
{
    const struct cm_sqlite_tally *tally = &store->tally;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_TOTAL];
    sqlite3_bind_int64(statement, 1, tally->devices);
    sqlite3_bind_int64(statement, 2, tally->certificates);
    sqlite3_bind_int64(statement, 3, tally->refusals);
    sqlite3_bind_int64(statement, 4, tally->abandoned);
    sqlite3_bind_int64(statement, 5, tally->audit_rows);
    sqlite3_bind_int64(statement, 6, tally->last_number);
    sqlite3_bind_int64(statement, 7, tally->last_time_ms);
    return step(store, CM_SQLITE_TOTAL, "keep the totals", err);
}
