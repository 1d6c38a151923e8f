/* Promises that nobody came for: given up once it is durable, and not a moment before. */
#include "engine/internal.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

enum { OPS_MAX = 8 };

static struct cm_engine engine;
static struct cm_store_op *submitted[OPS_MAX];
static unsigned submitted_count;

static void submit(struct cm_store *store, struct cm_store_op *op)
{
    (void)store;
    CU_ASSERT_TRUE_FATAL(submitted_count < OPS_MAX);
    submitted[submitted_count++] = op;
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    (void)event;
    (void)text;
    (void)arg;
}

static void open(void)
{
    static const struct cm_store_ops ops = { .name = "fake", .submit = submit };
    static struct cm_store store = { .ops = &ops };
    engine = (struct cm_engine){ .state = CM_ENGINE_IS_RUNNING,
                                 .store = &store,
                                 .options = { .on_event = on_event } };
    submitted_count = 0;
}

static void close(void)
{
    CU_ASSERT_EQUAL(engine.counters.in_flight, 0);
    cm_promises_done(&engine.promises);
}

/* Ends the oldest operation that was submitted. */
static void finish(cm_status status)
{
    struct cm_store_op *op = submitted[0];
    CU_ASSERT_TRUE_FATAL(submitted_count > 0);
    submitted_count--;
    memmove(submitted, submitted + 1, submitted_count * sizeof(struct cm_store_op *));
    op->status = status;
    snprintf(op->err.text, sizeof op->err.text, "the disk is full");
    op->done(op);
}

static struct cm_promise *promise(int64_t intent_number, uint8_t number)
{
    const struct cm_intent intent = { .number = intent_number };
    const struct cm_intent_item item = { .key = { .octets = { number } },
                                         .serial = { .octets = { number } } };
    return cm_promises_add(&engine.promises, &intent, &item);
}

static struct cm_promise *find(uint8_t number)
{
    const struct cm_request_key key = { .octets = { number } };
    return cm_promises_find(&engine.promises, &key);
}

static void test_abandoning_that_fails_is_tried_again_by_the_next_look(void)
{
    open();
    promise(1, 1);
    promise(1, 2);
    promise(2, 3);
    cm_abandon_overdue(&engine);
    CU_ASSERT_EQUAL_FATAL(submitted_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->abandoned_count, 3);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed_count, 2);
    cm_abandon_overdue(&engine); /* it is on its way: nothing more to do */
    CU_ASSERT_EQUAL(submitted_count, 1);
    finish(CM_IO);
    CU_ASSERT_EQUAL(engine.promises.open_count, 3);
    cm_abandon_overdue(&engine);
    CU_ASSERT_EQUAL_FATAL(submitted_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->abandoned_count, 3);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed_count, 2);
    finish(CM_OK);
    CU_ASSERT_EQUAL(engine.promises.open_count, 0);
    cm_abandon_overdue(&engine);
    CU_ASSERT_EQUAL(submitted_count, 0);
    close();
}

static void test_abandoning_closes_no_intent_of_which_something_is_in_work(void)
{
    open();
    struct cm_promise *in_work = promise(1, 1);
    cm_promise_hold(in_work);
    promise(1, 2);
    cm_abandon_overdue(&engine);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed_count, 0);
    finish(CM_IO);
    /* The other's batch must not close it either: a serial of it has no end yet. */
    in_work->settled_by = &engine;
    CU_ASSERT_FALSE(cm_promises_closes(&engine.promises, 1, &engine));
    in_work->settled_by = NULL;
    cm_abandon_overdue(&engine);
    CU_ASSERT_EQUAL(submitted[0]->abandoned_count, 1);
    in_work->settled_by = &engine;
    CU_ASSERT_FALSE(cm_promises_closes(&engine.promises, 1, &engine));
    CU_ASSERT_EQUAL(cm_promises_settle(&engine.promises, in_work), 0);
    cm_promise_let_go(in_work);
    finish(CM_OK); /* the last one, and it could not know that: the intent is closed after it */
    CU_ASSERT_EQUAL_FATAL(submitted_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->abandoned_count, 0);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed[0], 1);
    finish(CM_OK);
    close();
}

static void test_what_is_being_abandoned_is_not_promised_to_anyone(void)
{
    open();
    promise(1, 1);
    cm_abandon_overdue(&engine);
    CU_ASSERT_PTR_NULL(find(1));
    finish(CM_IO);
    CU_ASSERT_PTR_NOT_NULL(find(1));
    close();
}

static void test_an_intent_that_was_left_open_with_nothing_in_it_is_closed_at_the_start(void)
{
    open();
    CU_ASSERT_EQUAL(cm_loop_new(&engine.loop, &(struct cm_error){ 0 }), CM_OK);
    engine.promises.finished = calloc(2, sizeof *engine.promises.finished);
    engine.promises.finished[0] = 7;
    engine.promises.finished[1] = 9;
    engine.promises.finished_count = 2;
    cm_abandon_watch(&engine);
    CU_ASSERT_EQUAL_FATAL(submitted_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->abandoned_count, 0);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed_count, 2);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed[1], 9);
    finish(CM_OK);
    cm_timer_done(&engine.promises_timer);
    close();
    cm_loop_free(engine.loop);
}

static void test_what_was_outdone_is_given_up_at_the_start(void)
{
    open();
    CU_ASSERT_EQUAL(cm_loop_new(&engine.loop, &(struct cm_error){ 0 }), CM_OK);
    promise(1, 1)->is_outdone = true;
    promise(2, 1);
    cm_abandon_watch(&engine);
    CU_ASSERT_EQUAL_FATAL(submitted_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->abandoned_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed_count, 1);
    CU_ASSERT_EQUAL(submitted[0]->intents_closed[0], 1);
    finish(CM_OK);
    CU_ASSERT_EQUAL(engine.promises.open_count, 1);
    CU_ASSERT_EQUAL(find(1)->intent_number, 2);
    cm_timer_done(&engine.promises_timer);
    close();
    cm_loop_free(engine.loop);
}

CM_TEST_SUITE(abandon, CM_TEST(test_abandoning_that_fails_is_tried_again_by_the_next_look),
              CM_TEST(test_abandoning_closes_no_intent_of_which_something_is_in_work),
              CM_TEST(test_what_is_being_abandoned_is_not_promised_to_anyone),
              CM_TEST(test_an_intent_that_was_left_open_with_nothing_in_it_is_closed_at_the_start),
              CM_TEST(test_what_was_outdone_is_given_up_at_the_start));
