#include "queue/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "queue/redis/address.h"
#include "queue/redis/tls.h"

enum { TIMEOUT_MS_DEFAULT = 5000 };

struct cm_stream {
    char *name;
    redisContext *connection;
    struct cm_tls tls; /* context NULL: without */
};

/* ------------------------------------------------------------------ asking -- */

/* The reply is the caller's, and no error. */
static cm_status check_reply(struct cm_stream *stream, redisReply *reply, redisReply **ret_reply,
                             struct cm_error *err)
{
    if (!reply)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "Redis: %.150s",
                       stream->connection->errstr);
    if (reply->type == REDIS_REPLY_ERROR) {
        cm_status status =
            CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "Redis says: %.150s", reply->str);
        freeReplyObject(reply);
        return status;
    }
    *ret_reply = reply;
    return CM_OK;
}

static cm_status ask(struct cm_stream *stream, int count, const char **words, const size_t *sizes,
                     redisReply **ret_reply, struct cm_error *err)
{
    return check_reply(stream, redisCommandArgv(stream->connection, count, words, sizes), ret_reply,
                       err);
}

static cm_status tell(struct cm_stream *stream, int count, const char **words, struct cm_error *err)
{
    redisReply *reply = NULL;
    cm_status status = ask(stream, count, words, NULL, &reply, err);
    if (status == CM_OK)
        freeReplyObject(reply);
    return status;
}

/* ------------------------------------------------------------------ life -- */

static cm_status log_in(struct cm_stream *stream, const struct cm_redis_address *address,
                        struct cm_error *err)
{
    char db[16];
    const char *user = address->user[0] ? address->user : "default";
    const char *auth[] = { "AUTH", user, address->password };
    const char *select[] = { "SELECT", db };
    snprintf(db, sizeof db, "%u", address->db);
    cm_status status = address->password[0] ? tell(stream, 3, auth, err) : CM_OK;
    return status == CM_OK && address->db > 0 ? tell(stream, 2, select, err) : status;
}

static cm_status begin_tls(struct cm_stream *stream, const struct cm_stream_settings *settings,
                           const struct cm_redis_address *address, struct cm_error *err)
{
    struct ssl_st *ssl = NULL;
    char text[200];
    if (!address->is_tls)
        return CM_OK;
    cm_status status = cm_tls_open(&stream->tls, &settings->tls, address->host, err);
    if (status == CM_OK && !cm_tls_start(&stream->tls, stream->connection, &ssl, text, sizeof text))
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "Redis: %.150s", text);
    return status;
}

static cm_status connect_to(struct cm_stream *stream, const struct cm_stream_settings *settings,
                            const struct cm_redis_address *address, struct cm_error *err)
{
    uint32_t timeout_ms = settings->timeout_ms ? settings->timeout_ms : TIMEOUT_MS_DEFAULT;
    const struct timeval timeout = { .tv_sec = timeout_ms / 1000,
                                     .tv_usec = (timeout_ms % 1000) * 1000L };
    stream->connection = address->socket[0]
                             ? redisConnectUnixWithTimeout(address->socket, timeout)
                             : redisConnectWithTimeout(address->host, address->port, timeout);
    if (!stream->connection || stream->connection->err)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "Redis: %.150s",
                       stream->connection ? stream->connection->errstr : "out of memory");
    redisSetTimeout(stream->connection, timeout);
    cm_status status = begin_tls(stream, settings, address, err);
    return status == CM_OK ? log_in(stream, address, err) : status;
}

cm_status cm_stream_open(const struct cm_stream_settings *settings, struct cm_stream **ret_stream,
                         struct cm_error *err)
{
    struct cm_redis_address address;
    cm_status status = cm_redis_address_read(settings->url, settings->password_ref, &address, err);
    if (status != CM_OK)
        return status;
    struct cm_stream *stream = calloc(1, sizeof *stream);
    if (stream)
        stream->name = strdup(settings->name);
    if (!stream || !stream->name)
        abort();
    status = connect_to(stream, settings, &address, err);
    cm_redis_address_done(&address);
    if (status == CM_OK)
        *ret_stream = stream;
    else
        cm_stream_close(stream);
    return status;
}

void cm_stream_close(struct cm_stream *stream)
{
    if (!stream)
        return;
    if (stream->connection)
        redisFree(stream->connection);
    cm_tls_done(&stream->tls);
    free(stream->name);
    free(stream);
}

/* ------------------------------------------------------------------ entries -- */

cm_status cm_stream_find_last(struct cm_stream *stream, int64_t *ret_number, struct cm_error *err)
{
    const char *words[] = { "XREVRANGE", stream->name, "+", "-", "COUNT", "1" };
    redisReply *reply = NULL;
    cm_status status = ask(stream, 6, words, NULL, &reply, err);
    if (status != CM_OK)
        return status;
    int64_t number = 0;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
        && reply->element[0]->type == REDIS_REPLY_ARRAY && reply->element[0]->elements > 0
        && reply->element[0]->element[0]->str)
        number = strtoll(reply->element[0]->element[0]->str, NULL, 10);
    freeReplyObject(reply);
    *ret_number = number;
    return CM_OK;
}

cm_status cm_stream_append(struct cm_stream *stream, int64_t number, const char *field,
                           struct cm_bytes value, struct cm_error *err)
{
    char id[32];
    const char *words[] = { "XADD", stream->name, id, field, (const char *)value.data };
    const size_t sizes[] = { 4, strlen(stream->name),
                             (size_t)snprintf(id, sizeof id, "%lld-0", (long long)number),
                             strlen(field), value.size };
    redisReply *reply = NULL;
    cm_status status = ask(stream, 5, words, sizes, &reply, err);
    if (status == CM_OK)
        freeReplyObject(reply);
    /* "ERR The ID specified in XADD is equal or smaller than ...": it is there. */
    else if (status == CM_DENIED && strstr(err->text, "equal or smaller"))
        return CM_OK;
    return status;
}
