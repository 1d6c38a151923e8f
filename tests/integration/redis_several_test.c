/* Entries of the stream that carry several requests: credit, acknowledgement, giving back, poison, orders. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/redis_queue_rig.h"

static void reopen(void)
{
    cm_queue_rig_close(&rig);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &settings));
}

/* One entry with count requests, FIRST, FIRST + 1, ...; more: other fields, each behind a blank. */
static void push(unsigned first, unsigned count, const char *more)
{
    char command[8192] = "XADD t:requests * requester tests";
    for (unsigned i = 0; i < count; i++)
        snprintf(command + strlen(command), sizeof command - strlen(command),
                 " id.%u %u device.%u d-%u", i + 1, first + i, i + 1, first + i);
    snprintf(command + strlen(command), sizeof command - strlen(command), "%s", more);
    run_command(command);
}

static long long entries_in_stream(void)
{
    return cm_redis_server_number(&server, "XLEN t:requests");
}

static unsigned results_of(unsigned id)
{
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:results:tests - +");
    unsigned count = 0;
    for (size_t i = 0; i < reply->elements; i++)
        count += atoi(reply->element[i]->element[1]->element[1]->str) == (int)id;
    freeReplyObject(reply);
    return count;
}

static void expect_in_hand(uint32_t index, const char *id, uint32_t deliveries_count)
{
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, index, CM_FIELD_ID), id);
    CU_ASSERT_EQUAL(rig.entries[index]->deliveries_count, deliveries_count);
}

static void test_an_entry_goes_when_the_last_of_its_requests_is_answered(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(1, 3, "");
    push(4, 2, "");
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 5));
    expect_in_hand(2, "3", 1);
    expect_in_hand(3, "4", 1);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 4, CM_FIELD_REQUESTER), "tests");
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(results_of(2), 1);
    CU_ASSERT_EQUAL(entries_in_stream(), 2);
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_EQUAL(entries_in_stream(), 1);
    CU_ASSERT_EQUAL(pending_count(), 1);
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 3));
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    for (unsigned id = 1; id <= 5; id++)
        CU_ASSERT_EQUAL(results_of(id), 1);
    end();
}

static void test_no_more_requests_come_than_the_credit(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    for (unsigned i = 0; i < 20; i++)
        push(100 * i, 64, "");
    for (unsigned wanted = 7; wanted < 1280; wanted += 101) {
        cm_queue_want(rig.queue, wanted - rig.delivered_count);
        CU_ASSERT_EQUAL(rig.delivered_count, rig.entries_count); /* none from inside want */
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, wanted));
        cm_queue_rig_run(&rig, 5);
        CU_ASSERT_EQUAL(rig.delivered_count, wanted);
    }
    cm_queue_want(rig.queue, 1000);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 1280));
    cm_queue_rig_answer(&rig, 1280);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:results:tests"), 1280);
    end();
}

static void test_an_entry_of_a_dead_engine_comes_again_whole(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(1, 4, "");
    cm_queue_want(rig.queue, 3);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    reopen();
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(rig.entries[i]->deliveries_count, 2);
    cm_queue_rig_answer(&rig, 4);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    CU_ASSERT_EQUAL(results_of(1), 2);
    CU_ASSERT_EQUAL(results_of(4), 1);
    end();
}

static void test_what_is_given_back_whole_comes_again_to_anyone(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 2000))
        return;
    push(1, 3, "");
    push(4, 1, "");
    cm_queue_want(rig.queue, 4);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    cm_queue_rig_give_back(&rig, 4);
    cm_queue_rig_run(&rig, 50);
    settings.consumer = "engine-b";
    reopen();
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(rig.entries[i]->deliveries_count, 1);
    end();
}

