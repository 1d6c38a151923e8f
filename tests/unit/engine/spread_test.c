/* The shortest queue takes the batch; keys in trouble get nothing but probes. */
#include "engine/spread.h"

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

enum { KEYS = 3, A = 0, B = 1 };

/* Two authorities: a has two keys, b one. */
static struct cm_settings_authority authorities[] = { { .name = "a" }, { .name = "b" } };
static struct cm_settings settings = { .authorities = authorities, .authorities_count = 2 };
static struct cm_issuer_key keys[KEYS] = {
    { .name = "a-1", .authority = &authorities[A], .issues = true },
    { .name = "b-1", .authority = &authorities[B], .issues = true },
    { .name = "a-2", .authority = &authorities[A], .issues = true }
};
static struct cm_issuer_key *const a1 = &keys[0], *const b1 = &keys[1], *const a2 = &keys[2];
static struct cm_issuers issuers = { .settings = &settings, .keys = keys };
static struct cm_spread spread;
static uint64_t now_ns;

static void open(uint32_t keys_count)
{
    issuers.keys_count = keys_count;
    now_ns = 1000 * CM_NS_PER_S;
    cm_spread_init(&spread, &issuers);
}

/* Without b there is one authority only. */
static void open_alone(void)
{
    static struct cm_issuer_key alone[2];
    alone[0] = *a1;
    alone[1] = *a2;
    issuers.keys = alone;
    open(2);
}

static void close(void)
{
    cm_spread_done(&spread);
    issuers.keys = keys;
}

/* The choice for a, not settled: the batch is still being composed. */
static struct cm_choice begin(uint32_t items_count)
{
    struct cm_choice choices[2];
    cm_spread_choose(&spread, items_count, now_ns, choices);
    return choices[A];
}

/* The choice for a, settled: all of the batch was for a. */
static struct cm_choice take(uint32_t items_count, bool takes_probe)
{
    struct cm_choice choices[2];
    cm_spread_choose(&spread, items_count, now_ns, choices);
    choices[A].is_probe_taken = takes_probe;
    cm_spread_settle(&spread, items_count, choices);
    if (choices[A].issuer)
        cm_spread_add(&spread, choices[A].issuer, items_count);
    return choices[A];
}

static void test_spread_gives_a_batch_to_the_shortest_queue(void)
{
    open(KEYS);
    const struct cm_issuer_key *first = take(100, false).issuer;
    const struct cm_issuer_key *second = take(10, false).issuer;
    CU_ASSERT_TRUE(first == a1 || first == a2);
    CU_ASSERT_TRUE(second == a1 || second == a2);
    CU_ASSERT_PTR_NOT_EQUAL(first, second);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_PTR_EQUAL(take(10, false).issuer, second);
    cm_spread_remove(&spread, first, 100);
    CU_ASSERT_PTR_EQUAL(take(1, false).issuer, first);
    CU_ASSERT_EQUAL(cm_spread_key(&spread, first)->items_count, 1);
    CU_ASSERT_EQUAL(cm_spread_key(&spread, second)->items_count, 100);
    CU_ASSERT_EQUAL(cm_spread_key(&spread, b1)->items_count, 0);
    close();
}

static void test_spread_rotates_among_equals(void)
{
    int of_first = 0;
    open(KEYS);
    for (int i = 0; i < 10; i++) {
        const struct cm_issuer_key *chosen = take(7, false).issuer;
        cm_spread_remove(&spread, chosen, 7);
        of_first += chosen == a1;
    }
    CU_ASSERT_EQUAL(of_first, 5);
    close();
}

static void test_spread_counts_a_batch_from_the_choice_on(void)
{
    open(KEYS);
    struct cm_choice first = begin(100), second = begin(100);
    CU_ASSERT_PTR_NOT_EQUAL(first.issuer, second.issuer);
    CU_ASSERT_EQUAL(cm_spread_key(&spread, first.issuer)->items_count, 100);
    /* Nobody knows yet that none of them is for b. */
    CU_ASSERT_EQUAL(cm_spread_key(&spread, b1)->items_count, 200);
    close();
}

/* Of two keys the second takes three times as long for a batch: it gets a third of the first's. */
static void test_spread_shares_follow_speed_without_a_rate_being_named(void)
{
    enum { IN_FLIGHT = 8, BATCHES = 400, SLOW = 3 };
    const struct cm_issuer_key *work[2][IN_FLIGHT];
    uint32_t queued[2] = { 0 }, done[2] = { 0 }, ticks[2] = { 0 };
    open(KEYS);
    for (uint32_t begun = 0, in_flight = 0; done[0] + done[1] < BATCHES;) {
        for (; begun < BATCHES && in_flight < IN_FLIGHT; begun++, in_flight++) {
            const struct cm_issuer_key *chosen = take(50, false).issuer;
            int k = chosen == a2;
            work[k][queued[k]++] = chosen;
        }
        for (int k = 0; k < 2; k++) {
            if (queued[k] == 0 || ++ticks[k] < (k ? SLOW : 1))
                continue;
            ticks[k] = 0;
            cm_spread_remove(&spread, work[k][--queued[k]], 50);
            done[k]++;
            in_flight--;
        }
    }
    CU_ASSERT_TRUE(done[0] >= BATCHES * 7 / 10 && done[0] <= BATCHES * 8 / 10);
    close();
}

