/* What settings say about a Key Vault provider; what they must not say is refused by name. */
#include "providers/keyvault/options.h"
#include "tests/support/test_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static cm_status read_with(const char *text, const char *passphrase_ref,
                           struct cm_vault_options *options, struct cm_error *err)
{
    struct cm_provider_settings settings = { .name = "vault",
                                             .folder = "/etc/certmill",
                                             .passphrase_ref = passphrase_ref,
                                             .options = text };
    return cm_vault_options_read(&settings, options, err);
}

static void expect_refusal_with(const char *text, const char *passphrase_ref, cm_status expected,
                                const char *words)
{
    struct cm_vault_options options = { .rate = 7 };
    struct cm_error err = { .text = "" };
    cm_status status = read_with(text, passphrase_ref, &options, &err);
    CU_ASSERT_EQUAL(status, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_EQUAL(options.rate, 7);
    if (status != expected || !strstr(err.text, words))
        printf("  %.200s: %s, \"%s\" lacks \"%s\"\n", text, cm_status_name(status), err.text,
               words);
}

static void expect_refusal(const char *text, const char *words)
{
    expect_refusal_with(text, NULL, CM_MALFORMED, words);
}

static void expect_defaults(const char *text)
{
    struct cm_vault_options options;
    CU_ASSERT_EQUAL_FATAL(read_with(text, NULL, &options, NULL), CM_OK);
    CU_ASSERT_EQUAL(options.credential, CM_VAULT_MANAGED_IDENTITY);
    CU_ASSERT_EQUAL(options.in_flight_max, 256);
    CU_ASSERT_EQUAL(options.rate, 0);
    CU_ASSERT_EQUAL(options.timeout_ms, 10000);
    CU_ASSERT_FALSE(options.requires_hsm);
    CU_ASSERT_STRING_EQUAL(options.api_version, "7.4");
    CU_ASSERT_STRING_EQUAL(options.folder, "/etc/certmill");
    CU_ASSERT_PTR_NULL(options.tenant);
    CU_ASSERT_PTR_NULL(options.client);
    CU_ASSERT_PTR_NULL(options.certificate);
    CU_ASSERT_PTR_NULL(options.secret_ref);
    CU_ASSERT_PTR_NULL(options.trust);
    CU_ASSERT_PTR_NULL(options.resource);
    CU_ASSERT_PTR_NULL(options.authority);
    cm_vault_options_done(&options);
    CU_ASSERT_PTR_NULL(options.api_version);
    cm_vault_options_done(&options);
    cm_vault_options_done(NULL);
}

static void test_options_may_all_be_absent(void)
{
    expect_defaults(NULL);
    expect_defaults("{}");
}

static void test_options_are_read(void)
{
    struct cm_vault_options options;
    CU_ASSERT_EQUAL_FATAL(
        read_with(
            "{\"credential\": \"client-certificate\", \"tenant\": \"contoso.com\","
            " \"client\": \"6d1b-1\", \"certificate\": \"app.pem\", \"require\": \"hsm\","
            " \"in-flight\": 4096, \"rate\": 660, \"timeout-ms\": 100,"
            " \"trust\": \"/ca.pem\", \"resource\": \"https://vault.azure.net\","
            " \"authority\": \"https://login.example:8443/\", \"api-version\": \"2025-07-01\"}",
            NULL, &options, NULL),
        CM_OK);
    CU_ASSERT_EQUAL(options.credential, CM_VAULT_CLIENT_CERTIFICATE);
    CU_ASSERT_STRING_EQUAL(options.tenant, "contoso.com");
    CU_ASSERT_STRING_EQUAL(options.client, "6d1b-1");
    CU_ASSERT_STRING_EQUAL(options.certificate, "/etc/certmill/app.pem");
    CU_ASSERT_TRUE(options.requires_hsm);
    CU_ASSERT_EQUAL(options.in_flight_max, 4096);
    CU_ASSERT_EQUAL(options.rate, 660);
    CU_ASSERT_EQUAL(options.timeout_ms, 100);
    CU_ASSERT_STRING_EQUAL(options.trust, "/ca.pem");
    CU_ASSERT_STRING_EQUAL(options.resource, "https://vault.azure.net");
    CU_ASSERT_STRING_EQUAL(options.authority, "https://login.example:8443");
    CU_ASSERT_STRING_EQUAL(options.api_version, "2025-07-01");
    cm_vault_options_done(&options);
}

static void test_options_that_are_no_object_are_refused(void)
{
    expect_refusal("", "not a JSON object");
    expect_refusal("[]", "not a JSON object");
    expect_refusal("null", "not a JSON object");
    expect_refusal("{", "not a JSON object");
    expect_refusal("{} x", "not a JSON object");
    expect_refusal("{\"rate\": 1, \"rate\": 2}", "not a JSON object");
    expect_refusal("{\"tenant\": \"a\\u0000b\"}", "not a JSON object");
    char *deep = calloc(1, 100001);
    memset(deep, '[', 100000);
    expect_refusal(deep, "not a JSON object");
    free(deep);
}

static void test_options_that_nobody_knows_are_refused(void)
{
    expect_refusal("{\"Rate\": 1}", "Rate");
    expect_refusal("{\"secret\": \"x\"}", "secret");
    expect_refusal("{\"\": 1}", "none of this name");
    expect_refusal("{\"\\u001b[31m\": 1}", "\\x1b");
    /* A member behind one that was read: that one must not leak. */
    expect_refusal("{\"tenant\": \"t\", \"trust\": \"a\", \"zz\": 1}", "zz");
}

static void test_options_of_the_wrong_type_or_size_are_refused(void)
{
    expect_refusal("{\"credential\": \"password\"}", "credential: expected client-secret");
    expect_refusal("{\"credential\": 1}", "credential: expected");
    expect_refusal("{\"require\": \"HSM\"}", "require: expected hsm");
    expect_refusal("{\"require\": true}", "require: expected hsm");
    expect_refusal("{\"in-flight\": 0}", "in-flight: expected");
    expect_refusal("{\"in-flight\": 4097}", "in-flight: expected");
    expect_refusal("{\"in-flight\": 4294967297}", "in-flight: expected");
    expect_refusal("{\"in-flight\": -1}", "in-flight: expected");
    expect_refusal("{\"in-flight\": 1.5}", "in-flight: expected");
    expect_refusal("{\"in-flight\": \"5\"}", "in-flight: expected");
    expect_refusal("{\"in-flight\": null}", "in-flight: expected");
    expect_refusal("{\"rate\": 0}", "rate: expected");
    expect_refusal("{\"rate\": 1000001}", "rate: expected");
    expect_refusal("{\"timeout-ms\": 99}", "timeout-ms: expected");
    expect_refusal("{\"timeout-ms\": 600001}", "timeout-ms: expected");
    expect_refusal("{\"tenant\": \"\"}", "tenant: expected");
    expect_refusal("{\"tenant\": \"a/b\"}", "tenant: expected");
    expect_refusal("{\"client\": \"a b\"}", "client: expected");
    expect_refusal("{\"client\": {}}", "client: expected");
    expect_refusal("{\"trust\": \"\"}", "trust: expected");
    expect_refusal("{\"trust\": []}", "trust: expected");
    expect_refusal("{\"resource\": \"vault.azure.net\"}", "resource: expected");
    expect_refusal("{\"resource\": \"https://a b\"}", "resource: expected");
    expect_refusal("{\"authority\": \"http://login.example\"}", "authority: expected");
    expect_refusal("{\"authority\": \"https://login.example/tenant\"}", "authority: expected");
    expect_refusal("{\"api-version\": \"7.4&x=y\"}", "api-version: expected");
    expect_refusal("{\"api-version\": 7.4}", "api-version: expected");
}

static void test_options_say_what_a_credential_lacks(void)
{
    expect_refusal("{\"credential\": \"client-secret\"}", "needs the option client");
    expect_refusal("{\"credential\": \"client-secret\", \"client\": \"c\"}", "passphrase");
    expect_refusal("{\"credential\": \"client-certificate\", \"certificate\": \"c\"}",
                   "needs the option client");
    expect_refusal("{\"credential\": \"client-certificate\", \"client\": \"c\"}",
                   "needs the option certificate");
    expect_refusal("{\"certificate\": \"c\"}", "belongs to client-certificate");
    expect_refusal_with("{}", "file:/x", CM_MALFORMED, "have no passphrase");
}

static void test_options_look_whether_the_secret_is_there(void)
{
    static const char text[] = "{\"credential\": \"client-secret\", \"client\": \"c\"}";
    struct cm_vault_options options;
    char path[512], ref[520];
    snprintf(path, sizeof path, "%s/secret", cm_test_scratch());
    snprintf(ref, sizeof ref, "file:%s", path);
    expect_refusal_with(text, ref, CM_NOT_FOUND, "secret file");
    expect_refusal_with(text, "hunter2", CM_MALFORMED, "a secret is named by");
    expect_refusal_with(text, "prompt:Secret", CM_MALFORMED, "nobody may be there");
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, "hush\n", 5) == 5);
    close(fd);
    CU_ASSERT_EQUAL_FATAL(read_with(text, ref, &options, NULL), CM_OK);
    CU_ASSERT_STRING_EQUAL(options.secret_ref, ref);
    CU_ASSERT_EQUAL(options.credential, CM_VAULT_CLIENT_SECRET);
    cm_vault_options_done(&options);
    CU_ASSERT_EQUAL(chmod(path, 0644), 0);
    expect_refusal_with(text, ref, CM_DENIED, "open to all users");
}

CM_TEST_SUITE(keyvault_options, CM_TEST(test_options_may_all_be_absent),
              CM_TEST(test_options_are_read), CM_TEST(test_options_that_are_no_object_are_refused),
              CM_TEST(test_options_that_nobody_knows_are_refused),
              CM_TEST(test_options_of_the_wrong_type_or_size_are_refused),
              CM_TEST(test_options_say_what_a_credential_lacks),
              CM_TEST(test_options_look_whether_the_secret_is_there));
