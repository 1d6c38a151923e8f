#include "providers/keyvault/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS_MAX = 5000,
    IDLE_HANDLES_MAX = 4096,
    KEPT_SERVERS = 4 /* whose connections are all kept for the next time */
};

/* A socket that libcurl wants watched. */
struct socket {
    struct socket *next;
    struct cm_http *http;
    curl_socket_t fd;
    struct cm_watch readable, writable;
};

struct cm_http {
    struct cm_loop *loop;
    CURLM *multi;
    char *trust;
    struct cm_timer timer;
    struct socket *sockets;
    CURL **idle; /* handles that have been used, with what they have learned */
    size_t idle_count;
    uint32_t calls_out;
    bool has_started; /* a call since the last turn of libcurl's */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

/* ------------------------------------------------------------------ one request -- */

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
    struct cm_http_call *call = arg;
    size_t more = size * count, used = call->answer.size;
    if (more > CM_HTTP_ANSWER_MAX - used)
        return 0;
    if (used + more > call->answer_space) {
        size_t space = 2 * (used + more);
        uint8_t *larger = realloc((void *)(uintptr_t)call->answer.data, space);
        if (!larger)
            return 0;
        call->answer.data = larger;
        call->answer_space = space;
    }
    memcpy((uint8_t *)(uintptr_t)call->answer.data + used, data, more);
    call->answer.size += more;
    return more;
}

static void add_header(struct cm_http_call *call, const char *name, const char *value)
{
    char *line = NULL;
    if (asprintf(&line, "%s%s", name, value) < 0)
        abort();
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    explicit_bzero(line, strlen(line)); /* it may be a token */
    free(line);
    if (!longer)
        abort();
    call->headers = longer;
}

static void set_headers(struct cm_http_call *call)
{
    add_header(call, "Expect:", "");
    if (call->bearer)
        add_header(call, "Authorization: Bearer ", call->bearer);
    if (call->header)
        add_header(call, call->header, "");
    if (call->content_type)
        add_header(call, "Content-Type: ", call->content_type);
}

/* What is the same for all requests is set once: libcurl copies and parses each time. */
static CURL *handle_new(const struct cm_http *http)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->trust)
        curl_easy_setopt(easy, CURLOPT_CAINFO, http->trust);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "certmill");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L); /* a stream of HTTP/2 before a connection */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Else a request that is given up waits here, on the loop, for a name that is still looked for. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    return easy;
}

/* The metadata service of this machine. Such a handle serves one request. */
static void set_plain(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
}

static void set_body(const struct cm_http_call *call, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (call->content_type) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.data);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_up(struct cm_http_call *call, CURL *easy)
{
    long connect_ms = call->timeout_ms < CONNECT_MS_MAX ? call->timeout_ms : CONNECT_MS_MAX;
    if (call->is_plain)
        set_plain(easy);
    set_body(call, easy);
    set_headers(call);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, call->is_once ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

/* Its connections are the multi handle's. Nothing in it points to the call any more. */
static void give_handle(struct cm_http *http, struct cm_http_call *call)
{
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, NULL);
    for (struct curl_slist *line = call->headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data)); /* it may be a token */
    curl_slist_free_all(call->headers);
    call->headers = NULL;
    if (http->idle_count < IDLE_HANDLES_MAX && !call->is_plain)
        http->idle[http->idle_count++] = call->easy;
    else
        curl_easy_cleanup(call->easy);
    call->easy = NULL;
    http->calls_out--;
}

void cm_http_start(struct cm_http *http, struct cm_http_call *call)
{
    cm_loop_assert_here(http->loop);
    call->http = http;
    bool has_idle = http->idle_count > 0 && !call->is_plain;
    call->easy = has_idle ? http->idle[--http->idle_count] : handle_new(http);
    call->answer = cm_bytes(NULL, 0);
    call->answer_space = 0;
    call->status = 0;
    call->challenge[0] = call->retry_after[0] = call->request_id[0] = call->why[0] = '\0';
    set_up(call, call->easy);
    http->calls_out++;
    http->has_started = true;
    if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
        abort(); /* a handle that was just set up: out of memory */
}

bool cm_http_is_out(const struct cm_http_call *call)
{
    return call->easy != NULL;
}

void cm_http_stop(struct cm_http_call *call)
{
    if (!cm_http_is_out(call))
        return;
    curl_multi_remove_handle(call->http->multi, call->easy);
    give_handle(call->http, call);
    free((void *)(uintptr_t)call->answer.data);
    call->answer = cm_bytes(NULL, 0);
}

/* ------------------------------------------------------------------ how it ended -- */

static void take_header(CURL *easy, const char *name, char *text, size_t space)
{
    struct curl_header *header;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        snprintf(text, space, "%s", header->value);
}

static void take_challenge(CURL *easy, char *text, size_t space)
{
    struct curl_header *header;
    for (size_t i = 0;
         curl_easy_header(easy, "WWW-Authenticate", i, CURLH_HEADER, -1, &header) == CURLHE_OK;
         i++) {
        if (strncasecmp(header->value, "Bearer", 6) != 0)
            continue;
        snprintf(text, space, "%s", header->value);
        return;
    }
}

