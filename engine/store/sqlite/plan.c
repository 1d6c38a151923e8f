/* Plans: kept, approved, cancelled; and whether one may run. */
#include "engine/store/sqlite/internal.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/base/hash.h"

/* A plan as the transaction finds it. */
struct found {
    int64_t number; /* 0: there is none */
    enum cm_plan_state state;
    int64_t expires_s;
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
};

static cm_status fail_damaged(struct cm_error *err)
{
    return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the store is damaged: a plan is broken");
}

static bool read_found(sqlite3_stmt *row, struct found *ret_found)
{
    const char *state = (const char *)sqlite3_column_text(row, 1);
    ret_found->number = sqlite3_column_int64(row, 0);
    ret_found->expires_s = sqlite3_column_int64(row, 2);
    return state && cm_plan_state_find(state, &ret_found->state)
           && cm_sqlite_column_exactly(row, 3, ret_found->digest, sizeof ret_found->digest);
}

static cm_status find_plan(struct cm_sqlite_store *store, const uint8_t id[CM_PLAN_ID_SIZE],
                           struct found *ret_found, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_FIND_PLAN];
    cm_status status = CM_OK;
    *ret_found = (struct found){ .number = 0 };
    cm_sqlite_bind_blob(statement, 1, id, CM_PLAN_ID_SIZE);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW && !read_found(statement, ret_found))
        status = fail_damaged(err);
    else if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "look up a plan", err);
    sqlite3_reset(statement);
    return status;
}

static cm_status deny(const char *why, struct cm_error *err)
{
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%s", why);
}

/* A clock that was set back makes no plan valid again. */
static bool has_ended(const struct cm_sqlite_store *store, const struct found *found)
{
    int64_t now_s = cm_sqlite_max(cm_clock_wall_s(), store->tally.last_time_ms / 1000);
    return now_s >= found->expires_s;
}

static cm_status check_open(const struct cm_sqlite_store *store, const struct found *found,
                            const uint8_t digest[CM_PLAN_DIGEST_SIZE], struct cm_error *err)
{
    if (found->number == 0)
        return deny("there is no such plan", err);
    if (memcmp(found->digest, digest, CM_PLAN_DIGEST_SIZE) != 0)
        return deny("the plan has another digest", err);
    if (found->state == CM_PLAN_RUN)
        return deny("the plan has run already", err);
    if (found->state == CM_PLAN_CANCELLED)
        return deny("the plan was cancelled", err);
    if (found->state == CM_PLAN_PENDING && has_ended(store, found))
        return deny("the time of the plan has ended: prepare another", err);
    return CM_OK;
}

static cm_status set_state(struct cm_sqlite_store *store, int64_t number, enum cm_plan_state state,
                           struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_PLAN_STATE];
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_text(statement, 2, cm_bytes_str(cm_plan_state_name(state)));
    sqlite3_bind_int64(statement, 3, state == CM_PLAN_RUNNING ? 0 : cm_clock_wall_ms());
    return cm_sqlite_step(store, CM_SQLITE_PLAN_STATE, "change a plan's state", err);
}

/* ------------------------------------------------------------------- steps -- */

static cm_status add(struct cm_sqlite_store *store, const struct cm_plan_change *change,
                     struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_PLAN];
    cm_sqlite_bind_blob(statement, 1, change->id, sizeof change->id);
    cm_sqlite_bind_text(statement, 2, change->text);
    cm_sqlite_bind_blob(statement, 3, change->digest, sizeof change->digest);
    sqlite3_bind_int64(statement, 4, cm_clock_wall_ms());
    sqlite3_bind_int64(statement, 5, change->expires_s);
    return cm_sqlite_step(store, CM_SQLITE_PLAN, "keep a plan", err);
}

/* With another key of the same operator, the new signature takes the place of the old one. */
static cm_status approve(struct cm_sqlite_store *store, int64_t number,
                         struct cm_plan_change *change, struct cm_error *err)
{
    const struct cm_plan_approval *approval = &change->approval;
    sqlite3_stmt *statement = store->statements[CM_SQLITE_APPROVAL];
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_text(statement, 2, cm_bytes_str(cm_approval_purpose_name(approval->purpose)));
    cm_sqlite_bind_text(statement, 3, approval->operator);
    cm_sqlite_bind_bytes(statement, 4, approval->key);
    cm_sqlite_bind_bytes(statement, 5, approval->signature);
    sqlite3_bind_int64(statement, 6, cm_clock_wall_ms());
    cm_status status = cm_sqlite_step(store, CM_SQLITE_APPROVAL, "keep an approval", err);
    change->changed = status == CM_OK && sqlite3_changes(store->db) > 0;
    return status;
}

