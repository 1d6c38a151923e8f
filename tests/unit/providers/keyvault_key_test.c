/*
 * Keys in a vault: which version a reference means, what a key must be to be taken, the kinds of keys,
 * and keys that are made, imported and destroyed there.
 */
#include "tests/unit/providers/keyvault_stage.h"
#include "tests/support/rsa_pairs.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "engine/base/base64url.h"

/* A version's attributes or operations, as the service's PATCH takes them. */
static void update(struct vault_stage *stage, const char *kid, const char *members)
{
    char path[512];
    snprintf(path, sizeof path, "/emulator/vault%s?api-version=7.6", strstr(kid, "/keys/"));
    free(cm_keyvault_control(&stage->vault, "PATCH", path, members));
}

/* Opened by its name, the key is this version; and by what it says then, the same. */
static void expect_version(struct vault_stage *stage, const char *name, const char *kid)
{
    struct cm_key *key = vault_stage_open_key(stage, rig_vault_reference(&stage->vault, name));
    CU_ASSERT_PTR_NOT_NULL_FATAL(key->reference);
    CU_ASSERT_STRING_EQUAL(key->reference, kid);
    CU_ASSERT_TRUE(rig_signs(&stage->rig, key, 2));
    cm_provider_close_key(key);
}

/* ------------------------------------------------------------------ versions -- */

static void test_key_is_pinned_to_the_version_that_was_the_newest(void)
{
    struct vault_stage stage;
    char first[CM_KEYVAULT_KID_SIZE], second[CM_KEYVAULT_KID_SIZE];
    vault_stage_open(&stage, NULL, "");
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, first);
    struct cm_key *key = vault_stage_open_key(&stage, rig_vault_reference(&stage.vault, "ca"));
    CU_ASSERT_STRING_EQUAL(key->reference, first);
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, second);
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 5));
    struct cm_key *pinned = vault_stage_open_key(&stage, first);
    CU_ASSERT_TRUE(cm_bytes_equal(pinned->spki, key->spki));
    CU_ASSERT_STRING_EQUAL(pinned->reference, first);
    expect_version(&stage, "ca", second);
    cm_provider_close_key(pinned);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

static void test_key_without_a_version_is_the_newest_enabled_one_over_all_pages(void)
{
    struct vault_stage stage;
    char kids[60][CM_KEYVAULT_KID_SIZE];
    vault_stage_open(&stage, NULL, "");
    /* The emulator's clock has whole seconds, as the service's: the last enabled one is alone in its. */
    for (unsigned i = 0; i < 30; i++)
        cm_keyvault_create_key(&stage.vault, "ca", EC_256, kids[i]);
    rig_run_for(&stage.rig, 1100);
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, kids[30]);
    rig_run_for(&stage.rig, 1100);
    for (unsigned i = 31; i < 60; i++) {
        cm_keyvault_create_key(&stage.vault, "ca", EC_256, kids[i]);
        update(&stage, kids[i], "{\"attributes\":{\"enabled\":false}}");
    }
    expect_version(&stage, "ca", kids[30]);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "requests.versions"), 3);
    CU_ASSERT_EQUAL(vault_stage_try(&stage, kids[59], "disabled"), CM_NO_KEY);
    for (unsigned i = 0; i <= 30; i++)
        update(&stage, kids[i], "{\"attributes\":{\"enabled\":false}}");
    CU_ASSERT_EQUAL(vault_stage_try(&stage, rig_vault_reference(&stage.vault, "ca"),
                                    "ca has no enabled version"),
                    CM_NO_KEY);
    vault_stage_close(&stage);
}

