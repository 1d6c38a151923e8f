/*
 * Proof of possession: does the CSR's signature verify with the CSR's own key? And the same
 * question for any message, key and signature, and for many messages under one key.
 *
 *     struct cm_proof *proof;                       one a worker, for its whole life
 *     cm_proof_new(&proof, &err);
 *     if (!cm_proof_check(proof, &csr, &refusal))
 *         ... answer with the refusal
 *
 * Signatures are held to the letter before OpenSSL sees them: an ECDSA signature is strict DER of
 * two positive integers no longer than the curve's order, an RSA one is as long as the modulus, an
 * Ed25519 one is 64 octets.
 *
 * Thread: a cm_proof and a cm_verifier belong to one thread at a time.
 */
#ifndef CM_X509_PROOF_H
#define CM_X509_PROOF_H

#include "engine/base/status.h"
#include "engine/x509/csr.h"

struct cm_proof;

/* Fails with: NO_MEMORY; UNSUPPORTED where OpenSSL lacks a hash (a provider that is not loaded). */
CM_MUST_USE cm_status cm_proof_new(struct cm_proof **ret_proof, struct cm_error *err);
void cm_proof_free(struct cm_proof *proof);

/*
 * Checks the proof of possession of a CSR that was read.
 *
 * Fails with: false; csr.sigalg-mismatch, csr.signature-encoding, csr.signature-invalid,
 *             key.ec-point-invalid, or engine.internal when OpenSSL had no memory.
 */
bool cm_proof_check(struct cm_proof *proof, const struct cm_csr *csr, struct cm_refusal *refusal);

/*
 * Checks one signature with a key that is used once.
 *
 * Fails with: MISMATCH (the algorithm is not the key's), MALFORMED (the signature's encoding),
 *             NO_KEY (the point is not on its curve), CORRUPT (it does not verify), NO_MEMORY.
 */
CM_MUST_USE cm_status cm_signature_verify(struct cm_proof *proof, const struct cm_public_key *key,
                                          enum cm_sigalg alg, struct cm_bytes message,
                                          struct cm_bytes signature);

/*
 * Checks many signatures at once: by multi-buffer arithmetic (engine/multibuffer) where there is any and
 * enough of a kind come together, and by OpenSSL, one by one, where not. What the lanes do not find good
 * is put to OpenSSL, too: nothing is refused that it accepts.
 */
struct cm_verifier;

struct cm_signature_check {
    const struct cm_public_key *key;
    enum cm_sigalg alg;
    struct cm_bytes message, signature; /* borrowed */
    /* Of this key and algorithm, where it is one that checks many: it is sound, and OpenSSL has it prepared. Else
     * NULL, and whether the point is on its curve is looked at. */
    struct cm_verifier *verifier;
    cm_status status; /* written: as of cm_signature_verify, OK where it verifies */
};

void cm_signatures_verify(struct cm_proof *proof, struct cm_signature_check *checks,
                          uint32_t count);

/* From now on by OpenSSL alone. */
void cm_proof_forgo_lanes(struct cm_proof *proof);

/* How many cm_signatures_verify has checked so far. Any thread. */
struct cm_proof_counts {
    uint64_t in_lanes, one_by_one;
};
struct cm_proof_counts cm_proof_count(const struct cm_proof *proof);

/* As cm_proof_check says it of a status that cm_signature_verify gives. */
bool cm_proof_accept(cm_status status, struct cm_refusal *refusal);

/* A key that checks many signatures: prepared once, about the bare cryptography each time. */

/* Owns: copies the key. Fails with: MISMATCH, NO_KEY, NO_MEMORY. */
CM_MUST_USE cm_status cm_verifier_new(const struct cm_public_key *key, enum cm_sigalg alg,
                                      struct cm_verifier **ret_verifier, struct cm_error *err);
void cm_verifier_free(struct cm_verifier *verifier);

/* Fails with: MALFORMED, CORRUPT. */
CM_MUST_USE cm_status cm_verifier_check(struct cm_verifier *verifier, struct cm_bytes message,
                                        struct cm_bytes signature);

#endif
