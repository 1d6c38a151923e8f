/*
 * Goal: one plan has one text, and no other text is one; only the right key's signature approves it.
 */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "engine/authority/approval.h"
#include "engine/authority/plan.h"

#define ID   "000102030405060708090a0b0c0d0e0f"
#define HASH "0707070707070707070707070707070707070707070707070707070707070707"

/* What the header shows: it is held against every change of this code. */
static const char good[] =
    "{\"approvals\":2,\"devices\":0,\"expires\":1790000000,\"found\":[{\"certificate\":\"" HASH
    "\","
    "\"generation\":\"issuing-1\",\"state\":\"active\"},{\"certificate\":\"\",\"generation\":"
    "\"issuing-2\",\"state\":\"pending\"}],\"id\":\"" ID "\",\"operation\":\"activate\","
    "\"parameters\":{\"reason\":\"none\",\"why\":\"Übung\"},\"prepared\":1789990000,"
    "\"prepared_by\":\"operator:ann\",\"role\":\"\",\"subject\":\"issuing-2\",\"v\":1}";

static struct cm_arena arena;

static int set_up(void)
{
    cm_arena_init(&arena, 65536);
    return 0;
}

static int tear_down(void)
{
    cm_arena_done(&arena);
    return 0;
}

static cm_status read_plan(const char *text, struct cm_plan *plan)
{
    struct cm_error err;
    return cm_plan_read(cm_bytes_str(text), &arena, plan, &err);
}

static void test_a_plan_has_one_text(void)
{
    struct cm_plan plan;
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
    char hex[65];
    CU_ASSERT_EQUAL_FATAL(read_plan(good, &plan), CM_OK);
    CU_ASSERT_EQUAL(plan.operation, CM_CEREMONY_ACTIVATE);
    CU_ASSERT_STRING_EQUAL(plan.subject, "issuing-2");
    CU_ASSERT_EQUAL(plan.id[15], 15);
    CU_ASSERT_EQUAL(plan.approvals, 2);
    CU_ASSERT_EQUAL(plan.found_count, 2);
    CU_ASSERT_TRUE(plan.found[0].has_certificate);
    CU_ASSERT_EQUAL(plan.found[0].certificate[31], 7);
    CU_ASSERT_FALSE(plan.found[1].has_certificate);
    CU_ASSERT_EQUAL(plan.parameters_count, 2);
    CU_ASSERT_STRING_EQUAL(plan.parameters[1].name, "why");
    CU_ASSERT_EQUAL(plan.expires_s - plan.prepared_s, 10000);
    CU_ASSERT_TRUE(cm_bytes_is(cm_plan_write(&plan, &arena), good));
    /* sha256sum of the text above */
    cm_plan_digest(cm_bytes_str(good), digest);
    cm_hex_encode(cm_bytes(digest, sizeof digest), hex);
    CU_ASSERT_STRING_EQUAL(hex, "b3055c3a8d94a1f79dd5cd40753a13053de3bdf0a39016e9c37731ce8754974d");
}

static const struct {
    const char *from, *to;
} changes[] = {
    { "{\"approvals\"", " {\"approvals\"" },
    { "\"v\":1}", "\"v\":1}\n" },
    { "\"v\":1}", "\"v\":1}{}" },
    { "\"v\":1", "\"v\":2" },
    { "\"v\":1", "\"v\":1.0" },
    { "\"v\":1", "\"v\":1,\"w\":1" },
    { "\"v\":1", "\"v\":1,\"v\":1" },
    { ",\"v\":1", "" },
    { "\"approvals\":2,\"devices\":0", "\"devices\":0,\"approvals\":2" },
    { "\"approvals\":2", "\"approvals\":0" },
    { "\"approvals\":2", "\"approvals\":17" },
    { "\"approvals\":2", "\"approvals\":\"2\"" },
    { "\"devices\":0", "\"devices\":-1" },
    { "\"expires\":1790000000", "\"expires\":1789990000" },
    { "\"expires\":1790000000", "\"expires\":253402300800" },
    { "\"prepared\":1789990000", "\"prepared\":1789990000.5" },
    { "000102", "00010" },
    { "0a0b0c", "0A0b0c" },
    { "0707\",\"generation\"", "07g7\",\"generation\"" },
    { "\"activate\"", "\"activat\"" },
    { "\"issuing-2\",\"v\"", "\"issuing 2\",\"v\"" },
    { "\"issuing-2\",\"v\"", "\"\",\"v\"" },
    { "\"issuing-2\",\"v\"", "\"a\\u0000b\",\"v\"" },
    { "\"state\":\"active\"", "\"state\":\"gone\"" },
    { "\"state\":\"active\"", "\"state\":\"active\",\"x\":1" },
    { "\"generation\":\"issuing-1\"", "\"generation\":7" },
    { "\"reason\":\"none\"", "\"reason\":7" },
    { "\"reason\":\"none\"", "\"Reason\":\"none\"" },
    { "\"reason\":\"none\"", "\"reason\":\"a\\nb\"" },
    { "\"reason\":\"none\"", "\"why\":\"none\"" },
    { "\"none\"", "\"n\\u006fne\"" },
    { "\"operator:ann\"", "\"\"" },
    { "\"role\":\"\"", "\"role\":null" },
    { "\"role\":\"\"", "\"role\":\"a b\"" },
    { "{\"reason\":\"none\",\"why\":\"Übung\"}", "[]" },
    { "[{", "{{" },
};

