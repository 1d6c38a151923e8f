/*
 * The pace against vaults that are simulated by the nanosecond: one counts in fixed windows of ten
 * seconds, one in a sliding window, and others may use them too. No clock is read, no time passes.
 */
#include "providers/keyvault/pace.h"
#include "engine/base/clock.h"
#include "tests/support/test_main.h"

#include <stdio.h>

#define START_NS  (1000 * CM_NS_PER_S)
#define WINDOW_NS (10 * CM_NS_PER_S)

enum { COST_US = 5000, IN_FLIGHT_MAX = 256, WINDOW_COUNT = 2000 };

/* ------------------------------------------------------------------ the simulated vault -- */

struct service {
    bool is_sliding;
    uint64_t phase_ns;                  /* where fixed windows begin */
    uint64_t window;                    /* number of the fixed window */
    uint32_t count;                     /* in it */
    uint64_t accepted_ns[WINDOW_COUNT]; /* sliding: a ring */
    uint64_t accepted_count;
};

static bool service_accepts(struct service *service, uint64_t now_ns)
{
    uint64_t *oldest_ns = &service->accepted_ns[service->accepted_count % WINDOW_COUNT];
    uint64_t window = (now_ns + service->phase_ns) / WINDOW_NS;
    if (service->is_sliding) {
        if (service->accepted_count >= WINDOW_COUNT && now_ns - *oldest_ns < WINDOW_NS)
            return false;
        *oldest_ns = now_ns;
        service->accepted_count++;
        return true;
    }
    if (window != service->window)
        service->count = 0;
    service->window = window;
    return service->count < WINDOW_COUNT && ++service->count;
}

/* ------------------------------------------------------------------ one client of it -- */

struct flight {
    uint64_t sent_ns, back_ns;
};

struct simulation {
    struct service own, *service; /* another simulation may use it too */
    struct cm_pace pace;
    uint64_t now_ns;
    uint64_t others_ns;       /* the others' next request; UINT64_MAX: none */
    uint64_t others_every_ns; /* between two of theirs */
    bool says_when;           /* 429 comes with Retry-After */
    struct flight flights[IN_FLIGHT_MAX];
    uint32_t flights_count;
    uint64_t may_take_ns; /* when to ask the pace again */
    uint64_t random;
    /* what came of it */
    uint64_t accepted_count, throttled_count, others_count;
};

static void simulation_init(struct simulation *simulation, bool is_sliding, uint64_t seed)
{
    *simulation = (struct simulation){
        .own = { .is_sliding = is_sliding, .phase_ns = seed * 1234567891 % WINDOW_NS },
        .now_ns = START_NS,
        .others_ns = UINT64_MAX,
        .may_take_ns = START_NS,
        .random = seed,
    };
    simulation->service = &simulation->own;
    cm_pace_init(&simulation->pace, 0, false, IN_FLIGHT_MAX, START_NS, seed);
}

/* 5 to 40 ms. */
static uint64_t latency_ns(struct simulation *simulation)
{
    simulation->random = simulation->random * 6364136223846793005u + 1442695040888963407u;
    return (5000 + (simulation->random >> 33) % 35001) * 1000;
}

static void simulation_take(struct simulation *simulation)
{
    uint64_t wait_ns = cm_pace_take(&simulation->pace, COST_US, simulation->now_ns);
    if (wait_ns > 0) {
        simulation->may_take_ns =
            wait_ns == CM_PACE_WHEN_ONE_COMES_BACK ? UINT64_MAX : simulation->now_ns + wait_ns;
        return;
    }
    CU_ASSERT_FATAL(simulation->flights_count < IN_FLIGHT_MAX);
    simulation->flights[simulation->flights_count++] =
        (struct flight){ simulation->now_ns, simulation->now_ns + latency_ns(simulation) };
}

