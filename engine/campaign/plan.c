#include "engine/campaign/plan.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/hash.h"

static const char responder_prefix[] = "ocsp-responder/";

/* --- reading ------------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    enum cm_campaign_change_kind kind;
    enum cm_campaign_state to;
} operations[] = {
    { "campaign-start", CM_CAMPAIGN_START, CM_CAMPAIGN_RUNNING },
    { "campaign-pause", CM_CAMPAIGN_BECOME, CM_CAMPAIGN_PAUSED },
    { "campaign-resume", CM_CAMPAIGN_BECOME, CM_CAMPAIGN_RUNNING },
    { "campaign-cancel", CM_CAMPAIGN_BECOME, CM_CAMPAIGN_CANCELLED },
};

static bool is_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return size > 0 && size <= CM_CAMPAIGN_NAME_MAX && name[size] == '\0' && name[0] != '-'
           && name[0] != '.';
}

static cm_status read_text(const json_t *request, const char *key, struct cm_arena *arena,
                           struct cm_bytes *ret_text, struct cm_error *err)
{
    const char *text = json_string_value(json_object_get(request, key));
    if (!text || !is_name(text))
        return CM_FAIL(
            err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
            "%s: expected a name of at most %d letters, digits, '-', '_' and '.', with no "
            "'-' or '.' in front",
            key, CM_CAMPAIGN_NAME_MAX);
    *ret_text = cm_arena_copy(arena, cm_bytes_str(text));
    return CM_OK;
}

static cm_status read_number(const json_t *request, const char *key, int64_t least, int64_t most,
                             int64_t *ret_number, struct cm_error *err)
{
    const json_t *value = json_object_get(request, key);
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < least || number > most)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "%s: expected a whole number from %lld to %lld", key, (long long)least,
                       (long long)most);
    *ret_number = number;
    return CM_OK;
}

static cm_status read_group(const json_t *value, const struct cm_settings *settings,
                            struct cm_bytes *ret_name, struct cm_error *err)
{
    const char *name = json_string_value(value);
    const struct cm_settings_group *group =
        name ? cm_settings_group(settings, cm_bytes_str(name)) : NULL;
    char shown[64];
    if (!name)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "groups: expected names");
    if (!group)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "there is no group \"%s\" in the settings",
                       cm_bytes_printable(cm_bytes_str(name), shown, sizeof shown));
    *ret_name = cm_bytes_str(group->name);
    return CM_OK;
}

/* A NUL behind each. */
static cm_status read_groups(const json_t *groups, const struct cm_settings *settings,
                             struct cm_arena *arena, struct cm_bytes *ret_groups,
                             struct cm_error *err)
{
    size_t count = json_array_size(groups), size = 0;
    *ret_groups = cm_bytes(NULL, 0);
    if (groups && !json_is_array(groups))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "groups: expected a list of names");
    if (count > settings->groups_count)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "groups: one stands twice");
    char *names = cm_arena_zalloc(arena, CM_CAMPAIGN_GROUPS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct cm_bytes name = { NULL, 0 };
        cm_status status = read_group(json_array_get(groups, i), settings, &name, err);
        if (status != CM_OK)
            return status;
        if (name.size >= CM_CAMPAIGN_GROUPS_MAX - size)
            return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "groups: too many of them");
        memcpy(names + size, name.data, name.size);
        size += name.size + 1;
    }
    *ret_groups = cm_bytes(names, size);
    return CM_OK;
}

static cm_status read_start(const json_t *request, const struct cm_settings *settings,
                            struct cm_arena *arena, struct cm_campaign *campaign,
                            struct cm_error *err)
{
    int64_t rate = 0;
    cm_status status = read_text(request, "generation", arena, &campaign->generation_name, err);
    if (status == CM_OK)
        status = read_number(request, "window", CM_CAMPAIGN_WINDOW_S_MIN, CM_CAMPAIGN_WINDOW_S_MAX,
                             &campaign->window_s, err);
    if (status == CM_OK)
        status = read_number(request, "rate", 1, CM_CAMPAIGN_RATE_MAX, &rate, err);
    if (status == CM_OK && json_object_get(request, "expected"))
        status = read_number(request, "expected", 0, INT64_MAX, &campaign->expected, err);
    if (status == CM_OK)
        status = read_groups(json_object_get(request, "groups"), settings, arena, &campaign->groups,
                             err);
    campaign->rate_per_s = (uint32_t)rate;
    return status;
}

static cm_status check_keys(const json_t *request, bool is_start, struct cm_error *err)
{
    static const char *const known[] = { "v",      "op",   "actor",  "name",    "generation",
                                         "window", "rate", "groups", "expected" };
    size_t count = 0, most = is_start ? sizeof known / sizeof known[0] : 4;
    for (size_t i = 0; i < most; i++)
        count += json_object_get(request, known[i]) != NULL;
    return json_object_size(request) == count
               ? CM_OK
               : CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "an unknown key");
}

/* --- the audit log ------------------------------------------------------------------------------- */

static json_t *list_groups(struct cm_bytes groups)
{
    json_t *names = json_array();
    for (size_t at = 0; at < groups.size;) {
        const char *name = (const char *)groups.data + at;
        json_array_append_new(names, json_string(name));
        at += strlen(name) + 1;
    }
    return names;
}

