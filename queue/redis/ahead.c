/*
 * Ahead: orders are looked for behind the entries that the engine has no room for.
 *
 * Every half second, when there is no credit and little or nothing has been read meanwhile, the stream is
 * read on with XRANGE, some entries at a time, each once: a read that delivers nothing, so what waits
 * stays where it is, for any engine. What may come ahead is taken by its id with XCLAIM ... FORCE,
 * which also refuses what another engine has on lease. Only the place is remembered up to which the
 * stream was read, and the first place that is to be looked at once more, when a lease has run out.
 *
 * An entry of several requests comes ahead when all of them may.
 *
 * When credit comes again, XREADGROUP offers in their turn those that are in hand already: they are
 * held, and left out. Those that were answered are deleted from the stream.
 */
#include <stdio.h>

#include "engine/base/clock.h"
#include "queue/redis/internal.h"

enum {
    LOOK_MS = 500,
    READS_FEW = 512 /* since the last look: with more, what waits will be read soon enough */
};

static bool has_id(struct cm_stream_id id)
{
    return id.ms != 0 || id.sequence != 0;
}

static struct cm_stream_id id_after(struct cm_stream_id id)
{
    if (++id.sequence == 0)
        id.ms++;
    return id;
}

static void lower(struct cm_stream_id *id, struct cm_stream_id to)
{
    if (cm_stream_id_compare(to, *id) < 0)
        *id = to;
}

void cm_ahead_look_again(struct cm_redis_queue *queue, struct cm_stream_id id, uint32_t wait_ms)
{
    struct cm_ahead *ahead = &queue->intake.ahead;
    uint64_t due_ns = cm_clock_monotonic_ns() + (uint64_t)wait_ms * CM_NS_PER_MS;
    if (!has_id(ahead->again)) {
        ahead->again = id;
        ahead->again_ns = due_ns;
        return;
    }
    lower(&ahead->again, id);
    if (due_ns < ahead->again_ns)
        ahead->again_ns = due_ns;
}

static void begin_again(struct cm_ahead *ahead)
{
    if (!has_id(ahead->again) || cm_clock_monotonic_ns() < ahead->again_ns)
        return;
    lower(&ahead->next, ahead->again);
    ahead->again = (struct cm_stream_id){ .ms = 0 };
}

static void on_look(void *arg)
{
    struct cm_redis_queue *queue = arg;
    struct cm_ahead *ahead = &queue->intake.ahead;
    ahead->is_due = queue->head.credit == 0 && ahead->reads_count < READS_FEW;
    ahead->reads_count = 0;
    cm_ready_look_ahead(queue);
    cm_intake_go_on(queue);
    cm_timer_start(&ahead->timer, queue->head.loop, LOOK_MS, on_look, queue);
}

void cm_ahead_open(struct cm_redis_queue *queue)
{
    cm_timer_start(&queue->intake.ahead.timer, queue->head.loop, LOOK_MS, on_look, queue);
}

void cm_ahead_close(struct cm_redis_queue *queue)
{
    cm_timer_done(&queue->intake.ahead.timer);
}

static void forget_chosen(struct cm_ahead *ahead)
{
    ahead->chosen_count = 0;
    ahead->chosen_requests_count = 0;
}

void cm_ahead_reset(struct cm_redis_queue *queue)
{
    struct cm_ahead *ahead = &queue->intake.ahead;
    ahead->next = ahead->again = (struct cm_stream_id){ .ms = 0 };
    forget_chosen(ahead);
    ahead->is_refused = false;
}

/* ------------------------------------------------------------------------------------ asking -- */

static bool send_read(struct cm_redis_queue *queue)
{
    struct cm_command *command = &queue->intake.link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, 6);
    cm_command_text(command, "XRANGE");
    cm_command_text(command, queue->stream);
    cm_command_text(command, cm_stream_id_format(queue->intake.ahead.next, text));
    cm_command_text(command, "+");
    cm_command_text(command, "COUNT");
    cm_command_number(command, CM_REDIS_AHEAD_READ_MAX);
    return cm_link_send(&queue->intake.link, &queue->intake.call);
}

/* Of nobody, or of one whose lease has run out. */
static bool send_take(struct cm_redis_queue *queue)
{
    const struct cm_ahead *ahead = &queue->intake.ahead;
    struct cm_command *command = &queue->intake.link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, 6 + ahead->chosen_count);
    cm_command_text(command, "XCLAIM");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    cm_command_text(command, queue->consumer);
    cm_command_number(command, queue->lease_ms);
    for (uint32_t i = 0; i < ahead->chosen_count; i++)
        cm_command_text(command, cm_stream_id_format(ahead->chosen[i], text));
    cm_command_text(command, "FORCE");
    return cm_link_send(&queue->intake.link, &queue->intake.call);
}

bool cm_ahead_send(struct cm_redis_queue *queue, enum cm_intake_step *ret_step)
{
    struct cm_ahead *ahead = &queue->intake.ahead;
    if (ahead->chosen_count > 0) {
        *ret_step = CM_INTAKE_TAKE_AHEAD;
        return send_take(queue);
    }
    if (!ahead->is_due || ahead->is_refused || queue->is_stopping || queue->head.ahead_credit == 0)
        return false;
    begin_again(ahead);
    *ret_step = CM_INTAKE_READ_AHEAD;
    return send_read(queue);
}

/* ----------------------------------------------------------------------- what replies mean -- */

/* False: there is no room for it now. */
static bool choose(struct cm_redis_queue *queue, struct cm_stream_id id,
                   const struct cm_reply *fields)
{
    struct cm_ahead *ahead = &queue->intake.ahead;
    uint32_t count = cm_unpack_count_ahead(fields, queue->head.is_ahead);
    if (count == 0 || cm_held_has(&queue->held, id))
        return true;
    if (ahead->chosen_requests_count >= queue->head.ahead_credit)
        return false;
    ahead->chosen[ahead->chosen_count++] = id;
    ahead->chosen_requests_count += count;
    return true;
}

void cm_ahead_choose(struct cm_redis_queue *queue, const struct cm_reply *list)
{
    struct cm_ahead *ahead = &queue->intake.ahead;
    for (uint32_t i = 0; i < list->children_count; i++) {
        const struct cm_reply *pair = cm_reply_child(list, i);
        struct cm_stream_id id;
        if (!cm_stream_id_read(cm_reply_child(pair, 0)->text, &id))
            continue;
        if (!choose(queue, id, cm_reply_child(pair, 1)))
            return; /* from here on, when there is room */
        ahead->next = id_after(id);
    }
    if (list->children_count < CM_REDIS_AHEAD_READ_MAX)
        ahead->is_due = false;
}

void cm_ahead_taken(struct cm_redis_queue *queue)
{
    struct cm_ahead *ahead = &queue->intake.ahead;
    for (uint32_t i = 0; i < ahead->chosen_count; i++)
        if (!cm_held_has(&queue->held, ahead->chosen[i]))
            cm_ahead_look_again(queue, ahead->chosen[i], queue->lease_ms);
    forget_chosen(ahead);
}

void cm_ahead_refuse(struct cm_redis_queue *queue, const struct cm_reply *error)
{
    char text[160];
    queue->intake.ahead.is_refused = true;
    forget_chosen(&queue->intake.ahead);
    cm_queue_tell(
        &queue->head, CM_QUEUE_LIMITED,
        "orders wait behind requests whose key is away: Redis refuses to look for them: %s",
        cm_bytes_printable(error->text, text, sizeof text));
}
