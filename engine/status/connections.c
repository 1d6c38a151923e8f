#include "engine/status/connections.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "engine/base/clock.h"
#include "engine/base/loop.h"

enum { FIRST_PLACES = 64, OCTETS_PER_S = 256 * 1024, LOOK_MS_MAX = 1000 };

enum phase { IDLE, ASKING, WAITING, TAKING };

struct connection {
    struct cm_connections *all;
    struct connection *next; /* among the newborn */
    struct bufferevent *bev; /* evhttp's; alive as long as the cookie is the socket's */
    uint64_t cookie;
    uint64_t since_ms;  /* of the phase */
    uint64_t answer_ms; /* TAKING: how long it may last */
    enum phase phase;
    bool is_cut;
};

struct cm_connections {
    struct cm_loop *loop;
    struct event_base *base;
    struct cm_connections_limits limits;
    struct connection **places; /* by descriptor; owned */
    size_t places_count;
    struct connection *newborn; /* not known by their descriptors yet */
    struct event *birth;
    struct cm_timer look;
    uint64_t now_ms; /* of the last look, or birth: exact enough */
    bool is_stopping;
};

static uint64_t clock_ms(void)
{
    return cm_clock_monotonic_ns() / CM_NS_PER_MS;
}

/* 0: no socket. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

static void enter(struct connection *connection, enum phase phase)
{
    connection->phase = phase;
    connection->since_ms = connection->all->now_ms;
}

/* Octets have come. While an answer is made or taken they are of a request that is not read yet. */
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct connection *connection = arg;
    (void)input;
    if (info->n_added == 0)
        return;
    if (connection->phase == IDLE
        || (connection->phase == TAKING
            && evbuffer_get_length(bufferevent_get_output(connection->bev)) == 0))
        enter(connection, ASKING);
}

static void cut(struct connection *connection, int fd)
{
    connection->is_cut = true;
    shutdown(fd, SHUT_RDWR);
}

static void end(struct cm_connections *all, size_t place)
{
    free(all->places[place]);
    all->places[place] = NULL;
    atomic_fetch_sub(all->limits.shared_count, 1);
}

static bool has_ended(const struct connection *connection, int fd)
{
    return cookie_of(fd) != connection->cookie;
}

static void sweep(struct cm_connections *all)
{
    for (size_t i = 0; i < all->places_count; i++)
        if (all->places[i] && has_ended(all->places[i], (int)i))
            end(all, i);
}

static uint64_t patience_ms(const struct connection *connection)
{
    const struct cm_connections *all = connection->all;
    switch (connection->phase) {
    case IDLE:
        return all->is_stopping ? 0 : CM_CONNECTION_IDLE_MS;
    case ASKING:
        return all->limits.deadline_ms;
    case WAITING:
        return 2ull * all->limits.deadline_ms;
    case TAKING:
        break;
    }
    return connection->answer_ms;
}

/* Nobody tells when an answer has been taken: it is looked at. */
static void look_at_taking(struct connection *connection)
{
    if (connection->phase == TAKING
        && evbuffer_get_length(bufferevent_get_output(connection->bev)) == 0)
        enter(connection,
              evbuffer_get_length(bufferevent_get_input(connection->bev)) > 0 ? ASKING : IDLE);
}

static void consider(struct connection *connection, int fd)
{
    look_at_taking(connection);
    if (connection->is_cut
        || connection->all->now_ms - connection->since_ms < patience_ms(connection))
        return;
    if (connection->phase != IDLE)
        atomic_fetch_add_explicit(connection->all->limits.cut_count, 1, memory_order_relaxed);
    cut(connection, fd);
}

static void on_look(void *arg)
{
    struct cm_connections *all = arg;
    uint32_t delay_ms = all->limits.deadline_ms / 8;
    all->now_ms = clock_ms();
    sweep(all);
    for (size_t i = 0; i < all->places_count; i++)
        if (all->places[i])
            consider(all->places[i], (int)i);
    all->limits.on_look(all->limits.arg);
    cm_timer_start(&all->look, all->loop, delay_ms > LOOK_MS_MAX ? LOOK_MS_MAX : delay_ms + 1,
                   on_look, all);
}

static void make_room(struct cm_connections *all, size_t place)
{
    size_t count = all->places_count ? all->places_count : FIRST_PLACES;
    while (count <= place)
        count *= 2;
    if (count == all->places_count)
        return;
    all->places = realloc(all->places, count * sizeof *all->places);
    if (!all->places)
        abort();
    memset(all->places + all->places_count, 0, (count - all->places_count) * sizeof *all->places);
    all->places_count = count;
}

static bool is_over_limit(struct cm_connections *all)
{
    if (atomic_load(all->limits.shared_count) <= all->limits.connections_max)
        return false;
    sweep(all);
    return atomic_load(all->limits.shared_count) > all->limits.connections_max;
}