static void test_no_other_text_is_a_plan(void)
{
    struct cm_plan plan;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[2048];
        const char *at = strstr(good, changes[i].from);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, changes[i].to,
                 at + strlen(changes[i].from));
        CU_ASSERT_EQUAL(read_plan(text, &plan), CM_MALFORMED);
        if (read_plan(text, &plan) == CM_OK)
            printf("\n  read: %s\n", text);
    }
    for (size_t size = 0; size < strlen(good); size++) {
        struct cm_error err;
        CU_ASSERT_EQUAL(cm_plan_read(cm_bytes(good, size), &arena, &plan, &err), CM_MALFORMED);
    }
}

static void test_a_plan_that_is_too_large_is_none(void)
{
    static char text[CM_PLAN_SIZE_MAX + 2];
    struct cm_plan plan;
    memset(text, ' ', sizeof text - 1);
    CU_ASSERT_EQUAL(read_plan(text, &plan), CM_MALFORMED);
}

static void test_two_plans_do_the_same_only_with_the_same_parameters(void)
{
    struct cm_plan plan;
    struct cm_plan_parameter rows[] = { { "why", "Übung" }, { "reason", "none" } };
    struct cm_plan_parameter twice[] = { { "why", "a" }, { "why", "b" } };
    CU_ASSERT_EQUAL_FATAL(read_plan(good, &plan), CM_OK);
    CU_ASSERT_TRUE(cm_plan_sort_parameters(rows, 2));
    CU_ASSERT_FALSE(cm_plan_sort_parameters(twice, 2));
    CU_ASSERT_TRUE(cm_plan_does(&plan, CM_CEREMONY_ACTIVATE, "issuing-2", rows, 2));
    CU_ASSERT_FALSE(cm_plan_does(&plan, CM_CEREMONY_RETIRE, "issuing-2", rows, 2));
    CU_ASSERT_FALSE(cm_plan_does(&plan, CM_CEREMONY_ACTIVATE, "issuing-1", rows, 2));
    CU_ASSERT_FALSE(cm_plan_does(&plan, CM_CEREMONY_ACTIVATE, "issuing-2", rows, 1));
    rows[0].value = "other";
    CU_ASSERT_FALSE(cm_plan_does(&plan, CM_CEREMONY_ACTIVATE, "issuing-2", rows, 2));
}

/* --------------------------------------------------------------------------- approvals -- */

static uint8_t digest_of_plan[CM_PLAN_DIGEST_SIZE] = { 1, 2, 3 };

static struct cm_bytes spki_of(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    struct cm_bytes spki = cm_arena_copy(&arena, cm_bytes(der, (size_t)size));
    OPENSSL_free(der);
    return spki;
}

static struct cm_bytes sign(EVP_PKEY *key, const char *message)
{
    uint8_t *signature = cm_arena_alloc(&arena, 512);
    size_t size = 512;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *hash = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
    CU_ASSERT_EQUAL(EVP_DigestSignInit(context, NULL, hash, NULL, key), 1);
    CU_ASSERT_EQUAL(
        EVP_DigestSign(context, signature, &size, (const uint8_t *)message, strlen(message)), 1);
    EVP_MD_CTX_free(context);
    return cm_bytes(signature, size);
}

