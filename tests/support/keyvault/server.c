#include "tests/support/keyvault/keyvault.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>

enum { BACKLOG = 4096, BODY_SIZE_MAX = 1 << 20 };

/* Tells when a TLS connection goes, however it goes: its SSL object is freed with it. */
static int connection_index = -1;

static void on_connection_freed(void *ssl, void *emulator, CRYPTO_EX_DATA *data, int index,
                                long argl, void *argp)
{
    (void)ssl;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    if (emulator)
        ((struct kv_emulator *)emulator)->statistics.connections_open--;
}

static struct bufferevent *on_tls_connection(struct event_base *base, void *arg)
{
    struct kv_emulator *emulator = arg;
    SSL *ssl = SSL_new(emulator->tls);
    struct bufferevent *bev = ssl ? bufferevent_openssl_socket_new(
                                  base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
                                  : NULL;
    if (!bev) {
        SSL_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    SSL_set_ex_data(ssl, connection_index, emulator);
    emulator->statistics.connections++;
    emulator->statistics.connections_open++;
    return bev;
}

static void on_vault_request(struct evhttp_request *http, void *emulator)
{
    struct kv_exchange *exchange = kv_exchange_new(emulator, http);
    if (!kv_entra_request(exchange))
        kv_vault_request(exchange, exchange->path);
}

static void on_plain_request(struct evhttp_request *http, void *emulator)
{
    struct kv_exchange *exchange = kv_exchange_new(emulator, http);
    if (!kv_identity_request(exchange))
        kv_control_request(exchange);
}

/* Its port; 0: it has said why not. */
static int listen_on(struct kv_emulator *emulator, struct evhttp *http, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof address;
    const int yes = 1;
    struct evconnlistener *listener =
        evconnlistener_new_bind(emulator->base, NULL, NULL,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                BACKLOG, (struct sockaddr *)&address, sizeof address);
    if (!listener || !evhttp_bind_listener(http, listener)) {
        perror("keyvault_emulator: cannot listen on 127.0.0.1");
        return 0;
    }
    int fd = evconnlistener_get_fd(listener);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* its connections inherit it */
    getsockname(fd, (struct sockaddr *)&address, &size);
    return ntohs(address.sin_port);
}

static struct evhttp *new_http(struct kv_emulator *emulator,
                               void (*on_request)(struct evhttp_request *, void *))
{
    struct evhttp *http = evhttp_new(emulator->base);
    if (!http)
        abort();
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT
                                         | EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE);
    evhttp_set_max_body_size(http, BODY_SIZE_MAX);
    evhttp_set_timeout(http, emulator->options.idle_s);
    evhttp_set_default_content_type(http, NULL);
    evhttp_set_gencb(http, on_request, emulator);
    return http;
}

bool kv_server_start(struct kv_emulator *emulator)
{
    connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_connection_freed);
    emulator->vault = new_http(emulator, on_vault_request);
    emulator->control = new_http(emulator, on_plain_request);
    evhttp_set_bevcb(emulator->vault, on_tls_connection, emulator);
    emulator->port = listen_on(emulator, emulator->vault, emulator->options.port);
    emulator->control_port =
        emulator->port ? listen_on(emulator, emulator->control, emulator->options.control_port) : 0;
    return emulator->control_port != 0;
}

void kv_server_stop(struct kv_emulator *emulator)
{
    while (emulator->exchanges)
        kv_exchange_drop(emulator->exchanges);
    if (emulator->vault)
        evhttp_free(emulator->vault);
    if (emulator->control)
        evhttp_free(emulator->control);
}
