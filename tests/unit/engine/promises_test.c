/* A promise is found by its request, settled once, and its intent closes with its last one. */
#include "engine/promises.h"
#include "tests/support/test_main.h"

static struct cm_intent_item item_for(uint8_t key)
{
    struct cm_intent_item item = { .key = { .octets = { key } } };
    return item;
}

static void test_promises_close_their_intent_with_the_last_one(void)
{
    struct cm_promises promises = { 0 };
    struct cm_intent one = { .number = 11, .created_ms = 5, .generation_number = 3 };
    struct cm_intent other = { .number = 12 };
    struct cm_intent_item a = item_for(1), b = item_for(2), c = item_for(3), d = item_for(4);
    CU_ASSERT_PTR_NULL(cm_promises_find(&promises, &a.key));
    cm_promises_add(&promises, &one, &a);
    cm_promises_add(&promises, &one, &b);
    cm_promises_add(&promises, &other, &c);
    CU_ASSERT_PTR_NULL(cm_promises_find(&promises, &d.key));
    struct cm_promise *found = cm_promises_find(&promises, &a.key);
    CU_ASSERT_EQUAL(found->created_ms, 5);
    CU_ASSERT_EQUAL(found->generation_number, 3);
    CU_ASSERT_EQUAL(cm_promises_settle(&promises, found), 0);
    CU_ASSERT_PTR_NULL(cm_promises_find(&promises, &a.key));
    CU_ASSERT_EQUAL(cm_promises_settle(&promises, cm_promises_find(&promises, &b.key)), 11);
    CU_ASSERT_EQUAL(promises.open_count, 1);
    cm_promises_done(&promises);
}

static void count_walked(struct cm_promise *promise, void *arg)
{
    unsigned *count = arg;
    (void)promise;
    (*count)++;
}

static void test_promises_in_work_are_not_walked(void)
{
    struct cm_promises promises = { 0 };
    struct cm_intent intent = { .number = 1 };
    struct cm_intent_item a = item_for(1), b = item_for(2);
    unsigned count = 0;
    cm_promises_add(&promises, &intent, &a);
    cm_promises_add(&promises, &intent, &b);
    cm_promises_find(&promises, &b.key)->in_work = true;
    cm_promises_walk(&promises, count_walked, &count);
    CU_ASSERT_EQUAL(count, 1);
    cm_promises_done(&promises);
}

CM_TEST_SUITE(promises, CM_TEST(test_promises_close_their_intent_with_the_last_one),
              CM_TEST(test_promises_in_work_are_not_walked));
