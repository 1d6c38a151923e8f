/*
 * CA cross: a certificate by one of our authorities for a CA that is not ours (RFC 5280, 3.2), with that CA's name and
 * key.
 *
 *     struct cm_ca_cross cross = { .authority = "root", .file = "partner.pem", .profile = ... };
 *     status = cm_ca_cross_carry_out(&cross, &record, &err);     then cross.certificate is the certificate
 *
 * Intent, signature, record, in this order; it stands among its signer's certificates before anyone has it. Private to
 * tools/ca_cross_sign.c. One thread.
 */
#ifndef CM_TOOLS_CA_CROSS_H
#define CM_TOOLS_CA_CROSS_H

#include "engine/authority/certifiable.h"
#include "tools/ca_record.h"
#include "tools/ca_signer.h"
#include "tools/foreign_ca.h"
#include "tools/generations.h"

struct cm_ca_cross {
    /* planned */
    const char *authority; /* "root": its newest active key; "root-1" */
    const char *file;      /* certificate or request */
    const char *csr;       /* request that shows the key of the certificate; NULL: none */
    bool without_proof;    /* and that is meant */
    const struct cm_profile *profile;
    bool must_last;  /* the profile's validity was asked for; else it may be cut short */
    bool terms_only; /* nothing is signed or recorded, and no key opened */
    /* written; in the deployment's arena */
    struct cm_certificate certificate;
    struct cm_cross_terms terms; /* where they alone are wanted */
    const char *signers_name;    /* "root-1" */
    struct cm_foreign_ca ca;
    bool
        is_cut_short; /* it ends with its signer, or what is above that, or with the CA's own certificate */
    /* its own */
    struct cm_ca_record *record;
    struct cm_generations generations;
    struct cm_ca_signer signer;
    int64_t end_s;
};

/*
 * Fails with: NOT_FOUND (no such authority with an active key), DENIED (the key named is not active; no approved plan),
 *             MISMATCH (nothing proves that the CA has the key; the signer may not certify it:
 *             engine/authority/certifiable.h), EXISTS (name or key are those of an authority of ours),
 *             CANCELLED; what reading the files, keys and the record fail with. Once it is recorded, with nothing.
 */
CM_MUST_USE cm_status cm_ca_cross_carry_out(struct cm_ca_cross *cross, struct cm_ca_record *record,
                                            struct cm_error *err);

#endif
