/* How tokens are asked for, and which answers are believed. */
#include "providers/keyvault/credential.h"
#include "engine/base/base64url.h"
#include "tests/support/test_main.h"
#include "tests/support/rsa_pairs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { NOW_S = 1800000000 };

static const struct cm_challenge challenge = { .authority = "https://login.microsoftonline.com",
                                               .tenant = "tenant-1",
                                               .resource = "https://vault.azure.net" };
static struct cm_vault_options options;
static struct cm_token_request request;
static struct cm_error err;

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", cm_test_scratch(), name);
    return path;
}

static const char *write_file(const char *name, const void *content, size_t size, mode_t mode)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_FATAL(file && fwrite(content, 1, size, file) == size && fclose(file) == 0);
    CU_ASSERT_EQUAL_FATAL(chmod(path, mode), 0);
    return path;
}

/* Of every test: nothing of the environment, nothing of the test before. */
static cm_status ask(void)
{
    err.text[0] = '\0';
    cm_token_request_done(&request);
    return cm_credential_ask(&options, &challenge, NOW_S, &request, &err);
}

static void expect_failure(cm_status expected, const char *words)
{
    cm_status status = ask();
    CU_ASSERT_EQUAL(status, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_PTR_NULL(request.url);
    if (status != expected || !strstr(err.text, words))
        printf("  %s, \"%s\" lacks \"%s\"\n", cm_status_name(status), err.text, words);
}

static void clear_environment(void)
{
    static const char *const names[] = {
        "IDENTITY_ENDPOINT",    "IDENTITY_HEADER",
        "AZURE_TENANT_ID",      "AZURE_CLIENT_ID",
        "VAULT_SECRET",         "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_AUTHORITY_HOST", "AZURE_POD_IDENTITY_AUTHORITY_HOST"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

static char client[] = "client 1", secret_ref[] = "env:VAULT_SECRET";

static void begin(enum cm_vault_credential credential)
{
    clear_environment();
    options = (struct cm_vault_options){ .credential = credential };
}

/* ------------------------------------------------------------------ secrets -- */

static void test_credential_asks_with_a_secret(void)
{
    begin(CM_VAULT_CLIENT_SECRET);
    options.client = client;
    options.secret_ref = secret_ref;
    setenv("VAULT_SECRET", "a~b&c=d +%/\xc3\xa4", 1);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url,
                           "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token");
    CU_ASSERT_STRING_EQUAL(request.form, "grant_type=client_credentials&client_id=client%201"
                                         "&scope=https%3A%2F%2Fvault.azure.net%2F.default"
                                         "&client_secret=a~b%26c%3Dd%20%2B%25%2F%C3%A4");
    CU_ASSERT_PTR_NULL(request.header);
    cm_token_request_done(&request);
    CU_ASSERT_PTR_NULL(request.form);
    cm_token_request_done(&request);
    cm_token_request_done(NULL);
}

static void test_credential_prefers_the_directory_of_the_settings(void)
{
    char tenant[] = "contoso.com", authority[] = "https://login.other.example:8443";
    begin(CM_VAULT_CLIENT_SECRET);
    options.client = client;
    options.secret_ref = secret_ref;
    options.tenant = tenant;
    options.authority = authority;
    setenv("VAULT_SECRET", "x", 1);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url,
                           "https://login.other.example:8443/contoso.com/oauth2/v2.0/token");
}

static void test_credential_gives_nothing_to_an_unknown_directory(void)
{
    static const char *const names[] = { "https://evil.example",
                                         "https://login.microsoftonline.com.evil.example",
                                         "https://login.microsoftonline.com:8443",
                                         "https://evillogin.microsoftonline.com",
                                         "https://login.microsoftonline.co" };
    clear_environment();
    setenv("VAULT_SECRET", "words", 1);
    options = (struct cm_vault_options){ .credential = CM_VAULT_CLIENT_SECRET,
                                         .client = client,
                                         .secret_ref = secret_ref };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cm_challenge evil = challenge;
        snprintf(evil.authority, sizeof evil.authority, "%s", names[i]);
        cm_token_request_done(&request);
        CU_ASSERT_EQUAL(cm_credential_ask(&options, &evil, NOW_S, &request, &err), CM_DENIED);
        CU_ASSERT_PTR_NULL(request.form);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, names[i]));
    }
    unsetenv("VAULT_SECRET");
}

