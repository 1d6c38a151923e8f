#include "engine/store/sqlite/internal.h"

#include <stdlib.h>

/*
 * Walks are rare and long: their statements are made when they are wanted. Each statement is a
 * snapshot by itself, inside begin and end that of the reader.
 */
struct walk {
    sqlite3 *db;
    sqlite3_stmt *row;
    const char *sql;
};

static cm_status open_walk(struct cm_store_reader *base, const char *sql, struct walk *ret_walk,
                           struct cm_error *err)
{
    *ret_walk = (struct walk){ .db = ((struct cm_sqlite_reader *)base)->db, .sql = sql };
    int code = sqlite3_prepare_v2(ret_walk->db, sql, -1, &ret_walk->row, NULL);
    return code == SQLITE_OK ? CM_OK : cm_sqlite_fail(ret_walk->db, code, sql, err);
}

/* True when there is a row; else *status says whether that was the end or an error. */
static bool next_row(struct walk *walk, cm_status *status, struct cm_error *err)
{
    int code = sqlite3_step(walk->row);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        *status = cm_sqlite_fail(walk->db, code, walk->sql, err);
    return false;
}

static cm_status close_walk(struct walk *walk, cm_status status)
{
    sqlite3_finalize(walk->row);
    return status;
}

static cm_status fail_row(const char *what, struct cm_error *err)
{
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the store is damaged: %s", what);
}

cm_status cm_sqlite_walk_devices(struct cm_store_reader *base, struct cm_bytes group,
                                 cm_device_walk_fn *visit, void *arg, struct cm_error *err)
{
    static const char all[] = "SELECT " CM_SQLITE_DEVICE_COLUMNS " ORDER BY device.number";
    static const char some[] =
        "SELECT " CM_SQLITE_DEVICE_COLUMNS " WHERE device_group.name = ?1 ORDER BY device.number";
    struct walk walk;
    struct cm_device device;
    cm_status status = open_walk(base, group.size > 0 ? some : all, &walk, err);
    if (status == CM_OK && group.size > 0)
        cm_sqlite_bind_text(walk.row, 1, group);
    while (status == CM_OK && next_row(&walk, &status, err)) {
        if (!cm_sqlite_read_device(walk.row, &device))
            status = fail_row("a device has an unknown state", err);
        else if (!visit(&device, arg))
            break;
    }
    return close_walk(&walk, status);
}

cm_status cm_sqlite_walk_keys(struct cm_store_reader *base, cm_key_walk_fn *visit, void *arg,
                              struct cm_error *err)
{
    struct walk walk;
    cm_status status = open_walk(
        base, "SELECT key_fingerprint, number FROM certificate ORDER BY number", &walk, err);
    while (status == CM_OK && next_row(&walk, &status, err))
        if (!visit((uint64_t)sqlite3_column_int64(walk.row, 0), sqlite3_column_int64(walk.row, 1),
                   arg))
            break;
    return close_walk(&walk, status);
}

/* ------------------------------------------------------------------ intents -- */

static void decode_item(const uint8_t *octets, struct cm_intent_item *ret_item)
{
    memcpy(ret_item->key.octets, octets, 16);
    memcpy(ret_item->serial.octets, octets + 16, CM_SERIAL_SIZE);
    memcpy(ret_item->tbs_hash, octets + 16 + CM_SERIAL_SIZE, CM_HASH_SIZE);
}

/* items is on the heap: the caller's to free. */
static cm_status read_intent(sqlite3_stmt *row, struct cm_intent *ret_intent, struct cm_error *err)
{
    struct cm_bytes octets = cm_sqlite_column_bytes(row, 3);
    size_t count = octets.size / CM_SQLITE_ITEM_SIZE;
    if (count == 0 || octets.size % CM_SQLITE_ITEM_SIZE != 0)
        return fail_row("an intent has a broken list of items", err);
    struct cm_intent_item *items = calloc(count, sizeof *items);
    if (!items)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an intent");
    for (size_t i = 0; i < count; i++)
        decode_item(octets.data + i * CM_SQLITE_ITEM_SIZE, &items[i]);
    *ret_intent = (struct cm_intent){ .number = sqlite3_column_int64(row, 0),
                                      .created_ms = sqlite3_column_int64(row, 1),
                                      .generation_number = sqlite3_column_int64(row, 2),
                                      .items = items,
                                      .items_count = (uint32_t)count };
    return CM_OK;
}