/* The vault decides at the last moment: requests overtake one another by up to 35 ms. */
static void simulation_give(struct simulation *simulation, uint32_t index)
{
    struct service *service = simulation->service;
    struct cm_pace_answer answer = { .sent_ns = simulation->flights[index].sent_ns };
    simulation->flights[index] = simulation->flights[--simulation->flights_count];
    if (service_accepts(service, simulation->now_ns)) {
        answer.outcome = CM_PACE_SUCCEEDED;
        simulation->accepted_count++;
    } else {
        answer.outcome = CM_PACE_THROTTLED;
        simulation->throttled_count++;
        if (simulation->says_when)
            answer.retry_after_ms =
                (uint32_t)(10 - (simulation->now_ns + service->phase_ns) % WINDOW_NS / CM_NS_PER_S)
                * 1000;
    }
    CU_ASSERT_FALSE(cm_pace_give(&simulation->pace, &answer, simulation->now_ns));
    if (simulation->may_take_ns == UINT64_MAX)
        simulation->may_take_ns = simulation->now_ns;
}

static uint32_t first_back(const struct simulation *simulation)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < simulation->flights_count; i++)
        if (simulation->flights[i].back_ns < simulation->flights[first].back_ns)
            first = i;
    return first;
}

/* When the next thing happens. */
static uint64_t simulation_next_ns(const struct simulation *simulation)
{
    uint64_t next_ns = simulation->others_ns;
    if (simulation->may_take_ns < next_ns)
        next_ns = simulation->may_take_ns;
    if (simulation->flights_count > 0
        && simulation->flights[first_back(simulation)].back_ns < next_ns)
        next_ns = simulation->flights[first_back(simulation)].back_ns;
    return next_ns;
}

static void simulation_step(struct simulation *simulation)
{
    uint64_t next_ns = simulation->now_ns = simulation_next_ns(simulation);
    uint32_t first = first_back(simulation);
    if (simulation->flights_count > 0 && next_ns == simulation->flights[first].back_ns) {
        simulation_give(simulation, first);
    } else if (next_ns == simulation->others_ns) {
        simulation->others_count += service_accepts(simulation->service, next_ns);
        simulation->others_ns += simulation->others_every_ns;
    } else {
        simulation_take(simulation);
    }
}

static void simulation_run(struct simulation *simulation, uint64_t seconds)
{
    uint64_t end_ns = simulation->now_ns + seconds * CM_NS_PER_S;
    while (simulation_next_ns(simulation) < end_ns)
        simulation_step(simulation);
    simulation->now_ns = end_ns;
}

/* Two at one vault, in the order of time. */
static void simulation_run_both(struct simulation *a, struct simulation *b, uint64_t seconds)
{
    uint64_t end_ns = a->now_ns + seconds * CM_NS_PER_S;
    for (;;) {
        uint64_t a_ns = simulation_next_ns(a), b_ns = simulation_next_ns(b);
        if (a_ns >= end_ns && b_ns >= end_ns)
            break;
        simulation_step(a_ns <= b_ns ? a : b);
    }
    a->now_ns = b->now_ns = end_ns;
}

static void others_begin(struct simulation *simulation, uint64_t rate_per_s)
{
    simulation->others_every_ns = CM_NS_PER_S / rate_per_s;
    simulation->others_ns = simulation->now_ns;
}

/* Per mille of what could be had. */
static unsigned used(uint64_t accepted_count, uint64_t possible)
{
    return (unsigned)(accepted_count * 1000 / possible);
}

/* ------------------------------------------------------------------ simulations -- */

static void test_pace_alone_uses_what_is_permitted_and_is_never_throttled(void)
{
    unsigned least = 1000;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct simulation simulation;
        simulation_init(&simulation, seed % 2, seed);
        simulation_run(&simulation, 60);
        unsigned came = used(simulation.accepted_count, 60 * WINDOW_COUNT / 10);
        CU_ASSERT_EQUAL(simulation.throttled_count, 0);
        CU_ASSERT_TRUE(came >= 980);
        least = came < least ? came : least;
    }
    printf("(alone, 60 s: %u.%u %%) ", least / 10, least % 10);
}

