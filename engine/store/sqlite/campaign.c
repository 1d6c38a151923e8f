/* Campaigns: made, moved along, and ended. */
#include "engine/store/sqlite/internal.h"

#include "engine/base/clock.h"

/* ------------------------------------------------------------------- changes -- */

/* A campaign as a change finds it; number 0: there is none. */
struct found {
    int64_t number, created_ms, ended_ms;
    enum cm_campaign_state state;
};

static cm_status find_campaign(struct cm_sqlite_store *store, struct cm_bytes name,
                               struct found *ret_found, struct cm_error *err)
{
    sqlite3_stmt *row = store->statements[CM_SQLITE_FIND_CAMPAIGN];
    cm_status status = CM_OK;
    cm_sqlite_bind_text(row, 1, name);
    int code = sqlite3_step(row);
    *ret_found = (struct found){ 0 };
    if (code == SQLITE_ROW) {
        *ret_found = (struct found){ .number = sqlite3_column_int64(row, 0),
                                     .created_ms = sqlite3_column_int64(row, 1),
                                     .ended_ms = sqlite3_column_int64(row, 2) };
        if (!cm_campaign_state_find((const char *)sqlite3_column_text(row, 3), &ret_found->state))
            status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                             "the store is damaged: a campaign has an unknown state");
    } else if (code != SQLITE_DONE) {
        status = cm_sqlite_fail(store->db, code, "look up a campaign", err);
    }
    sqlite3_reset(row);
    return status;
}

static cm_status require_generation(struct cm_sqlite_store *store, int64_t number,
                                    struct cm_error *err)
{
    bool found = false;
    int64_t values[2];
    sqlite3_bind_int64(store->statements[CM_SQLITE_FIND_GENERATION], 1, number);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_GENERATION, &found, values, err);
    if (status == CM_OK && !found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "store: no generation has number %lld",
                       (long long)number);
    return status;
}

static cm_status find_generation(struct cm_sqlite_store *store, struct cm_campaign *campaign,
                                 struct cm_error *err)
{
    struct cm_bytes name = campaign->generation_name;
    bool found = false;
    int64_t values[2] = { 0, 0 };
    if (name.size == 0)
        return require_generation(store, campaign->generation_number, err);
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_ISSUER], 1, name);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_ISSUER, &found, values, err);
    if (status == CM_OK && !found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no key %.*s of an authority; certmill ca list shows them",
                       (int)name.size, (const char *)name.data);
    campaign->generation_number = values[0];
    return status;
}

static cm_status put_campaign(struct cm_sqlite_store *store, const struct cm_campaign *campaign,
                              struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_CAMPAIGN];
    cm_sqlite_bind_text(statement, 1, campaign->name);
    cm_sqlite_bind_text(statement, 2, campaign->actor);
    sqlite3_bind_int64(statement, 3, campaign->generation_number);
    cm_sqlite_bind_bytes(statement, 4, campaign->groups);
    sqlite3_bind_int64(statement, 5, campaign->window_s);
    sqlite3_bind_int64(statement, 6, campaign->rate_per_s);
    sqlite3_bind_int64(statement, 7, campaign->expected);
    sqlite3_bind_int64(statement, 8, campaign->created_ms);
    sqlite3_bind_int64(statement, 9, campaign->until);
    return cm_sqlite_step(store, CM_SQLITE_CAMPAIGN, "record a campaign", err);
}

static cm_status start_campaign(struct cm_sqlite_store *store, struct cm_campaign *campaign,
                                struct cm_error *err)
{
    struct found found;
    cm_status status = find_campaign(store, campaign->name, &found, err);
    if (status == CM_OK && found.number != 0)
        status = CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                         "there is a campaign %.*s already; names are used once",
                         (int)campaign->name.size, (const char *)campaign->name.data);
    if (status == CM_OK)
        status = find_generation(store, campaign, err);
    if (status != CM_OK)
        return status;
    campaign->created_ms = cm_clock_wall_ms();
    /* Numbers may be ahead of the clock: of what was issued before it was set back. */
    campaign->until =
        cm_sqlite_max(store->tally.last_number, cm_sqlite_last_of(campaign->created_ms));
    status = put_campaign(store, campaign, err);
    campaign->number = sqlite3_last_insert_rowid(store->db);
    campaign->state = CM_CAMPAIGN_RUNNING;
    campaign->ended_ms = campaign->cursor = campaign->noticed = campaign->renewed = 0;
    return status;
}

static cm_status set_state(struct cm_sqlite_store *store, int64_t number, enum cm_campaign_state to,
                           int64_t ended_ms, struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_CAMPAIGN_STATE];
    sqlite3_bind_int64(statement, 1, number);
    cm_sqlite_bind_text(statement, 2, cm_bytes_str(cm_campaign_state_name(to)));
    sqlite3_bind_int64(statement, 3, ended_ms);
    return cm_sqlite_step(store, CM_SQLITE_CAMPAIGN_STATE, "change a campaign's state", err);
}

