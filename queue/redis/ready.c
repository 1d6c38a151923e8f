/*
 * Ready: an entry of the stream may carry more requests than there is credit for. Those that are too many
 * wait here, in their order; while any do, no more is read than the credit beyond them.
 */
#include "queue/redis/internal.h"

static void put(struct cm_ready *ready, struct cm_redis_entry *entry)
{
    entry->is_ready = true;
    TAILQ_INSERT_TAIL(&ready->entries, entry, in_turn);
    ready->count++;
}

static void take(struct cm_ready *ready, struct cm_redis_entry *entry)
{
    entry->is_ready = false;
    TAILQ_REMOVE(&ready->entries, entry, in_turn);
    ready->count--;
}

void cm_ready_add(struct cm_redis_queue *queue, struct cm_lease *lease)
{
    struct cm_redis_entry *entry;
    TAILQ_FOREACH(entry, &lease->entries, link)
    put(&queue->ready, entry);
}

void cm_ready_add_again(struct cm_redis_queue *queue, struct cm_redis_entry *entry)
{
    entry->entry.is_credited = false;
    put(&queue->ready, entry);
}

void cm_ready_remove(struct cm_redis_queue *queue, struct cm_lease *lease)
{
    struct cm_redis_entry *entry;
    TAILQ_FOREACH(entry, &lease->entries, link)
    if (entry->is_ready)
        take(&queue->ready, entry);
}

/* The engine has it from here on. */
static struct cm_entry *hand_out(struct cm_redis_queue *queue, struct cm_redis_entry *entry)
{
    take(&queue->ready, entry);
    entry->lease->away_count++;
    return &entry->entry;
}

void cm_ready_deliver(struct cm_redis_queue *queue)
{
    struct cm_entry *entries[CM_REDIS_READ_MAX];
    while (queue->ready.count > 0 && queue->head.credit > 0) {
        uint32_t count = 0;
        while (queue->ready.count > 0 && count < queue->head.credit && count < CM_REDIS_READ_MAX)
            entries[count++] = hand_out(queue, TAILQ_FIRST(&queue->ready.entries));
        cm_queue_deliver(&queue->head, entries, count);
    }
    if (queue->is_stopping)
        cm_back_hurry(queue);
}

/* ------------------------------------------------------------------------------ out of turn -- */

struct ahead_part {
    struct cm_entry *entries[CM_REDIS_READ_MAX];
    uint32_t count;
};

static bool has_room(const struct cm_redis_queue *queue, const struct ahead_part *part)
{
    return part->count < queue->head.ahead_credit && part->count < CM_REDIS_READ_MAX;
}

static void deliver_part(struct cm_redis_queue *queue, struct ahead_part *part)
{
    if (part->count > 0)
        cm_queue_deliver_ahead(&queue->head, part->entries, part->count);
}

/* All in one call: what the engine does with some may end the lease of others. */
void cm_ready_deliver_ahead(struct cm_redis_queue *queue, struct cm_lease *const *leases,
                            uint32_t count)
{
    struct ahead_part part = { .count = 0 };
    struct cm_redis_entry *entry;
    for (uint32_t i = 0; i < count; i++)
        if (leases[i])
            TAILQ_FOREACH(entry, &leases[i]->entries, link)
    if (has_room(queue, &part))
        part.entries[part.count++] = hand_out(queue, entry);
    deliver_part(queue, &part);
}

void cm_ready_look_ahead(struct cm_redis_queue *queue)
{
    struct ahead_part part = { .count = 0 };
    struct cm_redis_entry *entry, *next;
    if (queue->head.credit > 0 || !queue->head.is_ahead)
        return;
    for (entry = TAILQ_FIRST(&queue->ready.entries); entry && has_room(queue, &part);
         entry = next) {
        next = TAILQ_NEXT(entry, in_turn);
        if (queue->head.is_ahead(entry->entry.fields[CM_FIELD_OP]))
            part.entries[part.count++] = hand_out(queue, entry);
    }
    deliver_part(queue, &part);
}

/* ----------------------------------------------------------------------------------- credit -- */

static void on_turn(void *arg)
{
    cm_ready_deliver(arg);
    cm_intake_go_on(arg);
}

uint32_t cm_ready_claim(struct cm_redis_queue *queue)
{
    struct cm_ready *ready = &queue->ready;
    uint32_t credit = queue->head.credit;
    if (ready->count > 0 && credit > 0 && !cm_timer_is_running(&ready->turn))
        cm_timer_start(&ready->turn, queue->head.loop, 0, on_turn, queue);
    return credit > ready->count && !queue->is_stopping ? credit - ready->count : 0;
}

void cm_ready_close(struct cm_redis_queue *queue)
{
    cm_timer_done(&queue->ready.turn);
}
