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

static void test_a_stream_is_split_into_its_blocks(void)
{
    struct cm_bytes text = cm_bytes_str("words\n" BLOCK("MA==") "more\n" BLOCK("MDE=") "end\n");
    struct cm_bytes block, der = { NULL, 0 };
    struct cm_refusal refusal;
    CU_ASSERT_FATAL(cm_pem_next(&text, true, &block));
    CU_ASSERT(cm_pem_read_csr(block, &arena, &der, &refusal) && cm_bytes_is(der, "0"));
    CU_ASSERT_FATAL(cm_pem_next(&text, true, &block));
    CU_ASSERT(cm_pem_read_csr(block, &arena, &der, &refusal) && cm_bytes_is(der, "01"));
    CU_ASSERT_FALSE(cm_pem_next(&text, true, &block));
}

static void test_a_block_that_is_still_coming_is_waited_for(void)
{
    static const char whole[] = BLOCK("MA==");
    struct cm_bytes block;
    /* The newline behind the END line is not part of the block. */
    for (size_t size = 0; size < sizeof whole - 2; size++) {
        struct cm_bytes text = cm_bytes(whole, size);
        CU_ASSERT_FALSE(cm_pem_next(&text, false, &block));
        CU_ASSERT_EQUAL(text.size, size);
    }
    struct cm_bytes text = cm_bytes(whole, sizeof whole - 2);
    CU_ASSERT(cm_pem_next(&text, false, &block));
}

static void test_a_block_without_an_end_is_given_last_and_refused(void)
{
    struct cm_bytes text =
        cm_bytes_str(BLOCK("MA==") "-----BEGIN CERTIFICATE REQUEST-----\nMA==\n");
    struct cm_bytes block, der;
    struct cm_refusal refusal;
    CU_ASSERT_FATAL(cm_pem_next(&text, true, &block));
    CU_ASSERT_FATAL(cm_pem_next(&text, true, &block));
    CU_ASSERT_FALSE(cm_pem_read_csr(block, &arena, &der, &refusal));
    CU_ASSERT_EQUAL(refusal.code, CM_REFUSAL_PEM_UNTERMINATED);
    CU_ASSERT_FALSE(cm_pem_next(&text, true, &block));
}

static void test_a_lost_end_line_does_not_take_the_next_block_along(void)
{
    struct cm_bytes text =
        cm_bytes_str("-----BEGIN CERTIFICATE REQUEST-----\nMA==\n" BLOCK("MDE="));
    struct cm_bytes block, der = { NULL, 0 };
    struct cm_refusal refusal;
    CU_ASSERT_FATAL(cm_pem_next(&text, true, &block));
    CU_ASSERT_FALSE(cm_pem_read_csr(block, &arena, &der, &refusal));
    CU_ASSERT_FATAL(cm_pem_next(&text, true, &block));
    CU_ASSERT(cm_pem_read_csr(block, &arena, &der, &refusal) && cm_bytes_is(der, "01"));
}

CM_TEST_SUITE_WITH(pem, set_up, tear_down, CM_TEST(test_padding_must_be_exact),
                   CM_TEST(test_a_private_key_is_seen_wherever_it_stands),
                   CM_TEST(test_a_block_that_is_still_coming_is_waited_for),
                   CM_TEST(test_a_block_without_an_end_is_given_last_and_refused),
                   CM_TEST(test_a_lost_end_line_does_not_take_the_next_block_along),
                   CM_TEST(test_base64_gives_its_bytes_back),
                   CM_TEST(test_der_passes_through_untouched),
                   CM_TEST(test_a_stream_is_split_into_its_blocks));
