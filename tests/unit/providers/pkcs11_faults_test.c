/*
 * The PKCS#11 provider while its token fails, on the fake token. The rules: what is answered OK
 * verifies, what may have been signed is UNCERTAIN, what was not is UNAVAILABLE or TOKEN_REMOVED;
 * the token's return is noticed within five paces; logins are never more than one a pace.
 */
#include "engine/base/clock.h"
#include "providers/backends.h"
#include "providers/pkcs11/token.h"
#include "tests/conformance/provider_rig.h"
#include "tests/support/terminal.h"
#include "tests/support/token_maker.h"

#include <stdio.h>

/* The pace is a tenth of what it is in service, and so are the limits. */
enum { WORKERS = 3, ITEMS = 40, PACE_MS = 100, RETURN_MS_MAX = 500, LOOK_MS = 20 };

static struct rig_backend fake = {
    .name = "fake-token", .ops = &cm_provider_pkcs11, .token = "fake", .pin = TOKEN_PIN
};

static int use_fake(void)
{
    fake.module = token_fake_module();
    cm_p11_token_set_pace(PACE_MS);
    rig_use(&fake);
    return fake.module ? 0 : 1;
}

struct stage {
    struct rig rig;
    struct cm_key *key;
    struct rig_batch *batch;
};

static void stage_open_with(struct stage *stage, uint32_t workers_count)
{
    token_fake_script("");
    rig_open(&stage->rig, &cm_provider_pkcs11, NULL, workers_count);
    stage->key = rig_key(&stage->rig, "p256", CM_SIGALG_UNKNOWN);
    stage->batch = rig_batch_new(&stage->rig, stage->key, ITEMS);
    rig_sign(stage->batch);
    CU_ASSERT_TRUE(rig_all_verify(stage->batch));
    /* So that the login of the opening is one pace ago. */
    rig_run_for(&stage->rig, PACE_MS + 5);
}

static void stage_open(struct stage *stage)
{
    stage_open_with(stage, WORKERS);
}

static void stage_close(struct stage *stage)
{
    token_fake_script("");
    rig_batch_free(stage->batch);
    cm_provider_close_key(stage->key);
    rig_close(&stage->rig);
}

/* Signs; returns how many were signed. What is OK verifies, whatever happened. */
static uint32_t sign(struct stage *stage)
{
    rig_sign(stage->batch);
    for (uint32_t i = 0; i < ITEMS; i++)
        if (stage->batch->items[i].status == CM_OK)
            CU_ASSERT_TRUE(rig_verifies(stage->key, &stage->batch->items[i]));
    return rig_count_status(stage->batch, CM_OK);
}

static void print_statuses(const struct stage *stage)
{
    for (unsigned status = 0; status < CM_STATUS_COUNT; status++) {
        uint32_t count = rig_count_status(stage->batch, (cm_status)status);
        if (count > 0)
            printf("%s %u ", cm_status_name((cm_status)status), count);
    }
    printf("\n");
}

static void expect_all_signed(struct stage *stage)
{
    uint32_t count = sign(stage);
    CU_ASSERT_EQUAL(count, ITEMS);
    if (count != ITEMS)
        print_statuses(stage);
}

/*
 * Until a whole batch is signed; false when that took longer than the rules allow. Pauses are counted: how long
 * a try takes is the machine's business.
 */
static bool comes_back(struct stage *stage)
{
    for (unsigned waited_ms = 0; waited_ms < RETURN_MS_MAX; waited_ms += LOOK_MS) {
        if (sign(stage) == ITEMS)
            return true;
        rig_run_for(&stage->rig, LOOK_MS);
    }
    print_statuses(stage);
    return false;
}

/* ------------------------------------------------------------------ what a retry heals -- */

static void check_event(const char *event, unsigned logins_more)
{
    struct stage stage;
    stage_open(&stage);
    unsigned logins = token_fake_calls("C_Login");
    token_fake_event("", event);
    expect_all_signed(&stage);
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + logins_more);
    stage_close(&stage);
}

