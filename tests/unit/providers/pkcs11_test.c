/*
 * The PKCS#11 provider on the fake token: opening, PINs, mechanisms, sessions, making keys. What
 * happens under faults is in pkcs11_faults_test.c.
 */
#include "providers/backends.h"
#include "tests/conformance/provider_rig.h"
#include "tests/support/token_maker.h"

#include <stdio.h>
#include <stdlib.h>

static struct rig_backend fake = {
    .name = "fake-token", .ops = &cm_provider_pkcs11, .token = "fake", .pin = TOKEN_PIN
};

static int use_fake(void)
{
    fake.module = token_fake_module();
    rig_use(&fake);
    return fake.module ? 0 : 1;
}

static void open_fake(struct rig *rig, const char *script, uint32_t workers_count)
{
    token_fake_script(script);
    rig_open(rig, &cm_provider_pkcs11, NULL, workers_count);
}

static void close_fake(struct rig *rig)
{
    token_fake_script("");
    rig_close(rig);
}

static void expect(struct rig *rig, const char *reference, enum cm_sigalg alg, cm_status expected,
                   const char *words)
{
    struct cm_key *key = NULL;
    struct cm_error err = { .text = "" };
    cm_status status = rig_open_key(rig, reference, alg, &key, &err);
    CU_ASSERT_EQUAL(status, expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_PTR_NULL(strstr(err.text, TOKEN_PIN));
    if (status != expected || !strstr(err.text, words))
        printf("%s: %s, \"%s\" lacks \"%s\"\n", reference, cm_status_name(status), err.text, words);
    cm_provider_close_key(key);
}

static void expect_key_signs(struct rig *rig, const char *name, enum cm_sigalg alg)
{
    struct cm_key *key = rig_key(rig, name, alg);
    CU_ASSERT_TRUE(rig_signs(rig, key, 20));
    cm_provider_close_key(key);
}

/* ------------------------------------------------------------------ modules -- */

static void expect_no_module(const char *module, cm_status expected, const char *words)
{
    struct rig rig;
    struct cm_error err = { .text = "" };
    const struct cm_provider_settings settings = { .name = "hsm", .module = module };
    CU_ASSERT_EQUAL(rig_try_open(&rig, &cm_provider_pkcs11, &settings, &err), expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (!strstr(err.text, words))
        printf("\"%s\" lacks \"%s\"\n", err.text, words);
}

static void test_pkcs11_says_why_a_module_does_not_load(void)
{
    expect_no_module("libx.so", CM_MALFORMED, "absolute path");
    expect_no_module("/nonexistent/libx.so", CM_UNAVAILABLE, "/nonexistent/libx.so");
    const char *text = rig_write_file("no-module.so", "no ELF", 6, 0700);
    expect_no_module(text, CM_UNAVAILABLE, "no-module.so");
    expect_no_module(getenv("CLOCK_SHIM"), CM_UNSUPPORTED, "no C_GetFunctionList");
    token_fake_script("fail C_Initialize 0x30 0");
    expect_no_module(fake.module, CM_UNAVAILABLE, "CKR_DEVICE_ERROR");
    token_fake_script("fail C_Initialize 0xA 0");
    expect_no_module(fake.module, CM_UNSUPPORTED, "CKR_CANT_LOCK");
    token_fake_script("");
}

static void test_pkcs11_takes_the_module_from_the_uri_where_settings_name_none(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    char reference[1024];
    struct cm_provider_settings settings = rig_settings(1);
    rig_key_reference("p256");
    settings.module = NULL;
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, &cm_provider_pkcs11, &settings, NULL), CM_OK);
    expect(&rig, "pkcs11:token=fake;object=p256", CM_SIGALG_UNKNOWN, CM_UNSUPPORTED,
           "module-path=");
    snprintf(reference, sizeof reference, "pkcs11:token=fake;object=p256?module-path=%s",
             fake.module);
    CU_ASSERT_EQUAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    CU_ASSERT_TRUE(rig_signs(&rig, key, 20));
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_open(&rig, &cm_provider_pkcs11, NULL, 1);
    expect(&rig, "pkcs11:object=p256?module-path=/other.so", CM_SIGALG_UNKNOWN, CM_MISMATCH,
           "not the module of settings");
    rig_close(&rig);
}

