/*
 * Stream: one Redis stream that entries with numbers are appended to, for whoever has a thread to wait in.
 *
 * The id of an entry is NUMBER-0, so that Redis itself keeps the order: what is there already is not appended
 * again, and nothing is put before it. A connection is made for a few entries and closed again.
 *
 *     cm_stream_open(&settings, &stream, &err);
 *     cm_stream_find_last(stream, &number, &err);
 *     cm_stream_append(stream, number + 1, "checkpoint", text, &err);
 *     cm_stream_close(stream);
 *
 * Every call blocks, for the timeout at most. One thread at a time.
 */
#ifndef CM_QUEUE_STREAM_H
#define CM_QUEUE_STREAM_H

#include "queue/queue.h"

struct cm_stream;

/* Plain data, borrowed for the call. */
struct cm_stream_settings {
    const char *url;          /* as in struct cm_queue_settings */
    const char *password_ref; /* NULL: none; nobody is asked: not prompt: */
    struct cm_redis_tls tls;  /* as there */
    const char *name;         /* of the stream */
    uint32_t timeout_ms;      /* of connecting, and of each answer; 0: 5000 */
};

/* Fails with: UNAVAILABLE, DENIED (login, TLS, or what the secret fails with), INVALID (the URL). */
CM_MUST_USE cm_status cm_stream_open(const struct cm_stream_settings *settings,
                                     struct cm_stream **ret_stream, struct cm_error *err);
void cm_stream_close(struct cm_stream *stream); /* takes NULL */

/* 0: the stream is empty. Fails with: UNAVAILABLE, DENIED (with the server's words). */
CM_MUST_USE cm_status cm_stream_find_last(struct cm_stream *stream, int64_t *ret_number,
                                          struct cm_error *err);

/* OK, too, when an entry of this number, or a later one, is there already. Fails with: as find_last. */
CM_MUST_USE cm_status cm_stream_append(struct cm_stream *stream, int64_t number, const char *field,
                                       struct cm_bytes value, struct cm_error *err);

#endif
