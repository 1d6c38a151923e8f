/* One suite for every queue; CM_TEST_QUEUE names the backend. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/queue_backend.h"
#include "tests/support/queue_rig.h"
#include "tests/support/test_main.h"

static const struct queue_backend *backend;
static struct cm_queue_settings settings;
static struct cm_queue_rig rig;
static const char csr_text[] = "\x30\x03\x00\r\n\xff binary, with a NUL";

static const struct queue_backend *const backends[] = {
    &queue_backend_memory,
    &queue_backend_redis,
    &queue_backend_spool,
};

static int choose_backend(void)
{
    const char *name = getenv("CM_TEST_QUEUE");
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (strcmp(backends[i]->name, name ? name : "memory") == 0)
            backend = backends[i];
    return backend ? 0 : 1;
}

static bool begin(void)
{
    if (!backend->set_up(&settings))
        return false;
    cm_queue_rig_init(&rig);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, backend->ops, &settings));
    return true;
}

static void end(void)
{
    cm_queue_rig_done(&rig);
    backend->tear_down();
}

static void push_many(uint32_t count)
{
    char name[32];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "device-%05u", i);
        backend->push(name, cm_bytes(csr_text, sizeof csr_text));
    }
}

/* Closed without an answer, and opened again: what a crash and a restart of the engine look like. */
static void reopen(void)
{
    cm_queue_rig_close(&rig);
    cm_queue_rig_run(&rig, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, backend->ops, &settings));
}

static void test_nothing_comes_without_credit(void)
{
    if (!begin())
        return;
    push_many(3);
    cm_queue_rig_run(&rig, 100);
    CU_ASSERT_EQUAL(rig.delivered_count, 0);
    end();
}

static void test_no_more_comes_than_the_credit(void)
{
    if (!begin())
        return;
    push_many(20);
    cm_queue_want(rig.queue, 7);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 7));
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.delivered_count, 7);
    cm_queue_want(rig.queue, 2);
    cm_queue_want(rig.queue, 3);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 12));
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.delivered_count, 12);
    end();
}

static void test_an_entry_comes_as_it_was_pushed(void)
{
    if (!begin())
        return;
    backend->push("gateway-7", cm_bytes(csr_text, sizeof csr_text));
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    const struct cm_entry *entry = rig.entries[0];
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_DEVICE), "gateway-7");
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_REQUESTER), "tests");
    CU_ASSERT_TRUE(
        cm_bytes_equal(entry->fields[CM_FIELD_CSR], cm_bytes(csr_text, sizeof csr_text)));
    CU_ASSERT_TRUE(entry->fields[CM_FIELD_ID].size > 0);
    CU_ASSERT_PTR_NULL(entry->fields[CM_FIELD_PROFILE].data);
    CU_ASSERT_EQUAL(entry->refusal.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(entry->deliveries_count, 1);
    CU_ASSERT_TRUE(entry->arrived_ns > 0);
    CU_ASSERT_TRUE(entry->size > sizeof csr_text);
    end();
}

static void test_what_was_answered_is_answered_once_and_gone(void)
{
    struct queue_answer answer;
    if (!begin())
        return;
    push_many(3);
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    cm_queue_rig_answer(&rig, 3);
    CU_ASSERT_EQUAL(rig.answered_count, 0);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    CU_ASSERT_EQUAL(backend->count_pending(), 0);
    CU_ASSERT_TRUE_FATAL(backend->find_answer("device-00001", &answer));
    CU_ASSERT_STRING_EQUAL(answer.status, "issued");
    CU_ASSERT_STRING_EQUAL(answer.certificate, "cert:device-00001");
    CU_ASSERT_EQUAL(answer.copies_count, 1);
    reopen();
    cm_queue_want(rig.queue, 10);
    cm_queue_rig_run(&rig, 100);
    CU_ASSERT_EQUAL(rig.delivered_count, 3);
    end();
}

static void test_a_refusal_reaches_its_requester(void)
{
    struct queue_answer answer;
    if (!begin())
        return;
    push_many(1);
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE_FATAL(backend->find_answer("device-00000", &answer));
    CU_ASSERT_STRING_EQUAL(answer.status, "refused");
    CU_ASSERT_STRING_EQUAL(answer.code, "request.field-missing");
    CU_ASSERT_EQUAL(backend->count_pending(), 0);
    end();
}

