/*
 * Control, with a store that does what the test says: orders that take several operations, that fail in
 * between, or whose engine stops; and CRLs anew.
 */
#include "engine/control/control.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

static struct cm_loop *loop;
static struct cm_control *control;
static struct cm_settings settings;
static char store_path[400];
static int client;
static char answer[65536];
static size_t answer_size;
static struct cm_timer watch, store_timer;
static unsigned looks_count, revoked_count;

/* What the store does with an operation. */
static void (*carry_out)(struct cm_store_op *op);
static struct cm_store_op *submitted;

static void on_store(void *arg)
{
    struct cm_store_op *op = submitted;
    (void)arg;
    submitted = NULL;
    op->status = CM_OK;
    carry_out(op);
    op->done(op);
}

static void submit(struct cm_store *store, struct cm_store_op *op)
{
    (void)store;
    CU_ASSERT_PTR_NULL_FATAL(submitted);
    submitted = op;
    cm_timer_start(&store_timer, loop, 1, on_store, NULL);
}

static void on_notice(const char *text, void *arg)
{
    (void)arg;
    printf("%s\n", text);
}

static void on_idle(void *arg)
{
    (void)arg;
}

static void on_revoked(void *arg)
{
    (void)arg;
    revoked_count++;
}

static void open_with(cm_status (*publish)(const char *issuer, cm_control_published_fn *done,
                                           void *done_arg, struct cm_error *err, void *arg))
{
    static const struct cm_store_ops ops = { .name = "fake", .submit = submit };
    static struct cm_store store = { .ops = &ops };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct cm_error err;
    snprintf(store_path, sizeof store_path, "%s/s.db", cm_test_scratch());
    settings.store_path = store_path;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    const struct cm_control_env env = { .loop = loop,
                                        .settings = &settings,
                                        .store = &store,
                                        .on_revoked = on_revoked,
                                        .publish = publish,
                                        .on_notice = on_notice,
                                        .on_idle = on_idle };
    CU_ASSERT_EQUAL_FATAL(cm_control_open(&env, &control, &err), CM_OK);
    CU_ASSERT_TRUE_FATAL(cm_control_path(store_path, address.sun_path, sizeof address.sun_path));
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    CU_ASSERT_EQUAL_FATAL(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
    revoked_count = 0;
}

static void close_all(void)
{
    close(client);
    cm_timer_done(&watch);
    cm_timer_done(&store_timer);
    cm_control_close(control);
    cm_loop_free(loop);
}

/* The answer is there, or ten seconds are over. */
static void look(void *arg)
{
    ssize_t size =
        recv(client, answer + answer_size, sizeof answer - 1 - answer_size, MSG_DONTWAIT);
    (void)arg;
    answer_size += size > 0 ? (size_t)size : 0;
    if ((answer_size > 0 && answer[answer_size - 1] == '\n') || ++looks_count > 5000)
        cm_loop_stop(loop);
    else
        cm_timer_start(&watch, loop, 2, look, NULL);
}

static json_t *ask(const char *request)
{
    looks_count = 0;
    answer_size = 0;
    CU_ASSERT_EQUAL_FATAL(send(client, request, strlen(request), 0), (ssize_t)strlen(request));
    cm_timer_start(&watch, loop, 1, look, NULL);
    cm_loop_run(loop);
    answer[answer_size] = '\0';
    json_t *object = json_loads(answer, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    return object;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "(none)";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const json_t *outcome(const json_t *object, size_t position)
{
    return json_array_get(json_object_get(object, "orders"), position);
}

/* -------------------------------------------------------------------------------------- orders -- */

#define ORDERS(list)                                                                               \
    "{\"v\":1,\"op\":\"orders\",\"actor\":\"operator:ann\",\"orders\":[" list "]}\n"
#define RETIRE(id) "{\"kind\":\"retire\",\"device\":\"" id "\"}"
#define GROUP      "{\"kind\":\"revoke\",\"group\":\"pumps\"}"

static unsigned ops_count;

/* A group of three devices, one an operation. */
static void do_group_by_device(struct cm_store_op *op)
{
    ops_count++;
    for (uint32_t i = 0; i < op->orders_count; i++) {
        struct cm_order *order = &op->orders[i];
        CU_ASSERT_TRUE(cm_bytes_is(order->actor, "operator:ann"));
        CU_ASSERT_PTR_NULL(order->groups);
        CU_ASSERT_PTR_NULL(order->key);
        order->devices_changed = 1;
        order->certificates_changed = 2;
        bool goes_on = order->group.size > 0 && order->after_device < 2 && ops_count < 50;
        order->last_device = goes_on ? order->after_device + 1 : 0;
    }
}

static void test_a_group_takes_operations_of_its_own_and_is_summed_up(void)
{
    open_with(NULL);
    carry_out = do_group_by_device;
    ops_count = 0;
    json_t *object = ask(ORDERS(RETIRE("a") "," RETIRE("b") "," GROUP "," RETIRE("c")));
    CU_ASSERT_EQUAL(ops_count, 1 + 3 + 1);
    CU_ASSERT_EQUAL(revoked_count, ops_count);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(object, "orders")), 4);
    CU_ASSERT_PTR_NULL(json_object_get(object, "error"));
    CU_ASSERT_EQUAL(number_of(outcome(object, 1), "certificates"), 2);
    CU_ASSERT_EQUAL(number_of(outcome(object, 2), "certificates"), 6);
    CU_ASSERT_EQUAL(number_of(outcome(object, 2), "devices"), 3);
    CU_ASSERT_EQUAL(number_of(outcome(object, 3), "devices"), 1);
    json_decref(object);
    close_all();
}

static void test_texts_that_are_refused_do_not_reach_the_store(void)
{
    open_with(NULL);
    carry_out = do_group_by_device;
    ops_count = 0;
    json_t *object = ask(ORDERS("{\"kind\":\"retire\"}," RETIRE("") "," RETIRE("a")));
    CU_ASSERT_EQUAL(ops_count, 1);
    CU_ASSERT_STRING_EQUAL(text_of(outcome(object, 0), "code"), "request.field-missing");
    CU_ASSERT_STRING_EQUAL(text_of(outcome(object, 1), "code"), "policy.device-invalid");
    CU_ASSERT_STRING_EQUAL(text_of(outcome(object, 2), "code"), "");
    json_decref(object);
    object = ask(ORDERS("{\"kind\":\"retire\"}"));
    CU_ASSERT_EQUAL(ops_count, 1);
    json_decref(object);
    close_all();
}

static void fail_the_third(struct cm_store_op *op)
{
    do_group_by_device(op);
    if (ops_count == 3) {
        op->status = CM_IO;
        snprintf(op->err.text, sizeof op->err.text, "the disk is full");
    }
}

static void test_what_was_carried_out_before_a_failure_is_told_beside_it(void)
{
    open_with(NULL);
    carry_out = fail_the_third;
    ops_count = 0;
    json_t *object = ask(ORDERS(RETIRE("a") "," GROUP "," RETIRE("b")));
    CU_ASSERT_STRING_EQUAL(text_of(object, "error"), "the disk is full");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(object, "orders")), 1);
    CU_ASSERT_EQUAL(revoked_count, 2);
    json_decref(object);
    close_all();
}

