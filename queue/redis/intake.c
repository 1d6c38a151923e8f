#include <assert.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "queue/redis/internal.h"
#include "queue/several.h"

enum {
    BLOCK_MS = 500, /* of a read that finds nothing; claims wait for its end */
    READ_FEW = 16,
    CLAIM_COUNT_MAX = 100, /* Redis looks at ten times as many in one go */
    COUNTS_PAGE = 1000,
    PAUSE_REFUSED_MS = 1000
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ------------------------------------------------------------------- one command at a time -- */

static bool send_group_create(struct cm_redis_queue *queue)
{
    struct cm_command *command = &queue->intake.link.command;
    cm_command_begin(command, 6);
    cm_command_text(command, "XGROUP");
    cm_command_text(command, "CREATE");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    /* From the beginning: what was pushed before the group was there wants an answer, too. */
    cm_command_text(command, "0");
    cm_command_text(command, "MKSTREAM");
    return cm_link_send(&queue->intake.link, &queue->intake.call);
}

static void begin_read(struct cm_redis_queue *queue, uint32_t arguments_count, uint32_t count)
{
    struct cm_command *command = &queue->intake.link.command;
    cm_command_begin(command, arguments_count);
    cm_command_text(command, "XREADGROUP");
    cm_command_text(command, "GROUP");
    cm_command_text(command, queue->prefix);
    cm_command_text(command, queue->consumer);
    cm_command_text(command, "COUNT");
    cm_command_number(command, count);
}

static bool send_read_history(struct cm_redis_queue *queue, uint32_t count)
{
    struct cm_command *command = &queue->intake.link.command;
    char text[CM_REDIS_ID_SIZE];
    begin_read(queue, 9, count);
    cm_command_text(command, "STREAMS");
    cm_command_text(command, queue->stream);
    cm_command_text(command, cm_stream_id_format(queue->intake.history_last, text));
    return cm_link_send(&queue->intake.link, &queue->intake.call);
}

static bool send_read_new(struct cm_redis_queue *queue, uint32_t count)
{
    struct cm_command *command = &queue->intake.link.command;
    begin_read(queue, 11, count);
    cm_command_text(command, "BLOCK");
    cm_command_number(command, BLOCK_MS);
    cm_command_text(command, "STREAMS");
    cm_command_text(command, queue->stream);
    cm_command_text(command, ">");
    return cm_link_send(&queue->intake.link, &queue->intake.call);
}

static bool send_claim(struct cm_redis_queue *queue, uint32_t count)
{
    struct cm_command *command = &queue->intake.link.command;
    cm_command_begin(command, 8);
    cm_command_text(command, "XAUTOCLAIM");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    cm_command_text(command, queue->consumer);
    cm_command_number(command, queue->lease_ms);
    cm_command_text(command, queue->intake.claim_cursor);
    cm_command_text(command, "COUNT");
    cm_command_number(command, count);
    return cm_link_send(&queue->intake.link, &queue->intake.call);
}

/* The delivery counts of the staged entries that are not known yet. */
static bool send_counts(struct cm_redis_queue *queue)
{
    struct cm_intake *intake = &queue->intake;
    struct cm_command *command = &intake->link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, 7);
    cm_command_text(command, "XPENDING");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    cm_command_text(command,
                    cm_stream_id_format(intake->staged[intake->staged_known_count]->id, text));
    cm_command_text(command,
                    cm_stream_id_format(intake->staged[intake->staged_count - 1]->id, text));
    cm_command_number(command, COUNTS_PAGE);
    cm_command_text(command, queue->consumer);
    return cm_link_send(&intake->link, &intake->call);
}

/* Entries, as large as they were of late; a few may well bring more requests than there is room for. */
static uint32_t count_to_read(const struct cm_intake *intake, uint32_t room)
{
    uint32_t count = room / intake->requests_each;
    return count > READ_FEW ? count : min_u32(room, READ_FEW);
}

