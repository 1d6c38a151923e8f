#include "tools/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/control/control.h"

enum { PATIENCE_S = 60 };

struct cm_control_client {
    int fd;
    FILE *answers;
    char *line; /* getline's */
    size_t line_space;
};

/* --- the socket ---------------------------------------------------------------------------------- */

static cm_status connect_socket(int fd, const char *path, struct cm_error *err)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                       "control.sock: its path is too long");
    strcpy(address.sun_path, path);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, errno, "control.sock");
    return CM_OK;
}

cm_status cm_control_client_open(const char *store_path, struct cm_control_client **ret_client,
                                 struct cm_error *err)
{
    char path[4096];
    if (!cm_control_path(store_path, path, sizeof path))
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                       "control.sock: its path is too long");
    struct cm_control_client *client = calloc(1, sizeof *client);
    if (!client)
        abort();
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cm_status status = client->fd < 0
                           ? CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, errno, "make a socket")
                           : connect_socket(client->fd, path, err);
    if (status == CM_OK && !(client->answers = fdopen(client->fd, "r")))
        status = CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, errno, "control.sock");
    if (status == CM_OK)
        *ret_client = client;
    else
        cm_control_client_close(client);
    return status;
}

cm_status cm_control_client_open_busy(const char *store_path, struct cm_control_client **ret_client,
                                      struct cm_error *busy)
{
    struct cm_error why;
    size_t size = strlen(busy->text);
    *ret_client = NULL;
    if (cm_control_client_open(store_path, ret_client, &why) == CM_OK)
        return CM_OK;
    /* Which process has the store, and what to do, is said already. */
    snprintf(busy->text + size, sizeof busy->text - size, " (%s)", why.text);
    return CM_BUSY;
}

void cm_control_client_close(struct cm_control_client *client)
{
    if (!client)
        return;
    if (client->answers)
        fclose(client->answers);
    else if (client->fd >= 0)
        close(client->fd);
    free(client->line);
    free(client);
}

/* --- one request --------------------------------------------------------------------------------- */

/* False when the engine has hung up; it may have said why before. */
static bool send_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        text += sent;
        size -= (size_t)sent;
    }
    return true;
}

static cm_status read_answer(struct cm_control_client *client, json_t **ret_answer,
                             struct cm_error *err)
{
    json_error_t why;
    errno = 0;
    ssize_t size = getline(&client->line, &client->line_space, client->answers);
    if (size < 0 && errno != 0)
        return CM_FAIL(err, CM_UNCERTAIN, CM_ORIGIN_OS, errno, "no answer from the engine");
    if (size <= 0 || client->line[size - 1] != '\n')
        return CM_FAIL(err, CM_UNCERTAIN, CM_ORIGIN_SELF, 0,
                       "the engine hung up without an answer");
    json_t *answer = json_loadb(client->line, (size_t)size, 0, &why);
    const char *text = json_string_value(json_object_get(answer, "error"));
    cm_status status = CM_OK;
    if (text)
        status = CM_FAIL(err, json_is_true(json_object_get(answer, "busy")) ? CM_BUSY : CM_DENIED,
                         CM_ORIGIN_SELF, 0, "the engine says: %s", text);
    else if (!json_is_object(answer))
        status = CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "the engine's answer is no object");
    if (status == CM_OK)
        *ret_answer = answer;
    else
        json_decref(answer);
    return status;
}

cm_status cm_control_client_call(struct cm_control_client *client, const json_t *request,
                                 json_t **ret_answer, struct cm_error *err)
{
    char *text = json_dumps(request, JSON_COMPACT);
    if (!text)
        abort();
    bool is_sent = send_all(client->fd, text, strlen(text)) && send_all(client->fd, "\n", 1);
    free(text);
    cm_status status = read_answer(client, ret_answer, err);
    if (!is_sent && status == CM_OK) {
        json_decref(*ret_answer);
        return CM_FAIL(err, CM_UNCERTAIN, CM_ORIGIN_SELF, 0, "the engine answered half a request");
    }
    return status;
}

cm_status cm_control_client_status(struct cm_control_client *client, json_t **ret_status,
                                   struct cm_error *err)
{
    json_t *request = json_pack("{s:i, s:s}", "v", CM_CONTROL_VERSION, "op", "status");
    if (!request)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
    cm_status status = cm_control_client_call(client, request, ret_status, err);
    json_decref(request);
    return status;
}
