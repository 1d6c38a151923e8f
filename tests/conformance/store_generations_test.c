/* The store's contract: generations of an authority that take each other's place. */
#include "tests/conformance/store_fixture.h"

#include "tests/support/test_main.h"

static struct fixture f;
static struct record record;

static int64_t put(int64_t generation, enum cm_generation_state state, int64_t replaces,
                   struct cm_cross_certificate *crosses, uint32_t crosses_count)
{
    struct cm_generation row = fixture_generation(generation);
    row.state = state;
    row.replaces = replaces;
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = &row,
                              .crosses = crosses,
                              .crosses_count = crosses_count,
                              .audit = &fixture_audit };
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    return row.number;
}

static cm_status move(struct cm_transition *transition)
{
    struct cm_store_op op = { .kind = CM_STORE_TRANSITION,
                              .transition = transition,
                              .audit = &fixture_audit };
    return cm_store_apply(f.store, &op, &f.err);
}

static cm_status move_to(int64_t number, enum cm_generation_state to)
{
    struct cm_transition transition = { .number = number, .to = to };
    return move(&transition);
}

struct look {
    int64_t number;
    struct cm_generation found; /* without its spans */
};

static bool look_at(const struct cm_generation *generation, void *arg)
{
    struct look *look = arg;
    if (generation->number == look->number)
        look->found = *generation;
    return true;
}

static struct cm_generation get(int64_t number)
{
    struct look look = { .number = number };
    CU_ASSERT_EQUAL(cm_store_walk_generations(fixture_snapshot(&f), look_at, &look, &f.err), CM_OK);
    return look.found;
}

static enum cm_generation_state state_of(int64_t number)
{
    return get(number).state;
}

/* --------------------------------------------------------------- transitions -- */

static void test_what_is_activated_takes_the_place_of_the_other(void)
{
    fixture_make(&f, "activate");
    int64_t old = put(1, CM_GENERATION_ACTIVE, 0, NULL, 0);
    int64_t beside = put(2, CM_GENERATION_ACTIVE, 0, NULL, 0);
    int64_t next = put(3, CM_GENERATION_PENDING, old, NULL, 0);
    struct cm_transition transition = { .number = next, .to = CM_GENERATION_ACTIVE };
    CU_ASSERT_EQUAL(get(old).active_ms, FIXTURE_TIME_MS);
    CU_ASSERT_EQUAL(get(next).active_ms, 0);
    CU_ASSERT_EQUAL(move(&transition), CM_OK);
    CU_ASSERT_TRUE(transition.changed);
    CU_ASSERT_EQUAL(transition.stopped_number, old);
    CU_ASSERT_EQUAL(state_of(next), CM_GENERATION_ACTIVE);
    CU_ASSERT_EQUAL(state_of(old), CM_GENERATION_RETIRING);
    CU_ASSERT_EQUAL(state_of(beside), CM_GENERATION_ACTIVE);
    CU_ASSERT(get(next).active_ms > 0);
    CU_ASSERT(get(old).stopped_ms > 0);
    CU_ASSERT_EQUAL(get(old).active_ms, FIXTURE_TIME_MS);
    fixture_done(&f);
}

static void test_who_asks_again_changes_nothing(void)
{
    fixture_make(&f, "again");
    int64_t old = put(1, CM_GENERATION_ACTIVE, 0, NULL, 0);
    int64_t next = put(2, CM_GENERATION_PENDING, old, NULL, 0);
    struct cm_transition transition = { .number = next, .to = CM_GENERATION_ACTIVE };
    CU_ASSERT_EQUAL(move(&transition), CM_OK);
    int64_t active_ms = get(next).active_ms;
    CU_ASSERT_EQUAL(move(&transition), CM_OK);
    CU_ASSERT_FALSE(transition.changed);
    CU_ASSERT_EQUAL(transition.stopped_number, 0);
    CU_ASSERT_EQUAL(get(next).active_ms, active_ms);
    fixture_done(&f);
}

static void test_no_state_is_skipped_and_none_comes_back(void)
{
    fixture_make(&f, "arrows");
    int64_t one = put(1, CM_GENERATION_ACTIVE, 0, NULL, 0);
    int64_t other = put(2, CM_GENERATION_PENDING, 0, NULL, 0);
    CU_ASSERT_EQUAL(move_to(one, CM_GENERATION_RETIRED), CM_INVALID);
    CU_ASSERT_EQUAL(move_to(one, CM_GENERATION_PENDING), CM_INVALID);
    CU_ASSERT_EQUAL(move_to(other, CM_GENERATION_RETIRING), CM_INVALID);
    CU_ASSERT_EQUAL(move_to(99, CM_GENERATION_ACTIVE), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(move_to(one, CM_GENERATION_COMPROMISED), CM_OK);
    CU_ASSERT_EQUAL(move_to(one, CM_GENERATION_ACTIVE), CM_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "compromised cannot become active"));
    CU_ASSERT_EQUAL(state_of(one), CM_GENERATION_COMPROMISED);
    fixture_done(&f);
}

