/* The files of tests/data/csr hold the refusals; here is what needs no file. */
#include "engine/x509/pem.h"
#include "tests/support/test_main.h"

#include <stdio.h>

#define BLOCK(body)                                                                                \
    "-----BEGIN CERTIFICATE REQUEST-----\n" body "\n-----END CERTIFICATE REQUEST-----\n"

static struct cm_arena arena;

static int set_up(void)
{
    cm_arena_init(&arena, 4096);
    return 0;
}

static int tear_down(void)
{
    cm_arena_done(&arena);
    return 0;
}

static enum cm_refusal_code read_text(const char *text, struct cm_bytes *ret_der)
{
    struct cm_refusal refusal = { .code = CM_REFUSAL_NONE };
    cm_pem_read_csr(cm_bytes_str(text), &arena, ret_der, &refusal);
    return refusal.code;
}

static void test_padding_must_be_exact(void)
{
    static const char *const bad[] = { BLOCK("MA="),    BLOCK("MA"),    BLOCK("MA==="),
                                       BLOCK("MA==MA"), BLOCK("MB=="),  BLOCK("MAA=="),
                                       BLOCK("MAB="),   BLOCK("===="),  BLOCK("="),
                                       BLOCK("M"),      BLOCK("MA= ="), BLOCK("MA==\n MA==") };
    struct cm_bytes der;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_EQUAL(read_text(bad[i], &der), CM_REFUSAL_PEM_BASE64_INVALID);
}

static void test_base64_gives_its_bytes_back(void)
{
    struct cm_bytes der = { NULL, 0 };
    CU_ASSERT_EQUAL(read_text(BLOCK("MA=="), &der), CM_REFUSAL_NONE);
    CU_ASSERT(cm_bytes_is(der, "0"));
    CU_ASSERT_EQUAL(read_text(BLOCK("MDE="), &der), CM_REFUSAL_NONE);
    CU_ASSERT(cm_bytes_is(der, "01"));
    CU_ASSERT_EQUAL(read_text(BLOCK("M\nDEy \r\nfn5+"), &der), CM_REFUSAL_NONE);
    CU_ASSERT(cm_bytes_is(der, "012~~~"));
}

static void test_der_passes_through_untouched(void)
{
    struct cm_bytes input = cm_bytes("\x30\x01", 2);
    struct cm_bytes der = { NULL, 0 };
    struct cm_refusal refusal;
    CU_ASSERT(cm_pem_read_csr(input, &arena, &der, &refusal));
    CU_ASSERT_PTR_EQUAL(der.data, input.data);
}

static void test_a_private_key_is_seen_wherever_it_stands(void)
{
    struct cm_bytes der;
    CU_ASSERT_EQUAL(read_text("x\n-----BEGIN RSA PRIVATE KEY-----\n", &der),
                    CM_REFUSAL_CSR_IS_PRIVATE_KEY);
    CU_ASSERT_EQUAL(read_text(BLOCK("MA==") "-----BEGIN PRIVATE KEY-----\n", &der),
                    CM_REFUSAL_CSR_IS_PRIVATE_KEY);
}

CM_TEST_SUITE_WITH(pem, set_up, tear_down, CM_TEST(test_padding_must_be_exact),
                   CM_TEST(test_a_private_key_is_seen_wherever_it_stands),
                   CM_TEST(test_base64_gives_its_bytes_back),
                   CM_TEST(test_der_passes_through_untouched));
