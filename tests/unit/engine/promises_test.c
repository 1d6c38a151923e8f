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
    cm_promise_hold(cm_promises_find(&promises, &b.key));
    cm_promises_walk(&promises, count_walked, &count);
    CU_ASSERT_EQUAL(count, 1);
    cm_promises_done(&promises);
}

/* Two entries of one request: one is set aside, the other comes and goes. */
static void test_promises_are_in_work_as_long_as_one_entry_holds_them(void)
{
    struct cm_promises promises = { 0 };
    struct cm_intent intent = { .number = 1 };
    struct cm_intent_item a = item_for(1);
    unsigned count = 0;
    struct cm_promise *promise = cm_promises_add(&promises, &intent, &a);
    cm_promise_hold(promise);
    cm_promise_hold(promise);
    cm_promise_let_go(promise);
    cm_promises_walk(&promises, count_walked, &count);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_EQUAL(cm_promises_settle(&promises, promise), 1);
    CU_ASSERT_PTR_NULL(cm_promises_find(&promises, &a.key));
    CU_ASSERT_TRUE(promise->is_over); /* still there, for the other */
    cm_promise_let_go(promise);
    cm_promises_done(&promises);
}

static void test_promises_close_by_what_their_own_intent_holds_however_many_there_are(void)
{
    enum { INTENTS = 3000, EACH = 3 };
    struct cm_promises promises = { 0 };
    int batch = 0, closed = 0;
    for (int i = 0; i < INTENTS * EACH; i++) {
        struct cm_intent intent = { .number = 1 + i % INTENTS };
        struct cm_intent_item item = item_for(0);
        memcpy(item.key.octets, &i, sizeof i);
        cm_promises_add(&promises, &intent, &item);
    }
    for (int i = 0; i < INTENTS * EACH; i++) {
        struct cm_request_key key = { .octets = { 0 } };
        memcpy(key.octets, &i, sizeof i);
        struct cm_promise *promise = cm_promises_find(&promises, &key);
        CU_ASSERT_PTR_NOT_NULL_FATAL(promise);
        CU_ASSERT_EQUAL(promise->intent_number, 1 + i % INTENTS);
        promise->settled_by = &batch;
        bool closes = cm_promises_closes(&promises, promise->intent_number, &batch);
        CU_ASSERT_EQUAL(closes, i >= INTENTS * (EACH - 1));
        promise->settled_by = NULL;
        closed += cm_promises_settle(&promises, promise) != 0;
    }
    CU_ASSERT_EQUAL(closed, INTENTS);
    CU_ASSERT_EQUAL(promises.open_count, 0);
    cm_promises_done(&promises);
}

static const struct cm_intent loaded[] = { { .number = 7 }, { .number = 5 }, { .number = 9 } };

static cm_status walk_loaded(struct cm_store_reader *reader, cm_intent_walk_fn *walk, void *arg,
                             struct cm_error *err)
{
    const struct cm_intent_item mine = item_for(1), another = item_for(2);
    (void)reader;
    (void)err;
    for (unsigned i = 0; i < 3; i++)
        walk(&loaded[i], &mine, arg);
    walk(&loaded[1], &another, arg);
    walk(&(struct cm_intent){ .number = 4 }, NULL, arg);
    return CM_OK;
}

/* An engine had begun to break the first two when it died. */
static void test_of_several_promises_to_a_request_the_latest_stands(void)
{
    static const struct cm_store_ops ops = { .walk_open_intents = walk_loaded };
    struct cm_store_reader reader = { .ops = &ops };
    struct cm_promises promises = { 0 };
    struct cm_intent_item mine = item_for(1), another = item_for(2);
    struct cm_error err;
    CU_ASSERT_EQUAL(cm_promises_load(&promises, &reader, &err), CM_OK);
    struct cm_promise *found = cm_promises_find(&promises, &mine.key);
    CU_ASSERT_EQUAL_FATAL(promises.open_count, 4);
    CU_ASSERT_EQUAL(found->intent_number, 9);
    CU_ASSERT_EQUAL(cm_promises_find(&promises, &another.key)->intent_number, 5);
    CU_ASSERT_EQUAL_FATAL(promises.finished_count, 1);
    CU_ASSERT_EQUAL(promises.finished[0], 4);
    found->settled_by = &found;
    CU_ASSERT_PTR_NULL(cm_promises_find(&promises, &mine.key));
    cm_promises_done(&promises);
}

CM_TEST_SUITE(promises, CM_TEST(test_promises_close_their_intent_with_the_last_one),
              CM_TEST(test_promises_in_work_are_not_walked),
              CM_TEST(test_promises_are_in_work_as_long_as_one_entry_holds_them),
              CM_TEST(test_promises_close_by_what_their_own_intent_holds_however_many_there_are),
              CM_TEST(test_of_several_promises_to_a_request_the_latest_stands));