/* ------------------------------------------------------------------ tokens and keys -- */

static void test_pkcs11_names_the_tokens_where_none_or_several_fit(void)
{
    struct rig rig;
    rig_key_reference("p256");
    open_fake(&rig, "twins", 1);
    expect(&rig, "pkcs11:token=other;object=p256", CM_SIGALG_UNKNOWN, CM_NO_KEY,
           "fake (serial 1, slot 0), fake (serial 2, slot 1)");
    expect(&rig, "pkcs11:token=fake;object=p256", CM_SIGALG_UNKNOWN, CM_NO_KEY, "several tokens");
    expect(&rig, "pkcs11:token=fake;object=p256", CM_SIGALG_UNKNOWN, CM_NO_KEY, "slot-id=");
    expect(&rig, "pkcs11:serial=2;object=p256", CM_SIGALG_UNKNOWN, CM_OK, "");
    expect(&rig, "pkcs11:slot-id=0;object=p256", CM_SIGALG_UNKNOWN, CM_OK, "");
    expect(&rig, "pkcs11:slot-id=7;object=p256", CM_SIGALG_UNKNOWN, CM_NO_KEY, "no token fits");
    close_fake(&rig);
    open_fake(&rig, "absent", 1);
    expect(&rig, "pkcs11:token=fake;object=p256", CM_SIGALG_UNKNOWN, CM_NO_KEY, "present: none");
    close_fake(&rig);
}

static void test_pkcs11_names_the_keys_where_several_fit(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    const struct cm_key_spec spec = { .type = CM_KEY_P256 };
    open_fake(&rig, "", 1);
    CU_ASSERT_EQUAL(
        rig_create_key(&rig, "pkcs11:object=twin-a;id=%51", &spec, CM_SIGALG_UNKNOWN, &key, NULL),
        CM_OK);
    cm_provider_close_key(key);
    CU_ASSERT_EQUAL(
        rig_create_key(&rig, "pkcs11:object=twin-b;id=%52", &spec, CM_SIGALG_UNKNOWN, &key, NULL),
        CM_OK);
    cm_provider_close_key(key);
    expect(&rig, "pkcs11:object=twin-a", CM_SIGALG_UNKNOWN, CM_OK, "");
    expect(&rig, "pkcs11:id=%52", CM_SIGALG_UNKNOWN, CM_OK, "");
    expect(&rig, "pkcs11:object=twin-a;id=%52", CM_SIGALG_UNKNOWN, CM_NO_KEY, "no private key");
    close_fake(&rig);
}

static void test_pkcs11_reads_points_with_and_without_their_octet_string(void)
{
    static const char *const names[] = { "p256", "p384", "p521", "ed25519" };
    struct rig rig;
    for (size_t i = 0; i < 4; i++)
        rig_key_reference(names[i]);
    open_fake(&rig, "bare-point", 1);
    for (size_t i = 0; i < 4; i++)
        expect_key_signs(&rig, names[i], CM_SIGALG_UNKNOWN);
    close_fake(&rig);
}

static void test_pkcs11_needs_a_public_key_that_rsa_keys_hold_themselves(void)
{
    struct rig rig;
    rig_key_reference("p256");
    rig_key_reference("rsa2048");
    open_fake(&rig, "no-public", 1);
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_NO_KEY, "neither its public key");
    expect_key_signs(&rig, "rsa2048", CM_SIGALG_UNKNOWN);
    close_fake(&rig);
}

