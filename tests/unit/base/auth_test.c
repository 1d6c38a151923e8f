/* What vouches for a message is accepted; whatever differs in one place is not. */
#include "engine/base/auth.h"
#include "engine/base/base64url.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#define SECRET "0123456789abcdef0123456789abcdef"

/* printf MESSAGE | openssl dgst -sha256 -hmac SECRET -binary | base64 | tr '+/' '-_' | tr -d = */
#define MESSAGE      "certmill-request-v1\nid 1 x\n"
#define MESSAGE_HMAC "hmac-sha256:EE_8iQscgW1LDuniZuAdMwjvMYTJuzSH5cZT6dGY69g"

static struct cm_auth_verifier *verifier;
static struct cm_auth_signer *signer;
static struct cm_error err;
static char path[400];

static void forget(void)
{
    cm_auth_verifier_free(verifier);
    cm_auth_signer_free(signer);
    verifier = NULL;
    signer = NULL;
}

static void expect_secrets(const char *first, const char *second)
{
    CU_ASSERT_EQUAL_FATAL(cm_auth_verifier_new(CM_AUTH_HMAC_SHA256, &verifier, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_auth_verifier_add(verifier, cm_bytes_str(first), &err), CM_OK);
    if (second)
        CU_ASSERT_EQUAL_FATAL(cm_auth_verifier_add(verifier, cm_bytes_str(second), &err), CM_OK);
}

static bool verify(const char *auth, const char *message)
{
    return cm_auth_verify(verifier, cm_bytes_str(auth), cm_bytes_str(message));
}

/* A private key in a file, and its public half. */
static void make_key(uint8_t ret_public[CM_AUTH_PUBLIC_KEY_SIZE])
{
    size_t size = CM_AUTH_PUBLIC_KEY_SIZE;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    snprintf(path, sizeof path, "%s/key.pem", cm_test_scratch());
    FILE *file = fopen(path, "we");
    if (!key || !file || EVP_PKEY_get_raw_public_key(key, ret_public, &size) != 1
        || PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1)
        abort();
    fclose(file);
    EVP_PKEY_free(key);
}

static void test_base64url_is_written_and_read_for_every_size(void)
{
    uint8_t bytes[70], again[70];
    char text[CM_BASE64URL_SIZE(70) + 1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151 + 7);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        cm_base64url_encode(cm_bytes(bytes, size), text);
        CU_ASSERT_EQUAL(strlen(text), CM_BASE64URL_SIZE(size));
        CU_ASSERT_TRUE(cm_base64url_decode(cm_bytes_str(text), again, size));
        CU_ASSERT_EQUAL(memcmp(bytes, again, size), 0);
    }
    cm_base64url_encode(cm_bytes("\xfb\xff\xfe", 3), text);
    CU_ASSERT_STRING_EQUAL(text, "-__-");
}