static void share_with_others(bool is_sliding, bool says_when, uint64_t before_s)
{
    unsigned least = 1000, least_late = 1000;
    uint64_t throttled = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simulation simulation;
        simulation_init(&simulation, is_sliding, seed);
        simulation.says_when = says_when;
        simulation_run(&simulation, before_s);
        others_begin(&simulation, 100);
        uint64_t before = simulation.accepted_count, half;
        simulation_run(&simulation, 60);
        half = simulation.accepted_count;
        simulation_run(&simulation, 60);
        unsigned came = used(simulation.accepted_count - before, 120 * 100);
        unsigned late = used(simulation.accepted_count - half, 60 * 100);
        least = came < least ? came : least;
        least_late = late < least_late ? late : least_late;
        throttled += simulation.throttled_count;
        CU_ASSERT_TRUE(came >= 880);
        CU_ASSERT_TRUE(simulation.others_count >= 120 * 80);
    }
    CU_ASSERT_TRUE(throttled / 20 <= 30);
    printf("(%s: %u.%u %%, second minute %u.%u %%, %u refused) ", is_sliding ? "sliding" : "fixed",
           least / 10, least % 10, least_late / 10, least_late % 10, (unsigned)(throttled / 20));
}

static void test_pace_shares_a_vault_with_others(void)
{
    share_with_others(false, false, 33);
    share_with_others(true, false, 33);
    share_with_others(false, true, 33);
    share_with_others(false, false, 0);
    share_with_others(true, false, 0);
}

/* What was saved up while nobody asked is little enough for every window. */
static void test_pace_alone_is_not_throttled_after_a_pause(void)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct simulation simulation;
        simulation_init(&simulation, seed % 2, seed);
        for (unsigned i = 0; i < 40; i++) {
            simulation_run(&simulation, 1 + (seed + i) % 9);
            simulation.may_take_ns =
                simulation.now_ns + (i * 377 + seed * 91) % 4000 * CM_NS_PER_MS;
        }
        CU_ASSERT_EQUAL(simulation.throttled_count, 0);
    }
}

static void test_pace_takes_back_what_others_leave(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct simulation simulation;
        simulation_init(&simulation, seed % 2, seed);
        others_begin(&simulation, 100);
        simulation_run(&simulation, 120);
        CU_ASSERT_TRUE(cm_pace_share(&simulation.pace, simulation.now_ns) < 0.6);
        simulation.others_ns = UINT64_MAX;
        simulation_run(&simulation, 180);
        CU_ASSERT_TRUE(cm_pace_share(&simulation.pace, simulation.now_ns) > 0.98);
    }
}

/* Two engines that know nothing of each other, the second one a minute after the first. */
static void test_pace_shares_a_vault_with_itself(void)
{
    unsigned least = 1000, least_fair = 1000;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simulation first, second;
        simulation_init(&first, seed % 2, seed);
        simulation_init(&second, seed % 2, seed + 1000);
        second.service = &first.own;
        simulation_run(&first, 60);
        second.now_ns = second.may_take_ns = first.now_ns;
        simulation_run_both(&first, &second, 120);
        uint64_t before = first.accepted_count, second_before = second.accepted_count;
        simulation_run_both(&first, &second, 240);
        before = first.accepted_count - before;
        second_before = second.accepted_count - second_before;
        unsigned together = used(before + second_before, 240 * 200);
        unsigned fair = used(before < second_before ? before : second_before, 240 * 100);
        least = together < least ? together : least;
        least_fair = fair < least_fair ? fair : least_fair;
        CU_ASSERT_TRUE(together >= 900);
        CU_ASSERT_TRUE(fair >= 700);
    }
    printf("(together at least %u.%u %%, the weaker one %u.%u %% of its half) ", least / 10,
           least % 10, least_fair / 10, least_fair % 10);
}

