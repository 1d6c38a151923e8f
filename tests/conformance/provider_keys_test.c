/* What every provider does with keys, whatever is behind it: opening, creating, destroying. */
#include "tests/conformance/provider_backends.h"

#include <stdio.h>
#include <sys/stat.h>

#include "tests/conformance/rig_vault.h"

/* ------------------------------------------------------------------ opening keys -- */

static void check_missing(struct rig *rig)
{
    char reference[128];
    if (is_in_vault()) {
        expect_refusal(rig, rig_vault_reference(rig_vault(), "absent"), CM_SIGALG_UNKNOWN,
                       CM_NO_KEY, "404");
        return;
    }
    if (is_in_token()) {
        snprintf(reference, sizeof reference, "pkcs11:token=%s;object=absent", backend->token);
        expect_refusal(rig, reference, CM_SIGALG_UNKNOWN, CM_NO_KEY, "holds no private key");
        expect_refusal(rig, "pkcs11:token=elsewhere;object=p256", CM_SIGALG_UNKNOWN, CM_NO_KEY,
                       "no token fits");
        return;
    }
    expect_refusal(rig, "file:absent.pem", CM_SIGALG_UNKNOWN, CM_NO_KEY, "No such file");
    expect_refusal(rig, "file:/nonexistent/key.pem", CM_SIGALG_UNKNOWN, CM_NO_KEY, "No such file");
}

static void test_provider_answers_no_key_for_a_missing_key(void)
{
    on_backend(check_missing);
}

static void check_mismatch(struct rig *rig)
{
    expect_refusal(rig, rig_key_reference("p256"), CM_SIGALG_RSA_SHA256, CM_MISMATCH, "p256");
    expect_refusal(rig, rig_key_reference("rsa2048"), CM_SIGALG_ECDSA_SHA256, CM_MISMATCH, "rsa");
    expect_refusal(rig, rig_key_reference("p256"), CM_SIGALG_ED25519, CM_MISMATCH, "ed25519");
    if (is_in_vault())
        expect_refusal(rig, rig_key_reference("p256"), CM_SIGALG_ECDSA_SHA384, CM_MISMATCH, "p256");
    else
        expect_refusal(rig, rig_key_reference("ed25519"), CM_SIGALG_RSA_PSS_SHA256, CM_MISMATCH,
                       "pss");
}

static void test_provider_answers_mismatch_where_the_algorithm_does_not_fit(void)
{
    on_backend(check_mismatch);
}

/* What opening the locked key (a file, or one in a token) comes to; passphrase NULL: without one. */
static cm_status open_locked(const char *passphrase, const char *words)
{
    struct rig rig;
    struct cm_key *key = NULL;
    struct cm_error err = { .text = "" };
    char reference[512];
    snprintf(reference, sizeof reference, "%s", rig_key_reference("locked"));
    struct cm_provider_settings settings = rig_settings(1);
    settings.passphrase_ref = passphrase ? "file:passphrase" : NULL;
    if (passphrase)
        rig_write_file("passphrase", passphrase, strlen(passphrase), 0600);
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, backend->ops, &settings, NULL), CM_OK);
    cm_status status = rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, &err);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (key)
        CU_ASSERT_TRUE(rig_signs(&rig, key, 3));
    cm_provider_close_key(key);
    rig_close(&rig);
    return status;
}

/* rig is the backend's, and not needed. */
static void check_locked(struct rig *rig)
{
    (void)rig;
    CU_ASSERT_EQUAL(open_locked(NULL, "name no passphrase"), CM_DENIED);
}

static void test_provider_denies_a_locked_key_without_a_passphrase(void)
{
    if (is_in_vault())
        return; /* it does not open without one */
    if (!is_in_token())
        on_backend(check_locked);
    else
        check_locked(NULL); /* another instance would be logged in, and that serves the process */
}

static void check_passphrases(struct rig *rig)
{
    char right[64];
    const char *secret = is_in_vault() ? CM_KEYVAULT_CLIENT_SECRET : RIG_PASSPHRASE;
    (void)rig;
    snprintf(right, sizeof right, "%s\n", is_in_token() ? backend->pin : secret);
    CU_ASSERT_EQUAL(open_locked("wrong horse", ""), CM_DENIED);
    CU_ASSERT_EQUAL(open_locked(right, ""), CM_OK);
}

