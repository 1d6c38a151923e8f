/* What only Redis can do to us: die, forget, refuse, trim, hang. A real server, and real faults. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/redis_queue_rig.h"

/* Returns the server's verdict: true when the entry is in the stream. */
static bool push(const char *id)
{
    redisReply *reply = cm_redis_server_command(
        &server, "XADD t:requests * id %s requester tests device d-%s csr %b", id, id, "x\0y",
        (size_t)3);
    bool good = reply->type == REDIS_REPLY_STRING;
    freeReplyObject(reply);
    return good;
}

static void push_many(unsigned first, unsigned count)
{
    char id[16];
    for (unsigned i = first; i < first + count; i++) {
        snprintf(id, sizeof id, "%u", i);
        CU_ASSERT_TRUE(push(id));
    }
}

static unsigned results_of(const char *id)
{
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:results:tests - +");
    unsigned count = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *fields = reply->element[i]->element[1];
        if (strcmp(fields->element[0]->str, "id") == 0 && strcmp(fields->element[1]->str, id) == 0)
            count++;
    }
    freeReplyObject(reply);
    return count;
}

static bool stream_is_empty(void *arg)
{
    (void)arg;
    return cm_redis_server_number(&server, "XLEN t:requests") == 0;
}

static void test_a_server_that_was_killed_under_load_loses_nothing(void)
{
    char id[16];
    if (!begin(CM_REDIS_SERVER_AOF, 60000))
        return;
    push_many(0, 3000);
    rig.answers_at_once = true;
    rig.wants_more = true;
    cm_queue_want(rig.queue, 64);
    for (unsigned i = 0; i < 3; i++) {
        cm_queue_rig_run(&rig, 30);
        cm_redis_server_kill(&server);
        cm_queue_rig_run(&rig, 20);
        CU_ASSERT_TRUE_FATAL(cm_redis_server_restart(&server));
    }
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, stream_is_empty, NULL, 20000));
    for (unsigned i = 0; i < 3000; i += 17) {
        snprintf(id, sizeof id, "%u", i);
        CU_ASSERT_TRUE(results_of(id) >= 1);
    }
    CU_ASSERT_TRUE(cm_redis_server_number(&server, "XLEN t:results:tests") >= 3000);
    CU_ASSERT_TRUE(rig.events_count[CM_QUEUE_DOWN] >= 1);
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_RESET], 0);
    end();
}

static void test_a_server_that_forgot_everything_is_set_up_again(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    cm_queue_publish_chain(rig.queue, "issuing-1", cm_bytes_str("PEM"));
    cm_queue_want(rig.queue, 100);
    cm_queue_rig_run(&rig, 50);
    run_command("FLUSHALL");
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_RESET, 1));
    push_many(1, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(results_of("1"), 1);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "STRLEN t:ca:issuing-1"), 3);
    end();
}

static void test_a_restart_without_persistence_is_a_reset(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 2);
    cm_queue_want(rig.queue, 100);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    cm_redis_server_kill(&server);
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_DOWN, 1));
    CU_ASSERT_TRUE_FATAL(cm_redis_server_restart(&server));
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_RESET, 1));
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    CU_ASSERT_EQUAL(results_of("1"), 1);
    end();
}

static void test_trimmed_entries_are_told_as_lost(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 5);
    cm_queue_want(rig.queue, 5);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 5));
    cm_queue_rig_close(&rig);
    run_command("XTRIM t:requests MAXLEN 2");
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &settings));
    cm_queue_want(rig.queue, 10);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 2));
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_LOST], 1);
    cm_queue_rig_run(&rig, 100);
    CU_ASSERT_EQUAL(pending_count(), 2);
    end();
}

static void test_what_is_in_hand_is_answered_although_it_was_trimmed(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 2);
    cm_queue_want(rig.queue, 5);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    run_command("XTRIM t:requests MAXLEN 0");
    cm_queue_rig_answer(&rig, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(results_of("2"), 1);
    CU_ASSERT_EQUAL(pending_count(), 0);
    end();
}

static void test_poison_is_copied_to_the_dead_stream(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(7, 1);
    for (unsigned i = 0; i < 4; i++) {
        cm_queue_want(rig.queue, 1);
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
        CU_ASSERT_EQUAL(rig.entries[0]->deliveries_count, i + 1);
        if (i == 3)
            break;
        cm_queue_rig_close(&rig);
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &settings));
    }
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_REQUEST_UNDELIVERABLE);
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(results_of("7"), 1);
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:dead - +");
    CU_ASSERT_EQUAL_FATAL(reply->elements, 1);
    const redisReply *fields = reply->element[0]->element[1];
    CU_ASSERT_STRING_EQUAL(fields->element[3]->str, "request.undeliverable");
    CU_ASSERT_STRING_EQUAL(fields->element[7]->str, "4");
    CU_ASSERT_STRING_EQUAL(fields->element[8]->str, "id");
    CU_ASSERT_EQUAL(fields->element[15]->len, 3);
    freeReplyObject(reply);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:requests"), 0);
    end();
}