/* While its neighbours are in hand it comes here again; with them, when the engine has nothing of it. */
static void test_one_request_given_back_comes_again_beside_its_neighbours(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(1, 3, "");
    cm_queue_want(rig.queue, 3);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    cm_queue_rig_give_back(&rig, 1);
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.delivered_count, 3);
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    expect_in_hand(2, "1", 1);
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(entries_in_stream(), 1);
    cm_queue_rig_give_back(&rig, 1); /* the last one: the whole entry goes back */
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    cm_queue_rig_answer(&rig, 3);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    CU_ASSERT_EQUAL(results_of(1), 1);
    CU_ASSERT_EQUAL(results_of(2), 2);
    end();
}

/* What it has not handed out goes at once, the rest as soon as its neighbours are answered. */
static void test_a_stopping_engine_leaves_nothing_of_an_entry_to_its_lease(void)
{
    struct cm_queue_rig other;
    if (!begin(CM_REDIS_SERVER_FLEETING, 2000))
        return;
    push(1, 20, "");
    push(21, 20, "");
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    cm_queue_hurry(rig.queue, 1000);
    struct cm_queue_settings others_settings = settings;
    others_settings.consumer = "engine-b";
    other = (struct cm_queue_rig){ .loop = rig.loop };
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&other, &cm_queue_redis, &others_settings));
    cm_queue_want(other.queue, 100);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&other, 20));
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(other.entries_count, 20);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&other, 0, CM_FIELD_ID), "21");
    cm_queue_rig_give_back(&rig, 1);
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(pending_count(), 2);
    CU_ASSERT_EQUAL(other.entries_count, 20);
    cm_queue_rig_answer(&rig, 1);
    cm_queue_rig_close(&other);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_answered(&rig, 1));
    cm_queue_rig_run(&rig, 50);
    others_settings.consumer = "engine-c";
    other.entries_count = 0;
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&other, &cm_queue_redis, &others_settings));
    cm_queue_want(other.queue, 100);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&other, 20));
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&other, 0, CM_FIELD_ID), "1");
    CU_ASSERT_EQUAL(other.entries[0]->deliveries_count, 1);
    cm_queue_rig_close(&other);
    free(other.entries);
    end();
}

static void test_answers_that_were_given_up_bring_the_whole_entry_again(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 400))
        return;
    push(1, 2, "");
    cm_queue_want(rig.queue, 4);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    run_command("CONFIG SET maxmemory 1");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_EQUAL(rig.unavailable_count, 1);
    run_command("CONFIG SET maxmemory 0");
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    expect_in_hand(0, "1", rig.entries[0]->deliveries_count);
    CU_ASSERT_TRUE(rig.entries[1]->deliveries_count >= 2);
    end();
}

static void test_a_detached_request_is_answered_with_its_neighbours(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(1, 3, "");
    cm_queue_want(rig.queue, 3);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    rig.entries[1] = cm_queue_detach(rig.queue, rig.entries[1]);
    expect_in_hand(1, "2", 1);
    cm_queue_rig_answer(&rig, 1);
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    CU_ASSERT_EQUAL(results_of(2), 1);
    end();
}

static const char *text_at(const redisReply *entry, size_t index)
{
    return entry->element[1]->element[index]->str;
}

