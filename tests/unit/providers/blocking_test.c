/* The adapter alone, with a backend whose sign_one the tests hold in their hand. */
#include "engine/base/clock.h"
#include "providers/blocking.h"
#include "tests/conformance/provider_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ITEMS_MAX = 64, WORKERS = 2, NICE = 3 };

/* A gate that opens when so many have arrived, or when the test opens it. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned arrived, wanted;
    bool open;
} gate = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static atomic_uint items_signed;
static atomic_uint items_of_worker[2 * WORKERS]; /* the second half: those for OCSP */
static atomic_int nice_of_worker[2 * WORKERS];

static void gate_set(unsigned wanted)
{
    pthread_mutex_lock(&gate.mutex);
    gate.arrived = 0;
    gate.wanted = wanted;
    gate.open = wanted == 0;
    pthread_mutex_unlock(&gate.mutex);
    atomic_store(&items_signed, 0);
    for (unsigned i = 0; i < 2 * WORKERS; i++)
        atomic_store(&items_of_worker[i], 0);
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

/* False when nobody opened it for ten seconds. */
static bool gate_pass(void)
{
    struct timespec limit;
    int code = 0;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    pthread_mutex_lock(&gate.mutex);
    if (++gate.arrived >= gate.wanted)
        gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open && code == 0)
        code = pthread_cond_timedwait(&gate.changed, &gate.mutex, &limit);
    pthread_mutex_unlock(&gate.mutex);
    return code == 0;
}

static bool gate_wait_for(unsigned arrived)
{
    struct timespec limit;
    int code = 0;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    pthread_mutex_lock(&gate.mutex);
    while (gate.arrived < arrived && code == 0)
        code = pthread_cond_timedwait(&gate.changed, &gate.mutex, &limit);
    pthread_mutex_unlock(&gate.mutex);
    return code == 0;
}

/* ------------------------------------------------------------------ the backend -- */

struct slow_provider {
    struct cm_provider head;
    struct cm_blocking *blocking;
};

static cm_status open_key_here(void *state, uint32_t worker_index, const char *reference,
                               enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err)
{
    (void)state;
    (void)worker_index;
    if (strcmp(reference, "none") == 0)
        return CM_FAIL(err, CM_NO_KEY, CM_ORIGIN_SELF, 0, "no key %s", reference);
    struct cm_key *key = calloc(1, sizeof *key);
    key->alg = alg;
    key->signature_size_max = 1;
    *ret_key = key;
    return CM_OK;
}

static cm_status sign_one(void *state, uint32_t worker_index, struct cm_key *key,
                          struct cm_sign_item *item)
{
    (void)state;
    (void)key;
    atomic_fetch_add(&items_of_worker[worker_index], 1);
    atomic_store(&nice_of_worker[worker_index], getpriority(PRIO_PROCESS, (id_t)gettid()));
    atomic_fetch_add(&items_signed, 1);
    bool passed = gate_pass();
    item->signature[0] = 1;
    item->signature_size = 1;
    return passed ? CM_OK : CM_UNAVAILABLE;
}

static const struct cm_blocking_ops slow_blocking_ops = {
    .name = "slow", .ocsp_nice = NICE, .key_open = open_key_here, .sign_one = sign_one
};

static cm_status open_slow(struct cm_loop *loop, const struct cm_provider_settings *settings,
                           struct cm_provider **ret_provider, struct cm_error *err)
{
    struct slow_provider *self = calloc(1, sizeof *self);
    self->head.caps =
        (struct cm_provider_caps){ .batch_items_max = ITEMS_MAX, .batches_in_flight = 2 };
    cm_status status = cm_blocking_new(&self->head, loop, settings->workers_count,
                                       &slow_blocking_ops, self, &self->blocking, err);
    if (status == CM_OK)
        *ret_provider = &self->head;
    else
        free(self);
    return status;
}

static void close_slow(struct cm_provider *provider)
{
    cm_blocking_free(((struct slow_provider *)provider)->blocking);
    free(provider);
}

