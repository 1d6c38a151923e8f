#include "queue/redis/link.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include <hiredis/async.h>

/* The adapter is a header full of functions that were not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <hiredis/adapters/libevent.h>
#pragma GCC diagnostic pop

#include "engine/base/clock.h"

enum {
    PAUSE_FIRST_MS = 50,
    PAUSE_MAX_MS = 2000,
    PAUSE_REFUSED_MS = 1000 /* the server is there and says no: it will for a while */
};

static void try_to_connect(void *arg);

/* Between the pause and half as much again, so that many engines do not come back in one wave. */
static uint32_t jitter(uint32_t pause_ms)
{
    uint64_t noise = cm_clock_monotonic_ns() * 0x9e3779b97f4a7c15ull >> 33;
    return pause_ms + (uint32_t)(noise % (pause_ms / 2 + 1));
}

static void schedule_retry(struct cm_link *link, uint32_t pause_ms)
{
    uint32_t pause = link->pause_ms > pause_ms ? link->pause_ms : pause_ms;
    link->pause_ms = link->pause_ms * 2 < PAUSE_MAX_MS ? link->pause_ms * 2 : PAUSE_MAX_MS;
    cm_timer_start(&link->retry, link->loop, jitter(pause), try_to_connect, link);
}

/* The connection is hiredis's to free, or was. */
static void forget_connection(struct cm_link *link)
{
    link->context = NULL;
    link->ssl = NULL;
    link->is_up = false;
    link->pending_count = 0;
    cm_timer_stop(&link->watchdog);
}

static void lose_connection(struct cm_link *link, uint32_t pause_ms, const char *text)
{
    forget_connection(link);
    schedule_retry(link, pause_ms);
    link->settings.on_down(text, link->settings.arg);
}

static void drop_connection(struct cm_link *link)
{
    struct redisAsyncContext *context = link->context;
    forget_connection(link);
    if (context) {
        /* Its last callbacks no longer concern this link. */
        context->data = NULL;
        redisAsyncFree(context);
    }
}

void cm_link_fail(struct cm_link *link, uint32_t pause_ms, const char *format, ...)
{
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    drop_connection(link);
    schedule_retry(link, pause_ms);
    link->settings.on_down(text, link->settings.arg);
}

void cm_link_settle(struct cm_link *link)
{
    link->pause_ms = PAUSE_FIRST_MS;
}

/* One timer for a connection, not one for a command: it looks how long nothing has been heard. */
static void watch(void *arg)
{
    struct cm_link *link = arg;
    uint64_t silent_ms = (cm_clock_monotonic_ns() - link->heard_ns) / CM_NS_PER_MS;
    if (link->pending_count == 0 && link->is_up)
        return;
    if (silent_ms >= link->settings.timeout_ms)
        cm_link_fail(link, 0, "Redis has not answered for %llu ms%s", (unsigned long long)silent_ms,
                     link->ssl && !link->is_up ? "; is this a port without TLS?" : "");
    else
        cm_timer_start(&link->watchdog, link->loop, link->settings.timeout_ms - (uint32_t)silent_ms,
                       watch, link);
}

static void start_watching(struct cm_link *link)
{
    link->heard_ns = cm_clock_monotonic_ns();
    if (!cm_timer_is_running(&link->watchdog))
        cm_timer_start(&link->watchdog, link->loop, link->settings.timeout_ms, watch, link);
}

static void on_reply(struct redisAsyncContext *context, void *reply, void *privdata)
{
    struct cm_link *link = context->data;
    struct cm_call *call = privdata;
    if (link && reply) {
        link->pending_count--;
        link->heard_ns = cm_clock_monotonic_ns();
    }
    if (call)
        call->replied(call, reply);
}

static bool send_command(struct cm_link *link, struct cm_call *call)
{
    struct cm_command *command = &link->command;
    assert(command->missing_count == 0);
    if (!link->context
        || redisAsyncFormattedCommand(link->context, on_reply, call, command->data, command->size)
               != REDIS_OK)
        return false;
    if (link->pending_count++ == 0)
        start_watching(link);
    return true;
}

bool cm_link_send(struct cm_link *link, struct cm_call *call)
{
    return link->is_up && send_command(link, call);
}

/* -------------------------------------------------------------------- connecting, logging in -- */

static void go_up(struct cm_link *link)
{
    link->is_up = true;
    link->settings.on_up(link->settings.arg);
}

static void on_handshake(struct cm_call *call, const struct cm_reply *reply)
{
    struct cm_link *link = (struct cm_link *)((char *)call - offsetof(struct cm_link, handshake));
    char text[160];
    if (!reply || !link->context)
        return;
    if (reply->type == CM_REPLY_ERROR)
        cm_link_fail(link, PAUSE_REFUSED_MS, "Redis refuses the log-in: %s",
                     cm_bytes_printable(reply->text, text, sizeof text));
    else if (--link->handshakes_count == 0)
        go_up(link);
}

