/* Tasks run on the loop, in order, never inside the call; workers hand their results back there. */
#include "engine/base/workers.h"
#include "tests/support/test_main.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TASKS = 1000, WORKS = 2000 };

static struct cm_loop *loop;
static int order[TASKS];
static int ran_count;

struct numbered {
    struct cm_task task;
    int number;
};

static void note(void *arg)
{
    struct numbered *numbered = arg;
    order[ran_count++] = numbered->number;
    if (ran_count == TASKS)
        cm_loop_stop(loop);
}

static struct numbered tasks[TASKS];

static void *post_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (struct numbered){ { .run = note, .arg = &tasks[i] }, i };
        cm_loop_post(loop, &tasks[i].task);
    }
    return NULL;
}

static void test_loop_runs_tasks_of_another_thread_in_order(void)
{
    struct cm_error err;
    pthread_t thread;
    int misplaced = 0;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    ran_count = 0;
    pthread_create(&thread, NULL, post_all, NULL);
    cm_loop_run(loop);
    pthread_join(thread, NULL);
    for (int i = 0; i < TASKS; i++)
        misplaced += order[i] != i;
    CU_ASSERT_EQUAL(misplaced, 0);
    cm_loop_free(loop);
}

static struct cm_task again;
static int depth, deepest, turns;

static void post_again(void *arg)
{
    (void)arg;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (++turns < 1000)
        cm_loop_post(loop, &again);
    else
        cm_loop_stop(loop);
    depth--;
}

static void test_loop_post_never_runs_inside_the_call(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    again = (struct cm_task){ .run = post_again };
    cm_loop_post(loop, &again);
    cm_loop_run(loop);
    CU_ASSERT_EQUAL(turns, 1000);
    CU_ASSERT_EQUAL(deepest, 1);
    cm_loop_free(loop);
}

static struct cm_timer timer;
static int rings;

static void ring(void *arg)
{
    (void)arg;
    rings++;
    cm_loop_stop(loop);
}

static void test_timer_rings_once_and_can_be_moved(void)
{
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    CU_ASSERT_FALSE(cm_timer_is_running(&timer));
    cm_timer_start(&timer, loop, 60000, ring, NULL);
    cm_timer_start(&timer, loop, 1, ring, NULL);
    CU_ASSERT_TRUE(cm_timer_is_running(&timer));
    cm_loop_run(loop);
    CU_ASSERT_EQUAL(rings, 1);
    CU_ASSERT_FALSE(cm_timer_is_running(&timer));
    cm_timer_done(&timer);
    cm_timer_done(&timer);
    cm_loop_free(loop);
}

static atomic_int opened, closed, run_count;
static int done_count;
static pthread_t loop_thread;
static int done_elsewhere;

static cm_status open_context(void *arg, uint32_t index, void **ret_context, struct cm_error *err)
{
    const int *fails_at = arg;
    if (fails_at && *fails_at == (int)index)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "worker %u may not", index);
    atomic_fetch_add(&opened, 1);
    *ret_context = &run_count;
    return CM_OK;
}

static void close_context(void *context)
{
    (void)context;
    atomic_fetch_add(&closed, 1);
}

static void run_work(struct cm_work *work, void *context)
{
    (void)work;
    atomic_fetch_add((atomic_int *)context, 1);
}

static void work_done(struct cm_work *work)
{
    (void)work;
    done_elsewhere += !pthread_equal(loop_thread, pthread_self());
    if (++done_count == WORKS)
        cm_loop_stop(loop);
}

static const struct cm_worker_ops ops = { .name = "test",
                                          .open = open_context,
                                          .close = close_context };

static void test_workers_run_everything_once_and_finish_on_the_loop(void)
{
    static struct cm_work works[WORKS];
    struct cm_workers *workers;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_workers_new(loop, 3, &ops, NULL, &workers, &err), CM_OK);
    CU_ASSERT_EQUAL(opened, 3);
    loop_thread = pthread_self();
    for (int i = 0; i < WORKS; i++) {
        works[i] = (struct cm_work){ .run = run_work, .done = work_done };
        cm_workers_submit(workers, &works[i]);
    }
    cm_loop_run(loop);
    CU_ASSERT_EQUAL(run_count, WORKS);
    CU_ASSERT_EQUAL(done_count, WORKS);
    CU_ASSERT_EQUAL(done_elsewhere, 0);
    cm_workers_free(workers);
    CU_ASSERT_EQUAL(closed, 3);
    cm_loop_free(loop);
}

static void test_workers_say_why_one_of_them_could_not_open(void)
{
    struct cm_workers *workers = NULL;
    struct cm_error err;
    int fails_at = 1;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    CU_ASSERT_EQUAL(cm_workers_new(loop, 2, &ops, &fails_at, &workers, &err), CM_DENIED);
    CU_ASSERT_STRING_EQUAL(err.text, "worker 1 may not");
    CU_ASSERT_PTR_NULL(workers);
    cm_loop_free(loop);
}

static int pair[2];
static struct cm_watch readable, writable;
static unsigned bytes_count, writables_count;

/* Takes one byte a turn; the loop comes back as long as there is one. */
static void on_readable(void *arg)
{
    char byte;
    CU_ASSERT_PTR_EQUAL(arg, &readable);
    CU_ASSERT_EQUAL(read(pair[0], &byte, 1), 1);
    if (++bytes_count == 3)
        cm_loop_stop(loop);
}

static void on_writable(void *arg)
{
    (void)arg;
    writables_count++;
    cm_watch_stop(&writable);
    cm_watch_stop(&writable);
    CU_ASSERT_EQUAL(write(pair[1], "abc", 3), 3);
}

static void check_watches(cm_status (*new_loop)(struct cm_loop **ret_loop, struct cm_error *err))
{
    struct cm_error err;
    bytes_count = writables_count = 0;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CU_ASSERT_EQUAL_FATAL(new_loop(&loop, &err), CM_OK);
    cm_watch_start(&readable, loop, pair[0], CM_READABLE, on_readable, &readable);
    cm_watch_start(&writable, loop, pair[1], CM_WRITABLE, on_writable, NULL);
    cm_loop_run(loop);
    CU_ASSERT_EQUAL(bytes_count, 3);
    CU_ASSERT_EQUAL(writables_count, 1);
    cm_watch_done(&readable);
    cm_watch_done(&readable);
    cm_watch_done(&writable);
    cm_loop_free(loop);
    close(pair[0]);
    close(pair[1]);
}

static void test_watch_calls_back_while_ready_until_it_is_stopped(void)
{
    check_watches(cm_loop_new);
}

/* The second pair has the descriptors of the first: what the first changed last is not held against it. */
static void test_a_loop_for_sockets_watches_descriptors_that_come_again(void)
{
    check_watches(cm_loop_new_for_sockets);
    check_watches(cm_loop_new_for_sockets);
}

CM_TEST_SUITE(loop, CM_TEST(test_loop_runs_tasks_of_another_thread_in_order),
              CM_TEST(test_loop_post_never_runs_inside_the_call),
              CM_TEST(test_timer_rings_once_and_can_be_moved),
              CM_TEST(test_watch_calls_back_while_ready_until_it_is_stopped),
              CM_TEST(test_a_loop_for_sockets_watches_descriptors_that_come_again),
              CM_TEST(test_workers_run_everything_once_and_finish_on_the_loop),
              CM_TEST(test_workers_say_why_one_of_them_could_not_open));