static void test_what_was_given_back_comes_again_without_delay(void)
{
    if (!begin())
        return;
    push_many(4);
    cm_queue_want(rig.queue, 4);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    cm_queue_rig_give_back(&rig, 3);
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.delivered_count, 4);
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    /* What an engine gave back was no delivery: entries are poison when engines die of them. */
    CU_ASSERT_EQUAL(rig.entries[0]->deliveries_count, 1);
    CU_ASSERT_EQUAL(rig.entries[1]->deliveries_count, 1);
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.delivered_count, 7);
    cm_queue_rig_answer(&rig, 4);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(backend->count_pending(), 0);
    end();
}

static bool is_retire(struct cm_bytes op)
{
    return cm_bytes_is(op, "retire");
}

static void push_op(const char *id, const char *op)
{
    const struct cm_memory_pair pairs[] = {
        { cm_bytes_str("id"), cm_bytes_str(id) },
        { cm_bytes_str("requester"), cm_bytes_str("tests") },
        { cm_bytes_str("op"), cm_bytes_str(op) },
        { cm_bytes_str("device"), cm_bytes_str(id) },
    };
    backend->push_pairs(pairs, 4);
}

static void expect_in_hand(uint32_t index, const char *id, bool is_ahead)
{
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, index, CM_FIELD_ID), id);
    CU_ASSERT_EQUAL(rig.entries[index]->is_ahead, is_ahead);
    CU_ASSERT_EQUAL(rig.entries[index]->deliveries_count, 1);
}

/* Five are in hand, and there is no credit: what may come ahead stands behind hundreds more. */
static void test_some_come_ahead_of_those_without_credit(void)
{
    struct queue_answer answer;
    if (!begin())
        return;
    if (!backend->push_pairs) {
        end();
        return;
    }
    push_many(300);
    push_op("renew-1", "renew");
    push_op("retire-1", "retire");
    push_op("retire-2", "retire");
    cm_queue_want(rig.queue, 5);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 5));
    cm_queue_want_ahead(rig.queue, 2, is_retire);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 7));
    expect_in_hand(5, "retire-1", true);
    expect_in_hand(6, "retire-2", true);
    push_op("retire-3", "retire");
    cm_queue_rig_run(&rig, 1200);
    CU_ASSERT_EQUAL(rig.delivered_count, 7);
    cm_queue_rig_answer(&rig, 5);
    cm_queue_rig_give_back(&rig, 1);
    cm_queue_want_ahead(rig.queue, 2, is_retire);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    expect_in_hand(0, "retire-2", true);
    expect_in_hand(1, "retire-1", true);
    expect_in_hand(2, "retire-3", true);
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    cm_queue_want(rig.queue,
                  500); /* one that came ahead is in hand still: it comes no second time */
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1 + 295 + 1));
    cm_queue_rig_run(&rig, 100);
    CU_ASSERT_EQUAL(rig.delivered_count, 5 + 3 + 1 + 295 + 1);
    cm_queue_rig_answer(&rig, 297);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 3));
    CU_ASSERT_EQUAL(backend->count_pending(), 0);
    CU_ASSERT_TRUE_FATAL(backend->find_answer("retire-3", &answer));
    CU_ASSERT_EQUAL(answer.copies_count, 1);
    end();
}

/* Remembers an entry, detaches it, and compares. */
static void detach_and_compare(uint32_t position)
{
    struct cm_entry *entry = rig.entries[position];
    struct cm_entry before = *entry;
    uint8_t kept[CM_FIELD_COUNT][64];
    for (unsigned i = 0; i < CM_FIELD_COUNT; i++) {
        CU_ASSERT_TRUE_FATAL(before.fields[i].size <= sizeof kept[i]);
        if (before.fields[i].data)
            memcpy(kept[i], before.fields[i].data, before.fields[i].size);
    }
    entry = rig.entries[position] = cm_queue_detach(rig.queue, entry);
    for (unsigned i = 0; i < CM_FIELD_COUNT; i++) {
        CU_ASSERT_EQUAL(entry->fields[i].data == NULL, before.fields[i].data == NULL);
        CU_ASSERT_EQUAL_FATAL(entry->fields[i].size, before.fields[i].size);
        CU_ASSERT_TRUE(!entry->fields[i].data
                       || memcmp(entry->fields[i].data, kept[i], before.fields[i].size) == 0);
    }
    CU_ASSERT_EQUAL(entry->size, before.size);
    CU_ASSERT_EQUAL(entry->deliveries_count, before.deliveries_count);
    CU_ASSERT_EQUAL(entry->arrived_ns, before.arrived_ns);
    CU_ASSERT_EQUAL(entry->refusal.code, before.refusal.code);
}

