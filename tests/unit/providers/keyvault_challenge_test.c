/* Which challenges of a vault are believed: a hostile vault collects no tokens. */
#include "providers/keyvault/challenge.h"
#include "engine/base/bytes.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

#define VAULT      "v.vault.azure.net"
#define AUTHORITY  "authorization=\"https://login.microsoftonline.com/tenant-1\""
#define RESOURCE   "resource=\"https://vault.azure.net\""
#define FROM(rest) "Bearer " AUTHORITY ", " rest

static cm_status read_from(const char *host, const char *header, const char *allowed,
                           struct cm_challenge *challenge, struct cm_error *err)
{
    /* A copy that ends with its NUL, so that a sanitizer sees whoever reads on. */
    char *copy = strdup(header);
    cm_status status = cm_challenge_read(copy, host, allowed, challenge, err);
    free(copy);
    return status;
}

static void expect_read(const char *header, const char *authority, const char *tenant,
                        const char *resource)
{
    struct cm_challenge challenge = { 0 };
    struct cm_error err = { .text = "" };
    cm_status status = read_from(VAULT, header, NULL, &challenge, &err);
    CU_ASSERT_EQUAL(status, CM_OK);
    CU_ASSERT_STRING_EQUAL(challenge.authority, authority);
    CU_ASSERT_STRING_EQUAL(challenge.tenant, tenant);
    CU_ASSERT_STRING_EQUAL(challenge.resource, resource);
    if (status != CM_OK)
        printf("  %s: %s\n", header, err.text);
}

static void expect_usual(const char *header)
{
    expect_read(header, "https://login.microsoftonline.com", "tenant-1", "https://vault.azure.net");
}

