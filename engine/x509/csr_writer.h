/*
 * CSR writer: a certification request (RFC 2986) for an authority of ours, which another CA is to sign.
 *
 * It asks for what a CA certificate has to say: basic constraints with cA and path length, and key usage.
 * What becomes of that is the other CA's to decide.
 *
 *     cm_csr_compose(&input, &arena, &info, &err)
 *     ... a key signs info ...
 *     der = cm_certificate_assemble(info, sigalg, signature, &arena)   (the shape is the same)
 *     cm_csr_check_authority(der, &arena, &csr, &err)
 *
 * Thread: any.
 */
#ifndef CM_X509_CSR_WRITER_H
#define CM_X509_CSR_WRITER_H

#include "engine/base/status.h"
#include "engine/x509/csr.h"
#include "engine/x509/profile.h"

/* Borrowed for the call. */
struct cm_csr_input {
    struct cm_bytes subject; /* Name */
    struct cm_bytes spki;
    enum cm_key_type key_type;
    const struct cm_profile *profile; /* a CA's */
};

/*
 * Does:       composes the CertificationRequestInfo: what is to be signed.
 * Owns:       *ret_info points into arena.
 * Fails with: MALFORMED (it has no room).
 */
CM_MUST_USE cm_status cm_csr_compose(const struct cm_csr_input *in, struct cm_arena *arena,
                                     struct cm_bytes *ret_info, struct cm_error *err);

/*
 * Does:       reads a request for a CA's certificate, of ours or of another CA, and checks the proof of possession.
 * Owns:       *ret_csr borrows der and arena.
 * Fails with: MALFORMED, CORRUPT (the signature), with the refusal's text.
 */
CM_MUST_USE cm_status cm_csr_check_authority(struct cm_bytes der, struct cm_arena *arena,
                                             struct cm_csr *ret_csr, struct cm_error *err);

#endif
