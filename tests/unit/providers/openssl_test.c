/* What is special about keys in files and in OpenSSL stores; the rest is in tests/conformance. */
#define OPENSSL_SUPPRESS_DEPRECATED /* a store of our own, in a few lines */

#include "tests/conformance/provider_rig.h"
#include "tests/support/rsa_pairs.h"
#include "tests/support/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "providers/backends.h"

static cm_status open_here(const char *reference, const char *passphrase_ref, struct cm_error *err)
{
    struct rig rig;
    struct cm_key *key = NULL;
    const struct cm_provider_settings settings = { .folder = cm_test_scratch(),
                                                   .passphrase_ref = passphrase_ref,
                                                   .workers_count = 1 };
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, &cm_provider_openssl, &settings, err), CM_OK);
    cm_status status = rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, err);
    if (key) {
        CU_ASSERT_TRUE(rig_signs(&rig, key, 2));
        cm_provider_close_key(key);
    }
    rig_close(&rig);
    return status;
}

static void expect_refusal(const char *reference, cm_status expected, const char *words)
{
    struct cm_error err = { .status = CM_OK };
    CU_ASSERT_EQUAL(open_here(reference, NULL, &err), expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (!strstr(err.text, words))
        printf("\"%s\" lacks \"%s\"\n", err.text, words);
}

/* Takes the key. */
static const char *write_key(const char *name, EVP_PKEY *pkey)
{
    static char reference[300];
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    CU_ASSERT_PTR_NOT_NULL_FATAL(pkey);
    CU_ASSERT_TRUE(PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL));
    long size = BIO_get_mem_data(bio, &data);
    rig_write_file(name, data, (size_t)size, 0600);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    snprintf(reference, sizeof reference, "file:%s", name);
    return reference;
}

/* ------------------------------------------------------------------ files -- */

static void test_openssl_refuses_files_that_hold_no_private_key(void)
{
    static const char *const contents[] = {
        "",
        "hello\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n",
    };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        rig_write_file("bad.pem", contents[i], strlen(contents[i]), 0600);
        expect_refusal("file:bad.pem", CM_NO_KEY, "no private key");
    }
    expect_refusal("file:/", CM_NO_KEY, "not a file");
}

static void test_openssl_refuses_a_key_file_that_is_absurdly_large(void)
{
    static char large[70000];
    rig_write_file("large.pem", large, sizeof large, 0600);
    expect_refusal("file:large.pem", CM_NO_KEY, "too large");
}

static void test_openssl_refuses_keys_of_other_kinds(void)
{
    expect_refusal(write_key("k1.pem", EVP_EC_gen("secp256k1")), CM_UNSUPPORTED, "not supported");
    expect_refusal(write_key("small.pem", cm_rsa_pair_of(1024)), CM_UNSUPPORTED, "1024 bits");
    expect_refusal(write_key("x.pem", EVP_PKEY_Q_keygen(NULL, NULL, "X25519")), CM_UNSUPPORTED,
                   "X25519");
}

/* A P-256 key whose private half is one key's and whose public half is another's. */
static EVP_PKEY *make_chimera(void)
{
    EVP_PKEY *body = EVP_EC_gen("P-256"), *head = EVP_EC_gen("P-256"), *chimera = NULL;
    unsigned char point[65];
    size_t point_size;
    BIGNUM *scalar = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY_get_octet_string_param(head, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                    &point_size);
    EVP_PKEY_get_bn_param(body, OSSL_PKEY_PARAM_PRIV_KEY, &scalar);
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, point_size);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_fromdata_init(context);
    EVP_PKEY_fromdata(context, &chimera, EVP_PKEY_KEYPAIR, params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    BN_clear_free(scalar);
    EVP_PKEY_free(body);
    EVP_PKEY_free(head);
    return chimera;
}

static void test_openssl_proves_that_the_public_key_belongs_to_the_private_key(void)
{
    expect_refusal(write_key("chimera.pem", make_chimera()), CM_CORRUPT, "do not verify");
}

static void test_openssl_finds_relative_files_in_the_folder_of_the_settings(void)
{
    rig_key_reference("p256");
    CU_ASSERT_EQUAL(open_here("file:p256.pem", NULL, NULL), CM_OK);
    CU_ASSERT_EQUAL(open_here("FILE:p256.pem", NULL, NULL), CM_OK);
    CU_ASSERT_EQUAL(open_here("file:./p256.pem", NULL, NULL), CM_OK);
}

