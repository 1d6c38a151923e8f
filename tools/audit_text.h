/* Rows of the audit log as JSON and as lines, and proofs that a certificate is among them. */
#ifndef CM_TOOLS_AUDIT_TEXT_H
#define CM_TOOLS_AUDIT_TEXT_H

#include <jansson.h>

#include "engine/authority/merkle.h"
#include "engine/store/store.h"

/* {"number","time_ms","time","kind","actor","detail","digest","previous","hash"}; detail as an object. */
json_t *cm_audit_row_to_json(const struct cm_audit_row *row);

/*
 * A proof: {"v":1,"serial","index","leaves","hashes":[...],"rows":[...],"checkpoint":{...}}. The first of rows is
 * the certificate's, its digest the root of the tree; each hashes the one before it, the last is the
 * checkpoint's, where there is one. detail is a text there, octet for octet.
 */
json_t *cm_audit_proof_row(const struct cm_audit_row *row);

struct cm_audit_proof_found {
    int64_t row, time_ms;
    uint8_t root[CM_HASH_SIZE], row_hash[CM_HASH_SIZE];
    int64_t checkpoint, checkpoint_time_ms; /* number 0: the proof has none */
    uint8_t signer[CM_HASH_SIZE];
};

/*
 * Whether the proof is one for this certificate. spki: the key that has to have signed its checkpoint; empty:
 * whichever. Fails with: MALFORMED, MISMATCH; text says what.
 */
CM_MUST_USE cm_status cm_audit_proof_check(struct cm_bytes proof, struct cm_bytes certificate,
                                           struct cm_bytes spki,
                                           struct cm_audit_proof_found *ret_found,
                                           struct cm_error *err);

#endif