static void test_what_was_detached_is_the_same_and_goes_the_same_ways(void)
{
    struct queue_answer answer;
    if (!begin())
        return;
    push_many(4);
    cm_queue_want(rig.queue, 4);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    for (uint32_t i = 0; i < 3; i++)
        detach_and_compare(i);
    detach_and_compare(0); /* a second time */
    char name[32];
    snprintf(name, sizeof name, "%s", cm_queue_rig_text(&rig, 0, CM_FIELD_DEVICE));
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE_FATAL(backend->find_answer(name, &answer));
    CU_ASSERT_EQUAL(answer.copies_count, 1);
    CU_ASSERT_EQUAL(backend->count_pending(), 3);
    cm_queue_rig_give_back(&rig, 1);
    cm_queue_want(rig.queue, 4);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    CU_ASSERT_EQUAL(rig.entries[2]->deliveries_count, 1);
    cm_queue_rig_answer(&rig, 2); /* one detached, one not; and one stays in hand: close frees it */
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    detach_and_compare(0);
    CU_ASSERT_EQUAL(backend->count_pending(), 1);
    end();
}

static void test_what_a_dead_engine_had_in_hand_comes_again(void)
{
    if (!begin())
        return;
    push_many(5);
    cm_queue_want(rig.queue, 5);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 5));
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_answered(&rig, 1));
    reopen();
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    CU_ASSERT_EQUAL(rig.entries[0]->deliveries_count, backend->counts_deliveries ? 2 : 1);
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.entries_count, 3);
    end();
}

static void test_answers_in_flight_at_close_are_called_back(void)
{
    if (!begin())
        return;
    push_many(2);
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    cm_queue_rig_answer(&rig, 1);
    cm_queue_rig_answer(&rig, 1);
    cm_queue_rig_close(&rig);
    CU_ASSERT_EQUAL(rig.answered_count, 2);
    end();
}

static void test_poison_is_refused_after_too_many_deliveries(void)
{
    struct queue_answer answer;
    if (!backend->counts_deliveries || !begin())
        return;
    push_many(1);
    for (unsigned i = 0; i < 3; i++) {
        cm_queue_want(rig.queue, 1);
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
        CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_NONE);
        reopen();
    }
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_REQUEST_UNDELIVERABLE);
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE_FATAL(backend->find_answer("device-00000", &answer));
    CU_ASSERT_STRING_EQUAL(answer.code, "request.undeliverable");
    CU_ASSERT_EQUAL(backend->count_pending(), 0);
    end();
}

static void test_an_entry_that_is_too_large_is_refused_without_its_content(void)
{
    struct queue_answer answer;
    if (!begin())
        return;
    char *large = calloc(1, CM_ENTRY_SIZE_MAX + 1);
    backend->push("large", cm_bytes(large, CM_ENTRY_SIZE_MAX + 1));
    backend->push("small", cm_bytes_str("csr"));
    free(large);
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    unsigned at = strcmp(cm_queue_rig_text(&rig, 0, CM_FIELD_DEVICE), "large") == 0 ? 0 : 1;
    CU_ASSERT_EQUAL(rig.entries[at]->refusal.code, CM_REFUSAL_REQUEST_TOO_LARGE);
    CU_ASSERT_EQUAL(rig.entries[1 - at]->refusal.code, CM_REFUSAL_NONE);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, at, CM_FIELD_DEVICE), "large");
    cm_queue_rig_refuse(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE_FATAL(backend->find_answer("large", &answer));
    CU_ASSERT_STRING_EQUAL(answer.code, "request.too-large");
    end();
}

