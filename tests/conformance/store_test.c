/* The store's contract: requests, certificates, intents, snapshots. */
#include "tests/conformance/store_fixture.h"

#include "tests/support/test_main.h"

static struct fixture f;
static struct record record_a, record_b, record_c;

static struct cm_intent_item intent_item(unsigned n)
{
    struct cm_intent_item item = { .key = row_key(n), .serial = row_serial(n) };
    memset(item.tbs_hash, (int)n, sizeof item.tbs_hash);
    return item;
}

static cm_status apply_intent(struct cm_intent *intent, struct cm_intent_item *items,
                              unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        items[i] = intent_item(first + i);
    *intent = (struct cm_intent){
        .created_ms = FIXTURE_TIME_MS, .generation_number = 1, .items = items, .items_count = count
    };
    struct cm_store_op op = { .kind = CM_STORE_INTENT, .intent = intent };
    return cm_store_apply(f.store, &op, &f.err);
}

/* ----------------------------------------------------------- what must not be -- */

static void test_a_request_key_that_is_there_changes_nothing(void)
{
    fixture_make(&f, "key-twice");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    record_fill(&record_a, 10, 3);
    record_a.rows[2].key = row_key(2);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_EXISTS);
    CU_ASSERT_EQUAL(f.err.status, CM_EXISTS);
    struct cm_store_counts counts = fixture_counts(&f);
    CU_ASSERT_EQUAL(counts.certificates, 3);
    CU_ASSERT_EQUAL(counts.audit_rows, 1);
    CU_ASSERT_FALSE(fixture_recall(&f, 10).known);
    struct cm_request_digest digest = row_digest(2);
    CU_ASSERT_EQUAL(
        memcmp(fixture_recall(&f, 2).digest.octets, digest.octets, sizeof digest.octets), 0);
    fixture_done(&f);
}

static void test_a_serial_that_is_there_changes_nothing(void)
{
    fixture_make(&f, "serial-twice");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    record_fill(&record_a, 10, 3);
    record_a.rows[1].serial = row_serial(3);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_EXISTS);
    CU_ASSERT_FALSE(fixture_recall(&f, 10).known);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 3);
    fixture_done(&f);
}

static void test_a_refused_request_cannot_be_issued_later(void)
{
    struct cm_refusal_row refusal = {
        .key = row_key(5), .digest = row_digest(5), .code = CM_REFUSAL_KEY_BLOCKED, .message = "m"
    };
    struct cm_store_op op = {
        .kind = CM_STORE_RECORD, .refusals = &refusal, .refusals_count = 1, .audit = &fixture_audit
    };
    fixture_make(&f, "refused-then-issued");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 5, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_counts(&f).refusals, 1);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 0);
    fixture_done(&f);
}

static void test_an_abandoned_serial_is_never_used(void)
{
    struct cm_abandoned_row row = { .serial = row_serial(7), .generation_number = 1 };
    struct cm_store_op op = {
        .kind = CM_STORE_RECORD, .abandoned = &row, .abandoned_count = 1, .audit = &fixture_audit
    };
    struct cm_intent intent;
    struct cm_intent_item items[1];
    fixture_make(&f, "abandoned");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(fixture_record(&f, 7, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 7, 1), CM_EXISTS);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_record(&f, 7, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 8, 1), CM_OK);
    row.serial = row_serial(8); /* issued: cannot be abandoned */
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_counts(&f).abandoned, 1);
    fixture_done(&f);
}

static void test_neighbours_of_a_failing_operation_survive(void)
{
    struct cm_store_op *ops[] = { &record_a.op, &record_b.op, &record_c.op };
    fixture_make(&f, "neighbours");
    record_fill(&record_a, 1, 100);
    record_fill(&record_b, 101, 100);
    record_fill(&record_c, 201, 100);
    record_b.rows[99].key = row_key(50); /* of record_a: fails only behind it */
    fixture_submit(&f, ops, 3);
    CU_ASSERT_EQUAL(record_a.op.status, CM_OK);
    CU_ASSERT_EQUAL(record_b.op.status, CM_EXISTS);
    CU_ASSERT_EQUAL(record_c.op.status, CM_OK);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 200);
    CU_ASSERT_EQUAL(fixture_counts(&f).audit_rows, 2);
    CU_ASSERT_FALSE(fixture_recall(&f, 101).known);
    CU_ASSERT_TRUE(fixture_recall(&f, 300).known);
    fixture_done(&f);
}