static cm_status cancel(struct cm_sqlite_store *store, const struct found *found,
                        struct cm_plan_change *change, struct cm_error *err)
{
    if (found->state == CM_PLAN_RUNNING)
        return deny("the plan is running: what it has begun, it ends", err);
    change->changed = true;
    return set_state(store, found->number, CM_PLAN_CANCELLED, err);
}

cm_status cm_sqlite_change_plan(struct cm_sqlite_store *store, struct cm_plan_change *change,
                                struct cm_error *err)
{
    struct found found;
    change->changed = false;
    cm_status status = find_plan(store, change->id, &found, err);
    if (status != CM_OK)
        return status;
    bool is_same =
        found.number != 0 && memcmp(found.digest, change->digest, sizeof found.digest) == 0;
    if (change->step == CM_PLAN_ADD && found.number != 0)
        return is_same ? CM_OK
                       : CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "another plan has this id");
    if (change->step == CM_PLAN_ADD) {
        change->changed = true;
        return add(store, change, err);
    }
    if (change->step == CM_PLAN_CANCEL && is_same && found.state == CM_PLAN_CANCELLED)
        return CM_OK;
    status = check_open(store, &found, change->digest, err);
    if (status != CM_OK)
        return status;
    return change->step == CM_PLAN_APPROVE ? approve(store, found.number, change, err)
                                           : cancel(store, &found, change, err);
}

/* --------------------------------------------------------------------- use -- */

static bool is_as_found(sqlite3_stmt *row, const struct cm_plan_found *found)
{
    const char *state = (const char *)sqlite3_column_text(row, 0);
    struct cm_bytes der = cm_sqlite_column_bytes(row, 1);
    uint8_t hash[CM_SHA256_SIZE];
    if (!state || strcmp(state, cm_generation_state_name(found->state)) != 0)
        return false;
    if (!found->has_certificate || der.size == 0)
        return !found->has_certificate && der.size == 0;
    cm_sha256(&der, 1, hash);
    return memcmp(hash, found->certificate, sizeof hash) == 0;
}

static cm_status check_found(struct cm_sqlite_store *store, const struct cm_plan_found *found,
                             struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_FIND_AS_FOUND];
    char shown[80];
    cm_status status = CM_OK;
    cm_sqlite_bind_text(statement, 1, found->generation);
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = cm_sqlite_fail(store->db, code, "look up a generation", err);
    else if (code == SQLITE_DONE || !is_as_found(statement, found))
        status = CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                         "%s is not as the plan has found it (%s): prepare another",
                         cm_bytes_printable(found->generation, shown, sizeof shown),
                         cm_generation_state_name(found->state));
    sqlite3_reset(statement);
    return status;
}

cm_status cm_sqlite_plan_begin(struct cm_sqlite_store *store, const struct cm_plan_use *use,
                               struct cm_error *err)
{
    struct found found;
    if (!use)
        return CM_OK;
    cm_status status = find_plan(store, use->id, &found, err);
    if (status == CM_OK)
        status = check_open(store, &found, use->digest, err);
    /* What is not so any more when it goes on, it may have changed itself. */
    if (status != CM_OK || found.state == CM_PLAN_RUNNING)
        return status;
    for (uint32_t i = 0; status == CM_OK && i < use->found_count; i++)
        status = check_found(store, &use->found[i], err);
    return status;
}

static cm_status say_run(struct cm_sqlite_store *store, const struct cm_plan_use *use,
                         struct cm_bytes actor, struct cm_error *err)
{
    char hex[2 * CM_PLAN_ID_SIZE + 1], detail[80];
    struct cm_audit_event event = { .kind = "plan-run", .actor = actor };
    cm_hex_encode(cm_bytes(use->id, sizeof use->id), hex);
    snprintf(detail, sizeof detail, "{\"plan\":\"%s\"}", hex);
    event.detail = cm_bytes_str(detail);
    memcpy(event.digest, use->digest, sizeof event.digest);
    return cm_sqlite_append_audit(store, &event, err);
}

