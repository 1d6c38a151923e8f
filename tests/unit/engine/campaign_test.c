/* Campaigns without a store: when devices are asked to come, how fast, and what may be asked for. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/campaign/moment.h"
#include "engine/campaign/plan.h"
#include "tests/support/test_main.h"

enum { START_S = 1700000000, WINDOW_S = 604800 };

static const struct cm_campaign autumn = { .name = { (const uint8_t *)"autumn", 6 },
                                           .created_ms = START_S * 1000ll,
                                           .window_s = WINDOW_S };

/* -------------------------------------------------------------------- moments -- */

static int64_t moment_of(const struct cm_campaign *campaign, unsigned device, int64_t deadline_s)
{
    char id[32];
    snprintf(id, sizeof id, "device-%u", device);
    return cm_moment_not_before_s(campaign, cm_bytes_str(id), deadline_s);
}

static void test_moments_fill_the_window_evenly(void)
{
    enum { DEVICES = 70000, DAYS = 7 };
    static unsigned counts[DAYS];
    for (unsigned i = 0; i < DEVICES; i++) {
        int64_t moment_s = moment_of(&autumn, i, START_S + WINDOW_S);
        CU_ASSERT_TRUE_FATAL(moment_s >= START_S && moment_s < START_S + WINDOW_S);
        counts[(moment_s - START_S) / 86400]++;
    }
    for (unsigned day = 0; day < DAYS; day++)
        CU_ASSERT_TRUE(counts[day] > 9500 && counts[day] < 10500);
}

static void test_a_moment_is_the_same_each_time_and_another_in_another_campaign(void)
{
    struct cm_campaign winter = autumn;
    unsigned same = 0;
    winter.name = cm_bytes_str("winter");
    for (unsigned i = 0; i < 1000; i++) {
        int64_t moment_s = moment_of(&autumn, i, START_S + WINDOW_S);
        CU_ASSERT_EQUAL(moment_s, moment_of(&autumn, i, START_S + WINDOW_S));
        same += moment_s == moment_of(&winter, i, START_S + WINDOW_S);
    }
    CU_ASSERT_TRUE(same < 10);
    /* for ever: devices that were told go by it */
    CU_ASSERT_EQUAL(moment_of(&autumn, 1, START_S + WINDOW_S), 1700287199);
}

static void test_nobody_is_asked_to_come_after_the_end_of_its_certificate(void)
{
    CU_ASSERT_EQUAL(cm_moment_deadline_s(&autumn, INT64_MAX), START_S + WINDOW_S);
    CU_ASSERT_EQUAL(cm_moment_deadline_s(&autumn, START_S + 60), START_S + 60);
    for (unsigned i = 0; i < 1000; i++) {
        int64_t moment_s = moment_of(&autumn, i, START_S + 60);
        CU_ASSERT_TRUE(moment_s >= START_S && moment_s < START_S + 60);
    }
    CU_ASSERT_EQUAL(moment_of(&autumn, 1, START_S), START_S);
    CU_ASSERT_EQUAL(moment_of(&autumn, 1, START_S - 5), START_S);
}

/* ----------------------------------------------------------------------- pace -- */

/* Takes all that there is for ten seconds, by the clock of whoever asks; no second has more than most. */
static void expect_pace(uint32_t rate_per_s, uint32_t most)
{
    enum { SECONDS = 10, SLICES = SECONDS * 100 };
    static uint32_t taken[SLICES];
    struct cm_moment_pace pace = { .rate_per_s = rate_per_s };
    uint64_t now_ns = 5 * CM_NS_PER_S;
    uint32_t sum = 0, last = 0;
    for (unsigned slice = 0; slice < SLICES; slice++, now_ns += CM_NS_PER_S / 100) {
        uint32_t wait_ms = 0;
        taken[slice] = cm_moment_pace_take(&pace, now_ns, 1000000, &wait_ms);
        CU_ASSERT_EQUAL(taken[slice] == 0, wait_ms > 0);
        sum += taken[slice];
        last += taken[slice] - (slice >= 100 ? taken[slice - 100] : 0);
        CU_ASSERT_TRUE(last <= most);
    }
    CU_ASSERT_TRUE(sum >= rate_per_s * (SECONDS - 1) && sum <= rate_per_s * SECONDS + 1);
}

static void test_no_second_has_more_than_the_pace(void)
{
    expect_pace(1, 2);
    expect_pace(7, 8);
    expect_pace(50, 55);
    expect_pace(2000, 2200);
}

static void test_what_came_to_nothing_is_not_lost_and_pauses_save_nothing_up(void)
{
    struct cm_moment_pace pace = { .rate_per_s = 100 };
    uint32_t wait_ms = 0;
    CU_ASSERT_EQUAL(cm_moment_pace_take(&pace, CM_NS_PER_S, 5, &wait_ms), 1);
    CU_ASSERT_EQUAL(cm_moment_pace_take(&pace, CM_NS_PER_S, 5, &wait_ms), 0);
    CU_ASSERT_TRUE(wait_ms >= 10 && wait_ms <= 12);
    cm_moment_pace_give_back(&pace, 1);
    CU_ASSERT_EQUAL(cm_moment_pace_take(&pace, CM_NS_PER_S, 5, &wait_ms), 1);
    CU_ASSERT_EQUAL(cm_moment_pace_take(&pace, 3600 * CM_NS_PER_S, 1000, &wait_ms), 10);
}

/* ---------------------------------------------------------------------- plans -- */