static void test_credential_says_that_a_secret_is_gone(void)
{
    begin(CM_VAULT_CLIENT_SECRET);
    options.client = client;
    options.secret_ref = secret_ref;
    expect_failure(CM_NOT_FOUND, "VAULT_SECRET");
}

static void test_credential_takes_the_longest_secret(void)
{
    char secret[4097];
    begin(CM_VAULT_CLIENT_SECRET);
    options.client = client;
    options.secret_ref = secret_ref;
    memset(secret, '&', sizeof secret);
    secret[4096] = '\0';
    setenv("VAULT_SECRET", secret, 1);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_TRUE(strlen(request.form) > (size_t)3 * 4096);
}

/* ------------------------------------------------------------------ certificates -- */

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    CU_ASSERT_FATAL(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

/* Either may be NULL. */
static char *write_pem(const char *name, X509 *certificate, EVP_PKEY *key, const char *passphrase,
                       mode_t mode)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    if (certificate)
        PEM_write_bio_X509(bio, certificate);
    if (key)
        PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL, NULL, 0,
                                      NULL, (void *)(uintptr_t)passphrase);
    long size = BIO_get_mem_data(bio, &text);
    char *path = strdup(write_file(name, text, (size_t)size, mode));
    BIO_free(bio);
    return path;
}

static void begin_certificate(char *path)
{
    free(options.certificate);
    begin(CM_VAULT_CLIENT_CERTIFICATE);
    options.client = client;
    options.certificate = path;
}

static json_t *part_of(const char *text, size_t size)
{
    char decoded[4096];
    size_t decoded_size = size * 3 / 4;
    CU_ASSERT_FATAL(decoded_size < sizeof decoded
                    && cm_base64url_decode(cm_bytes(text, size), (uint8_t *)decoded, decoded_size));
    json_t *part = json_loadb(decoded, decoded_size, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(part);
    return part;
}

static bool is_text(const json_t *object, const char *member, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text && strcmp(text, expected) == 0;
}

static void check_header(const char *text, size_t size, X509 *certificate)
{
    uint8_t hash[32];
    char thumbprint[64];
    json_t *header = part_of(text, size);
    X509_digest(certificate, EVP_sha256(), hash, NULL);
    cm_base64url_encode(cm_bytes(hash, sizeof hash), thumbprint);
    CU_ASSERT_TRUE(is_text(header, "alg", "PS256"));
    CU_ASSERT_TRUE(is_text(header, "typ", "JWT"));
    CU_ASSERT_TRUE(is_text(header, "x5t#S256", thumbprint));
    json_decref(header);
}

/* Returns the jti, owned by the caller. */
static char *check_payload(const char *text, size_t size)
{
    json_t *payload = part_of(text, size);
    CU_ASSERT_TRUE(
        is_text(payload, "aud", "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token"));
    CU_ASSERT_TRUE(is_text(payload, "iss", client));
    CU_ASSERT_TRUE(is_text(payload, "sub", client));
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(payload, "nbf")), NOW_S);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(payload, "iat")), NOW_S);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(payload, "exp")), NOW_S + 600);
    char *jti = strdup(json_string_value(json_object_get(payload, "jti")));
    CU_ASSERT_EQUAL(strlen(jti), 32);
    json_decref(payload);
    return jti;
}

static void check_signature(const char *jwt, size_t signed_size, EVP_PKEY *key)
{
    uint8_t signature[256];
    EVP_PKEY_CTX *parameters;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    CU_ASSERT_TRUE(
        cm_base64url_decode(cm_bytes_str(jwt + signed_size + 1), signature, sizeof signature));
    EVP_DigestVerifyInit(context, &parameters, EVP_sha256(), NULL, key);
    EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, 32);
    CU_ASSERT_EQUAL(
        EVP_DigestVerify(context, signature, sizeof signature, (const uint8_t *)jwt, signed_size),
        1);
    EVP_MD_CTX_free(context);
}

static char *check_assertion(X509 *certificate, EVP_PKEY *key)
{
    static const char before[] =
        "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        "&client_assertion=";
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    const char *jwt = strstr(request.form, before);
    CU_ASSERT_PTR_NOT_NULL_FATAL(jwt);
    jwt += sizeof before - 1;
    size_t header_size = strcspn(jwt, ".");
    size_t payload_size = strcspn(jwt + header_size + 1, ".");
    check_header(jwt, header_size, certificate);
    check_signature(jwt, header_size + 1 + payload_size, key);
    return check_payload(jwt + header_size + 1, payload_size);
}

