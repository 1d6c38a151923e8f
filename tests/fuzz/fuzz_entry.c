/*
 * An entry of the request stream, as Redis sends its fields: into requests, whatever stands in it. Each has
 * only what was sent, all of them are bounded, and a name with a number finds its request.
 */
#include <stdlib.h>

#include "queue/redis/internal.h"
#include "queue/several.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_order(struct cm_bytes op)
{
    return cm_bytes_is(op, "revoke");
}

static bool was_sent(const struct cm_reply *fields, struct cm_bytes value)
{
    for (uint32_t i = 1; i < fields->children_count; i += 2)
        if (cm_reply_child(fields, i)->text.data == value.data)
            return true;
    return false;
}

static void check_entry(const struct cm_redis_entry *entry)
{
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
        if (entry->entry.fields[field].data && !was_sent(entry->fields, entry->entry.fields[field]))
            abort();
    if (entry->number > CM_SEVERAL_MAX || entry->entry.backend != entry)
        abort();
}

/* What has a number belongs to a request that was made. */
static void check_names(const struct cm_lease *lease, const struct cm_reply *fields)
{
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2) {
        const struct cm_redis_entry *entry;
        struct cm_bytes field;
        uint32_t number, owners_count = 0;
        enum cm_several_owner owner =
            cm_several_owner(cm_reply_child(fields, i)->text, &field, &number);
        TAILQ_FOREACH(entry, &lease->entries, link)
        owners_count += owner != CM_SEVERAL_ONE || entry->number == number;
        if (owner == CM_SEVERAL_ONE ? owners_count != 1 : owners_count != lease->entries_count)
            abort();
    }
}

static void unpack(const struct cm_reply *fields)
{
    struct cm_held held = { .count = 0 };
    struct cm_redis_entry *entry, *next;
    const struct cm_stream_id id = { .ms = 1 };
    TAILQ_INIT(&held.leases);
    struct cm_lease *lease = cm_held_take(&held, id, 1);
    cm_unpack(lease, cm_reply_block_of(fields), fields);
    if (lease->entries_count < 1 || lease->entries_count > CM_SEVERAL_MAX + 1
        || cm_unpack_count_ahead(fields, is_order) > lease->entries_count)
        abort();
    check_names(lease, fields);
    cm_unpack_finish(lease, 1, 5);
    for (entry = TAILQ_FIRST(&lease->entries); entry; entry = next) {
        next = TAILQ_NEXT(entry, link);
        check_entry(entry);
        check_entry(cm_unpack_detach(entry));
    }
    cm_held_done(&held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_reply_blocks blocks = { .idle_count = 0 };
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    cm_reply_blocks_attach(&blocks, reader);
    redisReaderFeed(reader, (const char *)data, size);
    if (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        unpack(reply);
        cm_reply_block_release(cm_reply_block_of(reply));
    }
    redisReaderFree(reader);
    cm_reply_blocks_done(&blocks);
    return 0;
}
