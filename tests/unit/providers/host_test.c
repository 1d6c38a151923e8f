/* What happens when a signer process dies, hangs, lies, or is asked for what its floor forbids. */
#include "providers/host.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/hash.h"
#include "providers/fake/fake.h"
#include "tests/conformance/provider_rig.h"
#include "tests/support/tbs_maker.h"
#include "tests/support/terminal.h"

enum { DAY_S = 86400 };

static struct {
    unsigned downs, ups, notices;
    char last[CM_PROVIDER_NOTICE + 1][300];
} told;

static void on_told(struct cm_provider *provider, enum cm_provider_event event, const char *text,
                    void *arg)
{
    struct rig *rig = arg;
    (void)provider;
    told.downs += event == CM_PROVIDER_DOWN;
    told.ups += event == CM_PROVIDER_UP;
    told.notices += event == CM_PROVIDER_NOTICE;
    snprintf(told.last[event], sizeof told.last[event], "%s", text);
    cm_loop_stop(rig->loop);
}

static cm_status try_open(struct rig *rig, const struct cm_host_settings *host, const char *name,
                          struct cm_error *err)
{
    struct cm_host_settings named = *host;
    named.program = named.program ? named.program : TEST_SIGNER;
    const struct cm_provider_settings settings = {
        .name = name, .folder = cm_test_scratch(), .workers_count = 1, .host = &named
    };
    memset(&told, 0, sizeof told);
    cm_status status = rig_try_open(rig, &cm_provider_hosted, &settings, err);
    if (status == CM_OK)
        cm_provider_watch(rig->provider, on_told, rig);
    return status;
}

