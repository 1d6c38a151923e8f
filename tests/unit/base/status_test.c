/* The lists of statuses and refusals: complete, unique, and filled in one line. */
#include "engine/base/refusal.h"
#include "engine/base/status.h"
#include "tests/support/test_main.h"

#include <errno.h>
#include <string.h>

static void test_status_classes_are_the_advice_of_the_list(void)
{
    CU_ASSERT_EQUAL(cm_status_class(CM_OK), CM_CLASS_DONE);
    CU_ASSERT_EQUAL(cm_status_class(CM_BUSY), CM_CLASS_WAIT);
    CU_ASSERT_EQUAL(cm_status_class(CM_UNCERTAIN), CM_CLASS_RECORD);
    CU_ASSERT_EQUAL(cm_status_class((cm_status)999), CM_CLASS_BUG);
    CU_ASSERT_STRING_EQUAL(cm_status_name(CM_THROTTLED), "THROTTLED");
}

static cm_status open_it(const char *path, struct cm_error *err)
{
    return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, ENOENT, "open %s", path);
}

static void test_error_carries_the_systems_own_words(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL(open_it("x", &err), CM_IO);
    CU_ASSERT_STRING_EQUAL(err.text, "open x: No such file or directory");
    CU_ASSERT_EQUAL(err.native, ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.file, "status_test.c"));
    CU_ASSERT_EQUAL(open_it("x", NULL), CM_IO);
}

static void test_refusal_codes_are_dotted_unique_and_found_again(void)
{
    for (unsigned code = 1; code < CM_REFUSAL_COUNT; code++) {
        const char *name = cm_refusal_name((enum cm_refusal_code)code);
        CU_ASSERT_PTR_NOT_NULL(strchr(name, '.'));
        CU_ASSERT_EQUAL(cm_refusal_find(name), code);
    }
    CU_ASSERT_EQUAL(cm_refusal_find("no.such"), CM_REFUSAL_NONE);
}

static void test_refuse_says_where_and_stays_in_its_space(void)
{
    struct cm_refusal refusal;
    char large[400];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    CU_ASSERT_FALSE(cm_refuse(&refusal, CM_REFUSAL_DER_TRAILING_DATA, 17, "%d bytes left", 3));
    CU_ASSERT_STRING_EQUAL(refusal.message, "3 bytes left at offset 17");
    cm_refuse(&refusal, CM_REFUSAL_KEY_REUSED, CM_REFUSAL_NO_OFFSET, NULL);
    CU_ASSERT_STRING_EQUAL(refusal.message, cm_refusal_text(CM_REFUSAL_KEY_REUSED));
    cm_refuse(&refusal, CM_REFUSAL_NAME_NUL, 5, "%s", large);
    CU_ASSERT_EQUAL(strlen(refusal.message), CM_REFUSAL_MESSAGE_SIZE - 1);
}

CM_TEST_SUITE(status, CM_TEST(test_status_classes_are_the_advice_of_the_list),
              CM_TEST(test_error_carries_the_systems_own_words),
              CM_TEST(test_refusal_codes_are_dotted_unique_and_found_again),
              CM_TEST(test_refuse_says_where_and_stays_in_its_space));