static cm_status has_number(struct cm_sqlite_reader *reader, enum cm_sqlite_lookup lookup,
                            cm_certificate_number number, bool *ret_has, struct cm_error *err)
{
    sqlite3_stmt *statement = reader->statements[lookup];
    sqlite3_bind_int64(statement, 1, number);
    int code = sqlite3_step(statement);
    cm_status status = CM_OK;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = cm_sqlite_fail(reader->db, code, "look up a serial", err);
    *ret_has = code == SQLITE_ROW;
    sqlite3_reset(statement);
    return status;
}

static cm_status visit_items(struct cm_sqlite_reader *reader, const struct cm_intent *intent,
                             cm_intent_walk_fn *visit, void *arg, bool *ret_go_on,
                             struct cm_error *err)
{
    *ret_go_on = true;
    for (uint32_t i = 0; *ret_go_on && i < intent->items_count; i++) {
        cm_certificate_number number = cm_serial_number(&intent->items[i].serial);
        bool is_settled = false;
        cm_status status = has_number(reader, CM_SQLITE_IS_CERTIFICATE, number, &is_settled, err);
        if (status == CM_OK && !is_settled)
            status = has_number(reader, CM_SQLITE_IS_ABANDONED, number, &is_settled, err);
        if (status != CM_OK)
            return status;
        if (!is_settled)
            *ret_go_on = visit(intent, &intent->items[i], arg);
    }
    return CM_OK;
}

cm_status cm_sqlite_walk_open_intents(struct cm_store_reader *base, cm_intent_walk_fn *visit,
                                      void *arg, struct cm_error *err)
{
    struct walk walk;
    bool go_on = true;
    cm_status status =
        open_walk(base, "SELECT number, created_ms, generation, items FROM intent ORDER BY number",
                  &walk, err);
    while (status == CM_OK && go_on && next_row(&walk, &status, err)) {
        struct cm_intent intent = { .items = NULL };
        status = read_intent(walk.row, &intent, err);
        if (status == CM_OK)
            status = visit_items((struct cm_sqlite_reader *)base, &intent, visit, arg, &go_on, err);
        free(intent.items);
    }
    return close_walk(&walk, status);
}

/* -------------------------------------------------------------- generations -- */

static bool read_generation(sqlite3_stmt *row, struct cm_generation *ret_generation)
{
    const char *state = (const char *)sqlite3_column_text(row, 3);
    *ret_generation = (struct cm_generation){
        .number = sqlite3_column_int64(row, 0),
        .authority = cm_sqlite_column_text(row, 1),
        .generation = sqlite3_column_int64(row, 2),
        .provider = cm_sqlite_column_text(row, 4),
        .key = cm_sqlite_column_text(row, 5),
        .sigalg = cm_sqlite_column_text(row, 6),
        .certificate = cm_sqlite_column_bytes(row, 7),
        .chain = cm_sqlite_column_text(row, 8),
        .created_ms = sqlite3_column_int64(row, 9),
        .crl_shards = (uint32_t)sqlite3_column_int64(row, 10),
        .crl_url = cm_sqlite_column_text(row, 11),
    };
    return state && cm_generation_state_find(state, &ret_generation->state);
}

cm_status cm_sqlite_walk_generations(struct cm_store_reader *base, cm_generation_walk_fn *visit,
                                     void *arg, struct cm_error *err)
{
    struct walk walk;
    struct cm_generation generation;
    cm_status status = open_walk(base,
                                 "SELECT number, authority, generation, state, provider, key,"
                                 " sigalg, certificate, chain, created_ms, crl_shards, crl_url"
                                 " FROM generation ORDER BY number",
                                 &walk, err);
    while (status == CM_OK && next_row(&walk, &status, err)) {
        if (!read_generation(walk.row, &generation))
            status = fail_row("a generation has an unknown state", err);
        else if (!visit(&generation, arg))
            break;
    }
    return close_walk(&walk, status);
}

/* -------------------------------------------------------------- revocations -- */