static void test_an_answer_without_a_requester_goes_to_the_dead_stream(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    run_command("XADD t:requests * hello world");
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:dead"), 1);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:requests"), 0);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "EXISTS t:results:"), 0);
    end();
}

static bool is_answered(void *arg)
{
    (void)arg;
    return rig.answered_count == 1;
}

static void test_results_wait_while_the_server_has_no_memory(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 2);
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 2));
    run_command("CONFIG SET maxmemory 1");
    cm_queue_rig_answer(&rig, 2);
    cm_queue_rig_run(&rig, 500);
    CU_ASSERT_EQUAL(rig.answered_count, 0);
    CU_ASSERT_EQUAL(pending_count(), 2);
    run_command("CONFIG SET maxmemory 0");
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, is_answered, NULL, 5000));
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    CU_ASSERT_EQUAL(results_of("1"), 1);
    CU_ASSERT_EQUAL(pending_count(), 0);
    end();
}

static void test_results_are_given_up_when_the_lease_has_passed(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 400))
        return;
    push_many(1, 1);
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    run_command("CONFIG SET maxmemory 1");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 1);
    run_command("CONFIG SET maxmemory 0");
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_TRUE(rig.entries[0]->deliveries_count >= 2);
    end();
}

static void test_the_entries_of_a_dead_engine_are_claimed(void)
{
    struct cm_queue_settings other;
    if (!begin(CM_REDIS_SERVER_FLEETING, 1000))
        return;
    push_many(1, 250);
    cm_queue_want(rig.queue, 250);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 250));
    cm_queue_rig_close(&rig);
    other = settings;
    other.consumer = "engine-b";
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &other));
    cm_queue_want(rig.queue, 1000);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 250));
    CU_ASSERT_EQUAL(rig.entries[0]->deliveries_count, 2);
    CU_ASSERT_EQUAL(rig.entries[249]->deliveries_count, 2);
    cm_queue_rig_run(&rig, 2300);
    CU_ASSERT_EQUAL(rig.entries_count, 250);
    end();
}

static void test_what_a_slow_engine_has_in_hand_is_not_claimed(void)
{
    struct cm_queue_rig other;
    struct cm_queue_settings others_settings;
    if (!begin(CM_REDIS_SERVER_FLEETING, 1200))
        return;
    push_many(1, 300);
    cm_queue_want(rig.queue, 300);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 300));
    others_settings = settings;
    others_settings.consumer = "engine-b";
    /* Both queues live on one loop, so that both are served while the test waits. */
    other = (struct cm_queue_rig){ .loop = rig.loop };
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&other, &cm_queue_redis, &others_settings));
    cm_queue_want(other.queue, 300);
    cm_queue_rig_run(&rig, 4000);
    CU_ASSERT_EQUAL(other.entries_count, 0);
    CU_ASSERT_EQUAL(rig.entries_count, 300);
    cm_queue_rig_give_back(&rig, 300);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&other, 300));
    CU_ASSERT_EQUAL(other.entries_count, 300);
    cm_queue_rig_close(&other);
    free(other.entries);
    end();
}

static void push_order(const char *id)
{
    freeReplyObject(cm_redis_server_command(
        &server, "XADD t:requests * op retire id %s requester tests device d-%s", id, id));
}

/* Behind far more than is looked through in one go. Another engine, without credit either, gets none of
   what is in hand; what an engine died of or with comes ahead, too, when its lease has run out. */
static void test_orders_come_ahead_of_any_number_and_to_one_engine(void)
{
    struct cm_queue_rig other;
    struct cm_queue_settings others_settings;
    if (!begin(CM_REDIS_SERVER_FLEETING, 1500))
        return;
    push_many(1, 5000);
    push_order("order-1");
    others_settings = settings;
    others_settings.consumer = "engine-b";
    other = (struct cm_queue_rig){ .loop = rig.loop };
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&other, &cm_queue_redis, &others_settings));
    cm_queue_want_ahead(rig.queue, 10, is_retire);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_EQUAL(rig.entries[0]->deliveries_count, 1);
    cm_queue_want_ahead(other.queue, 10, is_retire);
    push_order("order-2");
    cm_queue_rig_run(&rig, 2500);
    CU_ASSERT_EQUAL(rig.entries_count + other.entries_count, 2);
    CU_ASSERT_EQUAL(pending_count(), 2);
    cm_queue_rig_close(&rig);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&other, 2));
    CU_ASSERT_EQUAL(other.delivered_count, 2);
    cm_queue_rig_answer(&other, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&other, 1));
    CU_ASSERT_EQUAL(pending_count(), 0);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:requests"), 5000);
    cm_queue_rig_close(&other);
    free(other.entries);
    end();
}

