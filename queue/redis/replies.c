#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "queue/redis/internal.h"

enum {
    RETRY_FIRST_MS = 50,
    RETRY_MAX_MS = 2000,
    RETRY_HURRIED_MS = 200,
    PAUSE_REFUSED_MS = 1000,
    REQUESTER_SIZE_MAX = 128,
    DEAD_COUNT_MAX = 100000 /* about: the stream of set-aside entries is trimmed to it */
};

enum slot_state { SLOT_TO_SEND, SLOT_SENT, SLOT_CONFIRMED };

/* What became of one answer of a batch. */
struct slot {
    struct cm_call call;
    struct cm_reply_batch *batch;
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
    struct slot slots[];
};

static struct cm_redis_entry *entry_of(const struct cm_reply_batch *batch, uint32_t index)
{
    return batch->answers[index].entry->backend;
}

static void finish_batch(struct cm_reply_batch *batch, cm_status status)
{
    struct cm_redis_queue *queue = batch->queue;
    TAILQ_REMOVE(&queue->replies.batches, batch, link);
    for (uint32_t i = 0; i < batch->count; i++) {
        if (status != CM_OK)
            cm_ahead_look_again(queue, entry_of(batch, i)->id, queue->lease_ms);
        cm_held_drop(&queue->held, entry_of(batch, i));
    }
    batch->answered(status, batch->arg);
    free(batch);
}

/* ------------------------------------------------------------------------------ the results -- */

static void add_pair(struct cm_command *command, const char *name, struct cm_bytes value)
{
    cm_command_text(command, name);
    cm_command_bytes(command, value);
}

static void add_id_pair(struct cm_command *command, const char *name, struct cm_stream_id id)
{
    char text[CM_REDIS_ID_SIZE];
    add_pair(command, name, cm_bytes_str(cm_stream_id_format(id, text)));
}

static void begin_add(struct cm_command *command, struct cm_bytes key, uint32_t length_max,
                      uint32_t pairs_count)
{
    cm_command_begin(command, (length_max > 0 ? 6u : 3u) + 2 * pairs_count);
    cm_command_text(command, "XADD");
    cm_command_bytes(command, key);
    if (length_max > 0) {
        cm_command_text(command, "MAXLEN");
        cm_command_text(command, "~");
        cm_command_number(command, length_max);
    }
    cm_command_text(command, "*");
}

static bool is_requester(struct cm_bytes name)
{
    if (name.size == 0 || name.size > REQUESTER_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    return true;
}

static void add_issued(struct cm_command *command, const struct cm_answer *answer)
{
    char serial[2 * 20 + 1];
    assert(answer->serial.size <= 20);
    cm_hex_encode(answer->serial, serial);
    add_pair(command, "serial", cm_bytes_str(serial));
    add_pair(command, "certificate", answer->certificate);
    add_pair(command, "issuer", cm_bytes_str(answer->issuer ? answer->issuer : ""));
    cm_command_text(command, "not_after");
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)answer->not_after);
    cm_command_text(command, number);
}

/* status, and what else there is */
static void build_result(struct cm_redis_queue *queue, const struct cm_answer *answer)
{
    struct cm_command *command = &queue->replies.link.command;
    char key[1024];
    bool refused = answer->status == CM_ANSWER_REFUSED || answer->status == CM_ANSWER_FAILED;
    bool issued = answer->status == CM_ANSWER_ISSUED;
    uint32_t pairs_count = 1;
    pairs_count += answer->id.size > 0 ? 1 : 0;
    pairs_count += answer->device.size > 0 ? 1 : 0;
    pairs_count += refused ? 2 : 0;
    pairs_count += issued ? 4 : 0;
    int size = snprintf(key, sizeof key, "%s:results:%.*s", queue->prefix,
                        (int)answer->requester.size, (const char *)answer->requester.data);
    begin_add(command, cm_bytes(key, (size_t)size), queue->results_max, pairs_count);
    if (answer->id.size > 0)
        add_pair(command, "id", answer->id);
    add_pair(command, "status", cm_bytes_str(cm_answer_status_name(answer->status)));
    if (answer->device.size > 0)
        add_pair(command, "device", answer->device);
    if (issued)
        add_issued(command, answer);
    if (refused) {
        add_pair(command, "code", cm_bytes_str(cm_refusal_name(answer->code)));
        add_pair(command, "message",
                 cm_bytes_str(answer->message ? answer->message : cm_refusal_text(answer->code)));
    }
}

