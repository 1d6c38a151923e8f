#include "engine/base/ceremony.h"

static const struct {
    const char *name, *text;
} operations[CM_CEREMONY_COUNT] = {
#define X(symbol, name, text) [CM_CEREMONY_##symbol] = { name, text },
    CM_CEREMONY_MAP(X)
#undef X
};

const char *cm_ceremony_name(enum cm_ceremony operation)
{
    return operation < CM_CEREMONY_COUNT ? operations[operation].name : "unknown";
}

const char *cm_ceremony_text(enum cm_ceremony operation)
{
    return operation < CM_CEREMONY_COUNT ? operations[operation].text : "is not known";
}

bool cm_ceremony_find(struct cm_bytes name, enum cm_ceremony *ret_operation)
{
    for (unsigned i = 0; i < CM_CEREMONY_COUNT; i++)
        if (cm_bytes_is(name, operations[i].name)) {
            *ret_operation = (enum cm_ceremony)i;
            return true;
        }
    return false;
}
