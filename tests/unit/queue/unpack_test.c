/* Entries of a stream as Redis sends them, into requests; and what packs them. */
#include <stdio.h>

#include "queue/redis/internal.h"
#include "queue/redis/pack.h"
#include "queue/several.h"
#include "tests/support/test_main.h"

static struct cm_reply_blocks blocks;
static struct cm_held held;
static struct cm_lease *lease;

/* words: "id.1 a csr.1 b ..." */
static const struct cm_reply *read_words(const char *words)
{
    static char resp[65536];
    void *reply = NULL;
    unsigned count = 1;
    for (const char *at = words; *at; at++)
        count += *at == ' ';
    size_t size = (size_t)snprintf(resp, sizeof resp, "*%u\r\n", count);
    for (const char *at = words; *at;) {
        size_t word = strcspn(at, " ");
        size += (size_t)snprintf(resp + size, sizeof resp - size, "$%zu\r\n%.*s\r\n", word,
                                 (int)word, at);
        at += word + (at[word] == ' ');
    }
    redisReader *reader = redisReaderCreate();
    cm_reply_blocks_attach(&blocks, reader);
    redisReaderFeed(reader, resp, size);
    CU_ASSERT_EQUAL_FATAL(redisReaderGetReply(reader, &reply), REDIS_OK);
    redisReaderFree(reader);
    return reply;
}

static void open(const char *words)
{
    const struct cm_reply *reply = read_words(words);
    const struct cm_stream_id id = { .ms = 1 };
    held = (struct cm_held){ .count = 0 };
    TAILQ_INIT(&held.leases);
    lease = cm_held_take(&held, id, 1);
    cm_unpack(lease, cm_reply_block_of(reply), reply);
    cm_unpack_finish(lease, 1, 5);
    cm_reply_block_release(cm_reply_block_of(reply));
}

static void close(void)
{
    cm_held_done(&held);
    CU_ASSERT_EQUAL(blocks.idle_count, 1);
    cm_reply_blocks_done(&blocks);
}

static struct cm_redis_entry *entry_at(uint32_t position)
{
    struct cm_redis_entry *entry = TAILQ_FIRST(&lease->entries);
    while (position-- > 0)
        entry = TAILQ_NEXT(entry, link);
    return entry;
}

static bool has(uint32_t position, enum cm_field field, const char *value)
{
    return cm_bytes_is(entry_at(position)->entry.fields[field], value);
}

static void test_one_request_has_no_number(void)
{
    open("id a csr b");
    CU_ASSERT_EQUAL_FATAL(lease->entries_count, 1);
    CU_ASSERT_EQUAL(entry_at(0)->number, 0);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "a") && has(0, CM_FIELD_CSR, "b"));
    close();
}

static void test_several_requests_are_in_the_order_of_their_numbers(void)
{
    open("id.9 c requester r id.1 a csr.9 x");
    CU_ASSERT_EQUAL_FATAL(lease->entries_count, 2);
    CU_ASSERT_EQUAL(entry_at(0)->number, 1);
    CU_ASSERT_EQUAL(entry_at(1)->number, 9);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "a") && has(1, CM_FIELD_ID, "c"));
    CU_ASSERT_TRUE(has(0, CM_FIELD_REQUESTER, "r") && has(1, CM_FIELD_CSR, "x"));
    close();
}

static void test_a_detached_request_takes_with_it_what_is_its(void)
{
    open("id.1 a requester r id.2 b csr.2 x color y");
    struct cm_redis_entry *copy = cm_unpack_detach(entry_at(1));
    CU_ASSERT_PTR_EQUAL(entry_at(1), copy);
    CU_ASSERT_EQUAL(blocks.idle_count, 0);
    CU_ASSERT_EQUAL(copy->fields->children_count, 8); /* all but id.1 a */
    struct cm_bytes plain;
    CU_ASSERT_FALSE(cm_unpack_owns(copy, cm_bytes_str("id.1"), &plain));
    CU_ASSERT_TRUE(cm_unpack_owns(copy, cm_bytes_str("csr.2"), &plain));
    CU_ASSERT_TRUE(cm_bytes_is(plain, "csr"));
    CU_ASSERT_TRUE(cm_unpack_owns(copy, cm_bytes_str("color"), &plain));
    CU_ASSERT_TRUE(cm_bytes_is(plain, "color"));
    (void)cm_unpack_detach(entry_at(0));
    CU_ASSERT_EQUAL(blocks.idle_count, 1);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "a") && has(1, CM_FIELD_CSR, "x"));
    CU_ASSERT_TRUE(has(0, CM_FIELD_REQUESTER, "r") && has(1, CM_FIELD_REQUESTER, "r"));
    close();
}