static void test_a_row_against_the_contract_is_refused_whole(void)
{
    fixture_make(&f, "against");
    record_fill(&record_a, 1, 2);
    record_a.rows[1].der = cm_bytes(NULL, 0);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_INVALID);
    record_fill(&record_a, 1, 2);
    record_a.rows[1].not_after = 0;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_INVALID);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 0);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 2), CM_OK);
    fixture_done(&f);
}

/* ------------------------------------------------------------------ answers -- */

static void test_an_issued_request_is_recalled_after_a_restart(void)
{
    fixture_make(&f, "recall");
    CU_ASSERT_FALSE(fixture_recall(&f, 2).known);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    fixture_reopen(&f);
    struct cm_recall recall = fixture_recall(&f, 2);
    struct cm_request_digest digest = row_digest(2);
    struct cm_serial serial = row_serial(2);
    uint8_t der[8];
    struct cm_certificate_row row = row_certificate(2, der);
    CU_ASSERT_TRUE(recall.known);
    CU_ASSERT_EQUAL(recall.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(recall.number, cm_serial_number(&serial));
    CU_ASSERT_EQUAL(recall.generation_number, 1);
    CU_ASSERT_EQUAL(memcmp(recall.digest.octets, digest.octets, sizeof digest.octets), 0);
    CU_ASSERT_TRUE(cm_bytes_equal(recall.certificate, row.der));
    fixture_done(&f);
}

static void test_a_refusal_is_recalled_with_code_and_message(void)
{
    struct cm_refusal_row refusals[] = {
        { row_key(1), row_digest(1), CM_REFUSAL_KEY_BLOCKED, "a known key" },
        { row_key(2), row_digest(2), CM_REFUSAL_LINT_FAILED, "" },
    };
    struct cm_store_op op = {
        .kind = CM_STORE_RECORD, .refusals = refusals, .refusals_count = 2, .audit = &fixture_audit
    };
    fixture_make(&f, "refusals");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    fixture_reopen(&f);
    struct cm_recall recall = fixture_recall(&f, 1);
    CU_ASSERT_TRUE(recall.known);
    CU_ASSERT_EQUAL(recall.code, CM_REFUSAL_KEY_BLOCKED);
    CU_ASSERT_STRING_EQUAL(recall.message, "a known key");
    CU_ASSERT_EQUAL(recall.number, 0);
    recall = fixture_recall(&f, 2);
    CU_ASSERT_EQUAL(recall.code, CM_REFUSAL_LINT_FAILED);
    CU_ASSERT_STRING_EQUAL(recall.message, "");
    fixture_done(&f);
}

static void test_a_certificate_is_found_by_its_number(void)
{
    struct cm_certificate_found found;
    struct cm_serial serial = row_serial(2);
    fixture_make(&f, "find");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(
        cm_store_find_certificate(reader, cm_serial_number(&serial), &f.arena, &found, &f.err),
        CM_OK);
    CU_ASSERT_EQUAL(found.number, cm_serial_number(&serial));
    CU_ASSERT_EQUAL(found.not_after, 4000000000);
    CU_ASSERT_EQUAL(found.device_number, 1);
    CU_ASSERT_EQUAL(found.der.size, 8);
    CU_ASSERT_EQUAL(cm_store_find_certificate(reader, 12345, &f.arena, &found, &f.err), CM_OK);
    CU_ASSERT_EQUAL(found.number, 0);
    fixture_done(&f);
}

static bool sum_keys(uint64_t key_fingerprint, cm_certificate_number number, void *arg)
{
    uint64_t *sum = arg;
    (void)number;
    *sum += key_fingerprint;
    return true;
}

static void test_every_key_is_walked(void)
{
    uint64_t sum = 0, expected = 0;
    fixture_make(&f, "keys");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1000), CM_OK);
    for (unsigned n = 1; n <= 1000; n++)
        expected += n * UINT64_C(0xff51afd7ed558ccd);
    CU_ASSERT_EQUAL(cm_store_walk_keys(fixture_snapshot(&f), sum_keys, &sum, &f.err), CM_OK);
    CU_ASSERT_EQUAL(sum, expected);
    fixture_done(&f);
}

/* ------------------------------------------------------------------ intents -- */

