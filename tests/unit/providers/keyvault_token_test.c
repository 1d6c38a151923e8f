/*
 * Where the Key Vault provider gets its tokens from, on the emulator: each credential, challenges of each
 * form and of an evil vault, and that the end of a token is nobody's concern.
 */
#include "tests/unit/providers/keyvault_stage.h"
#include "tests/support/rsa_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "engine/base/clock.h"

/* ------------------------------------------------------------------ the life of a token -- */

static void test_token_that_was_revoked_is_replaced_and_no_signature_fails(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"in-flight\": 8");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    for (unsigned round = 0; round < 3; round++) {
        CU_ASSERT_TRUE(
            rig_signs(&stage.rig, key, 1)); /* a token that is good: one is lost at a time */
        struct rig_batch *batch = rig_batch_new(&stage.rig, key, 60);
        CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
        rig_run_for(&stage.rig, 5);
        free(cm_keyvault_control(&stage.vault, "POST", "/emulator/tokens/revoke", ""));
        rig_wait(&stage.rig, &batch->dones, 1);
        CU_ASSERT_TRUE(rig_all_verify(batch));
        rig_batch_free(batch);
    }
    /* Those that are out when one is found to be gone share the next. */
    CU_ASSERT_TRUE(cm_keyvault_statistic(&stage.vault, "requests.token") <= 4);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_token_is_replaced_before_it_ends_and_no_request_is_refused(void)
{
    static const char *const emulator[] = { "--token-life", "4", NULL };
    struct vault_stage stage;
    vault_stage_open(&stage, emulator, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    uint64_t end_ns = cm_clock_monotonic_ns() + 7000 * CM_NS_PER_MS;
    long long refused = cm_keyvault_statistic(&stage.vault, "unauthorized");
    while (cm_clock_monotonic_ns() < end_ns) {
        CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 2));
        rig_run_for(&stage.rig, 50);
    }
    CU_ASSERT_TRUE(cm_keyvault_statistic(&stage.vault, "requests.token") >= 3);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "unauthorized"), refused);
    CU_ASSERT_EQUAL(stage.notices_count, 0);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* The directory refuses the next token while the present one is good. */
static void test_token_that_is_good_is_used_although_the_next_is_refused(void)
{
    static const char *const emulator[] = { "--token-life", "4", "--refresh-in", "1", NULL };
    struct vault_stage stage;
    vault_stage_open(&stage, emulator, ", \"rate\": 20");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 40);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"token\",\"kind\":\"status\",\"status\":400}");
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "faults"), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "no token is given to us"));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_token_is_asked_for_again_where_the_directory_fails(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"token\",\"kind\":\"status\",\"status\":503}");
    CU_ASSERT_TRUE(vault_stage_works(&stage, "ca"));
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "tokens cannot be had now"));
    vault_stage_close(&stage);
}

static void test_token_is_not_asked_for_before_the_directory_said(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    struct rig_batch *batch = rig_batch_new(&stage.rig, key, 1);
    long long before = cm_keyvault_statistic(&stage.vault, "requests.token");
    free(cm_keyvault_control(&stage.vault, "POST", "/emulator/tokens/revoke", ""));
    cm_keyvault_fault(&stage.vault, "{\"on\":\"token\",\"kind\":\"status\",\"status\":429,"
                                    "\"retry_after\":\"3600\",\"count\":0}");
    batch->batch.deadline_ns = cm_clock_monotonic_ns() + 2500 * CM_NS_PER_MS;
    rig_sign(batch);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_UNAVAILABLE);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "requests.token") - before, 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_token_that_is_refused_is_told_with_the_directorys_number(void)
{
    struct vault_stage stage;
    vault_stage_start(&stage, NULL);
    vault_stage_open_with(&stage, rig_vault_options(&stage.vault, ""), rig_vault_secret("wrong"));
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    CU_ASSERT_EQUAL(
        vault_stage_try(&stage, rig_vault_reference(&stage.vault, "ca"), "AADSTS7000215"),
        CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "AADSTS7000215"));
    CU_ASSERT_PTR_NULL(strstr(stage.notices, "wrong"));
    vault_stage_close(&stage);
}

