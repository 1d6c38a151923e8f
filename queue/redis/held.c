#include <stdio.h>
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
    snprintf(text, CM_REDIS_ID_SIZE, "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.sequence);
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
    for (struct cm_redis_entry *entry = held->slots[slot_of(held, id)]; entry;
         entry = entry->same_slot)
        if (cm_stream_id_compare(entry->id, id) == 0)
            return true;
    return false;
}

static void put_in_slot(struct cm_held *held, struct cm_redis_entry *entry)
{
    struct cm_redis_entry **slot = &held->slots[slot_of(held, entry->id)];
    entry->same_slot = *slot;
    *slot = entry;
}

static void grow_slots(struct cm_held *held)
{
    struct cm_redis_entry *entry;
    uint32_t slots_count = held->slots_count ? 2 * held->slots_count : SLOTS_FIRST;
    free(held->slots);
    held->slots = calloc(slots_count, sizeof *held->slots);
    if (!held->slots)
        abort();
    held->slots_count = slots_count;
    TAILQ_FOREACH(entry, &held->entries, link)
    put_in_slot(held, entry);
}

void cm_held_add(struct cm_held *held, struct cm_redis_entry *entry, uint64_t now_ns)
{
    if (held->count >= held->slots_count)
        grow_slots(held);
    entry->extended_ns = now_ns;
    TAILQ_INSERT_TAIL(&held->entries, entry, link);
    put_in_slot(held, entry);
    held->count++;
}

static struct cm_redis_entry **slot_with(struct cm_held *held, const struct cm_redis_entry *entry)
{
    struct cm_redis_entry **at = &held->slots[slot_of(held, entry->id)];
    while (*at != entry)
        at = &(*at)->same_slot;
    return at;
}

static void free_entry(struct cm_redis_entry *entry)
{
    if (entry->block)
        cm_reply_block_release(entry->block);
    else
        free(entry);
}

void cm_held_drop(struct cm_held *held, struct cm_redis_entry *entry)
{
    *slot_with(held, entry) = entry->same_slot;
    TAILQ_REMOVE(&held->entries, entry, link);
    held->count--;
    free_entry(entry);
}

/* Names and values are strings; whatever else a server put there counts as absent, as it did. */
static void copy_node(const struct cm_reply *from, struct cm_reply *to, uint8_t **at)
{
    bool has_text = from->text.data != NULL;
    *to = (struct cm_reply){ .type = has_text ? from->type : CM_REPLY_NIL, .text = from->text };
    if (!has_text)
        return;
    to->text = cm_bytes(memcpy(*at, from->text.data, from->text.size), from->text.size);
    *at += from->text.size + 1; /* so that each has a place of its own */
}

static void point_fields_to(struct cm_entry *entry, const uint8_t *old, struct cm_bytes text)
{
    for (unsigned i = 0; i < CM_FIELD_COUNT; i++)
        if (old && entry->fields[i].data == old)
            entry->fields[i] = text;
}

/* One allocation: the entry, its tree of names and values, their texts. */
static struct cm_redis_entry *copy_entry(const struct cm_redis_entry *entry)
{
    const struct cm_reply *fields = entry->fields;
    uint32_t count = fields->children_count;
    size_t size =
        sizeof *entry + sizeof *fields + count * (sizeof *fields + sizeof(struct cm_reply *) + 1);
    for (uint32_t i = 0; i < count; i++)
        size += fields->children[i]->text.data ? fields->children[i]->text.size : 0;
    struct cm_redis_entry *copy = malloc(size);
    if (!copy)
        abort();
    struct cm_reply *root = (struct cm_reply *)(copy + 1);
    struct cm_reply *nodes = root + 1;
    struct cm_reply **children = (struct cm_reply **)(nodes + count);
    uint8_t *at = (uint8_t *)(children + count);
    *copy = *entry;
    *root = *fields;
    root->children = children;
    for (uint32_t i = 0; i < count; i++) {
        children[i] = &nodes[i];
        copy_node(fields->children[i], &nodes[i], &at);
        point_fields_to(&copy->entry, fields->children[i]->text.data, nodes[i].text);
    }
    copy->fields = root;
    copy->block = NULL;
    copy->entry.backend = copy;
    return copy;
}

struct cm_redis_entry *cm_held_detach(struct cm_held *held, struct cm_redis_entry *entry)
{
    if (!entry->block)
        return entry;
    struct cm_redis_entry *copy = copy_entry(entry);
    *slot_with(held, entry) = copy;
    TAILQ_INSERT_BEFORE(entry, copy, link);
    TAILQ_REMOVE(&held->entries, entry, link);
    free_entry(entry);
    return copy;
}

void cm_held_done(struct cm_held *held)
{
    struct cm_redis_entry *entry;
    while ((entry = TAILQ_FIRST(&held->entries)))
        cm_held_drop(held, entry);
    free(held->slots);
    held->slots = NULL;
}

/* XCLAIM to ourselves, without counting a delivery: the idle time starts again. */
static bool send_extension(struct cm_redis_queue *queue, struct cm_redis_entry *const *entries,
                           uint32_t count)
{
    struct cm_command *command = &queue->replies.link.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, 6 + count);
    cm_command_text(command, "XCLAIM");
    cm_command_text(command, queue->stream);
    cm_command_text(command, queue->prefix);
    cm_command_text(command, queue->consumer);
    cm_command_text(command, "0");
    for (uint32_t i = 0; i < count; i++)
        cm_command_text(command, cm_stream_id_format(entries[i]->id, text));
    cm_command_text(command, "JUSTID");
    return cm_link_send(&queue->replies.link, NULL);
}

static void extend(struct cm_redis_queue *queue, struct cm_redis_entry *const *entries,
                   uint32_t count, uint64_t now_ns)
{
    if (count == 0 || !send_extension(queue, entries, count))
        return;
    for (uint32_t i = 0; i < count; i++)
        entries[i]->extended_ns = now_ns;
}

void cm_held_extend(struct cm_redis_queue *queue)
{
    struct cm_redis_entry *due[EXTENSION_COUNT_MAX];
    struct cm_redis_entry *entry;
    uint64_t now_ns = cm_clock_monotonic_ns();
    uint64_t age_ns = (uint64_t)queue->lease_ms * CM_NS_PER_MS / 4;
    uint32_t count = 0;
    TAILQ_FOREACH(entry, &queue->held.entries, link)
    {
        if (now_ns - entry->extended_ns < age_ns)
            continue;
        due[count++] = entry;
        if (count == EXTENSION_COUNT_MAX) {
            extend(queue, due, count, now_ns);
            count = 0;
        }
    }
    extend(queue, due, count, now_ns);
}