static void expect_denied(const char *host, const char *header, const char *words)
{
    struct cm_challenge challenge = { .tenant = "untouched" };
    struct cm_error err = { .text = "" };
    cm_status status = read_from(host, header, NULL, &challenge, &err);
    CU_ASSERT_EQUAL(status, CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_STRING_EQUAL(challenge.tenant, "untouched");
    if (status != CM_DENIED || !strstr(err.text, words))
        printf("  %.300s: %s, \"%s\" lacks \"%s\"\n", header, cm_status_name(status), err.text,
               words);
}

static void test_challenge_reads_what_vaults_send(void)
{
    expect_usual(FROM(RESOURCE));
    expect_usual("Bearer authorization_uri=\"https://login.microsoftonline.com/tenant-1\","
                 "resource=\"https://vault.azure.net\"");
    expect_usual(FROM("scope=\"https://vault.azure.net/.default\""));
    expect_usual(FROM(RESOURCE ", scope=\"https://other.example/.default\""));
    expect_usual("bearer AUTHORIZATION = \"https://login.microsoftonline.com/tenant-1/oauth2\" ,"
                 "\tResource= \"https://vault.azure.net\"");
    expect_usual("Bearer authorization=https://login.microsoftonline.com/tenant-1, "
                 "resource=https://vault.azure.net");
    expect_usual(FROM("error=\"invalid_token\", error_description=\"a \\\"b\\\", c\", " RESOURCE));
    expect_usual("Basic realm=\"Bearer\", resource=\"https://x.example\", " FROM(RESOURCE));
    expect_usual(FROM(RESOURCE) ", PoP authorization=\"https://x.example/y\"");
    expect_usual(FROM(RESOURCE) ", Bearer resource=\"https://other.example\"");
}

static void test_challenge_finds_the_tenant(void)
{
    expect_read("Bearer authorization=\"https://dsts.example:8443/dstsv2/t-2/x\", " RESOURCE,
                "https://dsts.example:8443", "t-2", "https://vault.azure.net");
    expect_read("Bearer authorization=\"https://adfs.example/contoso.com\", " RESOURCE,
                "https://adfs.example", "contoso.com", "https://vault.azure.net");
}

static void test_challenge_of_other_schemes_is_denied(void)
{
    expect_denied(VAULT, "", "no bearer token");
    expect_denied(VAULT, "Basic realm=\"x\"", "Basic");
    expect_denied(VAULT, "Bearers " AUTHORITY ", " RESOURCE, "no bearer token");
    expect_denied(VAULT, AUTHORITY ", " RESOURCE, "no bearer token");
    expect_denied(VAULT, "=\"x\"", "no bearer token");
    expect_denied(VAULT, "\"Bearer\"", "no bearer token");
    expect_denied(VAULT, FROM("resource=\"https://vault.azure.net"), "no bearer token");
    expect_denied(VAULT, FROM("resource=\"https://vault.azure.net\\"), "no bearer token");
    expect_denied(VAULT, "\x1b[31m", "\\x1b");
}

static void test_challenge_without_a_directory_is_denied(void)
{
    expect_denied(VAULT, "Bearer", "names no directory");
    expect_denied(VAULT, "Bearer " RESOURCE, "names no directory");
    expect_denied(VAULT, "Bearer authorization=\"\", " RESOURCE, "names no directory");
    expect_denied(VAULT, "Bearer authorization, " RESOURCE, "names no directory");
    expect_denied(VAULT, "Bearer authorization=\"http://login.example/t\", " RESOURCE, "http://");
    expect_denied(VAULT, "Bearer authorization=\"https://login.example\", " RESOURCE, "directory");
    expect_denied(VAULT, "Bearer authorization=\"https://login.example/\", " RESOURCE, "directory");
    expect_denied(VAULT, "Bearer authorization=\"https://a@b.example/t\", " RESOURCE, "a@b");
    expect_denied(VAULT, "Bearer authorization=\"https://b.example/..\", " RESOURCE, "directory");
    expect_denied(VAULT, "Bearer authorization=\"https://b.example/t%2f\", " RESOURCE, "directory");
    expect_denied(VAULT, "Bearer authorization=\"https://b.example/t?x\", " RESOURCE, "directory");
    expect_denied(VAULT, "Bearer authorization=\"https://b.example/dstsv2/\", " RESOURCE,
                  "directory");
}

static void test_challenge_for_another_resource_is_denied(void)
{
    expect_denied(VAULT, "Bearer " AUTHORITY, "names no resource");
    expect_denied(VAULT, "Bearer " AUTHORITY ", Bearer " RESOURCE, "names no resource");
    expect_denied(VAULT, FROM("resource=\"vault.azure.net\""), "names no resource");
    expect_denied(VAULT, FROM("resource=\"http://vault.azure.net\""), "names no resource");
    expect_denied(VAULT, FROM("resource=\"https://vault.azure.net x\""), "names no resource");
    expect_denied(VAULT, FROM("scope=\"/.default\""), "names no resource");
    expect_denied(VAULT, FROM("resource=\"https://management.azure.com\""), "must not have");
    expect_denied(VAULT, FROM("scope=\"https://graph.microsoft.com/.default\""), "must not have");
    expect_denied("evilvault.azure.net", FROM(RESOURCE), "must not have");
    expect_denied("vault.azure.net", FROM(RESOURCE), "must not have");
    expect_denied(".vault.azure.net", FROM(RESOURCE), "must not have");
    expect_denied("vault.azure.net.evil.example", FROM(RESOURCE), "must not have");
    expect_denied("net", FROM(RESOURCE), "must not have");
    expect_denied("localhost", FROM(RESOURCE), "must not have");
}

static void expect_resource(const char *host, const char *resource)
{
    struct cm_challenge challenge = { 0 };
    struct cm_error err = { .text = "" };
    char header[256];
    snprintf(header, sizeof header, FROM("resource=\"%s\""), resource);
    CU_ASSERT_EQUAL(read_from(host, header, NULL, &challenge, &err), CM_OK);
    CU_ASSERT_STRING_EQUAL(challenge.resource, resource);
    CU_ASSERT_STRING_EQUAL(err.text, "");
}

/* Managed HSMs, and the clouds of other countries: each has tokens of its own. */
static void test_challenge_for_the_resource_above_the_host_is_believed(void)
{
    expect_resource(VAULT, "https://vault.azure.net");
    expect_resource("p.managedhsm.azure.net", "https://managedhsm.azure.net");
    expect_resource("v.vault.azure.cn", "https://vault.azure.cn");
    expect_resource("v.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net");
    expect_denied("p.managedhsm.azure.net", FROM(RESOURCE), "must not have");
    expect_denied(VAULT, FROM("resource=\"https://managedhsm.azure.net\""), "must not have");
    expect_denied("v.vault.azure.cn", FROM(RESOURCE), "must not have");
    expect_denied(VAULT, FROM("resource=\"https://vault.usgovcloudapi.net\""), "must not have");
}

static void test_challenge_for_the_resource_of_the_settings_is_believed(void)
{
    struct cm_challenge challenge;
    const char *allowed = "https://vault.azure.net";
    CU_ASSERT_EQUAL(read_from("localhost", FROM(RESOURCE), allowed, &challenge, NULL), CM_OK);
    CU_ASSERT_STRING_EQUAL(challenge.resource, allowed);
    CU_ASSERT_EQUAL(read_from(VAULT, FROM(RESOURCE), "https://other.example", &challenge, NULL),
                    CM_DENIED);
    CU_ASSERT_EQUAL(
        read_from(VAULT, FROM("resource=\"https://azure.net\""), allowed, &challenge, NULL),
        CM_DENIED);
}

static void expect_denied_when_long(const char *prefix, char c, size_t count, const char *suffix)
{
    char *header = malloc(strlen(prefix) + count + strlen(suffix) + 1);
    char *next = stpcpy(header, prefix);
    memset(next, c, count);
    strcpy(next + count, suffix);
    expect_denied(VAULT, header, "");
    free(header);
}

static void test_challenge_of_any_length_is_read(void)
{
    for (size_t count = 480; count < 540; count++) {
        expect_denied_when_long("Bearer authorization=\"https://", 'a', count, "/t\", " RESOURCE);
        expect_denied_when_long("Bearer authorization=https://", 'a', count, "/t, " RESOURCE);
        expect_denied_when_long(FROM("resource=\"https://"), 'a', count, "\"");
    }
    expect_denied_when_long(FROM("resource=\""), 'a', 100000, "\"");
    expect_denied_when_long(FROM("resource=\""), '\\', 100001, "");
    expect_denied_when_long("", ',', 100000, "");
    expect_denied_when_long("Bearer", ' ', 100000, "=");
}

CM_TEST_SUITE(keyvault_challenge, CM_TEST(test_challenge_reads_what_vaults_send),
              CM_TEST(test_challenge_finds_the_tenant),
              CM_TEST(test_challenge_of_other_schemes_is_denied),
              CM_TEST(test_challenge_without_a_directory_is_denied),
              CM_TEST(test_challenge_for_another_resource_is_denied),
              CM_TEST(test_challenge_for_the_resource_above_the_host_is_believed),
              CM_TEST(test_challenge_for_the_resource_of_the_settings_is_believed),
              CM_TEST(test_challenge_of_any_length_is_read));
