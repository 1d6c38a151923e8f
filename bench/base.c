/* Base: memory of a batch, hashes, and the ways between threads. */
#include "engine/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "bench/suites.h"
#include "engine/base/hash.h"
#include "engine/base/loop.h"
#include "engine/base/workers.h"

enum { WORKS_MAX = 256, ALLOCATION_SIZE = 96, MESSAGE_SIZE_MAX = 65536 };

/* ------------------------------------------------------------------ arena and hash -- */

static struct cm_arena arena;
static uint8_t message[MESSAGE_SIZE_MAX];

static bool open_arena(struct cm_bench_run *run)
{
    cm_arena_init(&arena, 1 << 16);
    run->self = &arena;
    return true;
}

static void close_arena(struct cm_bench_run *run)
{
    (void)run;
    cm_arena_done(&arena);
}

/* As a batch does it: many small pieces, given back at once. */
static bool allocate(struct cm_bench_run *run)
{
    cm_arena_reset(&arena);
    for (uint32_t i = 0; i < run->size; i++)
        *(volatile uint8_t *)cm_arena_alloc(&arena, ALLOCATION_SIZE) = 1;
    return true;
}

static bool set_bytes(struct cm_bench_run *run)
{
    run->bytes = run->size;
    return true;
}

static bool hash_sha256(struct cm_bench_run *run)
{
    const struct cm_bytes part = cm_bytes(message, run->size);
    cm_sha256(&part, 1, message);
    return true;
}

static bool hash_sha1(struct cm_bench_run *run)
{
    const struct cm_bytes part = cm_bytes(message, run->size);
    cm_sha1(&part, 1, message);
    return true;
}

/* ------------------------------------------------------------------ threads -- */

static struct {
    struct cm_loop *loop;
    struct cm_workers *workers;
    struct cm_work works[WORKS_MAX];
    struct cm_task tasks[WORKS_MAX];
    uint32_t pending_count;
} threads;

static cm_status open_worker(void *arg, uint32_t index, void **ret_context, struct cm_error *err)
{
    (void)index;
    (void)err;
    *ret_context = arg;
    return CM_OK;
}

static void close_worker(void *context)
{
    (void)context;
}

static bool open_threads(struct cm_bench_run *run)
{
    static const struct cm_worker_ops ops = { .name = "bench",
                                              .open = open_worker,
                                              .close = close_worker };
    struct cm_error err;
    if (cm_loop_new(&threads.loop, &err) != CM_OK
        || cm_workers_new(threads.loop, 1, &ops, &threads, &threads.workers, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    return true;
}

static void close_threads(struct cm_bench_run *run)
{
    (void)run;
    if (threads.workers)
        cm_workers_free(threads.workers);
    cm_loop_free(threads.loop);
    memset(&threads, 0, sizeof threads);
}

static void end_one(void)
{
    if (--threads.pending_count == 0)
        cm_loop_stop(threads.loop);
}

static void work(struct cm_work *self, void *context)
{
    (void)self;
    (void)context;
}

static void on_worked(struct cm_work *self)
{
    (void)self;
    end_one();
}

/* To a worker that sleeps, and back to a loop that waits. */
static bool hand_over(struct cm_bench_run *run)
{
    threads.pending_count = run->size;
    for (uint32_t i = 0; i < run->size; i++) {
        threads.works[i] = (struct cm_work){ .run = work, .done = on_worked };
        cm_workers_submit(threads.workers, &threads.works[i]);
    }
    cm_loop_run(threads.loop);
    return true;
}

static void on_task(void *arg)
{
    (void)arg;
    end_one();
}

/* From the loop's own thread: what a completion costs. */
static bool post(struct cm_bench_run *run)
{
    threads.pending_count = run->size;
    for (uint32_t i = 0; i < run->size; i++) {
        threads.tasks[i] = (struct cm_task){ .run = on_task };
        cm_loop_post(threads.loop, &threads.tasks[i]);
    }
    cm_loop_run(threads.loop);
    return true;
}

static const struct cm_bench benches[] = {
    { .name = "arena",
      .setup = open_arena,
      .run = allocate,
      .teardown = close_arena,
      .sizes = { 64, 4096 } },
    { .name = "sha256", .setup = set_bytes, .run = hash_sha256, .sizes = { 64, 600, 65536 } },
    { .name = "sha1", .setup = set_bytes, .run = hash_sha1, .sizes = { 64 } },
    { .name = "mailbox",
      .setup = open_threads,
      .run = post,
      .teardown = close_threads,
      .sizes = { 1, 256 } },
    { .name = "workers",
      .setup = open_threads,
      .run = hand_over,
      .teardown = close_threads,
      .is_concurrent = true,
      .sizes = { 1, 8, 256 } },
};

const struct cm_bench_suite cm_bench_base = { "base", benches, CM_BENCH_COUNT(benches), NULL };