static void test_pkcs11_signs_on_after_its_sessions_were_closed(void)
{
    check_event("close-sessions", 1);
}

static void test_pkcs11_logs_in_again_after_it_was_logged_out(void)
{
    check_event("log-out", 1);
}

static void test_pkcs11_finds_keys_again_after_their_handles_changed(void)
{
    check_event("new-handles", 1);
}

static void test_pkcs11_starts_a_module_again_that_forgot_it_was_started(void)
{
    check_event("forget", 1);
}

static void test_pkcs11_signs_again_in_a_new_session_after_a_single_failure(void)
{
    struct stage stage;
    stage_open(&stage);
    unsigned logins = token_fake_calls("C_Login");
    token_fake_script("fail C_SignInit 0x30 1");
    expect_all_signed(&stage);
    token_fake_script("fail C_SignInit 0x90 1");
    expect_all_signed(&stage);
    token_fake_script("fail C_SignInit 0x80001234 1");
    expect_all_signed(&stage);
    unsigned opened = token_fake_calls("C_OpenSession");
    token_fake_script("fail C_SignInit 0x30 1\nfail C_OpenSession 0x30 1");
    expect_all_signed(&stage);
    CU_ASSERT_TRUE(token_fake_calls("C_OpenSession") >= opened + 2);
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins);
    stage_close(&stage);
}

/* ------------------------------------------------------------------ uncertainty -- */

static void check_uncertain(const char *script)
{
    struct stage stage;
    stage_open(&stage);
    token_fake_script(script);
    CU_ASSERT_EQUAL(sign(&stage), ITEMS - 1);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_UNCERTAIN), 1);
    stage_close(&stage);
}

static void test_pkcs11_is_uncertain_where_the_token_failed_while_it_signed(void)
{
    check_uncertain("fail C_Sign 0x30 1");
    check_uncertain("fail C_Sign 0x6 1");
    check_uncertain("fail C_Sign 0x80001234 1");
}

static void test_pkcs11_is_not_uncertain_where_the_token_did_not_begin(void)
{
    struct stage stage;
    stage_open(&stage);
    token_fake_script("fail C_Sign 0xb3 1");
    expect_all_signed(&stage);
    stage_close(&stage);
}

/* ------------------------------------------------------------------ other keys -- */

static void test_pkcs11_finds_the_right_key_after_handles_point_to_others(void)
{
    struct stage stage;
    struct cm_key *other;
    stage_open(&stage);
    other = rig_key(&stage.rig, "p384", CM_SIGALG_UNKNOWN);
    token_fake_event("", "swap-keys close-sessions");
    expect_all_signed(&stage);
    cm_provider_close_key(other);
    stage_close(&stage);
}

/* Of what it is called only its URI is left. */
static void test_pkcs11_finds_a_key_again_by_its_uri_where_the_token_does_not_tell_its_names(void)
{
    struct stage stage;
    rig_key_reference("rsa2048");
    rig_key_reference("rsa3072");
    token_fake_script("no-names");
    rig_open(&stage.rig, &cm_provider_pkcs11, NULL, WORKERS);
    stage.key = rig_key(&stage.rig, "rsa2048", CM_SIGALG_UNKNOWN);
    stage.batch = rig_batch_new(&stage.rig, stage.key, ITEMS);
    rig_run_for(&stage.rig, PACE_MS + 5);
    token_fake_event("no-names", "log-out");
    expect_all_signed(&stage);
    stage_close(&stage);
}

static void test_pkcs11_signs_nothing_with_another_key_of_the_same_name(void)
{
    struct stage stage;
    stage_open(&stage);
    token_fake_event("", "replace-keys close-sessions");
    CU_ASSERT_EQUAL(sign(&stage), 0);
    CU_ASSERT_TRUE(rig_count_status(stage.batch, CM_CORRUPT) > 0);
    rig_run_for(&stage.rig, 1100);
    CU_ASSERT_EQUAL(sign(&stage), 0);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_CORRUPT), ITEMS);
    stage_close(&stage);
}

