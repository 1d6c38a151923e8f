#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <event2/buffer.h>

static const char assertion_type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

static void refuse(struct kv_exchange *exchange, int status, const char *error, const char *text)
{
    char trace[37], correlation[37], stamp[32];
    time_t now = time(NULL);
    struct tm parts;
    kv_random_uuid(trace);
    kv_random_uuid(correlation);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%SZ", gmtime_r(&now, &parts));
    json_t *codes = json_pack("[i]", strncmp(text, "AADSTS", 6) == 0 ? atoi(text + 6) : 0);
    json_t *description = json_sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", text,
                                       trace, correlation, stamp);
    kv_answer(exchange, status,
              json_pack("{sssosossssss}", "error", error, "error_description", description,
                        "error_codes", codes, "timestamp", stamp, "trace_id", trace,
                        "correlation_id", correlation));
}

static void give_token(struct kv_exchange *exchange)
{
    const struct kv_options *options = &exchange->emulator->options;
    json_t *answer =
        json_pack("{sssisiss}", "token_type", "Bearer", "expires_in", options->token_life_s,
                  "ext_expires_in", options->token_life_s, "access_token",
                  kv_tokens_give(&exchange->emulator->tokens, options->token_life_s));
    if (options->refresh_in_s >= 0)
        json_object_set_new(answer, "refresh_in", json_integer(options->refresh_in_s));
    exchange->emulator->statistics.tokens++;
    kv_answer(exchange, 200, answer);
}

/* ------------------------------------------------------------------ credentials -- */

/* Read anew each time: the file of a real node is rotated. */
static bool is_federated_token(const struct kv_options *options, const char *assertion)
{
    char content[8192];
    FILE *file = options->federated_token ? fopen(options->federated_token, "r") : NULL;
    if (!file)
        return false;
    size_t size = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    while (size > 0 && (content[size - 1] == '\n' || content[size - 1] == '\r'))
        size--;
    content[size] = '\0';
    return size > 0 && strcmp(content, assertion) == 0;
}

/* Why the assertion is not taken; NULL: it is. */
static const char *check_assertion(struct kv_exchange *exchange, struct evkeyvalq *form,
                                   const char *assertion)
{
    const char *type = evhttp_find_header(form, "client_assertion_type");
    if (!type || strcmp(type, assertion_type) != 0)
        return "AADSTS900144: The request body must contain the parameter 'client_assertion_type'.";
    if (is_federated_token(&exchange->emulator->options, assertion))
        return NULL;
    return kv_assertion_check(exchange, assertion, exchange->emulator->options.client_id);
}

static const char *check_client(struct kv_exchange *exchange, struct evkeyvalq *form)
{
    const char *secret = evhttp_find_header(form, "client_secret");
    const char *assertion = evhttp_find_header(form, "client_assertion");
    if (assertion)
        return check_assertion(exchange, form, assertion);
    if (!secret)
        return "AADSTS7000218: The request body must contain 'client_assertion' or 'client_secret'.";
    if (strcmp(secret, exchange->emulator->options.client_secret) != 0)
        return "AADSTS7000215: Invalid client secret provided.";
    return NULL;
}

/* The scope may stand among others. */
static bool has_scope(const struct kv_options *options, const char *scopes)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%s/.default", options->resource);
    size_t length = strlen(wanted);
    while (scopes && *scopes) {
        size_t word = strcspn(scopes, " ");
        if (word == length && strncmp(scopes, wanted, length) == 0)
            return true;
        scopes += word;
        scopes += strspn(scopes, " ");
    }
    return false;
}

static bool says(struct evkeyvalq *form, const char *name, const char *value)
{
    const char *said = evhttp_find_header(form, name);
    return said && strcmp(said, value) == 0;
}

static void answer_form(struct kv_exchange *exchange, struct evkeyvalq *form)
{
    const struct kv_options *options = &exchange->emulator->options;
    const char *reason;
    if (!says(form, "grant_type", "client_credentials"))
        refuse(exchange, 400, "unsupported_grant_type",
               "AADSTS70003: The app requested a grant type that is not supported.");
    else if (!says(form, "client_id", options->client_id))
        refuse(exchange, 400, "unauthorized_client",
               "AADSTS700016: Application was not found in the directory.");
    else if ((reason = check_client(exchange, form)) != NULL)
        refuse(exchange, 401, "invalid_client", reason);
    else if (!has_scope(options, evhttp_find_header(form, "scope")))
        refuse(exchange, 400, "invalid_scope",
               "AADSTS70011: The provided value for the input parameter 'scope' is not valid.");
    else
        give_token(exchange);
}

static void answer_token_request(struct kv_exchange *exchange)
{
    struct evbuffer *buffer = evhttp_request_get_input_buffer(exchange->http);
    struct evkeyvalq form;
    TAILQ_INIT(&form);
    evbuffer_add(buffer, "", 1); /* for its NUL */
    if (evhttp_parse_query_str((const char *)evbuffer_pullup(buffer, -1), &form) != 0)
        refuse(exchange, 400, "invalid_request", "AADSTS900144: The request body is no form.");
    else
        answer_form(exchange, &form);
    evhttp_clear_headers(&form);
}

/* ------------------------------------------------------------------ paths -- */

/* Microsoft's own clients ask for it before a token. */
static void answer_configuration(struct kv_exchange *exchange)
{
    const struct kv_emulator *emulator = exchange->emulator;
    const char *tenant = emulator->options.tenant;
    int port = emulator->port;
    json_t *token = json_sprintf("https://127.0.0.1:%d/%s/oauth2/v2.0/token", port, tenant);
    json_t *authorize = json_sprintf("https://127.0.0.1:%d/%s/oauth2/v2.0/authorize", port, tenant);
    json_t *issuer = json_sprintf("https://127.0.0.1:%d/%s/v2.0", port, tenant);
    json_t *keys = json_sprintf("https://127.0.0.1:%d/%s/discovery/v2.0/keys", port, tenant);
    kv_answer(exchange, 200,
              json_pack("{sosososo}", "token_endpoint", token, "authorization_endpoint", authorize,
                        "issuer", issuer, "jwks_uri", keys));
}

static bool is_tenant(const struct kv_exchange *exchange, const char *rest)
{
    const char *tenant = exchange->emulator->options.tenant;
    size_t length = strlen(tenant);
    return (size_t)(rest - exchange->path) == length + 1
           && strncmp(exchange->path + 1, tenant, length) == 0;
}

bool kv_entra_request(struct kv_exchange *exchange)
{
    const char *rest = strchr(exchange->path + 1, '/');
    bool is_token =
        rest && exchange->method == EVHTTP_REQ_POST && strcmp(rest, "/oauth2/v2.0/token") == 0;
    bool is_configuration = rest && exchange->method == EVHTTP_REQ_GET
                            && strcmp(rest, "/v2.0/.well-known/openid-configuration") == 0;
    if (!is_token && !is_configuration)
        return false;
    kv_exchange_begin(exchange, is_token ? KV_OPERATION_token : KV_OPERATION_other);
    if (kv_exchange_meets_fault(exchange))
        ;
    else if (!is_tenant(exchange, rest))
        refuse(exchange, 400, "invalid_request", "AADSTS90002: Tenant was not found.");
    else if (is_token)
        answer_token_request(exchange);
    else
        answer_configuration(exchange);
    kv_exchange_finish(exchange);
    return true;
}