static bool is_kept_pair(const struct cm_reply *fields, uint32_t index)
{
    return cm_reply_child(fields, index)->text.data && cm_reply_child(fields, index + 1)->text.data;
}

/* The entry as it came, as far as it was kept, behind what became of it. */
static void build_dead(struct cm_redis_queue *queue, const struct cm_answer *answer,
                       const struct cm_redis_entry *entry)
{
    struct cm_command *command = &queue->replies.link.command;
    const struct cm_reply *fields = entry->fields;
    uint32_t pairs_count = 4;
    char count[12];
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        pairs_count += is_kept_pair(fields, i) ? 1 : 0;
    begin_add(command, cm_bytes_str(queue->dead), DEAD_COUNT_MAX, pairs_count);
    add_id_pair(command, "dead_entry", entry->id);
    add_pair(command, "dead_code", cm_bytes_str(cm_refusal_name(answer->code)));
    add_pair(command, "dead_message", cm_bytes_str(answer->message ? answer->message : ""));
    snprintf(count, sizeof count, "%u", entry->entry.deliveries_count);
    add_pair(command, "dead_deliveries", cm_bytes_str(count));
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        if (is_kept_pair(fields, i)) {
            cm_command_bytes(command, cm_reply_child(fields, i)->text);
            cm_command_bytes(command, cm_reply_child(fields, i + 1)->text);
        }
}

static bool send_built(struct slot *slot)
{
    if (!cm_link_send(&slot->batch->queue->replies.link, &slot->call)) {
        slot->failed = true;
        return false;
    }
    slot->waiting_count++;
    slot->batch->waiting_count++;
    slot->state = SLOT_SENT;
    return true;
}

/* A result goes to its requester; what has none, and what was set aside, to the dead stream. */
static bool send_slot(struct slot *slot)
{
    struct cm_reply_batch *batch = slot->batch;
    uint32_t index = (uint32_t)(slot - batch->slots);
    const struct cm_answer *answer = &batch->answers[index];
    const struct cm_redis_entry *entry = entry_of(batch, index);
    bool has_requester = is_requester(answer->requester);
    slot->failed = false;
    if (entry->undeliverable || !has_requester) {
        build_dead(batch->queue, answer, entry);
        if (!send_built(slot))
            return false;
    }
    if (!has_requester)
        return true;
    build_result(batch->queue, answer);
    return send_built(slot);
}

/* ---------------------------------------------------------------------- the acknowledgement -- */

static void send_on_ids(struct cm_reply_batch *batch, const char *name, const char *group)
{
    struct cm_command *command = &batch->queue->replies.link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, (group ? 3 : 2) + batch->count);
    cm_command_text(command, name);
    cm_command_text(command, batch->queue->stream);
    if (group)
        cm_command_text(command, group);
    for (uint32_t i = 0; i < batch->count; i++)
        cm_command_text(command, cm_stream_id_format(entry_of(batch, i)->id, text));
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

/* In a transaction: an entry that is acknowledged and not deleted would stay in the stream for ever. */
static void acknowledge(struct cm_reply_batch *batch)
{
    struct cm_redis_queue *queue = batch->queue;
    struct cm_link *link = &queue->replies.link;
    if (!link->is_up) {
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

static void on_written(struct cm_call *call, const struct cm_reply *reply)
{
    struct slot *slot = (struct slot *)call;
    struct cm_reply_batch *batch = slot->batch;
    if (!reply || reply->type == CM_REPLY_ERROR)
        slot->failed = true;
    batch->waiting_count--;
    if (--slot->waiting_count == 0) {
        slot->state = slot->failed ? SLOT_TO_SEND : SLOT_CONFIRMED;
        batch->confirmed_count += slot->failed ? 0 : 1;
    }
    if (batch->waiting_count == 0)
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