static void test_openssl_takes_the_passphrase_from_a_variable_and_from_a_credential(void)
{
    char reference[512];
    snprintf(reference, sizeof reference, "%s", rig_key_reference("locked"));
    setenv("CM_TEST_PASSPHRASE", RIG_PASSPHRASE, 1);
    CU_ASSERT_EQUAL(open_here(reference, "env:CM_TEST_PASSPHRASE", NULL), CM_OK);
    setenv("CREDENTIALS_DIRECTORY", cm_test_scratch(), 1);
    rig_write_file("key-pass", RIG_PASSPHRASE, strlen(RIG_PASSPHRASE), 0400);
    CU_ASSERT_EQUAL(open_here(reference, "credential:key-pass", NULL), CM_OK);
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* Two keys that are encrypted, a new one, and a store's. */
static int open_by_prompt(void *arg)
{
    struct rig rig;
    const struct cm_key_spec spec = { .type = CM_KEY_P256 };
    const char *const references[] = { arg, arg, "file:typed.pem", "cmtest:pin" };
    const struct cm_provider_settings settings = { .folder = cm_test_scratch(),
                                                   .passphrase_ref = "prompt:Passphrase of keys",
                                                   .workers_count = 2 };
    if (rig_try_open(&rig, &cm_provider_openssl, &settings, NULL) != CM_OK)
        return 1;
    int failures = 0;
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        struct cm_key *key = NULL;
        failures +=
            (i == 2 ? rig_create_key(&rig, references[i], &spec, CM_SIGALG_UNKNOWN, &key, NULL)
                    : rig_open_key(&rig, references[i], CM_SIGALG_UNKNOWN, &key, NULL))
            != CM_OK;
        cm_provider_close_key(key);
    }
    rig_close(&rig);
    return failures;
}

static void test_openssl_asks_once_for_a_passphrase_that_is_typed(void)
{
    char reference[512];
    struct terminal terminal = { .words = "of keys: ", .typed = RIG_PASSPHRASE "\n" };
    snprintf(reference, sizeof reference, "%s", rig_key_reference("locked"));
    terminal_run(&terminal, open_by_prompt, reference);
    CU_ASSERT_EQUAL(terminal.status, 0);
    CU_ASSERT_EQUAL(terminal.questions, 1);
    CU_ASSERT_EQUAL(open_here("file:typed.pem", "env:CM_TEST_PASSPHRASE", NULL), CM_OK);
}

/* OpenSSL encrypts with a passphrase of any size, and asks for up to 1024 bytes of it. */
static void test_openssl_leaves_no_key_file_that_it_cannot_open_again(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    struct cm_error err;
    char words[1500], path[512];
    const struct cm_key_spec spec = { .type = CM_KEY_P256 };
    const struct cm_provider_settings settings = { .folder = cm_test_scratch(),
                                                   .passphrase_ref = "file:long",
                                                   .workers_count = 1 };
    memset(words, 'x', sizeof words);
    rig_write_file("long", words, sizeof words, 0600);
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, &cm_provider_openssl, &settings, NULL), CM_OK);
    CU_ASSERT_EQUAL(rig_create_key(&rig, "file:made.pem", &spec, CM_SIGALG_UNKNOWN, &key, &err),
                    CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "longer than"));
    snprintf(path, sizeof path, "%s/made.pem", cm_test_scratch());
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    rig_close(&rig);
}

static void test_options_that_openssl_does_not_know_are_refused(void)
{
    static const char *const wrong[] = { "x", "multi-buffer", "multi-buffer=on", "nonces=rfc6979,",
                                         "nonces=random multi-buffer=offf" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rig rig;
        const struct cm_provider_settings settings = { .options = wrong[i], .workers_count = 1 };
        CU_ASSERT_EQUAL(rig_try_open(&rig, &cm_provider_openssl, &settings, NULL), CM_MALFORMED);
    }
}

/* ------------------------------------------------------------------ stores -- */

/* "cmtest:open" holds a P-256 key, "cmtest:pin" too, once the PIN is told; others hold nothing. */
struct ossl_store_loader_ctx_st {
    bool has_key;
    bool wants_pin;
};

static OSSL_STORE_LOADER_CTX *store_open(const OSSL_STORE_LOADER *loader, const char *uri,
                                         const UI_METHOD *ui, void *ui_data)
{
    (void)loader;
    (void)ui;
    (void)ui_data;
    OSSL_STORE_LOADER_CTX *store = calloc(1, sizeof *store);
    store->wants_pin = strcmp(uri, "cmtest:pin") == 0;
    store->has_key = store->wants_pin || strcmp(uri, "cmtest:open") == 0;
    return store;
}

