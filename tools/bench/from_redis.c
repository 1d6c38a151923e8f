/* A run through Redis: a private server, the load generator beside it, the engine here. */
#include "tools/bench/bench.h"

#include <string.h>

#include "queue/queue.h"
#include "tools/bench/load.h"
#include "tools/private_redis.h"

static void begin(struct cm_loop *loop, void *arg)
{
    struct cm_bench_load *load = arg;
    (void)loop;
    load->page->go = true;
}

static void count(uint32_t *ret_sent, uint32_t *ret_answered, void *arg)
{
    const struct cm_bench_load *load = arg;
    *ret_sent = load->page->sent;
    *ret_answered = load->page->answered;
}

static bool is_done(void *arg)
{
    return cm_bench_load_has_ended(arg);
}

static void take_over(const struct cm_bench_load_page *page, struct cm_bench_result *result)
{
    result->figures = page->figures;
    result->cpu_s[CM_BENCH_PROCESS_LOAD] = page->figures.load_cpu_s;
    result->fleet_s = page->fleet_s;
    result->is_fleet_cached = page->is_fleet_cached;
    if (result->machine_s > 0)
        result->others_share -= page->figures.load_cpu_s / result->machine_s;
    if (result->others_share < 0)
        result->others_share = 0;
    memcpy(result->type_counts, page->type_counts, sizeof result->type_counts);
}

static cm_status run_beside(const struct cm_bench_plan *plan, const struct cm_private_redis *redis,
                            const struct cm_bench_deployment *deployment,
                            struct cm_bench_load *load, struct cm_bench_result *result,
                            struct cm_error *err)
{
    const struct cm_queue_settings queue = {
        .url = redis->url, .prefix = "certmill", .consumer = "bench", .lease_ms = 60000
    };
    const struct cm_bench_source source = {
        .ops = &cm_queue_redis,
        .queue = &queue,
        .begin = begin,
        .count = count,
        .is_done = is_done,
        .redis_pid = redis->pid,
        .load_pid = load->pid,
        .arg = load,
    };
    cm_status status = cm_bench_load_wait_ready(load, err);
    if (status == CM_OK)
        status = cm_bench_run_engine(plan, deployment, &source, result, err);
    if (status == CM_OK)
        cm_bench_load_end(load);
    if (status == CM_OK && load->page->state == CM_LOAD_FAILED) {
        *err = load->page->err;
        status = err->status;
    }
    if (status == CM_OK)
        take_over(load->page, result);
    return status;
}

cm_status cm_bench_run_redis(const struct cm_bench_plan *plan,
                             const struct cm_bench_deployment *deployment,
                             struct cm_bench_result *result, struct cm_error *err)
{
    struct cm_private_redis redis = { 0 };
    struct cm_bench_load load = { 0 };
    cm_status status = cm_private_redis_start(&redis, plan->folder, plan->redis_aof, err);
    if (status == CM_OK)
        status = cm_bench_load_start(plan, redis.url, &load, err);
    if (status == CM_OK)
        status = run_beside(plan, &redis, deployment, &load, result, err);
    memcpy(result->redis_version, redis.version, sizeof result->redis_version);
    cm_bench_load_stop(&load);
    cm_private_redis_stop(&redis);
    return status;
}
