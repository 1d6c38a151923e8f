/* The reader of replies, fed by hand: also with what no honest server sends. */
#include <stdio.h>
#include <stdlib.h>

#include "queue/queue.h"
#include "queue/redis/reply.h"
#include "tests/support/test_main.h"

static struct cm_reply_blocks blocks;
static redisReader *reader;

/* The reply to text, or NULL when it is incomplete or no reply. */
static const struct cm_reply *feed(const char *text, size_t size)
{
    void *reply = NULL;
    reader = redisReaderCreate();
    cm_reply_blocks_attach(&blocks, reader);
    redisReaderFeed(reader, text, size);
    if (redisReaderGetReply(reader, &reply) != REDIS_OK)
        return NULL;
    return reply;
}

static void end(const struct cm_reply *reply)
{
    if (reply)
        cm_reply_block_release(cm_reply_block_of(reply));
    redisReaderFree(reader);
    cm_reply_blocks_done(&blocks);
}

static void test_a_tree_is_read(void)
{
    static const char text[] = "*4\r\n$2\r\na\0\r\n:-7\r\n*2\r\n$-1\r\n+OK\r\n-ERR no\r\n";
    const struct cm_reply *reply = feed(text, sizeof text - 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_EQUAL(reply->children_count, 4);
    CU_ASSERT_TRUE(cm_bytes_equal(cm_reply_child(reply, 0)->text, cm_bytes("a\0", 2)));
    CU_ASSERT_EQUAL(cm_reply_child(reply, 1)->number, -7);
    CU_ASSERT_EQUAL(cm_reply_child(cm_reply_child(reply, 2), 0)->type, CM_REPLY_NIL);
    CU_ASSERT_EQUAL(cm_reply_child(cm_reply_child(reply, 2), 1)->type, CM_REPLY_STATUS);
    CU_ASSERT_TRUE(cm_reply_is_error(cm_reply_child(reply, 3), "ERR"));
    CU_ASSERT_FALSE(cm_reply_is_error(cm_reply_child(reply, 3), "ERR no more"));
    CU_ASSERT_EQUAL(cm_reply_child(reply, 4)->type, CM_REPLY_NIL);
    CU_ASSERT_EQUAL(cm_reply_child(cm_reply_child(reply, 0), 0)->type, CM_REPLY_NIL);
    end(reply);
}

static void test_other_types_are_nil(void)
{
    static const char *const texts[] = { ",1.5\r\n", "#t\r\n", "_\r\n", "(123\r\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct cm_reply *reply = feed(texts[i], strlen(texts[i]));
        CU_ASSERT_PTR_NOT_NULL(reply);
        end(reply);
    }
}

static void test_more_children_than_the_limit_are_only_counted(void)
{
    enum { COUNT = 10000 };
    char *text = malloc(32 + 4 * COUNT);
    int size = snprintf(text, 32, "*%d\r\n", COUNT);
    for (int i = 0; i < COUNT; i++, size += 4)
        memcpy(text + size, ":1\r\n", 4);
    const struct cm_reply *reply = feed(text, (size_t)size);
    free(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_EQUAL(reply->number, COUNT);
    CU_ASSERT_EQUAL(reply->children_count, CM_REPLY_CHILDREN_MAX);
    end(reply);
}

static void test_a_string_that_is_too_large_has_a_size_and_no_data(void)
{
    size_t large = CM_ENTRY_SIZE_MAX + 1;
    char *text = calloc(1, large + 64);
    int at = snprintf(text, 64, "*2\r\n$%zu\r\n", large);
    size_t size = (size_t)at + large;
    memcpy(text + size, "\r\n$2\r\nid\r\n", 10);
    const struct cm_reply *reply = feed(text, size + 10);
    free(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_PTR_NULL(cm_reply_child(reply, 0)->text.data);
    CU_ASSERT_EQUAL(cm_reply_child(reply, 0)->text.size, large);
    CU_ASSERT_PTR_NOT_NULL(cm_reply_child(reply, 1)->text.data);
    end(reply);
}

static void test_deep_nesting_ends_in_nil(void)
{
    enum { DEPTH = 10000 };
    char *text = malloc(4 * DEPTH + 8);
    for (int i = 0; i < DEPTH; i++)
        memcpy(text + 4 * i, "*1\r\n", 4);
    memcpy(text + 4 * DEPTH, ":1\r\n", 4);
    const struct cm_reply *reply = feed(text, 4 * DEPTH + 4);
    free(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    unsigned depth = 0;
    for (const struct cm_reply *node = reply; node->type == CM_REPLY_ARRAY;
         node = cm_reply_child(node, 0))
        depth++;
    CU_ASSERT_TRUE(depth > 5 && depth < 20);
    end(reply);
}

static void test_what_is_no_reply_leaves_nothing_behind(void)
{
    static const char *const texts[] = { "x",       "*2\r\n:1\r\n!",   "$99999999999999999999\r\n",
                                         "*-5\r\n", "*1\r\n$5\r\nabc", "*9223372036854775807\r\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct cm_reply *reply = feed(texts[i], strlen(texts[i]));
        CU_ASSERT_PTR_NULL(reply);
        end(reply);
    }
}

static void test_a_block_that_is_held_outlives_its_reply(void)
{
    const struct cm_reply *reply = feed("$3\r\nabc\r\n", 9);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    cm_reply_block_hold(cm_reply_block_of(reply));
    cm_reply_block_release(cm_reply_block_of(reply));
    CU_ASSERT_TRUE(cm_bytes_equal(reply->text, cm_bytes_str("abc")));
    CU_ASSERT_EQUAL(blocks.idle_count, 0);
    cm_reply_block_release(cm_reply_block_of(reply));
    CU_ASSERT_EQUAL(blocks.idle_count, 1);
    end(NULL);
}

CM_TEST_SUITE(reply, CM_TEST(test_a_tree_is_read), CM_TEST(test_other_types_are_nil),
              CM_TEST(test_more_children_than_the_limit_are_only_counted),
              CM_TEST(test_a_string_that_is_too_large_has_a_size_and_no_data),
              CM_TEST(test_deep_nesting_ends_in_nil),
              CM_TEST(test_what_is_no_reply_leaves_nothing_behind),
              CM_TEST(test_a_block_that_is_held_outlives_its_reply));
