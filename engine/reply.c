/*
 * Reply: the answers go out, and only then the entries are acknowledged.
 *
 * Everything an answer says is durable by now. If it cannot be written, the entry comes again and
 * recall answers it from the store, the same to the octet.
 */
#include "engine/internal.h"

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"

static void fill_issued(struct cm_answer *answer, const struct cm_issuer_key *issuer,
                        struct cm_bytes certificate, struct cm_bytes serial, int64_t not_after)
{
    answer->status = CM_ANSWER_ISSUED;
    answer->certificate = certificate;
    answer->serial = serial;
    answer->not_after = not_after;
    answer->issuer = issuer ? issuer->name : "";
    answer->chain = issuer ? issuer->chain : cm_bytes(NULL, 0);
}

/* What was answered before, read back: serial and validity stand in the certificate itself. */
static bool fill_repeated(struct cm_answer *answer, const struct cm_request *request,
                          const struct cm_engine *engine)
{
    struct cm_certificate certificate;
    struct cm_error err;
    const struct cm_recall *recall = &request->recall;
    if (recall->code != CM_REFUSAL_NONE) {
        answer->status = CM_ANSWER_REFUSED;
        answer->code = recall->code;
        answer->message = recall->message;
        return true;
    }
    if (recall->is_order) {
        answer->status = CM_ANSWER_DONE;
        return true;
    }
    if (cm_certificate_read(recall->certificate, &certificate, &err) != CM_OK)
        return false;
    fill_issued(answer, cm_issuers_by_generation(&engine->issuers, recall->generation_number),
                recall->certificate, certificate.serial, certificate.not_after_s);
    return true;
}

/* False: this request gets no answer; its entry is given back, or stays. */
static bool fill_answer(struct cm_answer *answer, const struct cm_request *request,
                        const struct cm_engine *engine)
{
    /*
     * Nobody reads the answers of an unknown requester: without a name they are set aside. So is what
     * was forged: its requester would take the refusal for that of its own request of this id.
     */
    bool is_told = request->requester && request->entry->standing != CM_ENTRY_FORGED;
    *answer = (struct cm_answer){
        .entry = request->entry,
        .id = request->entry->fields[CM_FIELD_ID],
        .requester = is_told ? request->entry->fields[CM_FIELD_REQUESTER] : cm_bytes(NULL, 0),
        .device =
            request->device_id.data ? request->device_id : request->entry->fields[CM_FIELD_DEVICE],
        .may_be_grouped = request->requester && request->requester->groups_results
    };
    switch (request->outcome) {
    case CM_OUTCOME_ISSUED:
        fill_issued(answer, request->issuer, request->certificate,
                    cm_bytes(request->serial.octets, CM_SERIAL_SIZE), request->tbs.not_after_s);
        return true;
    case CM_OUTCOME_ORDERED:
        answer->status = CM_ANSWER_DONE;
        return true;
    case CM_OUTCOME_REPEATED:
        return fill_repeated(answer, request, engine);
    case CM_OUTCOME_REFUSED:
    case CM_OUTCOME_FAILED:
        answer->status =
            request->outcome == CM_OUTCOME_FAILED ? CM_ANSWER_FAILED : CM_ANSWER_REFUSED;
        answer->code = request->refusal.code;
        answer->message = request->refusal.message;
        return true;
    case CM_OUTCOME_OPEN:
    case CM_OUTCOME_GIVEN_BACK:
    case CM_OUTCOME_SET_ASIDE:
    case CM_OUTCOME_MOVED:
        break;
    }
    return false;
}

static void count_answer(struct cm_engine_counters *counters, const struct cm_answer *answer,
                         bool is_repeated)
{
    switch (answer->status) {
    case CM_ANSWER_ISSUED:
        counters->issued++;
        break;
    case CM_ANSWER_DONE:
        counters->done++;
        break;
    case CM_ANSWER_REFUSED:
        counters->refused++;
        break;
    case CM_ANSWER_FAILED:
        counters->failed++;
        break;
    }
    if (is_repeated)
        counters->repeated++;
}

static void count_latency(struct cm_engine_counters *counters, uint64_t arrived_ns, uint64_t now_ns)
{
    uint64_t us = (now_ns - arrived_ns) / 1000;
    unsigned log2 = us ? 63 - (unsigned)__builtin_clzll(us) : 0;
    unsigned last = sizeof counters->latency_log2 / sizeof counters->latency_log2[0] - 1;
    counters->latency_log2[log2 < last ? log2 : last]++;
    counters->latency_count++;
}

static void give_back(struct cm_batch *batch)
{
    struct cm_entry **entries =
        cm_arena_alloc(&batch->arena, batch->requests_count * sizeof(struct cm_entry *));
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++)
        if (batch->requests[i].entry && !cm_request_stays(&batch->requests[i]))
            entries[count++] = batch->requests[i].entry;
    if (count > 0)
        cm_queue_give_back(batch->engine->queue, entries, count);
}

static void on_answered(cm_status status, void *arg)
{
    struct cm_batch *batch = arg;
    if (status != CM_OK)
        cm_engine_notice(batch->engine, "queue: answers could not be written; they come again");
    CM_FAULT_POINT("answered");
    batch->done(batch);
}

void cm_reply(struct cm_batch *batch, cm_batch_done_fn *done)
{
    batch->done = done;
    struct cm_engine *engine = batch->engine;
    uint64_t now_ns = cm_clock_monotonic_ns();
    batch->answers = cm_arena_alloc(&batch->arena, batch->requests_count * sizeof *batch->answers);
    batch->answers_count = 0;
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        uint64_t arrived_ns = request->entry->arrived_ns;
        struct cm_answer *answer = &batch->answers[batch->answers_count];
        if (!fill_answer(answer, request, engine)) {
            engine->counters.given_back += !cm_request_stays(request);
            continue;
        }
        batch->answers_count++;
        request->entry = NULL; /* the queue's again, with its answer */
        count_answer(&engine->counters, answer, request->outcome == CM_OUTCOME_REPEATED);
        count_latency(&engine->counters, arrived_ns, now_ns);
    }
    give_back(batch);
    if (batch->answers_count == 0) {
        batch->done(batch);
        return;
    }
    cm_queue_answer(engine->queue, batch->answers, batch->answers_count, on_answered, batch);
}