static void test_an_unknown_field_is_refused(void)
{
    const struct cm_memory_pair pairs[] = { { cm_bytes_str("id"), cm_bytes_str("1") },
                                            { cm_bytes_str("requester"), cm_bytes_str("tests") },
                                            { cm_bytes_str("Device"), cm_bytes_str("x") },
                                            { cm_bytes_str("csr"), cm_bytes_str("c") } };
    if (!backend->push_pairs || !begin())
        return;
    backend->push_pairs(pairs, 4);
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_REQUEST_FIELD_UNKNOWN);
    CU_ASSERT_PTR_NOT_NULL(strstr(rig.entries[0]->refusal.message, "\"Device\""));
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_CSR), "c");
    end();
}

static void test_a_field_that_stands_twice_is_refused(void)
{
    const struct cm_memory_pair pairs[] = { { cm_bytes_str("id"), cm_bytes_str("1") },
                                            { cm_bytes_str("id"), cm_bytes_str("2") },
                                            { cm_bytes_str("requester"), cm_bytes_str("tests") } };
    if (!backend->push_pairs || !begin())
        return;
    backend->push_pairs(pairs, 3);
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_REQUEST_FIELD_DUPLICATE);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_ID), "1");
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_REQUESTER), "tests");
    end();
}

static void test_an_empty_field_is_there_and_an_absent_one_is_not(void)
{
    const struct cm_memory_pair pairs[] = { { cm_bytes_str("id"), cm_bytes_str("1") },
                                            { cm_bytes_str("csr"), cm_bytes_str("") } };
    if (!backend->push_pairs || !begin())
        return;
    backend->push_pairs(pairs, 2);
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_PTR_NOT_NULL(rig.entries[0]->fields[CM_FIELD_CSR].data);
    CU_ASSERT_EQUAL(rig.entries[0]->fields[CM_FIELD_CSR].size, 0);
    CU_ASSERT_PTR_NULL(rig.entries[0]->fields[CM_FIELD_DEVICE].data);
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_NONE);
    end();
}

static bool all_are_gone(void *arg)
{
    (void)arg;
    return rig.delivered_count >= 10000 && rig.answered_count == rig.submitted_count;
}

static void test_ten_thousand_entries_are_each_answered_once(void)
{
    struct queue_answer answer;
    if (!begin())
        return;
    push_many(10000);
    rig.answers_at_once = true;
    rig.wants_more = true;
    cm_queue_want(rig.queue, 500);
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, all_are_gone, NULL, 60000));
    CU_ASSERT_EQUAL(rig.delivered_count, 10000);
    CU_ASSERT_EQUAL(backend->count_pending(), 0);
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    CU_ASSERT_TRUE_FATAL(backend->find_answer("device-09999", &answer));
    CU_ASSERT_EQUAL(answer.copies_count, 1);
    CU_ASSERT_STRING_EQUAL(answer.certificate, "cert:device-09999");
    end();
}

/* ------------------------------------------------------------------------------ notices -- */

enum { NOTICES = 300 };
static uint32_t notified_count, notified_failed_count;

static void on_notified(cm_status status, const char *text, void *arg)
{
    (void)text;
    notified_count++;
    notified_failed_count += status != CM_OK;
    CU_ASSERT_TRUE(status == CM_OK || status == CM_UNAVAILABLE);
    CU_ASSERT_PTR_EQUAL(arg, &rig);
}

static bool was_notified(void *arg)
{
    return notified_count >= *(uint32_t *)arg;
}

static bool wait_notified(uint32_t count)
{
    return cm_queue_rig_wait(&rig, was_notified, &count, 10000);
}

/* Two at a time may be on their way: each is borrowed until it is told of. */
static cm_status notify(uint32_t count)
{
    static struct cm_notice sets[2][NOTICES];
    static char names[2][NOTICES][16];
    static unsigned turn;
    struct cm_notice *notices = sets[turn % 2];
    char(*devices)[16] = names[turn++ % 2];
    struct cm_error err;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(devices[i], sizeof devices[i], "device-%u", i);
        notices[i] = (struct cm_notice){ .kind = "renew",
                                         .campaign = cm_bytes_str("autumn"),
                                         .device = cm_bytes_str(devices[i]),
                                         .serial = cm_bytes("\x01\x02\xff", 3),
                                         .issuer = "issuing-1",
                                         .not_after = 4000000000,
                                         .not_before = 1700000000 + i,
                                         .deadline = 1800000000 };
    }
    return cm_queue_notify(rig.queue, notices, count, on_notified, &rig, &err);
}

