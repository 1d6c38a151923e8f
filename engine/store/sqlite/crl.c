/* Numbers of CRLs, taken before the lists are signed: whatever becomes of a list, its number is used. */
#include "engine/store/sqlite/internal.h"

/* A delta may have the number of the complete list that goes with it: of this operation. */
static bool goes_with_complete(const struct cm_store_op *op, const struct cm_crl_row *delta)
{
    for (uint32_t i = 0; i < op->crls_count; i++) {
        const struct cm_crl_row *row = &op->crls[i];
        if (!row->is_delta && row->generation_number == delta->generation_number
            && row->shard == delta->shard && row->number == delta->number)
            return true;
    }
    return false;
}

/* last: of the latest complete list, and of the latest delta. */
static bool is_higher(const struct cm_store_op *op, const struct cm_crl_row *row,
                      const int64_t last[2])
{
    int64_t number = (int64_t)row->number;
    if (number > last[0] && number > last[1])
        return true;
    return row->is_delta && number == last[0] && number > last[1] && goes_with_complete(op, row);
}

static cm_status put_crl(struct cm_sqlite_store *store, const struct cm_crl_row *row,
                         struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_CRL];
    sqlite3_bind_int64(statement, 1, row->generation_number);
    sqlite3_bind_int64(statement, 2, row->shard);
    sqlite3_bind_int64(statement, 3, row->is_delta);
    sqlite3_bind_int64(statement, 4, (int64_t)row->number);
    sqlite3_bind_int64(statement, 5, (int64_t)row->base_number);
    sqlite3_bind_int64(statement, 6, row->this_update_s);
    sqlite3_bind_int64(statement, 7, row->next_update_s);
    sqlite3_bind_int64(statement, 8, row->revision);
    cm_sqlite_bind_blob(statement, 9, row->tbs_hash, CM_HASH_SIZE);
    return cm_sqlite_step(store, CM_SQLITE_CRL, "record a CRL's number", err);
}

static cm_status change_crl(struct cm_sqlite_store *store, const struct cm_store_op *op,
                            const struct cm_crl_row *row, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_FIND_CRL_NUMBERS];
    int64_t last[2] = { 0, 0 };
    bool found;
    if (row->number > INT64_MAX || row->base_number > INT64_MAX)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "store: a CRL's number is too large");
    sqlite3_bind_int64(statement, 1, row->generation_number);
    sqlite3_bind_int64(statement, 2, row->shard);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_CRL_NUMBERS, &found, last, err);
    if (status != CM_OK)
        return status;
    if (row->number > 0 && !is_higher(op, row, last))
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "store: the CRL number %llu is not higher than those before",
                       (unsigned long long)row->number);
    return put_crl(store, row, err);
}

/* Complete lists first, whatever their order: deltas are measured against them. */
cm_status cm_sqlite_change_crls(struct cm_sqlite_store *store, const struct cm_store_op *op,
                                struct cm_error *err)
{
    cm_status status = CM_OK;
    for (uint32_t i = 0; status == CM_OK && i < op->crls_count; i++)
        if (!op->crls[i].is_delta)
            status = change_crl(store, op, &op->crls[i], err);
    for (uint32_t i = 0; status == CM_OK && i < op->crls_count; i++)
        if (op->crls[i].is_delta)
            status = change_crl(store, op, &op->crls[i], err);
    return status;
}
