#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

#include "engine/base/clock.h"

/* ------------------------------------------------------------------ serials -- */

/* Fails with EXISTS when the number stands in the table that the statement looks at. */
static cm_status refuse_number(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                               cm_certificate_number number, struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    sqlite3_bind_int64(store->statements[change], 1, number);
    cm_status status = cm_sqlite_look_up(store, change, &found, values, err);
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

/* ------------------------------------------------------------------ records -- */

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
    sqlite3_bind_int64(certificate, 8, cm_sqlite_next_audit(store));
    cm_status status = cm_sqlite_step(store, CM_SQLITE_CERTIFICATE, "record a certificate", err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(der, 1, number);
    cm_sqlite_bind_bytes(der, 2, row->der);
    return cm_sqlite_step(store, CM_SQLITE_DER, "record a certificate's content", err);
}

/* The device is on the list, or was put there just now; status: whether it is allowed. */
static cm_status judge_device(const struct cm_sqlite_store *store, struct cm_certificate_row *row,
                              int64_t device, cm_status status, struct cm_error *err)
{
    row->denial = status == CM_DENIED ? CM_DENIAL_STATE : CM_DENIAL_NONE;
    if (status != CM_OK || !cm_sqlite_was_revoked(store, device, cm_serial_number(&row->serial)))
        return status;
    row->denial = CM_DENIAL_REVOKED;
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "store: a device was revoked meanwhile");
}

static cm_status judge_issuer(struct cm_sqlite_store *store, struct cm_certificate_row *row,
                              struct cm_error *err)
{
    cm_status status = cm_sqlite_require_sound(store, row->generation_number, err);
    if (status == CM_DENIED)
        row->denial = CM_DENIAL_ISSUER;
    return status;
}

static cm_status record_certificate(struct cm_sqlite_store *store, struct cm_certificate_row *row,
                                    struct cm_error *err)
{
    struct cm_sqlite_tally *tally = &store->tally;
    cm_certificate_number number = cm_serial_number(&row->serial);
    int64_t device = row->device_number;
    cm_status status = CM_OK;
    if (number <= tally->last_abandoned)
        status = refuse_number(store, CM_SQLITE_FIND_ABANDONED, number, err);
    if (status == CM_OK)
        status = device == 0 ? cm_sqlite_enroll_device(store, row, &device, err)
                             : cm_sqlite_require_allowed(store, device, err);
    status = judge_device(store, row, device, status, err);
    if (status == CM_OK)
        status = judge_issuer(store, row, err);
    if (status == CM_OK)
        status = insert_certificate(store, row, number, device, err);
    if (status == CM_OK)
        status = cm_sqlite_record_request(store, &row->key, number, err);
    if (status == CM_OK)
        status = cm_sqlite_list_certificate(
            store, &(struct cm_sqlite_listed){ .device = device, .certificate = number }, err);
    if (status != CM_OK)
        return status;
    tally->certificates++;
    tally->last_certificate = cm_sqlite_max(tally->last_certificate, number);
    tally->last_number = cm_sqlite_max(tally->last_number, number);
    return CM_OK;
}

cm_status cm_sqlite_record_answer(struct cm_sqlite_store *store, const struct cm_request_key *key,
                                  const struct cm_request_digest *digest, const char *code,
                                  const char *message, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_REFUSAL];
    int64_t number = store->tally.refusals + 1; /* refusals are never removed */
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_blob(statement, 2, digest->octets, sizeof digest->octets);
    cm_sqlite_bind_text(statement, 3, cm_bytes_str(code));
    cm_sqlite_bind_text(statement, 4, cm_bytes_str(message));
    cm_status status = cm_sqlite_step(store, CM_SQLITE_REFUSAL, "record a refusal", err);
    if (status == CM_OK)
        status = cm_sqlite_record_request(store, key, -number, err);
    if (status == CM_OK)
        store->tally.refusals = number;
    return status;
}

static cm_status record_refusal(struct cm_sqlite_store *store, const struct cm_refusal_row *row,
                                struct cm_error *err)
{
    return cm_sqlite_record_answer(store, &row->key, &row->digest, cm_refusal_name(row->code),
                                   row->message, err);
}

