/*
 * Release: the end of the way. What a request held is let go: its claim on the key, quota that came
 * to nothing, its place among those in flight. Entries of the same key that waited come in again, and
 * find in the store what was answered.
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

void cm_release(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        let_go(batch->engine, &batch->requests[i]);
}