static void expect_notice(size_t index, uint32_t device)
{
    char text[512] = "", expected[512];
    snprintf(expected, sizeof expected,
             " renew autumn device-%u 0102ff issuing-1 4000000000 %u 1800000000", device,
             1700000000 + device);
    CU_ASSERT_TRUE(backend->read_notice(index, text, sizeof text));
    CU_ASSERT_STRING_EQUAL(text, expected);
}

/* A queue that connects first has nothing to write to meanwhile. */
static bool notify_until_written(uint32_t count)
{
    for (uint32_t tries = 0; tries < 100; tries++) {
        notified_count = notified_failed_count = 0;
        CU_ASSERT_EQUAL(notify(count), CM_OK);
        CU_ASSERT_EQUAL(notified_count, 0);
        if (!wait_notified(1))
            return false;
        if (notified_failed_count == 0)
            return true;
        cm_queue_rig_run(&rig, 20);
    }
    return false;
}

static void test_notices_are_published_in_their_order(void)
{
    char text[512];
    if (!begin())
        return;
    CU_ASSERT_TRUE_FATAL(notify_until_written(1));
    CU_ASSERT_EQUAL(notify(NOTICES), CM_OK);
    CU_ASSERT_EQUAL(notify(2), CM_OK);
    CU_ASSERT_TRUE(wait_notified(3));
    CU_ASSERT_EQUAL(notified_failed_count, 0);
    expect_notice(0, 0);
    expect_notice(1, 0);
    expect_notice(NOTICES, NOTICES - 1);
    expect_notice(NOTICES + 1, 0);
    expect_notice(NOTICES + 2, 1);
    CU_ASSERT_FALSE(backend->read_notice(NOTICES + 3, text, sizeof text));
    end();
}

static void test_notices_in_flight_at_close_are_called_back(void)
{
    if (!begin())
        return;
    CU_ASSERT_TRUE_FATAL(notify_until_written(1));
    CU_ASSERT_EQUAL(notify(NOTICES), CM_OK);
    cm_queue_rig_close(&rig);
    CU_ASSERT_EQUAL(notified_count, 2);
    CU_ASSERT_EQUAL(notified_failed_count, 1);
    cm_queue_rig_run(&rig, 20);
    CU_ASSERT_EQUAL(notified_count, 2);
    end();
}

CM_TEST_SUITE_WITH(queue, choose_backend, NULL, CM_TEST(test_nothing_comes_without_credit),
                   CM_TEST(test_no_more_comes_than_the_credit),
                   CM_TEST(test_an_entry_comes_as_it_was_pushed),
                   CM_TEST(test_what_was_answered_is_answered_once_and_gone),
                   CM_TEST(test_a_refusal_reaches_its_requester),
                   CM_TEST(test_what_was_given_back_comes_again_without_delay),
                   CM_TEST(test_some_come_ahead_of_those_without_credit),
                   CM_TEST(test_what_was_detached_is_the_same_and_goes_the_same_ways),
                   CM_TEST(test_what_a_dead_engine_had_in_hand_comes_again),
                   CM_TEST(test_answers_in_flight_at_close_are_called_back),
                   CM_TEST(test_poison_is_refused_after_too_many_deliveries),
                   CM_TEST(test_an_entry_that_is_too_large_is_refused_without_its_content),
                   CM_TEST(test_an_unknown_field_is_refused),
                   CM_TEST(test_a_field_that_stands_twice_is_refused),
                   CM_TEST(test_an_empty_field_is_there_and_an_absent_one_is_not),
                   CM_TEST(test_ten_thousand_entries_are_each_answered_once),
                   CM_TEST(test_notices_are_published_in_their_order),
                   CM_TEST(test_notices_in_flight_at_close_are_called_back));