static void test_pkcs11_refuses_a_key_whose_signatures_do_not_verify(void)
{
    struct rig rig;
    rig_key_reference("p256");
    open_fake(&rig, "wrong-signature", 1);
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_CORRUPT, "does not verify");
    token_fake_script("short-signature");
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_CORRUPT, "does not verify");
    close_fake(&rig);
}

static void test_pkcs11_says_which_call_failed_where_a_key_cannot_be_read(void)
{
    struct rig rig;
    rig_key_reference("p256");
    open_fake(&rig, "fail C_GetAttributeValue 0x30 0", 1);
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_UNAVAILABLE, "CKR_DEVICE_ERROR");
    close_fake(&rig);
}

/* What the provider told last; "": nothing. */
static char notice[CM_ERROR_TEXT_SIZE];

static void keep_notice(struct cm_provider *provider, enum cm_provider_event event,
                        const char *text, void *arg)
{
    (void)provider;
    (void)arg;
    CU_ASSERT_EQUAL(event, CM_PROVIDER_NOTICE);
    snprintf(notice, sizeof notice, "%s", text);
}

static void test_pkcs11_opens_a_key_whose_first_proof_failed_and_says_nothing_of_it(void)
{
    struct rig rig;
    rig_key_reference("p256");
    open_fake(&rig, "fail C_SignInit 0x30 1", 1);
    notice[0] = '\0';
    cm_provider_watch(rig.provider, keep_notice, NULL);
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_OK, "");
    CU_ASSERT_STRING_EQUAL(notice, "");
    close_fake(&rig);
}

/* ------------------------------------------------------------------ mechanisms -- */

static void test_pkcs11_has_the_token_hash_where_it_takes_no_digests(void)
{
    struct rig rig;
    rig_key_reference("p256");
    rig_key_reference("rsa2048");
    open_fake(&rig, "without 0x1041\nwithout 0x1\nwithout 0xd", 1);
    expect_key_signs(&rig, "p256", CM_SIGALG_ECDSA_SHA256);
    expect_key_signs(&rig, "p256", CM_SIGALG_ECDSA_SHA512);
    expect_key_signs(&rig, "rsa2048", CM_SIGALG_RSA_SHA384);
    expect_key_signs(&rig, "rsa2048", CM_SIGALG_RSA_PSS_SHA256);
    close_fake(&rig);
}

static void test_pkcs11_names_what_the_token_offers_where_it_lacks_a_mechanism(void)
{
    struct rig rig;
    rig_key_reference("ed25519");
    rig_key_reference("rsa2048");
    open_fake(&rig, "without 0x1057\nwithout 0xd\nwithout 0x43", 1);
    expect(&rig, rig_key_reference("ed25519"), CM_SIGALG_UNKNOWN, CM_UNSUPPORTED,
           "it offers: ECDSA (255-521), ECDSA_SHA256");
    expect(&rig, rig_key_reference("rsa2048"), CM_SIGALG_RSA_PSS_SHA256, CM_UNSUPPORTED,
           "does not sign rsa-pss-sha256 with 2048 bits");
    expect_key_signs(&rig, "rsa2048", CM_SIGALG_RSA_SHA256);
    close_fake(&rig);
}

/* ------------------------------------------------------------------ PINs -- */

static void open_with_pin(struct rig *rig, const char *pin)
{
    struct cm_provider_settings settings = rig_settings(1);
    settings.passphrase_ref = token_pin_reference(pin);
    CU_ASSERT_EQUAL_FATAL(rig_try_open(rig, &cm_provider_pkcs11, &settings, NULL), CM_OK);
}