static bool send_next(struct cm_redis_queue *queue, enum cm_intake_step *ret_step)
{
    struct cm_intake *intake = &queue->intake;
    uint32_t room = min_u32(cm_ready_claim(queue), CM_REDIS_READ_MAX);
    uint32_t count = count_to_read(intake, room);
    if (!intake->group_is_there) {
        *ret_step = CM_INTAKE_GROUP;
        return send_group_create(queue);
    }
    if (intake->staged_count > 0) {
        *ret_step = CM_INTAKE_COUNTS;
        return send_counts(queue);
    }
    if (room == 0 || intake->ahead.chosen_count > 0)
        return cm_ahead_send(queue, ret_step);
    if (!intake->history_is_read) {
        *ret_step = CM_INTAKE_HISTORY;
        return send_read_history(queue, count);
    }
    if (intake->claim_is_due) {
        *ret_step = CM_INTAKE_CLAIM;
        return send_claim(queue, min_u32(count, CLAIM_COUNT_MAX));
    }
    *ret_step = CM_INTAKE_NEW;
    return send_read_new(queue, count);
}

void cm_intake_go_on(struct cm_redis_queue *queue)
{
    enum cm_intake_step step;
    if (queue->intake.step == CM_INTAKE_IDLE && queue->intake.link.is_up && send_next(queue, &step))
        queue->intake.step = step;
}

void cm_intake_claim(struct cm_redis_queue *queue)
{
    queue->intake.claim_is_due = true;
    snprintf(queue->intake.claim_cursor, sizeof queue->intake.claim_cursor, "0-0");
    cm_intake_go_on(queue);
}

/* --------------------------------------------------------------------- entries from replies -- */

/* Takes a deleted entry off the list of pending ones, where it would stay for ever. */
static void acknowledge_deleted(struct cm_redis_queue *queue, struct cm_bytes id)
{
    struct cm_command *command = &queue->intake.link.command;
    cm_command_begin(command, 4);
    cm_command_text(command, "XACK");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    cm_command_bytes(command, id);
    cm_link_send(&queue->intake.link, NULL);
}

static void tell_lost(struct cm_redis_queue *queue, uint32_t count)
{
    if (count > 0)
        cm_queue_tell(&queue->head, CM_QUEUE_LOST,
                      "%u requests were deleted from %s before they were answered", count,
                      queue->stream);
}

/* How many requests an entry carries, so that not many more are read than there is credit for. */
static void note_size(struct cm_intake *intake, uint32_t requests_count)
{
    if (intake->staged_are_ahead || intake->staged_count == 0)
        return;
    intake->ahead.reads_count += requests_count;
    intake->requests_each = (requests_count + intake->staged_count - 1) / intake->staged_count;
}

/* [[id, [name, value, ...]], ...] into queue->intake.staged; what is in hand already is left out. */
static void stage_entries(struct cm_redis_queue *queue, const struct cm_reply *list,
                          struct cm_reply_block *block)
{
    struct cm_intake *intake = &queue->intake;
    uint64_t now_ns = cm_clock_monotonic_ns();
    uint32_t lost_count = 0, requests_count = 0;
    intake->staged_are_ahead = intake->step == CM_INTAKE_TAKE_AHEAD;
    for (uint32_t i = 0; i < list->children_count && intake->staged_count < CM_REDIS_READ_MAX;
         i++) {
        const struct cm_reply *pair = cm_reply_child(list, i);
        const struct cm_reply *fields = cm_reply_child(pair, 1);
        struct cm_stream_id id;
        if (!cm_stream_id_read(cm_reply_child(pair, 0)->text, &id))
            continue;
        if (intake->step == CM_INTAKE_HISTORY)
            intake->history_last = id;
        if (cm_held_has(&queue->held, id))
            continue;
        if (fields->type != CM_REPLY_ARRAY) {
            acknowledge_deleted(queue, cm_reply_child(pair, 0)->text);
            lost_count++;
            continue;
        }
        struct cm_lease *lease = cm_held_take(&queue->held, id, now_ns);
        cm_unpack(lease, block, fields);
        intake->staged[intake->staged_count++] = lease;
        requests_count += lease->entries_count;
    }
    tell_lost(queue, lost_count);
    note_size(intake, requests_count);
}

static void deliver_staged(struct cm_redis_queue *queue)
{
    struct cm_intake *intake = &queue->intake;
    uint32_t count = intake->staged_count;
    intake->staged_count = 0;
    intake->staged_known_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (intake->staged[i])
            cm_ready_add(queue, intake->staged[i]);
    if (intake->staged_are_ahead)
        cm_ready_deliver_ahead(queue, intake->staged, count);
    else
        cm_ready_deliver(queue);
}