struct seen {
    unsigned count;
    unsigned numbers[16];
    int64_t intent;
    struct cm_intent_item first;
    unsigned finished; /* intents with nothing open in them */
};

static bool see_item(const struct cm_intent *intent, const struct cm_intent_item *item, void *arg)
{
    struct seen *seen = arg;
    seen->finished += !item;
    if (!item)
        return true;
    if (seen->count == 0)
        seen->first = *item;
    CU_ASSERT_EQUAL(intent->created_ms, FIXTURE_TIME_MS);
    CU_ASSERT_EQUAL(intent->generation_number, 1);
    seen->intent = intent->number;
    seen->numbers[seen->count++] = (unsigned)(cm_serial_number(&item->serial) & 0xfffff);
    return seen->count < 16;
}

static struct seen open_items(void)
{
    struct seen seen = { .count = 0 };
    CU_ASSERT_EQUAL(cm_store_walk_open_intents(fixture_snapshot(&f), see_item, &seen, &f.err),
                    CM_OK);
    return seen;
}

static void test_an_intent_is_durable_and_its_open_items_are_walked(void)
{
    struct cm_intent intent;
    struct cm_intent_item items[4];
    fixture_make(&f, "intent");
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 1, 4), CM_OK);
    CU_ASSERT(intent.number > 0);
    fixture_reopen(&f);
    struct seen seen = open_items();
    CU_ASSERT_EQUAL(seen.count, 4);
    CU_ASSERT_EQUAL(seen.intent, intent.number);
    CU_ASSERT_EQUAL(memcmp(&seen.first, &items[0], sizeof items[0]), 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).open_intents, 1);
    fixture_done(&f);
}

static void test_settled_items_of_an_intent_are_not_walked(void)
{
    struct cm_intent intent;
    struct cm_intent_item items[4];
    struct cm_abandoned_row abandoned = { .serial = row_serial(3), .generation_number = 1 };
    fixture_make(&f, "settled");
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 1, 4), CM_OK);
    record_fill(&record_a, 1, 1);
    record_a.op.abandoned = &abandoned;
    record_a.op.abandoned_count = 1;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    struct seen seen = open_items();
    CU_ASSERT_EQUAL(seen.count, 2);
    CU_ASSERT_EQUAL(seen.numbers[0], 2);
    CU_ASSERT_EQUAL(seen.numbers[1], 4);
    fixture_done(&f);
}

static void test_an_intent_of_which_nothing_is_open_is_told(void)
{
    struct cm_intent intent;
    struct cm_intent_item items[2];
    fixture_make(&f, "finished");
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 1, 2), CM_OK);
    CU_ASSERT_EQUAL(open_items().finished, 0);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 2), CM_OK);
    struct seen seen = open_items();
    CU_ASSERT_EQUAL(seen.count, 0);
    CU_ASSERT_EQUAL(seen.finished, 1);
    fixture_done(&f);
}

static void test_a_closed_intent_is_gone_and_its_number_is_not_given_again(void)
{
    struct cm_intent intent;
    struct cm_intent_item items[2];
    fixture_make(&f, "closed");
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 1, 2), CM_OK);
    int64_t number = intent.number;
    record_fill(&record_a, 1, 2);
    record_a.op.intents_closed = &number;
    record_a.op.intents_closed_count = 1;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(open_items().count, 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).open_intents, 0);
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 3, 2), CM_OK);
    CU_ASSERT_NOT_EQUAL(intent.number, number);
    fixture_done(&f);
}

static void test_an_intent_for_a_used_serial_is_refused(void)
{
    struct cm_intent intent;
    struct cm_intent_item items[2];
    fixture_make(&f, "intent-used");
    CU_ASSERT_EQUAL(fixture_record(&f, 5, 1), CM_OK);
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 4, 2), CM_EXISTS);
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 3, 2), CM_OK);
    fixture_done(&f);
}

/* ---------------------------------------------------------- time and isolation -- */

static void test_a_snapshot_does_not_see_what_came_later(void)
{
    struct cm_recall recall;
    struct cm_request_key key = row_key(2);
    fixture_make(&f, "isolation");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(fixture_record(&f, 2, 1), CM_OK);
    CU_ASSERT_EQUAL(cm_store_recall(reader, &key, &f.arena, &recall, &f.err), CM_OK);
    CU_ASSERT_FALSE(recall.known);
    CU_ASSERT_TRUE(fixture_recall(&f, 2).known);
    fixture_done(&f);
}