static void test_pkcs11_calls_a_signature_of_the_wrong_size_corrupt(void)
{
    struct stage stage;
    stage_open(&stage);
    token_fake_script("short-signature");
    CU_ASSERT_EQUAL(sign(&stage), 0);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_CORRUPT), ITEMS);
    stage_close(&stage);
}

/* ------------------------------------------------------------------ gone and back -- */

static void test_pkcs11_fails_at_once_while_the_token_is_away_and_comes_back_with_it(void)
{
    struct stage stage;
    stage_open(&stage);
    unsigned logins = token_fake_calls("C_Login");
    token_fake_script("absent");
    for (unsigned i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(sign(&stage), 0);
        uint32_t removed = rig_count_status(stage.batch, CM_TOKEN_REMOVED);
        CU_ASSERT_TRUE(removed > 0);
        CU_ASSERT_EQUAL(removed + rig_count_status(stage.batch, CM_UNAVAILABLE), ITEMS);
        rig_run_for(&stage.rig, 20);
    }
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins);
    token_fake_script("");
    CU_ASSERT_TRUE(comes_back(&stage));
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 1);
    stage_close(&stage);
}

static void test_pkcs11_survives_a_removal_under_load(void)
{
    struct stage stage;
    stage_open(&stage);
    token_fake_script("slow 100"); /* more than a second for all: it is removed before that */
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    rig_run_for(&stage.rig, 10);
    token_fake_script("absent");
    rig_wait(&stage.rig, &stage.batch->dones, 2);
    CU_ASSERT_TRUE(rig_count_status(stage.batch, CM_OK) < ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(stage.batch->items[i].status == CM_OK,
                        rig_verifies(stage.key, &stage.batch->items[i]));
    token_fake_script("");
    CU_ASSERT_TRUE(comes_back(&stage));
    stage_close(&stage);
}

static void test_pkcs11_never_storms_a_token_with_logins(void)
{
    struct stage stage;
    stage_open(&stage);
    unsigned logins = token_fake_calls("C_Login");
    unsigned more;
    uint64_t begin_ns = cm_clock_monotonic_ns(), spent_ms;
    token_fake_script("fail C_SignInit 0x101 0");
    do {
        CU_ASSERT_EQUAL(sign(&stage), 0);
        more = token_fake_calls("C_Login") - logins;
        spent_ms = (cm_clock_monotonic_ns() - begin_ns) / CM_NS_PER_MS;
    } while (2 * spent_ms < 5 * PACE_MS || (more < 2 && spent_ms < 100 * PACE_MS));
    CU_ASSERT_TRUE(more >= 2 && more <= spent_ms / PACE_MS + 1);
    token_fake_script("");
    CU_ASSERT_TRUE(comes_back(&stage));
    stage_close(&stage);
}

/* The next login answers so, for ever; then all is well again. Returns how many logins were tried. */
static unsigned count_logins_after(const char *code)
{
    struct stage stage;
    char script[64];
    stage_open(&stage);
    unsigned logins = token_fake_calls("C_Login");
    snprintf(script, sizeof script, "fail C_Login %s 0", code);
    token_fake_event(script, "log-out");
    CU_ASSERT_EQUAL(sign(&stage), 0);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_UNAVAILABLE), ITEMS);
    rig_run_for(&stage.rig, 2 * PACE_MS);
    CU_ASSERT_EQUAL(sign(&stage), 0);
    token_fake_script("");
    rig_run_for(&stage.rig, 2 * PACE_MS);
    CU_ASSERT_EQUAL(sign(&stage), 0);
    logins = token_fake_calls("C_Login") - logins;
    stage_close(&stage);
    return logins;
}

static void test_pkcs11_stops_for_good_when_a_changed_pin_is_refused_at_the_next_login(void)
{
    CU_ASSERT_EQUAL(count_logins_after("0xa0"), 1);
    CU_ASSERT_EQUAL(count_logins_after("0xa4"), 1);
    CU_ASSERT_EQUAL(count_logins_after("0x102"), 1);
}

