/* Who goes on as a probe, and what was promised to those who wait. */
#include "engine/internal.h"
#include "tests/support/test_main.h"

enum { ENTRIES = 600 };

static struct cm_settings_authority authorities[] = { { .name = "a" }, { .name = "b" } };
static struct cm_settings settings = { .authorities = authorities, .authorities_count = 2 };
static struct cm_issuer_key issuer_keys[] = {
    { .name = "a-1", .authority = &authorities[0], .issues = true, .generation_number = 1 },
    { .name = "b-1", .authority = &authorities[1], .issues = true, .generation_number = 2 },
    { .name = "a-2", .authority = &authorities[0], .issues = true, .generation_number = 3 },
};
static struct cm_issuer_key *const a1 = &issuer_keys[0], *const a2 = &issuer_keys[2];
static struct cm_engine engine;
static struct cm_entry entries[ENTRIES];

static void ignore(struct cm_queue *queue)
{
    (void)queue;
}

static struct cm_entry *detach(struct cm_queue *queue, struct cm_entry *entry)
{
    (void)queue;
    CU_ASSERT_PTR_NULL(entry->backend);
    entry->backend = entry; /* is itself from now on */
    return entry;
}

static unsigned given_back[8], given_back_count;

static void give_back(struct cm_queue *queue, struct cm_entry **given, uint32_t count)
{
    (void)queue;
    CU_ASSERT_TRUE_FATAL(given_back_count < 8);
    given_back[given_back_count++] = count;
    for (uint32_t i = 0; i < count; i++)
        given[i]->backend = NULL;
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    (void)event;
    (void)text;
    (void)arg;
}

/* All keys of a are in trouble, a-1 for longer. */
static void open(void)
{
    static const struct cm_queue_ops ops = {
        .name = "fake", .wanted = ignore, .detach = detach, .give_back = give_back
    };
    static struct cm_queue queue = { .ops = &ops };
    struct cm_error err;
    engine = (struct cm_engine){ .state = CM_ENGINE_IS_RUNNING,
                                 .settings = &settings,
                                 .queue = &queue,
                                 .options = { .on_event = on_event } };
    engine.issuers =
        (struct cm_issuers){ .settings = &settings, .keys = issuer_keys, .keys_count = 3 };
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&engine.loop, &err), CM_OK);
    queue.loop = engine.loop;
    cm_aside_init(&engine);
    cm_spread_init(&engine.spread, &engine.issuers);
    cm_spread_failed(&engine.spread, a1, 1);
    cm_spread_failed(&engine.spread, a2, 2);
    for (int i = 0; i < ENTRIES; i++)
        entries[i] = (struct cm_entry){ .backend = NULL };
}

static void close(void)
{
    cm_spread_signed(&engine.spread, a1);
    cm_aside_look(&engine);
    while (cm_aside_peek(&engine))
        cm_aside_take(&engine);
    cm_aside_done(&engine);
    cm_spread_done(&engine.spread);
    cm_promises_done(&engine.promises);
    cm_loop_free(engine.loop);
}

static struct cm_promise *promise(uint8_t number, const struct cm_issuer_key *issuer)
{
    const struct cm_intent intent = { .number = number,
                                      .generation_number = issuer->generation_number };
    const struct cm_intent_item item = { .key = { .octets = { number } } };
    return cm_promises_add(&engine.promises, &intent, &item);
}

static void put(int number, struct cm_promise *promised)
{
    cm_aside_put(&engine, &entries[number], &authorities[0], promised);
}

/* The one that goes on now, taken out. */
static int next_probe(void)
{
    cm_aside_look(&engine);
    const struct cm_entry *entry = cm_aside_peek(&engine);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    CU_ASSERT_PTR_EQUAL(entry->backend, entry);
    cm_aside_take(&engine);
    CU_ASSERT_PTR_NULL(cm_aside_peek(&engine));
    return (int)(entry - entries);
}

static void test_a_probe_is_who_has_a_promise_of_the_key(void)
{
    open();
    put(0, NULL);
    put(1, promise(1, a2));
    put(2, promise(2, a1));
    put(3, NULL);
    CU_ASSERT_TRUE(cm_aside_has_promised(&engine, a1));
    CU_ASSERT_EQUAL(next_probe(), 2);
    CU_ASSERT_FALSE(cm_aside_has_promised(&engine, a1));
    CU_ASSERT_EQUAL(next_probe(), 0); /* then who has none: nothing of his would be broken */
    CU_ASSERT_EQUAL(next_probe(), 3);
    CU_ASSERT_EQUAL(next_probe(), 1); /* and if there is nobody else, anyone */
    close();
}

static void test_what_another_entry_has_settled_is_no_promise(void)
{
    open();
    struct cm_promise *settled = promise(2, a1);
    put(0, NULL);
    put(1, settled);
    cm_promises_settle(&engine.promises, settled);
    CU_ASSERT_FALSE(cm_aside_has_promised(&engine, a1));
    CU_ASSERT_EQUAL(next_probe(), 0);
    CU_ASSERT_EQUAL(next_probe(), 1);
    close();
}

/* A second entry of the same request came, and went without an answer. */
static void test_what_was_promised_is_not_overdue_while_its_entry_waits(void)
{
    open();
    struct cm_promise *promised = promise(1, a1);
    put(0, promised);
    cm_promise_hold(promised);
    cm_promise_let_go(promised);
    cm_abandon_overdue(&engine); /* or else there would be no store to tell it to */
    CU_ASSERT_EQUAL(engine.promises.open_count, 1);
    CU_ASSERT_EQUAL(promised->holders_count, 1);
    CU_ASSERT_EQUAL(next_probe(), 0);
    CU_ASSERT_EQUAL(promised->holders_count, 0);
    close();
}

static void test_what_is_set_aside_goes_back_many_at_a_time(void)
{
    open();
    given_back_count = 0;
    engine.counters.in_flight = ENTRIES;
    for (int i = 0; i < ENTRIES; i++)
        cm_aside_put(&engine, &entries[i], i % 2 ? &authorities[0] : NULL, NULL);
    cm_aside_give_back(&engine);
    CU_ASSERT_EQUAL_FATAL(given_back_count, 3);
    CU_ASSERT_EQUAL(given_back[0] + given_back[1] + given_back[2], ENTRIES);
    for (int i = 0; i < ENTRIES; i++)
        CU_ASSERT_PTR_NULL(entries[i].backend);
    CU_ASSERT_EQUAL(engine.counters.in_flight, 0);
    CU_ASSERT_EQUAL(engine.counters.given_back, ENTRIES);
    CU_ASSERT_EQUAL(engine.aside.count, 0);
    close();
}

CM_TEST_SUITE(aside, CM_TEST(test_a_probe_is_who_has_a_promise_of_the_key),
              CM_TEST(test_what_another_entry_has_settled_is_no_promise),
              CM_TEST(test_what_was_promised_is_not_overdue_while_its_entry_waits),
              CM_TEST(test_what_is_set_aside_goes_back_many_at_a_time));