static void drop_staged(struct cm_redis_queue *queue)
{
    struct cm_intake *intake = &queue->intake;
    for (uint32_t i = 0; i < intake->staged_count; i++)
        if (intake->staged[i])
            cm_held_drop(&queue->held, intake->staged[i]);
    intake->staged_count = 0;
    intake->staged_known_count = 0;
}

/* ------------------------------------------------------------------------ what replies mean -- */

static void take_group(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    struct cm_intake *intake = &queue->intake;
    bool made = reply->type == CM_REPLY_STATUS;
    cm_link_settle(&intake->link);
    intake->group_is_there = true;
    if (made && intake->group_was_there) {
        cm_queue_tell(&queue->head, CM_QUEUE_RESET,
                      "%s or its group had vanished and was made again", queue->stream);
        cm_redis_publish_chains(queue);
    }
    intake->group_was_there = true;
    intake->history_is_read = false;
    intake->history_last = (struct cm_stream_id){ .ms = 0 };
    cm_redis_look_up(queue);
}

/* The list of entries in an XREADGROUP reply: [[stream, list]] */
static const struct cm_reply *entries_of(const struct cm_reply *reply)
{
    return cm_reply_child(cm_reply_child(reply, 0), 1);
}

static void take_new(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    struct cm_intake *intake = &queue->intake;
    stage_entries(queue, entries_of(reply), cm_reply_block_of(reply));
    for (uint32_t i = 0; i < intake->staged_count; i++)
        cm_unpack_finish(intake->staged[i], 1, queue->deliveries_max);
    deliver_staged(queue);
}

static void take_history(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    const struct cm_reply *list = entries_of(reply);
    stage_entries(queue, list, cm_reply_block_of(reply));
    if (list->children_count == 0)
        queue->intake.history_is_read = true;
}

static void take_claim(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    struct cm_intake *intake = &queue->intake;
    struct cm_bytes cursor = cm_reply_child(reply, 0)->text;
    stage_entries(queue, cm_reply_child(reply, 1), cm_reply_block_of(reply));
    tell_lost(queue, cm_reply_child(reply, 2)->children_count);
    if (cursor.data && cursor.size < sizeof intake->claim_cursor
        && !cm_bytes_equal(cursor, cm_bytes_str("0-0"))) {
        memcpy(intake->claim_cursor, cursor.data, cursor.size);
        intake->claim_cursor[cursor.size] = '\0';
    } else {
        snprintf(intake->claim_cursor, sizeof intake->claim_cursor, "0-0");
        intake->claim_is_due = false;
    }
}

/* An entry that is no longer pending for us was taken or answered by another engine. */
static void drop_unlisted(struct cm_redis_queue *queue, struct cm_lease **staged)
{
    cm_held_drop(&queue->held, *staged);
    *staged = NULL;
}

/* One that was pending for nobody counts as delivered twice when it is taken ahead: made, and claimed. */
static uint32_t count_deliveries(const struct cm_intake *intake, int64_t counted)
{
    if (intake->staged_are_ahead && counted > 1)
        counted--;
    return counted < UINT32_MAX ? (uint32_t)counted : UINT32_MAX;
}

/* [[id, consumer, idle, count], ...], in the order of the ids, like what is staged. */
static void take_counts(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    struct cm_intake *intake = &queue->intake;
    uint32_t *known = &intake->staged_known_count;
    for (uint32_t i = 0; i < reply->children_count && *known < intake->staged_count; i++) {
        const struct cm_reply *row = cm_reply_child(reply, i);
        uint32_t deliveries_count = count_deliveries(intake, cm_reply_child(row, 3)->number);
        struct cm_stream_id id;
        if (!cm_stream_id_read(cm_reply_child(row, 0)->text, &id))
            continue;
        while (*known < intake->staged_count
               && cm_stream_id_compare(intake->staged[*known]->id, id) < 0)
            drop_unlisted(queue, &intake->staged[(*known)++]);
        if (*known < intake->staged_count
            && cm_stream_id_compare(intake->staged[*known]->id, id) == 0)
            cm_unpack_finish(intake->staged[(*known)++], deliveries_count, queue->deliveries_max);
    }
    if (reply->children_count < COUNTS_PAGE)
        while (*known < intake->staged_count)
            drop_unlisted(queue, &intake->staged[(*known)++]);
    if (*known == intake->staged_count)
        deliver_staged(queue);
}