static void test_poison_is_copied_a_request_at_a_time(void)
{
    char shared[600], long_one[1300] = " profile ";
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    memset(shared, 'w', sizeof shared);
    snprintf(long_one + strlen(long_one), sizeof long_one - strlen(long_one), "%.*s why %.*s", 590,
             shared, 590, shared);
    push(7, 2, long_one);
    for (unsigned i = 0; i < 4; i++) {
        cm_queue_want(rig.queue, 2);
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
        if (i < 3)
            reopen();
    }
    CU_ASSERT_EQUAL(rig.entries[1]->refusal.code, CM_REFUSAL_REQUEST_UNDELIVERABLE);
    cm_queue_rig_refuse(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(results_of(7) + results_of(8), 2);
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:dead - +");
    CU_ASSERT_EQUAL_FATAL(reply->elements, 2);
    for (size_t i = 0; i < 2; i++) {
        const redisReply *entry = reply->element[i];
        CU_ASSERT_STRING_EQUAL(text_at(entry, 3), "request.undeliverable");
        CU_ASSERT_STRING_EQUAL(text_at(entry, 8), "requester");
        CU_ASSERT_STRING_EQUAL(text_at(entry, 10), "id");
        CU_ASSERT_STRING_EQUAL(text_at(entry, 11), i ? "8" : "7");
        /* Of what is for all only so much goes with each. */
        CU_ASSERT_EQUAL_FATAL(entry->element[1]->elements, 8 + 8);
        CU_ASSERT_STRING_EQUAL(text_at(entry, 14), "profile");
    }
    freeReplyObject(reply);
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    end();
}

/* One that was answered before is no poison, whatever became of its neighbours. */
static void test_an_answer_that_is_repeated_is_not_set_aside(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(7, 2, "");
    for (unsigned i = 0; i < 4; i++) {
        cm_queue_want(rig.queue, 2);
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
        if (i < 3)
            reopen();
    }
    cm_queue_rig_answer(&rig, 1);
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:dead"), 1);
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    end();
}

static const redisReply *value_of(const redisReply *entry, const char *name)
{
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0)
            return fields->element[i + 1];
    return NULL;
}

static bool has(const redisReply *entry, const char *name, const char *value)
{
    const redisReply *found = value_of(entry, name);
    return value ? found && strcmp(found->str, value) == 0 : !found;
}

static void test_results_that_may_be_grouped_share_what_they_have_in_common(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    rig.groups_results = true;
    push(1, 3, "");
    cm_queue_want(rig.queue, 3);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:results:tests - +");
    CU_ASSERT_EQUAL_FATAL(reply->elements, 2);
    const redisReply *two = reply->element[0], *one = reply->element[1];
    CU_ASSERT_TRUE(has(two, "status", "issued") && has(two, "issuer", "issuing-1"));
    CU_ASSERT_TRUE(has(two, "id.1", "1") && has(two, "id.2", "2") && has(two, "id", NULL));
    CU_ASSERT_TRUE(has(two, "certificate.2", "cert:d-2") && has(two, "certificate", NULL));
    CU_ASSERT_EQUAL(two->element[1]->elements, 2 * (4 + 3 * 2));
    CU_ASSERT_TRUE(has(one, "id", "3") && has(one, "id.1", NULL));
    CU_ASSERT_TRUE(has(one, "status", "issued") && has(one, "certificate", "cert:d-3"));
    freeReplyObject(reply);
    end();
}

/* One requester's results in one entry each, as many as fit, whoever stands between them. */
static void test_results_are_grouped_by_requester_and_within_the_limits(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    rig.groups_results = true;
    for (unsigned i = 0; i < 70; i++) {
        redisReply *reply =
            cm_redis_server_command(&server, "XADD t:requests * id %u device d requester %s", i,
                                    i % 2 ? "tests" : "others");
        freeReplyObject(reply);
    }
    for (unsigned i = 0; i < 2; i++)
        push(100 + 64 * i, 64, "");
    cm_queue_want(rig.queue, 198);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 198));
    cm_queue_rig_answer(&rig, 198);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:results:others"), 1);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:results:tests"), 3); /* 163 */
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    end();
}

static void test_grouped_results_wait_while_the_server_has_no_memory(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    rig.groups_results = true;
    push(1, 5, "");
    cm_queue_want(rig.queue, 5);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 5));
    run_command("CONFIG SET maxmemory 1");
    cm_queue_rig_answer(&rig, 5);
    cm_queue_rig_run(&rig, 300);
    CU_ASSERT_EQUAL(rig.answered_count, 0);
    run_command("CONFIG SET maxmemory 0");
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:results:tests"), 1);
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    end();
}

