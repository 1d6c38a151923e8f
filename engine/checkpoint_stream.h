/* The Redis stream that checkpoints are appended to: the field checkpoint of an entry is the line of JSON that
 * the file has, its id the checkpoint's number. */
#ifndef CM_ENGINE_CHECKPOINT_STREAM_H
#define CM_ENGINE_CHECKPOINT_STREAM_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"

/*
 * Does:       appends what the store has and the stream does not, in order, to settings->audit.redis_stream.
 * Thread:     the reader's; it may wait for Redis.
 * Fails with: what queue/stream.h fails with, and readers.
 */
CM_MUST_USE cm_status cm_checkpoint_stream_append(const struct cm_settings *settings,
                                                  struct cm_store_reader *reader,
                                                  struct cm_error *err);

#endif
