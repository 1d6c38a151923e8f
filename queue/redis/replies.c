#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "queue/redis/internal.h"

enum { RETRY_FIRST_MS = 50, RETRY_MAX_MS = 2000, RETRY_HURRIED_MS = 200, PAUSE_REFUSED_MS = 1000 };

enum slot_state { SLOT_TO_SEND, SLOT_SENT, SLOT_CONFIRMED };

/* What became of one answer of a batch. */
struct slot {
    struct cm_call call;
    struct cm_reply_batch *batch;
    struct slot *next; /* in the same entry of the result stream */
    enum slot_state state;
    uint8_t waiting_count; /* commands of it without a reply */
    bool failed;           /* one of them */
};

/* Answers that came together: confirmed together, acknowledged together. */
struct cm_reply_batch {
    TAILQ_ENTRY(cm_reply_batch) link;
    struct cm_redis_queue *queue;
    struct cm_answer *answers; /* borrowed until answered */
    cm_answered_fn *answered;
    void *arg;
    struct cm_call acknowledgement;
    bool acknowledging;
    uint64_t deadline_ns; /* then the answers are given up */
    uint32_t count;
    uint32_t confirmed_count;
    uint32_t waiting_count;
    struct cm_lease *over; /* all of their requests are answered: to be acknowledged */
    uint32_t over_count;
    struct slot slots[];
};

static struct cm_redis_entry *entry_of(const struct cm_reply_batch *batch, uint32_t index)
{
    return batch->answers[index].entry->backend;
}

/* Its answer is not written. */
static void give_up(struct cm_redis_queue *queue, struct cm_redis_entry *entry)
{
    struct cm_lease *lease = entry->lease;
    lease->away_count--;
    if (lease->end == CM_LEASE_ANSWERED)
        lease->end = CM_LEASE_GIVEN_UP;
    cm_unpack_remove(entry);
    cm_back_look(queue, lease);
}

static void finish_batch(struct cm_reply_batch *batch, cm_status status)
{
    struct cm_redis_queue *queue = batch->queue;
    TAILQ_REMOVE(&queue->replies.batches, batch, link);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct cm_redis_entry *entry = entry_of(batch, i);
        if (status != CM_OK)
            give_up(queue, entry);
        cm_unpack_free(entry);
    }
    for (struct cm_lease *lease = batch->over, *next; lease; lease = next) {
        next = lease->next_over;
        cm_held_drop(&queue->held, lease);
    }
    batch->answered(status, batch->arg);
    free(batch);
}

/* ------------------------------------------------------------------------------ the results -- */

/* One command; its reply is for all slots of the chain that begins here. */
static bool send_built(struct slot *slot)
{
    if (!cm_link_send(&slot->batch->queue->replies.link, &slot->call)) {
        slot->failed = true;
        return false;
    }
    slot->batch->waiting_count++;
    for (; slot; slot = slot->next) {
        slot->waiting_count++;
        slot->state = SLOT_SENT;
    }
    return true;
}

static struct cm_answer *answer_of(const struct slot *slot)
{
    return &slot->batch->answers[slot - slot->batch->slots];
}

/* In an entry with others; a copy in the dead stream is made one at a time. */
static bool may_be_grouped(const struct slot *slot)
{
    const struct cm_answer *answer = answer_of(slot);
    return slot->state == SLOT_TO_SEND && answer->may_be_grouped && !cm_result_is_set_aside(answer);
}

/* What is still to be sent to the same requester, as much as goes into one entry; chained. */
static uint32_t gather(struct slot *first, const struct cm_answer **ret_answers)
{
    const struct slot *end = first->batch->slots + first->batch->count;
    struct slot *last = first;
    uint32_t count = 1;
    size_t size = cm_result_size(answer_of(first));
    ret_answers[0] = answer_of(first);
    for (struct slot *slot = first + 1; slot < end && count < CM_RESULTS_GROUP_MAX; slot++) {
        if (!may_be_grouped(slot)
            || !cm_bytes_equal(answer_of(slot)->requester, ret_answers[0]->requester))
            continue;
        size += cm_result_size(answer_of(slot));
        if (size > CM_ENTRY_SIZE_MAX)
            break;
        slot->failed = false;
        slot->next = NULL;
        last->next = slot;
        last = slot;
        ret_answers[count++] = answer_of(slot);
    }
    return count;
}

/* A result goes to its requester; what has none, and what was set aside, to the dead stream. */
static bool send_slot(struct slot *slot)
{
    struct cm_redis_queue *queue = slot->batch->queue;
    const struct cm_answer *answers[CM_RESULTS_GROUP_MAX] = { answer_of(slot) };
    bool has_requester = cm_result_has_requester(answers[0]);
    uint32_t count = 1;
    slot->failed = false;
    slot->next = NULL;
    if (!has_requester || cm_result_is_set_aside(answers[0])) {
        cm_result_build_dead(queue, answers[0]);
        if (!send_built(slot))
            return false;
    }
    if (!has_requester)
        return true;
    if (may_be_grouped(slot))
        count = gather(slot, answers);
    cm_result_build(queue, answers, count);
    return send_built(slot);
}