/* Not CURLINFO_REQUEST_SIZE: what a proxy was asked for counts there, too. */
static bool has_left(CURL *easy)
{
    curl_off_t before_us = 0;
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &before_us);
    return before_us > 0;
}

static void judge(struct cm_http_call *call, CURLcode code)
{
    if (code == CURLE_OK) {
        call->outcome = CM_HTTP_ANSWERED;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
        take_challenge(call->easy, call->challenge, sizeof call->challenge);
        take_header(call->easy, "Retry-After", call->retry_after, sizeof call->retry_after);
        take_header(call->easy, "x-ms-request-id", call->request_id, sizeof call->request_id);
        return;
    }
    call->outcome = has_left(call->easy) ? CM_HTTP_LOST : CM_HTTP_NOT_SENT;
    if (call->why[0] == '\0')
        snprintf(call->why, sizeof call->why, "%s", curl_easy_strerror(code));
}

static void finish(struct cm_http_call *call, CURLcode code)
{
    struct cm_http *http = call->http;
    judge(call, code);
    curl_multi_remove_handle(http->multi, call->easy);
    give_handle(http, call);
    void *memory = (void *)(uintptr_t)call->answer.data;
    size_t space = call->answer_space;
    call->done(call, call->arg);
    if (memory) /* it may hold a token */
        explicit_bzero(memory, space);
    free(memory);
}

static void collect(struct cm_http *http)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct cm_http_call *call;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        finish(call, code);
    }
}

/* ------------------------------------------------------------------ the loop -- */

/* What an answer has let go leaves at once, not when all answers of this turn have been read: else
 * requests would move in flocks, and the vault would have nothing to do in between. */
static void act(struct cm_http *http, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(http->multi, fd, what, &running);
    collect(http);
    while (http->has_started) {
        http->has_started = false;
        curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        collect(http);
    }
}

static void on_readable(void *arg)
{
    const struct socket *socket = arg;
    act(socket->http, socket->fd, CURL_CSELECT_IN);
}

static void on_writable(void *arg)
{
    const struct socket *socket = arg;
    act(socket->http, socket->fd, CURL_CSELECT_OUT);
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long delay_ms, void *arg)
{
    struct cm_http *http = arg;
    (void)multi;
    if (delay_ms < 0)
        cm_timer_stop(&http->timer);
    else
        cm_timer_start(&http->timer, http->loop, (uint32_t)delay_ms, on_timer, http);
    return 0;
}

static struct socket *socket_new(struct cm_http *http, curl_socket_t fd)
{
    struct socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        abort();
    socket->http = http;
    socket->fd = fd;
    socket->next = http->sockets;
    http->sockets = socket;
    curl_multi_assign(http->multi, fd, socket);
    return socket;
}

static void socket_free(struct socket *socket)
{
    struct socket **at = &socket->http->sockets;
    while (*at != socket)
        at = &(*at)->next;
    *at = socket->next;
    cm_watch_done(&socket->readable);
    cm_watch_done(&socket->writable);
    free(socket);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct cm_http *http = arg;
    struct socket *socket = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            socket_free(socket);
        return 0;
    }
    if (!socket)
        socket = socket_new(http, fd);
    if (what & CURL_POLL_IN)
        cm_watch_start(&socket->readable, http->loop, fd, CM_READABLE, on_readable, socket);
    else
        cm_watch_stop(&socket->readable);
    if (what & CURL_POLL_OUT)
        cm_watch_start(&socket->writable, http->loop, fd, CM_WRITABLE, on_writable, socket);
    else
        cm_watch_stop(&socket->writable);
    return 0;
}

/* ------------------------------------------------------------------ life -- */

cm_status cm_http_new(struct cm_loop *loop, const char *trust, uint32_t connections_max,
                      struct cm_http **ret_http, struct cm_error *err)
{
    pthread_once(&curl_once, init_curl);
    if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_SSL))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "this libcurl knows no TLS");
    struct cm_http *http = calloc(1, sizeof *http);
    if (!http)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for HTTP");
    http->loop = loop;
    http->multi = curl_multi_init();
    http->trust = trust ? strdup(trust) : NULL;
    http->idle = calloc(IDLE_HANDLES_MAX, sizeof(CURL *));
    if (!http->multi || !http->idle || (trust && !http->trust)) {
        cm_http_free(http);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for HTTP");
    }
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)connections_max);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)connections_max * KEPT_SERVERS);
    *ret_http = http;
    return CM_OK;
}

void cm_http_free(struct cm_http *http)
{
    if (!http)
        return;
    for (size_t i = 0; i < http->idle_count; i++)
        curl_easy_cleanup(http->idle[i]);
    if (http->multi)
        curl_multi_cleanup(http->multi);
    while (http->sockets)
        socket_free(http->sockets);
    cm_timer_done(&http->timer);
    free(http->idle);
    free(http->trust);
    free(http);
}
