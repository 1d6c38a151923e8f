#include "tests/conformance/store_fixture.h"

#include <stdio.h>

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
};

static bool see_item(const struct cm_intent *intent, const struct cm_intent_item *item, void *arg)
{
    struct seen *seen = arg;
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

/* ------------------------------------------------------------------ devices -- */

static struct cm_device_row device_row(const char *id, const char *group, bool replace)
{
    return (struct cm_device_row){ .id = cm_bytes_str(id),
                                   .group = cm_bytes_str(group),
                                   .attributes = cm_bytes("model\0x1\0", 9),
                                   .state = replace ? CM_DEVICE_QUARANTINED : CM_DEVICE_ALLOWED,
                                   .replace = replace };
}

static cm_status import(struct cm_device_row *rows, unsigned count, uint32_t *ret_changed)
{
    struct cm_store_op op = {
        .kind = CM_STORE_DEVICES, .devices = rows, .devices_count = count, .audit = &fixture_audit
    };
    cm_status status = cm_store_apply(f.store, &op, &f.err);
    *ret_changed = op.devices_changed;
    return status;
}

static struct cm_device find_device(const char *id)
{
    struct cm_device device = { .number = -1 };
    CU_ASSERT_EQUAL(
        cm_store_find_device(fixture_snapshot(&f), cm_bytes_str(id), &f.arena, &device, &f.err),
        CM_OK);
    return device;
}

static bool count_device(const struct cm_device *device, void *arg)
{
    unsigned *count = arg;
    (void)device;
    ++*count;
    return true;
}

static void test_devices_are_kept_or_replaced_as_asked(void)
{
    uint32_t changed;
    struct cm_device_row rows[] = { device_row("a", "line-1", false),
                                    device_row("b", "line-1", false) };
    fixture_make(&f, "devices");
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 2);
    int64_t number = find_device("a").number;
    rows[0] = device_row("a", "line-2", false);
    rows[1] = device_row("b", "line-2", true);
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    fixture_reopen(&f);
    struct cm_device a = find_device("a"), b = find_device("b");
    CU_ASSERT_EQUAL(a.number, number);
    CU_ASSERT_TRUE(cm_bytes_is(a.group, "line-1"));
    CU_ASSERT_EQUAL(a.state, CM_DEVICE_ALLOWED);
    CU_ASSERT_TRUE(cm_bytes_is(b.group, "line-2"));
    CU_ASSERT_EQUAL(b.state, CM_DEVICE_QUARANTINED);
    CU_ASSERT_TRUE(cm_bytes_is(cm_device_attribute(b.attributes, cm_bytes_str("model")), "x1"));
    CU_ASSERT_EQUAL(find_device("c").number, 0);
    CU_ASSERT_EQUAL(fixture_counts(&f).devices, 2);
    fixture_done(&f);
}

