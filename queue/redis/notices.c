#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/redis/internal.h"

/* One notice's command on its way. */
struct slot {
    struct cm_call call;
    struct cm_notice_batch *batch;
};

/* Notices that came together are called back together. */
struct cm_notice_batch {
    TAILQ_ENTRY(cm_notice_batch) link;
    struct cm_redis_queue *queue;
    cm_notified_fn *notified;
    void *arg;
    struct cm_timer turn; /* nothing could be sent: called back outside the caller's call */
    uint32_t waiting_count;
    bool failed;
    char text[CM_ERROR_TEXT_SIZE]; /* why, the first time */
    struct slot slots[];
};

static void finish(struct cm_notice_batch *batch)
{
    TAILQ_REMOVE(&batch->queue->notices, batch, link);
    cm_timer_done(&batch->turn);
    batch->notified(batch->failed ? CM_UNAVAILABLE : CM_OK, batch->text, batch->arg);
    free(batch);
}

static void on_turn(void *arg)
{
    finish(arg);
}

static void fail(struct cm_notice_batch *batch, const char *text)
{
    if (!batch->failed)
        snprintf(batch->text, sizeof batch->text, "%s", text);
    batch->failed = true;
}

static void on_written(struct cm_call *call, const struct cm_reply *reply)
{
    struct cm_notice_batch *batch = ((struct slot *)call)->batch;
    char text[CM_ERROR_TEXT_SIZE];
    if (!reply)
        fail(batch, "the connection to Redis was lost");
    else if (reply->type == CM_REPLY_ERROR)
        fail(batch, cm_bytes_printable(reply->text, text, sizeof text));
    if (--batch->waiting_count == 0)
        finish(batch);
}

static void add_number(struct cm_command *command, const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    cm_command_pair(command, name, cm_bytes_str(text));
}

static void build(struct cm_redis_queue *queue, const struct cm_notice *notice)
{
    struct cm_command *command = &queue->replies.link.command;
    char serial[2 * 20 + 1];
    assert(notice->serial.size <= 20);
    cm_hex_encode(notice->serial, serial);
    cm_command_begin_add(command, cm_bytes_str(queue->noticed), cm_bytes(NULL, 0),
                         queue->notices_max, 9);
    cm_command_pair(command, "v", cm_bytes_str("1"));
    cm_command_pair(command, "kind", cm_bytes_str(notice->kind));
    cm_command_pair(command, "campaign", notice->campaign);
    cm_command_pair(command, "device", notice->device);
    cm_command_pair(command, "serial", cm_bytes_str(serial));
    cm_command_pair(command, "issuer", cm_bytes_str(notice->issuer));
    add_number(command, "not_after", notice->not_after);
    add_number(command, "not_before", notice->not_before);
    add_number(command, "deadline", notice->deadline);
}

void cm_notices_add(struct cm_redis_queue *queue, const struct cm_notice *notices, uint32_t count,
                    cm_notified_fn *notified, void *arg)
{
    struct cm_notice_batch *batch = calloc(1, sizeof *batch + count * sizeof batch->slots[0]);
    if (!batch)
        abort();
    batch->queue = queue;
    batch->notified = notified;
    batch->arg = arg;
    TAILQ_INSERT_TAIL(&queue->notices, batch, link);
    for (uint32_t i = 0; i < count && !batch->failed; i++) {
        batch->slots[i] = (struct slot){ .call.replied = on_written, .batch = batch };
        build(queue, &notices[i]);
        if (cm_link_send(&queue->replies.link, &batch->slots[i].call))
            batch->waiting_count++;
        else
            fail(batch, "Redis is not reachable");
    }
    if (batch->waiting_count == 0)
        cm_timer_start(&batch->turn, queue->head.loop, 0, on_turn, batch);
}

void cm_notices_close(struct cm_redis_queue *queue)
{
    struct cm_notice_batch *batch;
    while ((batch = TAILQ_FIRST(&queue->notices))) {
        fail(batch, "closed");
        finish(batch);
    }
}
