/* What happens when a signer process dies, hangs, or asks. */
#include "tests/unit/providers/host_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/terminal.h"

/* ------------------------------------------------------------------ dying -- */

static void test_host_calls_what_a_killed_signer_had_uncertain_and_starts_another(void)
{
    struct rig rig;
    host_open(&rig, &host_usual, "soft");
    struct cm_key *key = rig_key(&rig, "rsa4096", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 500);
    struct cm_provider_state state = cm_provider_state(rig.provider);
    CU_ASSERT_TRUE(state.is_up && state.pid > 0 && state.restarts_count == 0);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN), 500);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    CU_ASSERT_FALSE(cm_provider_state(rig.provider).is_up);
    CU_ASSERT_EQUAL(rig_open_key(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, NULL, NULL),
                    CM_UNAVAILABLE);
    rig_wait(&rig, &host_told.ups, 1);
    CU_ASSERT_EQUAL(host_told.downs, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_DOWN], "killed by signal 9"));
    batch->batch.items_count = 3;
    host_sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    state = cm_provider_state(rig.provider);
    CU_ASSERT_TRUE(state.is_up && state.pid > 0 && state.restarts_count == 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_tells_what_was_sent_from_what_was_not(void)
{
    enum { BATCHES = 4, LARGE = 2000000 };
    struct rig rig;
    struct rig_batch *batches[BATCHES];
    uint8_t *large = calloc(1, LARGE);
    host_open(&rig, &host_usual, "soft");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    host_end_signer(&rig, SIGSTOP);
    for (unsigned i = 0; i < BATCHES; i++) {
        batches[i] = rig_batch_new(&rig, key, 2);
        batches[i]->items[0].message = cm_bytes(large, LARGE);
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    }
    rig_run_for(&rig, 50);
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &rig.dones, BATCHES);
    CU_ASSERT_EQUAL(rig_count_status(batches[0], CM_UNCERTAIN), 2);
    CU_ASSERT_EQUAL(rig_count_status(batches[BATCHES - 1], CM_UNAVAILABLE), 2);
    host_sign_when_back(batches[BATCHES - 1]);
    CU_ASSERT_TRUE(rig_all_verify(batches[BATCHES - 1]));
    for (unsigned i = 0; i < BATCHES; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
    free(large);
}

static void test_host_starts_a_signer_until_it_stays(void)
{
    struct rig rig;
    struct cm_error err;
    char name[600], path[512];
    snprintf(path, sizeof path, "%s", rig_write_file("deadly", "", 0, 0600));
    snprintf(name, sizeof name, "dies-while:%s", path);
    CU_ASSERT_EQUAL(host_try_open(&rig, &host_usual, name, &err), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "exit code 3"));
    unlink(path);
    host_open(&rig, &host_usual, name);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    rig_write_file("deadly", "", 0, 0600);
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &host_told.downs, 1);
    uint64_t since_ns = cm_provider_state(rig.provider).since_ns;
    rig_wait(&rig, &host_told.downs, 3);
    CU_ASSERT_EQUAL(host_told.ups, 0);
    CU_ASSERT_EQUAL(cm_provider_state(rig.provider).since_ns, since_ns); /* down all the time */
    unlink(path);
    rig_wait(&rig, &host_told.ups, 1);
    host_sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_does_not_open_what_is_no_signer(void)
{
    struct rig rig;
    struct cm_error err;
    struct cm_host_settings host = host_usual;
    CU_ASSERT_EQUAL(host_try_open(&rig, &host, "garbage", &err), CM_UNAVAILABLE);
    host.program = "/bin/true";
    CU_ASSERT_EQUAL(host_try_open(&rig, &host, "true", &err), CM_UNAVAILABLE);
    host.program = "/nonexistent";
    CU_ASSERT_EQUAL(host_try_open(&rig, &host, "none", &err), CM_UNAVAILABLE);
    /* The second where the system starts programs without learning of it at once (valgrind). */
    CU_ASSERT_TRUE(strstr(err.text, "/nonexistent") || strstr(err.text, "exit code 127"));
    host.program = NULL;
    host.kind = "no-such-kind";
    CU_ASSERT_EQUAL(host_try_open(&rig, &host, "kind", &err), CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no-such-kind"));
}

static void test_host_drains_while_its_signer_is_away(void)
{
    struct rig rig;
    host_open(&rig, &host_usual, "soft");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    host_end_signer(&rig, SIGSTOP);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_drain(&rig);
    host_end_signer(&rig, SIGKILL);
    rig_wait(&rig, &rig.draineds, 1);
    CU_ASSERT_EQUAL(batch->dones, 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ hanging -- */

static void test_host_replaces_a_signer_whose_call_does_not_come_back(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    struct cm_host_settings impatient = host_stuck;
    impatient.call_deadline_ms = 1000;
    host_open(&rig, &impatient, "stuck");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "any", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    batch->items[1].message = cm_bytes_str("hang here");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_wait(&rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN), 2);
    rig_wait(&rig, &host_told.downs, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_DOWN], "did not come back"));
    batch->items[1].message = cm_bytes_str("go on");
    host_sign_when_back(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 2);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_kills_a_signer_that_does_not_answer(void)
{
    struct rig rig;
    struct cm_host_settings host = host_usual;
    host.call_deadline_ms = 2000; /* a slow machine is not silent */
    host_open(&rig, &host, "frozen");
    rig_run_for(&rig, 4500); /* nor is who has nothing to do */
    CU_ASSERT_EQUAL(host_told.notices, 0);
    host_end_signer(&rig, SIGSTOP);
    rig_wait(&rig, &host_told.ups, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(host_told.last[CM_PROVIDER_NOTICE], "does not answer"));
    rig_close(&rig);
}

/* ------------------------------------------------------------------ asking -- */

static const struct cm_host_settings hasty = { .kind = "openssl",
                                               .call_deadline_ms = 2000,
                                               .signs_anything = true };

/*
 * Opens a key in a signer that asks for a passphrase. arg: the signer's name. The key is not encrypted,
 * so that no slow machine takes longer than the deadline to decrypt it.
 */
static int open_by_prompt(void *arg)
{
    struct rig rig;
    struct cm_key *key = NULL;
    struct cm_host_settings host = hasty;
    host.program = TEST_SIGNER;
    const struct cm_provider_settings settings = {
        .name = arg, .passphrase_ref = "prompt:Passphrase of the signer", .host = &host
    };
    if (rig_try_open(&rig, &cm_provider_hosted, &settings, NULL) != CM_OK)
        return 1;
    cm_status status = rig_open_key(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, &key, NULL);
    cm_provider_close_key(key);
    rig_close(&rig);
    return status == CM_OK ? 0 : 2;
}

static struct terminal prompted = { .words = "of the signer: ", .typed = RIG_PASSPHRASE "\n" };

static void test_host_lets_an_operator_type_for_longer_than_calls_may_take(void)
{
    struct terminal terminal = prompted;
    terminal.delay_ms = 4 * hasty.call_deadline_ms; /* longer than a signer may take to start */
    rig_key_reference("p256");
    terminal_run(&terminal, open_by_prompt, (void *)(uintptr_t) "soft");
    CU_ASSERT_EQUAL(terminal.status, 0);
    CU_ASSERT_EQUAL(terminal.questions, 1);
    CU_ASSERT_TRUE(terminal.echoes);
}

static void test_host_leaves_a_terminal_that_echoes_when_the_engine_dies_over_the_question(void)
{
    struct terminal terminal = prompted;
    terminal.signal_number = SIGKILL;
    rig_key_reference("p256");
    terminal_run(&terminal, open_by_prompt, (void *)(uintptr_t) "protected");
    CU_ASSERT_TRUE(WIFSIGNALED(terminal.status));
    CU_ASSERT_EQUAL(terminal.questions, 1);
    CU_ASSERT_TRUE(terminal.echoes);
}

CM_TEST_SUITE(
    host, CM_TEST(test_host_calls_what_a_killed_signer_had_uncertain_and_starts_another),
    CM_TEST(test_host_tells_what_was_sent_from_what_was_not),
    CM_TEST(test_host_starts_a_signer_until_it_stays),
    CM_TEST(test_host_does_not_open_what_is_no_signer),
    CM_TEST(test_host_drains_while_its_signer_is_away),
    CM_TEST(test_host_replaces_a_signer_whose_call_does_not_come_back),
    CM_TEST(test_host_kills_a_signer_that_does_not_answer),
    CM_TEST(test_host_lets_an_operator_type_for_longer_than_calls_may_take),
    CM_TEST(test_host_leaves_a_terminal_that_echoes_when_the_engine_dies_over_the_question));
