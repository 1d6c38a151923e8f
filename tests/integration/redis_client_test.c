/* The requester's side and the engine's side, against each other on one loop. */
#include <stdio.h>
#include <stdlib.h>

#include "queue/client.h"
#include "tests/support/queue_rig.h"
#include "tests/support/redis_server.h"
#include "tests/support/test_main.h"

enum { REQUESTS_COUNT = 2000 };

static struct cm_redis_server server;
static struct cm_queue_rig rig;
static struct cm_client *client;
static uint32_t results_count;
static uint32_t pushed_count;
static uint32_t ups_count;
static uint32_t chain_size;
static cm_status pushed_status;
static struct cm_client_result last;
static char last_certificate[64];
static char ids[REQUESTS_COUNT][16];
static struct cm_client_request requests[REQUESTS_COUNT];

static void on_results(const struct cm_client_result *results, uint32_t count, void *arg)
{
    (void)arg;
    results_count += count;
    last = results[count - 1];
    snprintf(last_certificate, sizeof last_certificate, "%.*s", (int)last.certificate.size,
             (const char *)last.certificate.data);
}

static void on_event(enum cm_queue_event event, const char *text, void *arg)
{
    (void)text;
    (void)arg;
    ups_count += event == CM_QUEUE_UP ? 1 : 0;
}

static void on_pushed(cm_status status, const char *text, void *arg)
{
    (void)text;
    (void)arg;
    pushed_count++;
    pushed_status = status;
}

static void on_chain(struct cm_bytes pem, void *arg)
{
    (void)arg;
    chain_size = (uint32_t)pem.size + 1;
}

static struct cm_client_settings client_settings(void)
{
    return (struct cm_client_settings){
        .url = server.url, .prefix = "t", .requester = "tests", .timeout_ms = 1000
    };
}

static bool begin(bool deletes_results)
{
    if (!cm_redis_server_start(&server, CM_REDIS_SERVER_AOF)) {
        cm_test_skip("redis-server is not installed or does not start");
        return false;
    }
    const struct cm_queue_settings settings = {
        .url = server.url, .prefix = "t", .consumer = "engine", .timeout_ms = 1000
    };
    struct cm_client_settings clients = client_settings();
    clients.deletes_results = deletes_results;
    results_count = pushed_count = ups_count = chain_size = 0;
    cm_queue_rig_init(&rig);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &settings));
    CU_ASSERT_EQUAL_FATAL(
        cm_client_open(rig.loop, &clients, on_results, on_event, NULL, &client, NULL), CM_OK);
    for (unsigned i = 0; i < REQUESTS_COUNT; i++) {
        snprintf(ids[i], sizeof ids[i], "id-%u", i);
        requests[i].fields[CM_FIELD_ID] = cm_bytes_str(ids[i]);
        requests[i].fields[CM_FIELD_DEVICE] = cm_bytes_str("d");
        requests[i].fields[CM_FIELD_CSR] = cm_bytes("\x30\x00", 2);
    }
    return true;
}

static void end(void)
{
    cm_client_close(client);
    client = NULL;
    cm_queue_rig_done(&rig);
    cm_redis_server_stop(&server);
}

static bool all_came(void *arg)
{
    return results_count >= *(const uint32_t *)arg;
}

static bool wait_results(uint32_t count)
{
    return cm_queue_rig_wait(&rig, all_came, &count, 20000);
}

static bool chain_came(void *arg)
{
    (void)arg;
    return chain_size > 0;
}

static bool push_ended(void *arg)
{
    (void)arg;
    return pushed_count > 0;
}

/* Both ways several at a time, with entries that are not full, and requests of another's name between. */
static void test_each_request_of_an_entry_gets_its_result(void)
{
    struct cm_client_settings clients = client_settings();
    if (!begin(true))
        return;
    cm_client_close(client);
    clients.deletes_results = true;
    clients.per_entry = 30;
    CU_ASSERT_EQUAL_FATAL(
        cm_client_open(rig.loop, &clients, on_results, on_event, NULL, &client, NULL), CM_OK);
    for (unsigned i = 7; i < REQUESTS_COUNT; i += 500)
        requests[i].fields[CM_FIELD_REQUESTER] = cm_bytes_str("tests");
    rig.answers_at_once = true;
    rig.wants_more = true;
    rig.groups_results = true;
    cm_client_push(client, requests, REQUESTS_COUNT, on_pushed, NULL);
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, push_ended, NULL, 10000));
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:requests"), (REQUESTS_COUNT + 29) / 30);
    cm_queue_want(rig.queue, 100);
    CU_ASSERT_TRUE(wait_results(REQUESTS_COUNT));
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(results_count, REQUESTS_COUNT);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:requests"), 0);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:results:tests"), 0);
    memset(requests, 0, sizeof requests);
    end();
}

