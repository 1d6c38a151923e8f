#include "engine/store/generation.h"

#include <stdio.h>
#include <string.h>

static const char *const states[CM_GENERATION_STATE_COUNT] = {
#define X(symbol, name) [CM_GENERATION_##symbol] = name,
    CM_GENERATION_STATE_MAP(X)
#undef X
};

static const char *const fates[CM_KEY_FATE_COUNT] = {
#define X(symbol, name) [CM_KEY_##symbol] = name,
    CM_KEY_FATE_MAP(X)
#undef X
};

static bool find(const char *const *names, unsigned count, const char *name, unsigned *ret_index)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

const char *cm_generation_state_name(enum cm_generation_state state)
{
    return state < CM_GENERATION_STATE_COUNT ? states[state] : "unknown";
}

bool cm_generation_state_find(const char *name, enum cm_generation_state *ret_state)
{
    unsigned index = 0;
    bool found = find(states, CM_GENERATION_STATE_COUNT, name, &index);
    if (found)
        *ret_state = (enum cm_generation_state)index;
    return found;
}

bool cm_generation_may_become(enum cm_generation_state from, enum cm_generation_state to)
{
    if (to == CM_GENERATION_COMPROMISED)
        return from != CM_GENERATION_COMPROMISED;
    return from < CM_GENERATION_RETIRED && to == from + 1;
}

bool cm_generation_is_named(const struct cm_generation *generation, const char *name)
{
    size_t size = generation->authority.size;
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)generation->generation);
    return strncmp(name, (const char *)generation->authority.data, size) == 0
           && (name[size] == '-' || name[size] == '/') && strcmp(name + size + 1, number) == 0;
}

const char *cm_key_fate_name(enum cm_key_fate fate)
{
    return fate < CM_KEY_FATE_COUNT ? fates[fate] : "unknown";
}

bool cm_key_fate_find(const char *name, enum cm_key_fate *ret_fate)
{
    unsigned index = 0;
    bool found = find(fates, CM_KEY_FATE_COUNT, name, &index);
    if (found)
        *ret_fate = (enum cm_key_fate)index;
    return found;
}
