/* A connection: a request is read, carried out, answered; then the next. */
#include "engine/control/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

enum { ARENA_BLOCK_SIZE = 64 * 1024, STOP_PATIENCE_MS = 2000 };

void cm_connection_drop(struct cm_connection *connection)
{
    struct cm_control *control = connection->control;
    assert(connection->phase != CM_CONNECTION_WORKS);
    cm_timer_done(&connection->deadline);
    bufferevent_free(connection->stream);
    cm_arena_done(&connection->arena);
    *connection = (struct cm_connection){ .control = control };
    control->connections_count--;
    if (control->is_stopping && control->connections_count == 0)
        control->env.on_idle(control->env.arg);
}

static void on_deadline(void *arg)
{
    cm_connection_drop(arg);
}

static void set_deadline(struct cm_connection *connection, uint32_t delay_ms)
{
    cm_timer_start(&connection->deadline, connection->control->env.loop, delay_ms, on_deadline,
                   connection);
}

static void refuse_too_long(struct cm_connection *connection)
{
    connection->is_last = true; /* where the next request begins is not known */
    bufferevent_disable(connection->stream, EV_READ);
    cm_connection_answer(connection,
                         json_pack("{s:s}", "error", "the request is longer than 1 MiB"));
}

/* The next request, if all of it is here. */
static void take_request(struct cm_connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->stream);
    size_t size;
    char *line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF);
    if (line) {
        connection->phase = CM_CONNECTION_WORKS;
        bufferevent_disable(connection->stream, EV_READ);
        cm_timer_stop(&connection->deadline);
        cm_request_run(connection, line, size);
        free(line);
    } else if (evbuffer_get_length(input) > CM_CONTROL_MESSAGE_SIZE_MAX) {
        refuse_too_long(connection);
    }
}

static void on_readable(struct bufferevent *stream, void *arg)
{
    struct cm_connection *connection = arg;
    (void)stream;
    if (connection->phase == CM_CONNECTION_READS)
        take_request(connection);
}

/* All of the answer is written. */
static void on_written(struct bufferevent *stream, void *arg)
{
    struct cm_connection *connection = arg;
    if (connection->phase != CM_CONNECTION_ANSWERS)
        return;
    if (connection->is_last) {
        cm_connection_drop(connection);
        return;
    }
    connection->phase = CM_CONNECTION_READS;
    set_deadline(connection, CM_CONTROL_DEADLINE_MS);
    bufferevent_enable(stream, EV_READ);
    take_request(connection);
}

/* The peer has hung up, or something is wrong with it; who works listens to nothing. */
static void on_hang_up(struct bufferevent *stream, short what, void *arg)
{
    struct cm_connection *connection = arg;
    (void)stream;
    (void)what;
    if (connection->phase != CM_CONNECTION_WORKS)
        cm_connection_drop(connection);
}

void cm_connection_start(struct cm_connection *connection, evutil_socket_t fd)
{
    struct event_base *base = cm_loop_event_base(connection->control->env.loop);
    connection->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!connection->stream)
        abort();
    connection->phase = CM_CONNECTION_READS;
    connection->control->connections_count++;
    cm_arena_init(&connection->arena, ARENA_BLOCK_SIZE);
    bufferevent_setcb(connection->stream, on_readable, on_written, on_hang_up, connection);
    bufferevent_setwatermark(connection->stream, EV_READ, 0, CM_CONTROL_MESSAGE_SIZE_MAX + 1);
    set_deadline(connection, CM_CONTROL_DEADLINE_MS);
    bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
}

void cm_connection_stop(struct cm_connection *connection)
{
    connection->is_last = true;
    if (connection->phase == CM_CONNECTION_READS)
        cm_connection_drop(connection);
    else if (connection->phase == CM_CONNECTION_ANSWERS)
        set_deadline(connection, STOP_PATIENCE_MS);
}

void cm_connection_answer(struct cm_connection *connection, json_t *answer)
{
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    if (!text)
        abort();
    connection->phase = CM_CONNECTION_ANSWERS;
    bufferevent_write(connection->stream, text, strlen(text));
    bufferevent_write(connection->stream, "\n", 1);
    set_deadline(connection,
                 connection->control->is_stopping ? STOP_PATIENCE_MS : CM_CONTROL_DEADLINE_MS);
    cm_arena_reset(&connection->arena);
    free(text);
    json_decref(answer);
}
