#include "engine/x509/reason.h"

static const struct {
    enum cm_reason reason;
    const char *name;
} reasons[] = {
#define X(symbol, name, value) { CM_REASON_##symbol, name },
    CM_REASON_MAP(X)
#undef X
};

#define REASONS_COUNT (sizeof reasons / sizeof reasons[0])

const char *cm_reason_name(enum cm_reason reason)
{
    for (size_t i = 0; i < REASONS_COUNT; i++)
        if (reasons[i].reason == reason)
            return reasons[i].name;
    return NULL;
}

bool cm_reason_find(struct cm_bytes name, enum cm_reason *ret_reason)
{
    for (size_t i = 0; i < REASONS_COUNT; i++) {
        if (reasons[i].reason == CM_REASON_REMOVE_FROM_CRL || !cm_bytes_is(name, reasons[i].name))
            continue;
        *ret_reason = reasons[i].reason;
        return true;
    }
    return false;
}
