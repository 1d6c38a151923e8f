/* The table of recent requests by itself. */
#include "engine/store/sqlite/recent.h"

#include "tests/conformance/store_fixture.h"
#include "tests/support/test_main.h"

enum { MANY = 5000 };

static struct cm_recent_item item_of(unsigned n)
{
    return (struct cm_recent_item){ .key = row_key(n), .answer = n % 7 ? (int64_t)n : -(int64_t)n };
}

static bool add(struct cm_recent *recent, unsigned n)
{
    const struct cm_recent_item item = item_of(n);
    return cm_recent_add(recent, &item);
}

static int64_t find(struct cm_recent *recent, unsigned n)
{
    const struct cm_request_key key = row_key(n);
    return cm_recent_find(recent, &key);
}

static struct cm_recent *filled(unsigned count)
{
    struct cm_recent *recent = cm_recent_new();
    for (unsigned n = 1; n <= count; n++)
        CU_ASSERT_TRUE(add(recent, n));
    cm_recent_settle(recent);
    return recent;
}

static void test_what_was_added_is_found(void)
{
    struct cm_recent *recent = filled(MANY);
    CU_ASSERT_EQUAL(cm_recent_count(recent), MANY);
    for (unsigned n = 1; n <= MANY; n++)
        CU_ASSERT_EQUAL(find(recent, n), item_of(n).answer);
    CU_ASSERT_EQUAL(find(recent, MANY + 1), 0);
    cm_recent_free(recent);
}

static void test_a_key_is_taken_once(void)
{
    struct cm_recent *recent = filled(10);
    CU_ASSERT_FALSE(add(recent, 3));
    CU_ASSERT_TRUE(add(recent, 11));
    CU_ASSERT_FALSE(add(recent, 11));
    CU_ASSERT_EQUAL(cm_recent_count(recent), 11);
    cm_recent_free(recent);
}

static void test_undo_takes_back_what_came_since_settle(void)
{
    struct cm_recent *recent = filled(MANY / 2);
    for (unsigned n = MANY / 2 + 1; n <= MANY; n++)
        CU_ASSERT_TRUE(add(recent, n));
    cm_recent_undo(recent);
    CU_ASSERT_EQUAL(cm_recent_count(recent), MANY / 2);
    for (unsigned n = 1; n <= MANY; n++)
        CU_ASSERT_EQUAL(find(recent, n), n <= MANY / 2 ? item_of(n).answer : 0);
    /* What was undone may be added, and its place is used again. */
    for (unsigned n = MANY / 2 + 1; n <= MANY; n++)
        CU_ASSERT_TRUE(add(recent, n));
    CU_ASSERT_EQUAL(find(recent, MANY), item_of(MANY).answer);
    cm_recent_free(recent);
}

static void test_stretches_are_sorted_and_complete(void)
{
    struct cm_recent *recent = filled(MANY);
    size_t all = 0;
    CU_ASSERT_TRUE(add(recent, MANY + 1));
    cm_recent_undo(recent);
    for (unsigned stretch = 0; stretch < CM_RECENT_STRETCHES; stretch++) {
        size_t count;
        const struct cm_recent_item *items = cm_recent_sorted(recent, stretch, &count);
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL(items[i].key.octets[0], stretch);
            CU_ASSERT(i == 0 || memcmp(&items[i - 1].key, &items[i].key, 16) < 0);
        }
        all += count;
    }
    CU_ASSERT_EQUAL(all, MANY);
    cm_recent_free(recent);
}

static void test_forgotten_stretches_are_counted_and_gone(void)
{
    struct cm_recent *recent = filled(MANY);
    uint64_t moves = cm_recent_moves(recent);
    size_t gone = 0;
    cm_recent_forget(recent, 250, 20); /* round the end */
    CU_ASSERT_EQUAL(cm_recent_moves(recent), moves + 1);
    for (unsigned n = 1; n <= MANY; n++) {
        unsigned stretch = row_key(n).octets[0];
        bool is_gone = stretch >= 250 || stretch < 14;
        CU_ASSERT_EQUAL(find(recent, n), is_gone ? 0 : item_of(n).answer);
        gone += is_gone;
    }
    CU_ASSERT(gone > 0);
    CU_ASSERT_EQUAL(cm_recent_count(recent), MANY - gone);
    cm_recent_free(recent);
}

CM_TEST_SUITE(store_recent, CM_TEST(test_what_was_added_is_found),
              CM_TEST(test_a_key_is_taken_once),
              CM_TEST(test_undo_takes_back_what_came_since_settle),
              CM_TEST(test_stretches_are_sorted_and_complete),
              CM_TEST(test_forgotten_stretches_are_counted_and_gone));
