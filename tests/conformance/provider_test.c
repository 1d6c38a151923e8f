/*
 * What every provider does, whatever is behind it, in this process or hosted in one of its own.
 * $CM_TEST_PROVIDER names one backend of the table, against which all tests run.
 */
#include "tests/conformance/provider_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/base/clock.h"
#include "providers/backends.h"
#include "providers/fake/fake.h"
#include "tests/support/token_maker.h"

/* The fake token is not hosted: it lives in the memory of its process. */
static struct rig_backend backends[] = {
    { .name = "openssl", .ops = &cm_provider_openssl },
    { .name = "fake", .ops = &cm_provider_fake },
    { "softhsm", &cm_provider_pkcs11, NULL, "certmill%20test", TOKEN_PIN, false },
    { "fake-token", &cm_provider_pkcs11, NULL, "fake", TOKEN_PIN, false },
    { .name = "openssl-hosted", .ops = &cm_provider_openssl, .is_hosted = true },
    { .name = "fake-hosted", .ops = &cm_provider_fake, .is_hosted = true },
    { "softhsm-hosted", &cm_provider_pkcs11, NULL, "certmill%20test", TOKEN_PIN, true },
};

static const struct rig_backend *backend;

enum { WORKERS = 2 };

static bool is_in_token(void)
{
    return backend->module != NULL;
}

static const char *find_module(const char *name)
{
    if (strncmp(name, "fake-token", 10) == 0)
        return token_fake_module();
    return strncmp(name, "softhsm", 7) == 0 && token_softhsm_module() && token_softhsm_make()
               ? token_softhsm_module()
               : NULL;
}

/* The one that $CM_TEST_PROVIDER names. */
static int choose_backend(void)
{
    const char *name = getenv("CM_TEST_PROVIDER");
    for (size_t i = 0; name && i < sizeof backends / sizeof backends[0]; i++) {
        if (strcmp(backends[i].name, name) != 0)
            continue;
        backends[i].module = find_module(name);
        backend = &backends[i];
    }
    if (!backend) {
        printf("CM_TEST_PROVIDER names no provider\n");
        return 1;
    }
    rig_use(backend);
    return 0;
}

