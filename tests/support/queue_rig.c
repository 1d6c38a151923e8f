#include "tests/support/queue_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"

enum { WAIT_MS = 10000 };

/* Answers of one call; freed when they were called back. */
struct batch {
    struct cm_queue_rig *rig;
    char (*texts)[64];
    struct cm_answer answers[];
};

void cm_queue_rig_init(struct cm_queue_rig *rig)
{
    *rig = (struct cm_queue_rig){ .loop = NULL };
    signal(SIGPIPE,
           SIG_IGN); /* as in every process that has a Redis queue: hiredis writes plainly */
    if (cm_loop_new(&rig->loop, NULL) != CM_OK)
        abort();
}

void cm_queue_rig_done(struct cm_queue_rig *rig)
{
    cm_queue_rig_close(rig);
    cm_queue_rig_run(rig, 1);
    cm_loop_free(rig->loop);
    free(rig->entries);
}

static void on_answered(cm_status status, void *arg)
{
    struct batch *batch = arg;
    batch->rig->answered_count++;
    if (status != CM_OK)
        batch->rig->unavailable_count++;
    free(batch->texts);
    free(batch);
}

static struct batch *new_batch(struct cm_queue_rig *rig, uint32_t count)
{
    struct batch *batch = calloc(1, sizeof *batch + count * sizeof batch->answers[0]);
    batch->texts = calloc(count, sizeof *batch->texts);
    batch->rig = rig;
    rig->submitted_count++;
    return batch;
}

static struct cm_answer *fill_answer(struct batch *batch, uint32_t index, struct cm_entry *entry,
                                     enum cm_answer_status status)
{
    struct cm_answer *answer = &batch->answers[index];
    *answer = (struct cm_answer){ .entry = entry,
                                  .status = status,
                                  .id = entry->fields[CM_FIELD_ID],
                                  .requester = entry->fields[CM_FIELD_REQUESTER],
                                  .device = entry->fields[CM_FIELD_DEVICE],
                                  .may_be_grouped = batch->rig->groups_results };
    return answer;
}

static void issue_all(struct cm_queue_rig *rig, struct cm_entry **entries, uint32_t count)
{
    static const uint8_t serial[] = { 0x0a, 0xff };
    struct batch *batch = new_batch(rig, count);
    for (uint32_t i = 0; i < count; i++) {
        struct cm_answer *answer = fill_answer(batch, i, entries[i], CM_ANSWER_ISSUED);
        int size = snprintf(batch->texts[i], sizeof batch->texts[i], "cert:%.*s",
                            (int)answer->device.size, (const char *)answer->device.data);
        answer->certificate = cm_bytes(batch->texts[i], (size_t)size);
        answer->serial = cm_bytes(serial, sizeof serial);
        answer->issuer = "issuing-1";
        answer->chain = cm_bytes_str("chain\n");
        answer->not_after = 253402300799;
    }
    cm_queue_answer(rig->queue, batch->answers, count, on_answered, batch);
}

static void on_entries(struct cm_entry **entries, uint32_t count, void *arg)
{
    struct cm_queue_rig *rig = arg;
    rig->delivered_count += count;
    if (rig->wants_more)
        cm_queue_want(rig->queue, count);
    if (rig->answers_at_once) {
        issue_all(rig, entries, count);
        return;
    }
    if (rig->entries_count + count > rig->entries_space) {
        rig->entries_space = 2 * (rig->entries_count + count);
        rig->entries = realloc(rig->entries, rig->entries_space * sizeof *rig->entries);
    }
    memcpy(rig->entries + rig->entries_count, entries, count * sizeof *entries);
    rig->entries_count += count;
}

static void on_event(enum cm_queue_event event, const char *text, void *arg)
{
    struct cm_queue_rig *rig = arg;
    rig->events_count[event]++;
    if (event == CM_QUEUE_DOWN)
        snprintf(rig->last_down, sizeof rig->last_down, "%s", text);
}

bool cm_queue_rig_open(struct cm_queue_rig *rig, const struct cm_queue_ops *ops,
                       const struct cm_queue_settings *settings)
{
    struct cm_error err = { .status = CM_OK };
    if (cm_queue_open(ops, rig->loop, settings, on_entries, on_event, rig, &rig->queue, &err)
        == CM_OK)
        return true;
    printf("%s\n", err.text);
    return false;
}