/* Whoever is let through again after a long time has not forgotten how to use it. */
static void test_pace_of_a_vault_that_gives_nothing_falls_and_comes_back(void)
{
    struct simulation simulation;
    simulation_init(&simulation, true, 1);
    others_begin(&simulation, 100000);
    simulation_run(&simulation, 120);
    CU_ASSERT_TRUE(cm_pace_share(&simulation.pace, simulation.now_ns) >= 0.05);
    simulation.others_ns = UINT64_MAX;
    simulation_run(&simulation, 260);
    CU_ASSERT_TRUE(cm_pace_share(&simulation.pace, simulation.now_ns) > 0.98);
}

/* ------------------------------------------------------------------ by hand -- */

static struct cm_pace pace;

static void pace_init(uint32_t in_flight_max)
{
    cm_pace_init(&pace, 0, false, in_flight_max, START_NS, 42);
}

static bool give_sent(enum cm_pace_outcome outcome, uint64_t sent_ns, uint64_t now_ns,
                      uint32_t retry_after_ms)
{
    struct cm_pace_answer answer = { outcome, sent_ns, retry_after_ms };
    return cm_pace_give(&pace, &answer, now_ns);
}

/* One that leaves now, at no cost, and comes back with this 10 ms later. */
static bool ask(enum cm_pace_outcome outcome, uint64_t now_ns)
{
    CU_ASSERT_EQUAL_FATAL(cm_pace_take(&pace, 0, now_ns), 0);
    return give_sent(outcome, now_ns, now_ns + 10 * CM_NS_PER_MS, 0);
}

static bool is_about(uint64_t wait_ns, uint64_t s)
{
    return wait_ns >= s * CM_NS_PER_S && wait_ns <= s * CM_NS_PER_S * 6 / 5;
}

static void test_pace_stops_for_longer_while_429_keeps_coming(void)
{
    static const uint64_t expected_s[] = { 1, 2, 4, 8, 16, 16, 16 };
    uint64_t now_ns = START_NS;
    pace_init(10);
    for (size_t i = 0; i < sizeof expected_s / sizeof expected_s[0]; i++) {
        CU_ASSERT_FALSE(ask(CM_PACE_THROTTLED, now_ns));
        now_ns += 10 * CM_NS_PER_MS;
        uint64_t wait_ns = cm_pace_take(&pace, 0, now_ns);
        CU_ASSERT_TRUE(is_about(wait_ns, expected_s[i]));
        CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns + wait_ns - 1), 1);
        now_ns += wait_ns;
    }
    CU_ASSERT_TRUE(cm_pace_share(&pace, now_ns) >= 0.05);
    CU_ASSERT_FALSE(ask(CM_PACE_SUCCEEDED, now_ns));
    now_ns += CM_NS_PER_S;
    CU_ASSERT_FALSE(ask(CM_PACE_THROTTLED, now_ns));
    CU_ASSERT_TRUE(is_about(cm_pace_take(&pace, 0, now_ns + 10 * CM_NS_PER_MS), 1));
    CU_ASSERT_EQUAL(pace.throttled_count, 8);
    CU_ASSERT_EQUAL(pace.failed_count, 0);
}

/* Many that were stopped at the same moment do not come back at the same moment. */
static void test_pace_of_each_seed_comes_back_at_another_time(void)
{
    enum { SEEDS = 20 };
    unsigned waits_differ = 0, probes_differ = 0;
    uint64_t first_wait_ns = 0, first_probe_ns = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        cm_pace_init(&pace, 0, false, 10, START_NS, seed);
        ask(CM_PACE_THROTTLED, START_NS);
        uint64_t wait_ns = cm_pace_take(&pace, 0, START_NS + 10 * CM_NS_PER_MS);
        cm_pace_init(&pace, 0, false, 10, START_NS, seed);
        for (unsigned i = 0; i < 8; i++)
            ask(CM_PACE_FAILED, START_NS);
        uint64_t probe_ns = cm_pace_take_probe(&pace, START_NS + 10 * CM_NS_PER_MS);
        CU_ASSERT_TRUE(is_about(wait_ns, 1));
        CU_ASSERT_TRUE(is_about(probe_ns, 1));
        first_wait_ns = seed == 0 ? wait_ns : first_wait_ns;
        first_probe_ns = seed == 0 ? probe_ns : first_probe_ns;
        waits_differ += wait_ns != first_wait_ns;
        probes_differ += probe_ns != first_probe_ns;
    }
    CU_ASSERT_TRUE(waits_differ > 0);
    CU_ASSERT_TRUE(probes_differ > 0);
}

