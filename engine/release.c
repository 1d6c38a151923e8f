/*
 * Release: the end of the way. What a request held is let go: its claim on the key, quota that came
 * to nothing, its place among those in flight. Entries of the same key that waited come in again, and
 * find in the store what was answered. What stays in the engine without an answer is set aside.
 */
#include "engine/internal.h"

#include <stdlib.h>

/* What a request held while it was on its way. */
static void let_go(struct cm_engine *engine, struct cm_request *request)
{
    bool is_issued = request->outcome == CM_OUTCOME_ISSUED;
    if (request->has_claim)
        cm_clones_release(&engine->clones, request->key_fingerprint,
                          is_issued ? cm_serial_number(&request->serial) : 0);
    if (request->has_quota && !is_issued) {
        cm_limit_give_back(cm_engine_requester_limit(engine, request->requester));
        cm_limit_give_back(cm_engine_group_limit(engine, request->group));
    }
    if (!request->has_key)
        return;
    struct cm_waiting *waiting = cm_inflight_leave(&engine->inflight, request);
    while (waiting) {
        struct cm_waiting *next = waiting->next;
        engine->counters.in_flight--;              /* counted again as it arrives again */
        if (engine->state != CM_ENGINE_IS_STOPPED) /* else it is for the next engine */
            cm_intake(engine, &waiting->entry, 1);
        free(waiting);
        waiting = next;
    }
}

static void set_aside(struct cm_batch *batch, struct cm_request *request)
{
    bool waits = request->outcome == CM_OUTCOME_SET_ASIDE;
    if (!request->entry->is_credited)
        batch->credits_count--;          /* as it is set aside, or later */
    batch->engine->counters.in_flight++; /* counted down with its batch */
    cm_aside_put(batch->engine, request->entry, waits ? request->group->authority : NULL,
                 request->promise);
}

void cm_release(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_promise *promise = batch->requests[i].promise;
        let_go(batch->engine, &batch->requests[i]);
        if (cm_request_stays(&batch->requests[i]))
            set_aside(batch, &batch->requests[i]);
        if (promise) /* last: those that waited, and what is set aside, hold it by now */
            cm_promise_let_go(promise);
    }
}