void cm_queue_rig_close(struct cm_queue_rig *rig)
{
    cm_queue_close(rig->queue);
    rig->queue = NULL;
    rig->entries_count = 0;
}

struct wait {
    struct cm_queue_rig *rig;
    bool (*condition)(void *arg);
    void *arg;
    uint64_t end_ns;
    struct cm_timer timer;
    bool came;
};

static void look(void *arg)
{
    struct wait *wait = arg;
    wait->came = wait->condition && wait->condition(wait->arg);
    if (wait->came || cm_clock_monotonic_ns() >= wait->end_ns)
        cm_loop_stop(wait->rig->loop);
    else
        cm_timer_start(&wait->timer, wait->rig->loop, 1, look, wait);
}

bool cm_queue_rig_wait(struct cm_queue_rig *rig, bool (*condition)(void *arg), void *arg,
                       uint32_t timeout_ms)
{
    struct wait wait = { .rig = rig, .condition = condition, .arg = arg };
    wait.end_ns = cm_clock_monotonic_ns() + timeout_ms * CM_NS_PER_MS;
    cm_timer_start(&wait.timer, rig->loop, 0, look, &wait);
    cm_loop_run(rig->loop);
    cm_timer_done(&wait.timer);
    return wait.came;
}

void cm_queue_rig_run(struct cm_queue_rig *rig, uint32_t duration_ms)
{
    cm_queue_rig_wait(rig, NULL, NULL, duration_ms);
}

struct goal {
    const uint32_t *number;
    uint32_t wanted;
};

static bool is_reached(void *arg)
{
    const struct goal *goal = arg;
    return *goal->number >= goal->wanted;
}

static bool wait_number(struct cm_queue_rig *rig, const uint32_t *number, uint32_t wanted)
{
    struct goal goal = { number, wanted };
    return cm_queue_rig_wait(rig, is_reached, &goal, WAIT_MS);
}

bool cm_queue_rig_wait_entries(struct cm_queue_rig *rig, uint32_t count)
{
    return wait_number(rig, &rig->entries_count, count);
}

bool cm_queue_rig_wait_answered(struct cm_queue_rig *rig, uint32_t batches_count)
{
    return wait_number(rig, &rig->answered_count, batches_count);
}

bool cm_queue_rig_wait_event(struct cm_queue_rig *rig, enum cm_queue_event event, uint32_t count)
{
    return wait_number(rig, &rig->events_count[event], count);
}

static void forget_first(struct cm_queue_rig *rig, uint32_t count)
{
    rig->entries_count -= count;
    memmove(rig->entries, rig->entries + count, rig->entries_count * sizeof *rig->entries);
}

void cm_queue_rig_answer(struct cm_queue_rig *rig, uint32_t count)
{
    issue_all(rig, rig->entries, count);
    forget_first(rig, count);
}

void cm_queue_rig_refuse(struct cm_queue_rig *rig, uint32_t count)
{
    struct batch *batch = new_batch(rig, count);
    for (uint32_t i = 0; i < count; i++) {
        struct cm_entry *entry = rig->entries[i];
        struct cm_answer *answer = fill_answer(batch, i, entry, CM_ANSWER_REFUSED);
        bool has_own = entry->refusal.code != CM_REFUSAL_NONE;
        answer->code = has_own ? entry->refusal.code : CM_REFUSAL_REQUEST_FIELD_MISSING;
        answer->message = has_own ? entry->refusal.message : cm_refusal_text(answer->code);
    }
    forget_first(rig, count);
    cm_queue_answer(rig->queue, batch->answers, count, on_answered, batch);
}

void cm_queue_rig_give_back(struct cm_queue_rig *rig, uint32_t count)
{
    cm_queue_give_back(rig->queue, rig->entries, count);
    forget_first(rig, count);
}

const char *cm_queue_rig_text(const struct cm_queue_rig *rig, uint32_t index, enum cm_field field)
{
    static char text[300];
    struct cm_bytes value = rig->entries[index]->fields[field];
    if (!value.data)
        return "(absent)";
    snprintf(text, sizeof text, "%.*s", (int)(value.size < 256 ? value.size : 256),
             (const char *)value.data);
    return text;
}
