#include "engine/inflight.h"

#include <assert.h>
#include <stdlib.h>

void cm_inflight_init(struct cm_inflight *inflight, uint32_t requests_max)
{
    inflight->slots_count = 64;
    while (inflight->slots_count < requests_max * 2)
        inflight->slots_count *= 2;
    inflight->slots = calloc(inflight->slots_count, sizeof(struct cm_request *));
    if (!inflight->slots)
        abort();
}

void cm_inflight_done(struct cm_inflight *inflight)
{
    free(inflight->slots);
    inflight->slots = NULL;
}

/* Keys are hashes already: their first octets spread well. */
static uint32_t home(const struct cm_inflight *inflight, const struct cm_request *request)
{
    uint32_t start;
    memcpy(&start, request->key.octets, sizeof start);
    return start & (inflight->slots_count - 1);
}

static uint32_t next_slot(const struct cm_inflight *inflight, uint32_t slot)
{
    return (slot + 1) & (inflight->slots_count - 1);
}

static bool same_key(const struct cm_request *a, const struct cm_request *b)
{
    return memcmp(&a->key, &b->key, sizeof a->key) == 0;
}

struct cm_request *cm_inflight_enter(struct cm_inflight *inflight, struct cm_request *request)
{
    uint32_t slot = home(inflight, request);
    request->waiting = NULL;
    for (; inflight->slots[slot]; slot = next_slot(inflight, slot))
        if (same_key(inflight->slots[slot], request))
            return inflight->slots[slot];
    inflight->slots[slot] = request;
    return NULL;
}

void cm_inflight_wait(struct cm_request *first, struct cm_entry *entry)
{
    struct cm_waiting **last = &first->waiting;
    struct cm_waiting *node = calloc(1, sizeof *node);
    if (!node)
        abort();
    while (*last)
        last = &(*last)->next;
    node->entry = entry;
    *last = node;
}

/* Moves later entries of the probe sequence up, so that no gap hides them. */
static void close_gap(struct cm_inflight *inflight, uint32_t gap)
{
    uint32_t mask = inflight->slots_count - 1;
    for (uint32_t slot = next_slot(inflight, gap); inflight->slots[slot];
         slot = next_slot(inflight, slot)) {
        uint32_t distance_home = (slot - home(inflight, inflight->slots[slot])) & mask;
        if (distance_home >= ((slot - gap) & mask)) {
            inflight->slots[gap] = inflight->slots[slot];
            inflight->slots[slot] = NULL;
            gap = slot;
        }
    }
}

struct cm_waiting *cm_inflight_leave(struct cm_inflight *inflight, struct cm_request *request)
{
    uint32_t slot = home(inflight, request);
    while (inflight->slots[slot] != request) {
        assert(inflight->slots[slot]); /* it was entered */
        slot = next_slot(inflight, slot);
    }
    inflight->slots[slot] = NULL;
    close_gap(inflight, slot);
    struct cm_waiting *waiting = request->waiting;
    request->waiting = NULL;
    return waiting;
}
