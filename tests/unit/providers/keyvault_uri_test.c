/* What names a key in a vault, and what is refused: hostile input first. */
#include "providers/keyvault/uri.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

static cm_status parse(const char *text, struct cm_vault_uri *uri, struct cm_error *err)
{
    /* A copy that ends with its NUL, so that a sanitizer sees whoever reads on. */
    char *copy = strdup(text);
    cm_status status = cm_vault_uri_read(copy, uri, err);
    free(copy);
    return status;
}

static void expect_refusal(const char *text, const char *words)
{
    struct cm_vault_uri uri = { .host = "untouched" };
    struct cm_error err = { .text = "" };
    cm_status status = parse(text, &uri, &err);
    CU_ASSERT_EQUAL(status, CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_STRING_EQUAL(uri.host, "untouched");
    if (status != CM_MALFORMED || !strstr(err.text, words))
        printf("%s: %s, \"%s\" lacks \"%s\"\n", text, cm_status_name(status), err.text, words);
}

/* prefix, count times c, suffix; owned by the caller. */
static char *stretch(const char *prefix, char c, size_t count, const char *suffix)
{
    char *text = malloc(strlen(prefix) + count + strlen(suffix) + 1);
    char *next = stpcpy(text, prefix);
    memset(next, c, count);
    strcpy(next + count, suffix);
    return text;
}

static void expect_long(const char *prefix, char c, size_t count, const char *suffix,
                        const char *words)
{
    struct cm_vault_uri uri;
    char *text = stretch(prefix, c, count, suffix);
    if (words)
        expect_refusal(text, words);
    else
        CU_ASSERT_EQUAL(parse(text, &uri, NULL), CM_OK);
    free(text);
}

static void test_uri_reads_a_key_and_its_version(void)
{
    struct cm_vault_uri uri;
    CU_ASSERT_EQUAL_FATAL(parse("https://Factory.Vault.azure.net/keys/Issuing-1", &uri, NULL),
                          CM_OK);
    CU_ASSERT_STRING_EQUAL(uri.host, "factory.vault.azure.net");
    CU_ASSERT_EQUAL(uri.port, 443);
    CU_ASSERT_STRING_EQUAL(uri.name, "Issuing-1");
    CU_ASSERT_STRING_EQUAL(uri.version, "");
    CU_ASSERT_EQUAL_FATAL(
        parse("https://127.0.0.1:8443/keys/k/0123456789abcdef0123456789abcdef", &uri, NULL), CM_OK);
    CU_ASSERT_STRING_EQUAL(uri.host, "127.0.0.1");
    CU_ASSERT_EQUAL(uri.port, 8443);
    CU_ASSERT_STRING_EQUAL(uri.version, "0123456789abcdef0123456789abcdef");
    CU_ASSERT_EQUAL_FATAL(
        parse("https://localhost:65535/keys/k/12345678-1234-1234-1234-123456789012", &uri, NULL),
        CM_OK);
    CU_ASSERT_EQUAL(uri.port, 65535);
}

static void test_uri_refuses_other_schemes_users_and_queries(void)
{
    expect_refusal("", "https://");
    expect_refusal("http://v.vault.azure.net/keys/k", "https://");
    expect_refusal("https:/v/keys/k", "https://");
    expect_refusal("file:key.pem", "https://");
    expect_refusal("https://user@v.vault.azure.net/keys/k", "user");
    expect_refusal("https://v.vault.azure.net:443@evil.example/keys/k", "user");
    expect_refusal("https://v.vault.azure.net/keys/k?api-version=7.4", "query");
    expect_refusal("https://v.vault.azure.net/keys/k#x", "query");
}

static void test_uri_refuses_bad_hosts_and_ports(void)
{
    expect_refusal("https://", "host");
    expect_refusal("https:///keys/k", "host");
    expect_refusal("https://:443/keys/k", "host");
    expect_refusal("https://v..azure.net/keys/k", "host");
    expect_refusal("https://.azure.net/keys/k", "host");
    expect_refusal("https://v.azure.net./keys/k", "host");
    expect_refusal("https://-v.azure.net/keys/k", "host");
    expect_refusal("https://v-.azure.net/keys/k", "host");
    expect_refusal("https://v_w.azure.net/keys/k", "host");
    expect_refusal("https://v%2eazure.net/keys/k", "host");
    expect_refusal("https://[::1]/keys/k", "host");
    expect_refusal("https://v\\evil.example/keys/k", "host");
    expect_refusal("https://v\x1b[31m/keys/k", "\\x1b");
    expect_refusal("https://v:/keys/k", "port");
    expect_refusal("https://v:0/keys/k", "port");
    expect_refusal("https://v:0443/keys/k", "port");
    expect_refusal("https://v:65536/keys/k", "port");
    expect_refusal("https://v:99999999999/keys/k", "port");
    expect_refusal("https://v:4a/keys/k", "port");
    expect_refusal("https://v:+1/keys/k", "port");
    expect_refusal("https://v:443:443/keys/k", "port");
}

static void test_uri_refuses_bad_paths(void)
{
    expect_refusal("https://v", "names no key");
    expect_refusal("https://v/", "names no key");
    expect_refusal("https://v/keys", "names no key");
    expect_refusal("https://v/secrets/k", "names no key");
    expect_refusal("https://v//keys/k", "names no key");
    expect_refusal("https://v/keys/", "key name");
    expect_refusal("https://v/keys//version", "key name");
    expect_refusal("https://v/keys/k_1", "key name");
    expect_refusal("https://v/keys/../secrets", "key name");
    expect_refusal("https://v/keys/k%00", "key name");
    expect_refusal("https://v/keys/k\n", "key name");
    expect_refusal("https://v/keys/k/", "version");
    expect_refusal("https://v/keys/k/v/sign", "version");
    expect_refusal("https://v/keys/k/v.1", "version");
}

static void test_uri_holds_its_parts_to_their_sizes(void)
{
    char *host = stretch("https://a.", 'b', 63, ".c/keys/k");
    struct cm_vault_uri uri;
    CU_ASSERT_EQUAL(parse(host, &uri, NULL), CM_OK);
    free(host);
    expect_long("https://a.", 'b', 64, ".c/keys/k", "host");
    expect_long("https://", 'b', 300, "/keys/k", "host");
    expect_long("https://v/keys/", 'k', 127, "", NULL);
    expect_long("https://v/keys/", 'k', 128, "", "key name");
    expect_long("https://v/keys/k/", '0', 64, "", NULL);
    expect_long("https://v/keys/k/", '0', 65, "", "version");
    expect_long("https://v/keys/k/", '0', 100000, "", "longer than");
}

/* Labels of 49 characters and their dots: 250, and the longest of everything else. */
static void test_uri_writes_the_longest_there_is(void)
{
    char text[CM_VAULT_URI_SIZE], again[CM_VAULT_URI_SIZE];
    char host[251], name[128], version[65];
    struct cm_vault_uri uri;
    memset(host, 'h', sizeof host);
    for (size_t i = 49; i < sizeof host - 1; i += 50)
        host[i] = '.';
    strcpy(host + 248, "xy");
    memset(name, 'n', 127);
    memset(version, 'v', 64);
    name[127] = version[64] = '\0';
    snprintf(text, sizeof text, "https://%s:65535/keys/%s/%s", host, name, version);
    CU_ASSERT_EQUAL_FATAL(parse(text, &uri, NULL), CM_OK);
    cm_vault_uri_write(&uri, again);
    CU_ASSERT_STRING_EQUAL(again, text);
}

static void test_uri_is_written_in_one_spelling(void)
{
    char text[CM_VAULT_URI_SIZE];
    struct cm_vault_uri uri;
    CU_ASSERT_EQUAL_FATAL(parse("https://V.VAULT.azure.net:443/keys/Key", &uri, NULL), CM_OK);
    cm_vault_uri_write(&uri, text);
    CU_ASSERT_STRING_EQUAL(text, "https://v.vault.azure.net/keys/Key");
    cm_vault_uri_write_base(&uri, text);
    CU_ASSERT_STRING_EQUAL(text, "https://v.vault.azure.net");
    CU_ASSERT_EQUAL_FATAL(parse("https://localhost:8443/keys/k/1a", &uri, NULL), CM_OK);
    cm_vault_uri_write(&uri, text);
    CU_ASSERT_STRING_EQUAL(text, "https://localhost:8443/keys/k/1a");
    cm_vault_uri_write_base(&uri, text);
    CU_ASSERT_STRING_EQUAL(text, "https://localhost:8443");
}

static bool same(bool (*compare)(const struct cm_vault_uri *, const struct cm_vault_uri *),
                 const char *a_text, const char *b_text)
{
    struct cm_vault_uri a, b;
    CU_ASSERT_EQUAL_FATAL(parse(a_text, &a, NULL), CM_OK);
    CU_ASSERT_EQUAL_FATAL(parse(b_text, &b, NULL), CM_OK);
    return compare(&a, &b);
}

static void test_uri_compares_without_regard_to_case(void)
{
    CU_ASSERT_TRUE(same(cm_vault_uri_same_vault, "https://a.b/keys/k", "https://A.B:443/keys/x"));
    CU_ASSERT_FALSE(same(cm_vault_uri_same_vault, "https://a.b/keys/k", "https://a.b:444/keys/k"));
    CU_ASSERT_FALSE(same(cm_vault_uri_same_vault, "https://a.b/keys/k", "https://a.bc/keys/k"));
    CU_ASSERT_TRUE(same(cm_vault_uri_same_key, "https://a/keys/k/ab", "https://A/keys/K/AB"));
    CU_ASSERT_FALSE(same(cm_vault_uri_same_key, "https://a/keys/k/ab", "https://a/keys/k/ac"));
    CU_ASSERT_FALSE(same(cm_vault_uri_same_key, "https://a/keys/k/ab", "https://a/keys/k"));
    CU_ASSERT_FALSE(same(cm_vault_uri_same_key, "https://a/keys/k/ab", "https://b/keys/k/ab"));
}

static bool is_managed(const char *text)
{
    struct cm_vault_uri uri;
    CU_ASSERT_EQUAL_FATAL(parse(text, &uri, NULL), CM_OK);
    return cm_vault_uri_is_managed_hsm(&uri);
}

static void test_uri_knows_a_managed_hsm_by_its_host(void)
{
    CU_ASSERT_TRUE(is_managed("https://pool.managedhsm.azure.net/keys/k"));
    CU_ASSERT_TRUE(is_managed("https://pool.ManagedHSM.azure.cn/keys/k"));
    CU_ASSERT_TRUE(is_managed("https://pool.managedhsm.usgovcloudapi.net/keys/k"));
    CU_ASSERT_FALSE(is_managed("https://managedhsm.vault.azure.net/keys/k"));
    CU_ASSERT_FALSE(is_managed("https://pool.vault.azure.net/keys/managedhsm"));
}

CM_TEST_SUITE(keyvault_uri, CM_TEST(test_uri_reads_a_key_and_its_version),
              CM_TEST(test_uri_refuses_other_schemes_users_and_queries),
              CM_TEST(test_uri_refuses_bad_hosts_and_ports), CM_TEST(test_uri_refuses_bad_paths),
              CM_TEST(test_uri_holds_its_parts_to_their_sizes),
              CM_TEST(test_uri_writes_the_longest_there_is),
              CM_TEST(test_uri_is_written_in_one_spelling),
              CM_TEST(test_uri_compares_without_regard_to_case),
              CM_TEST(test_uri_knows_a_managed_hsm_by_its_host));
