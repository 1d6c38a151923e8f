#include "engine/store/plan.h"

static const char *const states[CM_PLAN_STATE_COUNT] = {
#define X(symbol, name) [CM_PLAN_##symbol] = name,
    CM_PLAN_STATE_MAP(X)
#undef X
};

static const char *const purposes[CM_APPROVAL_PURPOSE_COUNT] = {
#define X(symbol, name) [CM_APPROVAL_##symbol] = name,
    CM_APPROVAL_PURPOSE_MAP(X)
#undef X
};

const char *cm_plan_state_name(enum cm_plan_state state)
{
    return state < CM_PLAN_STATE_COUNT ? states[state] : "unknown";
}

bool cm_plan_state_find(const char *name, enum cm_plan_state *ret_state)
{
    for (unsigned i = 0; i < CM_PLAN_STATE_COUNT; i++)
        if (strcmp(states[i], name) == 0) {
            *ret_state = (enum cm_plan_state)i;
            return true;
        }
    return false;
}

const char *cm_approval_purpose_name(enum cm_approval_purpose purpose)
{
    return purpose < CM_APPROVAL_PURPOSE_COUNT ? purposes[purpose] : "unknown";
}

bool cm_approval_purpose_find(const char *name, enum cm_approval_purpose *ret_purpose)
{
    for (unsigned i = 0; i < CM_APPROVAL_PURPOSE_COUNT; i++)
        if (strcmp(purposes[i], name) == 0) {
            *ret_purpose = (enum cm_approval_purpose)i;
            return true;
        }
    return false;
}
