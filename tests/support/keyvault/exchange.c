#include "tests/support/keyvault/keyvault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

/* ------------------------------------------------------------------ reading -- */

const char *kv_exchange_asked_header(const struct kv_exchange *exchange, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(exchange->http), name);
}

const char *kv_exchange_parameter(const struct kv_exchange *exchange, const char *name)
{
    return evhttp_find_header(&exchange->query, name);
}

/* libevent decodes the values only, and Microsoft's own clients write api%2Dversion. */
static void read_query(const char *text, struct evkeyvalq *ret_query)
{
    struct evkeyvalq raw;
    struct evkeyval *pair;
    if (evhttp_parse_query_str(text, &raw) != 0)
        return;
    TAILQ_FOREACH(pair, &raw, next)
    {
        char *name = evhttp_uridecode(pair->key, 1, NULL);
        if (name)
            evhttp_add_header(ret_query, name, pair->value);
        free(name);
    }
    evhttp_clear_headers(&raw);
}

static void read_uri(struct kv_exchange *exchange)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(exchange->http);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    exchange->path = evhttp_uridecode(path && *path ? path : "/", 0, NULL);
    if (!exchange->path)
        abort();
    size_t length = strlen(exchange->path);
    if (length > 1 && exchange->path[length - 1] == '/')
        exchange->path[length - 1] = '\0';
    TAILQ_INIT(&exchange->query);
    if (query)
        read_query(query, &exchange->query);
}

struct kv_exchange *kv_exchange_new(struct kv_emulator *emulator, struct evhttp_request *http)
{
    struct kv_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        abort();
    exchange->emulator = emulator;
    exchange->http = http;
    exchange->operation = KV_OPERATION_COUNT;
    exchange->method = evhttp_request_get_command(http);
    exchange->previous = &emulator->exchanges;
    exchange->next = emulator->exchanges;
    if (exchange->next)
        exchange->next->previous = &exchange->next;
    emulator->exchanges = exchange;
    read_uri(exchange);
    return exchange;
}

void kv_exchange_begin(struct kv_exchange *exchange, enum kv_operation operation)
{
    struct kv_statistics *statistics = &exchange->emulator->statistics;
    exchange->operation = operation;
    statistics->requests[operation]++;
    if (operation != KV_OPERATION_sign)
        return;
    if (++statistics->signs_in_flight > statistics->signs_in_flight_max)
        statistics->signs_in_flight_max = statistics->signs_in_flight;
}

static void free_exchange(struct kv_exchange *exchange)
{
    if (exchange->operation == KV_OPERATION_sign)
        exchange->emulator->statistics.signs_in_flight--;
    *exchange->previous = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    if (exchange->timer)
        event_free(exchange->timer);
    evhttp_clear_headers(&exchange->query);
    json_decref(exchange->body);
    json_decref(exchange->answer);
    free(exchange->raw_answer);
    free(exchange->path);
    free(exchange);
}

void kv_exchange_drop(struct kv_exchange *exchange)
{
    if (!evhttp_request_get_connection(exchange->http))
        evhttp_request_free(exchange->http);
    free_exchange(exchange);
}

/* ------------------------------------------------------------------ answering -- */

void kv_exchange_header(struct kv_exchange *exchange, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(exchange->http), name, value);
}

void kv_answer(struct kv_exchange *exchange, int status, json_t *answer)
{
    json_decref(exchange->answer);
    exchange->status = status;
    exchange->answer = answer;
}

void kv_refuse(struct kv_exchange *exchange, int status, const char *code, const char *inner,
               const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    json_t *error = json_pack("{ssss}", "code", code, "message", message);
    if (inner)
        json_object_set_new(error, "innererror", json_pack("{ss}", "code", inner));
    kv_answer(exchange, status, json_pack("{so}", "error", error));
}

static void add_usual_headers(struct kv_exchange *exchange)
{
    char id[37];
    const char *client_id = kv_exchange_asked_header(exchange, "x-ms-client-request-id");
    kv_random_uuid(id);
    kv_exchange_header(exchange, "x-ms-request-id", id);
    kv_exchange_header(exchange, "x-ms-keyvault-region", exchange->emulator->options.region);
    kv_exchange_header(exchange, "x-ms-keyvault-service-version", "1.9.0.0");
    if (client_id)
        kv_exchange_header(exchange, "x-ms-client-request-id", client_id);
    kv_exchange_header(exchange, "Cache-Control", "no-cache");
}

static const char *reason_of(int status)
{
    /* libevent knows the older codes. */
    return status == 429 ? "Too Many Requests" : NULL;
}

static char *body_text(struct kv_exchange *exchange)
{
    char *text = exchange->raw_answer;
    exchange->raw_answer = NULL;
    if (!text && exchange->answer)
        text = json_dumps(exchange->answer, JSON_COMPACT);
    return text ? text : calloc(1, 1);
}

static void send_whole(struct kv_exchange *exchange, const char *body)
{
    struct evbuffer *buffer = evbuffer_new();
    if (*body)
        kv_exchange_header(exchange, "Content-Type", "application/json; charset=utf-8");
    evbuffer_add(buffer, body, strlen(body));
    evhttp_send_reply(exchange->http, exchange->status, reason_of(exchange->status), buffer);
    evbuffer_free(buffer);
}