static void send_auth(struct cm_link *link)
{
    const struct cm_redis_address *address = link->settings.address;
    bool names_user = address->user[0] != '\0';
    cm_command_begin(&link->command, names_user ? 3 : 2);
    cm_command_text(&link->command, "AUTH");
    if (names_user)
        cm_command_text(&link->command, address->user);
    cm_command_text(&link->command, address->password);
    link->handshakes_count++;
    send_command(link, &link->handshake);
}

static void send_select(struct cm_link *link)
{
    cm_command_begin(&link->command, 2);
    cm_command_text(&link->command, "SELECT");
    cm_command_number(&link->command, link->settings.address->db);
    link->handshakes_count++;
    send_command(link, &link->handshake);
}

/* Over TLS: any reply, a refusal too, shows that the handshake is over and we are let in. */
static void on_pinged(struct cm_call *call, const struct cm_reply *reply)
{
    struct cm_link *link = (struct cm_link *)((char *)call - offsetof(struct cm_link, ping));
    if (reply && link->context && --link->handshakes_count == 0)
        go_up(link);
}

static void send_ping(struct cm_link *link)
{
    link->ping.replied = on_pinged;
    cm_command_begin(&link->command, 1);
    cm_command_text(&link->command, "PING");
    link->handshakes_count++;
    send_command(link, &link->ping);
}

static bool start_tls(struct cm_link *link, struct redisAsyncContext *context)
{
    char text[CM_ERROR_TEXT_SIZE - 40];
    if (cm_tls_start(link->settings.tls, &context->c, &link->ssl, text, sizeof text))
        return true;
    cm_link_fail(link, 0, "connect to Redis: %s", text);
    return false;
}

static void log_in(struct cm_link *link)
{
    link->handshakes_count = 0;
    link->handshake.replied = on_handshake;
    if (link->settings.address->password[0] != '\0')
        send_auth(link);
    if (link->settings.address->db != 0)
        send_select(link);
    if (link->ssl)
        send_ping(link);
    if (link->handshakes_count == 0)
        go_up(link);
}

static void on_connected(struct redisAsyncContext *context, int status)
{
    struct cm_link *link = context->data;
    if (!link)
        return;
    if (status != REDIS_OK) {
        char text[CM_ERROR_TEXT_SIZE];
        snprintf(text, sizeof text, "connect to Redis: %s", context->errstr);
        lose_connection(link, 0, text);
        return;
    }
    if (!link->settings.tls->context || start_tls(link, context))
        log_in(link);
}

static void on_disconnected(const struct redisAsyncContext *context, int status)
{
    struct cm_link *link = context->data;
    char text[CM_ERROR_TEXT_SIZE], reason[CM_ERROR_TEXT_SIZE - 40] = "";
    (void)status;
    if (!link)
        return;
    if (link->ssl)
        cm_tls_explain(link->ssl, reason, sizeof reason);
    if (!reason[0])
        snprintf(reason, sizeof reason, "%.100s%s",
                 context->errstr && context->errstr[0] ? context->errstr : "closed",
                 link->ssl && !link->is_up ? cm_tls_guess(link->ssl) : "");
    snprintf(text, sizeof text, "connection to Redis lost: %s", reason);
    lose_connection(link, 0, text);
}

static struct redisAsyncContext *connect_to(const struct cm_redis_address *address)
{
    redisOptions options = { .options = REDIS_OPT_PREFER_IP_UNSPEC };
    if (address->socket[0] != '\0')
        REDIS_OPTIONS_SET_UNIX(&options, address->socket);
    else
        REDIS_OPTIONS_SET_TCP(&options, address->host, address->port);
    return redisAsyncConnectWithOptions(&options);
}

static void try_to_connect(void *arg)
{
    struct cm_link *link = arg;
    struct redisAsyncContext *context = connect_to(link->settings.address);
    char text[CM_ERROR_TEXT_SIZE];
    if (!context || context->err || !context->c.reader) {
        snprintf(text, sizeof text, "connect to Redis: %s",
                 context ? context->errstr : "no memory");
        if (context)
            redisAsyncFree(context);
        lose_connection(link, 0, text);
        return;
    }
    link->context = context;
    context->data = link;
    cm_reply_blocks_attach(link->settings.blocks, context->c.reader);
    redisLibeventAttach(context, cm_loop_event_base(link->loop));
    redisAsyncSetConnectCallbackNC(context, on_connected);
    redisAsyncSetDisconnectCallback(context, on_disconnected);
    start_watching(link);
}

void cm_link_open(struct cm_link *link, struct cm_loop *loop,
                  const struct cm_link_settings *settings)
{
    *link = (struct cm_link){ .loop = loop, .settings = *settings, .pause_ms = PAUSE_FIRST_MS };
    cm_timer_start(&link->retry, loop, 0, try_to_connect, link);
}

void cm_link_close(struct cm_link *link)
{
    drop_connection(link);
    cm_timer_done(&link->retry);
    cm_timer_done(&link->watchdog);
    cm_command_done(&link->command);
}