static void test_base64url_is_refused_unless_it_is_the_only_text_of_its_octets(void)
{
    uint8_t octet[4] = { 9, 9, 9, 9 };
    static const char *const wrong[] = { "",   "A",  "AB", "AP", "AA=", "AA==",    "+A",
                                         "A/", "A ", " A", "A.", "AAA", "\xc3\xa9" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CU_ASSERT_FALSE(cm_base64url_decode(cm_bytes_str(wrong[i]), octet, 1));
    CU_ASSERT_EQUAL(octet[0], 9);
    CU_ASSERT_TRUE(cm_base64url_decode(cm_bytes_str("AQ"), octet, 1));
    CU_ASSERT_EQUAL(octet[0], 1);
}

static void test_an_hmac_is_that_of_the_openssl_command(void)
{
    char text[CM_AUTH_TEXT_SIZE];
    expect_secrets(SECRET, NULL);
    CU_ASSERT_TRUE(verify(MESSAGE_HMAC, MESSAGE));
    CU_ASSERT_EQUAL(cm_auth_signer_new_secret(cm_bytes_str(SECRET), &signer, &err), CM_OK);
    CU_ASSERT_TRUE(cm_auth_sign(signer, cm_bytes_str(MESSAGE), text));
    CU_ASSERT_STRING_EQUAL(text, MESSAGE_HMAC);
    forget();
}

static void test_an_hmac_verifier_is_used_again_and_again(void)
{
    char text[CM_AUTH_TEXT_SIZE], message[40];
    expect_secrets(SECRET, NULL);
    CU_ASSERT_EQUAL(cm_auth_signer_new_secret(cm_bytes_str(SECRET), &signer, &err), CM_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(message, sizeof message, "message %d", i);
        CU_ASSERT_TRUE(cm_auth_sign(signer, cm_bytes_str(message), text));
        CU_ASSERT_TRUE(verify(text, message));
        CU_ASSERT_FALSE(verify(text, "another message"));
        CU_ASSERT_TRUE(verify(MESSAGE_HMAC, MESSAGE));
    }
    forget();
}

static void test_an_hmac_with_another_secret_or_one_changed_character_is_refused(void)
{
    char text[] = MESSAGE_HMAC;
    expect_secrets(SECRET "!", NULL);
    CU_ASSERT_FALSE(verify(MESSAGE_HMAC, MESSAGE));
    forget();
    expect_secrets(SECRET, NULL);
    CU_ASSERT_FALSE(verify(MESSAGE_HMAC, MESSAGE "\n"));
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        CU_ASSERT_FALSE(verify(text, MESSAGE));
        text[i] = kept;
    }
    forget();
}

static void test_what_is_no_auth_at_all_is_refused(void)
{
    static const char *const wrong[] = {
        "",  "hmac-sha256",    "hmac-sha256:", "hmac",           "none:",         "ed25519:",
        ":", "HMAC-SHA256:AA", "hmac-sha256 ", MESSAGE_HMAC "=", MESSAGE_HMAC "A"
    };
    expect_secrets(SECRET, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CU_ASSERT_FALSE(verify(wrong[i], MESSAGE));
    CU_ASSERT_FALSE(cm_auth_verify(verifier, cm_bytes(NULL, 0), cm_bytes_str(MESSAGE)));
    forget();
}

static void test_an_old_secret_is_accepted_beside_the_new_one(void)
{
    expect_secrets("the new secret of the requester", SECRET);
    CU_ASSERT_TRUE(verify(MESSAGE_HMAC, MESSAGE));
    forget();
}

static void test_short_secrets_and_too_many_keys_are_refused(void)
{
    CU_ASSERT_EQUAL(cm_auth_verifier_new(CM_AUTH_HMAC_SHA256, &verifier, &err), CM_OK);
    CU_ASSERT_EQUAL(cm_auth_verifier_add(verifier, cm_bytes_str("fifteen octets."), &err),
                    CM_MALFORMED);
    CU_ASSERT_PTR_NULL(strstr(err.text, "fifteen"));
    for (int i = 0; i < CM_AUTH_KEYS_MAX; i++)
        CU_ASSERT_EQUAL(cm_auth_verifier_add(verifier, cm_bytes_str(SECRET), &err), CM_OK);
    CU_ASSERT_EQUAL(cm_auth_verifier_add(verifier, cm_bytes_str(SECRET), &err), CM_BUSY);
    forget();
}

static void test_an_ed25519_signature_is_accepted_for_its_key_and_message_only(void)
{
    uint8_t first[CM_AUTH_PUBLIC_KEY_SIZE], second[CM_AUTH_PUBLIC_KEY_SIZE];
    char text[CM_AUTH_TEXT_SIZE];
    make_key(first);
    make_key(second);
    CU_ASSERT_EQUAL(cm_auth_signer_new_key(path, &signer, &err), CM_OK);
    CU_ASSERT_TRUE(cm_auth_sign(signer, cm_bytes_str(MESSAGE), text));
    CU_ASSERT_EQUAL(cm_auth_verifier_new(CM_AUTH_ED25519, &verifier, &err), CM_OK);
    CU_ASSERT_FALSE(verify(text, MESSAGE));
    CU_ASSERT_EQUAL(cm_auth_verifier_add(verifier, cm_bytes(first, sizeof first), &err), CM_OK);
    CU_ASSERT_FALSE(verify(text, MESSAGE));
    CU_ASSERT_EQUAL(cm_auth_verifier_add(verifier, cm_bytes(second, sizeof second), &err), CM_OK);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(verify(text, MESSAGE));
        CU_ASSERT_FALSE(verify(text, MESSAGE "x"));
    }
    text[20] = text[20] == 'A' ? 'B' : 'A';
    CU_ASSERT_FALSE(verify(text, MESSAGE));
    forget();
}

