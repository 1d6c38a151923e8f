/*
 * Requests and answers as files: what `certmill issue` does. The files are there before the clock
 * starts; an answer counts when its file is durable.
 */
#include "tools/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/clock.h"
#include "queue/queue.h"

struct source {
    struct cm_bench_tally tally;
};

/* A batch of answers on its way into files. */
struct noted {
    struct source *source;
    cm_answered_fn *answered;
    void *arg;
    uint32_t count;
    struct {
        char id[CM_BENCH_ID_SIZE];
        enum cm_answer_status status;
        enum cm_refusal_code code;
    } answers[];
};

/* The queue's functions know only the queue; there is one run in a process. */
static struct source *running;

/* The index of a device of the fleet; the count of devices for any other. */
static uint32_t index_of(struct cm_bytes device)
{
    char text[CM_FLEET_ID_SIZE], again[CM_FLEET_ID_SIZE];
    unsigned number = 0;
    snprintf(text, sizeof text, "%.*s", (int)device.size, (const char *)device.data);
    if (sscanf(text, "device-%u", &number) != 1 || number < 1 || number > running->tally.count)
        return running->tally.count;
    cm_fleet_device_id(number - 1, again);
    return strcmp(text, again) == 0 ? number - 1 : running->tally.count;
}

static void on_answered(cm_status status, void *arg)
{
    struct noted *noted = arg;
    uint64_t now = cm_clock_monotonic_ns();
    for (uint32_t i = 0; i < noted->count && status == CM_OK; i++)
        cm_bench_tally_receive(&noted->source->tally, cm_bytes_str(noted->answers[i].id),
                               cm_bytes_str(cm_answer_status_name(noted->answers[i].status)),
                               cm_bytes_str(cm_refusal_name(noted->answers[i].code)),
                               cm_bytes(NULL, 0), now);
    noted->answered(status, noted->arg);
    free(noted);
}

/* The spool's answer, after a look at what passes; told when it is written. */
static void note_answers(struct cm_queue *queue, struct cm_answer *answers, uint32_t count,
                         cm_answered_fn *answered, void *arg)
{
    struct noted *noted = calloc(1, sizeof *noted + count * sizeof noted->answers[0]);
    if (!noted)
        abort();
    noted->source = running;
    noted->answered = answered;
    noted->arg = arg;
    noted->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = index_of(answers[i].device);
        cm_bench_request_id(index, noted->answers[i].id);
        noted->answers[i].status = answers[i].status;
        noted->answers[i].code = answers[i].code;
        if (index < running->tally.count)
            cm_bench_tally_send(&running->tally, index, 0, answers[i].entry->arrived_ns);
    }
    cm_queue_spool.answer(queue, answers, count, on_answered, noted);
}

static void begin(struct cm_loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
}

/* The files are all there from the beginning. */
static void count(uint32_t *ret_sent, uint32_t *ret_answered, void *arg)
{
    const struct source *source = arg;
    *ret_sent = source->tally.count;
    *ret_answered = source->tally.answered;
}

static bool is_done(void *arg)
{
    const struct source *source = arg;
    return source->tally.answered == source->tally.count;
}

static cm_status write_files(const struct cm_bench_plan *plan, const char *input,
                             const char *output, struct cm_bench_result *result,
                             struct cm_error *err)
{
    struct cm_fleet *fleet = NULL;
    if (mkdir(input, 0755) != 0 || mkdir(output, 0755) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", input);
    cm_status status = cm_bench_make_fleet(plan, &fleet, &result->is_fleet_cached, err);
    if (status == CM_OK) {
        result->fleet_s = (double)fleet->elapsed_ns / 1e9;
        memcpy(result->type_counts, fleet->counts, sizeof result->type_counts);
        status = cm_fleet_write_csrs(fleet, input, err);
    }
    cm_fleet_free(fleet);
    return status;
}

cm_status cm_bench_run_spool(const struct cm_bench_plan *plan,
                             const struct cm_bench_deployment *deployment,
                             struct cm_bench_result *result, struct cm_error *err)
{
    struct source source = { .tally = { .count = 0 } };
    struct cm_queue_ops ops = cm_queue_spool;
    char input[4200], output[4200];
    snprintf(input, sizeof input, "%s/csrs", plan->folder);
    snprintf(output, sizeof output, "%s/certs", plan->folder);
    const struct cm_queue_settings queue = {
        .input = input, .output = output, .requester = "local", .device_from = "file-name"
    };
    const struct cm_bench_source as_source = {
        .ops = &ops,
        .queue = &queue,
        .begin = begin,
        .count = count,
        .is_done = is_done,
        .arg = &source,
    };
    cm_status status = write_files(plan, input, output, result, err);
    if (status != CM_OK)
        return status;
    ops.answer = note_answers;
    cm_bench_tally_init(&source.tally, &plan->schedule);
    running = &source;
    status = cm_bench_run_engine(plan, deployment, &as_source, result, err);
    running = NULL;
    cm_bench_tally_work_out(&source.tally, &result->figures);
    cm_bench_tally_done(&source.tally);
    return status;
}