static void test_pace_takes_a_burst_of_429_for_one(void)
{
    uint64_t now_ns = START_NS;
    double share = 0;
    pace_init(100);
    for (unsigned i = 0; i < 100; i++)
        CU_ASSERT_EQUAL_FATAL(cm_pace_take(&pace, 0, now_ns + i * CM_NS_PER_MS), 0);
    for (unsigned i = 0; i < 99; i++) {
        give_sent(CM_PACE_THROTTLED, now_ns + i * CM_NS_PER_MS, now_ns + (100 + i) * CM_NS_PER_MS,
                  0);
        if (i == 0)
            share = cm_pace_share(&pace, now_ns);
    }
    CU_ASSERT_EQUAL(pace.throttled_count, 99);
    CU_ASSERT_EQUAL(pace.stops_in_row, 1);
    CU_ASSERT_EQUAL(share, cm_pace_share(&pace, now_ns));
    now_ns += 100 * CM_NS_PER_MS;
    CU_ASSERT_TRUE(is_about(cm_pace_take(&pace, 0, now_ns), 1));
    /* One of the burst comes when all is over, and is no new event. */
    now_ns += 2 * CM_NS_PER_S;
    give_sent(CM_PACE_THROTTLED, START_NS + 99 * CM_NS_PER_MS, now_ns, 0);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns), 0);
}

static void test_pace_believes_a_success_that_left_after_the_stop_only(void)
{
    uint64_t now_ns = START_NS;
    pace_init(10);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns), 0);
    ask(CM_PACE_THROTTLED, now_ns);
    give_sent(CM_PACE_SUCCEEDED, now_ns, now_ns + 20 * CM_NS_PER_MS, 0);
    now_ns += 2 * CM_NS_PER_S;
    ask(CM_PACE_THROTTLED, now_ns);
    CU_ASSERT_TRUE(is_about(cm_pace_take(&pace, 0, now_ns + 10 * CM_NS_PER_MS), 2));
}

static void test_pace_stops_for_as_long_as_the_vault_says(void)
{
    pace_init(10);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS), 0);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS), 0);
    give_sent(CM_PACE_THROTTLED, START_NS, START_NS + 1, 7000);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + 1), 7 * CM_NS_PER_S);
    /* Of the same event, but it knows better. */
    give_sent(CM_PACE_THROTTLED, START_NS, START_NS + CM_NS_PER_S, 9000);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + CM_NS_PER_S), 9 * CM_NS_PER_S);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + 10 * CM_NS_PER_S), 0);
}

static void test_pace_never_has_more_in_flight_than_it_may(void)
{
    pace_init(3);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(cm_pace_take(&pace, COST_US, START_NS + CM_NS_PER_S), 0);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + CM_NS_PER_S), CM_PACE_WHEN_ONE_COMES_BACK);
    give_sent(CM_PACE_NO_MATTER, START_NS, START_NS + CM_NS_PER_S, 0);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + CM_NS_PER_S), 0);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + CM_NS_PER_S), CM_PACE_WHEN_ONE_COMES_BACK);
    /* A vault that is slow enough never is asked for more. */
    struct simulation simulation;
    simulation_init(&simulation, false, 1);
    simulation.pace.in_flight_max = 2;
    simulation_run(&simulation, 10);
    CU_ASSERT_TRUE(simulation.flights_count <= 2);
    CU_ASSERT_TRUE(simulation.accepted_count > 500 && simulation.accepted_count < 1200);
}

/* ------------------------------------------------------------------ circuit -- */