static struct cm_settings_group groups[] = { { .name = "pumps" }, { .name = "valves" } };
static const struct cm_settings settings = { .groups = groups, .groups_count = 2 };
static struct cm_arena arena;
static struct cm_error err;

static cm_status read_plan(const char *text, struct cm_campaign_plan *plan)
{
    json_t *request = json_loads(text, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(request);
    cm_status status =
        cm_campaign_plan_read(request, &settings, cm_bytes_str("operator:ann"), &arena, plan, &err);
    json_decref(request);
    return status;
}

#define START(more)                                                                                \
    "{\"v\":1,\"op\":\"campaign-start\",\"actor\":\"x\",\"name\":\"autumn\","                      \
    "\"generation\":\"issuing-1\"" more "}"

static void test_a_start_is_planned_as_it_was_asked_for(void)
{
    struct cm_campaign_plan plan;
    cm_arena_init(&arena, 4096);
    CU_ASSERT_EQUAL(read_plan(START(",\"window\":600,\"rate\":5,\"groups\":[\"valves\",\"pumps\"],"
                                    "\"expected\":7"),
                              &plan),
                    CM_OK);
    CU_ASSERT_EQUAL(plan.change.kind, CM_CAMPAIGN_START);
    CU_ASSERT_PTR_EQUAL(plan.change.campaign, &plan.campaign);
    CU_ASSERT_TRUE(cm_bytes_equal(plan.campaign.groups, cm_bytes("valves\0pumps", 13)));
    CU_ASSERT_STRING_EQUAL(plan.audit.kind, "campaign-start");
    CU_ASSERT_TRUE(cm_bytes_is(plan.audit.detail,
                               "{\"campaign\":\"autumn\",\"generation\":\"issuing-1\","
                               "\"window_s\":600,\"rate_per_s\":5,"
                               "\"groups\":[\"valves\",\"pumps\"],\"expected\":7}"));
    CU_ASSERT_EQUAL(read_plan("{\"op\":\"campaign-pause\",\"name\":\"autumn\"}", &plan), CM_OK);
    CU_ASSERT_EQUAL(plan.change.to, CM_CAMPAIGN_PAUSED);
    CU_ASSERT_TRUE(cm_bytes_is(plan.audit.detail, "{\"campaign\":\"autumn\"}"));
    cm_arena_done(&arena);
}

static void test_what_makes_no_sense_is_not_planned(void)
{
    static const char *const texts[] = {
        "{\"op\":\"campaign-stop\",\"name\":\"autumn\"}",
        "{\"op\":\"campaign-pause\"}",
        "{\"op\":\"campaign-pause\",\"name\":\"../autumn\"}",
        "{\"op\":\"campaign-pause\",\"name\":\"\"}",
        "{\"op\":\"campaign-pause\",\"name\":7}",
        "{\"op\":\"campaign-pause\",\"name\":\"autumn\",\"rate\":5}",
        START(""),
        START(",\"window\":59,\"rate\":5"),
        START(",\"window\":40000000,\"rate\":5"),
        START(",\"window\":600,\"rate\":0"),
        START(",\"window\":600,\"rate\":100001"),
        START(",\"window\":\"7d\",\"rate\":5"),
        START(",\"window\":600,\"rate\":5,\"expected\":-1"),
        START(",\"window\":600,\"rate\":5,\"groups\":\"pumps\""),
        START(",\"window\":600,\"rate\":5,\"groups\":[7]"),
        START(",\"window\":600,\"rate\":5,\"groups\":[\"pumps\",\"pumps\",\"pumps\"]"),
        START(",\"window\":600,\"rate\":5,\"extra\":1"),
    };
    struct cm_campaign_plan plan;
    cm_arena_init(&arena, 4096);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CU_ASSERT_EQUAL(read_plan(texts[i], &plan), CM_MALFORMED);
    CU_ASSERT_EQUAL(read_plan(START(",\"window\":600,\"rate\":5,\"groups\":[\"cars\"]"), &plan),
                    CM_NOT_FOUND);
    cm_arena_done(&arena);
}

static void test_a_campaign_is_about_its_groups_and_no_responder(void)
{
    const struct cm_device pump = { .id = cm_bytes_str("p1"), .group = cm_bytes_str("pumps") };
    const struct cm_device responder = { .id = cm_bytes_str("ocsp-responder/issuing-1"),
                                         .group = cm_bytes_str("ocsp-responders") };
    CU_ASSERT_TRUE(cm_campaign_is_about(cm_bytes(NULL, 0), &pump));
    CU_ASSERT_TRUE(cm_campaign_is_about(cm_bytes("valves\0pumps", 13), &pump));
    CU_ASSERT_FALSE(cm_campaign_is_about(cm_bytes("valves", 7), &pump));
    CU_ASSERT_FALSE(cm_campaign_is_about(cm_bytes(NULL, 0), &responder));
}

CM_TEST_SUITE(campaign, CM_TEST(test_moments_fill_the_window_evenly),
              CM_TEST(test_a_moment_is_the_same_each_time_and_another_in_another_campaign),
              CM_TEST(test_nobody_is_asked_to_come_after_the_end_of_its_certificate),
              CM_TEST(test_no_second_has_more_than_the_pace),
              CM_TEST(test_what_came_to_nothing_is_not_lost_and_pauses_save_nothing_up),
              CM_TEST(test_a_start_is_planned_as_it_was_asked_for),
              CM_TEST(test_what_makes_no_sense_is_not_planned),
              CM_TEST(test_a_campaign_is_about_its_groups_and_no_responder));