/* Tokens are to be had, and the vault takes none: the directory is not asked for one after the other. */
static void test_token_that_is_refused_at_once_is_replaced_with_waits(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    rig_run_for(&stage.rig, 50); /* the look of the new key is over */
    cm_keyvault_fault(&stage.vault,
                      "[{\"on\":\"sign\",\"kind\":\"status\",\"status\":401,\"count\":0}]");
    long long before = cm_keyvault_statistic(&stage.vault, "requests.token");
    for (unsigned i = 0; i < 20; i++) {
        struct rig_batch *batch = rig_batch_new(&stage.rig, key, 1);
        batch->batch.deadline_ns = cm_clock_monotonic_ns() + 50 * CM_NS_PER_MS;
        rig_sign(batch);
        CU_ASSERT_NOT_EQUAL(batch->items[0].status, CM_OK);
        rig_batch_free(batch);
    }
    CU_ASSERT_TRUE(cm_keyvault_statistic(&stage.vault, "requests.token") - before < 15);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "a token that had just come is refused"));
    cm_keyvault_clear_faults(&stage.vault);
    CU_ASSERT_EQUAL(vault_stage_sign_one(&stage, key), CM_OK);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ challenges -- */

static void test_challenge_is_understood_in_each_form(void)
{
    static const char *const forms[] = { "resource", "uri", "scope", "both", "beside" };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const char *const emulator[] = { "--challenge", forms[i], NULL };
        struct vault_stage stage;
        vault_stage_open(&stage, emulator, "");
        cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
        CU_ASSERT_TRUE(vault_stage_works(&stage, "ca"));
        vault_stage_close(&stage);
    }
}

static void expect_no_token(struct vault_stage *stage, const char *words)
{
    cm_keyvault_create_key(&stage->vault, "ca", EC_256, NULL);
    CU_ASSERT_EQUAL(vault_stage_try(stage, rig_vault_reference(&stage->vault, "ca"), words),
                    CM_DENIED);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage->vault, "requests.token"), 0);
    vault_stage_close(stage);
}

static void test_challenge_that_wants_tokens_for_others_is_refused(void)
{
    static const char *const emulator[] = { "--challenge-resource", "https://graph.microsoft.com",
                                            NULL };
    struct vault_stage stage;
    vault_stage_open(&stage, emulator, "");
    expect_no_token(&stage, "must not have tokens for https://graph.microsoft.com");
}

/* Who calls himself a vault may name anything as the place that tokens come from. */
static void test_challenge_of_an_unknown_directory_gets_no_secret(void)
{
    struct vault_stage stage;
    char options[1024];
    vault_stage_start(&stage, NULL);
    snprintf(options, sizeof options,
             "{\"credential\": \"client-secret\", \"client\": \"%s\", \"trust\": \"%s\", "
             "\"resource\": \"https://vault.azure.net\"}",
             CM_KEYVAULT_CLIENT_ID, stage.vault.certificate);
    vault_stage_open_with(&stage, options, rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET));
    expect_no_token(&stage, "a directory that is none of Microsoft's");
}

/* Without the option, only a host under vault.azure.net may have tokens for that. */
static void test_challenge_of_a_host_that_is_no_vault_is_refused(void)
{
    struct vault_stage stage;
    char options[1024];
    vault_stage_start(&stage, NULL);
    snprintf(options, sizeof options,
             "{\"credential\": \"client-secret\", \"client\": \"%s\", \"trust\": \"%s\"}",
             CM_KEYVAULT_CLIENT_ID, stage.vault.certificate);
    vault_stage_open_with(&stage, options, rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET));
    expect_no_token(&stage, "must not have tokens for https://vault.azure.net");
}

/* ------------------------------------------------------------------ credentials -- */

/* Options for what is not a client secret. */
static const char *options_of(const struct vault_stage *stage, const char *members)
{
    static char options[1024];
    snprintf(
        options, sizeof options,
        "{%s, \"trust\": \"%s\", \"resource\": \"https://vault.azure.net\", \"authority\": \"%s\"}",
        members, stage->vault.certificate, stage->vault.url);
    return options;
}

static void expect_works(struct vault_stage *stage, const char *members, const char *statistic)
{
    cm_keyvault_create_key(&stage->vault, "ca", EC_256, NULL);
    vault_stage_open_with(stage, options_of(stage, members), NULL);
    CU_ASSERT_TRUE(vault_stage_works(stage, "ca"));
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage->vault, statistic), 1);
    vault_stage_close(stage);
}

