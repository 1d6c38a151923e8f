/*
 * Authority certificates: the self-signed root and the CA certificates below it, through the same
 * templates as every other certificate (profiles root-ca and issuing-ca, or one of the settings).
 *
 * The subject comes from the profile's rules with the given attributes: the built-in profiles use
 * "cn" (must be there), "o" and "c". A CA that is not ours has a subject and, it may be, a key identifier already,
 * and keeps them (cross certificates, RFC 5280, 3.2).
 */
#ifndef CM_X509_AUTHORITY_H
#define CM_X509_AUTHORITY_H

#include "engine/x509/template.h"

/* Borrowed for the call. */
struct cm_authority_input {
    const struct cm_profile *profile;
    const struct cm_issuer *issuer; /* NULL: self-signed */
    enum cm_sigalg sigalg;          /* of the signature, when self-signed */
    struct cm_bytes serial;
    int64_t issue_time_s;
    int64_t validity_s; /* 0: the profile's */
    struct cm_bytes spki;
    enum cm_key_type key_type;
    const struct cm_attribute *attributes;
    size_t attributes_count;
    /* Of a CA that is not ours, under an issuer: as struct cm_template_input has them. */
    struct cm_bytes subject, ski;
};

/*
 * Does:       composes and lints the TBSCertificate of an authority. A self-signed one names
 *             itself as issuer, and its AKI is its own SKI.
 * Owns:       *ret_tbs points into arena.
 * Fails with: what cm_template_build fails with; CM_MALFORMED with the refusal's text.
 */
CM_MUST_USE cm_status cm_authority_compose(struct cm_composer *composer,
                                           const struct cm_authority_input *in,
                                           struct cm_arena *arena, struct cm_tbs *ret_tbs,
                                           struct cm_error *err);

/*
 * Does:       the subject alone, which needs no key: profile and attributes count.
 * Owns:       *ret_name, a Name, points into arena.
 * Fails with: as cm_authority_compose.
 */
CM_MUST_USE cm_status cm_authority_compose_subject(struct cm_composer *composer,
                                                   const struct cm_authority_input *in,
                                                   struct cm_arena *arena,
                                                   struct cm_bytes *ret_name, struct cm_error *err);

#endif