static void test_spread_gives_nothing_to_a_key_in_trouble_but_a_probe_at_times(void)
{
    open(KEYS);
    cm_spread_failed(&spread, a1, now_ns);
    CU_ASSERT_TRUE(cm_spread_has_better(&spread, a1));
    CU_ASSERT_FALSE(cm_spread_has_better(&spread, a2));
    for (int i = 0; i < 5; i++) {
        struct cm_choice choice = take(100, true);
        CU_ASSERT_PTR_EQUAL(choice.issuer, a2);
        CU_ASSERT_PTR_NULL(choice.probe);
    }
    now_ns += CM_PROBE_MS * CM_NS_PER_MS;
    CU_ASSERT_PTR_EQUAL(take(100, true).probe, a1);
    CU_ASSERT_PTR_NULL(take(100, true).probe);
    now_ns += CM_PROBE_MS * CM_NS_PER_MS;
    CU_ASSERT_PTR_EQUAL(take(100, false).probe, a1);
    CU_ASSERT_PTR_EQUAL(take(100, true).probe, a1); /* nobody took the last one */
    /* The one that is out is enough, however long it takes. */
    cm_spread_add(&spread, a1, 1);
    now_ns += 10 * CM_PROBE_MS * CM_NS_PER_MS;
    CU_ASSERT_PTR_NULL(take(100, true).probe);
    cm_spread_remove(&spread, a1, 1);
    CU_ASSERT_PTR_EQUAL(take(100, true).probe, a1);
    CU_ASSERT_TRUE(cm_spread_signed(&spread, a1));
    CU_ASSERT_FALSE(cm_spread_signed(&spread, a1));
    CU_ASSERT_PTR_EQUAL(take(1, false).issuer, a1);
    close();
}

static void test_spread_keeps_out_the_requests_of_an_authority_that_is_away(void)
{
    open(KEYS);
    cm_spread_failed(&spread, a1, now_ns);
    CU_ASSERT_FALSE(cm_spread_is_away(&spread, &authorities[A]));
    cm_spread_failed(&spread, a2, now_ns + 1);
    CU_ASSERT_TRUE(cm_spread_is_away(&spread, &authorities[A]));
    CU_ASSERT_FALSE(cm_spread_is_away(&spread, &authorities[B]));
    CU_ASSERT_FALSE(cm_spread_has_better(&spread, a1));
    CU_ASSERT_PTR_NULL(take(10, true).issuer);
    CU_ASSERT_PTR_NULL(cm_spread_probe(&spread, &authorities[A], now_ns));
    now_ns += CM_PROBE_MS * CM_NS_PER_MS + 1;
    CU_ASSERT_PTR_NOT_NULL(cm_spread_probe(&spread, &authorities[A], now_ns));
    struct cm_choice first = take(10, true), second = take(10, true);
    CU_ASSERT_PTR_EQUAL(first.probe, a1); /* in turn: either may be back first */
    CU_ASSERT_PTR_EQUAL(second.probe, a2);
    CU_ASSERT_PTR_NULL(first.issuer);
    cm_spread_signed(&spread, a2);
    CU_ASSERT_PTR_EQUAL(take(10, true).issuer, a2);
    close();
}

static void test_spread_lets_the_only_authority_wait_on_its_keys(void)
{
    open_alone();
    cm_spread_failed(&spread, &issuers.keys[0], now_ns);
    cm_spread_failed(&spread, &issuers.keys[1], now_ns);
    const struct cm_issuer_key *first = take(10, false).issuer, *second = take(10, false).issuer;
    CU_ASSERT_PTR_NOT_NULL(first);
    CU_ASSERT_PTR_NOT_NULL(second);
    CU_ASSERT_PTR_NOT_EQUAL(first, second);
    close();
}

/* Neither for a batch, nor as a probe; and an authority that issues nothing is no second one. */
static void test_spread_never_chooses_a_key_that_issues_nothing(void)
{
    a2->issues = b1->issues = false;
    open(KEYS);
    CU_ASSERT_FALSE(spread.has_several);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_PTR_EQUAL(take(10, false).issuer, a1);
    cm_spread_failed(&spread, a1, now_ns);
    cm_spread_failed(&spread, a2, now_ns);
    now_ns += 10 * CM_PROBE_MS * CM_NS_PER_MS;
    CU_ASSERT_PTR_EQUAL(take(10, false).issuer, a1);
    CU_ASSERT_TRUE(cm_spread_is_away(&spread, &authorities[A]));
    cm_spread_remove(&spread, a1, 50);
    CU_ASSERT_PTR_EQUAL(cm_spread_probe(&spread, &authorities[A], now_ns), a1);
    close();
    a2->issues = b1->issues = true;
}

CM_TEST_SUITE(spread, CM_TEST(test_spread_gives_a_batch_to_the_shortest_queue),
              CM_TEST(test_spread_rotates_among_equals),
              CM_TEST(test_spread_counts_a_batch_from_the_choice_on),
              CM_TEST(test_spread_shares_follow_speed_without_a_rate_being_named),
              CM_TEST(test_spread_gives_nothing_to_a_key_in_trouble_but_a_probe_at_times),
              CM_TEST(test_spread_keeps_out_the_requests_of_an_authority_that_is_away),
              CM_TEST(test_spread_lets_the_only_authority_wait_on_its_keys),
              CM_TEST(test_spread_never_chooses_a_key_that_issues_nothing));
