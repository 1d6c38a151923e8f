/*
 * CSR: reads a PKCS#10 certification request (RFC 2986) into spans over its bytes.
 *
 *     struct cm_bytes der;
 *     struct cm_csr csr;
 *     if (!cm_pem_read_csr(field, arena, &der, &refusal) || !cm_csr_read(der, arena, &csr, &refusal))
 *         ... answer with the refusal
 *
 * The reader is strict and closed: what it does not know, it refuses, so that no two readers of one
 * request can disagree about it. The first check that fails names the code, and the checks have a
 * fixed order: size, form (what is this?), DER of the whole, public key, subject, attributes and
 * extensions, signature algorithm. No cryptography happens here: engine/x509/proof.h checks the
 * proof of possession, engine/x509/key_check.h weak keys, policy everything else.
 *
 * A CSR asks; it decides nothing. Of what is read here, only the public key and what the profile
 * allows reaches a certificate. Any thread.
 */
#ifndef CM_X509_CSR_H
#define CM_X509_CSR_H

#include "engine/base/arena.h"
#include "engine/x509/key.h"
#include "engine/x509/name.h"
#include "engine/x509/pem.h"
#include "engine/x509/san.h"

#define CM_CSR_ATTRIBUTES_MAX 8
#define CM_CSR_EXTENSIONS_MAX 16
#define CM_CSR_PURPOSES_MAX   16

/* Departures from the rules that old device stacks are known for. */
enum cm_csr_quirk {
    CM_CSR_QUIRK_ATTRIBUTES_MISSING = 1u << 0,  /* no attributes field; always accepted */
    CM_CSR_QUIRK_ATTRIBUTES_UNSORTED = 1u << 1, /* SET OF not in order; always accepted */
    CM_CSR_QUIRK_ECDSA_NULL = 1u << 2           /* ecdsa-with-SHA2 with NULL parameters */
};

/* Beside the quirks: a request for a CA's certificate, of an authority of ours, or of a CA that an operator has
   one certify; cA, keyCertSign and cRLSign may be asked for. Never set for what requesters send. */
#define CM_CSR_OF_AUTHORITY (1u << 31)

/* Key usage as in the BIT STRING: bit N is named bit N of RFC 5280, 4.2.1.3. */
#define CM_CSR_KEY_USAGE_KEY_CERT_SIGN (1u << 5)
#define CM_CSR_KEY_USAGE_CRL_SIGN      (1u << 6)

/* All spans are borrowed from the DER that was read, everything else lies in the arena. */
struct cm_csr {
    struct cm_bytes info;      /* CertificationRequestInfo, tag included: what is signed */
    struct cm_bytes subject;   /* Name, tag included */
    struct cm_bytes spki;      /* SubjectPublicKeyInfo, tag included */
    struct cm_bytes signature; /* the octets of the BIT STRING */
    enum cm_sigalg sigalg;
    struct cm_public_key key;
    const struct cm_name *name; /* the subject's attributes */
    const struct cm_san *sans;  /* NULL when sans_count is 0 */
    size_t sans_count;
    const struct cm_bytes *purposes; /* extended key usage, OID contents; NULL when none */
    size_t purposes_count;
    uint16_t key_usage; /* requested bits; 0: not requested */
    unsigned quirks;    /* enum cm_csr_quirk bits that this request shows */
    bool may_be_ca;     /* it was read with CM_CSR_OF_AUTHORITY */
    bool is_ca;         /* cA is asked for */
    int path_len;       /* -1: none is asked for */
};

/*
 * Reads a request.
 *
 * Owns:       nothing; *ret_csr borrows der and the arena.
 * Fails with: false, and *refusal says why; *ret_csr is not written.
 */
bool cm_csr_read(struct cm_bytes der, struct cm_arena *arena, struct cm_csr *ret_csr,
                 struct cm_refusal *refusal);

/* The same, accepting also the quirks whose bits are set. */
bool cm_csr_read_with(struct cm_bytes der, unsigned quirks, struct cm_arena *arena,
                      struct cm_csr *ret_csr, struct cm_refusal *refusal);

#endif
