#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>

enum { SEGMENTS_MAX = 5 };

/* What must be there before a handler runs. */
enum needs {
    NOTHING,
    A_NAME, /* a good one that is not deleted; a key may be there */
    A_KEY,  /* a key that is not deleted, and the version that was named */
    A_DELETED_KEY
};

struct route {
    enum evhttp_cmd_type method;
    const char *pattern; /* *: a name; +: a version, or nothing between two slashes */
    enum kv_operation operation;
    enum needs needs;
    enum kv_budget budget;
    void (*handle)(struct kv_exchange *exchange);
};

#define ROUTE(method, pattern, operation, needs, budget, handler)                                  \
    {                                                                                              \
        EVHTTP_REQ_##method, pattern, KV_OPERATION_##operation, needs, KV_BUDGET_##budget, handler \
    }

/* The API. The first line that fits counts. */
static const struct route routes[] = {
    ROUTE(POST, "keys/*/+/sign", sign, A_KEY, KEYS, kv_handle_sign),
    ROUTE(POST, "keys/*/sign", sign, A_KEY, KEYS, kv_handle_sign),
    ROUTE(POST, "keys/*/+/verify", verify, A_KEY, KEYS, kv_handle_verify),
    ROUTE(POST, "keys/*/verify", verify, A_KEY, KEYS, kv_handle_verify),
    ROUTE(POST, "keys/*/create", create, A_NAME, CREATE, kv_handle_create),
    ROUTE(POST, "keys/*/rotate", rotate, A_KEY, CREATE, kv_handle_rotate),
    ROUTE(PUT, "keys/*", import, A_NAME, IMPORT, kv_handle_import),
    ROUTE(GET, "keys", list, NOTHING, OTHER, kv_handle_list),
    ROUTE(GET, "keys/*/versions", versions, A_KEY, OTHER, kv_handle_versions),
    ROUTE(GET, "keys/*/+", get, A_KEY, KEYS, kv_handle_get),
    ROUTE(GET, "keys/*", get, A_KEY, KEYS, kv_handle_get),
    ROUTE(PATCH, "keys/*/+", update, A_KEY, KEYS, kv_handle_update),
    ROUTE(PATCH, "keys/*", update, A_KEY, KEYS, kv_handle_update),
    ROUTE(DELETE, "keys/*", delete, A_KEY, KEYS, kv_handle_delete),
    ROUTE(GET, "deletedkeys", deleted, NOTHING, OTHER, kv_handle_list_deleted),
    ROUTE(GET, "deletedkeys/*", deleted, A_DELETED_KEY, OTHER, kv_handle_get_deleted),
    ROUTE(DELETE, "deletedkeys/*", deleted, A_DELETED_KEY, OTHER, kv_handle_purge),
    ROUTE(POST, "deletedkeys/*/recover", deleted, A_DELETED_KEY, OTHER, kv_handle_recover),
};

static const char *const api_versions[] = {
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6-preview.2",
    "7.6",
    "2015-06-01",
    "2016-10-01",
    "2025-06-01-preview",
    "2025-07-01",
    "2026-01-01-preview",
    "2026-03-01-preview",
};

/* ------------------------------------------------------------------ routing -- */

/* Cuts the path in place. -1: too many. */
static int cut_path(char *path, char *segments[SEGMENTS_MAX])
{
    int count = 0;
    for (char *at = path + (*path == '/'); at; count++) {
        if (count == SEGMENTS_MAX)
            return -1;
        segments[count] = strsep(&at, "/");
    }
    return count;
}

static bool fits(const char *pattern, char *const *segments, int count)
{
    for (int i = 0; i < count; i++) {
        size_t length = strcspn(pattern, "/");
        bool is_word = *pattern != '*' && *pattern != '+';
        if (is_word
            && (strlen(segments[i]) != length || strncasecmp(segments[i], pattern, length) != 0))
            return false;
        pattern += length;
        if (*pattern == '\0')
            return i == count - 1;
        pattern++;
    }
    return false;
}

static const struct route *find_route(struct kv_exchange *exchange, char *path)
{
    char *segments[SEGMENTS_MAX];
    int count = cut_path(path, segments);
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct route *route = &routes[i];
        if (route->method != exchange->method || !fits(route->pattern, segments, count))
            continue;
        if (strchr(route->pattern, '*'))
            exchange->name = segments[1];
        if (strchr(route->pattern, '+'))
            exchange->version_id = segments[2];
        return route;
    }
    return NULL;
}

/* The key that is named, deleted or not, and the version; either may be missing. */
static void look_up(struct kv_exchange *exchange)
{
    if (!exchange->name)
        return;
    exchange->key = kv_keys_find(&exchange->emulator->keys, exchange->name);
    if (exchange->key)
        exchange->version = kv_key_version(exchange->key, exchange->version_id);
}

