/* Generations of authorities, their cross certificates, and the changes of their states. */
#include "engine/store/sqlite/internal.h"

#include <stdio.h>

#include "engine/base/clock.h"

/* ------------------------------------------------------------------ records -- */

static cm_status put_generation(struct cm_sqlite_store *store,
                                const struct cm_generation *generation, struct cm_error *err)
{
    bool is_new = generation->number == 0;
    int64_t active_ms = generation->state == CM_GENERATION_ACTIVE ? generation->created_ms : 0;
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
    sqlite3_bind_int64(statement, 10, generation->crl_shards);
    cm_sqlite_bind_text(statement, 11, generation->crl_url);
    sqlite3_bind_int64(statement, 12, generation->replaces);
    sqlite3_bind_int64(statement, 13, is_new ? active_ms : generation->number);
    cm_status status = cm_sqlite_step(store, change, "record a generation", err);
    store->generation_added = is_new ? sqlite3_last_insert_rowid(store->db) : generation->number;
    if (status == CM_OK && !is_new && sqlite3_changes(store->db) == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "store: no generation has number %lld",
                       (long long)generation->number);
    return status;
}

static cm_status put_cross(struct cm_sqlite_store *store, const struct cm_cross_certificate *cross,
                           struct cm_error *err)
{
    int64_t added = store->generation_added;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_CROSS];
    sqlite3_bind_int64(statement, 1, cross->subject_number ? cross->subject_number : added);
    sqlite3_bind_int64(statement, 2, cross->issuer_number ? cross->issuer_number : added);
    cm_sqlite_bind_bytes(statement, 3, cross->certificate);
    return cm_sqlite_step(store, CM_SQLITE_CROSS, "record a cross certificate", err);
}

cm_status cm_sqlite_change_generation(struct cm_sqlite_store *store, struct cm_store_op *op,
                                      struct cm_error *err)
{
    cm_status status = put_generation(store, op->generation, err);
    for (uint32_t i = 0; i < op->imported_count; i++)
        if (op->imported[i].generation_number == 0)
            op->imported[i].generation_number = store->generation_added;
    for (uint32_t i = 0; status == CM_OK && i < op->crosses_count; i++)
        status = put_cross(store, &op->crosses[i], err);
    return status == CM_OK ? cm_sqlite_change_imported(store, op, err) : status;
}

/* ------------------------------------------------------------------- states -- */

/* A generation as the transition finds it. */
struct found {
    enum cm_generation_state state;
    bool has_certificate;
    int64_t replaces;
    char authority[80];
};

static cm_status find_state(struct cm_sqlite_store *store, int64_t number, struct found *ret_found,
                            struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_FIND_STATE];
    cm_status status = CM_OK;
    sqlite3_bind_int64(statement, 1, number);
    int code = sqlite3_step(statement);
    *ret_found = (struct found){ 0 };
    if (code == SQLITE_ROW
        && cm_generation_state_find((const char *)sqlite3_column_text(statement, 0),
                                    &ret_found->state)) {
        ret_found->has_certificate = sqlite3_column_int64(statement, 1) != 0;
        ret_found->replaces = sqlite3_column_int64(statement, 2);
        snprintf(ret_found->authority, sizeof ret_found->authority, "%s",
                 (const char *)sqlite3_column_text(statement, 3));
    } else if (code == SQLITE_ROW) {
        status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                         "the store is damaged: a generation has an unknown state");
    } else if (code == SQLITE_DONE) {
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "store: no generation has number %lld", (long long)number);
    } else {
        status = cm_sqlite_fail(store->db, code, "look up a generation", err);
    }
    sqlite3_reset(statement);
    return status;
}

static cm_status set_state(struct cm_sqlite_store *store, int64_t number,
                           enum cm_generation_state to, enum cm_key_fate fate, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_GENERATION_STATE];
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_text(statement, 2, cm_bytes_str(cm_generation_state_name(to)));
    sqlite3_bind_int64(statement, 3, cm_clock_wall_ms());
    cm_sqlite_bind_text(statement, 4, cm_bytes_str(cm_key_fate_name(fate)));
    store->has_compromised |= to == CM_GENERATION_COMPROMISED;
    return cm_sqlite_step(store, CM_SQLITE_GENERATION_STATE, "change a generation's state", err);
}

