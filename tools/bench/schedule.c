#include "tools/bench/schedule.h"

#include <stdlib.h>

#include "engine/base/clock.h"

void cm_bench_schedule_closed(uint32_t requests_count, struct cm_bench_schedule *ret_schedule)
{
    *ret_schedule = (struct cm_bench_schedule){ .requests_count = requests_count };
}

void cm_bench_schedule_rate(uint32_t requests_count, uint32_t rate_per_s,
                            struct cm_bench_schedule *ret_schedule)
{
    *ret_schedule =
        (struct cm_bench_schedule){ .requests_count = requests_count, .stages_count = 1 };
    ret_schedule->stages[0] =
        (struct cm_bench_stage){ .rate_per_s = rate_per_s, .count = requests_count };
}

/* --- ramps --------------------------------------------------------------------------------------- */

static bool read_three(const char *text, uint64_t ret_numbers[3])
{
    char *end;
    for (unsigned i = 0; i < 3; i++) {
        if (*text < '0' || *text > '9')
            return false;
        ret_numbers[i] = strtoull(text, &end, 10);
        if (*end != (i < 2 ? ':' : '\0') || ret_numbers[i] < 1
            || ret_numbers[i] > CM_BENCH_RATE_MAX)
            return false;
        text = end + 1;
    }
    return ret_numbers[0] <= ret_numbers[1];
}

static void add_stage(struct cm_bench_schedule *schedule, uint32_t rate_per_s, uint32_t hold_s)
{
    uint32_t position = schedule->stages_count++;
    schedule->stages[position] =
        (struct cm_bench_stage){ .rate_per_s = rate_per_s,
                                 .first = schedule->requests_count,
                                 .count = rate_per_s * hold_s,
                                 .begins_ns = position * (hold_s * CM_NS_PER_S) };
    schedule->requests_count += rate_per_s * hold_s;
}

cm_status cm_bench_schedule_ramp(const char *text, uint32_t hold_s,
                                 struct cm_bench_schedule *ret_schedule, struct cm_error *err)
{
    struct cm_bench_schedule schedule = { 0 };
    uint64_t numbers[3];
    if (!read_three(text, numbers))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "\"%s\" is no ramp: FROM:TO:STEP are rates of 1 to %d, like 1000:8000:1000",
                       text, CM_BENCH_RATE_MAX);
    for (uint64_t rate = numbers[0]; rate <= numbers[1]; rate += numbers[2]) {
        if (schedule.stages_count == CM_BENCH_STAGES_MAX)
            return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                           "\"%s\" has more than %d stages: take larger steps", text,
                           CM_BENCH_STAGES_MAX);
        if (schedule.requests_count + rate * hold_s > CM_BENCH_REQUESTS_MAX)
            return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                           "\"%s\" needs more than %d requests: hold its rates for less time", text,
                           CM_BENCH_REQUESTS_MAX);
        add_stage(&schedule, (uint32_t)rate, hold_s);
    }
    *ret_schedule = schedule;
    return CM_OK;
}

/* --- moments ------------------------------------------------------------------------------------- */

/* So many requests of a rate take so long. In two parts: the product of a long run would not fit. */
static uint64_t duration_ns(uint64_t requests, uint64_t rate_per_s)
{
    return requests / rate_per_s * CM_NS_PER_S + requests % rate_per_s * CM_NS_PER_S / rate_per_s;
}

uint64_t cm_bench_stage_end_ns(const struct cm_bench_stage *stage)
{
    return stage->begins_ns + duration_ns(stage->count, stage->rate_per_s);
}

static uint64_t due_of_stage(const struct cm_bench_stage *stage, uint64_t elapsed_ns)
{
    uint64_t in_stage_ns = elapsed_ns - stage->begins_ns;
    uint64_t due = in_stage_ns / CM_NS_PER_S * stage->rate_per_s
                   + in_stage_ns % CM_NS_PER_S * stage->rate_per_s / CM_NS_PER_S + 1;
    return due < stage->count ? due : stage->count;
}

uint32_t cm_bench_schedule_due(const struct cm_bench_schedule *schedule, uint64_t begin_ns,
                               uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - begin_ns;
    uint32_t i = schedule->stages_count;
    if (i == 0)
        return schedule->requests_count;
    while (i > 1 && schedule->stages[i - 1].begins_ns > elapsed_ns)
        i--;
    return schedule->stages[i - 1].first
           + (uint32_t)due_of_stage(&schedule->stages[i - 1], elapsed_ns);
}

uint64_t cm_bench_schedule_due_ns(const struct cm_bench_schedule *schedule, uint64_t begin_ns,
                                  uint32_t index)
{
    uint32_t i = schedule->stages_count;
    while (i > 1 && schedule->stages[i - 1].first > index)
        i--;
    const struct cm_bench_stage *stage = &schedule->stages[i - 1];
    return begin_ns + stage->begins_ns + duration_ns(index - stage->first, stage->rate_per_s);
}
