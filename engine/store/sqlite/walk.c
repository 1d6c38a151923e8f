#include "engine/store/sqlite/walking.h"

#include <stdlib.h>

cm_status cm_sqlite_walk_devices(struct cm_store_reader *base, struct cm_bytes group,
                                 cm_device_walk_fn *visit, void *arg, struct cm_error *err)
{
    static const char all[] = "SELECT " CM_SQLITE_DEVICE_COLUMNS " ORDER BY device.number";
    static const char some[] =
        "SELECT " CM_SQLITE_DEVICE_COLUMNS " WHERE device_group.name = ?1 ORDER BY device.number";
    struct cm_sqlite_walk walk;
    struct cm_device device;
    cm_status status = cm_sqlite_open_walk(base, group.size > 0 ? some : all, &walk, err);
    if (status == CM_OK && group.size > 0)
        cm_sqlite_bind_text(walk.row, 1, group);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!cm_sqlite_read_device(walk.row, &device))
            status = cm_sqlite_fail_row("a device has an unknown state", err);
        else if (!visit(&device, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

cm_status cm_sqlite_walk_keys(struct cm_store_reader *base, cm_key_walk_fn *visit, void *arg,
                              struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    cm_status status = cm_sqlite_open_walk(
        base, "SELECT key_fingerprint, number FROM certificate ORDER BY number", &walk, err);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err))
        if (!visit((uint64_t)sqlite3_column_int64(walk.row, 0), sqlite3_column_int64(walk.row, 1),
                   arg))
            break;
    return cm_sqlite_close_walk(&walk, status);
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
        return cm_sqlite_fail_row("an intent has a broken list of items", err);
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
    bool is_open = false;
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
        is_open |= !is_settled;
    }
    if (!is_open)
        *ret_go_on = visit(intent, NULL, arg);
    return CM_OK;
}

cm_status cm_sqlite_walk_open_intents(struct cm_store_reader *base, cm_intent_walk_fn *visit,
                                      void *arg, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    bool go_on = true;
    cm_status status = cm_sqlite_open_walk(
        base, "SELECT number, created_ms, generation, items FROM intent ORDER BY number", &walk,
        err);
    while (status == CM_OK && go_on && cm_sqlite_next_row(&walk, &status, err)) {
        struct cm_intent intent = { .items = NULL };
        status = read_intent(walk.row, &intent, err);
        if (status == CM_OK)
            status = visit_items((struct cm_sqlite_reader *)base, &intent, visit, arg, &go_on, err);
        free(intent.items);
    }
    return cm_sqlite_close_walk(&walk, status);
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
        .replaces = sqlite3_column_int64(row, 12),
        .active_ms = sqlite3_column_int64(row, 13),
        .stopped_ms = sqlite3_column_int64(row, 14),
    };
    const char *fate = (const char *)sqlite3_column_text(row, 15);
    return state && cm_generation_state_find(state, &ret_generation->state) && fate
           && cm_key_fate_find(fate, &ret_generation->key_fate);
}