static void write_pem(const char *path, X509 *certificate, EVP_PKEY *pkey)
{
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    PEM_write_X509(file, certificate);
    if (pkey)
        PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

/* A self-signed certificate, alone and with its key. */
static void write_certificates(const char *public_path, const char *path)
{
    EVP_PKEY *pkey = cm_rsa_pair(0);
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"certmill", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, pkey);
    CU_ASSERT_TRUE_FATAL(X509_sign(certificate, pkey, EVP_sha256()) > 0);
    write_pem(public_path, certificate, NULL);
    write_pem(path, certificate, pkey);
    X509_free(certificate);
    EVP_PKEY_free(pkey);
}

static void test_certificate_serves_as_a_credential(void)
{
    char public_path[512], path[512], members[1024];
    snprintf(public_path, sizeof public_path, "%s/public.pem", cm_test_scratch());
    snprintf(path, sizeof path, "%s",
             rig_write_file("client.pem", "", 0, 0600)); /* so that it has its mode */
    write_certificates(public_path, path);
    const char *const emulator[] = { "--client-certificate", public_path, NULL };
    struct vault_stage stage;
    vault_stage_start(&stage, emulator);
    snprintf(members, sizeof members,
             "\"credential\": \"client-certificate\", \"client\": \"%s\", \"certificate\": \"%s\"",
             CM_KEYVAULT_CLIENT_ID, path);
    expect_works(&stage, members, "requests.token");
}

static void test_workload_identity_serves_as_a_credential(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s", rig_write_file("federated", "a.b.c\n", 6, 0644));
    const char *const emulator[] = { "--federated-token", path, NULL };
    struct vault_stage stage;
    setenv("AZURE_FEDERATED_TOKEN_FILE", path, 1);
    setenv("AZURE_CLIENT_ID", CM_KEYVAULT_CLIENT_ID, 1);
    setenv("AZURE_TENANT_ID", CM_KEYVAULT_TENANT, 1);
    vault_stage_start(&stage, emulator);
    expect_works(&stage, "\"credential\": \"workload-identity\"", "requests.token");
    unsetenv("AZURE_FEDERATED_TOKEN_FILE");
    unsetenv("AZURE_CLIENT_ID");
    unsetenv("AZURE_TENANT_ID");
}

static void test_managed_identity_serves_as_a_credential(void)
{
    struct vault_stage stage;
    vault_stage_start(&stage, NULL);
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", stage.vault.control_url, 1);
    expect_works(&stage, "\"credential\": \"managed-identity\"", "requests.identity");
    unsetenv("AZURE_POD_IDENTITY_AUTHORITY_HOST");
}

static void test_app_service_serves_as_a_credential(void)
{
    static const char *const emulator[] = { "--identity-header", "header-secret", NULL };
    struct vault_stage stage;
    char endpoint[128];
    vault_stage_start(&stage, emulator);
    snprintf(endpoint, sizeof endpoint, "%s/msi/token", stage.vault.control_url);
    setenv("IDENTITY_ENDPOINT", endpoint, 1);
    setenv("IDENTITY_HEADER", "header-secret", 1);
    expect_works(&stage, "\"credential\": \"managed-identity\"", "requests.identity");
    unsetenv("IDENTITY_ENDPOINT");
    unsetenv("IDENTITY_HEADER");
}

CM_TEST_SUITE(keyvault_token,
              CM_TEST(test_token_that_was_revoked_is_replaced_and_no_signature_fails),
              CM_TEST(test_token_is_replaced_before_it_ends_and_no_request_is_refused),
              CM_TEST(test_token_that_is_good_is_used_although_the_next_is_refused),
              CM_TEST(test_token_is_asked_for_again_where_the_directory_fails),
              CM_TEST(test_token_is_not_asked_for_before_the_directory_said),
              CM_TEST(test_token_that_is_refused_is_told_with_the_directorys_number),
              CM_TEST(test_token_that_is_refused_at_once_is_replaced_with_waits),
              CM_TEST(test_challenge_is_understood_in_each_form),
              CM_TEST(test_challenge_that_wants_tokens_for_others_is_refused),
              CM_TEST(test_challenge_of_an_unknown_directory_gets_no_secret),
              CM_TEST(test_challenge_of_a_host_that_is_no_vault_is_refused),
              CM_TEST(test_certificate_serves_as_a_credential),
              CM_TEST(test_workload_identity_serves_as_a_credential),
              CM_TEST(test_managed_identity_serves_as_a_credential),
              CM_TEST(test_app_service_serves_as_a_credential));
