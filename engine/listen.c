/* Listen: operators' programs reach the engine while it serves. */
#include "engine/internal.h"

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/campaign/sender.h"
#include "engine/multibuffer/multibuffer.h"

/* Requests that this issuer's key was asked for in vain so far. */
static uint32_t count_waiting(const struct cm_engine *engine, const struct cm_issuer_key *issuer)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->batches_count; i++) {
        const struct cm_batch *batch = &engine->batches[i];
        for (uint32_t j = 0; j < batch->lots_count; j++)
            if (batch->lots[j].issuer == issuer && batch->lots[j].waits_count > 0)
                count += batch->lots[j].sign_batch.items_count;
    }
    return count;
}

/* Where there is one: the seconds until another key's turn. */
static void add_schedule(const struct cm_issuer_key *issuer, json_t *row)
{
    struct cm_schedule_moments moments;
    if (cm_schedule_of(issuer->authority, issuer->active_ms, issuer->issuer.not_after_s, &moments))
        json_object_set_new(row, "rotation_due_s",
                            json_integer((moments.due_ms - cm_clock_wall_ms()) / 1000));
}

static json_t *describe_issuer(const struct cm_engine *engine, const struct cm_issuer_key *issuer,
                               uint32_t waiting)
{
    const struct cm_spread_key *key = cm_spread_key(&engine->spread, issuer);
    bool in_trouble = key->trouble_since_ns != 0;
    uint64_t trouble_ns = in_trouble ? cm_clock_monotonic_ns() - key->trouble_since_ns : 0;
    json_t *row =
        json_pack("{s:s, s:I, s:I, s:b, s:I}", "name", issuer->name, "waiting", (json_int_t)waiting,
                  "outstanding", (json_int_t)key->items_count, "in_trouble", in_trouble, "seconds",
                  (json_int_t)(trouble_ns / CM_NS_PER_S));
    add_schedule(issuer, row);
    return row;
}

/* False: requests wait for one of them. */
static bool add_issuers(const struct cm_engine *engine, json_t *object)
{
    json_t *rows = json_array();
    bool all_sign = true;
    for (uint32_t i = 0; i < engine->issuers.keys_count; i++) {
        const struct cm_issuer_key *issuer = &engine->issuers.keys[i];
        if (!issuer->issues)
            continue;
        uint32_t waiting = count_waiting(engine, issuer);
        all_sign &= waiting == 0;
        json_array_append_new(rows, describe_issuer(engine, issuer, waiting));
    }
    json_object_set_new(object, "issuers", rows);
    return all_sign;
}

static json_t *describe_pace(const struct cm_provider_pace *pace)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "rate_per_s", pace->rate_per_s },
        { "in_flight", pace->in_flight },
        { "waiting", pace->waiting },
        { "succeeded", pace->succeeded_count },
        { "throttled", pace->throttled_count },
        { "failed", pace->failed_count },
        { "median_ms", (pace->latency_us_median + 500ull) / 1000 },
        { "p99_ms", (pace->latency_us_p99 + 500ull) / 1000 },
        { "circuits_open", pace->circuits_open },
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)rows[i].value));
    return object;
}

static json_t *describe_provider(const struct cm_provider *provider, uint64_t now_ns)
{
    struct cm_provider_state state = cm_provider_state(provider);
    struct cm_provider_pace pace = cm_provider_pace(provider);
    json_t *row =
        json_pack("{s:s, s:b, s:I, s:I, s:I}", "name", cm_provider_name(provider), "up",
                  state.is_up, "seconds", (json_int_t)((now_ns - state.since_ns) / CM_NS_PER_S),
                  "restarts", (json_int_t)state.restarts_count, "pid", (json_int_t)state.pid);
    if (cm_provider_pace_is_any(&pace))
        json_object_set_new(row, "pace", describe_pace(&pace));
    return row;
}

static bool is_away(const struct cm_provider *provider)
{
    return !cm_provider_state(provider).is_up || cm_provider_pace(provider).circuits_open > 0;
}

/* False: one of them is away. */
static bool add_providers(const struct cm_engine *engine, json_t *object)
{
    json_t *rows = json_array(), *away = json_array();
    uint64_t now_ns = cm_clock_monotonic_ns();
    for (uint32_t i = 0; i < engine->settings->providers_count; i++) {
        const struct cm_provider *provider = engine->providers[i];
        json_array_append_new(rows, describe_provider(provider, now_ns));
        if (is_away(provider))
            json_array_append_new(away, json_string(cm_provider_name(provider)));
    }
    bool none_is_away = json_array_size(away) == 0;
    json_object_set_new(object, "providers", rows);
    json_object_set_new(object, "away", away);
    return none_is_away;
}