static void test_credential_signs_an_assertion_with_the_certificates_key(void)
{
    EVP_PKEY *key = cm_rsa_pair(0);
    X509 *certificate = make_certificate(key);
    begin_certificate(write_pem("app.pem", certificate, key, NULL, 0600));
    char *first = check_assertion(certificate, key);
    char *second = check_assertion(certificate, key);
    CU_ASSERT_STRING_NOT_EQUAL(first, second);
    free(first);
    free(second);
    begin_certificate(write_pem("app.pem", certificate, key, "hush", 0600));
    options.secret_ref = secret_ref;
    setenv("VAULT_SECRET", "hush", 1);
    free(check_assertion(certificate, key));
    setenv("VAULT_SECRET", "wrong", 1);
    expect_failure(CM_DENIED, "cannot be opened");
    unsetenv("VAULT_SECRET");
    expect_failure(CM_NOT_FOUND, "VAULT_SECRET");
    options.secret_ref = NULL;
    expect_failure(CM_DENIED, "cannot be opened");
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void test_credential_refuses_certificates_that_cannot_serve(void)
{
    EVP_PKEY *key = cm_rsa_pair(0), *other = cm_rsa_pair(1), *curve = EVP_EC_gen("P-256");
    EVP_PKEY *small = cm_rsa_pair_of(1024);
    X509 *certificate = make_certificate(key), *curved = make_certificate(curve);
    X509 *weak = make_certificate(small);
    begin_certificate(strdup(path_of("absent.pem")));
    expect_failure(CM_NOT_FOUND, "absent.pem");
    begin_certificate(strdup(cm_test_scratch()));
    expect_failure(CM_DENIED, "plain file");
    begin_certificate(write_pem("app.pem", certificate, key, NULL, 0604));
    expect_failure(CM_DENIED, "open to all users");
    begin_certificate(write_pem("app.pem", certificate, other, NULL, 0600));
    expect_failure(CM_MALFORMED, "not that of the private key");
    begin_certificate(write_pem("app.pem", certificate, NULL, NULL, 0600));
    expect_failure(CM_MALFORMED, "no private key");
    begin_certificate(write_pem("app.pem", NULL, key, NULL, 0600));
    expect_failure(CM_MALFORMED, "no certificate");
    begin_certificate(write_pem("app.pem", NULL, NULL, NULL, 0600));
    expect_failure(CM_MALFORMED, "no private key");
    begin_certificate(write_pem("app.pem", curved, curve, NULL, 0600));
    expect_failure(CM_MALFORMED, "not RSA");
    begin_certificate(write_pem("app.pem", weak, small, NULL, 0600));
    expect_failure(CM_MALFORMED, "not RSA");
    static const char broken[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    begin_certificate(strdup(write_file("app.pem", broken, sizeof broken - 1, 0600)));
    expect_failure(CM_MALFORMED, "no private key");
    free(options.certificate);
    options.certificate = NULL;
    X509_free(certificate);
    X509_free(curved);
    X509_free(weak);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(curve);
    EVP_PKEY_free(small);
}

/* ------------------------------------------------------------------ workload identity -- */

static void test_credential_asks_with_the_federated_token_as_it_is_now(void)
{
    char tenant[] = "from-settings", own[] = "own";
    begin(CM_VAULT_WORKLOAD_IDENTITY);
    setenv("AZURE_FEDERATED_TOKEN_FILE", write_file("federated", "a.b-c_d\n", 8, 0644), 1);
    setenv("AZURE_CLIENT_ID", "client-2", 1);
    setenv("AZURE_TENANT_ID", "tenant-2", 1);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url,
                           "https://login.microsoftonline.com/tenant-2/oauth2/v2.0/token");
    CU_ASSERT_PTR_NOT_NULL(strstr(request.form, "&client_id=client-2&"));
    CU_ASSERT_PTR_NOT_NULL(strstr(request.form, "&client_assertion=a.b-c_d"));
    write_file("federated", "x.y.z", 5, 0644);
    options.tenant = tenant;
    options.client = own;
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url,
                           "https://login.microsoftonline.com/from-settings/oauth2/v2.0/token");
    CU_ASSERT_PTR_NOT_NULL(strstr(request.form, "&client_id=own&"));
    CU_ASSERT_PTR_NOT_NULL(strstr(request.form, "&client_assertion=x.y.z"));
}