/* ------------------------------------------------------------------ admission -- */

static void challenge(struct kv_exchange *exchange, const char *message)
{
    const struct kv_options *options = &exchange->emulator->options;
    bool has_uri = options->challenge == KV_CHALLENGE_URI;
    bool has_scope =
        options->challenge == KV_CHALLENGE_SCOPE || options->challenge == KV_CHALLENGE_BOTH;
    bool has_others = options->challenge == KV_CHALLENGE_BESIDE;
    char authority[256], text[1024];
    int size;
    snprintf(authority, sizeof authority, "https://127.0.0.1:%d/%s", exchange->emulator->port,
             options->tenant);
    size = snprintf(text, sizeof text, "%sBearer %s=\"%.200s\"",
                    has_others ? "Negotiate, Basic realm=\"Bearer\", " : "",
                    has_uri ? "authorization_uri" : "authorization",
                    options->authority ? options->authority : authority);
    if (has_scope)
        size += snprintf(text + size, sizeof text - (size_t)size, ", scope=\"%.200s/.default\"",
                         options->challenge_resource);
    if (options->challenge != KV_CHALLENGE_SCOPE)
        snprintf(text + size, sizeof text - (size_t)size, ", resource=\"%.200s\"",
                 options->challenge_resource);
    kv_exchange_header(exchange, "WWW-Authenticate", text);
    kv_refuse(exchange, 401, "Unauthorized", NULL, "%s", message);
    exchange->emulator->statistics.unauthorized++;
}

static bool has_token(struct kv_exchange *exchange)
{
    const char *text = kv_exchange_asked_header(exchange, "Authorization");
    if (!text || strncasecmp(text, "Bearer ", 7) != 0) {
        challenge(exchange, "AKV10000: Request is missing a Bearer or PoP token.");
        return false;
    }
    if (!exchange->emulator->options.any_token
        && !kv_tokens_know(&exchange->emulator->tokens, text + 7)) {
        challenge(exchange, "AKV10046: The token is unknown, or its time is over.");
        return false;
    }
    return true;
}

static bool has_api_version(struct kv_exchange *exchange)
{
    const char *asked = kv_exchange_parameter(exchange, "api-version");
    if (!asked) {
        kv_refuse(exchange, 400, "BadParameter", NULL, "The request URI contains no api-version.");
        return false;
    }
    for (size_t i = 0; i < sizeof api_versions / sizeof api_versions[0]; i++)
        if (strcmp(api_versions[i], asked) == 0)
            return true;
    kv_refuse(
        exchange, 400, "BadParameter", NULL,
        "The specified version (%s) is not recognized. Consider using the latest supported version "
        "(2025-07-01).",
        asked);
    return false;
}

static const char *code_of(int status)
{
    switch (status) {
    case 400:
        return "BadParameter";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "KeyNotFound";
    case 409:
        return "Conflict";
    case 429:
        return "Throttled";
    case 503:
        return "ServiceUnavailable";
    default:
        return "InternalServerError";
    }
}

/* In the shape that the one who asked expects. */
static void answer_fault(struct kv_exchange *exchange)
{
    static const char message[] = "The test wants it so.";
    int status = exchange->fault.status;
    if (exchange->operation == KV_OPERATION_token || exchange->operation == KV_OPERATION_identity)
        kv_answer(
            exchange, status,
            json_pack("{ssss}", "error", "temporarily_unavailable", "error_description", message));
    else if (status == 401)
        challenge(exchange, message);
    else
        kv_refuse(exchange, status, code_of(status), NULL, "%s", message);
}

bool kv_exchange_meets_fault(struct kv_exchange *exchange)
{
    struct kv_emulator *emulator = exchange->emulator;
    exchange->fault = kv_faults_take(&emulator->faults, exchange->operation);
    emulator->statistics.faults += exchange->fault.kind != KV_FAULT_none;
    if (exchange->fault.kind == KV_FAULT_status) {
        if (exchange->fault.retry_after[0])
            kv_exchange_header(exchange, "Retry-After", exchange->fault.retry_after);
        answer_fault(exchange);
        return true;
    }
    return exchange->fault.kind == KV_FAULT_close_before;
}

/* What it costs of the route's budget. */
static int cost_of(struct kv_exchange *exchange, const struct route *route)
{
    const char *kty = json_string_value(json_object_get(exchange->body, "kty"));
    switch (route->budget) {
    case KV_BUDGET_KEYS:
        return kv_throttle_cost(&exchange->version->type);
    case KV_BUDGET_CREATE:
        if (exchange->version && route->operation == KV_OPERATION_rotate)
            return exchange->version->type.is_hsm ? 2 : 1;
        return kty && strstr(kty, "-HSM") ? 2 : 1;
    default:
        return 1;
    }
}