cm_status cm_sqlite_plan_end(struct cm_sqlite_store *store, const struct cm_plan_use *use,
                             bool is_done, struct cm_bytes actor, struct cm_error *err)
{
    struct found found;
    if (!use)
        return CM_OK;
    cm_status status = find_plan(store, use->id, &found, err);
    if (status == CM_OK && (is_done || found.state == CM_PLAN_PENDING))
        status = set_state(store, found.number, is_done ? CM_PLAN_RUN : CM_PLAN_RUNNING, err);
    CM_FAULT_POINT("plan-marked");
    return status == CM_OK && is_done ? say_run(store, use, actor, err) : status;
}

/* ------------------------------------------------------------------- walks -- */

static cm_status prepare(struct cm_store_reader *base, const char *sql, sqlite3_stmt **ret_row,
                         struct cm_error *err)
{
    sqlite3 *db = ((struct cm_sqlite_reader *)base)->db;
    int code = sqlite3_prepare_v2(db, sql, -1, ret_row, NULL);
    return code == SQLITE_OK ? CM_OK : cm_sqlite_fail(db, code, sql, err);
}

/* True: there is a row; else *status says whether that was the end. */
static bool next(struct cm_store_reader *base, sqlite3_stmt *row, cm_status *status,
                 struct cm_error *err)
{
    int code = sqlite3_step(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        *status = cm_sqlite_fail(((struct cm_sqlite_reader *)base)->db, code, "read plans", err);
    return code == SQLITE_ROW;
}

static bool read_plan(sqlite3_stmt *row, struct cm_plan_row *ret_plan)
{
    const char *state = (const char *)sqlite3_column_text(row, 4);
    *ret_plan = (struct cm_plan_row){ .number = sqlite3_column_int64(row, 0),
                                      .text = cm_sqlite_column_text(row, 2),
                                      .prepared_ms = sqlite3_column_int64(row, 5),
                                      .expires_s = sqlite3_column_int64(row, 6),
                                      .settled_ms = sqlite3_column_int64(row, 7) };
    return state && cm_plan_state_find(state, &ret_plan->state)
           && cm_sqlite_column_exactly(row, 1, ret_plan->id, sizeof ret_plan->id)
           && cm_sqlite_column_exactly(row, 3, ret_plan->digest, sizeof ret_plan->digest);
}

cm_status cm_sqlite_walk_plans(struct cm_store_reader *base, cm_plan_walk_fn *visit, void *arg,
                               struct cm_error *err)
{
    sqlite3_stmt *row = NULL;
    struct cm_plan_row plan;
    cm_status status = prepare(base,
                               "SELECT number, id, body, digest, state, prepared_ms, expires_s,"
                               " settled_ms FROM plan ORDER BY number",
                               &row, err);
    while (status == CM_OK && next(base, row, &status, err)) {
        if (!read_plan(row, &plan))
            status = fail_damaged(err);
        else if (!visit(&plan, arg))
            break;
    }
    sqlite3_finalize(row);
    return status;
}

static bool read_approval(sqlite3_stmt *row, struct cm_plan_approval *ret_approval)
{
    const char *purpose = (const char *)sqlite3_column_text(row, 0);
    *ret_approval = (struct cm_plan_approval){ .operator= cm_sqlite_column_text(row, 1),
                                               .key = cm_sqlite_column_bytes(row, 2),
                                               .signature = cm_sqlite_column_bytes(row, 3),
                                               .time_ms = sqlite3_column_int64(row, 4) };
    return purpose && cm_approval_purpose_find(purpose, &ret_approval->purpose);
}

cm_status cm_sqlite_walk_approvals(struct cm_store_reader *base, int64_t plan_number,
                                   cm_approval_walk_fn *visit, void *arg, struct cm_error *err)
{
    sqlite3_stmt *row = NULL;
    struct cm_plan_approval approval;
    cm_status status = prepare(base,
                               "SELECT purpose, operator, key, signature, time_ms FROM approval"
                               " WHERE plan = ?1 ORDER BY time_ms, operator",
                               &row, err);
    if (status == CM_OK)
        sqlite3_bind_int64(row, 1, plan_number);
    while (status == CM_OK && next(base, row, &status, err)) {
        if (!read_approval(row, &approval))
            status = fail_damaged(err);
        else if (!visit(&approval, arg))
            break;
    }
    sqlite3_finalize(row);
    return status;
}