static void test_credential_says_what_a_workload_identity_lacks(void)
{
    static char large[20000];
    begin(CM_VAULT_WORKLOAD_IDENTITY);
    expect_failure(CM_NOT_FOUND, "AZURE_FEDERATED_TOKEN_FILE");
    setenv("AZURE_FEDERATED_TOKEN_FILE", path_of("absent"), 1);
    expect_failure(CM_NOT_FOUND, "AZURE_CLIENT_ID");
    setenv("AZURE_CLIENT_ID", "client-2", 1);
    expect_failure(CM_NOT_FOUND, "absent");
    setenv("AZURE_FEDERATED_TOKEN_FILE", cm_test_scratch(), 1);
    expect_failure(CM_DENIED, "federated token");
    setenv("AZURE_FEDERATED_TOKEN_FILE", write_file("federated", "", 0, 0644), 1);
    expect_failure(CM_DENIED, "one line");
    write_file("federated", "\n", 1, 0644);
    expect_failure(CM_DENIED, "one line");
    write_file("federated", "a\0b", 3, 0644);
    expect_failure(CM_DENIED, "one line");
    write_file("federated", "a\nb", 3, 0644);
    expect_failure(CM_DENIED, "one line");
    memset(large, 'a', sizeof large);
    write_file("federated", large, sizeof large, 0644);
    expect_failure(CM_DENIED, "one line");
    write_file("federated", large, 16383, 0644);
    CU_ASSERT_EQUAL(ask(), CM_OK);
}

/* ------------------------------------------------------------------ managed identity -- */

static void test_credential_asks_the_metadata_service(void)
{
    begin(CM_VAULT_MANAGED_IDENTITY);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url,
                           "http://169.254.169.254/metadata/identity/oauth2/token"
                           "?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net");
    CU_ASSERT_STRING_EQUAL(request.header, "Metadata: true");
    CU_ASSERT_PTR_NULL(request.form);
    options.client = client;
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:40342/", 1);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url,
                           "http://127.0.0.1:40342/metadata/identity/oauth2/token"
                           "?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net"
                           "&client_id=client%201");
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "file:///etc/passwd", 1);
    expect_failure(CM_DENIED, "AZURE_POD_IDENTITY_AUTHORITY_HOST");
}

static void test_credential_asks_the_app_service(void)
{
    begin(CM_VAULT_MANAGED_IDENTITY);
    setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:41234/msi/token", 1);
    expect_failure(CM_UNSUPPORTED, "Azure Arc");
    setenv("IDENTITY_HEADER", "853b9a84", 1);
    CU_ASSERT_EQUAL_FATAL(ask(), CM_OK);
    CU_ASSERT_STRING_EQUAL(request.url, "http://127.0.0.1:41234/msi/token?api-version=2019-08-01"
                                        "&resource=https%3A%2F%2Fvault.azure.net");
    CU_ASSERT_STRING_EQUAL(request.header, "X-IDENTITY-HEADER: 853b9a84");
    setenv("IDENTITY_HEADER", "a\r\nHost: evil", 1);
    expect_failure(CM_DENIED, "IDENTITY_HEADER");
    setenv("IDENTITY_ENDPOINT", "http://127.0.0.1/a b", 1);
    expect_failure(CM_DENIED, "IDENTITY_ENDPOINT");
    clear_environment();
}

/* ------------------------------------------------------------------ answers -- */

static cm_status read_text(long http_status, const char *text, size_t size, struct cm_token *token)
{
    /* A copy without a NUL behind it, so that a sanitizer sees whoever reads on. */
    char *copy = malloc(size + !size);
    memcpy(copy, text, size);
    err.text[0] = '\0';
    cm_status status = cm_token_read(http_status, cm_bytes(copy, size), NOW_S, token, &err);
    free(copy);
    return status;
}

static void expect_token(const char *text, int64_t life_s, int64_t refresh_s)
{
    struct cm_token token = { 0 };
    cm_status status = read_text(200, text, strlen(text), &token);
    CU_ASSERT_EQUAL(status, CM_OK);
    CU_ASSERT_STRING_EQUAL(token.text ? token.text : "", "abc.DEF");
    CU_ASSERT_EQUAL(token.expires_s - NOW_S, life_s);
    CU_ASSERT_EQUAL(token.refresh_s - NOW_S, refresh_s);
    if (status != CM_OK || token.refresh_s - NOW_S != refresh_s)
        printf("  %s: %s, refresh after %lld s\n", text, err.text,
               (long long)(token.refresh_s - NOW_S));
    cm_token_done(&token);
    CU_ASSERT_PTR_NULL(token.text);
    cm_token_done(&token);
}

