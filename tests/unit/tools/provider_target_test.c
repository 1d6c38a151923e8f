/* Goal: what is left of a target when the command is done. */
#include "tools/provider_target.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"

/* glibc keeps a variable's text after unsetenv: what was there can be looked at. */
static void test_provider_target_leaves_nothing_of_the_pin_in_memory(void)
{
    struct cm_provider_target target = { 0 };
    char nothing[8] = { 0 };
    setenv("CERTMILL_PROVIDER_PIN", "s3cretly", 1);
    const char *value = getenv("CERTMILL_PROVIDER_PIN");
    cm_provider_target_done(&target);
    CU_ASSERT_PTR_NULL(getenv("CERTMILL_PROVIDER_PIN"));
    CU_ASSERT_EQUAL(memcmp(value, nothing, sizeof nothing), 0);
}

CM_TEST_SUITE(provider_target, CM_TEST(test_provider_target_leaves_nothing_of_the_pin_in_memory));
