/* The moments of a schedule, what is said at each, and what is asked of the owner. */
#include "engine/schedule.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

#define DAY_MS 86400000ll
#define DAY_S  86400ll

static struct cm_settings_authority authority;
static struct cm_profile profile = { .name = "device", .validity_s = 30 * DAY_S };
static const struct cm_profile *const profiles[] = { &profile };
static struct cm_settings settings = {
    .authorities = &authority, .authorities_count = 1, .profiles = profiles, .profiles_count = 1
};
static struct cm_template *templates[1];
static struct cm_issuer_key keys[2];
static struct cm_issuers issuers = { .settings = &settings, .keys = keys };
static struct cm_loop *loop;
static struct cm_schedule schedule;
static unsigned notices_count, dues_count;
static char last[512];
static int64_t begin_ms;

static void on_notice(const char *text, void *arg)
{
    (void)arg;
    notices_count++;
    snprintf(last, sizeof last, "%s", text);
}

static void on_due(const struct cm_settings_authority *due, void *arg)
{
    (void)arg;
    CU_ASSERT_PTR_EQUAL(due, &authority);
    dues_count++;
}

/* issuing-1 has begun now, and issues for 90 days; the next one is made 9 days before. */
static void begin(enum cm_rotation rotation)
{
    const struct cm_schedule_env env = { .on_notice = on_notice,
                                         .on_due = on_due,
                                         .issuers = &issuers };
    struct cm_error err;
    cm_clock_set_wall_offset_ms(0);
    begin_ms = cm_clock_wall_ms();
    authority = (struct cm_settings_authority){ .name = "issuing",
                                                .issues_for_ms = 90 * DAY_MS,
                                                .rotate_ahead_ms = 9 * DAY_MS,
                                                .rotation = rotation };
    templates[0] = (struct cm_template *)(void *)&profile; /* there is one; nobody looks into it */
    keys[0] = (struct cm_issuer_key){ .name = "issuing-1",
                                      .authority = &authority,
                                      .generation_number = 7,
                                      .state = CM_GENERATION_ACTIVE,
                                      .active_ms = begin_ms,
                                      .issuer = { .not_after_s = begin_ms / 1000 + 3650 * DAY_S },
                                      .templates = templates,
                                      .issuers = &issuers };
    keys[1] = (struct cm_issuer_key){ .name = "issuing-2",
                                      .authority = &authority,
                                      .generation_number = 8,
                                      .state = CM_GENERATION_PENDING,
                                      .replaces = 7,
                                      .issuers = &issuers };
    issuers.keys_count = 1;
    notices_count = dues_count = 0;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    schedule.env = env;
    schedule.env.loop = loop;
    const struct cm_schedule_env whole = schedule.env;
    cm_schedule_begin(&schedule, &whole);
}

static void end(void)
{
    cm_schedule_done(&schedule);
    cm_loop_free(loop);
    cm_clock_set_wall_offset_ms(0);
}

/* What was said, and asked for, so long after the key began to issue. */
static void look_after(int64_t after_ms, unsigned notices, unsigned dues)
{
    notices_count = dues_count = 0;
    cm_clock_set_wall_offset_ms(0);
    cm_clock_set_wall_offset_ms(begin_ms + after_ms - cm_clock_wall_ms());
    cm_schedule_look(&schedule);
    CU_ASSERT_EQUAL(notices_count, notices);
    CU_ASSERT_EQUAL(dues_count, dues);
}

static void test_without_a_schedule_nothing_is_said(void)
{
    begin(CM_ROTATION_WARN);
    authority.issues_for_ms = 0;
    look_after(1000 * DAY_MS, 0, 0);
    end();
}

static void test_warn_says_each_state_once_and_asks_for_nothing(void)
{
    begin(CM_ROTATION_WARN);
    CU_ASSERT_EQUAL(notices_count, 0);
    look_after(81 * DAY_MS - 5000, 0, 0);
    look_after(81 * DAY_MS + 5000, 1, 0);
    CU_ASSERT_STRING_EQUAL(last, "issuing-1 has issued for 81 d of 90 d: certmill ca rotate "
                                 "issuing makes the next key");
    look_after(82 * DAY_MS, 0, 0);
    issuers.keys_count = 2;
    look_after(90 * DAY_MS + 5000, 1, 0);
    CU_ASSERT_STRING_EQUAL(last, "issuing-1 has issued for 90 d of 90 d: certmill ca activate "
                                 "issuing-2 lets the next one issue");
    look_after(99 * DAY_MS, 0, 0);
    end();
}

