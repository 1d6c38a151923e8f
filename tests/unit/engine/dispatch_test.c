/* Lots and their keys: what becomes of answers that are lost, and of probes. */
#include "engine/internal.h"

#include "engine/base/clock.h"
#include "tests/support/test_main.h"

enum { REQUESTS = 3, LOSSES_MAX = 64 };

static struct cm_settings_authority authorities[] = { { .name = "a" }, { .name = "b" } };
static struct cm_settings settings = { .authorities = authorities, .authorities_count = 2 };
static struct cm_profile profile;
static struct cm_settings_group group = { .authority = &authorities[0] };
static struct cm_provider provider;
static struct cm_key key = { .provider = &provider, .signature_size_max = 8 };
static struct cm_issuer_key issuer_keys[] = {
    { .name = "a-1", .authority = &authorities[0], .issues = true, .key = &key },
    { .name = "b-1", .authority = &authorities[1], .issues = true, .key = &key },
    { .name = "a-2", .authority = &authorities[0], .issues = true, .key = &key },
};
static struct cm_issuer_key *const a1 = &issuer_keys[0];
static struct cm_engine engine;
static struct cm_batch batch;
static struct cm_request requests[REQUESTS];
static struct cm_entry entries[REQUESTS];
static struct cm_choice choices[2];
static struct cm_sign_batch *out; /* what the provider has */
static unsigned done_count;

/* The intent is durable at once. */
static void submit(struct cm_store *store, struct cm_store_op *op)
{
    (void)store;
    op->status = CM_OK;
    op->done(op);
}

static cm_status sign(struct cm_provider *self, struct cm_sign_batch *sign_batch,
                      struct cm_error *err)
{
    (void)self;
    (void)err;
    out = sign_batch;
    return CM_OK;
}

static void on_done(struct cm_batch *done)
{
    (void)done;
    done_count++;
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    (void)event;
    (void)text;
    (void)arg;
}

static void open(void)
{
    static const struct cm_store_ops store_ops = { .name = "fake", .submit = submit };
    static const struct cm_provider_ops provider_ops = { .name = "fake", .sign = sign };
    static struct cm_store store = { .ops = &store_ops };
    struct cm_error err;
    engine = (struct cm_engine){ .state = CM_ENGINE_IS_RUNNING,
                                 .settings = &settings,
                                 .store = &store,
                                 .options = { .on_event = on_event } };
    engine.issuers =
        (struct cm_issuers){ .settings = &settings, .keys = issuer_keys, .keys_count = 3 };
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&engine.loop, &err), CM_OK);
    provider = (struct cm_provider){ .ops = &provider_ops,
                                     .loop = engine.loop,
                                     .caps = { .batch_items_max = REQUESTS,
                                               .batches_in_flight = UINT32_MAX } };
    cm_aside_init(&engine);
    cm_spread_init(&engine.spread, &engine.issuers);
    batch = (struct cm_batch){ .engine = &engine, .requests = requests, .choices = choices };
    cm_arena_init(&batch.arena, 4096);
    for (int i = 0; i < REQUESTS; i++)
        entries[i] = (struct cm_entry){ .backend = NULL };
    done_count = 0;
}

static void drop_lots(void)
{
    for (uint32_t i = 0; i < batch.lots_count; i++)
        cm_timer_done(&batch.lots[i].retry);
    cm_arena_reset(&batch.arena);
}

static void close(void)
{
    drop_lots();
    cm_arena_done(&batch.arena);
    cm_spread_done(&engine.spread);
    cm_aside_done(&engine);
    cm_loop_free(engine.loop);
}

/* count composed requests, each for the key that was chosen. */
static void begin(uint32_t count, uint64_t now_ns)
{
    static const uint8_t messages[REQUESTS][4];
    cm_spread_choose(&engine.spread, count, now_ns, choices);
    batch.requests_count = count;
    for (uint32_t i = 0; i < count; i++)
        requests[i] = (struct cm_request){ .entry = &entries[i],
                                           .profile = &profile,
                                           .group = &group,
                                           .issuer = choices[0].issuer,
                                           .tbs.der = cm_bytes(messages[i], 4) };
}

static void take_probe(uint32_t position)
{
    requests[position].issuer = choices[0].probe;
    choices[0].is_probe_taken = true;
}

/* All that is out comes back so; the signer lives, or died of it. */
static void answer(cm_status status, bool signer_died)
{
    provider.state.since_ns += signer_died;
    for (uint32_t i = 0; i < out->items_count; i++)
        out->items[i].status = status;
    provider.batches_in_flight--;
    out->done(out, out->done_arg);
}

