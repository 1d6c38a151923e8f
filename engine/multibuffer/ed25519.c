#include "engine/multibuffer/internal.h"

uint8_t cm_mb_ed25519_verify(const struct cm_mb_ed25519_check *checks, unsigned count)
{
    const ed25519_sign_component *r[CM_MB_LANES], *s[CM_MB_LANES];
    const ed25519_public_key *keys[CM_MB_LANES];
    const int8u *messages[CM_MB_LANES];
    int32u sizes[CM_MB_LANES];
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        const struct cm_mb_ed25519_check *check = &checks[cm_mb_lane(i, count)];
        r[i] = (void *)(uintptr_t)check->signature;
        s[i] = r[i] + 1;
        keys[i] = (void *)(uintptr_t)check->key;
        messages[i] = check->message.data;
        sizes[i] = (int32u)check->message.size;
    }
    return cm_mb_good_lanes(cm_mb_library()->mbx_ed25519_verify_mb8(r, s, messages, sizes, keys),
                            count);
}

uint8_t cm_mb_ed25519_sign(const uint8_t *seed, const uint8_t *key,
                           const struct cm_mb_ed25519_draft *drafts, unsigned count)
{
    ed25519_sign_component *r[CM_MB_LANES], *s[CM_MB_LANES], spare[2];
    const ed25519_private_key *seeds[CM_MB_LANES];
    const ed25519_public_key *keys[CM_MB_LANES];
    const int8u *messages[CM_MB_LANES];
    int32u sizes[CM_MB_LANES];
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        const struct cm_mb_ed25519_draft *draft = &drafts[cm_mb_lane(i, count)];
        r[i] = i < count ? (ed25519_sign_component *)draft->signature : spare;
        s[i] = r[i] + 1;
        seeds[i] = (void *)(uintptr_t)seed;
        keys[i] = (void *)(uintptr_t)key;
        messages[i] = draft->message.data;
        sizes[i] = (int32u)draft->message.size;
    }
    return cm_mb_good_lanes(
        cm_mb_library()->mbx_ed25519_sign_mb8(r, s, messages, sizes, seeds, keys), count);
}
