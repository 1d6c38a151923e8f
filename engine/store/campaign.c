#include "engine/store/campaign.h"

#include <string.h>

static const char *const states[CM_CAMPAIGN_STATE_COUNT] = {
#define X(symbol, name) [CM_CAMPAIGN_##symbol] = name,
    CM_CAMPAIGN_STATE_MAP(X)
#undef X
};

const char *cm_campaign_state_name(enum cm_campaign_state state)
{
    return state < CM_CAMPAIGN_STATE_COUNT ? states[state] : "unknown";
}

bool cm_campaign_state_find(const char *name, enum cm_campaign_state *ret_state)
{
    for (unsigned i = 0; i < CM_CAMPAIGN_STATE_COUNT; i++)
        if (strcmp(states[i], name) == 0) {
            *ret_state = (enum cm_campaign_state)i;
            return true;
        }
    return false;
}

bool cm_campaign_may_become(enum cm_campaign_state from, enum cm_campaign_state to)
{
    switch (from) {
    case CM_CAMPAIGN_RUNNING:
        return to != CM_CAMPAIGN_RUNNING && to < CM_CAMPAIGN_STATE_COUNT;
    case CM_CAMPAIGN_PAUSED:
        return to == CM_CAMPAIGN_RUNNING || to == CM_CAMPAIGN_CANCELLED;
    case CM_CAMPAIGN_DONE:
    case CM_CAMPAIGN_CANCELLED:
    case CM_CAMPAIGN_STATE_COUNT:
        break;
    }
    return false;
}

cm_status cm_store_walk_campaigns(struct cm_store_reader *reader, cm_campaign_walk_fn *walk,
                                  void *arg, struct cm_error *err)
{
    return reader->ops->walk_campaigns(reader, walk, arg, err);
}

cm_status cm_store_walk_holders(struct cm_store_reader *reader, struct cm_holder_stretch *stretch,
                                cm_holder_walk_fn *walk, void *arg, struct cm_error *err)
{
    return reader->ops->walk_holders(reader, stretch, walk, arg, err);
}