static void on_backend(void (*check)(struct rig *rig))
{
    struct rig rig;
    if (backend->ops == &cm_provider_pkcs11 && !is_in_token()) {
        cm_test_skip("no SoftHSM: neither its module nor softhsm2-util; tools/setup --tests");
        return;
    }
    rig_open(&rig, backend->ops, NULL, WORKERS);
    check(&rig);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ opening keys -- */

static void expect_refusal(struct rig *rig, const char *reference, enum cm_sigalg alg,
                           cm_status expected, const char *words)
{
    struct cm_key *key = NULL;
    struct cm_error err = { .status = CM_OK };
    CU_ASSERT_EQUAL(rig_open_key(rig, reference, alg, &key, &err), expected);
    CU_ASSERT_EQUAL(err.status, expected);
    CU_ASSERT_PTR_NULL(key);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    if (!strstr(err.text, words))
        printf("\"%s\" lacks \"%s\"\n", err.text, words);
    cm_provider_close_key(key);
}

static void check_missing(struct rig *rig)
{
    char reference[128];
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
    expect_refusal(rig, rig_key_reference("ed25519"), CM_SIGALG_RSA_PSS_SHA256, CM_MISMATCH, "pss");
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
    if (key) {
        struct rig_batch *batch = rig_batch_new(&rig, key, 3);
        rig_sign(batch);
        CU_ASSERT_TRUE(rig_all_verify(batch));
        rig_batch_free(batch);
    }
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
    if (!is_in_token())
        on_backend(check_locked);
    else
        check_locked(NULL); /* another instance would be logged in, and that serves the process */
}

static void check_passphrases(struct rig *rig)
{
    char right[64];
    (void)rig;
    snprintf(right, sizeof right, "%s\n", is_in_token() ? backend->pin : RIG_PASSPHRASE);
    CU_ASSERT_EQUAL(open_locked("wrong horse", ""), CM_DENIED);
    CU_ASSERT_EQUAL(open_locked(right, ""), CM_OK);
}

static void test_provider_opens_a_locked_key_with_its_passphrase_only(void)
{
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
    if (is_in_token())
        return; /* keys are no files */
    on_backend(check_file_mode);
}

static void check_reopening(struct rig *rig)
{
    for (unsigned i = 0; i < 3; i++) {
        struct cm_key *key = rig_key(rig, "p384", CM_SIGALG_UNKNOWN);
        struct rig_batch *batch = rig_batch_new(rig, key, 20);
        rig_sign(batch);
        CU_ASSERT_TRUE(rig_all_verify(batch));
        rig_batch_free(batch);
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
    struct rig_batch *batch = rig_batch_new(rig, key, 3);
    CU_ASSERT_EQUAL(key->type, spec->type);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    CU_ASSERT_EQUAL(rig_open_key(rig, reference, CM_SIGALG_UNKNOWN, &again, NULL), CM_OK);
    CU_ASSERT_TRUE(cm_bytes_equal(key->spki, again->spki));
    rig_batch_free(batch);
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
    if (!is_in_token()) {
        expect_not_created(rig, "pkcs11:object=key", &p256, CM_SIGALG_UNKNOWN, CM_UNSUPPORTED);
        expect_not_created(rig, "file:absent/key.pem", &p256, CM_SIGALG_UNKNOWN, CM_IO);
    }
    /* And none of them left a key behind. */
    expect_refusal(rig, new_reference("tiny"), CM_SIGALG_UNKNOWN, CM_NO_KEY, "tiny");
    expect_refusal(rig, new_reference("misfit"), CM_SIGALG_UNKNOWN, CM_NO_KEY, "misfit");
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
    CU_ASSERT_EQUAL(rig_create_key(rig, reference, &(struct cm_key_spec){ .type = CM_KEY_P256 },
                                   CM_SIGALG_UNKNOWN, &again, &err),
                    CM_OK);
    cm_provider_close_key(again);
}

static void test_provider_destroys_a_key_for_good_and_only_for_operators(void)
{
    on_backend(check_destroying);
}

/* ------------------------------------------------------------------ signing -- */

static void check_algorithm(struct rig *rig, const char *name, enum cm_sigalg alg)
{
    struct cm_key *key = rig_key(rig, name, alg);
    struct rig_batch *batch = rig_batch_new(rig, key, 5);
    CU_ASSERT_TRUE(key->provider == rig->provider);
    CU_ASSERT_TRUE(alg == CM_SIGALG_UNKNOWN || key->alg == alg);
    CU_ASSERT_TRUE(cm_sigalg_fits(key->alg, key->type));
    CU_ASSERT_TRUE(key->signature_size_max <= CM_SIGNATURE_SIZE_MAX);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    /* So that the test can fail: another message does not verify. */
    batch->items[0].message = cm_bytes_str("another");
    CU_ASSERT_FALSE(rig_verifies(key, &batch->items[0]));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void check_algorithms(struct rig *rig)
{
    static const char *const curves[] = { "p256", "p384", "p521" };
    static const char *const moduli[] = { "rsa2048", "rsa3072", "rsa4096" };
    for (unsigned i = 0; i < 3; i++) {
        check_algorithm(rig, curves[i], CM_SIGALG_UNKNOWN);
        check_algorithm(rig, moduli[i], CM_SIGALG_UNKNOWN);
        for (unsigned alg = CM_SIGALG_ECDSA_SHA256; alg <= CM_SIGALG_ECDSA_SHA512; alg++)
            check_algorithm(rig, curves[i], (enum cm_sigalg)alg);
        for (unsigned alg = CM_SIGALG_RSA_SHA256; alg <= CM_SIGALG_RSA_PSS_SHA512; alg++)
            check_algorithm(rig, moduli[i], (enum cm_sigalg)alg);
    }
    check_algorithm(rig, "ed25519", CM_SIGALG_UNKNOWN);
    check_algorithm(rig, "ed25519", CM_SIGALG_ED25519);
}

static void test_provider_signs_verifiably_with_every_algorithm(void)
{
    on_backend(check_algorithms);
}

static void check_once(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, 50);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    CU_ASSERT_EQUAL(batch->dones, 0);
    rig_wait(rig, &batch->dones, 1);
    rig_run_for(rig, 20);
    CU_ASSERT_EQUAL(batch->dones, 1);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_calls_done_once_on_the_loop_and_never_inside_sign(void)
{
    on_backend(check_once);
}

static void expect_invalid(struct rig *rig, struct rig_batch *batch)
{
    CU_ASSERT_EQUAL(rig_submit(batch), CM_INVALID);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(batch->dones, 0);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_STATUS_COUNT);
}

static void check_all_or_nothing(struct rig *rig)
{
    uint32_t items_max = cm_provider_caps(rig->provider).batch_items_max;
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, items_max + 1);
    expect_invalid(rig, batch);
    batch->batch.items_count = 0;
    expect_invalid(rig, batch);
    batch->batch.items_count = items_max;
    batch->items[items_max - 1].signature_space--;
    expect_invalid(rig, batch);
    batch->items[items_max - 1].signature_space++;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_takes_all_of_a_batch_or_nothing(void)
{
    on_backend(check_all_or_nothing);
}

static void check_sizes(struct rig *rig)
{
    static uint8_t large[100000];
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, 3);
    batch->items[0].message = cm_bytes(large, 0);
    batch->items[1].message = cm_bytes(large, sizeof large);
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    batch->batch.items_count = 1;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    batch->batch.items_count = 3;
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_signs_one_item_and_messages_of_any_size(void)
{
    on_backend(check_sizes);
}

/* ------------------------------------------------------------------ room, time, wishes -- */

static void check_busy(struct rig *rig)
{
    struct rig_batch *batches[64];
    uint32_t limit = cm_provider_caps(rig->provider).batches_in_flight;
    struct cm_key *key = rig_key(rig, "rsa2048", CM_SIGALG_UNKNOWN);
    CU_ASSERT_TRUE_FATAL(limit < 64);
    for (uint32_t i = 0; i <= limit; i++)
        batches[i] = rig_batch_new(rig, key, 4);
    for (uint32_t i = 0; i < limit; i++)
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(batches[limit]), CM_BUSY);
    CU_ASSERT_EQUAL(rig_submit(batches[limit]), CM_BUSY);
    rig_wait(rig, &rig->dones, 1);
    CU_ASSERT_EQUAL(rig_submit(batches[limit]), CM_OK);
    rig_wait(rig, &rig->dones, limit + 1);
    for (uint32_t i = 0; i <= limit; i++) {
        CU_ASSERT_EQUAL(batches[i]->dones, 1);
        CU_ASSERT_TRUE(rig_all_verify(batches[i]));
        rig_batch_free(batches[i]);
    }
    cm_provider_close_key(key);
}

static void test_provider_is_busy_at_its_limit_and_has_room_after_a_done(void)
{
    on_backend(check_busy);
}

static void check_deadline(struct rig *rig)
{
    uint32_t count = cm_provider_caps(rig->provider).batch_items_max;
    struct cm_key *key = rig_key(rig, "rsa4096", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, count);
    batch->batch.deadline_ns = 1;
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_EXPIRED), count);
    batch->batch.deadline_ns = cm_clock_monotonic_ns() + 30 * CM_NS_PER_MS;
    rig_sign(batch);
    uint32_t expired = rig_count_status(batch, CM_EXPIRED);
    CU_ASSERT_TRUE(expired > 0);
    CU_ASSERT_EQUAL(expired + rig_count_status(batch, CM_OK), count);
    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT_TRUE((batch->items[i].status == CM_OK) == rig_verifies(key, &batch->items[i]));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_expires_items_that_were_not_begun_by_the_deadline(void)
{
    on_backend(check_deadline);
}