static uint64_t open_circuit(void)
{
    pace_init(100);
    for (unsigned i = 0; i < 7; i++)
        CU_ASSERT_FALSE(ask(CM_PACE_FAILED, START_NS));
    CU_ASSERT_TRUE(ask(CM_PACE_FAILED, START_NS));
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS + CM_NS_PER_S), CM_PACE_WHEN_ONE_COMES_BACK);
    return START_NS + 10 * CM_NS_PER_MS;
}

/* 503 with Retry-After: the vault is not there, and nobody was too fast. */
static void test_pace_stops_for_as_long_as_a_failure_says(void)
{
    pace_init(100);
    CU_ASSERT_FALSE(ask(CM_PACE_THROTTLED, START_NS));
    uint64_t now_ns = START_NS + 100 * CM_NS_PER_S;
    double share = cm_pace_share(&pace, now_ns + CM_NS_PER_S);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns), 0);
    CU_ASSERT_FALSE(give_sent(CM_PACE_FAILED, now_ns, now_ns, 7000));
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns), 7 * CM_NS_PER_S);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns + 3 * CM_NS_PER_S), 4 * CM_NS_PER_S);
    CU_ASSERT_EQUAL(cm_pace_share(&pace, now_ns + CM_NS_PER_S), share);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns + 7 * CM_NS_PER_S), 0);
    /* Nor does a probe go earlier. */
    now_ns = open_circuit();
    now_ns += cm_pace_take_probe(&pace, now_ns);
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 0);
    CU_ASSERT_FALSE(give_sent(CM_PACE_FAILED, now_ns, now_ns, 50000));
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 50 * CM_NS_PER_S);
}

static void test_pace_counts_failures_in_a_row_only(void)
{
    pace_init(100);
    for (unsigned i = 0; i < 40; i++)
        CU_ASSERT_FALSE(ask(i % 8 == 7 ? CM_PACE_SUCCEEDED : CM_PACE_FAILED, START_NS));
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_FALSE(ask(CM_PACE_NO_MATTER, START_NS));
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS), 0);
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, START_NS), CM_PACE_WHEN_ONE_COMES_BACK);
    CU_ASSERT_EQUAL(pace.failed_count, 35);
}

static void test_pace_probes_more_and_more_seldom_until_the_vault_is_back(void)
{
    static const uint64_t expected_s[] = { 1, 2, 4, 8, 16, 30, 30, 30 };
    uint64_t now_ns = open_circuit();
    for (size_t i = 0; i < sizeof expected_s / sizeof expected_s[0]; i++) {
        uint64_t wait_ns = cm_pace_take_probe(&pace, now_ns);
        CU_ASSERT_TRUE(is_about(wait_ns, expected_s[i]));
        now_ns += wait_ns;
        CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 0);
        CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), CM_PACE_WHEN_ONE_COMES_BACK);
        CU_ASSERT_FALSE(give_sent(CM_PACE_FAILED, now_ns, now_ns + CM_NS_PER_S, 0));
        now_ns += CM_NS_PER_S;
    }
    now_ns += 100 * CM_NS_PER_S;
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 0);
    CU_ASSERT_TRUE(give_sent(CM_PACE_SUCCEEDED, now_ns, now_ns + 1, 0));
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns + 1), 0);
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns + 1), CM_PACE_WHEN_ONE_COMES_BACK);
    /* Eight new ones are needed, and the first probe comes soon again. */
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(ask(CM_PACE_FAILED, now_ns + 1), i == 7);
    CU_ASSERT_TRUE(is_about(cm_pace_take_probe(&pace, now_ns + 1 + 10 * CM_NS_PER_MS), 1));
}

