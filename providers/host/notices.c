#include "providers/host/notices.h"

#include "engine/base/clock.h"

bool cm_notices_take(struct cm_notices *notices, uint64_t now_ns)
{
    if (notices->begin_ns == 0
        || now_ns - notices->begin_ns >= CM_NOTICES_MINUTE_MS * CM_NS_PER_MS) {
        notices->begin_ns = now_ns;
        notices->told_count = 0;
    }
    if (notices->told_count == CM_NOTICES_A_MINUTE) {
        notices->left_out++;
        return false;
    }
    notices->told_count++;
    return true;
}

uint64_t cm_notices_left_out(struct cm_notices *notices)
{
    uint64_t count = notices->left_out;
    notices->left_out = 0;
    return count;
}
