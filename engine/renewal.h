/*
 * Renewal: whether a certificate may be renewed, from what is known of it. Pure; the look-ups are the
 * station's (renew.c).
 *
 * A renewal asks nothing of the device that a first certificate would not ask, too; beyond that its
 * predecessor must be one of ours, the device's own, and not revoked for a reason that speaks against
 * the device or its key. Its end must be near, unless the key that has issued it issues no more: leaving such
 * a key is what renewals are for.
 *
 * Of the reasons superseded and cACompromise do not stand in the way: the certificate was taken from the
 * device, or its issuer was lost, and the device is to come for another one.
 *
 * Thread: any.
 */
#ifndef CM_ENGINE_RENEWAL_H
#define CM_ENGINE_RENEWAL_H

#include "engine/base/refusal.h"
#include "engine/settings/settings.h"
#include "engine/store/store.h"

/* The certificate that is renewed. */
struct cm_predecessor {
    bool is_known; /* it is one of ours; else the rest says nothing */
    int64_t device_number;
    int64_t not_after_s;  /* inclusive */
    struct cm_bytes spki; /* SubjectPublicKeyInfo */
    struct cm_certificate_standing standing;
};

struct cm_renewal {
    const struct cm_settings_group *group;
    int64_t device_number; /* who asks */
    struct cm_bytes spki;  /* for which key */
    int64_t now_s;
};

/*
 * False: refusal says why: renew.unknown, renew.not-owned, renew.revoked, renew.expired, renew.too-early,
 * renew.same-key-required, renew.new-key-required; of several the first. Nothing is told of a certificate
 * that is another device's. That a new key was never certified at all is for prove to find out.
 */
bool cm_renewal_check(const struct cm_renewal *renewal, const struct cm_predecessor *predecessor,
                      struct cm_refusal *refusal);

#endif