/* How signatures are verified here. */
static json_t *describe_verification(const struct cm_engine *engine)
{
    struct cm_proof_counts sum = { .in_lanes = 0 };
    bool forgoes_lanes = engine->settings->engine.forgoes_lanes;
    for (uint32_t i = 0; i < engine->workers_count; i++) {
        struct cm_proof_counts counts = cm_proof_count(engine->workers_open[i]->proof);
        sum.in_lanes += counts.in_lanes;
        sum.one_by_one += counts.one_by_one;
    }
    return json_pack(
        "{s:b, s:s, s:I, s:I}", "multi_buffer", !forgoes_lanes && cm_mb_takes(CM_MB_P256),
        "arithmetic", forgoes_lanes ? "OpenSSL alone, as settings want it" : cm_mb_describe(),
        "in_lanes", (json_int_t)sum.in_lanes, "one_by_one", (json_int_t)sum.one_by_one);
}

static json_t *describe_stations(const struct cm_engine_counters *counters)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < CM_STATION_COUNT; i++)
        json_array_append_new(rows, json_pack("{s:s, s:I}", "name", cm_station_name(i), "ns",
                                              (json_int_t)counters->station_ns[i]));
    return rows;
}

void cm_engine_fill_status(json_t *object, void *arg)
{
    const struct cm_engine *engine = arg;
    bool are_there = add_providers(engine, object), do_sign = add_issuers(engine, object);
    bool are_fresh = cm_engine_describe_revocations(engine, object);
    bool is_ready = engine->state == CM_ENGINE_IS_RUNNING && are_there && do_sign && are_fresh
                    && engine->aside.count == 0;
    json_object_set_new(object, "ready", json_boolean(is_ready));
    json_object_set_new(object, "campaigns", cm_sender_describe(engine->sender));
    json_object_set_new(object, "verification", describe_verification(engine));
    const struct cm_engine_counters *counters = &engine->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "issued", counters->issued },
        { "refused", counters->refused },
        { "failed", counters->failed },
        { "repeated", counters->repeated },
        { "given_back", counters->given_back },
        { "batches", counters->batches },
        { "batches_answered", counters->batches_answered },
        { "in_flight", counters->in_flight },
        { "set_aside", engine->aside.count },
        { "done", counters->done },
        { "clock_leap_s", (uint64_t)cm_clock_leap_ms() / 1000 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)rows[i].value));
    json_object_set_new(object, "stations", describe_stations(counters));
}

static void on_revoked(void *arg)
{
    cm_engine_look_at_revocations(arg);
}

static void on_authorities(void *arg)
{
    struct cm_engine *engine = arg;
    cm_issuers_look(&engine->issuers);
}

/* Of the settings' authorities. Others' are not served here, and have nothing to be ready. */
static cm_status check_transition(const struct cm_transition *transition, struct cm_error *err,
                                  void *arg)
{
    const struct cm_engine *engine = arg;
    const struct cm_issuer_key *issuer =
        cm_issuers_by_generation(&engine->issuers, transition->number);
    if (transition->to != CM_GENERATION_ACTIVE || !issuer || (issuer->key && issuer->templates))
        return CM_OK;
    return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                   issuer->provider ? "the engine has not opened the key of %s yet: it says why"
                                    : "the engine was started before the provider of %s was in "
                                      "its settings: start it again",
                   issuer->name);
}

static void on_campaign(const struct cm_campaign *campaign, void *arg)
{
    const struct cm_engine *engine = arg;
    cm_sender_change(engine->sender, campaign);
}

static json_t *describe_campaigns(void *arg)
{
    const struct cm_engine *engine = arg;
    return cm_sender_describe(engine->sender);
}

static cm_status publish(const char *issuer, cm_control_published_fn *done, void *done_arg,
                         struct cm_error *err, void *arg)
{
    return cm_engine_publish(arg, issuer, done, done_arg, err);
}

void cm_engine_listen(struct cm_engine *engine)
{
    const struct cm_control_env env = { .loop = engine->loop,
                                        .settings = engine->settings,
                                        .store = engine->store,
                                        .fill_status = cm_engine_fill_status,
                                        .on_revoked = on_revoked,
                                        .on_campaign = on_campaign,
                                        .describe_campaigns = describe_campaigns,
                                        .publish = engine->revocations ? publish : NULL,
                                        .on_authorities = on_authorities,
                                        .check_transition = check_transition,
                                        .on_notice = cm_engine_on_notice,
                                        .on_idle = cm_engine_on_idle,
                                        .arg = engine };
    struct cm_error err;
    if (cm_control_open(&env, &engine->control, &err) != CM_OK)
        cm_engine_notice(engine, "no control socket, continuing without: %s", err.text);
}