static void test_pkcs11_never_tries_a_refused_pin_again(void)
{
    struct rig rig;
    char reference[512];
    snprintf(reference, sizeof reference, "%s", rig_key_reference("p256"));
    unsigned logins = token_fake_calls("C_Login");
    open_with_pin(&rig, "4321");
    for (unsigned i = 0; i < 5; i++)
        expect(&rig, reference, CM_SIGALG_UNKNOWN, CM_DENIED, "CKR_PIN_INCORRECT");
    expect(&rig, "pkcs11:serial=1;object=p256", CM_SIGALG_UNKNOWN, CM_DENIED, "refused the PIN");
    rig_run_for(&rig, 1100);
    expect(&rig, reference, CM_SIGALG_UNKNOWN, CM_DENIED, "not tried again");
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 1);
    rig_close(&rig);
    open_with_pin(&rig, TOKEN_PIN);
    expect(&rig, reference, CM_SIGALG_UNKNOWN, CM_OK, "");
    rig_close(&rig);
}

static void test_pkcs11_does_not_use_up_the_last_try_of_a_pin(void)
{
    struct rig rig;
    rig_key_reference("p256");
    unsigned logins = token_fake_calls("C_Login");
    open_fake(&rig, "pin final", 1);
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_DENIED, "by hand");
    close_fake(&rig);
    open_fake(&rig, "pin locked", 1);
    expect(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_DENIED, "has locked");
    close_fake(&rig);
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins);
}

static void test_pkcs11_takes_the_pin_from_the_uris_source(void)
{
    struct rig rig;
    char reference[1024];
    struct cm_provider_settings settings = rig_settings(1);
    rig_key_reference("p256");
    snprintf(reference, sizeof reference, "pkcs11:object=p256?pin-source=%s",
             token_pin_reference(TOKEN_PIN));
    settings.passphrase_ref = NULL;
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, &cm_provider_pkcs11, &settings, NULL), CM_OK);
    expect(&rig, "pkcs11:object=p256?pin-source=file:/nonexistent", CM_SIGALG_UNKNOWN, CM_DENIED,
           "/nonexistent");
    expect(&rig, reference, CM_SIGALG_UNKNOWN, CM_OK, "");
    expect(&rig, "pkcs11:object=p256?pin-value=" TOKEN_PIN, CM_SIGALG_UNKNOWN, CM_DENIED,
           "pin-value is refused");
    rig_close(&rig);
}

static void test_pkcs11_logs_in_once_for_all_keys_and_sessions(void)
{
    struct rig rig;
    struct cm_key *keys[2];
    rig_key_reference("p256");
    rig_key_reference("p384");
    unsigned logins = token_fake_calls("C_Login");
    rig_open(&rig, &cm_provider_pkcs11, NULL, 4);
    keys[0] = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    keys[1] = rig_key(&rig, "p384", CM_SIGALG_UNKNOWN);
    for (unsigned i = 0; i < 10; i++)
        CU_ASSERT_TRUE(rig_signs(&rig, keys[i % 2], 20));
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 1);
    cm_provider_close_key(keys[0]);
    cm_provider_close_key(keys[1]);
    rig_close(&rig);
    CU_ASSERT_EQUAL(token_fake_sessions(), 0);
}

/* ------------------------------------------------------------------ sessions -- */

static void check_sessions(const char *script, uint32_t workers_count, unsigned allowed)
{
    struct rig rig;
    struct cm_key *key = NULL;
    rig_key_reference("p256");
    open_fake(&rig, script, workers_count);
    notice[0] = '\0';
    cm_provider_watch(rig.provider, keep_notice, NULL);
    CU_ASSERT_EQUAL(rig_open_key(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, &key, NULL),
                    CM_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(notice, "sessions, 6 were asked for"));
    struct rig_batch *batch = rig_batch_new(&rig, key, 100);
    for (unsigned i = 0; i < 3; i++) {
        rig_sign(batch);
        CU_ASSERT_TRUE(rig_all_verify(batch));
        CU_ASSERT_TRUE(token_fake_sessions() <= allowed);
    }
    rig_batch_free(batch);
    cm_provider_close_key(key);
    close_fake(&rig);
}

static void test_pkcs11_has_no_more_sessions_than_the_token_allows_and_says_so(void)
{
    check_sessions("max-sessions 2", 6, 2);
    check_sessions("max-sessions 1", 6, 1);
}