/* The rights of a release before: the queue goes on, says so, and asks again after a reconnect. */
static void test_without_the_right_to_look_ahead_the_rest_goes_on(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 3);
    run_command("ACL SETUSER default -xrange");
    cm_queue_want(rig.queue, 1);
    cm_queue_want_ahead(rig.queue, 1, is_retire);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_LIMITED, 1));
    cm_queue_rig_run(&rig, 1200);
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_LIMITED], 1);
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_DOWN], 0);
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 3));
    end();
}

static void test_cut_connections_are_made_again(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 400);
    rig.answers_at_once = true;
    rig.wants_more = true;
    cm_queue_want(rig.queue, 3);
    for (unsigned i = 0; i < 5; i++) {
        cm_queue_rig_run(&rig, 5);
        run_command("CLIENT KILL TYPE normal SKIPME yes");
    }
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, stream_is_empty, NULL, 10000));
    CU_ASSERT_TRUE(cm_redis_server_number(&server, "XLEN t:results:tests") >= 400);
    end();
}

static void test_a_server_that_hangs_is_given_up_and_found_again(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    push_many(1, 1);
    cm_queue_want(rig.queue, 2);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    run_command("CLIENT PAUSE 2500 ALL");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_DOWN, 1));
    CU_ASSERT_PTR_NOT_NULL(strstr(rig.last_down, "has not answered"));
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_UP, 2));
    CU_ASSERT_TRUE(results_of("1") >= 1);
    end();
}

static void test_a_server_that_refuses_is_not_asked_in_a_busy_loop(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    run_command("CONFIG SET requirepass secret");
    run_command("CLIENT KILL TYPE normal SKIPME yes");
    run_command("CONFIG RESETSTAT");
    cm_queue_want(rig.queue, 1);
    cm_queue_rig_run(&rig, 1500);
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_DOWN], 1);
    /* Two links, about one attempt a second each. */
    redisReply *reply = cm_redis_server_command(&server, "INFO stats");
    const char *line = strstr(reply->str, "total_connections_received:");
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    CU_ASSERT_TRUE(atoi(line + strlen("total_connections_received:")) <= 8);
    freeReplyObject(reply);
    freeReplyObject(cm_redis_server_command(&server, "CONFIG SET requirepass %s", ""));
    push_many(1, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 1));
    end();
}

static void test_the_password_comes_from_its_reference(void)
{
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    cm_queue_rig_close(&rig);
    run_command("CONFIG SET requirepass s3cret");
    setenv("CM_TEST_REDIS_PASSWORD", "s3cret", 1);
    settings.password_ref = "env:CM_TEST_REDIS_PASSWORD";
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &settings));
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_UP, 2));
    end();
}

static void test_an_entry_of_very_many_fields_is_refused_in_bounded_memory(void)
{
    enum { PAIRS_COUNT = 100000 };
    if (!begin(CM_REDIS_SERVER_FLEETING, 60000))
        return;
    const char **words = calloc(2 * PAIRS_COUNT + 3, sizeof *words);
    words[0] = "XADD";
    words[1] = "t:requests";
    words[2] = "*";
    for (unsigned i = 3; i < 2 * PAIRS_COUNT + 3; i++)
        words[i] = i % 2 ? "requester" : "tests";
    freeReplyObject(redisCommandArgv(server.connection, 2 * PAIRS_COUNT + 3, words, NULL));
    free(words);
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_REQUEST_FIELD_DUPLICATE);
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:requests"), 0);
    end();
}

CM_TEST_SUITE(redis_queue, CM_TEST(test_a_server_that_was_killed_under_load_loses_nothing),
              CM_TEST(test_a_server_that_forgot_everything_is_set_up_again),
              CM_TEST(test_a_restart_without_persistence_is_a_reset),
              CM_TEST(test_trimmed_entries_are_told_as_lost),
              CM_TEST(test_what_is_in_hand_is_answered_although_it_was_trimmed),
              CM_TEST(test_poison_is_copied_to_the_dead_stream),
              CM_TEST(test_an_answer_without_a_requester_goes_to_the_dead_stream),
              CM_TEST(test_results_wait_while_the_server_has_no_memory),
              CM_TEST(test_results_are_given_up_when_the_lease_has_passed),
              CM_TEST(test_the_entries_of_a_dead_engine_are_claimed),
              CM_TEST(test_what_a_slow_engine_has_in_hand_is_not_claimed),
              CM_TEST(test_orders_come_ahead_of_any_number_and_to_one_engine),
              CM_TEST(test_without_the_right_to_look_ahead_the_rest_goes_on),
              CM_TEST(test_cut_connections_are_made_again),
              CM_TEST(test_a_server_that_hangs_is_given_up_and_found_again),
              CM_TEST(test_a_server_that_refuses_is_not_asked_in_a_busy_loop),
              CM_TEST(test_the_password_comes_from_its_reference),
              CM_TEST(test_an_entry_of_very_many_fields_is_refused_in_bounded_memory));