static void check_cancel(struct rig *rig)
{
    uint32_t count = cm_provider_caps(rig->provider).batch_items_max;
    struct cm_key *key = rig_key(rig, "rsa4096", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, count);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_run_for(rig, 20);
    cm_provider_cancel(rig->provider, &batch->batch);
    cm_provider_cancel(rig->provider, &batch->batch);
    rig_wait(rig, &batch->dones, 1);
    uint32_t cancelled = rig_count_status(batch, CM_CANCELLED);
    CU_ASSERT_TRUE(cancelled > 0);
    CU_ASSERT_EQUAL(cancelled + rig_count_status(batch, CM_OK), count);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(batch->dones, 1);
    /* The same memory again, and nothing of the wish is left. */
    batch->batch.items_count = 3;
    rig_sign(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_cancels_what_is_not_begun_and_still_calls_done_once(void)
{
    on_backend(check_cancel);
}

/* ------------------------------------------------------------------ draining -- */

static void check_drain(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "rsa2048", CM_SIGALG_UNKNOWN);
    struct rig_batch *first = rig_batch_new(rig, key, 30);
    struct rig_batch *second = rig_batch_new(rig, key, 30);
    struct rig_batch *late = rig_batch_new(rig, key, 1);
    CU_ASSERT_EQUAL(rig_submit(first), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(second), CM_OK);
    rig_drain(rig);
    CU_ASSERT_EQUAL(rig_submit(late), CM_CLOSING);
    expect_refusal(rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, CM_CLOSING, "closing");
    rig_wait(rig, &rig->draineds, 1);
    CU_ASSERT_TRUE(rig_all_verify(first));
    CU_ASSERT_TRUE(rig_all_verify(second));
    CU_ASSERT_EQUAL(late->dones, 0);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(rig->draineds, 1);
    rig_batch_free(first);
    rig_batch_free(second);
    rig_batch_free(late);
    cm_provider_close_key(key);
}

static void test_provider_drains_after_the_last_done_and_takes_nothing_new(void)
{
    on_backend(check_drain);
}

struct late_opening {
    struct rig *rig;
    struct cm_key *key;
    unsigned draineds_before;
};

static void on_opened_while_draining(cm_status status, struct cm_key *key,
                                     const struct cm_error *err, void *arg)
{
    struct late_opening *late = arg;
    (void)err;
    CU_ASSERT_EQUAL(status, CM_OK);
    late->key = key;
    late->draineds_before = late->rig->draineds;
}

static void check_drain_of_openings(struct rig *rig)
{
    struct late_opening late = { .rig = rig, .draineds_before = 9 };
    cm_provider_open_key(rig->provider, rig_key_reference("p256"), CM_SIGALG_UNKNOWN,
                         on_opened_while_draining, &late);
    rig_drain(rig);
    rig_wait(rig, &rig->draineds, 1);
    CU_ASSERT_EQUAL(late.draineds_before, 0);
    CU_ASSERT_PTR_NOT_NULL(late.key);
    cm_provider_close_key(late.key);
}

static void test_provider_drains_after_keys_that_are_being_opened(void)
{
    on_backend(check_drain_of_openings);
}

static void check_idle_drain(struct rig *rig)
{
    rig_drain(rig);
    CU_ASSERT_EQUAL(rig->draineds, 0);
    rig_wait(rig, &rig->draineds, 1);
}

static void test_provider_that_is_idle_drains_on_a_later_turn(void)
{
    on_backend(check_idle_drain);
}

/* Submits its batch again from inside done, then asks for the drain from there. */
struct relay {
    struct rig *rig;
    struct cm_sign_batch batch;
    unsigned rounds;
    unsigned drained_inside;
};

static void on_relay_done(struct cm_sign_batch *batch, void *arg)
{
    struct relay *relay = arg;
    if (++relay->rounds < 50) {
        CU_ASSERT_EQUAL(cm_provider_sign(relay->rig->provider, batch, NULL), CM_OK);
        return;
    }
    rig_drain(relay->rig);
    relay->drained_inside = relay->rig->draineds;
}

static void check_relay(struct rig *rig)
{
    struct cm_key *key = rig_key(rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(rig, key, 9);
    struct relay relay = { .rig = rig, .batch = batch->batch };
    relay.batch.done = on_relay_done;
    relay.batch.done_arg = &relay;
    CU_ASSERT_EQUAL(cm_provider_sign(rig->provider, &relay.batch, NULL), CM_OK);
    rig_wait(rig, &rig->draineds, 1);
    rig_run_for(rig, 5);
    CU_ASSERT_EQUAL(relay.rounds, 50);
    CU_ASSERT_EQUAL(relay.drained_inside, 0);
    CU_ASSERT_EQUAL(rig->draineds, 1);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
}

static void test_provider_takes_batches_and_the_wish_to_drain_from_inside_done(void)
{
    on_backend(check_relay);
}

/* ------------------------------------------------------------------ stress -- */

enum { STRESS_KEYS = 3, STRESS_BATCHES = 100 };

static void check_stress(struct rig *rig)
{
    static const char *const names[STRESS_KEYS] = { "p256", "ed25519", "rsa2048" };
    struct cm_key *keys[STRESS_KEYS];
    struct rig_batch *batches[STRESS_BATCHES];
    unsigned submitted = 0;
    for (unsigned i = 0; i < STRESS_KEYS; i++)
        keys[i] = rig_key(rig, names[i], CM_SIGALG_UNKNOWN);
    for (unsigned i = 0; i < STRESS_BATCHES; i++)
        batches[i] = rig_batch_new(rig, keys[i % STRESS_KEYS], 1 + i * 7 % 60);
    while (submitted < STRESS_BATCHES) {
        cm_status status = rig_submit(batches[submitted]);
        if (status == CM_BUSY)
            rig_wait(rig, &rig->dones, rig->dones + 1);
        else
            CU_ASSERT_EQUAL_FATAL(status, CM_OK);
        submitted += status == CM_OK;
    }
    rig_wait(rig, &rig->dones, STRESS_BATCHES);
    CU_ASSERT_EQUAL(rig->dones, STRESS_BATCHES);
    for (unsigned i = 0; i < STRESS_BATCHES; i++) {
        CU_ASSERT_EQUAL(batches[i]->dones, 1);
        CU_ASSERT_TRUE(rig_all_verify(batches[i]));
        rig_batch_free(batches[i]);
    }
    for (unsigned i = 0; i < STRESS_KEYS; i++)
        cm_provider_close_key(keys[i]);
}

static void test_provider_signs_a_hundred_batches_of_three_keys(void)
{
    on_backend(check_stress);
}

CM_TEST_SUITE_WITH(provider, choose_backend, NULL,
                   CM_TEST(test_provider_answers_no_key_for_a_missing_key),
                   CM_TEST(test_provider_answers_mismatch_where_the_algorithm_does_not_fit),
                   CM_TEST(test_provider_denies_a_locked_key_without_a_passphrase),
                   CM_TEST(test_provider_opens_a_locked_key_with_its_passphrase_only),
                   CM_TEST(test_provider_does_not_open_without_the_passphrase_that_settings_name),
                   CM_TEST(test_provider_denies_key_files_that_others_can_reach),
                   CM_TEST(test_provider_opens_a_key_again_after_it_was_closed),
                   CM_TEST(test_provider_creates_keys_that_open_again_and_are_never_written_over),
                   CM_TEST(test_provider_creates_no_key_that_it_could_not_sign_with),
                   CM_TEST(test_provider_destroys_a_key_for_good_and_only_for_operators),
                   CM_TEST(test_provider_signs_verifiably_with_every_algorithm),
                   CM_TEST(test_provider_calls_done_once_on_the_loop_and_never_inside_sign),
                   CM_TEST(test_provider_takes_all_of_a_batch_or_nothing),
                   CM_TEST(test_provider_signs_one_item_and_messages_of_any_size),
                   CM_TEST(test_provider_is_busy_at_its_limit_and_has_room_after_a_done),
                   CM_TEST(test_provider_expires_items_that_were_not_begun_by_the_deadline),
                   CM_TEST(test_provider_cancels_what_is_not_begun_and_still_calls_done_once),
                   CM_TEST(test_provider_drains_after_the_last_done_and_takes_nothing_new),
                   CM_TEST(test_provider_drains_after_keys_that_are_being_opened),
                   CM_TEST(test_provider_that_is_idle_drains_on_a_later_turn),
                   CM_TEST(test_provider_takes_batches_and_the_wish_to_drain_from_inside_done),
                   CM_TEST(test_provider_signs_a_hundred_batches_of_three_keys));