static void open_slow_key(struct cm_provider *provider, const char *reference, enum cm_sigalg alg,
                          cm_key_opened_fn *opened, void *arg)
{
    cm_blocking_open_key(((struct slow_provider *)provider)->blocking, reference, alg, opened, arg);
}

static void close_slow_key(struct cm_key *key)
{
    free(key);
}

static cm_status sign_slowly(struct cm_provider *provider, struct cm_sign_batch *batch,
                             struct cm_error *err)
{
    return cm_blocking_sign(((struct slow_provider *)provider)->blocking, batch, err);
}

static void cancel_slowly(struct cm_provider *provider, struct cm_sign_batch *batch)
{
    (void)provider;
    cm_blocking_cancel(batch);
}

static const struct cm_provider_ops slow_ops = { .name = "slow",
                                                 .open = open_slow,
                                                 .close = close_slow,
                                                 .open_key = open_slow_key,
                                                 .close_key = close_slow_key,
                                                 .sign = sign_slowly,
                                                 .cancel = cancel_slowly };

/* ------------------------------------------------------------------ tests -- */

struct stage {
    struct rig rig;
    struct cm_key *key;
    struct rig_batch *batch;
};

static void stage_open(struct stage *stage, unsigned gate_wanted)
{
    gate_set(gate_wanted);
    rig_open(&stage->rig, &slow_ops, NULL, WORKERS);
    cm_status status = rig_open_key(&stage->rig, "any", CM_SIGALG_ECDSA_SHA256, &stage->key, NULL);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    stage->batch = rig_batch_new(&stage->rig, stage->key, ITEMS_MAX);
}

static void stage_close(struct stage *stage)
{
    rig_batch_free(stage->batch);
    cm_provider_close_key(stage->key);
    rig_close(&stage->rig);
}

static void test_blocking_passes_on_why_a_key_does_not_open(void)
{
    struct stage stage;
    struct cm_key *key = NULL;
    struct cm_error err;
    stage_open(&stage, 0);
    CU_ASSERT_EQUAL(rig_open_key(&stage.rig, "none", CM_SIGALG_UNKNOWN, &key, &err), CM_NO_KEY);
    CU_ASSERT_STRING_EQUAL(err.text, "no key none");
    stage_close(&stage);
}

static void test_blocking_shares_a_slow_batch_among_the_workers(void)
{
    struct stage stage;
    /* Nobody gets past the first item before both workers have one. */
    stage_open(&stage, WORKERS);
    rig_sign(stage.batch);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), ITEMS_MAX);
    CU_ASSERT_EQUAL(atomic_load(&items_signed), ITEMS_MAX);
    for (unsigned i = 0; i < WORKERS; i++)
        CU_ASSERT_TRUE(atomic_load(&items_of_worker[i]) > 0);
    stage_close(&stage);
}

static void test_blocking_signs_every_item_once(void)
{
    struct stage stage;
    stage_open(&stage, 0);
    for (uint32_t count = 1; count <= ITEMS_MAX; count++) {
        atomic_store(&items_signed, 0);
        stage.batch->batch.items_count = count;
        rig_sign(stage.batch);
        CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), count);
        CU_ASSERT_EQUAL(atomic_load(&items_signed), count);
    }
    stage_close(&stage);
}

static void test_blocking_cancels_all_but_the_items_in_the_workers_hands(void)
{
    struct stage stage;
    stage_open(&stage, WORKERS + 1);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    CU_ASSERT_TRUE(gate_wait_for(WORKERS));
    cm_provider_cancel(stage.rig.provider, &stage.batch->batch);
    gate_open();
    rig_wait(&stage.rig, &stage.batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), WORKERS);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_CANCELLED), ITEMS_MAX - WORKERS);
    CU_ASSERT_EQUAL(atomic_load(&items_signed), WORKERS);
    stage_close(&stage);
}

