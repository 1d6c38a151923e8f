/* Rates refill with time and never beyond the burst; quotas end with the day. */
#include "engine/base/clock.h"
#include "engine/limits.h"
#include "tests/support/test_main.h"

static const int64_t day_ms = 24 * 3600 * 1000LL;

static void test_limits_rate_lets_the_burst_through_and_then_the_rate(void)
{
    struct cm_limit limit;
    uint32_t wait_ms = 0;
    uint64_t now = 1000 * CM_NS_PER_S;
    cm_limit_init(&limit, "group", "g", 10, 3, 0);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_TRUE(cm_limit_take(&limit, now, &wait_ms));
    CU_ASSERT_FALSE(cm_limit_take(&limit, now, &wait_ms));
    CU_ASSERT_TRUE(wait_ms >= 100 && wait_ms <= 101);
    CU_ASSERT_FALSE(cm_limit_take(&limit, now + 99 * CM_NS_PER_MS, &wait_ms));
    CU_ASSERT_TRUE(cm_limit_take(&limit, now + 101 * CM_NS_PER_MS, &wait_ms));
    /* A long pause fills the bucket, not more. */
    now += 3600 * CM_NS_PER_S;
    for (int i = 0; i < 3; i++)
        CU_ASSERT_TRUE(cm_limit_take(&limit, now, &wait_ms));
    CU_ASSERT_FALSE(cm_limit_take(&limit, now, &wait_ms));
    cm_limit_done(&limit);
}

/* Workers and entries that waited bring times out of order. */
static void test_limits_refills_no_time_twice(void)
{
    struct cm_limit limit;
    uint32_t wait_ms = 0;
    const uint64_t now = 1000 * CM_NS_PER_S;
    int taken = 0;
    cm_limit_init(&limit, "group", "g", 1, 5, 0);
    for (int i = 0; i < 5; i++)
        CU_ASSERT_TRUE(cm_limit_take(&limit, now, &wait_ms));
    for (int i = 0; i < 10; i++) {
        taken += cm_limit_take(&limit, now - 100 * CM_NS_PER_S, &wait_ms);
        taken += cm_limit_take(&limit, now, &wait_ms);
    }
    CU_ASSERT_EQUAL(taken, 0);
    cm_limit_done(&limit);
}

static void test_limits_quota_counts_given_back_and_ends_with_the_day(void)
{
    struct cm_limit limit;
    const int64_t noon = 20000 * day_ms + day_ms / 2;
    cm_limit_init(&limit, "requester", "r", 0, 0, 2);
    CU_ASSERT_STRING_EQUAL(limit.name, "requester:r");
    CU_ASSERT_TRUE(cm_limit_reserve(&limit, noon));
    CU_ASSERT_TRUE(cm_limit_reserve(&limit, noon));
    CU_ASSERT_FALSE(cm_limit_reserve(&limit, noon));
    cm_limit_give_back(&limit);
    CU_ASSERT_TRUE(cm_limit_reserve(&limit, noon));
    CU_ASSERT_TRUE(cm_limit_reserve(&limit, noon + day_ms));
    cm_limit_done(&limit);
}

static void test_limits_quota_is_restored_after_a_restart(void)
{
    struct cm_limit limit;
    cm_limit_init(&limit, "requester", "r", 0, 0, 5);
    cm_limit_restore(&limit, 20000, 4);
    CU_ASSERT_TRUE(cm_limit_reserve(&limit, 20000 * day_ms));
    CU_ASSERT_FALSE(cm_limit_reserve(&limit, 20000 * day_ms));
    cm_limit_done(&limit);
}

static void test_limits_zero_is_no_limit(void)
{
    struct cm_limit limit;
    uint32_t wait_ms;
    int taken = 0;
    cm_limit_init(&limit, "group", "g", 0, 0, 0);
    for (int i = 0; i < 1000; i++)
        taken += cm_limit_take(&limit, 1, &wait_ms) && cm_limit_reserve(&limit, 1);
    CU_ASSERT_EQUAL(taken, 1000);
    cm_limit_done(&limit);
}

CM_TEST_SUITE(limits, CM_TEST(test_limits_rate_lets_the_burst_through_and_then_the_rate),
              CM_TEST(test_limits_refills_no_time_twice),
              CM_TEST(test_limits_quota_counts_given_back_and_ends_with_the_day),
              CM_TEST(test_limits_quota_is_restored_after_a_restart),
              CM_TEST(test_limits_zero_is_no_limit));