static bool read_revocation(sqlite3_stmt *row, struct cm_revocation *ret_revocation)
{
    *ret_revocation = (struct cm_revocation){
        .revision = sqlite3_column_int64(row, 0),
        .generation_number = sqlite3_column_int64(row, 1),
        .serial = cm_sqlite_column_bytes(row, 2),
        .reason = (enum cm_reason)sqlite3_column_int(row, 3),
        .revoked_s = sqlite3_column_int64(row, 4),
        .invalidity_s = sqlite3_column_int64(row, 5), /* NULL reads as 0 */
        .not_after_s = sqlite3_column_int64(row, 6),
    };
    return ret_revocation->serial.size > 0;
}

cm_status cm_sqlite_walk_revocations(struct cm_store_reader *base, int64_t after_revision,
                                     cm_revocation_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct walk walk;
    struct cm_revocation revocation;
    cm_status status = open_walk(base,
                                 "SELECT revision, generation, serial, reason, revoked_s,"
                                 " invalidity_s, not_after FROM revocation"
                                 " WHERE revision > ?1 ORDER BY revision",
                                 &walk, err);
    if (status == CM_OK)
        sqlite3_bind_int64(walk.row, 1, after_revision);
    while (status == CM_OK && next_row(&walk, &status, err)) {
        if (!read_revocation(walk.row, &revocation))
            status = fail_row("a revocation has no serial", err);
        else if (!visit(&revocation, arg))
            break;
    }
    return close_walk(&walk, status);
}

static bool read_crl(sqlite3_stmt *row, struct cm_crl_row *ret_crl)
{
    *ret_crl = (struct cm_crl_row){
        .generation_number = sqlite3_column_int64(row, 0),
        .shard = (uint32_t)sqlite3_column_int64(row, 1),
        .is_delta = sqlite3_column_int(row, 2) != 0,
        .number = (uint64_t)sqlite3_column_int64(row, 3),
        .base_number = (uint64_t)sqlite3_column_int64(row, 4),
        .this_update_s = sqlite3_column_int64(row, 5),
        .next_update_s = sqlite3_column_int64(row, 6),
        .revision = sqlite3_column_int64(row, 7),
    };
    return cm_sqlite_column_exactly(row, 8, ret_crl->tbs_hash, CM_HASH_SIZE);
}

cm_status cm_sqlite_walk_crls(struct cm_store_reader *base, cm_crl_walk_fn *visit, void *arg,
                              struct cm_error *err)
{
    struct walk walk;
    struct cm_crl_row crl;
    cm_status status = open_walk(base,
                                 "SELECT generation, shard, is_delta, number, base_number,"
                                 " this_update, next_update, revision, tbs_hash FROM crl"
                                 " ORDER BY generation, shard, is_delta",
                                 &walk, err);
    while (status == CM_OK && next_row(&walk, &status, err)) {
        if (!read_crl(walk.row, &crl))
            status = fail_row("a CRL has no hash", err);
        else if (!visit(&crl, arg))
            break;
    }
    return close_walk(&walk, status);
}

/* ---------------------------------------------------- certificates of a device -- */

/* In one snapshot: what a run has just taken from the log is in neither before and after. */
static cm_status list_device(struct cm_sqlite_reader *reader, int64_t device,
                             struct cm_sqlite_list *list, struct cm_error *err)
{
    sqlite3_stmt *runs = reader->statements[CM_SQLITE_GET_DEVICE_RUNS];
    int64_t runs_count = 0, until = 0;
    int code = sqlite3_step(runs);
    cm_status status = CM_OK;
    if (code == SQLITE_ROW)
        runs_count = sqlite3_column_int64(runs, 0);
    else
        status = cm_sqlite_fail(reader->db, code, "read the totals", err);
    sqlite3_reset(runs);
    if (status == CM_OK)
        status = cm_sqlite_find_in_runs(reader->db, reader->statements[CM_SQLITE_IN_RUN],
                                        runs_count, device, list, err);
    if (status == CM_OK)
        status = cm_sqlite_find_in_log(reader->db, reader->statements[CM_SQLITE_LOGGED], &device, 1,
                                       0, &until, list, err);
    cm_sqlite_list_sort(list);
    return status;
}