static void test_prepare_asks_until_the_next_one_is_there(void)
{
    begin(CM_ROTATION_PREPARE);
    look_after(81 * DAY_MS - 5000, 0, 0);
    look_after(81 * DAY_MS + 5000, 1, 1);
    look_after(81 * DAY_MS + 65000, 0, 1);
    issuers.keys_count = 2;
    look_after(82 * DAY_MS, 0, 0);
    look_after(91 * DAY_MS, 1, 0); /* who prepares does not activate */
    end();
}

static void test_automatic_asks_for_both(void)
{
    begin(CM_ROTATION_AUTOMATIC);
    look_after(81 * DAY_MS + 5000, 1, 1);
    issuers.keys_count = 2;
    look_after(90 * DAY_MS - 5000, 0, 0);
    look_after(90 * DAY_MS + 5000, 1, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(last, "issuing-2 takes over"));
    keys[0].state = CM_GENERATION_RETIRING;
    keys[1].state = CM_GENERATION_ACTIVE;
    keys[1].active_ms = begin_ms + 90 * DAY_MS;
    keys[1].issuer.not_after_s = begin_ms / 1000 + 3650 * DAY_S;
    look_after(91 * DAY_MS, 0, 0);
    look_after(172 * DAY_MS, 1, 1); /* its own turn ends */
    end();
}

static void test_the_end_of_its_certificate_comes_first(void)
{
    struct cm_schedule_moments moments;
    begin(CM_ROTATION_AUTOMATIC);
    keys[0].issuer.not_after_s = begin_ms / 1000 + 50 * DAY_S;
    CU_ASSERT_TRUE_FATAL(
        cm_schedule_of(&authority, begin_ms, keys[0].issuer.not_after_s, &moments));
    CU_ASSERT_TRUE(moments.is_by_end);
    CU_ASSERT_EQUAL(moments.due_ms, keys[0].issuer.not_after_s * 1000);
    look_after(19 * DAY_MS, 0, 0);
    look_after(21 * DAY_MS, 1, 0); /* certificates would live for 30 days */
    CU_ASSERT_PTR_NOT_NULL(strstr(last, "certificates of issuing-1 are cut short"));
    CU_ASSERT_PTR_NOT_NULL(strstr(last, "up to 30 d"));
    look_after(41 * DAY_MS + 5000, 1, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(last, "when its certificate ends"));
    end();
}

static void test_what_never_ends_is_never_cut_short(void)
{
    struct cm_schedule_moments moments;
    begin(CM_ROTATION_WARN);
    profile.validity_s = CM_VALIDITY_NO_EXPIRY;
    keys[0].issuer.not_after_s = begin_ms / 1000 + 5 * DAY_S;
    authority.issues_for_ms = 0;
    look_after(1 * DAY_MS, 0, 0);
    look_after(6 * DAY_MS, 1, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(last, "issues nothing: its certificate has ended"));
    profile.validity_s = 30 * DAY_S;
    authority.issues_for_ms = 90 * DAY_MS;
    CU_ASSERT_TRUE(cm_schedule_of(&authority, begin_ms, INT64_MAX, &moments));
    CU_ASSERT_EQUAL(moments.due_ms, begin_ms + 90 * DAY_MS);
    end();
}

static void test_spans_are_short_and_tell_enough(void)
{
    static const struct {
        int64_t ms;
        const char *text;
    } spans[] = { { 0, "0 s" },           { 119000, "119 s" },        { 120000, "2 min" },
                  { 7199999, "119 min" }, { 47 * 3600000ll, "47 h" }, { 2 * DAY_MS, "2 d" } };
    char text[CM_SPAN_TEXT_SIZE];
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
        CU_ASSERT_STRING_EQUAL(cm_schedule_write_span(spans[i].ms, text), spans[i].text);
}

CM_TEST_SUITE(schedule, CM_TEST(test_without_a_schedule_nothing_is_said),
              CM_TEST(test_warn_says_each_state_once_and_asks_for_nothing),
              CM_TEST(test_prepare_asks_until_the_next_one_is_there),
              CM_TEST(test_automatic_asks_for_both),
              CM_TEST(test_the_end_of_its_certificate_comes_first),
              CM_TEST(test_what_never_ends_is_never_cut_short),
              CM_TEST(test_spans_are_short_and_tell_enough));
