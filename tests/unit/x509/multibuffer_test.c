/* With a library that accepts whatever is signed with one kind (CERTMILL_STAND_IN): that kind is not used, the others are. */
#include "engine/multibuffer/multibuffer.h"
#include "tests/support/test_main.h"

#include <stdlib.h>

static void test_a_kind_in_which_the_library_disagrees_is_not_used(void)
{
    static const char *const names[CM_MB_KINDS_COUNT] = {
        [CM_MB_P256] = "p256",       [CM_MB_P384] = "p384", [CM_MB_P521] = "p521",
        [CM_MB_ED25519] = "ed25519", [CM_MB_RSA] = "rsa",
    };
    const char *says = getenv("CERTMILL_STAND_IN");
    CU_ASSERT_PTR_NOT_NULL_FATAL(says);
    const char *accepted = strchr(says, '=') + 1;
    for (unsigned kind = 0; kind < CM_MB_KINDS_COUNT; kind++) {
        bool is_accepted = strcmp(names[kind], accepted) == 0;
        CU_ASSERT_EQUAL(cm_mb_takes((enum cm_mb_kind)kind), !is_accepted);
        CU_ASSERT_EQUAL(strstr(cm_mb_describe(), names[kind]) != NULL, is_accepted);
    }
}

CM_TEST_SUITE(multibuffer, CM_TEST(test_a_kind_in_which_the_library_disagrees_is_not_used));
