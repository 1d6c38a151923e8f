/* What `certmill bench` is asked to do, and what does not go together. */
#include "tools/bench/bench.h"

#include <stdio.h>
#include <string.h>

#define DEVICES_STANDARD 20000

static enum cm_bench_queue queue_of(const char *name)
{
    if (strcmp(name, "redis") == 0)
        return CM_BENCH_REDIS;
    return strcmp(name, "spool") == 0 ? CM_BENCH_SPOOL : CM_BENCH_MEMORY;
}

/* NULL, or why it cannot be meant so. */
static const char *complaint(const struct cm_call *call)
{
    bool has_ramp = cm_call_value(call, "ramp") != NULL;
    bool has_rate = cm_call_number(call, "rate") > 0;
    bool has_settings = cm_call_value(call, "config") != NULL;
    bool has_instance = cm_bench_instance_is_asked_for(call);
    if (has_ramp && has_rate)
        return "--rate and --ramp: a run has one of them";
    if (has_ramp && cm_call_value(call, "devices"))
        return "--devices and --ramp: how many requests there are follows from the ramp and --hold";
    if ((has_ramp || has_rate) && queue_of(cm_call_value(call, "queue")) == CM_BENCH_SPOOL)
        return "--rate and --ramp go with --queue memory or redis: files are all there";
    if (cm_call_value(call, "key-type") && cm_call_value(call, "mix"))
        return "--key-type and --mix: one of them says which keys the devices have";
    if (cm_call_value(call, "provider") && has_instance)
        return "--provider makes keys of its own: it does not go with --config or --kind";
    if (has_settings && cm_call_value(call, "kind"))
        return "--config and --kind: the instance is one of the settings, or described here";
    if (call->operands_count > 0 && !has_settings)
        return "NAME is one of the settings' providers: it needs --config";
    if (!has_instance && cm_call_value(call, "key"))
        return "--key is of an instance: it needs --config or --kind";
    if (!has_instance && (cm_call_value(call, "token") || cm_call_value(call, "vault")))
        return "--token and --vault are of an instance: they need --config or --kind";
    return cm_provider_target_complaint(call);
}

/* --- devices and their moments ------------------------------------------------------------------- */

static cm_status read_fleet(const struct cm_call *call, struct cm_bench_plan *plan,
                            struct cm_error *err)
{
    uint32_t count = plan->schedule.requests_count;
    const char *key_type = cm_call_value(call, "key-type"), *mix = cm_call_value(call, "mix");
    plan->mix = mix ? mix : key_type ? key_type : "p256";
    if (mix)
        return cm_fleet_settings_read(mix, count, &plan->fleet, err);
    if (strcmp(plan->mix, "mix") == 0)
        cm_fleet_settings_mix(count, &plan->fleet);
    else
        cm_fleet_settings_uniform(count, cm_key_type_find(plan->mix), &plan->fleet);
    return CM_OK;
}

static cm_status read_schedule(const struct cm_call *call, struct cm_bench_schedule *ret_schedule,
                               struct cm_error *err)
{
    const char *ramp = cm_call_value(call, "ramp");
    uint32_t rate = (uint32_t)cm_call_number(call, "rate");
    uint32_t count = cm_call_value(call, "devices") ? (uint32_t)cm_call_number(call, "devices")
                                                    : DEVICES_STANDARD;
    if (ramp)
        return cm_bench_schedule_ramp(ramp, (uint32_t)cm_call_number(call, "hold"), ret_schedule,
                                      err);
    if (rate > 0)
        cm_bench_schedule_rate(count, rate, ret_schedule);
    else
        cm_bench_schedule_closed(count, ret_schedule);
    return CM_OK;
}

bool cm_bench_plan_read(const struct cm_call *call, struct cm_bench_plan *ret_plan)
{
    const char *queue = cm_call_value(call, "queue"), *provider = cm_call_value(call, "provider");
    const char *wrong = complaint(call);
    struct cm_error err;
    if (wrong) {
        cm_usage_fail("%s", wrong);
        return false;
    }
    *ret_plan = (struct cm_bench_plan){
        .call = call,
        .fleet_cache = cm_call_value(call, "fleet-cache"),
        .queue = queue_of(queue),
        .queue_name = queue,
        .window = (uint32_t)cm_call_number(call, "window"),
        .per_entry = (uint32_t)cm_call_number(call, "per-entry"),
        .results = cm_call_value(call, "results"),
        .latency_bound_ms = (double)cm_call_number(call, "latency-bound"),
        .ca_key = cm_call_value(call, "ca-key"),
        .provider = provider ? provider : "openssl",
        .check_signatures = (uint32_t)cm_call_number(call, "check-signatures"),
        .multi_buffer = cm_call_value(call, "multi-buffer"),
        .signers = cm_call_value(call, "signers"),
        .redis_aof = cm_call_value(call, "redis-aof"),
        .quiet = cm_call_flag(call, "quiet") || cm_call_flag(call, "json"),
    };
    if (read_schedule(call, &ret_plan->schedule, &err) == CM_OK
        && read_fleet(call, ret_plan, &err) == CM_OK)
        return true;
    cm_usage_fail("%s", err.text);
    return false;
}

/* --- the command line ---------------------------------------------------------------------------- */

/* In single quotes where the shell would read anything into it. */
static size_t add_word(char *text, size_t space, size_t used, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=:,./@%+";
    bool is_plain = word[0] && strspn(word, plain) == strlen(word);
    int size = snprintf(text + used, space - used, is_plain ? " %s" : " '%s'", word);
    return used + (size_t)size < space ? used + (size_t)size : space - 1;
}

/* Where the results go does not belong to it. */
static bool is_of_the_run(const struct cm_option *option)
{
    static const char *const others[] = { "json", "quiet", "report", "dir", "fleet-cache" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(option->name, others[i]) == 0)
            return false;
    return true;
}

const char *cm_bench_line(const struct cm_call *call, char *text, size_t space)
{
    size_t used = (size_t)snprintf(text, space, "certmill bench");
    char name[64];
    for (int i = 0; i < call->operands_count; i++)
        used = add_word(text, space, used, call->operands[i]);
    for (size_t i = 0; i < call->command->options_count; i++) {
        const struct cm_option *option = &call->command->options[i];
        if (!call->values[i] || !is_of_the_run(option))
            continue;
        snprintf(name, sizeof name, "--%s", option->name);
        used = add_word(text, space, used, name);
        if (option->type != CM_OPTION_FLAG)
            used = add_word(text, space, used, call->values[i]);
    }
    return text;
}