static cm_status check_arrow(const struct cm_campaign_change *change, const struct found *found,
                             struct cm_error *err)
{
    struct cm_bytes name = change->campaign->name;
    if (found->number == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no campaign %.*s; certmill campaign list shows them",
                       (int)name.size, (const char *)name.data);
    if (found->state != change->to && !cm_campaign_may_become(found->state, change->to))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "a campaign that is %s cannot become %s",
                       cm_campaign_state_name(found->state), cm_campaign_state_name(change->to));
    return CM_OK;
}

static cm_status become(struct cm_sqlite_store *store, struct cm_campaign_change *change,
                        struct cm_error *err)
{
    struct cm_campaign *campaign = change->campaign;
    bool is_over = change->to == CM_CAMPAIGN_DONE || change->to == CM_CAMPAIGN_CANCELLED;
    struct found found;
    cm_status status = find_campaign(store, campaign->name, &found, err);
    if (status == CM_OK)
        status = check_arrow(change, &found, err);
    campaign->number = found.number;
    campaign->state = found.state;
    campaign->created_ms = found.created_ms;
    campaign->ended_ms = found.ended_ms;
    if (status != CM_OK || found.state == change->to)
        return status;
    campaign->ended_ms = is_over ? cm_clock_wall_ms() : 0;
    campaign->state = change->to;
    change->changed = true;
    return set_state(store, found.number, change->to, campaign->ended_ms, err);
}

static cm_status move(struct cm_sqlite_store *store, const struct cm_campaign *campaign,
                      struct cm_error *err)
{
    sqlite3_stmt *statement = store->statements[CM_SQLITE_CAMPAIGN_MOVE];
    sqlite3_bind_int64(statement, 1, campaign->number);
    sqlite3_bind_int64(statement, 2, campaign->cursor);
    sqlite3_bind_int64(statement, 3, campaign->noticed);
    sqlite3_bind_int64(statement, 4, campaign->renewed);
    cm_status status = cm_sqlite_step(store, CM_SQLITE_CAMPAIGN_MOVE, "move a campaign", err);
    if (status == CM_OK && sqlite3_changes(store->db) == 0)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "store: a campaign does not move backwards");
    return status;
}

cm_status cm_sqlite_change_campaign(struct cm_sqlite_store *store,
                                    struct cm_campaign_change *change, struct cm_error *err)
{
    change->changed = false;
    switch (change->kind) {
    case CM_CAMPAIGN_START:
        change->changed = true;
        return start_campaign(store, change->campaign, err);
    case CM_CAMPAIGN_BECOME:
        return become(store, change, err);
    case CM_CAMPAIGN_MOVE:
        change->changed = true;
        return move(store, change->campaign, err);
    }
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, change->kind, "store: no such change");
}

/* ------------------------------------------------------------------- reading -- */

static bool read_campaign(sqlite3_stmt *row, struct cm_campaign *ret_campaign)
{
    const char *state = (const char *)sqlite3_column_text(row, 8);
    *ret_campaign = (struct cm_campaign){
        .number = sqlite3_column_int64(row, 0),
        .name = cm_sqlite_column_text(row, 1),
        .actor = cm_sqlite_column_text(row, 2),
        .generation_number = sqlite3_column_int64(row, 3),
        .groups = cm_sqlite_column_bytes(row, 4),
        .window_s = sqlite3_column_int64(row, 5),
        .rate_per_s = (uint32_t)sqlite3_column_int64(row, 6),
        .expected = sqlite3_column_int64(row, 7),
        .created_ms = sqlite3_column_int64(row, 9),
        .ended_ms = sqlite3_column_int64(row, 10),
        .until = sqlite3_column_int64(row, 11),
        .cursor = sqlite3_column_int64(row, 12),
        .noticed = sqlite3_column_int64(row, 13),
        .renewed = sqlite3_column_int64(row, 14),
        .generation_name = cm_sqlite_column_text(row, 15),
    };
    return state && cm_campaign_state_find(state, &ret_campaign->state);
}

cm_status cm_sqlite_walk_campaigns(struct cm_store_reader *base, cm_campaign_walk_fn *visit,
                                   void *arg, struct cm_error *err)
{
    static const char *const sql[] = {
        "SELECT campaign.number, name, actor, campaign.generation, device_groups, window_s,"
        " rate_per_s, expected, campaign.state, campaign.created_ms, ended_ms, until, cursor,"
        " noticed, renewed, authority || '-' || generation.generation FROM campaign"
        " JOIN generation ON generation.number = campaign.generation ORDER BY campaign.number"
    };
    sqlite3 *db = ((struct cm_sqlite_reader *)base)->db;
    sqlite3_stmt *row = NULL;
    struct cm_campaign campaign;
    int code = SQLITE_DONE;
    cm_status status = cm_sqlite_prepare(db, sql, 1, &row, err);
    while (status == CM_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        if (!read_campaign(row, &campaign))
            status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                             "the store is damaged: a campaign has an unknown state");
        else if (!visit(&campaign, arg))
            break;
    }
    if (status == CM_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        status = cm_sqlite_fail(db, code, "read the campaigns", err);
    cm_sqlite_finalize(&row, 1);
    return status;
}
