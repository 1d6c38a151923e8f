#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void refuse(struct kv_exchange *exchange, int status, const char *error, const char *text)
{
    kv_answer(exchange, status, json_pack("{ssss}", "error", error, "error_description", text));
}

static bool is_resource(const struct kv_exchange *exchange)
{
    const char *asked = kv_exchange_parameter(exchange, "resource");
    const char *own = exchange->emulator->options.resource;
    size_t length = strlen(own);
    return asked && strncmp(asked, own, length) == 0
           && (asked[length] == '\0' || strcmp(asked + length, "/") == 0);
}

/* Both forms take the identity by its client id; without one, the only identity is meant. */
static bool parameters_are_good(struct kv_exchange *exchange, const char *api_version)
{
    const char *client = kv_exchange_parameter(exchange, "client_id");
    const char *asked = kv_exchange_parameter(exchange, "api-version");
    if (!asked || strcmp(asked, api_version) != 0)
        refuse(exchange, 400, "invalid_request", "api-version is missing or not supported");
    else if (!is_resource(exchange))
        refuse(exchange, 400, "invalid_resource",
               "AADSTS500011: The resource principal was not found in the tenant.");
    else if (client && strcmp(client, exchange->emulator->options.client_id) != 0)
        refuse(exchange, 400, "invalid_request", "Identity not found");
    else
        return true;
    return false;
}

/* Numbers are strings here. */
static json_t *new_token(struct kv_exchange *exchange)
{
    struct kv_emulator *emulator = exchange->emulator;
    int life_s = emulator->options.token_life_s;
    char ends[32];
    snprintf(ends, sizeof ends, "%lld", (long long)time(NULL) + life_s);
    emulator->statistics.tokens++;
    return json_pack("{ssssssssss}", "access_token", kv_tokens_give(&emulator->tokens, life_s),
                     "client_id", emulator->options.client_id, "expires_on", ends, "resource",
                     emulator->options.resource, "token_type", "Bearer");
}

static void answer_imds(struct kv_exchange *exchange)
{
    const char *metadata = kv_exchange_asked_header(exchange, "Metadata");
    char life[16];
    if (!metadata || strcmp(metadata, "true") != 0) {
        refuse(exchange, 400, "invalid_request", "Required metadata header not specified");
        return;
    }
    if (!parameters_are_good(exchange, "2018-02-01"))
        return;
    json_t *token = new_token(exchange);
    snprintf(life, sizeof life, "%d", exchange->emulator->options.token_life_s);
    json_object_set_new(token, "expires_in", json_string(life));
    json_object_set_new(token, "ext_expires_in", json_string(life));
    kv_answer(exchange, 200, token);
}

static void answer_app_service(struct kv_exchange *exchange)
{
    const char *header = kv_exchange_asked_header(exchange, "X-IDENTITY-HEADER");
    if (!header || strcmp(header, exchange->emulator->options.identity_header) != 0)
        refuse(exchange, 401, "unauthorized", "X-IDENTITY-HEADER is missing or wrong");
    else if (parameters_are_good(exchange, "2019-08-01"))
        kv_answer(exchange, 200, new_token(exchange));
}

bool kv_identity_request(struct kv_exchange *exchange)
{
    bool is_imds = strcmp(exchange->path, "/metadata/identity/oauth2/token") == 0;
    bool is_app_service = strcmp(exchange->path, "/msi/token") == 0;
    if (exchange->method != EVHTTP_REQ_GET || (!is_imds && !is_app_service))
        return false;
    kv_exchange_begin(exchange, KV_OPERATION_identity);
    if (!kv_exchange_meets_fault(exchange)) {
        if (is_imds)
            answer_imds(exchange);
        else
            answer_app_service(exchange);
    }
    kv_exchange_finish(exchange);
    return true;
}
