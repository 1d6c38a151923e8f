#include <stdlib.h>

#include "engine/base/clock.h"
#include "queue/redis/internal.h"

enum { SLOTS_FIRST = 1024, EXTENSION_COUNT_MAX = 256 };

static bool read_digits(const char **at, const char *end, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *start = *at;
    while (*at < end && **at >= '0' && **at <= '9') {
        uint64_t digit = (uint64_t)(**at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
        (*at)++;
    }
    *ret_number = number;
    return *at > start;
}

bool cm_stream_id_read(struct cm_bytes text, struct cm_stream_id *ret_id)
{
    const char *at = (const char *)text.data;
    const char *end = at + text.size;
    struct cm_stream_id id;
    if (!at || !read_digits(&at, end, &id.ms) || at == end || *at++ != '-'
        || !read_digits(&at, end, &id.sequence) || at != end)
        return false;
    *ret_id = id;
    return true;
}

int cm_stream_id_compare(struct cm_stream_id a, struct cm_stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    if (a.sequence != b.sequence)
        return a.sequence < b.sequence ? -1 : 1;
    return 0;
}

const char *cm_stream_id_format(struct cm_stream_id id, char *text)
{
    size_t size = cm_digits(id.ms, text);
    text[size++] = '-';
    size += cm_digits(id.sequence, text + size);
    text[size] = '\0';
    return text;
}

static uint32_t slot_of(const struct cm_held *held, struct cm_stream_id id)
{
    uint64_t mixed = (id.ms * 31 + id.sequence) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(mixed >> 32) & (held->slots_count - 1);
}

bool cm_held_has(const struct cm_held *held, struct cm_stream_id id)
{
    if (held->count == 0)
        return false;
    for (struct cm_lease *lease = held->slots[slot_of(held, id)]; lease; lease = lease->next)
        if (cm_stream_id_compare(lease->id, id) == 0)
            return true;
    return false;
}

static void put_in_slot(struct cm_held *held, struct cm_lease *lease)
{
    struct cm_lease **slot = &held->slots[slot_of(held, lease->id)];
    lease->next = *slot;
    *slot = lease;
}

static void grow_slots(struct cm_held *held)
{
    struct cm_lease *lease;
    uint32_t slots_count = held->slots_count ? 2 * held->slots_count : SLOTS_FIRST;
    free(held->slots);
    held->slots = calloc(slots_count, sizeof *held->slots);
    if (!held->slots)
        abort();
    held->slots_count = slots_count;
    TAILQ_FOREACH(lease, &held->leases, link)
    put_in_slot(held, lease);
}

static struct cm_lease *new_lease(struct cm_held *held)
{
    struct cm_lease *lease = held->idle;
    if (lease)
        held->idle = lease->next;
    else if (!(lease = malloc(sizeof *lease)))
        abort();
    return lease;
}

struct cm_lease *cm_held_take(struct cm_held *held, struct cm_stream_id id, uint64_t now_ns)
{
    struct cm_lease *lease = new_lease(held);
    *lease = (struct cm_lease){ .id = id, .deliveries_count = 1, .extended_ns = now_ns };
    TAILQ_INIT(&lease->entries);
    if (held->count >= held->slots_count)
        grow_slots(held);
    TAILQ_INSERT_TAIL(&held->leases, lease, link);
    put_in_slot(held, lease);
    held->count++;
    return lease;
}

static struct cm_lease **slot_with(struct cm_held *held, const struct cm_lease *lease)
{
    struct cm_lease **at = &held->slots[slot_of(held, lease->id)];
    while (*at != lease)
        at = &(*at)->next;
    return at;
}

void cm_held_drop(struct cm_held *held, struct cm_lease *lease)
{
    struct cm_redis_entry *entry;
    while ((entry = TAILQ_FIRST(&lease->entries))) {
        cm_unpack_remove(entry);
        cm_unpack_free(entry);
    }
    *slot_with(held, lease) = lease->next;
    TAILQ_REMOVE(&held->leases, lease, link);
    held->count--;
    lease->next = held->idle;
    held->idle = lease;
}

void cm_held_done(struct cm_held *held)
{
    struct cm_lease *lease;
    while ((lease = TAILQ_FIRST(&held->leases)))
        cm_held_drop(held, lease);
    while ((lease = held->idle)) {
        held->idle = lease->next;
        free(lease);
    }
    free(held->slots);
    held->slots = NULL;
}

struct cm_command *cm_held_begin_claim(struct cm_redis_queue *queue, struct cm_lease *const *leases,
                                       uint32_t count, uint32_t more_words)
{
    struct cm_command *command = &queue->replies.link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, 5 + count + more_words);
    cm_command_text(command, "XCLAIM");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    cm_command_text(command, queue->consumer);
    cm_command_text(command, "0");
    for (uint32_t i = 0; i < count; i++)
        cm_command_text(command, cm_stream_id_format(leases[i]->id, text));
    return command;
}

/* Without counting a delivery: the idle time starts again. */
static bool send_extension(struct cm_redis_queue *queue, struct cm_lease *const *leases,
                           uint32_t count)
{
    struct cm_command *command = cm_held_begin_claim(queue, leases, count, 1);
    cm_command_text(command, "JUSTID");
    return cm_link_send(&queue->replies.link, NULL);
}

static void extend(struct cm_redis_queue *queue, struct cm_lease *const *leases, uint32_t count,
                   uint64_t now_ns)
{
    if (count == 0 || !send_extension(queue, leases, count))
        return;
    for (uint32_t i = 0; i < count; i++)
        leases[i]->extended_ns = now_ns;
}

void cm_held_extend(struct cm_redis_queue *queue)
{
    struct cm_lease *due[EXTENSION_COUNT_MAX];
    struct cm_lease *lease;
    uint64_t now_ns = cm_clock_monotonic_ns();
    uint64_t age_ns = (uint64_t)queue->lease_ms * CM_NS_PER_MS / 4;
    uint32_t count = 0;
    TAILQ_FOREACH(lease, &queue->held.leases, link)
    {
        if (now_ns - lease->extended_ns < age_ns)
            continue;
        due[count++] = lease;
        if (count == EXTENSION_COUNT_MAX) {
            extend(queue, due, count, now_ns);
            count = 0;
        }
    }
    extend(queue, due, count, now_ns);
}