static void test_devices_are_walked_by_group(void)
{
    uint32_t changed;
    unsigned all = 0, some = 0, none = 0;
    struct cm_device_row rows[] = { device_row("a", "one", false), device_row("b", "two", false),
                                    device_row("c", "two", false) };
    fixture_make(&f, "groups");
    CU_ASSERT_EQUAL(import(rows, 3, &changed), CM_OK);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(cm_store_walk_devices(reader, cm_bytes(NULL, 0), count_device, &all, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_devices(reader, cm_bytes_str("two"), count_device, &some, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_devices(reader, cm_bytes_str("ten"), count_device, &none, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(all, 3);
    CU_ASSERT_EQUAL(some, 2);
    CU_ASSERT_EQUAL(none, 0);
    fixture_done(&f);
}

static void test_a_device_without_id_or_with_a_long_one_is_refused(void)
{
    uint32_t changed;
    char text[257];
    memset(text, 'x', 256);
    text[256] = '\0';
    struct cm_device_row rows[] = { device_row("good", "g", false), device_row("", "g", false) };
    fixture_make(&f, "bad-devices");
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_INVALID);
    rows[1] = device_row(text, "g", false);
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_INVALID);
    CU_ASSERT_EQUAL(fixture_counts(&f).devices, 0);
    rows[1].id.size = 255;
    CU_ASSERT_EQUAL(import(rows, 2, &changed), CM_OK);
    fixture_done(&f);
}

static cm_status record_enrolling(unsigned n, const char *id)
{
    record_fill(&record_a, n, 2);
    for (unsigned i = 0; i < 2; i++) {
        record_a.rows[i].device_number = 0;
        record_a.rows[i].enroll_device = cm_bytes_str(id);
        record_a.rows[i].enroll_group = cm_bytes_str("new");
    }
    return cm_store_apply(f.store, &record_a.op, &f.err);
}

static void test_a_record_registers_the_device_that_it_enrolls(void)
{
    uint32_t changed;
    struct cm_device_row bad = device_row("bad", "old", true);
    fixture_make(&f, "enroll");
    CU_ASSERT_EQUAL(import(&bad, 1, &changed), CM_OK);
    CU_ASSERT_EQUAL(record_enrolling(1, "fresh"), CM_OK);
    CU_ASSERT_EQUAL(record_enrolling(3, "bad"), CM_DENIED); /* quarantined */
    CU_ASSERT_EQUAL(record_enrolling(5, "fresh"), CM_OK);
    struct cm_device device = find_device("fresh");
    CU_ASSERT(device.number > 0);
    CU_ASSERT_TRUE(cm_bytes_is(device.group, "new"));
    CU_ASSERT_EQUAL(device.state, CM_DEVICE_ALLOWED);
    struct cm_certificate_found found;
    struct cm_serial serial = row_serial(2);
    CU_ASSERT_EQUAL(cm_store_find_certificate(fixture_snapshot(&f), cm_serial_number(&serial),
                                              &f.arena, &found, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(found.device_number, device.number);
    CU_ASSERT_EQUAL(fixture_counts(&f).devices, 2);
    fixture_done(&f);
}

/* ------------------------------------------------------- generations, usage -- */

struct generations {
    unsigned count;
    int64_t numbers[4];
    enum cm_generation_state states[4];
};

static bool see_generation(const struct cm_generation *generation, void *arg)
{
    struct generations *seen = arg;
    CU_ASSERT_TRUE(cm_bytes_is(generation->authority, "issuing"));
    CU_ASSERT_TRUE(cm_bytes_is(generation->certificate, "der"));
    seen->numbers[seen->count] = generation->number;
    seen->states[seen->count++] = generation->state;
    return true;
}

static cm_status put_generation(struct cm_generation *generation)
{
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = generation,
                              .audit = &fixture_audit };
    return cm_store_apply(f.store, &op, &f.err);
}

static void test_generations_are_added_once_and_change_their_state(void)
{
    struct generations seen = { .count = 0 };
    struct cm_generation generation = { .authority = cm_bytes_str("issuing"),
                                        .generation = 1,
                                        .state = CM_GENERATION_PENDING,
                                        .provider = cm_bytes_str("soft"),
                                        .key = cm_bytes_str("issuing-1.pem"),
                                        .sigalg = cm_bytes_str("ecdsa-p256-sha256"),
                                        .certificate = cm_bytes_str("der"),
                                        .created_ms = FIXTURE_TIME_MS };
    fixture_make(&f, "generations");
    CU_ASSERT_EQUAL(put_generation(&generation), CM_OK);
    int64_t number = generation.number;
    CU_ASSERT(number > 0);
    generation.state = CM_GENERATION_ACTIVE;
    CU_ASSERT_EQUAL(put_generation(&generation), CM_OK);
    generation.number = 0;
    CU_ASSERT_EQUAL(put_generation(&generation), CM_EXISTS);
    generation.number = 99;
    CU_ASSERT_EQUAL(put_generation(&generation), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(cm_store_walk_generations(fixture_snapshot(&f), see_generation, &seen, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(seen.count, 1);
    CU_ASSERT_EQUAL(seen.numbers[0], number);
    CU_ASSERT_EQUAL(seen.states[0], CM_GENERATION_ACTIVE);
    fixture_done(&f);
}

static bool sum_usage(const struct cm_usage_row *usage, void *arg)
{
    int64_t *sums = arg;
    sums[cm_bytes_is(usage->name, "requester:local") ? 0 : 1] += usage->count;
    return true;
}

static void test_usage_adds_up_by_name_and_period(void)
{
    struct cm_usage_row rows[] = { { cm_bytes_str("requester:local"), 19000, 3 },
                                   { cm_bytes_str("group:default"), 19000, 4 },
                                   { cm_bytes_str("requester:local"), 19001, 50 } };
    struct cm_store_op op = {
        .kind = CM_STORE_RECORD, .usage = rows, .usage_count = 3, .audit = &fixture_audit
    };
    int64_t sums[2] = { 0, 0 };
    fixture_make(&f, "usage");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_usage(fixture_snapshot(&f), 19000, sum_usage, sums, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(sums[0], 6);
    CU_ASSERT_EQUAL(sums[1], 8);
    fixture_done(&f);
}

/* -------------------------------------------------------------------- audit -- */

struct chain {
    int64_t next;
    uint8_t tail[CM_HASH_SIZE];
    bool holds;
};

static bool follow(const struct cm_audit_row *row, void *arg)
{
    struct chain *chain = arg;
    uint8_t hash[CM_HASH_SIZE];
    cm_audit_hash(row, hash);
    chain->holds = row->number == chain->next++
                   && memcmp(row->previous, chain->tail, CM_HASH_SIZE) == 0
                   && memcmp(row->hash, hash, CM_HASH_SIZE) == 0;
    memcpy(chain->tail, row->hash, CM_HASH_SIZE);
    return chain->holds;
}

static void test_the_audit_chain_holds_over_failures_and_restarts(void)
{
    struct chain chain = { .next = 1 };
    fixture_make(&f, "chain");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 2, 1), CM_OK);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_record(&f, 2, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 3, 1), CM_OK);
    CU_ASSERT_EQUAL(cm_store_walk_audit(fixture_snapshot(&f), 1, follow, &chain, &f.err), CM_OK);
    CU_ASSERT_TRUE(chain.holds);
    CU_ASSERT_EQUAL(chain.next, 4);
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
              CM_TEST(test_a_closed_intent_is_gone_and_its_number_is_not_given_again),
              CM_TEST(test_an_intent_for_a_used_serial_is_refused),
              CM_TEST(test_devices_are_kept_or_replaced_as_asked),
              CM_TEST(test_devices_are_walked_by_group),
              CM_TEST(test_a_device_without_id_or_with_a_long_one_is_refused),
              CM_TEST(test_a_record_registers_the_device_that_it_enrolls),
              CM_TEST(test_generations_are_added_once_and_change_their_state),
              CM_TEST(test_usage_adds_up_by_name_and_period),
              CM_TEST(test_the_audit_chain_holds_over_failures_and_restarts),
              CM_TEST(test_a_snapshot_does_not_see_what_came_later),
              CM_TEST(test_the_highest_number_and_time_outlive_a_restart),
              CM_TEST(test_close_carries_out_what_was_submitted_and_calls_back),
              CM_TEST(test_a_hundred_thousand_rows_are_all_there));