static void test_the_last_active_one_goes_only_when_that_is_meant(void)
{
    struct cm_transition last = { .to = CM_GENERATION_RETIRING };
    struct cm_transition over = { .to = CM_GENERATION_RETIRED, .key_fate = CM_KEY_DESTROYED };
    fixture_make(&f, "last");
    last.number = over.number = put(1, CM_GENERATION_ACTIVE, 0, NULL, 0);
    CU_ASSERT_EQUAL(move(&last), CM_DENIED);
    CU_ASSERT_EQUAL(state_of(last.number), CM_GENERATION_ACTIVE);
    last.may_be_last = true;
    CU_ASSERT_EQUAL(move(&last), CM_OK);
    CU_ASSERT_EQUAL(move(&over), CM_OK);
    CU_ASSERT_EQUAL(get(last.number).key_fate, CM_KEY_DESTROYED);
    fixture_done(&f);
}

static void test_what_has_open_promises_is_not_retired(void)
{
    struct cm_intent_item item = { .key = row_key(1), .serial = row_serial(1) };
    struct cm_intent intent = { .created_ms = FIXTURE_TIME_MS, .items = &item, .items_count = 1 };
    struct cm_store_op op = { .kind = CM_STORE_INTENT, .intent = &intent };
    struct cm_store_op close = { .kind = CM_STORE_RECORD,
                                 .intents_closed = &intent.number,
                                 .intents_closed_count = 1,
                                 .audit = &fixture_audit };
    fixture_make(&f, "promised");
    int64_t old = put(1, CM_GENERATION_RETIRING, 0, NULL, 0);
    intent.generation_number = old;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(move_to(old, CM_GENERATION_RETIRED), CM_BUSY);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &close, &f.err), CM_OK);
    CU_ASSERT_EQUAL(move_to(old, CM_GENERATION_RETIRED), CM_OK);
    fixture_done(&f);
}

static void test_nothing_of_a_compromised_key_is_recorded(void)
{
    fixture_make(&f, "compromised");
    int64_t number = put(1, CM_GENERATION_ACTIVE, 0, NULL, 0);
    record_fill(&record, 1, 2);
    record.rows[1].generation_number = number;
    record.rows[0].generation_number = number + 1;
    CU_ASSERT_EQUAL(move_to(number, CM_GENERATION_COMPROMISED), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record.op, &f.err), CM_DENIED);
    CU_ASSERT_EQUAL(record.rows[0].denial, CM_DENIAL_NONE);
    CU_ASSERT_EQUAL(record.rows[1].denial, CM_DENIAL_ISSUER);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 0);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record.op, &f.err), CM_DENIED);
    fixture_done(&f);
}

/* --------------------------------------------------------------------- looks -- */

static bool count_cross(const struct cm_cross_certificate *cross, void *arg)
{
    int64_t *sum = arg;
    *sum += 10 * cross->subject_number + cross->issuer_number;
    return true;
}

static void test_cross_certificates_stand_with_the_new_generation(void)
{
    int64_t sum = 0;
    fixture_make(&f, "crosses");
    int64_t old = put(1, CM_GENERATION_ACTIVE, 0, NULL, 0);
    struct cm_cross_certificate crosses[2] = {
        { .issuer_number = old, .certificate = cm_bytes_str("new with old") },
        { .subject_number = old, .certificate = cm_bytes_str("old with new") },
    };
    int64_t next = put(2, CM_GENERATION_PENDING, old, crosses, 2);
    CU_ASSERT_EQUAL(cm_store_walk_crosses(fixture_snapshot(&f), count_cross, &sum, &f.err), CM_OK);
    CU_ASSERT_EQUAL(sum, 11 * (old + next));
    CU_ASSERT_EQUAL(get(next).replaces, old);
    fixture_done(&f);
}

static void test_the_use_of_a_generation_is_what_it_has_issued(void)
{
    struct cm_generation_use use;
    fixture_make(&f, "use");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    int64_t end_s = 4000000000;
    CU_ASSERT_EQUAL(cm_store_find_use(fixture_snapshot(&f), 1, end_s, &use, &f.err), CM_OK);
    CU_ASSERT_EQUAL(use.certificates, 3);
    CU_ASSERT_EQUAL(use.last_end_s, end_s);
    CU_ASSERT_EQUAL(cm_store_find_use(fixture_snapshot(&f), 1, end_s + 1, &use, &f.err), CM_OK);
    CU_ASSERT_EQUAL(use.certificates, 0);
    CU_ASSERT_EQUAL(cm_store_find_use(fixture_snapshot(&f), 7, 0, &use, &f.err), CM_OK);
    CU_ASSERT_EQUAL(use.last_end_s, 0);
    fixture_done(&f);
}

CM_TEST_SUITE(store_generations, CM_TEST(test_what_is_activated_takes_the_place_of_the_other),
              CM_TEST(test_who_asks_again_changes_nothing),
              CM_TEST(test_no_state_is_skipped_and_none_comes_back),
              CM_TEST(test_the_last_active_one_goes_only_when_that_is_meant),
              CM_TEST(test_what_has_open_promises_is_not_retired),
              CM_TEST(test_nothing_of_a_compromised_key_is_recorded),
              CM_TEST(test_cross_certificates_stand_with_the_new_generation),
              CM_TEST(test_the_use_of_a_generation_is_what_it_has_issued));
