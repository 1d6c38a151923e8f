/* The catalogue of requests in tests/data/csr, truncations, and what is taken from a request. */
#include "tests/support/test_main.h"
#include "tests/unit/x509/csr_rig.h"

#include <stdio.h>
#include <string.h>

static void test_every_file_of_the_catalogue_gets_its_code(void)
{
    char name[128], expected[64];
    size_t files = 0;
    FILE *list = fopen(CM_SOURCE_ROOT "/tests/data/csr/expected.tsv", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    for (; fscanf(list, "%127s %63s", name, expected) == 2; files++) {
        enum cm_refusal_code code = csr_code(csr_file(name), name);
        enum cm_refusal_code right = cm_refusal_find(expected);
        CU_ASSERT_EQUAL(right == CM_REFUSAL_NONE, strcmp(expected, "ok") == 0);
        if (code != right)
            printf("  %s: \"%s\", expected %s\n", name, cm_refusal_name(code), expected);
        CU_ASSERT_EQUAL(code, right);
    }
    fclose(list);
    CU_ASSERT(files > 300);
}

static void test_every_truncation_is_refused(void)
{
    struct cm_bytes whole = csr_file("G07-alternative-names.der");
    for (size_t size = 1; size < whole.size; size++)
        CU_ASSERT_EQUAL(csr_code(cm_bytes(whole.data, size), "truncated"),
                        CM_REFUSAL_DER_TRUNCATED);
}

static void test_a_request_is_taken_apart(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    struct cm_bytes der = csr_file("G07-alternative-names.der");
    CU_ASSERT_FATAL(cm_csr_read(der, &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.key.type, CM_KEY_P256);
    CU_ASSERT_EQUAL(csr.key.point.size, 65);
    CU_ASSERT_EQUAL(csr.sigalg, CM_SIGALG_ECDSA_SHA256);
    CU_ASSERT(cm_bytes_is(cm_name_find(csr.name, CM_OID_COMMON_NAME), "dev-1"));
    CU_ASSERT_EQUAL_FATAL(csr.sans_count, 5);
    CU_ASSERT_EQUAL(csr.sans[0].type, CM_SAN_DNS);
    CU_ASSERT(cm_bytes_is(csr.sans[0].value, "dev-1.example.com"));
    CU_ASSERT_EQUAL(csr.sans[1].type, CM_SAN_IP);
    CU_ASSERT(cm_bytes_is(csr.sans[2].value, "spiffe://fleet.example/dev-1"));
    CU_ASSERT_EQUAL(csr.quirks, 0);
}

static void test_requested_usage_and_purposes_are_reported(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    CU_ASSERT_FATAL(cm_csr_read(csr_file("G09-usage.der"), &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.key_usage, 1);
    CU_ASSERT_EQUAL_FATAL(csr.purposes_count, 1);
    CU_ASSERT_EQUAL(cm_oid_find(csr.purposes[0]), CM_OID_CLIENT_AUTH);
}

static void test_quirks_are_reported_and_accepted_only_where_allowed(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    CU_ASSERT_FATAL(
        cm_csr_read(csr_file("C04-attributes-missing.der"), &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.quirks, CM_CSR_QUIRK_ATTRIBUTES_MISSING);
    CU_ASSERT_FATAL(
        cm_csr_read(csr_file("D18-unsorted-attributes.der"), &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.quirks, CM_CSR_QUIRK_ATTRIBUTES_UNSORTED);
    struct cm_bytes der = csr_file("P07-ecdsa-null.der");
    CU_ASSERT_FALSE(cm_csr_read(der, &csr_arena, &csr, &refusal));
    CU_ASSERT_FATAL(cm_csr_read_with(der, CM_CSR_QUIRK_ECDSA_NULL, &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(csr.quirks, CM_CSR_QUIRK_ECDSA_NULL);
    CU_ASSERT(cm_proof_check(csr_proof, &csr, &refusal));
}

static void test_a_request_over_the_limit_is_refused_before_it_is_read(void)
{
    static uint8_t large[CM_CSR_TEXT_SIZE_MAX + 1] = { 0x30, 0x83, 0x00, 0x7f, 0xfc };
    CU_ASSERT_EQUAL(csr_code(cm_bytes(large, CM_CSR_SIZE_MAX + 1), "large"),
                    CM_REFUSAL_DER_TOO_LARGE);
    CU_ASSERT_EQUAL(csr_code(cm_bytes(large, sizeof large), "larger"), CM_REFUSAL_DER_TOO_LARGE);
}

static void test_the_first_failing_check_names_the_code(void)
{
    /* A bad name, a bad extension and a bad signature behind a key that is not on the list. */
    struct cm_refusal refusal;
    struct cm_csr csr;
    struct cm_bytes der = csr_file("K21-secp256k1.der");
    CU_ASSERT_FALSE(cm_csr_read(der, &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_KEY_EC_CURVE_NOT_ALLOWED);
    uint8_t *name = memmem(der.data, der.size, "dev-1", 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    name[0] = '\0';
    CU_ASSERT_FALSE(cm_csr_read(der, &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_KEY_EC_CURVE_NOT_ALLOWED);
    CU_ASSERT_FALSE(cm_csr_read(cm_bytes(der.data, der.size - 1), &csr_arena, &csr, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_DER_TRUNCATED);
}

static void test_messages_name_the_offset_and_never_the_bytes(void)
{
    struct cm_refusal refusal;
    struct cm_csr csr;
    CU_ASSERT_FALSE(cm_csr_read(csr_file("N09-control-esc.der"), &csr_arena, &csr, &refusal));
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "U+001B"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal.message, "at offset "));
    CU_ASSERT_PTR_NULL(strchr(refusal.message, '\x1b'));
}

CM_TEST_SUITE_WITH(csr, csr_rig_set_up, csr_rig_tear_down,
                   CM_TEST(test_every_file_of_the_catalogue_gets_its_code),
                   CM_TEST(test_every_truncation_is_refused),
                   CM_TEST(test_a_request_over_the_limit_is_refused_before_it_is_read),
                   CM_TEST(test_the_first_failing_check_names_the_code),
                   CM_TEST(test_messages_name_the_offset_and_never_the_bytes),
                   CM_TEST(test_quirks_are_reported_and_accepted_only_where_allowed),
                   CM_TEST(test_a_request_is_taken_apart),
                   CM_TEST(test_requested_usage_and_purposes_are_reported));