/* Which fields were not kept nobody knows: any request may lack one, and some may not be seen at all. */
static void test_more_fields_than_are_kept_refuse_all_and_what_is_not_seen(void)
{
    static char words[8 * CM_REPLY_CHILDREN_MAX] = "requester r id.1 a id.2 b";
    size_t size = strlen(words);
    for (unsigned i = 0; i < CM_REPLY_CHILDREN_MAX / 2 - 2; i++)
        size += (size_t)snprintf(words + size, sizeof words - size, " x.2 1");
    open(words);
    CU_ASSERT_EQUAL_FATAL(lease->entries_count, 3);
    CU_ASSERT_EQUAL(entry_at(2)->number, 0);
    CU_ASSERT_TRUE(has(0, CM_FIELD_ID, "a") && has(2, CM_FIELD_REQUESTER, "r"));
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(entry_at(i)->entry.refusal.code, CM_REFUSAL_REQUEST_FIELD_UNKNOWN);
        CU_ASSERT_FALSE(entry_at(i)->entry.is_covered);
    }
    close();
}

static bool is_order(struct cm_bytes op)
{
    return cm_bytes_is(op, "revoke");
}

static void expect_ahead(const char *words, uint32_t expected)
{
    const struct cm_reply *reply = read_words(words);
    CU_ASSERT_EQUAL(cm_unpack_count_ahead(reply, is_order), expected);
    cm_reply_block_release(cm_reply_block_of(reply));
    cm_reply_blocks_done(&blocks);
}

static void test_an_entry_comes_ahead_when_all_of_it_may(void)
{
    expect_ahead("id a op revoke", 1);
    expect_ahead("id a op issue", 0);
    expect_ahead("id a", 0);
    expect_ahead("id.1 a op.1 revoke id.2 b op.2 revoke", 2);
    expect_ahead("op revoke id.1 a id.2 b id.3 c", 3);
    expect_ahead("op revoke id.1 a id.2 b op.2 revoke", 2);
    expect_ahead("op.1 revoke id.1 a id.2 b", 0);
    expect_ahead("op revoke op.2 issue id.1 a id.2 b", 0);
    expect_ahead("op revoke id.1 a id.77 b", 0);
}

/* --------------------------------------------------------------------------------- packing -- */

static struct cm_client_request requests[70];
static struct cm_command command;

static struct cm_pack fill(uint32_t count, uint32_t each_max)
{
    static char ids[70][8];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "%u", i);
        requests[i] = (struct cm_client_request){ 0 };
        requests[i].fields[CM_FIELD_ID] = cm_bytes_str(ids[i]);
    }
    return (struct cm_pack){
        .stream = "s", .requester = "r", .requests = requests, .count = count, .each_max = each_max
    };
}

static bool is_packed(const char *resp)
{
    return cm_bytes_is(cm_bytes(command.data, command.size), resp);
}

static void test_a_request_by_itself_is_packed_without_numbers(void)
{
    struct cm_pack pack = fill(2, 1);
    CU_ASSERT_EQUAL(cm_pack(&pack, 1, &command), 1);
    CU_ASSERT_TRUE(
        is_packed("*7\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$9\r\nrequester\r\n$1\r\nr\r\n"
                  "$2\r\nid\r\n$1\r\n1\r\n"));
    cm_command_done(&command);
}

static void test_several_are_packed_with_their_numbers(void)
{
    struct cm_pack pack = fill(3, 2);
    CU_ASSERT_EQUAL(cm_pack(&pack, 0, &command), 2);
    CU_ASSERT_TRUE(
        is_packed("*9\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$9\r\nrequester\r\n$1\r\nr\r\n"
                  "$4\r\nid.1\r\n$1\r\n0\r\n$4\r\nid.2\r\n$1\r\n1\r\n"));
    CU_ASSERT_EQUAL(cm_pack(&pack, 2, &command), 1);
    cm_command_done(&command);
}

static void test_an_entry_is_full_at_its_limits_and_where_the_requester_changes(void)
{
    static char large[20000];
    struct cm_pack pack = fill(70, 1000);
    CU_ASSERT_EQUAL(cm_pack(&pack, 0, &command), CM_SEVERAL_MAX);
    CU_ASSERT_EQUAL(cm_pack(&pack, 64, &command), 6);
    requests[3].fields[CM_FIELD_REQUESTER] = cm_bytes_str("other");
    CU_ASSERT_EQUAL(cm_pack(&pack, 0, &command), 3);
    CU_ASSERT_EQUAL(cm_pack(&pack, 3, &command), 1);
    for (uint32_t i = 4; i < 10; i++)
        requests[i].fields[CM_FIELD_CSR] = cm_bytes(large, sizeof large);
    CU_ASSERT_EQUAL(cm_pack(&pack, 4, &command), 3);
    cm_command_done(&command);
}

CM_TEST_SUITE(unpack, CM_TEST(test_one_request_has_no_number),
              CM_TEST(test_several_requests_are_in_the_order_of_their_numbers),
              CM_TEST(test_a_detached_request_takes_with_it_what_is_its),
              CM_TEST(test_more_fields_than_are_kept_refuse_all_and_what_is_not_seen),
              CM_TEST(test_an_entry_comes_ahead_when_all_of_it_may),
              CM_TEST(test_a_request_by_itself_is_packed_without_numbers),
              CM_TEST(test_several_are_packed_with_their_numbers),
              CM_TEST(test_an_entry_is_full_at_its_limits_and_where_the_requester_changes));