static cm_status visit_certificate(struct cm_sqlite_reader *reader,
                                   const struct cm_sqlite_listed *listed,
                                   cm_certificate_walk_fn *visit, void *arg, bool *go_on,
                                   struct cm_error *err)
{
    sqlite3_stmt *row = reader->statements[CM_SQLITE_GET_CERTIFICATE];
    cm_status status = CM_OK;
    sqlite3_bind_int64(row, 1, listed->certificate);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        const struct cm_certificate_found found = { .number = listed->certificate,
                                                    .device_number = listed->device,
                                                    .generation_number =
                                                        sqlite3_column_int64(row, 2),
                                                    .not_after = sqlite3_column_int64(row, 3),
                                                    .der = cm_sqlite_column_bytes(row, 4) };
        *go_on = visit(&found, arg);
    } else if (code == SQLITE_DONE)
        status = fail_row("a device has a certificate that is not there", err);
    else
        status = cm_sqlite_fail(reader->db, code, "read a certificate", err);
    sqlite3_reset(row);
    return status;
}

static cm_status walk_listed(struct cm_sqlite_reader *reader, int64_t device,
                             cm_certificate_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct cm_sqlite_list list = { .count = 0 };
    bool go_on = true;
    cm_status status = list_device(reader, device, &list, err);
    for (size_t i = 0; status == CM_OK && go_on && i < list.count; i++)
        status = visit_certificate(reader, &list.items[i], visit, arg, &go_on, err);
    cm_sqlite_list_drop(&list);
    return status;
}

cm_status cm_sqlite_walk_device_certificates(struct cm_store_reader *base, int64_t device_number,
                                             cm_certificate_walk_fn *visit, void *arg,
                                             struct cm_error *err)
{
    struct cm_sqlite_reader *reader = (struct cm_sqlite_reader *)base;
    bool has_snapshot = reader->in_snapshot;
    cm_status status = cm_sqlite_reader_is_whole(reader, err);
    if (status == CM_OK && !has_snapshot)
        status = cm_sqlite_reader_begin(base, err);
    if (status != CM_OK)
        return status;
    status = walk_listed(reader, device_number, visit, arg, err);
    if (!has_snapshot)
        cm_sqlite_reader_end(base);
    return status;
}

/* ---------------------------------------------------------- usage and audit -- */

cm_status cm_sqlite_walk_usage(struct cm_store_reader *base, int64_t period,
                               cm_usage_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct walk walk;
    cm_status status =
        open_walk(base, "SELECT name, count FROM usage WHERE period = ?1", &walk, err);
    sqlite3_bind_int64(walk.row, 1, period);
    while (status == CM_OK && next_row(&walk, &status, err)) {
        const struct cm_usage_row usage = { .name = cm_sqlite_column_text(walk.row, 0),
                                            .period = period,
                                            .count = sqlite3_column_int64(walk.row, 1) };
        if (!visit(&usage, arg))
            break;
    }
    return close_walk(&walk, status);
}

static bool read_audit(sqlite3_stmt *row, struct cm_audit_row *ret_audit)
{
    *ret_audit = (struct cm_audit_row){
        .number = sqlite3_column_int64(row, 0),
        .time_ms = sqlite3_column_int64(row, 1),
        .kind = (const char *)sqlite3_column_text(row, 2),
        .actor = cm_sqlite_column_text(row, 3),
        .detail = cm_sqlite_column_text(row, 4),
    };
    return ret_audit->kind && cm_sqlite_column_exactly(row, 5, ret_audit->digest, CM_HASH_SIZE)
           && cm_sqlite_column_exactly(row, 6, ret_audit->previous, CM_HASH_SIZE)
           && cm_sqlite_column_exactly(row, 7, ret_audit->hash, CM_HASH_SIZE);
}

cm_status cm_sqlite_walk_audit(struct cm_store_reader *base, int64_t from_number,
                               cm_audit_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct walk walk;
    struct cm_audit_row audit;
    cm_status status = open_walk(base,
                                 "SELECT number, time_ms, kind, actor, detail, digest, previous,"
                                 " hash FROM audit WHERE number >= ?1 ORDER BY number",
                                 &walk, err);
    sqlite3_bind_int64(walk.row, 1, from_number);
    while (status == CM_OK && next_row(&walk, &status, err)) {
        if (!read_audit(walk.row, &audit))
            status = fail_row("an audit row is not whole", err);
        else if (!visit(&audit, arg))
            break;
    }
    return close_walk(&walk, status);
}