/* A general error, a cancelled function, a vendor's code: the token may have counted a try. */
static void test_pkcs11_stops_for_good_when_a_login_ends_in_a_code_that_may_cost_a_try(void)
{
    CU_ASSERT_EQUAL(count_logins_after("0x5"), 1);
    CU_ASSERT_EQUAL(count_logins_after("0x50"), 1);
    CU_ASSERT_EQUAL(count_logins_after("0x80001234"), 1);
}

static void test_pkcs11_logs_in_again_after_a_login_failed_for_another_reason_than_the_pin(void)
{
    static const char *const codes[] = { "0x30", "0x31", "0x32", "0x6", "0xb0", "0xb3", "0xe0" };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct stage stage;
        char script[64];
        stage_open(&stage);
        unsigned logins = token_fake_calls("C_Login");
        snprintf(script, sizeof script, "fail C_Login %s 1", codes[i]);
        token_fake_event(script, "log-out");
        CU_ASSERT_TRUE(comes_back(&stage));
        CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 2);
        stage_close(&stage);
    }
}

/* Two tokens, as two workers log in: one waits for what the other learns. */
static void test_pkcs11_tries_a_wrong_pin_once_in_an_instance_with_several_tokens(void)
{
    struct rig rig;
    struct cm_key *keys[2];
    struct rig_batch *batches[2];
    rig_key_reference("p256");
    token_fake_script("twins");
    rig_open(&rig, &cm_provider_pkcs11, NULL, WORKERS);
    for (unsigned i = 0; i < 2; i++) {
        const char *reference =
            i == 0 ? "pkcs11:serial=1;object=p256" : "pkcs11:serial=2;object=p256";
        CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &keys[i], NULL),
                              CM_OK);
        batches[i] = rig_batch_new(&rig, keys[i], 1);
    }
    rig_run_for(&rig, PACE_MS + 5);
    unsigned logins = token_fake_calls("C_Login");
    token_fake_event("twins\nhang C_Login\nfail C_Login 0xa0 0", "log-out");
    CU_ASSERT_EQUAL(rig_submit(batches[0]), CM_OK);
    CU_ASSERT_EQUAL(rig_submit(batches[1]), CM_OK);
    while (token_fake_calls("C_Login") == logins)
        rig_run_for(&rig, 5);
    rig_run_for(&rig, 50); /* for the other worker, where nothing keeps it */
    token_fake_script("twins\nfail C_Login 0xa0 0");
    rig_wait(&rig, &rig.dones, 2);
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 1);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(rig_count_status(batches[i], CM_UNAVAILABLE), 1);
        rig_batch_free(batches[i]);
        cm_provider_close_key(keys[i]);
    }
    token_fake_script("");
    rig_close(&rig);
}

static int log_in_again_by_prompt(void *arg)
{
    struct stage stage;
    struct cm_provider_settings settings = rig_settings(WORKERS);
    settings.passphrase_ref = "prompt:PIN of the token";
    if (rig_try_open(&stage.rig, &cm_provider_pkcs11, &settings, NULL) != CM_OK
        || rig_open_key(&stage.rig, arg, CM_SIGALG_UNKNOWN, &stage.key, NULL) != CM_OK)
        return 1;
    stage.batch = rig_batch_new(&stage.rig, stage.key, ITEMS);
    rig_run_for(&stage.rig, PACE_MS + 5);
    token_fake_event("", "log-out");
    bool signed_all = sign(&stage) == ITEMS;
    stage_close(&stage);
    return signed_all ? 0 : 2;
}

static void test_pkcs11_asks_once_for_a_pin_that_is_typed_and_logs_in_again_with_it(void)
{
    struct terminal terminal = { .words = "PIN of the token: ", .typed = TOKEN_PIN "\n" };
    terminal_run(&terminal, log_in_again_by_prompt, (void *)(uintptr_t)rig_key_reference("p256"));
    CU_ASSERT_EQUAL(terminal.status, 0);
    CU_ASSERT_EQUAL(terminal.questions, 1);
}