static void test_provider_opens_a_locked_key_with_its_passphrase_only(void)
{
    if (is_in_vault() && rig_vault_is_foreign())
        return; /* its credential has none */
    on_backend(check_passphrases);
}

static void check_missing_passphrase(struct rig *rig)
{
    struct rig other;
    struct cm_error err;
    struct cm_provider_settings settings = rig_settings(1);
    (void)rig;
    settings.passphrase_ref = "env:CM_TEST_NOT_SET";
    CU_ASSERT_EQUAL(rig_try_open(&other, backend->ops, &settings, &err), CM_DENIED);
    CU_ASSERT_EQUAL(err.status, CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "CM_TEST_NOT_SET"));
}

static void test_provider_does_not_open_without_the_passphrase_that_settings_name(void)
{
    if (is_in_vault() && rig_vault_is_foreign())
        return; /* its credential has none */
    on_backend(check_missing_passphrase);
}

static void check_file_mode(struct rig *rig)
{
    char path[512];
    const unsigned modes[] = { 0640, 0620, 0604, 0666, 0610 };
    snprintf(path, sizeof path, "%s", rig_key_reference("p256") + 5);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        chmod(path, modes[i]);
        expect_refusal(rig, "file:p256.pem", CM_SIGALG_UNKNOWN, CM_DENIED, "chmod 600");
    }
    chmod(path, 0600);
    cm_provider_close_key(rig_key(rig, "p256", CM_SIGALG_UNKNOWN));
}

static void test_provider_denies_key_files_that_others_can_reach(void)
{
    if (is_in_token() || is_in_vault())
        return; /* keys are no files */
    on_backend(check_file_mode);
}

static void check_reopening(struct rig *rig)
{
    for (unsigned i = 0; i < 3; i++) {
        struct cm_key *key = rig_key(rig, "p384", CM_SIGALG_UNKNOWN);
        CU_ASSERT_TRUE(rig_signs(rig, key, 20));
        cm_provider_close_key(key);
    }
    cm_provider_close_key(NULL);
}

static void test_provider_opens_a_key_again_after_it_was_closed(void)
{
    on_backend(check_reopening);
}

/* ------------------------------------------------------------------ creating keys -- */

static const char *new_reference(const char *name)
{
    static char reference[128];
    if (is_in_vault())
        return rig_vault_reference(rig_vault(), name);
    if (is_in_token())
        snprintf(reference, sizeof reference, "pkcs11:token=%s;object=%s", backend->token, name);
    else
        snprintf(reference, sizeof reference, "file:%s.pem", name);
    return reference;
}