/* ---------------------------------------------------------------------- the acknowledgement -- */

static void send_on_ids(struct cm_reply_batch *batch, const char *name, const char *group)
{
    struct cm_command *command = &batch->queue->replies.link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, (group ? 3 : 2) + batch->over_count);
    cm_command_text(command, name);
    cm_command_text(command, batch->queue->stream);
    if (group)
        cm_command_text(command, group);
    for (const struct cm_lease *lease = batch->over; lease; lease = lease->next_over)
        cm_command_text(command, cm_stream_id_format(lease->id, text));
    cm_link_send(&batch->queue->replies.link, NULL);
}

static void send_word(struct cm_link *link, const char *word, struct cm_call *call)
{
    cm_command_begin(&link->command, 1);
    cm_command_text(&link->command, word);
    cm_link_send(link, call);
}

static const struct cm_reply *error_in(const struct cm_reply *reply)
{
    if (reply->type == CM_REPLY_ERROR)
        return reply;
    for (uint32_t i = 0; i < reply->children_count; i++)
        if (cm_reply_child(reply, i)->type == CM_REPLY_ERROR)
            return cm_reply_child(reply, i);
    return NULL;
}

/* Written it is; were it not acknowledged, the entries come again and are answered the same. */
static void on_acknowledged(struct cm_call *call, const struct cm_reply *reply)
{
    struct cm_reply_batch *batch =
        (struct cm_reply_batch *)((char *)call - offsetof(struct cm_reply_batch, acknowledgement));
    struct cm_link *link = &batch->queue->replies.link;
    const struct cm_reply *error = reply ? error_in(reply) : NULL;
    char text[160];
    finish_batch(batch, CM_OK);
    if (error && link->is_up && !cm_reply_is_error(error, "NOGROUP"))
        cm_link_fail(link, PAUSE_REFUSED_MS, "Redis refuses to acknowledge: %s",
                     cm_bytes_printable(error->text, text, sizeof text));
}

/* The last request of a lease that was answered like all the others ends it. */
static void count_answered(struct cm_reply_batch *batch, struct cm_redis_entry *entry)
{
    struct cm_lease *lease = entry->lease;
    lease->away_count--;
    cm_unpack_remove(entry);
    if (lease->entries_count > 0 || lease->end != CM_LEASE_ANSWERED) {
        cm_back_look(batch->queue, lease);
        return;
    }
    lease->is_over = true;
    lease->next_over = batch->over;
    batch->over = lease;
    batch->over_count++;
}

/* In a transaction: an entry that is acknowledged and not deleted would stay in the stream for ever. */
static void acknowledge(struct cm_reply_batch *batch)
{
    struct cm_redis_queue *queue = batch->queue;
    struct cm_link *link = &queue->replies.link;
    for (uint32_t i = 0; i < batch->count; i++)
        count_answered(batch, entry_of(batch, i));
    if (batch->over_count == 0 || !link->is_up) {
        finish_batch(batch, CM_OK);
        return;
    }
    batch->acknowledging = true;
    batch->acknowledgement.replied = on_acknowledged;
    send_word(link, "MULTI", NULL);
    send_on_ids(batch, "XACK", queue->prefix);
    send_on_ids(batch, "XDEL", NULL);
    cm_command_begin(&link->command, 1);
    cm_command_text(&link->command, "EXEC");
    if (!cm_link_send(link, &batch->acknowledgement))
        finish_batch(batch, CM_OK);
}

/* ------------------------------------------------------------------ sending and sending again -- */

static void on_retry(void *arg);

static void schedule_retry(struct cm_redis_queue *queue)
{
    struct cm_replies *replies = &queue->replies;
    uint32_t max_ms = replies->give_up_ns ? RETRY_HURRIED_MS : RETRY_MAX_MS;
    if (cm_timer_is_running(&replies->retry))
        return;
    cm_timer_start(&replies->retry, queue->head.loop, replies->retry_ms, on_retry, queue);
    replies->retry_ms = replies->retry_ms * 2 < max_ms ? replies->retry_ms * 2 : max_ms;
}

/* Every command of the batch has its reply, or its connection is gone. */
static void settle_batch(struct cm_reply_batch *batch)
{
    if (batch->confirmed_count == batch->count) {
        batch->queue->replies.retry_ms = RETRY_FIRST_MS;
        cm_link_settle(&batch->queue->replies.link);
        CM_FAULT_POINT("answers-written");
        acknowledge(batch);
    } else {
        schedule_retry(batch->queue);
    }
}

