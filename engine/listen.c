/* Listen: operators' programs reach the engine while it serves. */
#include "engine/internal.h"

#include <jansson.h>

#include "engine/base/clock.h"

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

static json_t *describe_issuer(const struct cm_engine *engine, const struct cm_issuer_key *issuer,
                               uint32_t waiting)
{
    const struct cm_spread_key *key = cm_spread_key(&engine->spread, issuer);
    bool in_trouble = key->trouble_since_ns != 0;
    uint64_t trouble_ns = in_trouble ? cm_clock_monotonic_ns() - key->trouble_since_ns : 0;
    return json_pack("{s:s, s:I, s:I, s:b, s:I}", "name", issuer->name, "waiting",
                     (json_int_t)waiting, "outstanding", (json_int_t)key->items_count, "in_trouble",
                     in_trouble, "seconds", (json_int_t)(trouble_ns / CM_NS_PER_S));
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

void cm_engine_fill_status(json_t *object, void *arg)
{
    const struct cm_engine *engine = arg;
    bool are_there = add_providers(engine, object), do_sign = add_issuers(engine, object);
    bool are_fresh = cm_engine_describe_revocations(engine, object);
    bool is_ready = engine->state == CM_ENGINE_IS_RUNNING && are_there && do_sign && are_fresh
                    && engine->aside.count == 0;
    json_object_set_new(object, "ready", json_boolean(is_ready));
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
        { "in_flight", counters->in_flight },
        { "set_aside", engine->aside.count },
        { "done", counters->done },
        { "clock_leap_s", (uint64_t)cm_clock_leap_ms() / 1000 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        json_object_set_new(object, rows[i].name, json_integer((json_int_t)rows[i].value));
}

static void on_revoked(void *arg)
{
    cm_engine_look_at_revocations(arg);
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
                                        .publish = engine->revocations ? publish : NULL,
                                        .on_notice = cm_engine_on_notice,
                                        .on_idle = cm_engine_on_idle,
                                        .arg = engine };
    struct cm_error err;
    if (cm_control_open(&env, &engine->control, &err) != CM_OK)
        cm_engine_notice(engine, "no control socket, continuing without: %s", err.text);
}