static void test_each_request_gets_its_result(void)
{
    if (!begin(true))
        return;
    rig.answers_at_once = true;
    rig.wants_more = true;
    cm_queue_want(rig.queue, 100);
    for (unsigned i = 0; i < REQUESTS_COUNT; i += 200)
        cm_client_push(client, requests + i, 200, on_pushed, NULL);
    CU_ASSERT_EQUAL(pushed_count, 0);
    CU_ASSERT_TRUE(wait_results(REQUESTS_COUNT));
    CU_ASSERT_EQUAL(pushed_count, REQUESTS_COUNT / 200);
    CU_ASSERT_EQUAL(pushed_status, CM_OK);
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(results_count, REQUESTS_COUNT);
    CU_ASSERT_EQUAL(cm_redis_server_number(&server, "XLEN t:results:tests"), 0);
    end();
}

static void test_a_result_has_its_fields_and_its_chain(void)
{
    if (!begin(false))
        return;
    cm_queue_publish_chain(rig.queue, "issuing-1", cm_bytes_str("PEM!"));
    cm_queue_want(rig.queue, 1);
    cm_client_push(client, requests, 1, on_pushed, NULL);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_REQUESTER), "tests");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(wait_results(1));
    CU_ASSERT_STRING_EQUAL(last_certificate, "cert:d");
    cm_client_read_chain(client, "issuing-1", on_chain, NULL);
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, chain_came, NULL, 5000));
    CU_ASSERT_EQUAL(chain_size, 5);
    end();
}

static void test_older_results_are_not_read(void)
{
    if (!begin(false))
        return;
    freeReplyObject(
        cm_redis_server_command(&server, "XADD t:results:tests * id old status issued"));
    cm_client_close(client);
    const struct cm_client_settings settings = client_settings();
    CU_ASSERT_EQUAL_FATAL(
        cm_client_open(rig.loop, &settings, on_results, on_event, NULL, &client, NULL), CM_OK);
    rig.answers_at_once = true;
    cm_queue_want(rig.queue, 1);
    cm_client_push(client, requests, 1, on_pushed, NULL);
    CU_ASSERT_TRUE(wait_results(1));
    cm_queue_rig_run(&rig, 50);
    CU_ASSERT_EQUAL(results_count, 1);
    end();
}

static void test_reading_goes_on_after_a_restart_of_the_server(void)
{
    if (!begin(false))
        return;
    rig.answers_at_once = true;
    rig.wants_more = true;
    cm_queue_want(rig.queue, 10);
    cm_client_push(client, requests, 100, on_pushed, NULL);
    CU_ASSERT_TRUE(wait_results(100));
    cm_redis_server_kill(&server);
    cm_queue_rig_run(&rig, 50);
    cm_client_push(client, requests + 100, 100, on_pushed, NULL);
    CU_ASSERT_TRUE_FATAL(cm_redis_server_restart(&server));
    /* At least once: an answer whose confirmation died with the server is written again. */
    CU_ASSERT_TRUE(wait_results(200));
    CU_ASSERT_EQUAL(ups_count, 2);
    end();
}

static void test_a_push_that_is_refused_says_why(void)
{
    if (!begin(false))
        return;
    freeReplyObject(cm_redis_server_command(&server, "CONFIG SET maxmemory 1"));
    cm_client_push(client, requests, 10, on_pushed, NULL);
    CU_ASSERT_TRUE(cm_queue_rig_wait(&rig, push_ended, NULL, 5000));
    CU_ASSERT_EQUAL(pushed_status, CM_DENIED);
    end();
}

static void test_a_push_that_waits_at_close_is_called_back(void)
{
    if (!begin(false))
        return;
    cm_client_push(client, requests, 10, on_pushed, NULL);
    cm_client_close(client);
    client = NULL;
    CU_ASSERT_EQUAL(pushed_count, 1);
    CU_ASSERT_EQUAL(pushed_status, CM_UNAVAILABLE);
    end();
}

CM_TEST_SUITE(redis_client, CM_TEST(test_each_request_of_an_entry_gets_its_result),
              CM_TEST(test_each_request_gets_its_result),
              CM_TEST(test_a_result_has_its_fields_and_its_chain),
              CM_TEST(test_older_results_are_not_read),
              CM_TEST(test_reading_goes_on_after_a_restart_of_the_server),
              CM_TEST(test_a_push_that_is_refused_says_why),
              CM_TEST(test_a_push_that_waits_at_close_is_called_back));
