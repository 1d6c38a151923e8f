/* A line's batches: entries on lease, one station after the other, the way out. */
#include <assert.h>
#include <string.h>

#include "bench/line_parts.h"
#include "engine/base/clock.h"

/* ------------------------------------------------------------------ entries -- */

void line_take_entries(struct cm_entry **entries, uint32_t count, void *arg)
{
    struct line *line = arg;
    assert(line->entries_count + count <= line->wanted_count); /* none comes a second time */
    for (uint32_t i = 0; i < count; i++)
        line->entries[line->entries_count++] = entries[i];
    if (line->entries_count == line->wanted_count)
        line_be_done(line);
}

bool line_lease(struct line *line, const struct line_order *order, struct cm_bench_run *run)
{
    struct cm_error err;
    line->wanted_count = order->count;
    line->engine->batch_items_max = order->count;
    if (line_deployment_push(&line->deployment, line->broker, order, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    line_wait(line);
    return true;
}

bool line_authenticate(struct line *line, struct cm_bench_run *run)
{
    int64_t now_ms = cm_clock_wall_ms();
    for (uint32_t i = 0; i < line->entries_count; i++) {
        struct cm_entry *entry = line->entries[i];
        cm_authenticate(entry, line->worker, now_ms);
        if (entry->standing != CM_ENTRY_TRUSTED)
            return cm_bench_fail(run, "an entry is not trusted: %s", entry->refusal.message);
    }
    return true;
}

static void on_dismissed(cm_status status, void *arg)
{
    (void)status;
    line_be_done(arg);
}

/* Answers what is leased and in no batch. */
static void dismiss(struct line *line)
{
    struct cm_answer answers[LINE_BATCH_MAX];
    uint32_t count = line->entries_count;
    for (uint32_t i = 0; i < count; i++)
        answers[i] = (struct cm_answer){ .entry = line->entries[i],
                                         .status = CM_ANSWER_REFUSED,
                                         .code = CM_REFUSAL_REQUEST_RATE_LIMITED,
                                         .message = "dismissed" };
    line->entries_count = 0;
    cm_queue_answer(line->engine->queue, answers, count, on_dismissed, line);
    line_wait(line);
    cm_queue_want(line->engine->queue, count);
}

/* ------------------------------------------------------------------ stations -- */

/* As cm_pipeline_begin, which would give it to a worker. */
void line_take_batch(struct cm_batch *batch)
{
    struct cm_engine *engine = batch->engine;
    line_of(engine)->batch = batch;
    engine->considering_count--;
    batch->time_ms = cm_clock_wall_ms();
    batch->choices =
        cm_arena_alloc(&batch->arena, engine->settings->authorities_count * sizeof *batch->choices);
    cm_spread_choose(&engine->spread, batch->requests_count, cm_clock_monotonic_ns(),
                     batch->choices);
}

static bool take_in(struct line *line, struct cm_bench_run *run)
{
    uint32_t count = line->entries_count;
    line->entries_count = 0;
    cm_intake(line->engine, line->entries, count);
    return line->batch || cm_bench_fail(run, "intake filled no batch");
}

static bool recall(struct line *line, struct cm_bench_run *run)
{
    struct cm_error err;
    if (cm_store_reader_begin(line->worker->reader, &err) != CM_OK) {
        line->next = LINE_RECALL;
        return cm_bench_fail(run, "%s", err.text);
    }
    cm_admit_recall(line->batch, line->worker);
    return true;
}

static void on_batch_done(struct cm_batch *batch)
{
    line_be_done(line_of(batch->engine));
}

/* Those with a done. */
static void pass_and_wait(struct line *line,
                          void (*station)(struct cm_batch *batch, cm_batch_done_fn *done))
{
    station(line->batch, on_batch_done);
    line_wait(line);
}

bool line_pass(struct line *line, enum line_station station, struct cm_bench_run *run)
{
    struct cm_batch *batch = line->batch;
    line->next = station + 1;
    switch (station) {
    case LINE_INTAKE:
        return take_in(line, run);
    case LINE_DECODE:
        cm_decode_envelopes(batch);
        cm_decode_requests(batch);
        break;
    case LINE_RECALL:
        return recall(line, run);
    case LINE_ADMIT:
        cm_admit(batch, line->worker);
        break;
    case LINE_RENEW:
        cm_renew(batch, line->worker);
        break;
    case LINE_PROVE:
        cm_prove(batch, line->worker);
        cm_store_reader_end(line->worker->reader);
        break;
    case LINE_COMPOSE:
        cm_compose(batch, line->worker);
        break;
    case LINE_DISPATCH:
        pass_and_wait(line, cm_dispatch);
        break;
    case LINE_SEAL:
        cm_seal(batch, line->worker);
        break;
    case LINE_RECORD:
        pass_and_wait(line, cm_record);
        break;
    case LINE_REPLY:
        pass_and_wait(line, cm_reply);
        break;
    case LINE_RELEASE:
        cm_release(batch);
        break;
    case LINE_END:
        break;
    }
    return true;
}

bool line_pass_to(struct line *line, enum line_station station, struct cm_bench_run *run)
{
    for (line->next = LINE_INTAKE; line->next < station;)
        if (!line_pass(line, line->next, run))
            return false;
    return true;
}

/* ------------------------------------------------------------------ the way out -- */

/* Each request has come as far as the stations that it has passed bring one. */
static bool check_outcomes(const struct line *line, struct cm_bench_run *run)
{
    enum cm_request_outcome expected =
        line->next <= LINE_SEAL ? CM_OUTCOME_OPEN : CM_OUTCOME_ISSUED;
    for (uint32_t i = 0; i < line->batch->requests_count && !line->real; i++) {
        const struct cm_request *request = &line->batch->requests[i];
        if (request->outcome != expected)
            return cm_bench_fail(run, "request %u of %u has come to outcome %d: %s", i,
                                 line->batch->requests_count, (int)request->outcome,
                                 request->refusal.message);
    }
    return true;
}

/* With a code that is not remembered. */
static void refuse_all(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        cm_refuse(&batch->requests[i].refusal, CM_REFUSAL_REQUEST_RATE_LIMITED,
                  CM_REFUSAL_NO_OFFSET, NULL);
        cm_request_refuse(&batch->requests[i]);
    }
}

/* What was chosen for a batch that never came to dispatch is not outstanding. */
static void leave_early(struct line *line)
{
    if (line->next > LINE_RECALL && line->next <= LINE_PROVE)
        cm_store_reader_end(line->worker->reader);
    refuse_all(line->batch);
    cm_spread_settle(&line->engine->spread, line->batch->requests_count, line->batch->choices);
    line->next = LINE_REPLY;
}

static void let_go(struct line *line)
{
    struct cm_engine *engine = line->engine;
    engine->counters.in_flight -= line->batch->requests_count;
    cm_queue_want(engine->queue, line->batch->credits_count);
    cm_pool_give(line->batch);
    line->batch = NULL;
    cm_clones_done(&engine->clones);
    cm_clones_init(&engine->clones);
}

bool line_finish(struct line *line, struct cm_bench_run *run)
{
    if (line->entries_count > 0)
        dismiss(line);
    if (!line->batch)
        return true;
    bool is_promised = line->next > LINE_DISPATCH;
    bool is_good = check_outcomes(line, run);
    if (!is_promised)
        leave_early(line);
    while (line->next < LINE_END && line_pass(line, line->next, run))
        ;
    is_good = is_good && (!is_promised || check_outcomes(line, run));
    let_go(line);
    return is_good;
}

/* ------------------------------------------------------------------ the mock -- */

static cm_status sign_nothing(struct cm_provider *provider, struct cm_sign_batch *batch,
                              struct cm_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < batch->items_count; i++) {
        memset(batch->items[i].signature, 0x30, 64);
        batch->items[i].signature_size = 64;
        batch->items[i].status = CM_OK;
    }
    cm_provider_batch_done(provider, batch);
    return CM_OK;
}

void line_mock_signatures(struct line *line, bool are_mock)
{
    struct cm_provider *provider = line->engine->providers[0];
    if (are_mock == (line->real != NULL))
        return;
    if (are_mock) {
        line->real = provider->ops;
        line->mock = *line->real;
        line->mock.sign = sign_nothing;
        provider->ops = &line->mock;
    } else {
        provider->ops = line->real;
        line->real = NULL;
    }
}