static void take_ahead(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    stage_entries(queue, reply, cm_reply_block_of(reply));
    cm_ahead_taken(queue);
}

static void take_error(struct cm_redis_queue *queue, const struct cm_reply *reply)
{
    struct cm_intake *intake = &queue->intake;
    char text[160];
    if (cm_reply_is_error(reply, "NOGROUP") || cm_reply_is_error(reply, "UNBLOCKED")) {
        drop_staged(queue);
        intake->group_is_there = false;
        return;
    }
    if (intake->step == CM_INTAKE_READ_AHEAD && cm_reply_is_error(reply, "NOPERM")) {
        cm_ahead_refuse(queue, reply);
        return;
    }
    cm_link_fail(&intake->link, PAUSE_REFUSED_MS, "Redis refuses to serve the queue: %s",
                 cm_bytes_printable(reply->text, text, sizeof text));
}

static void take_reply(struct cm_redis_queue *queue, enum cm_intake_step step,
                       const struct cm_reply *reply)
{
    static void (*const takes[])(struct cm_redis_queue * queue, const struct cm_reply *reply) = {
        [CM_INTAKE_GROUP] = take_group,      [CM_INTAKE_HISTORY] = take_history,
        [CM_INTAKE_CLAIM] = take_claim,      [CM_INTAKE_COUNTS] = take_counts,
        [CM_INTAKE_NEW] = take_new,          [CM_INTAKE_READ_AHEAD] = cm_ahead_choose,
        [CM_INTAKE_TAKE_AHEAD] = take_ahead,
    };
    bool is_busy_group = step == CM_INTAKE_GROUP && cm_reply_is_error(reply, "BUSYGROUP");
    if (reply->type == CM_REPLY_ERROR && !is_busy_group)
        take_error(queue, reply);
    else
        takes[step](queue, reply);
}

static void on_intake_reply(struct cm_call *call, const struct cm_reply *reply)
{
    struct cm_redis_queue *queue =
        (struct cm_redis_queue *)((char *)call - offsetof(struct cm_redis_queue, intake.call));
    enum cm_intake_step step = queue->intake.step;
    /* A reply behind a connection that was given up tells nothing any more. */
    if (!reply || !queue->intake.link.is_up) {
        queue->intake.step = CM_INTAKE_IDLE;
        return;
    }
    take_reply(queue, step, reply);
    queue->intake.step = CM_INTAKE_IDLE;
    cm_intake_go_on(queue);
}

/* ------------------------------------------------------------------------------------- life -- */

static void on_claim_timer(void *arg)
{
    struct cm_redis_queue *queue = arg;
    queue->intake.claim_is_due = true;
    cm_intake_go_on(queue);
    cm_timer_start(&queue->intake.claim_timer, queue->head.loop, queue->lease_ms / 4 + 1,
                   on_claim_timer, queue);
}

static void on_up(void *arg)
{
    struct cm_redis_queue *queue = arg;
    queue->intake.group_is_there = false;
    cm_ahead_reset(queue);
    cm_intake_go_on(queue);
}

static void on_down(const char *text, void *arg)
{
    struct cm_redis_queue *queue = arg;
    drop_staged(queue);
    queue->intake.group_is_there = false;
    cm_redis_look_down(queue, text);
}

void cm_intake_open(struct cm_redis_queue *queue)
{
    struct cm_intake *intake = &queue->intake;
    const struct cm_link_settings settings = {
        .address = &queue->address,
        .tls = &queue->tls,
        .blocks = &queue->blocks,
        .timeout_ms = BLOCK_MS + queue->timeout_ms,
        .on_up = on_up,
        .on_down = on_down,
        .arg = queue,
    };
    intake->call.replied = on_intake_reply;
    intake->requests_each = CM_SEVERAL_MAX; /* the first read is small, whatever comes */
    snprintf(intake->claim_cursor, sizeof intake->claim_cursor, "0-0");
    cm_link_open(&intake->link, queue->head.loop, &settings);
    cm_timer_start(&intake->claim_timer, queue->head.loop, queue->lease_ms / 4 + 1, on_claim_timer,
                   queue);
    cm_ahead_open(queue);
}

void cm_intake_close(struct cm_redis_queue *queue)
{
    cm_ahead_close(queue);
    cm_timer_done(&queue->intake.claim_timer);
    cm_link_close(&queue->intake.link);
    drop_staged(queue);
}