/* ------------------------------------------------------------------ answers that break off -- */

static void on_flushed(struct bufferevent *bev, void *connection)
{
    (void)bev;
    evhttp_connection_free(connection);
}

static void on_lost(struct bufferevent *bev, short what, void *connection)
{
    (void)bev;
    (void)what;
    evhttp_connection_free(connection);
}

/* Past evhttp: the header that promises the whole body, a part of the body, and the end. */
static void send_part(struct kv_exchange *exchange, const char *body, size_t size)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(exchange->http);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    struct evbuffer *out = bufferevent_get_output(bev);
    struct evkeyval *header;
    evbuffer_add_printf(out, "HTTP/1.1 %d OK\r\n", exchange->status);
    TAILQ_FOREACH(header, evhttp_request_get_output_headers(exchange->http), next)
    evbuffer_add_printf(out, "%s: %s\r\n", header->key, header->value);
    evbuffer_add_printf(out, "Content-Type: application/json; charset=utf-8\r\n");
    evbuffer_add_printf(out, "Content-Length: %zu\r\n\r\n", strlen(body));
    evbuffer_add(out, body, size);
    bufferevent_setcb(bev, NULL, on_flushed, on_lost, connection);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void send_answer(struct kv_exchange *exchange)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(exchange->http);
    enum kv_fault_kind kind = exchange->fault.kind;
    char *body = body_text(exchange);
    if (!connection
        || (kind != KV_FAULT_close_before && kind != KV_FAULT_truncate
            && kind != KV_FAULT_close_after_headers))
        send_whole(exchange, body);
    else if (kind == KV_FAULT_close_before)
        evhttp_connection_free(connection);
    else
        send_part(exchange, body, kind == KV_FAULT_truncate ? strlen(body) / 2 : 0);
    free(body);
    free_exchange(exchange);
}

/* ------------------------------------------------------------------ answers that lie -- */

static void lie_about_kid(struct kv_exchange *exchange)
{
    json_t *key = json_object_get(exchange->answer, "key");
    json_t *holder = key ? key : exchange->answer;
    const char *kid = json_string_value(json_object_get(holder, "kid"));
    char version[33], *text = kid ? strdup(kid) : NULL, *slash = text ? strrchr(text, '/') : NULL;
    if (slash) {
        *slash = '\0';
        kv_random_hex(version, 32);
        if (exchange->fault.kind == KV_FAULT_wrong_version)
            json_object_set_new(holder, "kid", json_sprintf("%s/%s", text, version));
        else
            json_object_set_new(holder, "kid", json_sprintf("%s-other/%s", text, slash + 1));
    }
    free(text);
}

static void spoil_signature(struct kv_exchange *exchange)
{
    const char *value = json_string_value(json_object_get(exchange->answer, "value"));
    size_t size = 0;
    uint8_t *bytes = value ? kv_base64_new(value, &size) : NULL;
    if (bytes && size > 0) {
        bytes[size - 1] ^= 1;
        json_object_set_new(exchange->answer, "value", kv_json_base64url(bytes, size));
    }
    free(bytes);
}

static char *huge_body(size_t size)
{
    static const char begin[] = "{\"value\":\"", end[] = "\"}";
    char *text = malloc(size + sizeof begin + sizeof end);
    if (!text)
        abort();
    memset(text, 'A', size + sizeof begin);
    memcpy(text, begin, sizeof begin - 1);
    memcpy(text + sizeof begin - 1 + size, end, sizeof end);
    return text;
}

static void twist_answer(struct kv_exchange *exchange)
{
    switch (exchange->fault.kind) {
    case KV_FAULT_wrong_kid:
    case KV_FAULT_wrong_version:
        lie_about_kid(exchange);
        break;
    case KV_FAULT_bad_signature:
        spoil_signature(exchange);
        break;
    case KV_FAULT_bad_json:
        exchange->raw_answer = strdup("{\"kid\":\"https://,\"value\":}");
        break;
    case KV_FAULT_empty:
        exchange->raw_answer = strdup("");
        break;
    case KV_FAULT_huge:
        exchange->raw_answer = huge_body((size_t)exchange->fault.size);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ when -- */

static void on_time(evutil_socket_t fd, short what, void *exchange)
{
    (void)fd;
    (void)what;
    send_answer(exchange);
}

static int delay_of(const struct kv_exchange *exchange)
{
    const struct kv_options *options = &exchange->emulator->options;
    int delay_ms = exchange->fault.delay_ms;
    if (exchange->has_latency)
        delay_ms += options->latency_ms;
    if (exchange->has_latency && options->jitter_ms > 0)
        delay_ms += (int)(random() % (options->jitter_ms + 1));
    return delay_ms;
}

void kv_exchange_finish(struct kv_exchange *exchange)
{
    int delay_ms = delay_of(exchange);
    const struct timeval delay = { .tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000 };
    add_usual_headers(exchange);
    twist_answer(exchange);
    /* evhttp does not expect its connection to be freed while it calls. */
    if (delay_ms == 0 && exchange->fault.kind == KV_FAULT_none) {
        send_answer(exchange);
        return;
    }
    exchange->timer = evtimer_new(exchange->emulator->base, on_time, exchange);
    if (!exchange->timer || evtimer_add(exchange->timer, &delay) != 0)
        abort();
}