static void test_key_that_has_another_version_is_told_once(void)
{
    struct vault_stage stage;
    char second[CM_KEYVAULT_KID_SIZE];
    vault_stage_open(&stage, NULL, ", \"watch-ms\": 100");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    rig_run_for(&stage.rig, 250);
    CU_ASSERT_EQUAL(stage.notices_count, 0);
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, second);
    for (unsigned i = 0; i < 500 && stage.notices_count == 0; i++)
        rig_run_for(&stage.rig, 20);
    rig_run_for(&stage.rig, 300);
    CU_ASSERT_EQUAL(stage.notices_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "another version of key ca"));
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, strrchr(second, '/') + 1));
    CU_ASSERT_STRING_NOT_EQUAL(key->reference, second);
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 2));
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    for (unsigned i = 0; i < 500 && stage.notices_count == 1; i++)
        rig_run_for(&stage.rig, 20);
    CU_ASSERT_EQUAL(stage.notices_count, 2);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* Until so many requests have met a fault; its delay goes by still. */
static void wait_for_faults(struct vault_stage *stage, long long count)
{
    for (unsigned i = 0; cm_keyvault_statistic(&stage->vault, "faults") < count && i < 500; i++)
        rig_run_for(&stage->rig, 20);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage->vault, "faults"), count);
}

static void test_key_may_be_closed_while_its_versions_are_looked_at(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"watch-ms\": 100");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    /* One look is answered after its end, and one told to come again. */
    cm_keyvault_fault(&stage.vault, "{\"on\":\"get\",\"kind\":\"slow\",\"delay_ms\":2000}");
    wait_for_faults(&stage, 1);
    cm_provider_close_key(key);
    key = vault_stage_open_key(&stage, rig_vault_reference(&stage.vault, "ca"));
    cm_keyvault_fault(&stage.vault, "{\"on\":\"get\",\"kind\":\"status\",\"status\":429,"
                                    "\"retry_after\":\"30\",\"delay_ms\":2000}");
    wait_for_faults(&stage, 2);
    cm_provider_close_key(key);
    for (unsigned i = 0; cm_provider_pace(stage.rig.provider).throttled_count == 0 && i < 500; i++)
        rig_run_for(&stage.rig, 20);
    CU_ASSERT_EQUAL(cm_provider_pace(stage.rig.provider).throttled_count, 1);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ what is taken -- */

static void expect_refused(struct vault_stage *stage, const char *name, const char *members,
                           cm_status expected, const char *words)
{
    cm_keyvault_create_key(&stage->vault, name, members, NULL);
    CU_ASSERT_EQUAL(vault_stage_try(stage, rig_vault_reference(&stage->vault, name), words),
                    expected);
}

static void test_key_must_be_within_its_time_and_may_sign(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    expect_refused(&stage, "early", "{\"kty\":\"EC-HSM\",\"attributes\":{\"nbf\":4000000000}}",
                   CM_NO_KEY, "not valid yet");
    expect_refused(&stage, "late",
                   "{\"kty\":\"EC-HSM\",\"attributes\":{\"nbf\":1000000000,\"exp\":1000000001}}",
                   CM_NO_KEY, "has expired");
    expect_refused(&stage, "mute", "{\"kty\":\"EC-HSM\",\"key_ops\":[\"verify\"]}", CM_DENIED,
                   "may not sign");
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "requests.sign"), 0);
    vault_stage_close(&stage);
}

static void test_key_in_software_is_refused_where_an_hsm_is_required(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"require\": \"hsm\"");
    expect_refused(&stage, "soft", "{\"kty\":\"EC\"}", CM_MISMATCH, "settings require an HSM");
    cm_keyvault_create_key(&stage.vault, "hard", "{\"kty\":\"EC-HSM\"}", NULL);
    CU_ASSERT_TRUE(vault_stage_works(&stage, "hard"));
    vault_stage_close(&stage);
}

/* Which later is not what it was: its requests wait, and the operator is told. */
static void test_key_that_is_disabled_later_is_unavailable(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "ca", EC_256);
    update(&stage, key->reference, "{\"attributes\":{\"enabled\":false}}");
    CU_ASSERT_EQUAL(vault_stage_sign_one(&stage, key), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(stage.notices, "KeyDisabled"));
    update(&stage, key->reference, "{\"attributes\":{\"enabled\":true}}");
    CU_ASSERT_EQUAL(vault_stage_sign_one(&stage, key), CM_OK);
    cm_provider_close_key(key);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ making -- */