static void test_pkcs11_comes_back_after_a_token_that_failed_every_call(void)
{
    struct stage stage;
    stage_open(&stage);
    token_fake_script("fail C_SignInit 0x30 0\nfail C_OpenSession 0x30 0");
    CU_ASSERT_EQUAL(sign(&stage), 0);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_UNAVAILABLE), ITEMS);
    token_fake_script("");
    CU_ASSERT_TRUE(comes_back(&stage));
    stage_close(&stage);
}

struct waiter {
    pthread_t thread;
    struct cm_p11_token *token;
    cm_status status;
    struct cm_p11_use use;
};

static void *use_token(void *arg)
{
    struct waiter *waiter = arg;
    waiter->status = cm_p11_token_use(waiter->token, 0, &waiter->use, NULL);
    if (waiter->status == CM_OK)
        cm_p11_token_give(&waiter->use, CKR_OK);
    return NULL;
}

/* Two workers share a session; while one waits for it, the other finds out that the login is void. */
static void test_pkcs11_uses_no_session_of_a_login_that_ended_while_it_waited(void)
{
    struct cm_p11_uri uri;
    struct cm_p11_use use;
    struct cm_p11_module *module;
    struct waiter waiter = { .status = CM_STATUS_COUNT };
    struct cm_p11_access access = { .workers_count = 1,
                                    .passphrase.reference =
                                        (char *)(uintptr_t)token_pin_reference(TOKEN_PIN) };
    rig_key_reference("p256");
    pthread_mutex_init(&access.mutex, NULL);
    CU_ASSERT_EQUAL_FATAL(cm_p11_uri_parse(cm_bytes_str("pkcs11:object=p256"), &uri, NULL), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_p11_module_ref(fake.module, &module, NULL), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_p11_token_new(&access, module, &uri, &waiter.token, NULL), CM_OK);
    CU_ASSERT_EQUAL(cm_p11_token_learn(waiter.token, NULL), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_p11_token_use(waiter.token, 0, &use, NULL), CM_OK);
    const struct timespec pause = { .tv_nsec = (PACE_MS + 5) * 1000000 };
    pthread_create(&waiter.thread, NULL, use_token, &waiter);
    nanosleep(&pause, NULL); /* so that it waits for the session */
    cm_p11_token_doubt(waiter.token, use.epoch, false);
    cm_p11_token_give(&use, CKR_OK);
    pthread_join(waiter.thread, NULL);
    CU_ASSERT_EQUAL(waiter.status, CM_OK);
    CU_ASSERT_EQUAL(waiter.use.epoch, use.epoch + 1);
    cm_p11_token_free(waiter.token);
    pthread_mutex_destroy(&access.mutex);
}

/* ------------------------------------------------------------------ the module -- */

static void test_pkcs11_starts_a_module_anew_that_calls_itself_broken(void)
{
    struct stage stage;
    stage_open(&stage);
    unsigned starts = token_fake_calls("C_Initialize");
    token_fake_script("fail C_SignInit 0x5 1");
    CU_ASSERT_TRUE(comes_back(&stage));
    CU_ASSERT_EQUAL(token_fake_calls("C_Initialize"), starts + 1);
    stage_close(&stage);
}

/* Each of two keys signs again, whichever is asked first, after the token was away. */
static void check_restart(const char *script, const char *const references[2], unsigned logins_more)
{
    struct stage stages[2];
    rig_key_reference("p256");
    token_fake_script(script);
    rig_open(&stages[0].rig, &cm_provider_pkcs11, NULL, WORKERS);
    unsigned logins = token_fake_calls("C_Login");
    for (unsigned i = 0; i < 2; i++) {
        struct rig *rig = &stages[0].rig;
        CU_ASSERT_EQUAL_FATAL(
            rig_open_key(rig, references[i], CM_SIGALG_UNKNOWN, &stages[i].key, NULL), CM_OK);
        stages[i].batch = rig_batch_new(rig, stages[i].key, ITEMS);
    }
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + logins_more);
    rig_run_for(&stages[0].rig, PACE_MS + 5);
    token_fake_event(script, "lose");
    for (unsigned i = 0; i < 2; i++)
        (void)sign(&stages[i]);
    bool first = comes_back(&stages[0]), second = comes_back(&stages[1]);
    CU_ASSERT_TRUE(first && second);
    for (unsigned i = 0; i < 2; i++) {
        rig_batch_free(stages[i].batch);
        cm_provider_close_key(stages[i].key);
    }
    token_fake_script("");
    rig_close(&stages[0].rig);
}