static bool ask_pin(const UI_METHOD *method, void *ui_data)
{
    char pin[64] = "";
    UI *ui = UI_new_method(method);
    UI_add_user_data(ui, ui_data);
    UI_add_input_string(ui, "PIN", 0, pin, 1, sizeof pin - 1);
    bool told = UI_process(ui) == 0 && strcmp(pin, RIG_PASSPHRASE) == 0;
    UI_free(ui);
    return told;
}

static OSSL_STORE_INFO *store_load(OSSL_STORE_LOADER_CTX *store, const UI_METHOD *ui, void *ui_data)
{
    bool has_key = store->has_key && (!store->wants_pin || ask_pin(ui, ui_data));
    store->has_key = false;
    return has_key ? OSSL_STORE_INFO_new_PKEY(EVP_EC_gen("P-256")) : NULL;
}

static int store_eof(OSSL_STORE_LOADER_CTX *store)
{
    return !store->has_key;
}

static int store_error(OSSL_STORE_LOADER_CTX *store)
{
    (void)store;
    return 0;
}

static int store_close(OSSL_STORE_LOADER_CTX *store)
{
    free(store);
    return 1;
}

static int register_store(void)
{
    OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_new(NULL, "cmtest");
    return loader && OSSL_STORE_LOADER_set_open(loader, store_open)
                   && OSSL_STORE_LOADER_set_load(loader, store_load)
                   && OSSL_STORE_LOADER_set_eof(loader, store_eof)
                   && OSSL_STORE_LOADER_set_error(loader, store_error)
                   && OSSL_STORE_LOADER_set_close(loader, store_close)
                   && OSSL_STORE_register_loader(loader)
               ? 0
               : 1;
}

static int unregister_store(void)
{
    OSSL_STORE_LOADER_free(OSSL_STORE_unregister_loader("cmtest"));
    return 0;
}

static void test_openssl_refuses_references_of_no_kind_and_of_an_unknown_kind(void)
{
    rig_key_reference("p256");
    expect_refusal("p256.pem", CM_UNSUPPORTED, "file:PATH");
    expect_refusal("/etc/ssl/key.pem", CM_UNSUPPORTED, "file:PATH");
    expect_refusal("", CM_UNSUPPORTED, "file:PATH");
    expect_refusal("unheard:of", CM_UNSUPPORTED, "no OpenSSL provider");
}

static void test_openssl_opens_keys_of_stores_by_uri(void)
{
    CU_ASSERT_EQUAL(open_here("cmtest:open", NULL, NULL), CM_OK);
    expect_refusal("cmtest:nothing", CM_NO_KEY, "no private key");
}

static void test_openssl_tells_a_store_the_pin_of_the_settings(void)
{
    setenv("CM_TEST_PIN", RIG_PASSPHRASE, 1);
    CU_ASSERT_EQUAL(open_here("cmtest:pin", "env:CM_TEST_PIN", NULL), CM_OK);
    setenv("CM_TEST_PIN", "1234", 1);
    CU_ASSERT_EQUAL(open_here("cmtest:pin", "env:CM_TEST_PIN", NULL), CM_DENIED);
    CU_ASSERT_EQUAL(open_here("cmtest:pin", NULL, NULL), CM_DENIED);
}

CM_TEST_SUITE_WITH(openssl, register_store, unregister_store,
                   CM_TEST(test_openssl_refuses_files_that_hold_no_private_key),
                   CM_TEST(test_openssl_refuses_a_key_file_that_is_absurdly_large),
                   CM_TEST(test_openssl_refuses_keys_of_other_kinds),
                   CM_TEST(test_openssl_proves_that_the_public_key_belongs_to_the_private_key),
                   CM_TEST(test_openssl_finds_relative_files_in_the_folder_of_the_settings),
                   CM_TEST(test_openssl_takes_the_passphrase_from_a_variable_and_from_a_credential),
                   CM_TEST(test_openssl_asks_once_for_a_passphrase_that_is_typed),
                   CM_TEST(test_openssl_leaves_no_key_file_that_it_cannot_open_again),
                   CM_TEST(test_options_that_openssl_does_not_know_are_refused),
                   CM_TEST(test_openssl_refuses_references_of_no_kind_and_of_an_unknown_kind),
                   CM_TEST(test_openssl_opens_keys_of_stores_by_uri),
                   CM_TEST(test_openssl_tells_a_store_the_pin_of_the_settings));