static void open_host(struct rig *rig, const struct cm_host_settings *host, const char *name)
{
    struct cm_error err = { .status = CM_OK };
    cm_status status = try_open(rig, host, name, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
}

static const struct cm_host_settings usual = { .kind = "openssl", .signs_anything = true };

static void end_signer(struct rig *rig, int signal_number)
{
    pid_t pid = cm_provider_state(rig->provider).pid;
    CU_ASSERT_TRUE_FATAL(pid > 0); /* 0 would be ourselves and our neighbours */
    kill(pid, signal_number);
}

/* Until the key signs again. */
static void sign_when_back(struct rig_batch *batch)
{
    struct rig *rig = batch->rig;
    unsigned dones = batch->dones;
    cm_status status;
    for (unsigned i = 0; (status = rig_submit(batch)) == CM_UNAVAILABLE && i < 2000; i++)
        rig_run_for(rig, 5);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    rig_wait(rig, &batch->dones, dones + 1);
}

/* ------------------------------------------------------------------ dying -- */

static void test_host_calls_what_a_killed_signer_had_uncertain_and_starts_another(void)
{
    struct rig rig;
    open_host(&rig, &usual, "soft");
    struct cm_key *key = rig_key(&rig, "rsa4096", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 500);
    struct cm_provider_state state = cm_provider_state(rig.provider);
    CU_ASSERT_TRUE(state.is_up && state.pid > 0 && state.restarts_count == 0);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN), 500);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    CU_ASSERT_FALSE(cm_provider_state(rig.provider).is_up);
    CU_ASSERT_EQUAL(rig_open_key(&rig, rig_key_reference("p256"), CM_SIGALG_UNKNOWN, NULL, NULL),
                    CM_UNAVAILABLE);
    rig_wait(&rig, &told.ups, 1);
    CU_ASSERT_EQUAL(told.downs, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(told.last[CM_PROVIDER_DOWN], "killed by signal 9"));
    batch->batch.items_count = 3;
    sign_when_back(batch);
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
    open_host(&rig, &usual, "soft");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    end_signer(&rig, SIGSTOP);
    for (unsigned i = 0; i < BATCHES; i++) {
        batches[i] = rig_batch_new(&rig, key, 2);
        batches[i]->items[0].message = cm_bytes(large, LARGE);
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    }
    rig_run_for(&rig, 50);
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &rig.dones, BATCHES);
    CU_ASSERT_EQUAL(rig_count_status(batches[0], CM_UNCERTAIN), 2);
    CU_ASSERT_EQUAL(rig_count_status(batches[BATCHES - 1], CM_UNAVAILABLE), 2);
    sign_when_back(batches[BATCHES - 1]);
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
    CU_ASSERT_EQUAL(try_open(&rig, &usual, name, &err), CM_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "exit code 3"));
    unlink(path);
    open_host(&rig, &usual, name);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    rig_write_file("deadly", "", 0, 0600);
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.downs, 1);
    uint64_t since_ns = cm_provider_state(rig.provider).since_ns;
    rig_wait(&rig, &told.downs, 3);
    CU_ASSERT_EQUAL(told.ups, 0);
    CU_ASSERT_EQUAL(cm_provider_state(rig.provider).since_ns, since_ns); /* down all the time */
    unlink(path);
    rig_wait(&rig, &told.ups, 1);
    sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_does_not_open_what_is_no_signer(void)
{
    struct rig rig;
    struct cm_error err;
    struct cm_host_settings host = usual;
    CU_ASSERT_EQUAL(try_open(&rig, &host, "garbage", &err), CM_UNAVAILABLE);
    host.program = "/bin/true";
    CU_ASSERT_EQUAL(try_open(&rig, &host, "true", &err), CM_UNAVAILABLE);
    host.program = "/nonexistent";
    CU_ASSERT_EQUAL(try_open(&rig, &host, "none", &err), CM_UNAVAILABLE);
    /* The second where the system starts programs without learning of it at once (valgrind). */
    CU_ASSERT_TRUE(strstr(err.text, "/nonexistent") || strstr(err.text, "exit code 127"));
    host.program = NULL;
    host.kind = "no-such-kind";
    CU_ASSERT_EQUAL(try_open(&rig, &host, "kind", &err), CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no-such-kind"));
}

static void test_host_drains_while_its_signer_is_away(void)
{
    struct rig rig;
    open_host(&rig, &usual, "soft");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    end_signer(&rig, SIGSTOP);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_drain(&rig);
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &rig.draineds, 1);
    CU_ASSERT_EQUAL(batch->dones, 1);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ room -- */

static const struct rig_backend hosted_fake = { .name = "fake-hosted",
                                                .ops = &cm_provider_fake,
                                                .is_hosted = true };

static void test_host_has_batches_wait_and_withdraws_them_where_the_backend_is_busy(void)
{
    struct rig rig;
    char script[600] = "delay=300";
    for (unsigned i = 1; i < 60; i++) {
        size_t used = strlen(script);
        snprintf(script + used, sizeof script - used, " busy=%u", i);
    }
    rig_use(&hosted_fake);
    rig_open(&rig, &cm_provider_fake, script, 1);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batches[3];
    for (unsigned i = 0; i < 3; i++) {
        batches[i] = rig_batch_new(&rig, key, 2);
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    }
    cm_provider_cancel(rig.provider, &batches[1]->batch);
    rig_wait(&rig, &rig.dones, 3);
    CU_ASSERT_TRUE(rig_all_verify(batches[0]));
    CU_ASSERT_EQUAL(rig_count_status(batches[1], CM_CANCELLED), 2);
    CU_ASSERT_TRUE(rig_all_verify(batches[2]));
    for (unsigned i = 0; i < 3; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

/* As where a service throttles: the backend has them all, and signs none for a while. */
static void test_host_withdraws_batches_that_wait_inside_the_backend(void)
{
    enum { BATCHES = 4 };
    struct rig rig;
    struct rig_batch *batches[BATCHES];
    char script[600], path[512];
    snprintf(path, sizeof path, "%s/held", cm_test_scratch());
    snprintf(script, sizeof script, "holds=%s in-flight=%d", path, BATCHES);
    rig_use(&hosted_fake);
    rig_open(&rig, &cm_provider_fake, script, BATCHES);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    rig_write_file("held", "", 0, 0600);
    for (unsigned i = 0; i < BATCHES; i++) {
        batches[i] = rig_batch_new(&rig, key, 300);
        CU_ASSERT_EQUAL(rig_submit(batches[i]), CM_OK);
    }
    for (unsigned i = 1; i < BATCHES; i++)
        cm_provider_cancel(rig.provider, &batches[i]->batch);
    rig_drain(&rig);
    rig_wait(&rig, &rig.dones, BATCHES - 1);
    for (unsigned i = 1; i < BATCHES; i++)
        CU_ASSERT_EQUAL(rig_count_status(batches[i], CM_CANCELLED), 300);
    CU_ASSERT_EQUAL(rig.draineds, 0);
    unlink(path);
    rig_wait(&rig, &rig.draineds, 1);
    CU_ASSERT_TRUE(rig_all_verify(batches[0]));
    for (unsigned i = 0; i < BATCHES; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

static void test_host_opens_with_as_many_workers_as_settings_allow(void)
{
    enum { WORKERS = 1024 };
    struct rig rig;
    struct cm_error err;
    const struct cm_host_settings host = { .kind = "openssl", .program = TEST_SIGNER };
    const struct cm_provider_settings settings = {
        .name = "many", .folder = cm_test_scratch(), .workers_count = WORKERS, .host = &host
    };
    cm_status status = rig_try_open(&rig, &cm_provider_hosted, &settings, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    CU_ASSERT_TRUE(cm_provider_caps(rig.provider).batches_in_flight > WORKERS);
    rig_close(&rig);
}

static const struct cm_host_settings stuck = { .kind = "stuck",
                                               .call_deadline_ms = 300,
                                               .signs_anything = true };

/* How many of them are taken at once; all that are get signed. */
static unsigned submit_together(struct rig *rig, struct rig_batch **batches, unsigned count)
{
    unsigned taken = 0, dones = rig->dones;
    while (taken < count && rig_submit(batches[taken]) == CM_OK)
        taken++;
    rig_wait(rig, &rig->dones, dones + taken);
    for (unsigned i = 0; i < taken; i++)
        CU_ASSERT_EQUAL(rig_count_status(batches[i], CM_OK), batches[i]->batch.items_count);
    return taken;
}

static void test_host_gives_a_signer_no_more_batches_than_it_takes_now(void)
{
    enum { BATCHES = 5 };
    struct rig rig;
    struct rig_batch *batches[BATCHES];
    struct cm_key *key = NULL;
    char path[512];
    open_host(&rig, &stuck, "stuck");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "any", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    for (unsigned i = 0; i < BATCHES; i++)
        batches[i] = rig_batch_new(&rig, key, 2);
    CU_ASSERT_EQUAL(submit_together(&rig, batches, BATCHES), 4);
    snprintf(path, sizeof path, "%s", rig_write_file("narrow", "", 0, 0600));
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.ups, 1);
    sign_when_back(batches[0]);
    CU_ASSERT_EQUAL(submit_together(&rig, batches, BATCHES), 1);
    unlink(path);
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.ups, 2);
    sign_when_back(batches[0]);
    CU_ASSERT_EQUAL(submit_together(&rig, batches, BATCHES), 4);
    CU_ASSERT_EQUAL(told.downs, 2);
    for (unsigned i = 0; i < BATCHES; i++)
        rig_batch_free(batches[i]);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_waits_for_a_signer_that_takes_the_batches_there_are(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    char path[512];
    open_host(&rig, &stuck, "stuck");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "any", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    struct rig_batch *batch = rig_batch_new(&rig, key, 16);
    snprintf(path, sizeof path, "%s", rig_write_file("small", "", 0, 0600));
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.downs, 2);
    CU_ASSERT_EQUAL(told.ups, 0);
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    unlink(path);
    rig_wait(&rig, &told.ups, 1);
    sign_when_back(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 16);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ hanging -- */

static void test_host_replaces_a_signer_whose_call_does_not_come_back(void)
{
    struct rig rig;
    struct cm_key *key = NULL;
    open_host(&rig, &stuck, "stuck");
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, "any", CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    batch->items[1].message = cm_bytes_str("hang here");
    CU_ASSERT_EQUAL(rig_submit(batch), CM_OK);
    rig_wait(&rig, &batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_UNCERTAIN), 2);
    rig_wait(&rig, &told.downs, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(told.last[CM_PROVIDER_DOWN], "did not come back"));
    batch->items[1].message = cm_bytes_str("go on");
    sign_when_back(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 2);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_kills_a_signer_that_does_not_answer(void)
{
    struct rig rig;
    struct cm_host_settings host = usual;
    host.call_deadline_ms = 300;
    open_host(&rig, &host, "frozen");
    rig_run_for(&rig, 700); /* idle is not silent */
    CU_ASSERT_EQUAL(told.notices, 0);
    end_signer(&rig, SIGSTOP);
    rig_wait(&rig, &told.ups, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(told.last[CM_PROVIDER_NOTICE], "does not answer"));
    rig_close(&rig);
}

/* ------------------------------------------------------------------ asking -- */

static const struct cm_host_settings hasty = { .kind = "openssl",
                                               .call_deadline_ms = 300,
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
    terminal.delay_ms = 4 * hasty.call_deadline_ms;
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

/* ------------------------------------------------------------------ keys -- */

static void test_host_uses_no_key_that_is_another_than_before(void)
{
    struct rig rig;
    char path[512], kept[520];
    snprintf(path, sizeof path, "%s", rig_key_reference("p384") + 5);
    snprintf(kept, sizeof kept, "%s.kept", path);
    open_host(&rig, &usual, "soft");
    struct cm_key *key = rig_key(&rig, "p384", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    rename(path, kept);
    (void)rig_key_reference("p384"); /* makes it anew */
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.notices, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(told.last[CM_PROVIDER_NOTICE], "another key"));
    CU_ASSERT_EQUAL(rig_submit(batch), CM_UNAVAILABLE);
    rename(kept, path);
    sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

/* A hosted fake with a script, watched. */
static void open_fake(struct rig *rig, const char *script)
{
    rig_use(&hosted_fake);
    memset(&told, 0, sizeof told);
    rig_open(rig, &cm_provider_fake, script, 1);
    cm_provider_watch(rig->provider, on_told, rig);
}

/* As a vault does with a key that is asked for without a version. */
static void test_host_opens_a_key_again_by_the_reference_that_it_was_pinned_to(void)
{
    struct rig rig;
    char path[512], asked[520], pinned[PATH_MAX], expected[PATH_MAX + 8];
    struct cm_key *key = NULL;
    open_fake(&rig, "pins=1");
    snprintf(path, sizeof path, "%s/current.pem", cm_test_scratch());
    snprintf(asked, sizeof asked, "file:%s", path);
    CU_ASSERT_EQUAL_FATAL(symlink(rig_key_reference("p384") + 5, path), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(path, pinned));
    snprintf(expected, sizeof expected, "file:%s", pinned);
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, asked, CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    CU_ASSERT_STRING_EQUAL_FATAL(key->reference, expected);
    struct rig_batch *batch = rig_batch_new(&rig, key, 2);
    unlink(path);
    CU_ASSERT_EQUAL_FATAL(symlink(rig_key_reference("p256") + 5, path), 0); /* the next version */
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.ups, 1);
    sign_when_back(batch);
    CU_ASSERT_TRUE(rig_all_verify(batch));
    CU_ASSERT_EQUAL(told.notices, 0);
    CU_ASSERT_STRING_EQUAL(key->reference, expected);
    unlink(path);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

static void test_host_hands_a_blob_to_the_backend_up_to_its_bound(void)
{
    enum { BOUND = 64 * 1024 };
    static const uint8_t blob[BOUND + 1];
    struct rig rig;
    struct cm_error err;
    struct cm_key *key = NULL;
    char asked[520];
    struct cm_key_spec spec = { .type = CM_KEY_P256, .transfer_blob = cm_bytes(blob, BOUND) };
    snprintf(asked, sizeof asked, "file:%s/imported.pem", cm_test_scratch());
    open_host(&rig, &usual, "soft");
    CU_ASSERT_EQUAL(rig_create_key(&rig, asked, &spec, CM_SIGALG_UNKNOWN, &key, &err),
                    CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "imports no keys")); /* the backend's words */
    spec.transfer_blob.size++;
    CU_ASSERT_EQUAL(rig_create_key(&rig, asked, &spec, CM_SIGALG_UNKNOWN, &key, &err),
                    CM_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more than 65536"));
    CU_ASSERT_NOT_EQUAL(access(asked + 5, F_OK), 0);
    CU_ASSERT_EQUAL(cm_provider_state(rig.provider).restarts_count, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ what it says by itself -- */

static void test_host_passes_notices_on_and_counts_those_of_a_flood(void)
{
    struct rig rig;
    open_fake(&rig, "tells=50");
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 1);
    rig_sign(batch); /* its answer comes after them */
    CU_ASSERT_EQUAL(told.notices, 20);
    CU_ASSERT_STRING_EQUAL(told.last[CM_PROVIDER_NOTICE],
                           "signer under test: the fake?has notice 19 to tell");
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.ups, 1);
    CU_ASSERT_EQUAL(told.notices, 21);
    CU_ASSERT_STRING_EQUAL(told.last[CM_PROVIDER_NOTICE],
                           "signer under test said more: 30 notices left out");
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

/* Until the signer has told of so many answers, or a minute is over. */
static struct cm_provider_pace pace_when(struct rig *rig, uint64_t succeeded, uint32_t open)
{
    struct cm_provider_pace pace = cm_provider_pace(rig->provider);
    for (unsigned i = 0; i < 3000; i++) {
        if (pace.rate_per_s + open > 0 && pace.succeeded_count == succeeded
            && pace.circuits_open == open)
            break;
        rig_run_for(rig, 20);
        pace = cm_provider_pace(rig->provider);
    }
    return pace;
}

static void test_host_knows_the_pace_of_its_backend_while_there_is_a_signer(void)
{
    struct rig rig;
    char script[600], path[512];
    snprintf(path, sizeof path, "%s/circuit", cm_test_scratch());
    snprintf(script, sizeof script, "pace=200 circuit=%s", path);
    open_fake(&rig, script);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 3);
    CU_ASSERT_EQUAL(pace_when(&rig, 0, 0).rate_per_s, 200);
    rig_sign(batch);
    struct cm_provider_pace pace = pace_when(&rig, 3, 0);
    CU_ASSERT_EQUAL(pace.succeeded_count, 3);
    CU_ASSERT_EQUAL(pace.latency_us_median, 20400);
    CU_ASSERT_EQUAL(pace.latency_us_p99, 80600);
    rig_write_file("circuit", "", 0, 0600);
    pace = pace_when(&rig, 3, 1);
    CU_ASSERT_EQUAL(pace.circuits_open, 1);
    CU_ASSERT_EQUAL(pace.rate_per_s, 0);
    unlink(path);
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.ups, 1);
    CU_ASSERT_EQUAL(cm_provider_pace(rig.provider).succeeded_count, 0);
    CU_ASSERT_EQUAL(pace_when(&rig, 0, 0).rate_per_s, 200);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
    rig_use(NULL);
}

static void test_host_has_no_pace_where_the_backend_has_none(void)
{
    struct rig rig;
    open_host(&rig, &usual, "soft");
    rig_run_for(&rig, 1200);
    const struct cm_provider_pace pace = cm_provider_pace(rig.provider);
    CU_ASSERT_EQUAL(pace.rate_per_s + pace.succeeded_count + pace.circuits_open, 0);
    rig_close(&rig);
}

/* ------------------------------------------------------------------ floors -- */

static struct cm_floor floor_of_ca(void)
{
    return (struct cm_floor){ .issuer_name = tbs_name("CA"),
                              .lanes = CM_LANE_BIT(CM_LANE_LEAF),
                              .validity_s_max = 10 * DAY_S,
                              .past_s_max = DAY_S };
}

static void test_host_opens_no_key_without_a_floor_unless_it_may_sign_anything(void)
{
    struct rig rig;
    struct cm_host_settings host = { .kind = "openssl" };
    struct cm_floor floor = floor_of_ca();
    struct cm_key *key = NULL, *again = NULL;
    struct cm_error err;
    char reference[512], other[520];
    snprintf(reference, sizeof reference, "%s", rig_key_reference("p256"));
    open_host(&rig, &host, "guarded");
    CU_ASSERT_EQUAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, &err), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "floor"));
    cm_host_bind(rig.provider, reference, &floor);
    CU_ASSERT_EQUAL_FATAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &key, NULL), CM_OK);
    /* Neither under the same name, nor under another, nor after it was closed. */
    floor.lanes |= CM_LANE_BIT(CM_LANE_CEREMONY);
    cm_host_bind(rig.provider, reference, &floor);
    CU_ASSERT_EQUAL(rig_open_key(&rig, reference, CM_SIGALG_UNKNOWN, &again, &err), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another floor"));
    snprintf(other, sizeof other, "FILE:%s", reference + 5);
    cm_host_bind(rig.provider, other, &floor);
    CU_ASSERT_EQUAL(rig_open_key(&rig, other, CM_SIGALG_UNKNOWN, &again, NULL), CM_DENIED);
    cm_provider_close_key(key);
    CU_ASSERT_EQUAL(rig_open_key(&rig, other, CM_SIGALG_UNKNOWN, &again, NULL), CM_DENIED);
    rig_close(&rig);
}

static void test_host_signs_what_its_floor_allows_and_nothing_else(void)
{
    struct rig rig;
    static uint8_t messages[3][TBS_SIZE_MAX];
    uint8_t hashes[3][CM_SHA256_SIZE];
    const struct tbs_parts parts[3] = { { .serial = "01" },
                                        { .extensions = "300f0603551d130101ff040530030101ff" },
                                        { .serial = "02" } };
    struct cm_host_settings host = { .kind = "openssl" };
    struct cm_floor floor = floor_of_ca();
    open_host(&rig, &host, "guarded");
    cm_host_bind(rig.provider, rig_key_reference("p256"), &floor);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 3);
    for (unsigned i = 0; i < 3; i++) {
        batch->items[i].message = tbs_make(messages[i], &parts[i]);
        batch->items[i].intent_hash = hashes[i];
        cm_sha256(&batch->items[i].message, 1, hashes[i]);
    }
    rig_sign(batch);
    CU_ASSERT_EQUAL(batch->items[0].status, CM_OK);
    CU_ASSERT_EQUAL(batch->items[1].status, CM_DENIED);
    CU_ASSERT_EQUAL(batch->items[2].status, CM_OK);
    CU_ASSERT_TRUE(rig_verifies(key, &batch->items[0]) && rig_verifies(key, &batch->items[2]));
    CU_ASSERT_PTR_NOT_NULL(strstr(told.last[CM_PROVIDER_NOTICE], "CA certificate"));
    /* And so does the next signer. */
    end_signer(&rig, SIGKILL);
    rig_wait(&rig, &told.ups, 1);
    sign_when_back(batch);
    CU_ASSERT_EQUAL(batch->items[1].status, CM_DENIED);
    CU_ASSERT_EQUAL(batch->items[2].status, CM_OK);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static void test_host_signs_no_faster_than_its_ceiling(void)
{
    struct rig rig;
    static uint8_t message[TBS_SIZE_MAX];
    uint8_t hash[CM_SHA256_SIZE];
    struct cm_host_settings host = { .kind = "openssl" };
    struct cm_floor floor = floor_of_ca();
    floor.rate_per_s_max = 1;
    floor.burst = 4;
    open_host(&rig, &host, "guarded");
    cm_host_bind(rig.provider, rig_key_reference("p256"), &floor);
    struct cm_key *key = rig_key(&rig, "p256", CM_SIGALG_UNKNOWN);
    struct rig_batch *batch = rig_batch_new(&rig, key, 10);
    struct cm_bytes tbs = tbs_make(message, &(struct tbs_parts){ 0 });
    cm_sha256(&tbs, 1, hash);
    for (unsigned i = 0; i < 10; i++) {
        batch->items[i].message = tbs;
        batch->items[i].intent_hash = hash;
    }
    rig_sign(batch);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_OK), 4);
    CU_ASSERT_EQUAL(rig_count_status(batch, CM_THROTTLED), 6);
    rig_batch_free(batch);
    cm_provider_close_key(key);
    rig_close(&rig);
}