static void test_pkcs11_starts_a_module_anew_for_a_token_that_two_uris_name(void)
{
    static const char *const references[2] = { "pkcs11:token=fake;object=p256",
                                               "pkcs11:serial=1;object=p256" };
    check_restart("", references, 1);
}

static void test_pkcs11_starts_a_module_anew_when_none_of_its_tokens_is_there(void)
{
    static const char *const references[2] = { "pkcs11:serial=1;object=p256",
                                               "pkcs11:serial=2;object=p256" };
    check_restart("twins", references, 2);
}

/* A token that was not there when it was first asked for is the one that was named otherwise. */
static void test_pkcs11_knows_a_token_by_another_uri_that_was_away_at_first(void)
{
    struct rig rig;
    struct cm_key *keys[2] = { NULL, NULL };
    rig_key_reference("p256");
    token_fake_script("absent");
    rig_open(&rig, &cm_provider_pkcs11, NULL, WORKERS);
    CU_ASSERT_EQUAL(
        rig_open_key(&rig, "pkcs11:serial=1;object=p256", CM_SIGALG_UNKNOWN, &keys[0], NULL),
        CM_NO_KEY);
    token_fake_script("");
    unsigned logins = token_fake_calls("C_Login");
    CU_ASSERT_EQUAL(
        rig_open_key(&rig, "pkcs11:token=fake;object=p256", CM_SIGALG_UNKNOWN, &keys[0], NULL),
        CM_OK);
    CU_ASSERT_EQUAL(
        rig_open_key(&rig, "pkcs11:serial=1;object=p256", CM_SIGALG_UNKNOWN, &keys[1], NULL),
        CM_OK);
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 1);
    cm_provider_close_key(keys[0]);
    cm_provider_close_key(keys[1]);
    rig_close(&rig);
}

/* Another instance hangs in the module: it is not pulled away under it, and nobody waits for it. */
static void test_pkcs11_works_beside_an_instance_that_hangs_and_does_not_finalise_under_it(void)
{
    struct stage hanging, stage;
    stage_open(&hanging);
    stage_open_with(&stage, 1);
    unsigned ends = token_fake_calls("C_Finalize"), signatures = token_fake_calls("C_Sign");
    token_fake_script("hang C_Sign");
    CU_ASSERT_EQUAL(rig_submit(hanging.batch), CM_OK);
    while (token_fake_calls("C_Sign") < signatures + WORKERS)
        rig_run_for(&hanging.rig, 5);
    unsigned logins = token_fake_calls("C_Login");
    token_fake_script("hang C_Sign\nfail C_SignInit 0x5 1");
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    /* It waits for a second, then goes on without; and hangs in its own turn. */
    while (token_fake_calls("C_Sign") < signatures + WORKERS + 1)
        rig_run_for(&stage.rig, 20);
    CU_ASSERT_EQUAL(token_fake_calls("C_Login"), logins + 1);
    CU_ASSERT_EQUAL(hanging.batch->dones, 1);
    token_fake_script("");
    rig_wait(&stage.rig, &stage.batch->dones, 2);
    rig_wait(&hanging.rig, &hanging.batch->dones, 2);
    CU_ASSERT_EQUAL(rig_count_status(hanging.batch, CM_OK), ITEMS);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), ITEMS);
    CU_ASSERT_EQUAL(token_fake_calls("C_Finalize"), ends);
    stage_close(&stage);
    stage_close(&hanging);
}

