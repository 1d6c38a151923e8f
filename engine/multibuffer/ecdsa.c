#include "engine/multibuffer/internal.h"

/* The functions of all curves have one form. */
typedef __typeof__(mbx_nistp256_ecdsa_verify_mb8) verify_fn;
typedef __typeof__(mbx_nistp256_ecdsa_sign_mb8) sign_fn;

static verify_fn *verify_of(enum cm_mb_kind curve)
{
    const struct cm_mb_library *library = cm_mb_library();
    return curve == CM_MB_P256   ? library->mbx_nistp256_ecdsa_verify_mb8
           : curve == CM_MB_P384 ? library->mbx_nistp384_ecdsa_verify_mb8
                                 : library->mbx_nistp521_ecdsa_verify_mb8;
}

static sign_fn *sign_of(enum cm_mb_kind curve)
{
    const struct cm_mb_library *library = cm_mb_library();
    return curve == CM_MB_P256   ? library->mbx_nistp256_ecdsa_sign_mb8
           : curve == CM_MB_P384 ? library->mbx_nistp384_ecdsa_sign_mb8
                                 : library->mbx_nistp521_ecdsa_sign_mb8;
}

uint8_t cm_mb_ecdsa_verify(enum cm_mb_kind curve, const struct cm_mb_ecdsa_check *checks,
                           unsigned count)
{
    const size_t size = cm_mb_field_size(curve), limbs_count = cm_mb_limbs(curve);
    const int8u *r[CM_MB_LANES], *s[CM_MB_LANES], *digests[CM_MB_LANES];
    const int64u *x[CM_MB_LANES], *y[CM_MB_LANES];
    int64u points[CM_MB_LANES][2][CM_MB_LIMBS_MAX];
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        const struct cm_mb_ecdsa_check *check = &checks[cm_mb_lane(i, count)];
        r[i] = check->r;
        s[i] = check->s;
        digests[i] = check->digest;
        cm_mb_limbs_from(check->point, size, points[i][0], limbs_count);
        cm_mb_limbs_from(check->point + size, size, points[i][1], limbs_count);
        x[i] = points[i][0];
        y[i] = points[i][1];
    }
    return cm_mb_good_lanes(verify_of(curve)(r, s, digests, x, y, NULL, NULL), count);
}

uint8_t cm_mb_ecdsa_sign(enum cm_mb_kind curve, const cm_mb_limb *scalar,
                         struct cm_mb_ecdsa_draft *drafts, unsigned count)
{
    int8u *r[CM_MB_LANES], *s[CM_MB_LANES];
    const int8u *digests[CM_MB_LANES];
    const int64u *nonces[CM_MB_LANES], *scalars[CM_MB_LANES];
    int8u spare[2][CM_MB_FIELD_SIZE_MAX]; /* the same signature as the first lane's, so no secret */
    for (unsigned i = 0; i < CM_MB_LANES; i++) {
        struct cm_mb_ecdsa_draft *draft = &drafts[cm_mb_lane(i, count)];
        r[i] = i < count ? draft->r : spare[0];
        s[i] = i < count ? draft->s : spare[1];
        digests[i] = draft->digest;
        nonces[i] = draft->nonce;
        scalars[i] = scalar;
    }
    return cm_mb_good_lanes(sign_of(curve)(r, s, digests, nonces, scalars, NULL), count);
}