static void stop_meanwhile(struct cm_store_op *op)
{
    do_group_by_device(op);
    if (ops_count == 2)
        cm_control_stop(control);
}

static void test_an_engine_that_stops_ends_a_long_order_in_between(void)
{
    open_with(NULL);
    carry_out = stop_meanwhile;
    ops_count = 0;
    json_t *object = ask(ORDERS(RETIRE("a") "," GROUP));
    CU_ASSERT_EQUAL(ops_count, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(text_of(object, "error"), "the engine stops"));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(object, "orders")), 1);
    json_decref(object);
    close_all();
}

/* ------------------------------------------------------------------------------------- publish -- */

static struct {
    char issuer[32];
    cm_control_published_fn *done;
    void *done_arg;
    struct cm_timer timer;
} publishing;

static void on_publish_later(void *arg)
{
    (void)arg;
    publishing.done(16, 1, "a key is away", publishing.done_arg);
}

static cm_status publish(const char *issuer, cm_control_published_fn *done, void *done_arg,
                         struct cm_error *err, void *arg)
{
    (void)arg;
    if (issuer && strcmp(issuer, "issuing-1") != 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "there is no %s", issuer);
    snprintf(publishing.issuer, sizeof publishing.issuer, "%s", issuer ? issuer : "(all)");
    publishing.done = done;
    publishing.done_arg = done_arg;
    cm_timer_start(&publishing.timer, loop, 5, on_publish_later, NULL);
    return CM_OK;
}

static void test_crls_are_made_anew_for_one_issuer_or_for_all(void)
{
    open_with(publish);
    json_t *object = ask("{\"v\":1,\"op\":\"publish\",\"issuer\":\"issuing-1\"}\n");
    CU_ASSERT_STRING_EQUAL(publishing.issuer, "issuing-1");
    CU_ASSERT_EQUAL(number_of(object, "published"), 16);
    CU_ASSERT_EQUAL(number_of(object, "failed"), 1);
    CU_ASSERT_STRING_EQUAL(text_of(object, "why"), "a key is away");
    json_decref(object);
    object = ask("{\"v\":1,\"op\":\"publish\"}\n");
    CU_ASSERT_STRING_EQUAL(publishing.issuer, "(all)");
    json_decref(object);
    object = ask("{\"v\":1,\"op\":\"publish\",\"issuer\":\"issuing-9\"}\n");
    CU_ASSERT_STRING_EQUAL(text_of(object, "error"), "there is no issuing-9");
    json_decref(object);
    cm_timer_done(&publishing.timer);
    close_all();
}

static void test_an_engine_without_crls_says_so(void)
{
    open_with(NULL);
    json_t *object = ask("{\"v\":1,\"op\":\"publish\"}\n");
    CU_ASSERT_STRING_EQUAL(text_of(object, "error"), "this engine makes no CRLs");
    json_decref(object);
    close_all();
}

CM_TEST_SUITE(control, CM_TEST(test_a_group_takes_operations_of_its_own_and_is_summed_up),
              CM_TEST(test_texts_that_are_refused_do_not_reach_the_store),
              CM_TEST(test_what_was_carried_out_before_a_failure_is_told_beside_it),
              CM_TEST(test_an_engine_that_stops_ends_a_long_order_in_between),
              CM_TEST(test_crls_are_made_anew_for_one_issuer_or_for_all),
              CM_TEST(test_an_engine_without_crls_says_so));
