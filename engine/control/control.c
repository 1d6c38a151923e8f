/* The socket: made, listened on, taken away. */
#include "engine/control/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/listener.h>

enum { BACKLOG = 64, PAUSE_MS = 1000 };

bool cm_control_path(const char *store_path, char *ret_path, size_t space)
{
    const char *slash = strrchr(store_path, '/');
    int folder_size = slash ? (int)(slash - store_path) + 1 : 0;
    int size = snprintf(ret_path, space, "%.*scontrol.sock", folder_size, store_path);
    return size > 0 && (size_t)size < space;
}

/* --- who comes ----------------------------------------------------------------------------------- */

static bool is_welcome(evutil_socket_t fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

static struct cm_connection *find_free(struct cm_control *control)
{
    for (unsigned i = 0; i < CM_CONTROL_CONNECTIONS_MAX; i++)
        if (!control->connections[i].stream)
            return &control->connections[i];
    return NULL;
}

/* A word of explanation, if the peer listens; never waited for. */
static void turn_away(evutil_socket_t fd, const char *answer)
{
    ssize_t ignored = send(fd, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)ignored;
    evutil_closesocket(fd);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int from_size, void *arg)
{
    struct cm_control *control = arg;
    struct cm_connection *connection = find_free(control);
    (void)listener;
    (void)from;
    (void)from_size;
    if (!is_welcome(fd))
        turn_away(fd, "{\"error\":\"only the engine's own user and root may do this\"}\n");
    else if (!connection)
        turn_away(fd, "{\"error\":\"too many connections to the engine; try again\"}\n");
    else
        cm_connection_start(connection, fd);
}

static void resume_listening(void *arg)
{
    struct cm_control *control = arg;
    evconnlistener_enable(control->listener);
}

/* Out of file descriptors, say: a listener that is always ready would spin. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
    struct cm_control *control = arg;
    char text[CM_ERROR_TEXT_SIZE];
    snprintf(text, sizeof text, "control: accept: %s; trying again in a second", strerror(errno));
    evconnlistener_disable(listener);
    cm_timer_start(&control->pause, control->env.loop, PAUSE_MS, resume_listening, control);
    control->env.on_notice(text, control->env.arg);
}

/* --- the socket ---------------------------------------------------------------------------------- */

static cm_status remove_stale(const char *path, struct cm_error *err)
{
    struct stat found;
    if (lstat(path, &found) != 0)
        return errno == ENOENT ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    if (!S_ISSOCK(found.st_mode))
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "%.200s is not a socket", path);
    if (unlink(path) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "remove %s", path);
    return CM_OK;
}

static cm_status bind_socket(int fd, const char *path, struct cm_error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "its path has more than %zu characters: %.160s", sizeof address.sun_path - 1,
                       path);
    strcpy(address.sun_path, path);
    cm_status status = remove_stale(path, err);
    if (status != CM_OK)
        return status;
    /* Before bind, which gives the file the mode of the socket: it is never open to others, and
       the umask of other threads is left alone. */
    if (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make socket %s", path);
    return CM_OK;
}

static cm_status start_listening(struct cm_control *control, struct cm_error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make a socket");
    cm_status status = bind_socket(fd, control->path, err);
    if (status == CM_OK) {
        control->listener =
            evconnlistener_new(cm_loop_event_base(control->env.loop), on_accept, control,
                               LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
        if (control->listener)
            evconnlistener_set_error_cb(control->listener, on_accept_failed);
        else
            status = CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "listen on %s", control->path);
    }
    if (status != CM_OK)
        close(fd);
    return status;
}

/* --- life ---------------------------------------------------------------------------------------- */

cm_status cm_control_open(const struct cm_control_env *env, struct cm_control **ret_control,
                          struct cm_error *err)
{
    char path[4096];
    cm_loop_assert_here(env->loop);
    if (!cm_control_path(env->settings->store_path, path, sizeof path))
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "its path is too long");
    struct cm_control *control = calloc(1, sizeof *control);
    if (!control || !(control->path = strdup(path)))
        abort();
    control->env = *env;
    for (unsigned i = 0; i < CM_CONTROL_CONNECTIONS_MAX; i++)
        control->connections[i].control = control;
    cm_status status = start_listening(control, err);
    if (status == CM_OK)
        *ret_control = control;
    else
        cm_control_close(control);
    return status;
}

void cm_control_stop(struct cm_control *control)
{
    if (!control || !control->listener)
        return;
    cm_timer_done(&control->pause);
    evconnlistener_free(control->listener);
    control->listener = NULL;
    unlink(control->path);
    for (unsigned i = 0; i < CM_CONTROL_CONNECTIONS_MAX; i++)
        if (control->connections[i].stream)
            cm_connection_stop(&control->connections[i]);
    control->is_stopping = true;
}

bool cm_control_is_busy(const struct cm_control *control)
{
    return control && control->is_stopping && control->connections_count > 0;
}

void cm_control_close(struct cm_control *control)
{
    if (!control)
        return;
    cm_control_stop(control);
    control->is_stopping = false; /* nobody waits any more */
    for (unsigned i = 0; i < CM_CONTROL_CONNECTIONS_MAX; i++)
        if (control->connections[i].stream)
            cm_connection_drop(&control->connections[i]);
    free(control->path);
    free(control);
}
