/* What goes into the next batch: entries that were set aside, and those that have just come. */
#include "engine/internal.h"
#include "tests/support/test_main.h"

enum { BATCH_MAX = 8, BATCHES = 3, ENTRIES = 64 };

static struct cm_settings settings = { .engine = { .batches_in_flight = BATCHES - 1 } };
static struct cm_engine engine;
static struct cm_entry from_aside[ENTRIES], from_queue[ENTRIES];
static struct cm_batch *begun[BATCHES];
static unsigned begun_count;

static void begin(struct cm_batch *batch)
{
    CU_ASSERT_TRUE_FATAL(begun_count < BATCHES);
    begun[begun_count++] = batch;
}

static void ignore(struct cm_queue *queue)
{
    (void)queue;
}

static void open(uint32_t batch_items_max)
{
    static const struct cm_queue_ops ops = { .name = "fake", .wanted = ignore };
    static struct cm_queue queue = { .ops = &ops };
    struct cm_error err;
    engine = (struct cm_engine){ .state = CM_ENGINE_IS_RUNNING,
                                 .settings = &settings,
                                 .queue = &queue,
                                 .batch_items_max = batch_items_max,
                                 .workers_count = BATCHES,
                                 .begin = begin };
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&engine.loop, &err), CM_OK);
    queue.loop = engine.loop;
    cm_aside_init(&engine);
    cm_pool_init(&engine);
    begun_count = 0;
    /* Filled when no batch is free, as they are after an outage. */
    for (uint32_t i = 0; i < ENTRIES; i++)
        from_aside[i] = from_queue[i] = (struct cm_entry){ .backend = NULL };
}

static void close(void)
{
    while (cm_aside_peek(&engine))
        cm_aside_take(&engine);
    cm_aside_done(&engine);
    cm_pool_done(&engine);
    cm_inflight_done(&engine.inflight);
    cm_loop_free(engine.loop);
}

static void put_aside(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cm_aside_put(&engine, &from_aside[i], NULL, NULL);
}

static void arrive(uint32_t count)
{
    struct cm_batch *free_batches = engine.free_batches;
    struct cm_entry *entries[ENTRIES];
    for (uint32_t i = 0; i < count; i++)
        entries[i] = &from_queue[i];
    engine.free_batches = NULL;
    cm_intake(&engine, entries, count);
    engine.free_batches = free_batches;
}

static uint32_t count_from_queue(const struct cm_batch *batch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++)
        count += batch->requests[i].entry >= from_queue
                 && batch->requests[i].entry < from_queue + ENTRIES;
    return count;
}

static void test_intake_gives_what_was_set_aside_no_more_than_half_of_a_batch(void)
{
    open(BATCH_MAX);
    put_aside(ENTRIES);
    arrive(2 * BATCH_MAX);
    cm_intake_continue(&engine);
    CU_ASSERT_EQUAL_FATAL(begun_count, BATCHES);
    for (unsigned i = 0; i < BATCHES; i++)
        CU_ASSERT_EQUAL(count_from_queue(begun[i]), BATCH_MAX / 2);
    close();
}

static void test_intake_fills_batches_from_either_when_the_other_has_none(void)
{
    open(BATCH_MAX);
    put_aside(BATCH_MAX);
    cm_intake_continue(&engine);
    CU_ASSERT_EQUAL_FATAL(begun_count, 1);
    CU_ASSERT_EQUAL(count_from_queue(begun[0]), 0);
    arrive(BATCH_MAX);
    cm_intake_continue(&engine);
    CU_ASSERT_EQUAL_FATAL(begun_count, 2);
    CU_ASSERT_EQUAL(count_from_queue(begun[1]), BATCH_MAX);
    close();
}

static void test_intake_starves_neither_with_batches_of_one(void)
{
    open(1);
    put_aside(BATCHES);
    arrive(BATCHES);
    cm_intake_continue(&engine);
    CU_ASSERT_EQUAL_FATAL(begun_count, BATCHES);
    for (unsigned i = 1; i < BATCHES; i++)
        CU_ASSERT_NOT_EQUAL(count_from_queue(begun[i]), count_from_queue(begun[i - 1]));
    close();
}

static void test_intake_puts_orders_into_a_batch_of_their_own_that_is_always_there(void)
{
    struct cm_entry *certificates[BATCHES + 1], *order = &from_queue[BATCHES + 1];
    open(1);
    for (uint32_t i = 0; i < BATCHES + 1; i++)
        certificates[i] = &from_queue[i];
    cm_intake(&engine, certificates, BATCHES + 1);
    CU_ASSERT_EQUAL_FATAL(begun_count, BATCHES); /* one waits, and all hang */
    begun_count = 0;
    order->fields[CM_FIELD_OP] = cm_bytes_str("revoke");
    cm_intake(&engine, &order, 1);
    CU_ASSERT_EQUAL_FATAL(begun_count, 1);
    CU_ASSERT_PTR_EQUAL(begun[0]->requests[0].entry, order);
    cm_pool_give(begun[0]);
    cm_intake_continue(&engine);
    CU_ASSERT_EQUAL(begun_count, 1); /* what came free is for orders again */
    close();
}

CM_TEST_SUITE(intake, CM_TEST(test_intake_gives_what_was_set_aside_no_more_than_half_of_a_batch),
              CM_TEST(test_intake_fills_batches_from_either_when_the_other_has_none),
              CM_TEST(test_intake_starves_neither_with_batches_of_one),
              CM_TEST(test_intake_puts_orders_into_a_batch_of_their_own_that_is_always_there));
