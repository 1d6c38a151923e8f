/*
 * Requests and answers inside the process: the memory queue, with answers noted on their way. What
 * is measured so is the engine and its store alone.
 */
#include "tools/bench/bench.h"

#include "engine/base/clock.h"
#include "queue/memory.h"

enum { FEED_PERIOD_MS = 1 };

#define BROKER "bench"

struct source {
    const struct cm_bench_plan *plan;
    struct cm_fleet *fleet;
    struct cm_bench_tally tally;
    struct cm_memory_broker *broker;
    struct cm_loop *loop; /* the engine's; for the timer of a rate */
    struct cm_timer feed;
    uint64_t begin_ns;
};

/* The queue's functions know only the queue; there is one run in a process. */
static struct source *running;

static void push(struct source *source, uint32_t index)
{
    char id[CM_BENCH_ID_SIZE], device[CM_FLEET_ID_SIZE];
    cm_bench_request_id(index, id);
    cm_fleet_device_id(index, device);
    const struct cm_memory_pair pairs[] = {
        { cm_bytes_str("id"), cm_bytes_str(id) },
        { cm_bytes_str("requester"), cm_bytes_str("local") },
        { cm_bytes_str("device"), cm_bytes_str(device) },
        { cm_bytes_str("csr"), source->fleet->devices[index].csr },
    };
    cm_memory_push(source->broker, pairs, sizeof pairs / sizeof pairs[0]);
}

/* As many as may wait, or as are due. */
static void feed(void *arg)
{
    struct source *source = arg;
    const struct cm_bench_plan *plan = source->plan;
    uint64_t now = cm_clock_monotonic_ns();
    struct cm_bench_tally *tally = &source->tally;
    uint32_t until = cm_bench_schedule_due(&plan->schedule, source->begin_ns, now);
    if (!cm_bench_is_open_loop(plan) && until - tally->answered > plan->window)
        until = tally->answered + plan->window;
    while (tally->sent < until) {
        uint32_t index = tally->sent;
        cm_bench_tally_send(tally, index, source->begin_ns, now);
        push(source, index);
    }
    if (cm_bench_is_open_loop(plan) && tally->sent < tally->count)
        cm_timer_start(&source->feed, source->loop, FEED_PERIOD_MS, feed, source);
    else
        cm_timer_done(&source->feed); /* the loop goes before the source does */
}

/* The memory queue's answer, after a look at what passes. */
static void note_answers(struct cm_queue *queue, struct cm_answer *answers, uint32_t count,
                         cm_answered_fn *answered, void *arg)
{
    uint64_t now = cm_clock_monotonic_ns();
    for (uint32_t i = 0; i < count; i++) {
        const struct cm_answer *answer = &answers[i];
        bool has_code = answer->status >= CM_ANSWER_REFUSED;
        cm_bench_tally_receive(&running->tally, answer->id,
                               cm_bytes_str(cm_answer_status_name(answer->status)),
                               cm_bytes_str(has_code ? cm_refusal_name(answer->code) : ""),
                               cm_bytes_str(has_code ? answer->message : ""), now);
    }
    cm_queue_memory.answer(queue, answers, count, answered, arg);
    if (!cm_bench_is_open_loop(running->plan))
        feed(running);
}

static void begin(struct cm_loop *loop, void *arg)
{
    struct source *source = arg;
    source->loop = loop;
    source->begin_ns = cm_clock_monotonic_ns();
    feed(source);
}

static void count(uint32_t *ret_sent, uint32_t *ret_answered, void *arg)
{
    const struct source *source = arg;
    *ret_sent = source->tally.sent;
    *ret_answered = source->tally.answered;
}

static bool is_done(void *arg)
{
    const struct source *source = arg;
    return source->tally.answered == source->tally.count;
}

cm_status cm_bench_run_memory(const struct cm_bench_plan *plan,
                              const struct cm_bench_deployment *deployment,
                              struct cm_bench_result *result, struct cm_error *err)
{
    struct source source = { .plan = plan };
    struct cm_queue_ops ops = cm_queue_memory;
    const struct cm_queue_settings queue = { .prefix = BROKER };
    const struct cm_bench_source as_source = {
        .ops = &ops,
        .queue = &queue,
        .begin = begin,
        .count = count,
        .is_done = is_done,
        .arg = &source,
    };
    cm_status status = cm_bench_make_fleet(plan, &source.fleet, &result->is_fleet_cached, err);
    if (status != CM_OK)
        return status;
    ops.answer = note_answers;
    result->fleet_s = (double)source.fleet->elapsed_ns / 1e9;
    for (unsigned type = 0; type < CM_KEY_TYPE_COUNT; type++)
        result->type_counts[type] = source.fleet->counts[type];
    cm_bench_tally_init(&source.tally, &plan->schedule);
    source.broker = cm_memory_broker_new(BROKER);
    cm_memory_count_only(source.broker);
    running = &source;
    status = cm_bench_run_engine(plan, deployment, &as_source, result, err);
    running = NULL;
    cm_timer_done(&source.feed);
    cm_memory_broker_free(source.broker);
    cm_bench_tally_work_out(&source.tally, &result->figures);
    cm_bench_tally_done(&source.tally);
    cm_fleet_free(source.fleet);
    return status;
}
