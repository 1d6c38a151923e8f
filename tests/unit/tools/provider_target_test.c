/* Goal: how new keys of a target are called, and what is left of it when the command is done. */
#include "tools/provider_target.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"
#include "tools/token_key.h"

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

static void test_a_new_key_of_a_token_has_the_attributes_of_the_tokens_uri(void)
{
    static const char *const rows[][2] = {
        { NULL, "pkcs11:object=new" },
        { "pkcs11:", "pkcs11:object=new" },
        { "pkcs11:token=a;serial=1", "pkcs11:token=a;serial=1;object=new" },
        { "pkcs11:token=a?pin-source=file:/p", "pkcs11:token=a;object=new?pin-source=file:/p" },
        { "pkcs11:?module-path=/m.so", "pkcs11:object=new?module-path=/m.so" },
    };
    struct cm_arena arena;
    cm_arena_init(&arena, 1024);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_STRING_EQUAL(cm_token_key_reference(rows[i][0], "new", &arena), rows[i][1]);
    cm_arena_done(&arena);
}

CM_TEST_SUITE(provider_target,
              CM_TEST(test_a_new_key_of_a_token_has_the_attributes_of_the_tokens_uri),
              CM_TEST(test_provider_target_leaves_nothing_of_the_pin_in_memory));