static void test_pace_tells_probes_from_what_left_before(void)
{
    pace_init(100);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS), 0);
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, START_NS), 0);
    for (unsigned i = 0; i < 8; i++)
        ask(CM_PACE_FAILED, START_NS);
    uint64_t now_ns = START_NS + 2 * CM_NS_PER_S;
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 0);
    CU_ASSERT_FALSE(give_sent(CM_PACE_FAILED, START_NS, now_ns, 0));
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns + 60 * CM_NS_PER_S),
                    CM_PACE_WHEN_ONE_COMES_BACK);
    /* A late answer shows as well as a probe's that the vault answers. */
    CU_ASSERT_TRUE(give_sent(CM_PACE_SUCCEEDED, START_NS, now_ns + 1, 0));
    CU_ASSERT_FALSE(give_sent(CM_PACE_FAILED, now_ns, now_ns + 2, 0));
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns + 2), 0);
}

/* 401 and 429 come from somebody. */
static void test_pace_takes_any_answer_to_a_probe_for_life(void)
{
    uint64_t now_ns = open_circuit() + 2 * CM_NS_PER_S;
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 0);
    CU_ASSERT_TRUE(give_sent(CM_PACE_NO_MATTER, now_ns, now_ns, 0));
    CU_ASSERT_EQUAL(cm_pace_take(&pace, 0, now_ns), 0);
    now_ns = open_circuit() + 2 * CM_NS_PER_S;
    CU_ASSERT_EQUAL(cm_pace_take_probe(&pace, now_ns), 0);
    CU_ASSERT_TRUE(give_sent(CM_PACE_THROTTLED, now_ns, now_ns, 0));
    CU_ASSERT_TRUE(is_about(cm_pace_take(&pace, 0, now_ns), 1));
}

/* ------------------------------------------------------------------ costs, figures, words -- */

static void test_pace_knows_what_operations_cost(void)
{
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_P256, 256, true, false), 5000);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_P521, 521, false, false), 2500);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_RSA, 2048, true, false), 5000);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_RSA, 3072, true, false), 20000);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_RSA, 4096, true, false), 40000);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_RSA, 4096, false, false), 20000);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_P256, 256, true, true), 3030);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_P384, 384, true, true), 6250);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_P521, 521, true, true), 5000);
    CU_ASSERT_EQUAL(cm_pace_cost_us(CM_KEY_RSA, 4096, true, true), 6666);
}

/* How many of this cost go in a minute when nothing else limits them. */
static unsigned taken_in_a_minute(uint32_t rate, bool is_managed_hsm, uint32_t cost_us)
{
    unsigned count = 0;
    uint64_t now_ns = START_NS;
    cm_pace_init(&pace, rate, is_managed_hsm, UINT32_MAX, now_ns, 1);
    while (now_ns < START_NS + 60 * CM_NS_PER_S) {
        uint64_t wait_ns = cm_pace_take(&pace, cost_us, now_ns);
        count += wait_ns == 0;
        now_ns += wait_ns;
    }
    return count;
}

static void test_pace_weighs_operations(void)
{
    CU_ASSERT_EQUAL(taken_in_a_minute(0, false, 5000) / 100, 118);
    CU_ASSERT_EQUAL(taken_in_a_minute(0, false, 2500) / 100, 236);
    CU_ASSERT_EQUAL(taken_in_a_minute(0, false, 40000) / 10, 148);
    CU_ASSERT_EQUAL(taken_in_a_minute(400, false, 5000) / 100, 236);
    CU_ASSERT_EQUAL(taken_in_a_minute(1, false, 5000), 60);
    CU_ASSERT_EQUAL(taken_in_a_minute(0, true, 3030) / 100, 195);
    CU_ASSERT_EQUAL(taken_in_a_minute(660, true, 3030) / 100, 390);
}