/* Takes detail over. */
static void write_audit(const char *kind, struct cm_bytes actor, json_t *detail,
                        struct cm_arena *arena, struct cm_audit_event *event)
{
    char *text = detail ? json_dumps(detail, JSON_COMPACT) : NULL;
    if (!text)
        abort();
    *event = (struct cm_audit_event){ .kind = kind,
                                      .actor = actor,
                                      .detail = cm_arena_copy(arena, cm_bytes_str(text)) };
    cm_sha256(&event->detail, 1, event->digest);
    free(text);
    json_decref(detail);
}

static json_t *describe(const struct cm_campaign_plan *plan)
{
    const struct cm_campaign *campaign = &plan->campaign;
    json_t *detail = json_pack("{s:s%}", "campaign", campaign->name.data, campaign->name.size);
    if (plan->change.kind != CM_CAMPAIGN_START)
        return detail;
    json_object_set_new(
        detail, "generation",
        json_stringn((const char *)campaign->generation_name.data, campaign->generation_name.size));
    json_object_set_new(detail, "window_s", json_integer(campaign->window_s));
    json_object_set_new(detail, "rate_per_s", json_integer(campaign->rate_per_s));
    json_object_set_new(detail, "groups", list_groups(campaign->groups));
    json_object_set_new(detail, "expected", json_integer(campaign->expected));
    return detail;
}

/* --- plans --------------------------------------------------------------------------------------- */

cm_status cm_campaign_plan_read(const json_t *request, const struct cm_settings *settings,
                                struct cm_bytes actor, struct cm_arena *arena,
                                struct cm_campaign_plan *plan, struct cm_error *err)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    size_t i = 0;
    while (i < sizeof operations / sizeof operations[0] && strcmp(operations[i].op, op ? op : ""))
        i++;
    if (i == sizeof operations / sizeof operations[0])
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "op: no change of a campaign");
    *plan = (struct cm_campaign_plan){ .campaign.actor = actor,
                                       .change = { .kind = operations[i].kind,
                                                   .campaign = &plan->campaign,
                                                   .to = operations[i].to } };
    bool is_start = operations[i].kind == CM_CAMPAIGN_START;
    cm_status status = check_keys(request, is_start, err);
    if (status == CM_OK)
        status = read_text(request, "name", arena, &plan->campaign.name, err);
    if (status == CM_OK && is_start)
        status = read_start(request, settings, arena, &plan->campaign, err);
    if (status == CM_OK)
        write_audit(operations[i].op, actor, describe(plan), arena, &plan->audit);
    return status;
}

void cm_campaign_plan_end(const struct cm_campaign *campaign, struct cm_arena *arena,
                          struct cm_campaign_plan *plan)
{
    *plan = (struct cm_campaign_plan){ .campaign = { .name = campaign->name },
                                       .change = { .kind = CM_CAMPAIGN_BECOME,
                                                   .campaign = &plan->campaign,
                                                   .to = CM_CAMPAIGN_DONE } };
    json_t *detail = describe(plan);
    json_object_set_new(detail, "noticed", json_integer(campaign->noticed));
    json_object_set_new(detail, "renewed", json_integer(campaign->renewed));
    write_audit("campaign-end", cm_bytes_str("engine"), detail, arena, &plan->audit);
}

/* --- looking ------------------------------------------------------------------------------------- */

bool cm_campaign_is_about(struct cm_bytes groups, const struct cm_device *device)
{
    size_t prefix_size = sizeof responder_prefix - 1;
    if (device->id.size >= prefix_size
        && memcmp(device->id.data, responder_prefix, prefix_size) == 0)
        return false;
    for (size_t at = 0; at < groups.size;) {
        const char *name = (const char *)groups.data + at;
        if (cm_bytes_is(device->group, name))
            return true;
        at += strlen(name) + 1;
    }
    return groups.size == 0;
}

json_t *cm_campaign_to_json(const struct cm_campaign *campaign, int64_t now_s)
{
    int64_t started_s = campaign->created_ms / 1000;
    int64_t remaining = campaign->expected - campaign->noticed - campaign->renewed;
    bool is_over = campaign->ended_ms > 0;
    if (remaining < 0 || is_over)
        remaining = 0;
    int64_t sending_end_s =
        campaign->state == CM_CAMPAIGN_RUNNING ? now_s + remaining / campaign->rate_per_s : 0;
    return json_pack(
        "{s:s%, s:s%, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
        campaign->name.data, campaign->name.size, "generation", campaign->generation_name.data,
        campaign->generation_name.size, "state", cm_campaign_state_name(campaign->state), "groups",
        list_groups(campaign->groups), "window_s", (json_int_t)campaign->window_s, "rate_per_s",
        (json_int_t)campaign->rate_per_s, "started_s", (json_int_t)started_s, "window_end_s",
        (json_int_t)(started_s + campaign->window_s), "ended_s",
        (json_int_t)(campaign->ended_ms / 1000), "expected", (json_int_t)campaign->expected,
        "noticed", (json_int_t)campaign->noticed, "renewed", (json_int_t)campaign->renewed,
        "remaining", (json_int_t)remaining, "sending_end_s", (json_int_t)sending_end_s);
}