static void test_only_the_entry_that_has_lost_too_many_answers_is_not_tried_again(void)
{
    open();
    entries[1].losses_count = LOSSES_MAX - 1;
    begin(REQUESTS, 1);
    cm_dispatch(&batch, on_done);
    answer(CM_UNCERTAIN, true);
    CU_ASSERT_EQUAL(done_count, 0);
    CU_ASSERT_TRUE(cm_timer_is_running(&batch.lots[0].retry));
    CU_ASSERT_EQUAL_FATAL(out->items_count, REQUESTS - 1);
    for (uint32_t i = 0; i < out->items_count; i++)
        CU_ASSERT_PTR_NOT_EQUAL(out->items[i].message.data, requests[1].tbs.der.data);
    CU_ASSERT_EQUAL(entries[0].losses_count, 1);
    CU_ASSERT_EQUAL(entries[1].losses_count, LOSSES_MAX);
    answer(CM_OK, false);
    CU_ASSERT_EQUAL(done_count, 1);
    CU_ASSERT_EQUAL(requests[0].sign_item->status, CM_OK);
    CU_ASSERT_EQUAL(requests[1].sign_item->status, CM_UNCERTAIN);
    CU_ASSERT_EQUAL(requests[1].outcome, CM_OUTCOME_OPEN); /* and seal will fail it */
    close();
}

static void test_answers_lost_by_a_signer_that_lives_are_not_counted(void)
{
    open();
    entries[0].losses_count = LOSSES_MAX - 1;
    begin(1, 1);
    cm_dispatch(&batch, on_done);
    answer(CM_UNCERTAIN, false);
    CU_ASSERT_EQUAL(entries[0].losses_count, LOSSES_MAX - 1);
    CU_ASSERT_TRUE(cm_timer_is_running(&batch.lots[0].retry));
    close();
}

/* Each time its lot runs out of patience: it moves to the other key, and is set aside, by turns. */
static void test_bytes_that_kill_every_signer_come_to_an_end_although_they_leave(void)
{
    unsigned rounds = 0, left = 0;
    open();
    do {
        begin(1, 1);
        if (!requests[0].issuer)
            requests[0].issuer = a1;
        cm_dispatch(&batch, on_done);
        batch.lots[0].progress_ns = 0;
        answer(CM_UNCERTAIN, true);
        left += cm_request_stays(&requests[0]);
        drop_lots();
    } while (cm_request_stays(&requests[0]) && ++rounds < 2 * LOSSES_MAX);
    CU_ASSERT_EQUAL(left, LOSSES_MAX - 1);
    CU_ASSERT_EQUAL(done_count, LOSSES_MAX);
    CU_ASSERT_EQUAL(requests[0].outcome, CM_OUTCOME_OPEN);
    batch.lots_count = 0;
    close();
}

static void test_a_probe_that_was_refused_makes_the_next_one_due(void)
{
    uint64_t now_ns = 100 * CM_NS_PER_S;
    open();
    cm_spread_failed(&engine.spread, a1, 1);
    begin(2, now_ns);
    CU_ASSERT_PTR_EQUAL_FATAL(choices[0].probe, a1);
    CU_ASSERT_PTR_NULL(cm_spread_probe(&engine.spread, &authorities[0], now_ns));
    take_probe(0);
    cm_request_refuse(&requests[0]); /* by prove or compose */
    cm_dispatch(&batch, on_done);
    CU_ASSERT_PTR_NOT_NULL(cm_spread_probe(&engine.spread, &authorities[0], now_ns));
    answer(CM_OK, false);
    drop_lots();
    begin(2, now_ns);
    CU_ASSERT_PTR_EQUAL_FATAL(choices[0].probe, a1);
    take_probe(1);
    cm_dispatch(&batch, on_done); /* and this one asks the key */
    CU_ASSERT_PTR_NULL(cm_spread_probe(&engine.spread, &authorities[0], now_ns));
    close();
}

CM_TEST_SUITE(dispatch,
              CM_TEST(test_only_the_entry_that_has_lost_too_many_answers_is_not_tried_again),
              CM_TEST(test_answers_lost_by_a_signer_that_lives_are_not_counted),
              CM_TEST(test_bytes_that_kill_every_signer_come_to_an_end_although_they_leave),
              CM_TEST(test_a_probe_that_was_refused_makes_the_next_one_due));