CM_TEST_SUITE(
    host, CM_TEST(test_host_calls_what_a_killed_signer_had_uncertain_and_starts_another),
    CM_TEST(test_host_tells_what_was_sent_from_what_was_not),
    CM_TEST(test_host_starts_a_signer_until_it_stays),
    CM_TEST(test_host_does_not_open_what_is_no_signer),
    CM_TEST(test_host_drains_while_its_signer_is_away),
    CM_TEST(test_host_has_batches_wait_and_withdraws_them_where_the_backend_is_busy),
    CM_TEST(test_host_withdraws_batches_that_wait_inside_the_backend),
    CM_TEST(test_host_opens_with_as_many_workers_as_settings_allow),
    CM_TEST(test_host_gives_a_signer_no_more_batches_than_it_takes_now),
    CM_TEST(test_host_waits_for_a_signer_that_takes_the_batches_there_are),
    CM_TEST(test_host_replaces_a_signer_whose_call_does_not_come_back),
    CM_TEST(test_host_kills_a_signer_that_does_not_answer),
    CM_TEST(test_host_lets_an_operator_type_for_longer_than_calls_may_take),
    CM_TEST(test_host_leaves_a_terminal_that_echoes_when_the_engine_dies_over_the_question),
    CM_TEST(test_host_uses_no_key_that_is_another_than_before),
    CM_TEST(test_host_opens_a_key_again_by_the_reference_that_it_was_pinned_to),
    CM_TEST(test_host_hands_a_blob_to_the_backend_up_to_its_bound),
    CM_TEST(test_host_passes_notices_on_and_counts_those_of_a_flood),
    CM_TEST(test_host_knows_the_pace_of_its_backend_while_there_is_a_signer),
    CM_TEST(test_host_has_no_pace_where_the_backend_has_none),
    CM_TEST(test_host_opens_no_key_without_a_floor_unless_it_may_sign_anything),
    CM_TEST(test_host_signs_what_its_floor_allows_and_nothing_else),
    CM_TEST(test_host_signs_no_faster_than_its_ceiling));
