#include <stdlib.h>

#include "queue/redis/internal.h"
#include "queue/several.h"

static struct cm_bytes name_at(const struct cm_reply *fields, uint32_t index)
{
    return cm_reply_child(fields, index)->text;
}

/* ------------------------------------------------------------------------------------ making -- */

/* Its memory is the reply's. */
static struct cm_redis_entry *add_entry(struct cm_lease *lease, struct cm_reply_block *block,
                                        const struct cm_reply *fields, uint32_t number)
{
    struct cm_redis_entry *made = cm_arena_alloc(&block->arena, sizeof *made);
    cm_entry_start(&made->entry);
    made->entry.backend = made;
    made->lease = lease;
    made->block = block;
    made->fields = fields;
    made->number = number;
    made->is_ready = false;
    TAILQ_INSERT_TAIL(&lease->entries, made, link);
    lease->entries_count++;
    cm_reply_block_hold(block);
    return made;
}

static void unpack_one(struct cm_entry *entry, const struct cm_reply *fields)
{
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        cm_entry_add_field(entry, name_at(fields, i), name_at(fields, i + 1));
}

/* More fields than were kept: some of any request may be missing. */
static bool is_cut(const struct cm_reply *fields)
{
    return fields->number > (int64_t)fields->children_count;
}

static void unpack_several(struct cm_several *several, struct cm_lease *lease,
                           struct cm_reply_block *block, const struct cm_reply *fields)
{
    struct cm_entry *entries[CM_SEVERAL_MAX + 1];
    uint32_t count = cm_several_count(several);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = &add_entry(lease, block, fields, cm_several_number(several, i))->entry;
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        cm_several_add(several, entries, name_at(fields, i), name_at(fields, i + 1));
    if (is_cut(fields))
        cm_several_add(several, entries, cm_bytes(NULL, 0), cm_bytes(NULL, 0));
    cm_several_end(several, entries);
}

static void look_at_names(struct cm_several *several, const struct cm_reply *fields)
{
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        cm_several_look(several, name_at(fields, i));
    if (is_cut(fields))
        cm_several_look(several, cm_bytes(NULL, 0));
}

void cm_unpack(struct cm_lease *lease, struct cm_reply_block *block, const struct cm_reply *fields)
{
    struct cm_several several = { .numbers = 0 };
    look_at_names(&several, fields);
    if (cm_several_count(&several) == 0)
        unpack_one(&add_entry(lease, block, fields, 0)->entry, fields);
    else
        unpack_several(&several, lease, block, fields);
}

void cm_unpack_finish(struct cm_lease *lease, uint32_t deliveries_count, uint32_t deliveries_max)
{
    struct cm_redis_entry *entry;
    lease->deliveries_count = deliveries_count;
    TAILQ_FOREACH(entry, &lease->entries, link)
    cm_entry_finish(&entry->entry, deliveries_count, deliveries_max);
}

uint32_t cm_unpack_count_ahead(const struct cm_reply *fields, cm_is_ahead_fn *is_ahead)
{
    struct cm_several several = { .numbers = 0 };
    struct cm_bytes shared = cm_bytes(NULL, 0);
    uint64_t with_op = 0, ahead = 0;
    look_at_names(&several, fields);
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2) {
        struct cm_bytes name = name_at(fields, i), field = name, op = name_at(fields, i + 1);
        uint32_t number = 0;
        enum cm_several_owner owner = cm_several_owner(name, &field, &number);
        if (owner == CM_SEVERAL_UNTOLD || cm_field_find(field) != CM_FIELD_OP)
            continue;
        uint64_t bit = owner == CM_SEVERAL_ONE ? UINT64_C(1) << (number - 1) : 0;
        with_op |= bit;
        ahead |= is_ahead(op) ? bit : 0;
        if (bit == 0 && !shared.data)
            shared = op;
    }
    if (several.numbers == 0)
        return is_ahead(shared) ? 1 : 0;
    ahead |= is_ahead(shared) ? several.numbers & ~with_op : 0;
    return ahead == several.numbers && !several.has_rest ? cm_several_count(&several) : 0;
}

/* --------------------------------------------------------------------------------- one of them -- */

bool cm_unpack_owns(const struct cm_redis_entry *entry, struct cm_bytes name,
                    struct cm_bytes *ret_plain)
{
    struct cm_bytes plain = name;
    uint32_t number = 0;
    enum cm_several_owner owner = cm_several_owner(name, &plain, &number);
    *ret_plain = plain;
    return owner == CM_SEVERAL_ALL || entry->number == number;
}

void cm_unpack_remove(struct cm_redis_entry *entry)
{
    TAILQ_REMOVE(&entry->lease->entries, entry, link);
    entry->lease->entries_count--;
    entry->lease = NULL;
}

void cm_unpack_free(struct cm_redis_entry *entry)
{
    if (entry->block)
        cm_reply_block_release(entry->block);
    else
        free(entry);
}

/* ------------------------------------------------------------------------------ a copy of one -- */

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

/* Names and values by turns, and what stands behind the last pair; of several requests its own. */
static uint32_t choose_fields(const struct cm_redis_entry *entry,
                              const struct cm_reply **ret_chosen)
{
    const struct cm_reply *fields = entry->fields;
    struct cm_bytes plain;
    uint32_t count = 0;
    for (uint32_t i = 0; i < fields->children_count; i++)
        if (cm_unpack_owns(entry, name_at(fields, i & ~1u), &plain))
            ret_chosen[count++] = fields->children[i];
    return count;
}

static size_t size_of_texts(const struct cm_reply *const *chosen, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += chosen[i]->text.data ? chosen[i]->text.size : 0;
    return size;
}

/* One allocation: the entry, its tree of names and values, their texts. */
static struct cm_redis_entry *copy_entry(const struct cm_redis_entry *entry)
{
    const struct cm_reply *chosen[CM_REPLY_CHILDREN_MAX];
    uint32_t count = choose_fields(entry, chosen);
    size_t size = sizeof *entry + sizeof **chosen
                  + count * (sizeof **chosen + sizeof(struct cm_reply *) + 1)
                  + size_of_texts(chosen, count);
    struct cm_redis_entry *copy = malloc(size);
    if (!copy)
        abort();
    struct cm_reply *root = (struct cm_reply *)(copy + 1);
    struct cm_reply *nodes = root + 1;
    struct cm_reply **children = (struct cm_reply **)(nodes + count);
    uint8_t *at = (uint8_t *)(children + count);
    *copy = *entry;
    *root = *entry->fields;
    root->children = children;
    root->children_count = count;
    for (uint32_t i = 0; i < count; i++) {
        children[i] = &nodes[i];
        copy_node(chosen[i], &nodes[i], &at);
        point_fields_to(&copy->entry, chosen[i]->text.data, nodes[i].text);
    }
    copy->fields = root;
    copy->block = NULL;
    copy->entry.backend = copy;
    return copy;
}

struct cm_redis_entry *cm_unpack_detach(struct cm_redis_entry *entry)
{
    if (!entry->block)
        return entry;
    struct cm_redis_entry *copy = copy_entry(entry);
    TAILQ_INSERT_BEFORE(entry, copy, link);
    TAILQ_REMOVE(&entry->lease->entries, entry, link);
    cm_unpack_free(entry);
    return copy;
}
