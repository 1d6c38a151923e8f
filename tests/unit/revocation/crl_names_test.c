/* Names of CRLs: the certificates' URL to the octet, and paths that stay where they belong. */
#include "engine/revocation/crl_names.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"

/* Compares, and frees. */
static bool is(char *text, const char *expected)
{
    bool same = text && strcmp(text, expected) == 0;
    free(text);
    return same;
}

static void test_the_shard_is_filled_in(void)
{
    CU_ASSERT(is(cm_crl_url_of("http://x/crl/a-1/${shard}.crl", 12), "http://x/crl/a-1/12.crl"));
    CU_ASSERT(is(cm_crl_url_of("http://x/all.crl", 0), "http://x/all.crl"));
    CU_ASSERT(is(cm_crl_url_of("http://x/${shard}", 0), "http://x/0"));
    CU_ASSERT_PTR_NULL(cm_crl_url_of(NULL, 3));
}

static void test_a_delta_is_found_beside_its_list(void)
{
    CU_ASSERT(is(cm_crl_delta_url_of("http://x/3.crl"), "http://x/3-delta.crl"));
    CU_ASSERT(is(cm_crl_delta_url_of("http://x/crl?n=3"), "http://x/crl?n=3-delta"));
    CU_ASSERT(is(cm_crl_delta_url_of("crl"), "crl-delta"));
    CU_ASSERT_PTR_NULL(cm_crl_delta_url_of(NULL));
}

static void test_paths_are_those_of_the_status_service(void)
{
    CU_ASSERT(is(cm_crl_path("issuing-1", 0, false), "/crl/issuing-1/0.crl"));
    CU_ASSERT(is(cm_crl_path("issuing-1", 31, true), "/crl/issuing-1/31-delta.crl"));
    CU_ASSERT(is(cm_ca_path("issuing-1", "cer"), "/ca/issuing-1.cer"));
}

CM_TEST_SUITE(crl_names, CM_TEST(test_the_shard_is_filled_in),
              CM_TEST(test_a_delta_is_found_beside_its_list),
              CM_TEST(test_paths_are_those_of_the_status_service));
