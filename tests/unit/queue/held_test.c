/* What is in hand: entries in the block of their reply, and those that were detached from it. */
#include "queue/redis/internal.h"
#include "tests/support/test_main.h"

enum { ENTRIES = 2 };

static const char reply_text[] = "*2\r\n"
                                 "*6\r\n$2\r\nid\r\n$1\r\n1\r\n$6\r\ndevice\r\n$0\r\n\r\n"
                                 "$3\r\ncsr\r\n$3\r\na\0b\r\n"
                                 "*5\r\n$2\r\nid\r\n$1\r\n2\r\n$-1\r\n$1\r\nx\r\n$5\r\nwhat?\r\n";

static struct cm_reply_blocks blocks;
static struct cm_held held;
static struct cm_lease *leases[ENTRIES];
static struct cm_redis_entry *entries[ENTRIES];

static const struct cm_reply *read_reply(void)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    cm_reply_blocks_attach(&blocks, reader);
    redisReaderFeed(reader, reply_text, sizeof reply_text - 1);
    CU_ASSERT_EQUAL_FATAL(redisReaderGetReply(reader, &reply), REDIS_OK);
    redisReaderFree(reader);
    return reply;
}

static void open(void)
{
    held = (struct cm_held){ .count = 0 };
    TAILQ_INIT(&held.leases);
    const struct cm_reply *reply = read_reply();
    for (uint32_t i = 0; i < ENTRIES; i++) {
        const struct cm_stream_id id = { .ms = 7, .sequence = i };
        leases[i] = cm_held_take(&held, id, 1000 + i);
        cm_unpack(leases[i], cm_reply_block_of(reply), cm_reply_child(reply, i));
        cm_unpack_finish(leases[i], i == 1 ? 6 : 1, 5);
        CU_ASSERT_EQUAL_FATAL(leases[i]->entries_count, 1);
        entries[i] = TAILQ_FIRST(&leases[i]->entries);
    }
    cm_reply_block_release(cm_reply_block_of(reply));
}

static void close(void)
{
    cm_held_done(&held);
    cm_reply_blocks_done(&blocks);
}

static void test_a_block_is_free_when_its_last_entry_was_detached(void)
{
    open();
    const struct cm_redis_entry *before = entries[0];
    entries[0] = cm_unpack_detach(entries[0]);
    CU_ASSERT_PTR_NOT_EQUAL(entries[0], before);
    CU_ASSERT_EQUAL(blocks.idle_count, 0);
    entries[1] = cm_unpack_detach(entries[1]);
    CU_ASSERT_EQUAL(blocks.idle_count, 1);
    CU_ASSERT_PTR_EQUAL(cm_unpack_detach(entries[1]), entries[1]);
    close();
}

static void test_a_detached_entry_keeps_all_it_had_when_its_block_serves_another_reply(void)
{
    open();
    for (uint32_t i = 0; i < ENTRIES; i++)
        entries[i] = cm_unpack_detach(entries[i]);
    struct cm_reply_block *block = blocks.idle;
    memset(cm_arena_alloc(&block->arena, 4096), 'z', 4096);
    cm_arena_reset(&block->arena);
    const struct cm_entry *entry = &entries[0]->entry;
    CU_ASSERT_PTR_EQUAL(entry->backend, entries[0]);
    CU_ASSERT_TRUE(cm_bytes_is(entry->fields[CM_FIELD_ID], "1"));
    CU_ASSERT_PTR_NOT_NULL(entry->fields[CM_FIELD_DEVICE].data); /* empty, and there */
    CU_ASSERT_EQUAL(entry->fields[CM_FIELD_DEVICE].size, 0);
    CU_ASSERT_TRUE(cm_bytes_equal(entry->fields[CM_FIELD_CSR], cm_bytes("a\0b", 3)));
    CU_ASSERT_PTR_NULL(entry->fields[CM_FIELD_PROFILE].data);
    /* The raw fields, for the dead stream, with what is no pair. */
    const struct cm_reply *fields = entries[1]->fields;
    CU_ASSERT_EQUAL(entries[1]->entry.refusal.code, CM_REFUSAL_REQUEST_UNDELIVERABLE);
    CU_ASSERT_EQUAL_FATAL(fields->children_count, 5);
    CU_ASSERT_TRUE(cm_bytes_is(cm_reply_child(fields, 1)->text, "2"));
    CU_ASSERT_EQUAL(cm_reply_child(fields, 2)->type, CM_REPLY_NIL);
    CU_ASSERT_TRUE(cm_bytes_is(cm_reply_child(fields, 4)->text, "what?"));
    close();
}

static void test_a_detached_entry_is_its_leases_in_its_place(void)
{
    open();
    entries[0] = cm_unpack_detach(entries[0]);
    CU_ASSERT_PTR_EQUAL(entries[0]->lease, leases[0]);
    CU_ASSERT_PTR_EQUAL(TAILQ_FIRST(&leases[0]->entries), entries[0]);
    CU_ASSERT_EQUAL(leases[0]->entries_count, 1);
    close();
}

static void test_a_lease_is_held_until_it_is_dropped(void)
{
    open();
    struct cm_stream_id id = leases[0]->id;
    CU_ASSERT_EQUAL(held.count, ENTRIES);
    CU_ASSERT_TRUE(cm_held_has(&held, id));
    CU_ASSERT_EQUAL(leases[0]->extended_ns, 1000);
    cm_held_drop(&held, leases[0]);
    CU_ASSERT_FALSE(cm_held_has(&held, id));
    CU_ASSERT_TRUE(cm_held_has(&held, leases[1]->id));
    CU_ASSERT_EQUAL(blocks.idle_count, 0);
    cm_held_drop(&held, leases[1]);
    CU_ASSERT_EQUAL(held.count, 0);
    CU_ASSERT_EQUAL(blocks.idle_count, 1);
    close();
}

CM_TEST_SUITE(held, CM_TEST(test_a_block_is_free_when_its_last_entry_was_detached),
              CM_TEST(test_a_detached_entry_keeps_all_it_had_when_its_block_serves_another_reply),
              CM_TEST(test_a_detached_entry_is_its_leases_in_its_place),
              CM_TEST(test_a_lease_is_held_until_it_is_dropped));
