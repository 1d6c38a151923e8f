#include "tests/support/keyvault/keyvault.h"

#include <string.h>

#include <event2/buffer.h>

static void refuse(struct kv_exchange *exchange, int status, const char *reason)
{
    kv_answer(exchange, status, json_pack("{ss}", "error", reason));
}

static json_t *read_json(struct kv_exchange *exchange)
{
    struct evbuffer *buffer = evhttp_request_get_input_buffer(exchange->http);
    size_t size = evbuffer_get_length(buffer);
    return size > 0 ? json_loadb((const char *)evbuffer_pullup(buffer, -1), size, 0, NULL) : NULL;
}

/* ------------------------------------------------------------------ levers -- */

static void add_faults(struct kv_exchange *exchange)
{
    const char *reason = "the body is no JSON";
    json_t *request = read_json(exchange);
    if (request && kv_faults_add(&exchange->emulator->faults, request, &reason))
        kv_answer(exchange, 200, json_object());
    else
        refuse(exchange, 400, reason);
    json_decref(request);
}

static void clear_faults(struct kv_exchange *exchange)
{
    kv_faults_clear(&exchange->emulator->faults);
    kv_answer(exchange, 200, json_object());
}

static void revoke_tokens(struct kv_exchange *exchange)
{
    kv_tokens_revoke(&exchange->emulator->tokens);
    kv_answer(exchange, 200, json_object());
}

static json_int_t number_of(uint64_t number)
{
    return (json_int_t)number;
}

static void tell_statistics(struct kv_exchange *exchange)
{
    const struct kv_statistics *numbers = &exchange->emulator->statistics;
    json_t *requests = json_object();
    for (int i = 0; i < KV_OPERATION_COUNT; i++)
        json_object_set_new(requests, kv_operation_names[i],
                            json_integer(number_of(numbers->requests[i])));
    kv_answer(exchange, 200,
              json_pack("{sosIsIsIsIsIsIsIsIsI}", "requests", requests, "signed",
                        number_of(numbers->signed_count), "throttled",
                        number_of(numbers->throttled), "unauthorized",
                        number_of(numbers->unauthorized), "faults", number_of(numbers->faults),
                        "tokens", number_of(numbers->tokens), "connections",
                        number_of(numbers->connections), "connections_open",
                        number_of(numbers->connections_open), "signs_in_flight",
                        number_of(numbers->signs_in_flight), "signs_in_flight_max",
                        number_of(numbers->signs_in_flight_max)));
}

static bool read_count(json_t *request, const char *name, int least, int *value)
{
    json_t *member = json_object_get(request, name);
    json_int_t number = json_integer_value(member);
    if (!member)
        return true;
    if (!json_is_integer(member) || number < least || number > 3600000)
        return false;
    *value = (int)number;
    return true;
}

static bool read_switch(json_t *request, const char *name, bool *value)
{
    json_t *member = json_object_get(request, name);
    if (member)
        *value = json_is_true(member);
    return !member || json_is_boolean(member);
}

/* What is not said stays, but a scale switches it on; the windows begin anew. */
static void set_throttle(struct kv_exchange *exchange)
{
    struct kv_throttle_options options = exchange->emulator->throttle.options;
    json_t *request = read_json(exchange), *scale = json_object_get(request, "scale");
    options.on = options.on || scale;
    bool good = json_is_object(request) && read_switch(request, "on", &options.on)
                && read_switch(request, "sliding", &options.sliding)
                && read_switch(request, "count_throttled", &options.count_throttled)
                && read_count(request, "period_ms", 1, &options.period_ms)
                && read_count(request, "retry_after", -1, &options.retry_after_s);
    if (scale) {
        options.scale = json_number_value(scale);
        good = good && json_is_number(scale) && options.scale >= 0;
    }
    json_decref(request);
    if (!good) {
        refuse(exchange, 400,
               "on, sliding, count_throttled, scale, period_ms or retry_after is wrong");
        return;
    }
    exchange->emulator->throttle = (struct kv_throttle){ .options = options };
    kv_answer(exchange, 200, json_object());
}

static const struct {
    enum evhttp_cmd_type method;
    const char *path;
    void (*handle)(struct kv_exchange *exchange);
} levers[] = {
    { EVHTTP_REQ_POST, "/emulator/faults", add_faults },
    { EVHTTP_REQ_DELETE, "/emulator/faults", clear_faults },
    { EVHTTP_REQ_GET, "/emulator/statistics", tell_statistics },
    { EVHTTP_REQ_POST, "/emulator/tokens/revoke", revoke_tokens },
    { EVHTTP_REQ_POST, "/emulator/throttle", set_throttle },
};

void kv_control_request(struct kv_exchange *exchange)
{
    static const char vault[] = "/emulator/vault/";
    if (strncmp(exchange->path, vault, sizeof vault - 1) == 0) {
        exchange->is_trusted = true;
        kv_vault_request(exchange, exchange->path + sizeof vault - 2);
        return;
    }
    refuse(exchange, 404, "there is no such lever");
    for (size_t i = 0; i < sizeof levers / sizeof levers[0]; i++)
        if (levers[i].method == exchange->method && strcmp(levers[i].path, exchange->path) == 0)
            levers[i].handle(exchange);
    kv_exchange_finish(exchange);
}