/* Whoever holds a certificate with this serial, if there is one: it is not good. */
static cm_status revoke_abandoned(struct cm_sqlite_store *store, const struct cm_abandoned_row *row,
                                  struct cm_error *err)
{
    const struct cm_revocation revocation = {
        .generation_number = row->generation_number,
        .serial = cm_serial_content(&row->serial),
        .reason = CM_REASON_UNSPECIFIED,
        .revoked_s = cm_clock_wall_s(),
        .not_after_s = row->not_after_s > 0 ? row->not_after_s : cm_sqlite_end_of_time_s,
    };
    bool changed;
    return cm_sqlite_revoke(store, &revocation, false, &changed, err);
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
    sqlite3_bind_int64(statement, 4, cm_sqlite_next_audit(store));
    status = cm_sqlite_step(store, CM_SQLITE_ABANDONED, "abandon a serial", err);
    if (status == CM_OK)
        status = revoke_abandoned(store, row, err);
    if (status != CM_OK)
        return status;
    tally->abandoned++;
    tally->last_abandoned = cm_sqlite_max(tally->last_abandoned, number);
    tally->last_certificate = cm_sqlite_max(tally->last_certificate, number);
    tally->last_number = cm_sqlite_max(tally->last_number, number);
    return CM_OK;
}

static cm_status record_usage(struct cm_sqlite_store *store, const struct cm_usage_row *row,
                              struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_USAGE];
    sqlite3_bind_int64(statement, 1, row->period);
    cm_sqlite_bind_text(statement, 2, row->name);
    sqlite3_bind_int64(statement, 3, row->count);
    return cm_sqlite_step(store, CM_SQLITE_USAGE, "add to a quota's use", err);
}

static cm_status close_intent(struct cm_sqlite_store *store, int64_t number, struct cm_error *err)
{
    sqlite3_bind_int64(store->statements[CM_SQLITE_INTENT_CLOSE], 1, number);
    return cm_sqlite_step(store, CM_SQLITE_INTENT_CLOSE, "close an intent", err);
}

/* Of the rest: they are not recorded either, but who is denied is told at once, but for devices that would
 * have to be put on the list to be known. */
static void look_for_denials(struct cm_sqlite_store *store, struct cm_certificate_row *rows,
                             uint32_t count)
{
    struct cm_error ignored;
    for (uint32_t i = 0; i < count; i++) {
        int64_t device = rows[i].device_number;
        cm_status status = device == 0 ? CM_OK : cm_sqlite_require_allowed(store, device, &ignored);
        status = judge_device(store, &rows[i], device, status, &ignored);
        if (status == CM_OK)
            (void)!judge_issuer(store, &rows[i], &ignored);
    }
}

/* Who is denied is told: the caller may do without them. */
static cm_status record_certificates(struct cm_sqlite_store *store, struct cm_store_op *op,
                                     struct cm_error *err)
{
    for (uint32_t i = 0; i < op->certificates_count; i++) {
        struct cm_certificate_row *row = &op->certificates[i];
        row->denial = CM_DENIAL_NONE;
        cm_status status = record_certificate(store, row, err);
        if (status == CM_DENIED)
            look_for_denials(store, row + 1, op->certificates_count - i - 1);
        if (status != CM_OK)
            return status;
    }
    return CM_OK;
}

cm_status cm_sqlite_change_record(struct cm_sqlite_store *store, struct cm_store_op *op,
                                  struct cm_error *err)
{
    cm_status status = CM_OK;
    cm_sqlite_requests_begin(store);
    cm_sqlite_listing_begin(store);
    for (uint32_t i = 0; status == CM_OK && i < op->orders_count; i++)
        status = cm_sqlite_carry_out_order(store, &op->orders[i], err);
    if (status == CM_OK)
        status = record_certificates(store, op, err);
    if (status == CM_OK)
        status = cm_sqlite_record_ranges(store, op->certificates, op->certificates_count, err);
    for (uint32_t i = 0; status == CM_OK && i < op->refusals_count; i++)
        status = record_refusal(store, &op->refusals[i], err);
    if (status == CM_OK)
        status = cm_sqlite_requests_end(store, err);
    if (status == CM_OK)
        status = cm_sqlite_listing_end(store, err);
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
        store->tally.last_number = cm_sqlite_max(store->tally.last_number, number);
    }
    return CM_OK;
}

cm_status cm_sqlite_change_intent(struct cm_sqlite_store *store, struct cm_intent *intent,
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
    store->tally.last_time_ms = cm_sqlite_max(store->tally.last_time_ms, intent->created_ms);
    sqlite3_bind_int64(statement, 1, intent->number);
    sqlite3_bind_int64(statement, 2, intent->created_ms);
    sqlite3_bind_int64(statement, 3, intent->generation_number);
    cm_sqlite_bind_blob(statement, 4, store->scratch,
                        (size_t)intent->items_count * CM_SQLITE_ITEM_SIZE);
    return cm_sqlite_step(store, CM_SQLITE_INTENT, "record an intent", err);
}