static void expect_no_token(long http_status, const char *text, cm_status expected,
                            const char *words)
{
    struct cm_token token = { .expires_s = 7 };
    cm_status status = read_text(http_status, text, strlen(text), &token);
    CU_ASSERT_EQUAL(status, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_EQUAL(token.expires_s, 7);
    if (status != expected || !strstr(err.text, words))
        printf("  %.200s: %s, \"%s\" lacks \"%s\"\n", text, cm_status_name(status), err.text,
               words);
}

#define TOKEN "\"access_token\": \"abc.DEF\""

static void test_credential_reads_tokens(void)
{
    expect_token("{" TOKEN ", \"expires_in\": 3599, \"token_type\": \"Bearer\"}", 3599, 3479);
    expect_token("{" TOKEN ", \"expires_in\": \"3599\", \"token_type\": \"bearer\"}", 3599, 3479);
    expect_token("{" TOKEN ", \"expires_in\": 86400, \"ext_expires_in\": 5}", 86400, 43200);
    expect_token("{" TOKEN ", \"expires_in\": 7200}", 7200, 3600);
    expect_token("{" TOKEN ", \"expires_in\": 7199}", 7199, 7079);
    expect_token("{" TOKEN ", \"expires_in\": 3600, \"refresh_in\": \"1000\"}", 3600, 1000);
    expect_token("{" TOKEN ", \"expires_in\": 3600, \"refresh_in\": 3600}", 3600, 3480);
    expect_token("{" TOKEN ", \"expires_in\": 3600, \"refresh_in\": 0}", 3600, 3480);
    expect_token("{" TOKEN ", \"expires_in\": 3600, \"refresh_in\": null}", 3600, 3480);
    expect_token("{" TOKEN ", \"expires_in\": 60}", 60, 30);
    expect_token("{" TOKEN ", \"expires_in\": 240}", 240, 120);
    expect_token("{" TOKEN ", \"expires_in\": 1}", 1, 1);
    expect_token("{" TOKEN ", \"expires_on\": \"1800003600\"}", 3600, 3480);
    expect_token("{" TOKEN ", \"expires_in\": 9223372036854775807}", 30 * 86400, 15 * 86400);
}

static void test_credential_refuses_what_is_no_token(void)
{
    expect_no_token(200, "", CM_CORRUPT, "no bearer token");
    expect_no_token(200, "<html>", CM_CORRUPT, "no bearer token");
    expect_no_token(200, "[]", CM_CORRUPT, "no bearer token");
    expect_no_token(200, "\"abc\"", CM_CORRUPT, "no bearer token");
    expect_no_token(200, "{\"expires_in\": 3599}", CM_CORRUPT, "no bearer token");
    expect_no_token(200, "{\"access_token\": \"\", \"expires_in\": 1}", CM_CORRUPT, "no bearer");
    expect_no_token(200, "{\"access_token\": 5, \"expires_in\": 1}", CM_CORRUPT, "no bearer");
    expect_no_token(200, "{\"access_token\": \"a\\r\\nX: y\", \"expires_in\": 1}", CM_CORRUPT,
                    "no bearer");
    expect_no_token(200, "{\"access_token\": \"a\\u0000b\", \"expires_in\": 1}", CM_CORRUPT,
                    "no bearer");
    expect_no_token(200, "{" TOKEN ", \"expires_in\": 9, \"token_type\": \"pop\"}", CM_CORRUPT,
                    "no bearer");
    expect_no_token(200, "{" TOKEN "}", CM_CORRUPT, "how long");
    expect_no_token(200, "{" TOKEN ", \"expires_in\": 0}", CM_CORRUPT, "how long");
    expect_no_token(200, "{" TOKEN ", \"expires_in\": -5}", CM_CORRUPT, "how long");
    expect_no_token(200, "{" TOKEN ", \"expires_in\": 1.5}", CM_CORRUPT, "how long");
    expect_no_token(200, "{" TOKEN ", \"expires_in\": \"5x\"}", CM_CORRUPT, "how long");
    expect_no_token(200, "{" TOKEN ", \"expires_in\": \"9999999999999999999\"}", CM_CORRUPT,
                    "how long");
    expect_no_token(200, "{" TOKEN ", \"expires_on\": 1799999999}", CM_CORRUPT, "how long");
    expect_no_token(204, "", CM_CORRUPT, "HTTP 204");
    expect_no_token(302, "", CM_CORRUPT, "HTTP 302");
}

static void test_credential_holds_tokens_to_their_size(void)
{
    static char text[CM_TOKEN_SIZE_MAX + 64];
    struct cm_token token;
    for (int size = CM_TOKEN_SIZE_MAX - 1; size <= CM_TOKEN_SIZE_MAX; size++) {
        char *next = stpcpy(text, "{\"expires_in\": 9, \"access_token\": \"");
        memset(next, 't', (size_t)size);
        strcpy(next + size, "\"}");
        cm_status status = read_text(200, text, strlen(text), &token);
        CU_ASSERT_EQUAL(status, size < CM_TOKEN_SIZE_MAX ? CM_OK : CM_CORRUPT);
        if (status == CM_OK)
            cm_token_done(&token);
    }
}

static void test_credential_says_why_the_directory_refuses(void)
{
    expect_no_token(401,
                    "{\"error\": \"invalid_client\", \"error_description\": \"AADSTS7000215: the "
                    "secret hunter2 is wrong\", \"error_codes\": [7000215]}",
                    CM_DENIED, "invalid_client AADSTS7000215 (HTTP 401)");
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
    expect_no_token(400, "{\"error\": \"invalid_request\", \"error_codes\": [90002]}", CM_DENIED,
                    "invalid_request AADSTS90002");
    expect_no_token(400, "{\"error\": \"\\u001b[31m\", \"error_codes\": \"x\"}", CM_DENIED,
                    "\\x1b");
    expect_no_token(400,
                    "{\"error\": \"x\", \"error_description\": \"AADSTS99999999999999999999\"}",
                    CM_DENIED, "x (HTTP 400)");
    expect_no_token(403, "Forbidden", CM_DENIED, "no reason (HTTP 403)");
    expect_no_token(403, "{\"error\": {\"code\": \"x\"}}", CM_DENIED, "no reason");
    expect_no_token(400, "", CM_DENIED, "no reason");
}

static void test_credential_tells_what_passes(void)
{
    static const long passing[] = { 404, 408, 410, 429, 500, 502, 503, 504, 599 };
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        expect_no_token(passing[i], "{\"error\": \"invalid_client\"}", CM_UNAVAILABLE, "now");
}

/* Each beginning of an answer, and nested ones. */
static void test_credential_survives_broken_answers(void)
{
    static const char whole[] = "{" TOKEN ", \"expires_in\": 3599, \"error_codes\": [[[]]]}";
    static char deep[100000];
    struct cm_token token;
    for (size_t size = 0; size < sizeof whole - 1; size++)
        CU_ASSERT_EQUAL(read_text(200, whole, size, &token), CM_CORRUPT);
    memset(deep, '[', sizeof deep);
    CU_ASSERT_EQUAL(read_text(200, deep, sizeof deep, &token), CM_CORRUPT);
    CU_ASSERT_EQUAL(read_text(400, deep, sizeof deep, &token), CM_DENIED);
    CU_ASSERT_EQUAL(cm_token_read(200, cm_bytes(NULL, 0), NOW_S, &token, NULL), CM_CORRUPT);
}

static int tear_down(void)
{
    cm_token_request_done(&request);
    return 0;
}

CM_TEST_SUITE_WITH(keyvault_credential, NULL, tear_down,
                   CM_TEST(test_credential_asks_with_a_secret),
                   CM_TEST(test_credential_prefers_the_directory_of_the_settings),
                   CM_TEST(test_credential_gives_nothing_to_an_unknown_directory),
                   CM_TEST(test_credential_says_that_a_secret_is_gone),
                   CM_TEST(test_credential_takes_the_longest_secret),
                   CM_TEST(test_credential_signs_an_assertion_with_the_certificates_key),
                   CM_TEST(test_credential_refuses_certificates_that_cannot_serve),
                   CM_TEST(test_credential_asks_with_the_federated_token_as_it_is_now),
                   CM_TEST(test_credential_says_what_a_workload_identity_lacks),
                   CM_TEST(test_credential_asks_the_metadata_service),
                   CM_TEST(test_credential_asks_the_app_service),
                   CM_TEST(test_credential_reads_tokens),
                   CM_TEST(test_credential_refuses_what_is_no_token),
                   CM_TEST(test_credential_holds_tokens_to_their_size),
                   CM_TEST(test_credential_says_why_the_directory_refuses),
                   CM_TEST(test_credential_tells_what_passes),
                   CM_TEST(test_credential_survives_broken_answers));
