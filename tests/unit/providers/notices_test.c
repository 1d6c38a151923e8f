#include "providers/host/notices.h"

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

static unsigned take_many(struct cm_notices *notices, unsigned count, uint64_t now_ns)
{
    unsigned told = 0;
    for (unsigned i = 0; i < count; i++)
        told += cm_notices_take(notices, now_ns);
    return told;
}

static void test_notices_are_twenty_a_minute_and_the_rest_is_counted(void)
{
    struct cm_notices notices = { 0 };
    const uint64_t begin_ns = 5, minute_ns = 60 * CM_NS_PER_S;
    CU_ASSERT_EQUAL(take_many(&notices, 15, begin_ns), 15);
    CU_ASSERT_EQUAL(take_many(&notices, 1000000, begin_ns + minute_ns - 1), 5);
    CU_ASSERT_EQUAL(cm_notices_left_out(&notices), 999995);
    CU_ASSERT_EQUAL(cm_notices_left_out(&notices), 0);
    CU_ASSERT_EQUAL(take_many(&notices, 1, begin_ns + minute_ns - 1), 0);
    CU_ASSERT_EQUAL(take_many(&notices, 21, begin_ns + minute_ns), 20);
    CU_ASSERT_EQUAL(cm_notices_left_out(&notices), 2);
    CU_ASSERT_EQUAL(take_many(&notices, 21, begin_ns + 9 * minute_ns), 20);
}

CM_TEST_SUITE(notices, CM_TEST(test_notices_are_twenty_a_minute_and_the_rest_is_counted));
