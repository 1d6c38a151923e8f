/*
 * Reissue: an authority's certificate once more, by another signer, or for its next key.
 *
 * Subject and extensions are those of the certificate that is the model, so that whoever replaces a key, or
 * has one certified by another (RFC 4210, 4.4: new with old, old with new), changes nothing that relying parties
 * go by: constraints, policies, key usage. What speaks of the signer is the signer's: issuer name, authority
 * key identifier, and where the status of what it has signed is told. Serial and validity are the caller's.
 *
 * The subject stays, so a certificate of one generation by another of the same authority is self-issued, and
 * does not count for a path length (RFC 5280, 4.2.1.9).
 *
 * Thread: any.
 */
#ifndef CM_X509_REISSUE_H
#define CM_X509_REISSUE_H

#include "engine/x509/certificate.h"

/* Borrowed for the call. */
struct cm_reissue_input {
    const struct cm_certificate *model;
    struct cm_bytes spki;           /* of the key that is certified; empty: the model's */
    const struct cm_issuer *issuer; /* who signs, with its sigalg; NULL: the key itself */
    enum cm_sigalg sigalg;          /* where it signs itself */
    struct cm_bytes serial;         /* content of the INTEGER, as engine/store makes it */
    int64_t not_before_s, not_after_s;
};

/*
 * Does:       composes the TBSCertificate.
 * Owns:       ret_tbs->der is in the arena.
 * Fails with: MALFORMED (the model's extensions; a key that is none), MISMATCH (the model is no
 *             authority's; the validity is empty, or reaches beyond the signer's).
 */
CM_MUST_USE cm_status cm_reissue_compose(struct cm_composer *composer,
                                         const struct cm_reissue_input *in, struct cm_arena *arena,
                                         struct cm_tbs *ret_tbs, struct cm_error *err);

#endif
