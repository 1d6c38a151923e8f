#include "engine/multibuffer/multibuffer.h"

static const struct {
    size_t size, limbs_count;
} curves[CM_MB_P521 + 1] = {
    [CM_MB_P256] = { 32, 4 },
    [CM_MB_P384] = { 48, 6 },
    [CM_MB_P521] = { 66, 9 },
};

size_t cm_mb_field_size(enum cm_mb_kind curve)
{
    return curves[curve].size;
}

size_t cm_mb_limbs(enum cm_mb_kind curve)
{
    return curves[curve].limbs_count;
}
