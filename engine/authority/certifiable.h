/*
 * Certifiable: whether a signer may certify an authority that is planned, asked before a key is made.
 *
 * What relying parties would hold against the certificate, or against whatever is issued below it, is said
 * here in one sentence: RFC 5280, 4.2.1.4 (policies), 4.2.1.9 (path length), 4.2.1.10 (name constraints), 6.1.
 * Pure; any thread.
 */
#ifndef CM_ENGINE_AUTHORITY_CERTIFIABLE_H
#define CM_ENGINE_AUTHORITY_CERTIFIABLE_H

#include "engine/x509/certificate.h"

struct cm_certificate_plan {
    const struct cm_profile *profile; /* a CA's, checked */
    bool must_last;                   /* its validity was asked for; else it may be cut short */
    struct cm_bytes subject;          /* Name; empty: not known yet */
    enum cm_key_type key_type;        /* of the new key; CM_KEY_UNKNOWN: not known yet */
    int64_t now_s;
};

/* The signer first, then who has signed it, and so on: as far as is known, the root at the end. */
struct cm_signer_chain {
    const char *name; /* of the signer, for messages: "root-1" */
    const struct cm_certificate *certificates;
    size_t count; /* 1 .. */
};

/*
 * Does:       looks for a reason why not. *ret_end_s is the last moment at which all of the chain is
 *             valid: the certificate may not end later.
 * Fails with: MISMATCH: the signer, or one above it, may not certify this; the text says why.
 */
CM_MUST_USE cm_status cm_certifiable_check(const struct cm_signer_chain *chain,
                                           const struct cm_certificate_plan *plan,
                                           int64_t *ret_end_s, struct cm_error *err);

#endif