/* Whoever has waited between requests for longest has had what it came for. False: all are busy. */
static bool cut_idlest(struct cm_connections *all)
{
    size_t found = all->places_count;
    for (size_t i = 0; i < all->places_count; i++) {
        struct connection *connection = all->places[i];
        if (!connection || connection->is_cut)
            continue;
        look_at_taking(connection);
        if (connection->phase == IDLE
            && (found == all->places_count || connection->since_ms < all->places[found]->since_ms))
            found = i;
    }
    if (found == all->places_count)
        return false;
    cut(all->places[found], (int)found);
    return true;
}

/* Its descriptor is known now: evhttp sets it after it has asked for the bufferevent. */
static void settle(struct cm_connections *all, struct connection *connection)
{
    bufferevent_event_cb error_cb = NULL;
    int fd = bufferevent_getfd(connection->bev);
    bufferevent_getcb(connection->bev, NULL, NULL, &error_cb, NULL);
    bool is_alive = error_cb != NULL && fd >= 0;
    if (bufferevent_decref(connection->bev) || !is_alive) {
        free(connection);
        atomic_fetch_sub(all->limits.shared_count, 1);
        return;
    }
    make_room(all, (size_t)fd);
    if (all->places[fd])
        end(all, (size_t)fd);
    connection->cookie = cookie_of(fd);
    all->places[fd] = connection;
    if (is_over_limit(all) && !cut_idlest(all)) {
        atomic_fetch_add_explicit(all->limits.refused_count, 1, memory_order_relaxed);
        cut(connection, fd);
    }
}

static void on_birth(evutil_socket_t fd, short what, void *arg)
{
    struct cm_connections *all = arg;
    (void)fd;
    (void)what;
    all->now_ms = clock_ms();
    while (all->newborn) {
        struct connection *connection = all->newborn;
        all->newborn = connection->next;
        enter(connection, ASKING);
        settle(all, connection);
    }
    all->limits.accept(true, all->limits.arg);
}

/* Held until on_birth, which comes before anything that the socket brings. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct cm_connections *all = arg;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    struct connection *connection = calloc(1, sizeof *connection);
    if (!bev || !connection)
        abort();
    bufferevent_incref(bev);
    bufferevent_setwatermark(bev, EV_READ, 0, CM_CONNECTION_AHEAD_SIZE);
    *connection = (struct connection){ .all = all, .bev = bev, .next = all->newborn };
    if (!evbuffer_add_cb(bufferevent_get_input(bev), on_input, connection))
        abort();
    all->newborn = connection;
    if (atomic_fetch_add(all->limits.shared_count, 1) >= all->limits.connections_max)
        all->limits.accept(false, all->limits.arg);
    event_active(all->birth, EV_TIMEOUT, 1);
    return bev;
}

struct cm_connections *cm_connections_new(struct cm_loop *loop, struct evhttp *http,
                                          const struct cm_connections_limits *limits)
{
    struct cm_connections *all = calloc(1, sizeof *all);
    if (!all)
        abort();
    all->loop = loop;
    all->base = cm_loop_event_base(loop);
    all->limits = *limits;
    all->birth = event_new(all->base, -1, 0, on_birth, all);
    if (!all->birth)
        abort();
    evhttp_set_bevcb(http, on_accept, all);
    on_look(all);
    return all;
}

void cm_connections_free(struct cm_connections *all)
{
    if (!all)
        return;
    cm_timer_done(&all->look);
    while (all->newborn) {
        struct connection *connection = all->newborn;
        all->newborn = connection->next;
        bufferevent_decref(connection->bev);
        free(connection);
    }
    event_free(all->birth);
    for (size_t i = 0; i < all->places_count; i++)
        free(all->places[i]);
    free(all->places);
    free(all);
}

/* NULL: its connection has ended. */
static struct connection *find(struct cm_connections *all, struct evhttp_request *request)
{
    struct evhttp_connection *owner = evhttp_request_get_connection(request);
    struct bufferevent *bev = owner ? evhttp_connection_get_bufferevent(owner) : NULL;
    int fd = bev ? bufferevent_getfd(bev) : -1;
    if (fd < 0 || (size_t)fd >= all->places_count || !all->places[fd]
        || all->places[fd]->bev != bev)
        return NULL;
    return all->places[fd];
}

void cm_connections_begin(struct cm_connections *all, struct evhttp_request *request)
{
    struct connection *connection = find(all, request);
    if (connection)
        enter(connection, WAITING);
}

void cm_connections_answer(struct cm_connections *all, struct evhttp_request *request, size_t size)
{
    struct connection *connection = find(all, request);
    if (!connection)
        return;
    enter(connection, TAKING);
    connection->answer_ms = all->limits.deadline_ms + 1000ull * size / OCTETS_PER_S;
}

void cm_connections_stop(struct cm_connections *all)
{
    all->is_stopping = true;
    on_look(all);
}
