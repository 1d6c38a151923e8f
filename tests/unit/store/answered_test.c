/* The table of answered requests by itself. */
#include "engine/store/sqlite/answered.h"

#include "tests/conformance/store_fixture.h"
#include "tests/support/test_main.h"

enum { MANY = 5000 };

static struct cm_answered_item item_of(unsigned n)
{
    return (struct cm_answered_item){ .key = row_key(n),
                                      .answer = n % 7 ? (int64_t)n : -(int64_t)n };
}

static bool add(struct cm_answered *answered, unsigned n)
{
    const struct cm_answered_item item = item_of(n);
    return cm_answered_add(answered, &item);
}

static enum cm_answered_verdict verdict_on(struct cm_answered *answered, unsigned n,
                                           int64_t *ret_answer)
{
    const struct cm_request_key key = row_key(n);
    *ret_answer = 0;
    return cm_answered_find(answered, &key, ret_answer);
}

static int64_t find(struct cm_answered *answered, unsigned n)
{
    int64_t answer;
    bool is_recent = verdict_on(answered, n, &answer) == CM_ANSWERED_LATELY;
    CU_ASSERT_EQUAL(is_recent, answer != 0);
    return answer;
}

static struct cm_answered *filled(unsigned count)
{
    struct cm_answered *answered = cm_answered_new();
    for (unsigned n = 1; n <= count; n++)
        CU_ASSERT_TRUE(add(answered, n));
    cm_answered_settle(answered);
    return answered;
}

static void test_what_was_added_is_found(void)
{
    struct cm_answered *answered = filled(MANY);
    CU_ASSERT_EQUAL(cm_answered_recent_count(answered), MANY);
    for (unsigned n = 1; n <= MANY; n++)
        CU_ASSERT_EQUAL(find(answered, n), item_of(n).answer);
    CU_ASSERT_EQUAL(find(answered, MANY + 1), 0);
    cm_answered_free(answered);
}

static void test_a_key_is_taken_once(void)
{
    struct cm_answered *answered = filled(10);
    CU_ASSERT_FALSE(add(answered, 3));
    CU_ASSERT_TRUE(add(answered, 11));
    CU_ASSERT_FALSE(add(answered, 11));
    CU_ASSERT_EQUAL(cm_answered_recent_count(answered), 11);
    cm_answered_free(answered);
}

static void test_undo_takes_back_what_came_since_settle(void)
{
    struct cm_answered *answered = filled(MANY / 2);
    for (unsigned n = MANY / 2 + 1; n <= MANY; n++)
        CU_ASSERT_TRUE(add(answered, n));
    cm_answered_undo(answered);
    CU_ASSERT_EQUAL(cm_answered_recent_count(answered), MANY / 2);
    for (unsigned n = 1; n <= MANY; n++)
        CU_ASSERT_EQUAL(find(answered, n), n <= MANY / 2 ? item_of(n).answer : 0);
    /* What was undone may be added, and its place is used again. */
    for (unsigned n = MANY / 2 + 1; n <= MANY; n++)
        CU_ASSERT_TRUE(add(answered, n));
    CU_ASSERT_EQUAL(find(answered, MANY), item_of(MANY).answer);
    cm_answered_free(answered);
}

static void test_stretches_are_sorted_and_complete(void)
{
    struct cm_answered *answered = filled(MANY);
    size_t all = 0;
    CU_ASSERT_TRUE(add(answered, MANY + 1));
    cm_answered_undo(answered);
    for (unsigned stretch = 0; stretch < CM_ANSWERED_STRETCHES; stretch++) {
        size_t count;
        const struct cm_answered_item *items = cm_answered_sorted(answered, stretch, &count);
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL(items[i].key.octets[0], stretch);
            CU_ASSERT(i == 0 || memcmp(&items[i - 1].key, &items[i].key, 16) < 0);
        }
        all += count;
    }
    CU_ASSERT_EQUAL(all, MANY);
    cm_answered_free(answered);
}

static void test_moved_stretches_are_counted_and_known_to_be_in_the_index(void)
{
    struct cm_answered *answered = filled(MANY);
    uint64_t moves = cm_answered_moves(answered);
    size_t gone = 0;
    int64_t answer;
    cm_answered_move(answered, 250, 20); /* round the end */
    CU_ASSERT_EQUAL(cm_answered_moves(answered), moves + 1);
    for (unsigned n = 1; n <= MANY; n++) {
        unsigned stretch = row_key(n).octets[0];
        bool is_gone = stretch >= 250 || stretch < 14;
        CU_ASSERT_EQUAL(verdict_on(answered, n, &answer),
                        is_gone ? CM_ANSWERED_PERHAPS : CM_ANSWERED_LATELY);
        CU_ASSERT_EQUAL(answer, is_gone ? 0 : item_of(n).answer);
        gone += is_gone;
    }
    CU_ASSERT(gone > 0);
    CU_ASSERT_EQUAL(cm_answered_recent_count(answered), MANY - gone);
    cm_answered_free(answered);
}

static void test_what_is_in_the_index_is_never_denied_and_what_is_not_nearly_always(void)
{
    struct cm_answered *answered = cm_answered_new();
    unsigned in_vain = 0;
    int64_t answer;
    for (unsigned n = 1; n <= 100 * MANY; n++) {
        const struct cm_request_key key = row_key(n);
        cm_answered_note_indexed(answered, &key);
        cm_answered_note_indexed(answered, &key); /* twice is once */
    }
    for (unsigned n = 1; n <= 100 * MANY; n++)
        CU_ASSERT_EQUAL(verdict_on(answered, n, &answer), CM_ANSWERED_PERHAPS);
    for (unsigned n = 100 * MANY + 1; n <= 200 * MANY; n++)
        in_vain += verdict_on(answered, n, &answer) != CM_ANSWERED_NEVER;
    CU_ASSERT(in_vain < 10); /* one in four is expected */
    cm_answered_free(answered);
}

CM_TEST_SUITE(store_answered, CM_TEST(test_what_was_added_is_found),
              CM_TEST(test_a_key_is_taken_once),
              CM_TEST(test_undo_takes_back_what_came_since_settle),
              CM_TEST(test_stretches_are_sorted_and_complete),
              CM_TEST(test_moved_stretches_are_counted_and_known_to_be_in_the_index),
              CM_TEST(test_what_is_in_the_index_is_never_denied_and_what_is_not_nearly_always));
