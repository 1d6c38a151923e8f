#include "engine/checkpoint_stream.h"

#include "engine/authority/checkpoint_text.h"
#include "queue/stream.h"

enum { ARENA_BLOCK_SIZE = 16384 };

struct appending {
    struct cm_stream *stream;
    struct cm_arena arena;
    cm_status status;
    struct cm_error *err;
};

static bool append(const struct cm_checkpoint *checkpoint, void *arg)
{
    struct appending *appending = arg;
    cm_arena_reset(&appending->arena);
    struct cm_bytes line = cm_checkpoint_line(checkpoint, &appending->arena);
    appending->status =
        cm_stream_append(appending->stream, checkpoint->number, "checkpoint",
                         cm_bytes(line.data, line.size - 1), appending->err); /* no newline */
    return appending->status == CM_OK;
}

cm_status cm_checkpoint_stream_append(const struct cm_settings *settings,
                                      struct cm_store_reader *reader, struct cm_error *err)
{
    const struct cm_settings_redis *redis = &settings->redis;
    const struct cm_stream_settings to = {
        .url = redis->url,
        .password_ref = redis->password,
        .tls = { .ca = redis->tls_ca,
                 .certificate = redis->tls_certificate,
                 .key = redis->tls_key,
                 .server_name = redis->tls_server_name },
        .name = settings->audit.redis_stream,
    };
    struct appending appending = { .err = err };
    int64_t last = 0;
    cm_status status = cm_stream_open(&to, &appending.stream, err);
    if (status != CM_OK)
        return status;
    cm_arena_init(&appending.arena, ARENA_BLOCK_SIZE);
    status = cm_stream_find_last(appending.stream, &last, err);
    if (status == CM_OK)
        status = cm_store_walk_checkpoints(reader, last, append, &appending, err);
    cm_arena_done(&appending.arena);
    cm_stream_close(appending.stream);
    return status == CM_OK ? appending.status : status;
}