static cm_status create(struct vault_stage *stage, const char *name, const struct cm_key_spec *spec,
                        struct cm_key **ret_key, struct cm_error *err)
{
    *err = (struct cm_error){ .status = CM_OK };
    return rig_create_key(&stage->rig, rig_vault_reference(&stage->vault, name), spec,
                          CM_SIGALG_UNKNOWN, ret_key, err);
}

/* What the emulator says of the key: a member of its JWK. */
static void expect_member(struct vault_stage *stage, const char *name, const char *member,
                          const char *expected)
{
    char path[256];
    snprintf(path, sizeof path, "/emulator/vault/keys/%s?api-version=7.6", name);
    char *text = cm_keyvault_control(&stage->vault, "GET", path, NULL);
    json_t *bundle = json_loads(text, 0, NULL);
    const char *value = json_string_value(json_object_get(json_object_get(bundle, "key"), member));
    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    CU_ASSERT_STRING_EQUAL(value, expected);
    json_decref(bundle);
    free(text);
}

static void check_making(struct vault_stage *stage, const char *kty_ec, const char *kty_rsa)
{
    static const struct {
        const char *name;
        struct cm_key_spec spec;
    } keys[] = {
        { "p256", { .type = CM_KEY_P256 } },
        { "p384", { .type = CM_KEY_P384 } },
        { "p521", { .type = CM_KEY_P521 } },
        { "rsa2048", { .type = CM_KEY_RSA, .bits = 2048 } },
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct cm_key *key = NULL;
        struct cm_error err;
        CU_ASSERT_EQUAL_FATAL(create(stage, keys[i].name, &keys[i].spec, &key, &err), CM_OK);
        CU_ASSERT_EQUAL(key->type, keys[i].spec.type);
        CU_ASSERT_TRUE(rig_signs(&stage->rig, key, 2));
        cm_provider_close_key(key);
        expect_member(stage, keys[i].name, "kty",
                      keys[i].spec.type == CM_KEY_RSA ? kty_rsa : kty_ec);
    }
}

static void test_key_is_made_in_software_or_in_an_hsm(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    check_making(&stage, "EC", "RSA");
    vault_stage_close(&stage);
    vault_stage_open(&stage, NULL, ", \"require\": \"hsm\"");
    check_making(&stage, "EC-HSM", "RSA-HSM");
    vault_stage_close(&stage);
}

/* All that it has is in an HSM. curl knows by itself where names under localhost are. */
static void test_key_of_a_managed_hsm_is_made_in_it_unasked(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, "");
    snprintf(stage.vault.url, sizeof stage.vault.url, "https://pool.managedhsm.localhost:%d",
             stage.vault.port);
    check_making(&stage, "EC-HSM", "RSA-HSM");
    vault_stage_close(&stage);
}

static void test_key_that_exists_gets_no_new_version(void)
{
    struct vault_stage stage;
    struct cm_key *key = NULL;
    struct cm_error err;
    const struct cm_key_spec p256 = { .type = CM_KEY_P256 };
    char kid[CM_KEYVAULT_KID_SIZE];
    vault_stage_open(&stage, NULL, "");
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, kid);
    CU_ASSERT_EQUAL(create(&stage, "ca", &p256, &key, &err), CM_EXISTS);
    update(&stage, kid, "{\"attributes\":{\"enabled\":false}}");
    CU_ASSERT_EQUAL(create(&stage, "ca", &p256, &key, &err), CM_EXISTS);
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "requests.create"), 0);
    expect_member(&stage, "ca", "kid", kid);
    CU_ASSERT_EQUAL(rig_create_key(&stage.rig, kid, &p256, CM_SIGALG_UNKNOWN, &key, &err),
                    CM_MALFORMED);
    vault_stage_close(&stage);
}