static bool passes_throttle(struct kv_exchange *exchange, const struct route *route)
{
    struct kv_throttle *throttle = &exchange->emulator->throttle;
    char seconds[16];
    bool is_other = !route || (route->budget == KV_BUDGET_KEYS && !exchange->version);
    if (kv_throttle_take(throttle, is_other ? KV_BUDGET_OTHER : route->budget,
                         is_other ? 1 : cost_of(exchange, route)))
        return true;
    exchange->emulator->statistics.throttled++;
    if (throttle->options.retry_after_s >= 0) {
        snprintf(seconds, sizeof seconds, "%d", throttle->options.retry_after_s);
        kv_exchange_header(exchange, "Retry-After", seconds);
    }
    kv_refuse(exchange, 429, "Throttled", NULL,
              "Request was not processed because too many requests were received. Reason: "
              "VaultRequestTypeLimitReached");
    return false;
}

static bool read_body(struct kv_exchange *exchange)
{
    struct evbuffer *buffer = evhttp_request_get_input_buffer(exchange->http);
    size_t size = evbuffer_get_length(buffer);
    if (size == 0)
        return true;
    exchange->body = json_loadb((const char *)evbuffer_pullup(buffer, -1), size, 0, NULL);
    if (json_is_object(exchange->body))
        return true;
    kv_refuse(exchange, 400, "BadParameter", NULL, "The body is no JSON object.");
    return false;
}

static bool has_key(struct kv_exchange *exchange)
{
    if (exchange->version && !exchange->key->deleted)
        return true;
    kv_refuse(
        exchange, 404, "KeyNotFound", NULL,
        "A key with (name/id) %s%s%s was not found in this key vault. If you recently deleted this "
        "key you may be able to recover it using the correct recovery command.",
        exchange->name, exchange->version_id ? "/" : "",
        exchange->version_id ? exchange->version_id : "");
    return false;
}

static bool has_deleted_key(struct kv_exchange *exchange)
{
    if (exchange->key && exchange->key->deleted)
        return true;
    kv_refuse(exchange, 404, "KeyNotFound", NULL, "Deleted Key not found: %s", exchange->name);
    return false;
}

static bool has_free_name(struct kv_exchange *exchange)
{
    if (!exchange->key || !exchange->key->deleted)
        return true;
    kv_refuse(
        exchange, 409, "Conflict", "ObjectIsDeletedButRecoverable",
        "Key %s is currently in a deleted but recoverable state, and its name cannot be reused; in "
        "this state, the key can only be recovered or purged.",
        exchange->name);
    return false;
}

static bool has_needs(struct kv_exchange *exchange, const struct route *route)
{
    if (!route) {
        kv_refuse(exchange, 404, "NotFound", NULL, "There is no such operation here.");
        return false;
    }
    if (exchange->name && !kv_name_is_good(exchange->name)) {
        kv_refuse(exchange, 400, "BadParameter", NULL,
                  "The request URI contains an invalid name: %s", exchange->name);
        return false;
    }
    switch (route->needs) {
    case A_NAME:
        return has_free_name(exchange);
    case A_KEY:
        return has_key(exchange);
    case A_DELETED_KEY:
        return has_deleted_key(exchange);
    default:
        return true;
    }
}

static bool is_admitted(struct kv_exchange *exchange, const struct route *route)
{
    if (!exchange->is_trusted) {
        if (!has_token(exchange) || kv_exchange_meets_fault(exchange))
            return false;
    }
    if (!has_api_version(exchange) || !read_body(exchange))
        return false;
    look_up(exchange);
    return (exchange->is_trusted || passes_throttle(exchange, route)) && has_needs(exchange, route);
}

static void name_host(struct kv_exchange *exchange)
{
    const char *host = kv_exchange_asked_header(exchange, "Host");
    if (host && !exchange->is_trusted)
        snprintf(exchange->host, sizeof exchange->host, "%s", host);
    else
        snprintf(exchange->host, sizeof exchange->host, "127.0.0.1:%d", exchange->emulator->port);
}

void kv_vault_request(struct kv_exchange *exchange, char *path)
{
    const struct route *route = find_route(exchange, path);
    name_host(exchange);
    if (!exchange->is_trusted) {
        kv_exchange_begin(exchange, route ? route->operation : KV_OPERATION_other);
        exchange->has_latency = true;
    }
    if (is_admitted(exchange, route))
        route->handle(exchange);
    kv_exchange_finish(exchange);
}