static void verify_with(EVP_PKEY *key, EVP_PKEY *other)
{
    char message[CM_APPROVAL_MESSAGE_SIZE];
    struct cm_error err;
    uint8_t wrong[CM_PLAN_DIGEST_SIZE] = { 1, 2, 4 };
    cm_approval_message(CM_APPROVAL_RUN, digest_of_plan, message);
    struct cm_bytes signature = sign(key, message), spki = spki_of(key);
    CU_ASSERT_EQUAL(cm_approval_verify(CM_APPROVAL_RUN, digest_of_plan, spki, signature, &err),
                    CM_OK);
    CU_ASSERT_EQUAL(cm_approval_verify(CM_APPROVAL_CANCEL, digest_of_plan, spki, signature, &err),
                    CM_DENIED);
    CU_ASSERT_EQUAL(cm_approval_verify(CM_APPROVAL_RUN, wrong, spki, signature, &err), CM_DENIED);
    CU_ASSERT_EQUAL(
        cm_approval_verify(CM_APPROVAL_RUN, digest_of_plan, spki_of(other), signature, &err),
        CM_DENIED);
    signature.size--;
    CU_ASSERT_EQUAL(cm_approval_verify(CM_APPROVAL_RUN, digest_of_plan, spki, signature, &err),
                    CM_DENIED);
}

static void test_only_its_key_over_its_plan_for_its_purpose_approves(void)
{
    struct cm_error err;
    char message[CM_APPROVAL_MESSAGE_SIZE];
    EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    EVP_PKEY *p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    EVP_PKEY *p384 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    verify_with(ed25519, p256);
    verify_with(p256, ed25519);
    cm_approval_message(CM_APPROVAL_RUN, digest_of_plan, message);
    CU_ASSERT_EQUAL(cm_approval_verify(CM_APPROVAL_RUN, digest_of_plan, spki_of(p384),
                                       sign(p384, message), &err),
                    CM_DENIED);
    EVP_PKEY_free(ed25519);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
}

static void test_a_file_brings_an_approval_whole_or_not_at_all(void)
{
    const struct cm_approval approval = { .plan = { 9 },
                                          .digest = { 8 },
                                          .by = { .purpose = CM_APPROVAL_CANCEL,
                                                  .operator= cm_bytes_str("ann"),
                                                  .key = cm_bytes_str("key"),
                                                  .signature = cm_bytes_str("signature") } };
    static const char *const wrong[][2] = { { "\"v\":1", "\"v\":2" },
                                            { "\"ann\"", "\"\"" },
                                            { "\"cancel\"", "\"stop\"" },
                                            { "\"v\":1", "\"v\":1,\"x\":1" },
                                            { "\"signature\":\"", "\"signature\":\"*" },
                                            { "\"plan\":\"09", "\"plan\":\"0" } };
    struct cm_approval found;
    struct cm_error err;
    struct cm_bytes text = cm_approval_write(&approval, &arena);
    CU_ASSERT_EQUAL_FATAL(cm_approval_read(text, &arena, &found, &err), CM_OK);
    CU_ASSERT_EQUAL(memcmp(found.plan, approval.plan, sizeof found.plan), 0);
    CU_ASSERT_EQUAL(memcmp(found.digest, approval.digest, sizeof found.digest), 0);
    CU_ASSERT_EQUAL(found.by.purpose, CM_APPROVAL_CANCEL);
    CU_ASSERT_TRUE(cm_bytes_is(found.by.operator, "ann"));
    CU_ASSERT_TRUE(cm_bytes_is(found.by.key, "key"));
    CU_ASSERT_TRUE(cm_bytes_is(found.by.signature, "signature"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *whole = (const char *)text.data, *at = strstr(whole, wrong[i][0]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        const char *changed = cm_arena_printf(&arena, "%.*s%s%s", (int)(at - whole), whole,
                                              wrong[i][1], at + strlen(wrong[i][0]));
        CU_ASSERT_EQUAL(cm_approval_read(cm_bytes_str(changed), &arena, &found, &err),
                        CM_MALFORMED);
    }
}

CM_TEST_SUITE_WITH(plan, set_up, tear_down, CM_TEST(test_a_plan_has_one_text),
                   CM_TEST(test_no_other_text_is_a_plan),
                   CM_TEST(test_a_plan_that_is_too_large_is_none),
                   CM_TEST(test_two_plans_do_the_same_only_with_the_same_parameters),
                   CM_TEST(test_only_its_key_over_its_plan_for_its_purpose_approves),
                   CM_TEST(test_a_file_brings_an_approval_whole_or_not_at_all));