/* Whatever is lost, the vault is asked to make a key once: another time would be another key. */
static void check_making_once(struct vault_stage *stage, const char *name, const char *fault,
                              const char *words)
{
    struct cm_key *key = NULL;
    struct cm_error err;
    long long before = cm_keyvault_statistic(&stage->vault, "requests.create");
    cm_keyvault_fault(&stage->vault, fault);
    cm_status status =
        create(stage, name, &(struct cm_key_spec){ .type = CM_KEY_P256 }, &key, &err);
    CU_ASSERT_EQUAL(status, CM_UNCERTAIN);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage->vault, "requests.create") - before, 1);
    if (key)
        cm_provider_close_key(key);
    cm_keyvault_clear_faults(&stage->vault);
}

static void test_key_whose_making_was_lost_is_not_made_again(void)
{
    struct vault_stage stage;
    vault_stage_open(&stage, NULL, ", \"timeout-ms\": 3000");
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    CU_ASSERT_TRUE(vault_stage_works(&stage, "ca")); /* so that there is a connection to be used */
    check_making_once(&stage, "a", "{\"on\":\"create\",\"kind\":\"close-before\"}",
                      "key a may be there");
    check_making_once(&stage, "b", "{\"on\":\"create\",\"kind\":\"close-after-headers\"}",
                      "key b may be there");
    check_making_once(&stage, "c", "{\"on\":\"create\",\"kind\":\"slow\",\"delay_ms\":60000}",
                      "key c may be there");
    check_making_once(&stage, "d", "{\"on\":\"create\",\"kind\":\"status\",\"status\":502}",
                      "key d may be there");
    check_making_once(&stage, "e", "{\"on\":\"create\",\"kind\":\"bad-json\"}",
                      "key e may be there");
    vault_stage_close(&stage);
}

static void test_key_that_was_made_and_does_not_sign_yet_is_tried_again(void)
{
    struct vault_stage stage;
    struct cm_key *key = NULL;
    struct cm_error err;
    vault_stage_open(&stage, NULL, "");
    cm_keyvault_fault(&stage.vault, "{\"on\":\"sign\",\"kind\":\"status\",\"status\":403}");
    CU_ASSERT_EQUAL_FATAL(
        create(&stage, "new", &(struct cm_key_spec){ .type = CM_KEY_P256 }, &key, &err), CM_OK);
    cm_provider_close_key(key);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"sign\",\"kind\":\"bad-signature\"}");
    CU_ASSERT_EQUAL(create(&stage, "bad", &(struct cm_key_spec){ .type = CM_KEY_P256 }, &key, &err),
                    CM_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "the key bad was made and stays"));
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ importing -- */

static size_t wrap_key(EVP_PKEY *kek, const uint8_t *aes, size_t aes_size, uint8_t *ret_wrapped,
                       size_t space)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, kek, NULL);
    bool good = context && EVP_PKEY_encrypt_init(context) == 1
                && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha1()) == 1
                && EVP_PKEY_encrypt(context, ret_wrapped, &space, aes, aes_size) == 1;
    EVP_PKEY_CTX_free(context);
    return good ? space : 0;
}

/* AES key wrap with padding of the PKCS#8. */
static size_t wrap_target(EVP_PKEY *target, const uint8_t *aes, uint8_t *ret_wrapped)
{
    uint8_t *der = NULL;
    int count = 0;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(target);
    int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
    if (EVP_EncryptInit_ex2(context, cipher, aes, NULL, NULL) != 1
        || EVP_EncryptUpdate(context, ret_wrapped, &count, der, size) != 1)
        count = 0;
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_CTX_free(context);
    PKCS8_PRIV_KEY_INFO_free(info);
    OPENSSL_free(der);
    return (size_t)count;
}

