/* Goal: slips get a suggestion, other words do not. Method: a table of known words. */
#include "tests/support/test_main.h"

#include <string.h>

#include "engine/base/nearest.h"

static const char *const words[] = { "issuing", "groups",  "requesters",
                                     "engine",  "crl-url", "ocsp-url" };

static const char *nearest(const char *text)
{
    const char *word = cm_nearest(text, words, sizeof words / sizeof words[0]);
    return word ? word : "";
}

static void test_nearest_says_nothing_for_a_word_that_is_like_none(void)
{
    CU_ASSERT_STRING_EQUAL(nearest("telephone"), "");
    CU_ASSERT_STRING_EQUAL(nearest(""), "");
    CU_ASSERT_PTR_NULL(cm_nearest("issuing", words, 0));
}

static void test_nearest_says_nothing_for_a_very_long_word(void)
{
    char word[1000];
    memset(word, 'e', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    CU_ASSERT_STRING_EQUAL(nearest(word), "");
}

static void test_nearest_finds_a_word_with_a_letter_lost_added_or_replaced(void)
{
    CU_ASSERT_STRING_EQUAL(nearest("isuing"), "issuing");
    CU_ASSERT_STRING_EQUAL(nearest("isssuing"), "issuing");
    CU_ASSERT_STRING_EQUAL(nearest("engima"), "engine");
}

static void test_nearest_counts_swapped_neighbours_once(void)
{
    CU_ASSERT_STRING_EQUAL(nearest("gruops"), "groups");
    CU_ASSERT_STRING_EQUAL(nearest("rqeuesters"), "requesters");
}

static void test_nearest_takes_the_closest_of_several(void)
{
    CU_ASSERT_STRING_EQUAL(nearest("crl_url"), "crl-url");
    CU_ASSERT_STRING_EQUAL(nearest("ocsp_url"), "ocsp-url");
}

CM_TEST_SUITE(nearest, CM_TEST(test_nearest_says_nothing_for_a_word_that_is_like_none),
              CM_TEST(test_nearest_says_nothing_for_a_very_long_word),
              CM_TEST(test_nearest_finds_a_word_with_a_letter_lost_added_or_replaced),
              CM_TEST(test_nearest_counts_swapped_neighbours_once),
              CM_TEST(test_nearest_takes_the_closest_of_several));