static void test_pkcs11_instance_is_not_delayed_by_another_whose_token_is_slow(void)
{
    struct stage slow, quick;
    stage_open(&slow);
    stage_open(&quick);
    unsigned signatures = token_fake_calls("C_Sign");
    token_fake_script("hang C_Sign");
    CU_ASSERT_EQUAL(rig_submit(slow.batch), CM_OK);
    while (token_fake_calls("C_Sign") < signatures + WORKERS)
        rig_run_for(&slow.rig, 5);
    /* All but signing: the other's calls come and go. */
    struct cm_error err;
    struct cm_key *key = NULL;
    CU_ASSERT_EQUAL(rig_open_key(&quick.rig, "pkcs11:object=none", CM_SIGALG_UNKNOWN, &key, &err),
                    CM_NO_KEY);
    CU_ASSERT_EQUAL(slow.batch->dones, 1);
    token_fake_script("");
    rig_wait(&slow.rig, &slow.batch->dones, 2);
    stage_close(&quick);
    stage_close(&slow);
}

CM_TEST_SUITE_WITH(
    pkcs11_faults, use_fake, NULL, CM_TEST(test_pkcs11_signs_on_after_its_sessions_were_closed),
    CM_TEST(test_pkcs11_logs_in_again_after_it_was_logged_out),
    CM_TEST(test_pkcs11_finds_keys_again_after_their_handles_changed),
    CM_TEST(test_pkcs11_starts_a_module_again_that_forgot_it_was_started),
    CM_TEST(test_pkcs11_signs_again_in_a_new_session_after_a_single_failure),
    CM_TEST(test_pkcs11_is_uncertain_where_the_token_failed_while_it_signed),
    CM_TEST(test_pkcs11_is_not_uncertain_where_the_token_did_not_begin),
    CM_TEST(test_pkcs11_finds_the_right_key_after_handles_point_to_others),
    CM_TEST(test_pkcs11_finds_a_key_again_by_its_uri_where_the_token_does_not_tell_its_names),
    CM_TEST(test_pkcs11_signs_nothing_with_another_key_of_the_same_name),
    CM_TEST(test_pkcs11_calls_a_signature_of_the_wrong_size_corrupt),
    CM_TEST(test_pkcs11_fails_at_once_while_the_token_is_away_and_comes_back_with_it),
    CM_TEST(test_pkcs11_survives_a_removal_under_load),
    CM_TEST(test_pkcs11_never_storms_a_token_with_logins),
    CM_TEST(test_pkcs11_stops_for_good_when_a_changed_pin_is_refused_at_the_next_login),
    CM_TEST(test_pkcs11_stops_for_good_when_a_login_ends_in_a_code_that_may_cost_a_try),
    CM_TEST(test_pkcs11_logs_in_again_after_a_login_failed_for_another_reason_than_the_pin),
    CM_TEST(test_pkcs11_tries_a_wrong_pin_once_in_an_instance_with_several_tokens),
    CM_TEST(test_pkcs11_asks_once_for_a_pin_that_is_typed_and_logs_in_again_with_it),
    CM_TEST(test_pkcs11_comes_back_after_a_token_that_failed_every_call),
    CM_TEST(test_pkcs11_uses_no_session_of_a_login_that_ended_while_it_waited),
    CM_TEST(test_pkcs11_starts_a_module_anew_that_calls_itself_broken),
    CM_TEST(test_pkcs11_starts_a_module_anew_for_a_token_that_two_uris_name),
    CM_TEST(test_pkcs11_starts_a_module_anew_when_none_of_its_tokens_is_there),
    CM_TEST(test_pkcs11_knows_a_token_by_another_uri_that_was_away_at_first),
    CM_TEST(test_pkcs11_works_beside_an_instance_that_hangs_and_does_not_finalise_under_it),
    CM_TEST(test_pkcs11_instance_is_not_delayed_by_another_whose_token_is_slow));