/* The key exchange key's public half, from its bundle. */
static EVP_PKEY *read_kek(struct vault_stage *stage, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "/emulator/vault/keys/%s?api-version=7.6", name);
    char *text = cm_keyvault_control(&stage->vault, "GET", path, NULL);
    json_t *bundle = json_loads(text, 0, NULL);
    const char *n = json_string_value(json_object_get(json_object_get(bundle, "key"), "n"));
    uint8_t modulus[256];
    EVP_PKEY *kek = NULL;
    CU_ASSERT_TRUE_FATAL(n && cm_base64url_decode(cm_bytes_str(n), modulus, sizeof modulus));
    BIGNUM *bn = BN_bin2bn(modulus, sizeof modulus, NULL), *e = BN_new();
    BN_set_word(e, 65537);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, bn);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY_fromdata_init(context);
    EVP_PKEY_fromdata(context, &kek, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(e);
    BN_free(bn);
    json_decref(bundle);
    free(text);
    return kek;
}

/* A transfer file for the target, as the service's BYOK tools write it. */
static char *make_blob(struct vault_stage *stage, const char *kek_kid, EVP_PKEY *target)
{
    uint8_t aes[32], ciphertext[4096];
    char encoded[CM_BASE64URL_SIZE(4096) + 1];
    EVP_PKEY *kek = read_kek(stage, "kek");
    RAND_bytes(aes, sizeof aes);
    size_t size = wrap_key(kek, aes, sizeof aes, ciphertext, sizeof ciphertext);
    CU_ASSERT_TRUE_FATAL(size > 0);
    size += wrap_target(target, aes, ciphertext + size);
    EVP_PKEY_free(kek);
    cm_base64url_encode(cm_bytes(ciphertext, size), encoded);
    json_t *blob = json_pack("{s:s, s:{s:s, s:s, s:s}, s:s, s:s}", "schema_version", "1.0.0",
                             "header", "kid", kek_kid, "alg", "dir", "enc", "CKM_RSA_AES_KEY_WRAP",
                             "ciphertext", encoded, "generator", "certmill's tests");
    char *text = json_dumps(blob, 0);
    json_decref(blob);
    return text;
}