static void test_pkcs11_measures_how_many_sessions_a_slow_token_likes(void)
{
    struct rig rig;
    rig_key_reference("p256");
    open_fake(&rig, "slow 100", 0);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 100);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    /* Asleep for so long that each session adds to the rate, under valgrind beside other work, too. */
    CU_ASSERT_TRUE(token_fake_sessions() >= 2);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    close_fake(&rig);
    open_fake(&rig, "slow 20\nmax-sessions 3", 0);
    expect_key_signs(&rig, "p256", CM_SIGALG_UNKNOWN);
    CU_ASSERT_TRUE(token_fake_sessions() <= 3);
    close_fake(&rig);
}

/* ------------------------------------------------------------------ making keys -- */

static cm_status create(struct rig *rig, const char *reference, enum cm_key_type type,
                        uint32_t bits, struct cm_error *err)
{
    struct cm_key *key = NULL;
    const struct cm_key_spec spec = { .type = type, .bits = bits };
    cm_status status = rig_create_key(rig, reference, &spec, CM_SIGALG_UNKNOWN, &key, err);
    if (status == CM_OK)
        CU_ASSERT_TRUE(rig_signs(rig, key, 20));
    cm_provider_close_key(key);
    return status;
}

/* The fake makes keys only that are private, sensitive, not extractable, and sign only. */
static void test_pkcs11_makes_keys_that_sign_and_are_found_again(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=made", CM_KEY_P384, 0, &err), CM_OK);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:id=%01%02", CM_KEY_ED25519, 0, &err), CM_OK);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=made-rsa", CM_KEY_RSA, 2048, &err), CM_OK);
    expect(&rig, "pkcs11:object=made", CM_SIGALG_UNKNOWN, CM_OK, "");
    expect(&rig, "pkcs11:id=%01%02", CM_SIGALG_UNKNOWN, CM_OK, "");
    close_fake(&rig);
}

static void test_pkcs11_makes_no_second_key_of_a_label_or_an_id(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=one;id=%11", CM_KEY_P256, 0, &err), CM_OK);
    unsigned made = token_fake_calls("C_GenerateKeyPair");
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=one", CM_KEY_P256, 0, &err), CM_EXISTS);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "that label already"));
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=two;id=%11", CM_KEY_P256, 0, &err), CM_EXISTS);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "that id already"));
    CU_ASSERT_EQUAL(token_fake_calls("C_GenerateKeyPair"), made);
    close_fake(&rig);
}

static void test_pkcs11_makes_a_key_whatever_words_its_name_is_made_of(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=several", CM_KEY_P256, 0, &err), CM_OK);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=several", CM_KEY_P256, 0, &err), CM_EXISTS);
    close_fake(&rig);
}

static void test_pkcs11_says_when_a_token_is_full_or_makes_no_such_keys(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "full\nwithout 0x1055", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=no-room", CM_KEY_P256, 0, &err), CM_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is full (CKR_DEVICE_MEMORY)"));
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=x", CM_KEY_ED25519, 0, &err), CM_UNSUPPORTED);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=x", CM_KEY_RSA, 1024, &err), CM_UNSUPPORTED);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=x", CM_KEY_RSA, 8192, &err), CM_UNSUPPORTED);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:token=fake", CM_KEY_P256, 0, &err), CM_MALFORMED);
    close_fake(&rig);
}

static void test_pkcs11_destroys_a_new_key_that_does_not_prove_itself(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "wrong-signature", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=again", CM_KEY_P256, 0, &err), CM_CORRUPT);
    token_fake_script("");
    expect(&rig, "pkcs11:object=again", CM_SIGALG_UNKNOWN, CM_NO_KEY, "no private key");
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=again", CM_KEY_P256, 0, &err), CM_OK);
    close_fake(&rig);
}