/* Whoever's place it takes issues no more, unless it has stopped by itself. */
static cm_status stop_replaced(struct cm_sqlite_store *store, int64_t number,
                               struct cm_transition *transition, struct cm_error *err)
{
    struct found old;
    if (number == 0)
        return CM_OK;
    cm_status status = find_state(store, number, &old, err);
    if (status != CM_OK || old.state != CM_GENERATION_ACTIVE)
        return status;
    transition->stopped_number = number;
    return set_state(store, number, CM_GENERATION_RETIRING, CM_KEY_KEPT, err);
}

/* The statement's first parameter is a generation's number; the second, where it has one, its authority. */
static cm_status has_row(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                         int64_t number, const char *authority, bool *ret_found,
                         struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[change];
    int64_t values[2];
    sqlite3_bind_int64(statement, 1, number);
    if (authority)
        cm_sqlite_bind_text(statement, 2, cm_bytes_str(authority));
    return cm_sqlite_look_up(store, change, ret_found, values, err);
}

static cm_status check_arrow(const struct found *found, const struct cm_transition *transition,
                             struct cm_error *err)
{
    if (!cm_generation_may_become(found->state, transition->to))
        return CM_FAIL(
            err, CM_INVALID, CM_ORIGIN_SELF, 0, "a generation that is %s cannot become %s",
            cm_generation_state_name(found->state), cm_generation_state_name(transition->to));
    if (transition->to == CM_GENERATION_ACTIVE && !found->has_certificate)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "it waits for its certificate: certmill ca import takes it");
    return CM_OK;
}

static cm_status check_use(struct cm_sqlite_store *store, const struct found *found,
                           const struct cm_transition *transition, struct cm_error *err)
{
    bool has = true;
    cm_status status = CM_OK;
    if (transition->to == CM_GENERATION_RETIRING && !transition->may_be_last) {
        status = has_row(store, CM_SQLITE_FIND_OTHER_ACTIVE, transition->number, found->authority,
                         &has, err);
        if (status == CM_OK && !has)
            return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                           "it is the only active generation of %s: nothing would issue any more",
                           found->authority);
    }
    if (status == CM_OK && transition->to == CM_GENERATION_RETIRED) {
        status = has_row(store, CM_SQLITE_FIND_INTENT_OF, transition->number, NULL, &has, err);
        if (status == CM_OK && has)
            return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                           "certificates of it are promised and not finished yet");
    }
    return status;
}

cm_status cm_sqlite_change_state(struct cm_sqlite_store *store, struct cm_transition *transition,
                                 struct cm_error *err)
{
    struct found found;
    enum cm_generation_state to = transition->to;
    transition->changed = false;
    transition->stopped_number = 0;
    cm_status status = find_state(store, transition->number, &found, err);
    if (status != CM_OK || found.state == to)
        return status;
    status = check_arrow(&found, transition, err);
    if (status == CM_OK)
        status = check_use(store, &found, transition, err);
    if (status == CM_OK)
        status = set_state(store, transition->number, to,
                           to == CM_GENERATION_RETIRED ? transition->key_fate : CM_KEY_KEPT, err);
    if (status == CM_OK && to == CM_GENERATION_ACTIVE)
        status = stop_replaced(store, found.replaces, transition, err);
    transition->changed = status == CM_OK;
    return status;
}

/* -------------------------------------------------------------- compromised -- */

cm_status cm_sqlite_require_sound(struct cm_sqlite_store *store, int64_t generation_number,
                                  struct cm_error *err)
{
    bool found = false;
    if (!store->has_compromised)
        return CM_OK;
    cm_status status =
        has_row(store, CM_SQLITE_FIND_COMPROMISED, generation_number, NULL, &found, err);
    if (status == CM_OK && found)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "store: the issuer's key is compromised");
    return status;
}

cm_status cm_sqlite_compromised_load(struct cm_sqlite_store *store, struct cm_error *err)
{
    int64_t count = 0;
    cm_status status = cm_sqlite_get_integer(
        store->db, "SELECT count(*) FROM generation WHERE state = 'compromised'", &count, err);
    store->has_compromised = count > 0;
    return status;
}