static void test_pace_tells_its_figures(void)
{
    struct cm_provider_pace figures = { .waiting = 3, .in_flight = 1, .latency_us_median = 1 };
    uint64_t now_ns = START_NS;
    pace_init(2000);
    cm_pace_tell(&pace, now_ns, &figures);
    CU_ASSERT_EQUAL(figures.rate_per_s, 197);
    CU_ASSERT_EQUAL(figures.latency_us_median, 1);
    for (unsigned i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL_FATAL(cm_pace_take(&pace, 0, now_ns), 0);
    for (unsigned i = 1; i < 1000; i++)
        give_sent(CM_PACE_SUCCEEDED, now_ns, now_ns + i * 1000, 0);
    cm_pace_tell(&pace, now_ns, &figures);
    CU_ASSERT_EQUAL(figures.rate_per_s, 2 * 197);
    CU_ASSERT_EQUAL(figures.waiting, 3);
    CU_ASSERT_EQUAL(figures.in_flight, 2);
    CU_ASSERT_EQUAL(figures.succeeded_count, 999);
    CU_ASSERT_EQUAL(figures.latency_us_median, 999 - 256 + 1 + 128);
    CU_ASSERT_EQUAL(figures.latency_us_p99, 999 - 256 + 1 + 253);
    give_sent(CM_PACE_THROTTLED, now_ns, now_ns, 0);
    figures = (struct cm_provider_pace){ 0 };
    cm_pace_tell(&pace, now_ns, &figures);
    CU_ASSERT_EQUAL(figures.rate_per_s, 0);
    CU_ASSERT_EQUAL(figures.throttled_count, 1);
    open_circuit();
    cm_pace_tell(&pace, now_ns + CM_NS_PER_S, &figures);
    CU_ASSERT_EQUAL(figures.rate_per_s, 0);
    CU_ASSERT_EQUAL(figures.circuits_open, 1);
    CU_ASSERT_EQUAL(figures.failed_count, 8);
}

static void test_pace_reads_when_to_come_again(void)
{
    const int64_t now_s = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("7", now_s), 7000);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms(" 10\t", now_s), 10000);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("3600", now_s), 3600000);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("99999999999999999999999", now_s), 3600000);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Sun, 06 Nov 1994 08:49:47 GMT", now_s), 10000);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Fri, 31 Dec 9999 23:59:59 GMT", now_s), 3600000);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Sun, 06 Nov 1994 08:49:27 GMT", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Mon, 01 Jan 0000 00:00:00 GMT", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Sun, 06 Nox 1995 08:49:47 GMT", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Sun, 06 Nov 1995 08:49:4x GMT", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("Sun, 06 Nov 1995 08:49:47 CET", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("  ", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("0", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("-5", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("1.5", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms("5 s", now_s), 0);
    CU_ASSERT_EQUAL(cm_pace_retry_after_ms(
                        "11111111111111111111111111111111111111111111111111111111111111111", now_s),
                    0);
}

CM_TEST_SUITE(keyvault_pace, CM_TEST(test_pace_alone_uses_what_is_permitted_and_is_never_throttled),
              CM_TEST(test_pace_alone_is_not_throttled_after_a_pause),
              CM_TEST(test_pace_shares_a_vault_with_others),
              CM_TEST(test_pace_shares_a_vault_with_itself),
              CM_TEST(test_pace_takes_back_what_others_leave),
              CM_TEST(test_pace_of_a_vault_that_gives_nothing_falls_and_comes_back),
              CM_TEST(test_pace_stops_for_longer_while_429_keeps_coming),
              CM_TEST(test_pace_of_each_seed_comes_back_at_another_time),
              CM_TEST(test_pace_takes_a_burst_of_429_for_one),
              CM_TEST(test_pace_believes_a_success_that_left_after_the_stop_only),
              CM_TEST(test_pace_stops_for_as_long_as_the_vault_says),
              CM_TEST(test_pace_stops_for_as_long_as_a_failure_says),
              CM_TEST(test_pace_never_has_more_in_flight_than_it_may),
              CM_TEST(test_pace_counts_failures_in_a_row_only),
              CM_TEST(test_pace_probes_more_and_more_seldom_until_the_vault_is_back),
              CM_TEST(test_pace_tells_probes_from_what_left_before),
              CM_TEST(test_pace_takes_any_answer_to_a_probe_for_life),
              CM_TEST(test_pace_knows_what_operations_cost), CM_TEST(test_pace_weighs_operations),
              CM_TEST(test_pace_tells_its_figures), CM_TEST(test_pace_reads_when_to_come_again));
