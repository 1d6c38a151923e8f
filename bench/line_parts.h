/*
 * A line's parts: what bench/line.c (its life) and bench/line_stations.c (its batches) share.
 */
#ifndef CM_BENCH_LINE_PARTS_H
#define CM_BENCH_LINE_PARTS_H

#include "bench/line_deployment.h"
#include "engine/internal.h"
#include "queue/memory.h"

struct line {
    char name[32]; /* of its memory queue: "line-p256" */
    struct line_deployment deployment;
    struct cm_loop *loop;
    struct cm_memory_broker *broker;
    struct cm_engine *engine;
    struct cm_worker *worker; /* the engine's */
    struct cm_provider_ops mock;
    const struct cm_provider_ops *real; /* of the provider, while it is a mock; else NULL */
    bool is_running, is_done;
    struct cm_entry *entries[LINE_BATCH_MAX]; /* leased */
    uint32_t entries_count, wanted_count;
    struct cm_batch *batch; /* NULL: none is under way */
    enum line_station next;
    char failure[CM_BENCH_TEXT_SIZE];
};

/* Turns of the loop until the one that it waits for says so; which may be before it waits. */
void line_wait(struct line *line);
void line_be_done(struct line *line);

/* The engine's begin: takes the batch that intake has filled. */
void line_take_batch(struct cm_batch *batch);
/* The queue's on_entries. */
void line_take_entries(struct cm_entry **entries, uint32_t count, void *arg);

static inline struct line *line_of(const struct cm_engine *engine)
{
    return engine->options.arg;
}

#endif
