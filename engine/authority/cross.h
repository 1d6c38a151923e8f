/*
 * Cross certificate: one of ours for a CA that is not (RFC 5280, 3.2): whoever trusts our root takes what that CA
 * issues, as far as this certificate allows.
 *
 * How far that is are its terms, texts that stand in the audit log and in the plan that several people approve. They
 * are read off the certificate itself, or off what is about to be signed, so that they cannot say anything else:
 *
 *     exclude       "dns:office.example,ip:10.0.0.0/8": excluded subtrees of its name constraints
 *     key           SHA-256 of the SubjectPublicKeyInfo that is certified, 64 hexadecimal digits
 *     path-length   "0": so many CAs may follow below it
 *     permit        permitted subtrees
 *     policy        "1.2.3.4,1.2.3.5": its certificate policies
 *     proof         "self-signed", "request" or "none": not of the certificate
 *     subject       "CN=Partner Root,O=Partner"
 *
 * in this order; key, proof and subject always, each of the others where the certificate has it. Thread: any.
 */
#ifndef CM_ENGINE_AUTHORITY_CROSS_H
#define CM_ENGINE_AUTHORITY_CROSS_H

#include "engine/authority/plan.h"
#include "engine/x509/certificate.h"

/* How a CA has shown that it has the key. X(SYMBOL, name) */
#define CM_CROSS_PROOF_MAP(X)                                                                      \
    X(NONE, "none")                                                                                \
    X(SELF_SIGNED, "self-signed")                                                                  \
    X(REQUEST, "request")

enum cm_cross_proof {
#define X(symbol, name) CM_CROSS_PROOF_##symbol,
    CM_CROSS_PROOF_MAP(X)
#undef X
        CM_CROSS_PROOF_COUNT
};

const char *cm_cross_proof_name(enum cm_cross_proof proof);
bool cm_cross_proof_find(const char *name, enum cm_cross_proof *ret_proof);

#define CM_CROSS_TERMS_MAX 7

struct cm_cross_terms {
    struct cm_plan_parameter rows[CM_CROSS_TERMS_MAX]; /* texts in the arena */
    uint32_t count;
};

/* Fails with: MALFORMED (constraints, policies or a subject that cannot be read, or not be told whole). */
CM_MUST_USE cm_status cm_cross_terms_read(const struct cm_certificate *certificate,
                                          enum cm_cross_proof proof, struct cm_arena *arena,
                                          struct cm_cross_terms *ret_terms, struct cm_error *err);

/* Whether a plan may have these: names as above, in order, none missing that is always there. */
bool cm_cross_terms_are_good(const struct cm_plan_parameter *rows, uint32_t count);

#endif