static void check_import(struct vault_stage *stage, const char *name, const char *kek_kid,
                         EVP_PKEY *target, enum cm_key_type type, uint32_t bits)
{
    struct cm_key *key = NULL;
    struct cm_error err;
    uint8_t *spki = NULL;
    char *blob = make_blob(stage, kek_kid, target);
    const struct cm_key_spec spec = { .type = type,
                                      .bits = bits,
                                      .transfer_blob = cm_bytes_str(blob) };
    cm_status status = create(stage, name, &spec, &key, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    int size = i2d_PUBKEY(target, &spki);
    CU_ASSERT_TRUE(cm_bytes_equal(key->spki, cm_bytes(spki, (size_t)size)));
    CU_ASSERT_TRUE(rig_signs(&stage->rig, key, 2));
    cm_provider_close_key(key);
    key = NULL;
    CU_ASSERT_EQUAL(create(stage, name, &spec, &key, &err), CM_EXISTS);
    OPENSSL_free(spki);
    free(blob);
}

static void test_key_that_was_wrapped_elsewhere_is_imported(void)
{
    struct vault_stage stage;
    char kek_kid[CM_KEYVAULT_KID_SIZE];
    vault_stage_open(&stage, NULL, ", \"require\": \"hsm\"");
    cm_keyvault_create_key(&stage.vault, "kek",
                           "{\"kty\":\"RSA-HSM\",\"key_size\":2048,\"key_ops\":[\"import\"]}",
                           kek_kid);
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = cm_rsa_pair(0);
    check_import(&stage, "imported-ec", kek_kid, ec, CM_KEY_P256, 0);
    check_import(&stage, "imported-rsa", kek_kid, rsa, CM_KEY_RSA, 2048);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
    struct cm_key *key = NULL;
    struct cm_error err;
    const struct cm_key_spec broken = { .type = CM_KEY_P256,
                                        .transfer_blob = cm_bytes_str("{\"no\":\"blob\"}") };
    CU_ASSERT_EQUAL(create(&stage, "broken", &broken, &key, &err), CM_UNSUPPORTED);
    CU_ASSERT_EQUAL(vault_stage_try(&stage, rig_vault_reference(&stage.vault, "broken"), "404"),
                    CM_NO_KEY);
    vault_stage_close(&stage);
}

/* ------------------------------------------------------------------ destroying -- */

static void test_key_is_destroyed_although_the_answer_was_lost(void)
{
    struct vault_stage stage;
    struct cm_error err;
    vault_stage_open(&stage, NULL, ", \"timeout-ms\": 3000");
    struct cm_key *key = vault_stage_key(&stage, "old", EC_256);
    cm_keyvault_fault(&stage.vault, "{\"on\":\"delete\",\"kind\":\"status\",\"status\":403}");
    CU_ASSERT_EQUAL(rig_destroy_key(&stage.rig, key, &err), CM_DENIED);
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 1));
    cm_keyvault_fault(&stage.vault, "{\"on\":\"delete\",\"kind\":\"status\",\"status\":409}");
    CU_ASSERT_EQUAL(rig_destroy_key(&stage.rig, key, &err), CM_UNAVAILABLE);
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, 1));
    cm_keyvault_fault(&stage.vault, "{\"on\":\"delete\",\"kind\":\"close-after-headers\"}");
    CU_ASSERT_EQUAL(rig_destroy_key(&stage.rig, key, &err), CM_OK);
    CU_ASSERT_EQUAL(vault_stage_try(&stage, rig_vault_reference(&stage.vault, "old"), "old"),
                    CM_NO_KEY);
    vault_stage_close(&stage);
}

/* The service answers 409 while a deletion goes on: it is ours. */
static void test_key_is_destroyed_when_the_vault_is_at_it(void)
{
    struct vault_stage stage;
    struct cm_error err;
    vault_stage_open(&stage, NULL, "");
    struct cm_key *key = vault_stage_key(&stage, "old", EC_256);
    cm_keyvault_fault(&stage.vault, "[{\"on\":\"delete\",\"kind\":\"close-after-headers\"},"
                                    "{\"on\":\"delete\",\"kind\":\"status\",\"status\":409}]");
    CU_ASSERT_EQUAL(rig_destroy_key(&stage.rig, key, &err), CM_OK);
    vault_stage_close(&stage);
}

CM_TEST_SUITE(keyvault_key, CM_TEST(test_key_is_pinned_to_the_version_that_was_the_newest),
              CM_TEST(test_key_without_a_version_is_the_newest_enabled_one_over_all_pages),
              CM_TEST(test_key_that_has_another_version_is_told_once),
              CM_TEST(test_key_may_be_closed_while_its_versions_are_looked_at),
              CM_TEST(test_key_must_be_within_its_time_and_may_sign),
              CM_TEST(test_key_in_software_is_refused_where_an_hsm_is_required),
              CM_TEST(test_key_that_is_disabled_later_is_unavailable),
              CM_TEST(test_key_is_made_in_software_or_in_an_hsm),
              CM_TEST(test_key_of_a_managed_hsm_is_made_in_it_unasked),
              CM_TEST(test_key_that_exists_gets_no_new_version),
              CM_TEST(test_key_whose_making_was_lost_is_not_made_again),
              CM_TEST(test_key_that_was_made_and_does_not_sign_yet_is_tried_again),
              CM_TEST(test_key_that_was_wrapped_elsewhere_is_imported),
              CM_TEST(test_key_is_destroyed_although_the_answer_was_lost),
              CM_TEST(test_key_is_destroyed_when_the_vault_is_at_it));