static void settle_slot(struct slot *slot, bool failed)
{
    slot->failed |= failed;
    if (--slot->waiting_count > 0)
        return;
    slot->state = slot->failed ? SLOT_TO_SEND : SLOT_CONFIRMED;
    slot->batch->confirmed_count += slot->failed ? 0 : 1;
}

static void on_written(struct cm_call *call, const struct cm_reply *reply)
{
    struct slot *first = (struct slot *)call;
    struct cm_reply_batch *batch = first->batch;
    for (struct slot *slot = first; slot; slot = slot->next)
        settle_slot(slot, !reply || reply->type == CM_REPLY_ERROR);
    if (--batch->waiting_count == 0)
        settle_batch(batch);
}

static void send_batch(struct cm_reply_batch *batch)
{
    /* A send that fails has lost the connection: the rest goes with the retry. */
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->slots[i].state == SLOT_TO_SEND && !send_slot(&batch->slots[i]))
            break;
    if (batch->waiting_count == 0)
        schedule_retry(batch->queue);
}

static bool is_resting(const struct cm_reply_batch *batch)
{
    return batch->waiting_count == 0 && !batch->acknowledging;
}

static void on_retry(void *arg)
{
    struct cm_redis_queue *queue = arg;
    struct cm_reply_batch *batch = TAILQ_FIRST(&queue->replies.batches);
    uint64_t now_ns = cm_clock_monotonic_ns();
    while (batch) {
        struct cm_reply_batch *next = TAILQ_NEXT(batch, link);
        if (is_resting(batch)) {
            if (now_ns >= batch->deadline_ns)
                finish_batch(batch, CM_UNAVAILABLE);
            else
                send_batch(batch);
        }
        batch = next;
    }
}

static void bound_deadline(struct cm_reply_batch *batch)
{
    uint64_t give_up_ns = batch->queue->replies.give_up_ns;
    if (give_up_ns && give_up_ns < batch->deadline_ns)
        batch->deadline_ns = give_up_ns;
}

void cm_replies_hurry(struct cm_redis_queue *queue, uint32_t patience_ms)
{
    struct cm_replies *replies = &queue->replies;
    struct cm_reply_batch *batch;
    replies->give_up_ns = cm_clock_monotonic_ns() + patience_ms * CM_NS_PER_MS;
    TAILQ_FOREACH(batch, &replies->batches, link)
    bound_deadline(batch);
    if (cm_timer_is_running(&replies->retry)) {
        cm_timer_stop(&replies->retry);
        replies->retry_ms = RETRY_FIRST_MS;
        schedule_retry(queue);
    }
}

void cm_replies_add(struct cm_redis_queue *queue, struct cm_answer *answers, uint32_t count,
                    cm_answered_fn *answered, void *arg)
{
    struct cm_reply_batch *batch = calloc(1, sizeof *batch + count * sizeof batch->slots[0]);
    if (!batch)
        abort();
    batch->queue = queue;
    batch->answers = answers;
    batch->count = count;
    batch->answered = answered;
    batch->arg = arg;
    batch->deadline_ns = cm_clock_monotonic_ns() + queue->lease_ms * CM_NS_PER_MS;
    bound_deadline(batch);
    for (uint32_t i = 0; i < count; i++)
        batch->slots[i] = (struct slot){ .call.replied = on_written, .batch = batch };
    TAILQ_INSERT_TAIL(&queue->replies.batches, batch, link);
    send_batch(batch);
}

/* ------------------------------------------------------------------------------------- life -- */

static void on_up(void *arg)
{
    struct cm_redis_queue *queue = arg;
    cm_redis_publish_chains(queue);
    cm_redis_look_up(queue);
    on_retry(queue);
}

static void on_down(const char *text, void *arg)
{
    cm_redis_look_down(arg, text);
}

void cm_replies_open(struct cm_redis_queue *queue)
{
    const struct cm_link_settings settings = {
        .address = &queue->address,
        .tls = &queue->tls,
        .blocks = &queue->blocks,
        .timeout_ms = queue->timeout_ms,
        .on_up = on_up,
        .on_down = on_down,
        .arg = queue,
    };
    queue->replies.retry_ms = RETRY_FIRST_MS;
    cm_link_open(&queue->replies.link, queue->head.loop, &settings);
}

void cm_replies_close(struct cm_redis_queue *queue)
{
    struct cm_reply_batch *batch;
    cm_link_close(&queue->replies.link);
    cm_timer_done(&queue->replies.retry);
    while ((batch = TAILQ_FIRST(&queue->replies.batches)))
        finish_batch(batch, CM_UNAVAILABLE);
}
