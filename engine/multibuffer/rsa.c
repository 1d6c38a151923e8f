#include "engine/multibuffer/internal.h"

#include <openssl/crypto.h>

/* The library reduces what is not below the modulus, and RFC 8017 refuses it. */
static uint8_t below_modulus(uint32_t bits, const struct cm_mb_rsa_check *checks, unsigned count)
{
    uint8_t below = 0;
    for (unsigned i = 0; i < count; i++)
        if (memcmp(checks[i].signature, checks[i].modulus, bits / 8) < 0)
            below |= (uint8_t)(1U << i);
    return below;
}

uint8_t cm_mb_rsa_public(uint32_t bits, struct cm_mb_rsa_check *checks, unsigned count)
{
    const struct cm_mb_library *library = cm_mb_library();
    const size_t limbs_count = bits / 64;
    const int8u *from[CM_MB_LANES];
    int8u *to[CM_MB_LANES], spare[CM_MB_RSA_SIZE_MAX];
    const int64u *moduli[CM_MB_LANES];
    int64u limbs[CM_MB_LANES][CM_MB_RSA_SIZE_MAX / 8];
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        struct cm_mb_rsa_check *check = &checks[cm_mb_lane(i, count)];
        from[i] = check->signature;
        to[i] = i < count ? check->encoded : spare;
        cm_mb_limbs_from(check->modulus, bits / 8, limbs[i], limbs_count);
        moduli[i] = limbs[i];
    }
    mbx_status status = library->mbx_rsa_public_mb8(
        from, to, moduli, (int)bits, library->mbx_RSA_pub65537_Method((int)bits), NULL);
    return cm_mb_good_lanes(status, count) & below_modulus(bits, checks, count);
}

uint8_t cm_mb_rsa_private(uint32_t bits, const struct cm_mb_rsa_key *key,
                          const struct cm_mb_rsa_draft *drafts, unsigned count)
{
    const int8u *from[CM_MB_LANES];
    int8u *to[CM_MB_LANES], spare[CM_MB_RSA_SIZE_MAX];
    const BIGNUM *p[CM_MB_LANES], *q[CM_MB_LANES], *dp[CM_MB_LANES], *dq[CM_MB_LANES],
        *qinv[CM_MB_LANES];
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        const struct cm_mb_rsa_draft *draft = &drafts[cm_mb_lane(i, count)];
        from[i] = draft->encoded;
        to[i] = i < count ? draft->signature : spare;
        p[i] = key->p;
        q[i] = key->q;
        dp[i] = key->dp;
        dq[i] = key->dq;
        qinv[i] = key->qinv;
    }
    mbx_status status =
        cm_mb_library()->mbx_rsa_private_crt_ssl_mb8(from, to, p, q, dp, dq, qinv, (int)bits);
    OPENSSL_cleanse(spare, sizeof spare);
    return cm_mb_good_lanes(status, count);
}