static void test_a_method_does_not_pass_for_the_other(void)
{
    uint8_t key[CM_AUTH_PUBLIC_KEY_SIZE];
    char text[CM_AUTH_TEXT_SIZE];
    make_key(key);
    /* The public key is known to all: as an HMAC secret it must be worth nothing. */
    CU_ASSERT_EQUAL(cm_auth_signer_new_secret(cm_bytes(key, sizeof key), &signer, &err), CM_OK);
    CU_ASSERT_TRUE(cm_auth_sign(signer, cm_bytes_str(MESSAGE), text));
    CU_ASSERT_EQUAL(cm_auth_verifier_new(CM_AUTH_ED25519, &verifier, &err), CM_OK);
    CU_ASSERT_EQUAL(cm_auth_verifier_add(verifier, cm_bytes(key, sizeof key), &err), CM_OK);
    CU_ASSERT_FALSE(verify(text, MESSAGE));
    forget();
}

static void test_key_files_that_hold_something_else_are_refused(void)
{
    uint8_t key[CM_AUTH_PUBLIC_KEY_SIZE];
    make_key(key);
    CU_ASSERT_EQUAL(cm_auth_public_key_read(path, key, &err), CM_MALFORMED);
    CU_ASSERT_EQUAL(cm_auth_public_key_read("/nonexistent", key, &err), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(cm_auth_signer_new_key("/nonexistent", &signer, &err), CM_NOT_FOUND);
    EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    FILE *file = fopen(path, "we");
    CU_ASSERT_EQUAL(PEM_write_PrivateKey(file, other, NULL, NULL, 0, NULL, NULL), 1);
    CU_ASSERT_EQUAL(PEM_write_PUBKEY(file, other), 1);
    fclose(file);
    CU_ASSERT_EQUAL(cm_auth_signer_new_key(path, &signer, &err), CM_MISMATCH);
    CU_ASSERT_EQUAL(cm_auth_public_key_read(path, key, &err), CM_MISMATCH);
    file = fopen(path, "we");
    CU_ASSERT_EQUAL(PEM_write_PrivateKey(file, other, EVP_aes_128_cbc(), NULL, 0, NULL,
                                         (void *)(uintptr_t) "pass"),
                    1);
    fclose(file);
    CU_ASSERT_EQUAL(cm_auth_signer_new_key(path, &signer, &err), CM_MALFORMED);
    EVP_PKEY_free(other);
}

CM_TEST_SUITE(auth, CM_TEST(test_base64url_is_written_and_read_for_every_size),
              CM_TEST(test_base64url_is_refused_unless_it_is_the_only_text_of_its_octets),
              CM_TEST(test_an_hmac_is_that_of_the_openssl_command),
              CM_TEST(test_an_hmac_verifier_is_used_again_and_again),
              CM_TEST(test_an_hmac_with_another_secret_or_one_changed_character_is_refused),
              CM_TEST(test_what_is_no_auth_at_all_is_refused),
              CM_TEST(test_an_old_secret_is_accepted_beside_the_new_one),
              CM_TEST(test_short_secrets_and_too_many_keys_are_refused),
              CM_TEST(test_an_ed25519_signature_is_accepted_for_its_key_and_message_only),
              CM_TEST(test_a_method_does_not_pass_for_the_other),
              CM_TEST(test_key_files_that_hold_something_else_are_refused));