static void test_the_highest_number_and_time_outlive_a_restart(void)
{
    struct cm_intent intent;
    struct cm_intent_item items[1];
    struct cm_serial serial = row_serial(900);
    fixture_make(&f, "highest");
    CU_ASSERT_EQUAL(fixture_counts(&f).last_number, 0);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    int64_t time_ms = fixture_counts(&f).last_time_ms;
    CU_ASSERT(time_ms > INT64_C(1600000000000));
    CU_ASSERT_EQUAL(apply_intent(&intent, items, 900, 1), CM_OK);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_counts(&f).last_number, cm_serial_number(&serial));
    CU_ASSERT_EQUAL(fixture_counts(&f).last_time_ms, time_ms);
    fixture_done(&f);
}

static void count_call(struct cm_store_op *op)
{
    unsigned *called = op->arg;
    *called += op->status == CM_OK;
}

static void stop_loop(void *arg)
{
    cm_loop_stop(arg);
}

static void test_close_carries_out_what_was_submitted_and_calls_back(void)
{
    unsigned called = 0;
    struct cm_task stop = { .run = stop_loop };
    fixture_make(&f, "close");
    record_fill(&record_a, 1, 500);
    record_fill(&record_b, 501, 500);
    record_a.op.arg = record_b.op.arg = &called;
    record_a.op.done = record_b.op.done = count_call;
    cm_store_submit(f.store, &record_a.op);
    cm_store_submit(f.store, &record_b.op);
    fixture_close(&f);
    CU_ASSERT_EQUAL(called, 2);
    stop.arg = f.loop;
    cm_loop_post(f.loop, &stop);
    cm_loop_run(f.loop); /* nothing of the store is left in the mailbox that would call again */
    CU_ASSERT_EQUAL(called, 2);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 1000);
    fixture_done(&f);
}

static void test_a_hundred_thousand_rows_are_all_there(void)
{
    fixture_make(&f, "many");
    for (unsigned first = 1; first < 100000; first += 1000)
        CU_ASSERT_EQUAL(fixture_record(&f, first, 1000), CM_OK);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 100000);
    for (unsigned n = 1; n <= 100000; n += 997) {
        struct cm_recall recall = fixture_recall(&f, n);
        struct cm_serial serial = row_serial(n);
        CU_ASSERT_TRUE(recall.known);
        CU_ASSERT_EQUAL(recall.number, cm_serial_number(&serial));
        cm_arena_reset(&f.arena);
    }
    CU_ASSERT_FALSE(fixture_recall(&f, 100001).known);
    /* Old or new, a request is answered once. */
    for (unsigned n = 1; n <= 100000; n += 997) {
        record_fill(&record_a, 200000 + n, 1);
        record_a.rows[0].key = row_key(n);
        CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_EXISTS);
    }
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 100000);
    fixture_done(&f);
}

CM_TEST_SUITE(store, CM_TEST(test_a_request_key_that_is_there_changes_nothing),
              CM_TEST(test_a_serial_that_is_there_changes_nothing),
              CM_TEST(test_a_refused_request_cannot_be_issued_later),
              CM_TEST(test_an_abandoned_serial_is_never_used),
              CM_TEST(test_neighbours_of_a_failing_operation_survive),
              CM_TEST(test_a_row_against_the_contract_is_refused_whole),
              CM_TEST(test_an_issued_request_is_recalled_after_a_restart),
              CM_TEST(test_a_refusal_is_recalled_with_code_and_message),
              CM_TEST(test_a_certificate_is_found_by_its_number), CM_TEST(test_every_key_is_walked),
              CM_TEST(test_an_intent_is_durable_and_its_open_items_are_walked),
              CM_TEST(test_settled_items_of_an_intent_are_not_walked),
              CM_TEST(test_an_intent_of_which_nothing_is_open_is_told),
              CM_TEST(test_a_closed_intent_is_gone_and_its_number_is_not_given_again),
              CM_TEST(test_an_intent_for_a_used_serial_is_refused),
              CM_TEST(test_a_snapshot_does_not_see_what_came_later),
              CM_TEST(test_the_highest_number_and_time_outlive_a_restart),
              CM_TEST(test_close_carries_out_what_was_submitted_and_calls_back),
              CM_TEST(test_a_hundred_thousand_rows_are_all_there));
