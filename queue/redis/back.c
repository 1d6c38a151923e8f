/*
 * Back: leases that end without an acknowledgement.
 *
 * Redis knows entries of the stream and not the requests in them. So a request that is given back while the
 * engine still has others of its entry goes into the queue's own list, and out again from there; the
 * entry as a whole goes back when the engine has nothing of it. While the engine is stopping nothing is
 * handed out, and each entry goes back as soon as that is so. Requests of it that were answered are then
 * answered once more, the same.
 */
#include "queue/redis/internal.h"

enum { GIVE_BACK_COUNT_MAX = 256 };

/* Claimed to ourselves with the idle time of a lease that has run out: free for anyone. This delivery does not
 * count: it was no entry's fault. Only those that engines died of are poison. */
static void send(struct cm_redis_queue *queue, struct cm_lease *const *leases, uint32_t count)
{
    struct cm_command *command = cm_held_begin_claim(queue, leases, count, 5);
    cm_command_text(command, "IDLE");
    cm_command_number(command, (uint64_t)queue->lease_ms + 1);
    cm_command_text(command, "RETRYCOUNT");
    cm_command_number(command, leases[0]->deliveries_count - 1);
    cm_command_text(command, "JUSTID");
    cm_link_send(&queue->replies.link, NULL);
}

/* Leases that go back together, those that were delivered equally often in one command. */
struct part {
    struct cm_redis_queue *queue;
    struct cm_lease *leases[GIVE_BACK_COUNT_MAX];
    uint32_t count;
};

static void flush(struct part *part)
{
    struct cm_redis_queue *queue = part->queue;
    if (part->count > 0)
        send(queue, part->leases, part->count);
    for (uint32_t i = 0; i < part->count; i++) {
        cm_ahead_look_again(queue, part->leases[i]->id, 0);
        cm_ready_remove(queue, part->leases[i]);
        cm_held_drop(&queue->held, part->leases[i]);
    }
    part->count = 0;
}

static void add(struct part *part, struct cm_lease *lease)
{
    if (part->count == GIVE_BACK_COUNT_MAX
        || (part->count > 0 && part->leases[0]->deliveries_count != lease->deliveries_count))
        flush(part);
    part->leases[part->count++] = lease;
}

/* A request that the engine has no more: it leaves its lease, or waits for credit once more. */
static void take_back(struct cm_redis_queue *queue, struct cm_redis_entry *entry)
{
    if (entry->lease->away_count > 0 && !queue->is_stopping) {
        cm_ready_add_again(queue, entry);
        return;
    }
    entry->lease->end = CM_LEASE_GIVEN_BACK;
    cm_unpack_remove(entry);
    cm_unpack_free(entry);
}

/* Nothing of it is with the engine, and something of it comes again. */
static bool goes_back(const struct cm_redis_queue *queue, const struct cm_lease *lease)
{
    return lease->away_count == 0
           && (lease->end == CM_LEASE_GIVEN_BACK
               || (queue->is_stopping && lease->entries_count > 0));
}

/* First all are counted: so is known which leases the engine has nothing of. */
void cm_back_give(struct cm_redis_queue *queue, struct cm_entry **entries, uint32_t count)
{
    struct part part = { .queue = queue };
    struct cm_lease *over = NULL;
    for (uint32_t i = 0; i < count; i++)
        ((struct cm_redis_entry *)entries[i]->backend)->lease->away_count--;
    for (uint32_t i = 0; i < count; i++) {
        struct cm_redis_entry *entry = entries[i]->backend;
        struct cm_lease *lease = entry->lease;
        take_back(queue, entry);
        if (goes_back(queue, lease) && !lease->is_over) {
            lease->is_over = true;
            lease->next_over = over;
            over = lease;
        }
    }
    for (struct cm_lease *next; over; over = next) {
        next = over->next_over;
        add(&part, over);
    }
    flush(&part);
    cm_intake_claim(queue);
}

void cm_back_look(struct cm_redis_queue *queue, struct cm_lease *lease)
{
    struct part part = { .queue = queue };
    if (goes_back(queue, lease)) {
        add(&part, lease);
        flush(&part);
    } else if (lease->entries_count == 0 && lease->end == CM_LEASE_GIVEN_UP) {
        cm_ahead_look_again(queue, lease->id, queue->lease_ms);
        cm_held_drop(&queue->held, lease);
    }
}

/* What waits for its delivery count is not ready, and goes with the connection. */
static bool is_ready(const struct cm_lease *lease)
{
    const struct cm_redis_entry *first = TAILQ_FIRST(&lease->entries);
    return first && first->is_ready;
}

void cm_back_hurry(struct cm_redis_queue *queue)
{
    struct part part = { .queue = queue };
    struct cm_lease *lease, *next;
    queue->is_stopping = true;
    for (lease = TAILQ_FIRST(&queue->held.leases); lease; lease = next) {
        next = TAILQ_NEXT(lease, link);
        if (is_ready(lease) && goes_back(queue, lease))
            add(&part, lease);
    }
    flush(&part);
}