cm_status cm_sqlite_walk_generations(struct cm_store_reader *base, cm_generation_walk_fn *visit,
                                     void *arg, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    struct cm_generation generation;
    cm_status status =
        cm_sqlite_open_walk(base,
                            "SELECT number, authority, generation, state, provider, key,"
                            " sigalg, certificate, chain, created_ms, crl_shards, crl_url,"
                            " replaces, active_ms, stopped_ms, key_fate"
                            " FROM generation ORDER BY number",
                            &walk, err);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!read_generation(walk.row, &generation))
            status = cm_sqlite_fail_row("a generation has an unknown state", err);
        else if (!visit(&generation, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

cm_status cm_sqlite_walk_crosses(struct cm_store_reader *base, cm_cross_walk_fn *visit, void *arg,
                                 struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    cm_status status =
        cm_sqlite_open_walk(base,
                            "SELECT subject, issuer, certificate FROM cross_certificate"
                            " ORDER BY subject, issuer",
                            &walk, err);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        const struct cm_cross_certificate cross = {
            .subject_number = sqlite3_column_int64(walk.row, 0),
            .issuer_number = sqlite3_column_int64(walk.row, 1),
            .certificate = cm_sqlite_column_bytes(walk.row, 2),
        };
        if (!visit(&cross, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

static bool read_listed(sqlite3_stmt *row, struct cm_certificate_listed *ret_certificate)
{
    *ret_certificate =
        (struct cm_certificate_listed){ .number = sqlite3_column_int64(row, 0),
                                        .generation_number = sqlite3_column_int64(row, 2),
                                        .not_after_s = sqlite3_column_int64(row, 3) };
    cm_big_endian_write((uint64_t)ret_certificate->number, ret_certificate->serial.octets, 8);
    return cm_sqlite_column_exactly(row, 1, ret_certificate->serial.octets + 8, CM_SERIAL_SIZE - 8);
}

cm_status cm_sqlite_walk_certificates(struct cm_store_reader *base, cm_certificate_number after,
                                      uint32_t rows_max, cm_listed_walk_fn *visit, void *arg,
                                      cm_certificate_number *ret_last, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    struct cm_certificate_listed certificate;
    cm_status status = cm_sqlite_open_walk(base,
                                           "SELECT number, serial_tail, generation, not_after"
                                           " FROM certificate WHERE number > ?1"
                                           " ORDER BY number LIMIT ?2",
                                           &walk, err);
    *ret_last = after;
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(walk.row, 1, after);
    sqlite3_bind_int64(walk.row, 2, rows_max);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!read_listed(walk.row, &certificate))
            status = cm_sqlite_fail_row("a certificate's serial is not whole", err);
        else
            *ret_last = certificate.number;
        if (status == CM_OK && !visit(&certificate, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

cm_status cm_sqlite_find_use(struct cm_store_reader *base, int64_t generation_number, int64_t now_s,
                             struct cm_generation_use *ret_use, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    cm_status status = cm_sqlite_open_walk(
        base,
        "SELECT ifnull(sum(not_after >= ?2), 0), ifnull(max(not_after), 0),"
        " (SELECT count(*) FROM intent WHERE generation = ?1) FROM"
        " (SELECT not_after FROM certificate WHERE generation = ?1"
        "  UNION ALL SELECT not_after FROM imported WHERE generation = ?1 AND der NOT IN"
        "   (SELECT certificate FROM cross_certificate WHERE issuer = ?1))",
        &walk, err);
    if (status != CM_OK)
        return status;
    sqlite3_bind_int64(walk.row, 1, generation_number);
    sqlite3_bind_int64(walk.row, 2, now_s);
    if (cm_sqlite_next_row(&walk, &status, err))
        *ret_use = (struct cm_generation_use){ .certificates = sqlite3_column_int64(walk.row, 0),
                                               .last_end_s = sqlite3_column_int64(walk.row, 1),
                                               .open_intents = sqlite3_column_int64(walk.row, 2) };
    return cm_sqlite_close_walk(&walk, status);
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
    struct cm_sqlite_walk walk;
    struct cm_revocation revocation;
    cm_status status = cm_sqlite_open_walk(base,
                                           "SELECT revision, generation, serial, reason, revoked_s,"
                                           " invalidity_s, not_after FROM revocation"
                                           " WHERE revision > ?1 ORDER BY revision",
                                           &walk, err);
    if (status == CM_OK)
        sqlite3_bind_int64(walk.row, 1, after_revision);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!read_revocation(walk.row, &revocation))
            status = cm_sqlite_fail_row("a revocation has no serial", err);
        else if (!visit(&revocation, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
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
    struct cm_sqlite_walk walk;
    struct cm_crl_row crl;
    cm_status status =
        cm_sqlite_open_walk(base,
                            "SELECT generation, shard, is_delta, number, base_number,"
                            " this_update, next_update, revision, tbs_hash FROM crl"
                            " ORDER BY generation, shard, is_delta",
                            &walk, err);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        if (!read_crl(walk.row, &crl))
            status = cm_sqlite_fail_row("a CRL has no hash", err);
        else if (!visit(&crl, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}

/* ---------------------------------------------------- certificates of a device -- */

cm_status cm_sqlite_count_runs(struct cm_sqlite_reader *reader, int64_t *ret_runs,
                               struct cm_error *err)
{
    sqlite3_stmt *runs = reader->statements[CM_SQLITE_GET_DEVICE_RUNS];
    cm_status status = CM_OK;
    int code = sqlite3_step(runs);
    if (code == SQLITE_ROW)
        *ret_runs = sqlite3_column_int64(runs, 0);
    else
        status = cm_sqlite_fail(reader->db, code, "read the totals", err);
    sqlite3_reset(runs);
    return status;
}

/* In one snapshot: what a run has just taken from the log is in neither before and after. */
static cm_status list_device(struct cm_sqlite_reader *reader, int64_t device,
                             struct cm_sqlite_list *list, struct cm_error *err)
{
    int64_t runs_count = 0, until = 0;
    cm_status status = cm_sqlite_count_runs(reader, &runs_count, err);
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
                                                    .der = cm_sqlite_column_bytes(row, 4),
                                                    .audit = sqlite3_column_int64(row, 5) };
        *go_on = visit(&found, arg);
    } else if (code == SQLITE_DONE)
        status = cm_sqlite_fail_row("a device has a certificate that is not there", err);
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

/* ---------------------------------------------------------- usage -- */

cm_status cm_sqlite_walk_usage(struct cm_store_reader *base, int64_t period,
                               cm_usage_walk_fn *visit, void *arg, struct cm_error *err)
{
    struct cm_sqlite_walk walk;
    cm_status status =
        cm_sqlite_open_walk(base, "SELECT name, count FROM usage WHERE period = ?1", &walk, err);
    sqlite3_bind_int64(walk.row, 1, period);
    while (status == CM_OK && cm_sqlite_next_row(&walk, &status, err)) {
        const struct cm_usage_row usage = { .name = cm_sqlite_column_text(walk.row, 0),
                                            .period = period,
                                            .count = sqlite3_column_int64(walk.row, 1) };
        if (!visit(&usage, arg))
            break;
    }
    return cm_sqlite_close_walk(&walk, status);
}