static void test_pkcs11_destroys_a_new_key_whose_answer_was_lost_or_says_that_it_may_be_there(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "lost-pair", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=lost", CM_KEY_P256, 0, &err), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "CKR_DEVICE_ERROR"));
    CU_ASSERT_PTR_NULL(strstr(err.text, "left"));
    token_fake_script("");
    expect(&rig, "pkcs11:object=lost", CM_SIGALG_UNKNOWN, CM_NO_KEY, "no private key");
    token_fake_script("lost-pair\nfail C_DestroyObject 0x6 0");
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=lost;id=%4c", CM_KEY_P256, 0, &err),
                    CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(err.text, "CKR_DEVICE_ERROR; the new key may be left there, id 4c"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "does not destroy"));
    close_fake(&rig);
}

/* Its public key would be found in place of the new one's. */
static void test_pkcs11_makes_no_key_of_the_id_of_a_public_key_that_is_there(void)
{
    struct rig rig;
    struct cm_error err;
    open_fake(&rig, "", 1);
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=half;id=%48", CM_KEY_P256, 0, &err), CM_OK);
    unsigned made = token_fake_calls("C_GenerateKeyPair");
    token_fake_script("no-private");
    CU_ASSERT_EQUAL(create(&rig, "pkcs11:object=whole;id=%48", CM_KEY_P256, 0, &err), CM_EXISTS);
    CU_ASSERT_EQUAL(token_fake_calls("C_GenerateKeyPair"), made);
    close_fake(&rig);
}

CM_TEST_SUITE_WITH(
    pkcs11, use_fake, NULL, CM_TEST(test_pkcs11_says_why_a_module_does_not_load),
    CM_TEST(test_pkcs11_takes_the_module_from_the_uri_where_settings_name_none),
    CM_TEST(test_pkcs11_names_the_tokens_where_none_or_several_fit),
    CM_TEST(test_pkcs11_names_the_keys_where_several_fit),
    CM_TEST(test_pkcs11_reads_points_with_and_without_their_octet_string),
    CM_TEST(test_pkcs11_needs_a_public_key_that_rsa_keys_hold_themselves),
    CM_TEST(test_pkcs11_refuses_a_key_whose_signatures_do_not_verify),
    CM_TEST(test_pkcs11_says_which_call_failed_where_a_key_cannot_be_read),
    CM_TEST(test_pkcs11_opens_a_key_whose_first_proof_failed_and_says_nothing_of_it),
    CM_TEST(test_pkcs11_has_the_token_hash_where_it_takes_no_digests),
    CM_TEST(test_pkcs11_names_what_the_token_offers_where_it_lacks_a_mechanism),
    CM_TEST(test_pkcs11_never_tries_a_refused_pin_again),
    CM_TEST(test_pkcs11_does_not_use_up_the_last_try_of_a_pin),
    CM_TEST(test_pkcs11_takes_the_pin_from_the_uris_source),
    CM_TEST(test_pkcs11_logs_in_once_for_all_keys_and_sessions),
    CM_TEST(test_pkcs11_has_no_more_sessions_than_the_token_allows_and_says_so),
    CM_TEST(test_pkcs11_measures_how_many_sessions_a_slow_token_likes),
    CM_TEST(test_pkcs11_makes_keys_that_sign_and_are_found_again),
    CM_TEST(test_pkcs11_makes_no_second_key_of_a_label_or_an_id),
    CM_TEST(test_pkcs11_makes_a_key_whatever_words_its_name_is_made_of),
    CM_TEST(test_pkcs11_says_when_a_token_is_full_or_makes_no_such_keys),
    CM_TEST(test_pkcs11_destroys_a_new_key_that_does_not_prove_itself),
    CM_TEST(test_pkcs11_destroys_a_new_key_whose_answer_was_lost_or_says_that_it_may_be_there),
    CM_TEST(test_pkcs11_makes_no_key_of_the_id_of_a_public_key_that_is_there));