/* A key of this kind in a place of its own; the reference that was made is given back. */
static const char *create(struct rig *rig, const struct cm_key_spec *spec, struct cm_key **ret_key)
{
    static unsigned number;
    char name[32];
    struct cm_error err = { .status = CM_OK };
    snprintf(name, sizeof name, "created-%u", number++);
    const char *reference = new_reference(name);
    cm_status status = rig_create_key(rig, reference, spec, CM_SIGALG_UNKNOWN, ret_key, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    return reference;
}

static void check_created(struct rig *rig, const struct cm_key_spec *spec)
{
    struct cm_key *key = NULL, *again = NULL;
    const char *reference = create(rig, spec, &key);
    CU_ASSERT_EQUAL(key->type, spec->type);
    CU_ASSERT_TRUE(rig_signs(rig, key, 3));
    CU_ASSERT_EQUAL(rig_open_key(rig, reference, CM_SIGALG_UNKNOWN, &again, NULL), CM_OK);
    CU_ASSERT_TRUE(cm_bytes_equal(key->spki, again->spki));
    cm_provider_close_key(again);
    /* Nothing is written over. */
    again = NULL;
    CU_ASSERT_EQUAL(rig_create_key(rig, reference, spec, CM_SIGALG_UNKNOWN, &again, NULL),
                    CM_EXISTS);
    CU_ASSERT_PTR_NULL(again);
    cm_provider_close_key(key);
}

static void check_creating(struct rig *rig)
{
    check_created(rig, &(struct cm_key_spec){ .type = CM_KEY_P256 });
    check_created(rig, &(struct cm_key_spec){ .type = CM_KEY_P384 });
    if (is_supported("ed25519", CM_SIGALG_UNKNOWN))
        check_created(rig, &(struct cm_key_spec){ .type = CM_KEY_ED25519 });
    check_created(rig, &(struct cm_key_spec){ .type = CM_KEY_RSA, .bits = 2048 });
}

static void test_provider_creates_keys_that_open_again_and_are_never_written_over(void)
{
    on_backend(check_creating);
}

static void expect_not_created(struct rig *rig, const char *reference,
                               const struct cm_key_spec *spec, enum cm_sigalg alg,
                               cm_status expected)
{
    struct cm_key *key = NULL;
    struct cm_error err = { .status = CM_OK };
    CU_ASSERT_EQUAL(rig_create_key(rig, reference, spec, alg, &key, &err), expected);
    CU_ASSERT_EQUAL(err.status, expected);
    CU_ASSERT_PTR_NULL(key);
}

static void check_not_creating(struct rig *rig)
{
    const struct cm_key_spec p256 = { .type = CM_KEY_P256 };
    const struct cm_key_spec tiny = { .type = CM_KEY_RSA, .bits = 512 };
    expect_not_created(rig, new_reference("tiny"), &tiny, CM_SIGALG_UNKNOWN, CM_UNSUPPORTED);
    expect_not_created(rig, new_reference("misfit"), &p256, CM_SIGALG_ED25519, CM_MISMATCH);
    if (!is_in_token() && !is_in_vault()) {
        expect_not_created(rig, "pkcs11:object=key", &p256, CM_SIGALG_UNKNOWN, CM_UNSUPPORTED);
        expect_not_created(rig, "file:absent/key.pem", &p256, CM_SIGALG_UNKNOWN, CM_IO);
    }
    /* And none of them left a key behind. */
    expect_refusal(rig, new_reference("tiny"), CM_SIGALG_UNKNOWN, CM_NO_KEY,
                   is_in_vault() ? "404" : "tiny");
    expect_refusal(rig, new_reference("misfit"), CM_SIGALG_UNKNOWN, CM_NO_KEY,
                   is_in_vault() ? "404" : "misfit");
}

static void test_provider_creates_no_key_that_it_could_not_sign_with(void)
{
    on_backend(check_not_creating);
}

/* A signer process destroys nothing: what an engine asks is not asked by an operator. */
static void check_destroying(struct rig *rig)
{
    struct cm_key *key = NULL, *again = NULL;
    struct cm_error err = { .status = CM_OK };
    const char *reference = create(rig, &(struct cm_key_spec){ .type = CM_KEY_P256 }, &key);
    if (backend->is_hosted) {
        CU_ASSERT_EQUAL(rig_destroy_key(rig, key, &err), CM_UNSUPPORTED);
        cm_provider_close_key(key);
        return;
    }
    CU_ASSERT_EQUAL(rig_destroy_key(rig, key, &err), CM_OK);
    CU_ASSERT_EQUAL(rig_open_key(rig, reference, CM_SIGALG_UNKNOWN, &again, &err), CM_NO_KEY);
    /* A vault keeps what was deleted, and its name, until its retention time is over. */
    CU_ASSERT_EQUAL(rig_create_key(rig, reference, &(struct cm_key_spec){ .type = CM_KEY_P256 },
                                   CM_SIGALG_UNKNOWN, &again, &err),
                    is_in_vault() ? CM_EXISTS : CM_OK);
    cm_provider_close_key(again);
}

static void test_provider_destroys_a_key_for_good_and_only_for_operators(void)
{
    on_backend(check_destroying);
}

CM_TEST_SUITE_WITH(provider_keys, choose_backend, NULL,
                   CM_TEST(test_provider_answers_no_key_for_a_missing_key),
                   CM_TEST(test_provider_answers_mismatch_where_the_algorithm_does_not_fit),
                   CM_TEST(test_provider_denies_a_locked_key_without_a_passphrase),
                   CM_TEST(test_provider_opens_a_locked_key_with_its_passphrase_only),
                   CM_TEST(test_provider_does_not_open_without_the_passphrase_that_settings_name),
                   CM_TEST(test_provider_denies_key_files_that_others_can_reach),
                   CM_TEST(test_provider_opens_a_key_again_after_it_was_closed),
                   CM_TEST(test_provider_creates_keys_that_open_again_and_are_never_written_over),
                   CM_TEST(test_provider_creates_no_key_that_it_could_not_sign_with),
                   CM_TEST(test_provider_destroys_a_key_for_good_and_only_for_operators));