/* Five are in hand, and there is no credit. */
static void test_an_entry_of_orders_comes_ahead_and_one_of_all_sorts_does_not(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(1, 5, "");
    cm_queue_want(rig.queue, 5);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 5));
    push(10, 40, "");
    push(50, 2, " op.2 retire");
    push(60, 3, " op retire");
    cm_queue_want_ahead(rig.queue, 2, is_retire); /* less than it carries: the third comes later */
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 7));
    expect_in_hand(5, "60", 1);
    expect_in_hand(6, "61", 1);
    CU_ASSERT_TRUE(rig.entries[6]->is_ahead);
    cm_queue_rig_run(&rig, 700);
    CU_ASSERT_EQUAL(rig.delivered_count, 7);
    cm_queue_want_ahead(rig.queue, 1, is_retire);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 8));
    expect_in_hand(7, "62", 1);
    CU_ASSERT_TRUE(rig.entries[7]->is_ahead);
    cm_queue_want(rig.queue, 100);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 8 + 42));
    cm_queue_rig_answer(&rig, 50);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(entries_in_stream(), 0);
    CU_ASSERT_EQUAL(results_of(61), 1);
    end();
}

/* It was read with its entry, and waits for credit: there its order must not wait for a key. */
static void test_an_order_behind_the_credit_comes_ahead_of_its_neighbours(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push(1, 8, " op.7 retire");
    cm_queue_want(rig.queue, 3);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 3));
    cm_queue_want_ahead(rig.queue, 4, is_retire);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 4));
    expect_in_hand(3, "7", 1);
    CU_ASSERT_TRUE(rig.entries[3]->is_ahead);
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 8));
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(rig.delivered_count, 8);
    end();
}

static bool stream_is_empty(void *arg)
{
    (void)arg;
    return entries_in_stream() == 0;
}

static void test_a_server_that_was_killed_under_load_loses_none_of_an_entry(void)
{
    if (!begin(CM_REDIS_SERVER_AOF, 60000))
        return;
    for (unsigned i = 0; i < 100; i++)
        push(100 * i, 1 + i % 64, "");
    rig.answers_at_once = true;
    rig.wants_more = true;
    cm_queue_want(rig.queue, 50);
    for (unsigned i = 0; i < 3; i++) {
        cm_queue_rig_run(&rig, 15);
        cm_redis_server_kill(&server);
        cm_queue_rig_run(&rig, 20);
        CU_ASSERT_TRUE_FATAL(cm_redis_server_restart(&server));
    }
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, stream_is_empty, NULL, 20000));
    for (unsigned i = 0; i < 100; i += 9) {
        CU_ASSERT_TRUE(results_of(100 * i) >= 1);
        CU_ASSERT_TRUE(results_of(100 * i + i % 64) >= 1);
    }
    end();
}

CM_TEST_SUITE(redis_several, CM_TEST(test_an_entry_goes_when_the_last_of_its_requests_is_answered),
              CM_TEST(test_no_more_requests_come_than_the_credit),
              CM_TEST(test_an_entry_of_a_dead_engine_comes_again_whole),
              CM_TEST(test_what_is_given_back_whole_comes_again_to_anyone),
              CM_TEST(test_one_request_given_back_comes_again_beside_its_neighbours),
              CM_TEST(test_a_stopping_engine_leaves_nothing_of_an_entry_to_its_lease),
              CM_TEST(test_answers_that_were_given_up_bring_the_whole_entry_again),
              CM_TEST(test_a_detached_request_is_answered_with_its_neighbours),
              CM_TEST(test_poison_is_copied_a_request_at_a_time),
              CM_TEST(test_an_answer_that_is_repeated_is_not_set_aside),
              CM_TEST(test_results_that_may_be_grouped_share_what_they_have_in_common),
              CM_TEST(test_results_are_grouped_by_requester_and_within_the_limits),
              CM_TEST(test_grouped_results_wait_while_the_server_has_no_memory),
              CM_TEST(test_an_entry_of_orders_comes_ahead_and_one_of_all_sorts_does_not),
              CM_TEST(test_an_order_behind_the_credit_comes_ahead_of_its_neighbours),
              CM_TEST(test_a_server_that_was_killed_under_load_loses_none_of_an_entry));