static void test_blocking_expires_all_but_the_items_in_the_workers_hands(void)
{
    struct stage stage;
    stage_open(&stage, WORKERS + 1);
    stage.batch->batch.deadline_ns = cm_clock_monotonic_ns() + CM_NS_PER_S;
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    CU_ASSERT_TRUE(gate_wait_for(WORKERS));
    while (cm_clock_monotonic_ns() < stage.batch->batch.deadline_ns)
        rig_run_for(&stage.rig, 50);
    gate_open();
    rig_wait(&stage.rig, &stage.batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), WORKERS);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_EXPIRED), ITEMS_MAX - WORKERS);
    stage_close(&stage);
}

static void test_blocking_leaves_out_the_workers_above_its_limit_until_it_is_raised(void)
{
    struct stage stage;
    stage_open(&stage, 0);
    struct cm_blocking *blocking = ((struct slow_provider *)stage.rig.provider)->blocking;
    cm_blocking_limit(blocking, 1);
    for (unsigned i = 0; i < 20; i++)
        rig_sign(stage.batch);
    CU_ASSERT_EQUAL(atomic_load(&items_of_worker[0]), 20 * ITEMS_MAX);
    CU_ASSERT_EQUAL(atomic_load(&items_of_worker[1]), 0);
    /* Raised while one is at work: the other comes for what is left. */
    gate_set(2);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    CU_ASSERT_TRUE(gate_wait_for(1));
    cm_blocking_limit(blocking, WORKERS);
    rig_wait(&stage.rig, &stage.batch->dones, 21);
    CU_ASSERT_EQUAL(rig_count_status(stage.batch, CM_OK), ITEMS_MAX);
    CU_ASSERT_TRUE(atomic_load(&items_of_worker[1]) > 0);
    stage_close(&stage);
}

static void test_blocking_answers_ocsp_beside_certificates_and_yields_to_them(void)
{
    struct stage stage;
    stage_open(&stage, 0);
    int nice = getpriority(PRIO_PROCESS, 0);
    struct rig_batch *answers = rig_batch_new(&stage.rig, stage.key, 1);
    answers->batch.lane = CM_LANE_OCSP;
    /* No certificate gets on, nor does any until the answer is signed. */
    gate_set(WORKERS + 2);
    CU_ASSERT_EQUAL(rig_submit(stage.batch), CM_OK);
    CU_ASSERT_TRUE(gate_wait_for(WORKERS));
    CU_ASSERT_EQUAL(rig_submit(answers), CM_OK);
    CU_ASSERT_TRUE(gate_wait_for(WORKERS + 1));
    CU_ASSERT_EQUAL(
        atomic_load(&items_of_worker[WORKERS]) + atomic_load(&items_of_worker[WORKERS + 1]), 1);
    gate_open();
    rig_wait(&stage.rig, &answers->dones, 1);
    rig_wait(&stage.rig, &stage.batch->dones, 1);
    CU_ASSERT_EQUAL(rig_count_status(answers, CM_OK), 1);
    for (unsigned i = 0; i < 2 * WORKERS; i++)
        if (atomic_load(&items_of_worker[i]) > 0)
            CU_ASSERT_EQUAL(atomic_load(&nice_of_worker[i]), i < WORKERS ? nice : nice + NICE);
    rig_batch_free(answers);
    stage_close(&stage);
}

CM_TEST_SUITE(blocking, CM_TEST(test_blocking_passes_on_why_a_key_does_not_open),
              CM_TEST(test_blocking_shares_a_slow_batch_among_the_workers),
              CM_TEST(test_blocking_signs_every_item_once),
              CM_TEST(test_blocking_cancels_all_but_the_items_in_the_workers_hands),
              CM_TEST(test_blocking_expires_all_but_the_items_in_the_workers_hands),
              CM_TEST(test_blocking_leaves_out_the_workers_above_its_limit_until_it_is_raised),
              CM_TEST(test_blocking_answers_ocsp_beside_certificates_and_yields_to_them));
