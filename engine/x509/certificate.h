/*
 * Certificate: puts the signature on a TBSCertificate, and reads certificates back.
 *
 * Reading is strict and shallow: it accepts what certmill issues and what RFC 5280 allows in CA
 * certificates, returns spans over its input, and leaves names and extensions that nobody here
 * asks for unread. Thread: any.
 */
#ifndef CM_X509_CERTIFICATE_H
#define CM_X509_CERTIFICATE_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/x509/template.h"

/* Spans over the DER that was read. */
struct cm_certificate {
    struct cm_bytes der;    /* the whole */
    struct cm_bytes tbs;    /* what the signature is over, tag included */
    struct cm_bytes serial; /* content of the INTEGER */
    struct cm_bytes issuer; /* Name, tag included */
    struct cm_bytes subject;
    struct cm_bytes spki; /* SubjectPublicKeyInfo, tag included */
    int64_t not_before_s; /* Unix seconds, inclusive */
    int64_t not_after_s;
    struct cm_bytes ski; /* key identifiers; empty when absent */
    struct cm_bytes aki;
    struct cm_bytes altnames; /* SubjectAltName value: a SEQUENCE; empty when absent */
    struct cm_bytes purposes; /* the same of the extended key usage */
    bool is_ca;
    int path_len;                     /* CM_PATH_LEN_NONE when there is none */
    unsigned key_usage;               /* enum cm_key_usage bits; 0 when absent */
    struct cm_bytes name_constraints; /* value of the extension; empty when absent */
    struct cm_bytes policies;         /* value of certificatePolicies; empty when absent */
    enum cm_sigalg sigalg;
    struct cm_bytes signature; /* content of the BIT STRING, without the unused-bits octet */
};

/* Certificate, DER, in the arena. */
struct cm_bytes cm_certificate_assemble(struct cm_bytes tbs, enum cm_sigalg sigalg,
                                        struct cm_bytes signature, struct cm_arena *arena);

/*
 * Does:       reads one DER certificate, version 3, signed with an algorithm of algorithm.h.
 * Fails with: CM_MALFORMED, CM_UNSUPPORTED (version, algorithm); err says where.
 */
CM_MUST_USE cm_status cm_certificate_read(struct cm_bytes der, struct cm_certificate *ret,
                                          struct cm_error *err);

/*
 * The same of a TBSCertificate that nobody has signed yet: der and signature are empty, and sigalg is the one that
 * it says will sign it.
 */
CM_MUST_USE cm_status cm_certificate_read_tbs(struct cm_bytes tbs, struct cm_certificate *ret,
                                              struct cm_error *err);

/* By name and signature. For commands and the like: each call makes a verifier. */
bool cm_certificate_is_signed_by(const struct cm_certificate *certificate,
                                 const struct cm_certificate *by);

/*
 * Fills name, ski, spki, validity, path_len and name constraints of an issuer from its certificate, and the default
 * signature algorithm of its key; URLs and shards are left empty. Borrows the certificate's bytes.
 * Fails with: CM_MISMATCH when this is no CA certificate that may sign certificates.
 */
CM_MUST_USE cm_status cm_issuer_from_certificate(const struct cm_certificate *certificate,
                                                 struct cm_issuer *ret_issuer,
                                                 struct cm_error *err);

#endif
