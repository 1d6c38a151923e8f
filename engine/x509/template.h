/*
 * Template: a TBSCertificate with holes, one for each pair of profile and issuer generation.
 *
 * cm_template_build encodes once everything that is the same in every certificate (version,
 * signature algorithm, issuer, key usage, purposes, AKI, AIA, ...). cm_template_compose fills the
 * holes for one device: serial, validity, subject, key, SAN, SKI and the CRL shard. It works in the
 * composer's memory (OpenSSL 3.0 takes one hash state from the heap for the SKI) and makes the same
 * bytes from the same input, always: what an intent promised can be composed again and
 * compared.
 *
 * Life: a template is built when settings are loaded or a CA generation is activated, used by any
 * number of threads at once (each with its own composer), and freed when no batch holds it.
 *
 *     struct cm_template_input in = { .serial = ..., .issue_time_s = now, .device = ..., ... };
 *     struct cm_tbs tbs;
 *     if (!cm_template_compose(template, composer, &in, arena, &tbs, &refusal))
 *         return false;
 */
#ifndef CM_X509_TEMPLATE_H
#define CM_X509_TEMPLATE_H

#include "engine/base/arena.h"
#include "engine/base/refusal.h"
#include "engine/base/status.h"
#include "engine/x509/name.h"
#include "engine/x509/profile.h"
#include "engine/x509/san.h"

/*
 * One generation of a CA key, as far as certificates speak of it. cm_issuer_from_certificate
 * fills what the CA certificate says; the rest comes from settings.
 *
 * CRL shards: the shard of a certificate is cm_crl_shard() of its serial, written in decimal for
 * ${shard} in crl_url. Changing crl_shards changes the shard of new certificates only; the old
 * URLs stay in the certificates that have them.
 */
struct cm_issuer {
    struct cm_bytes name; /* Name, DER: byte for byte the subject of the CA certificate */
    struct cm_bytes ski;  /* subjectKeyIdentifier of the CA certificate, without tag */
    struct cm_bytes spki; /* SubjectPublicKeyInfo, DER */
    int64_t not_before_s; /* Unix seconds, inclusive */
    int64_t not_after_s;
    int path_len;                     /* CM_PATH_LEN_NONE: not limited */
    struct cm_bytes name_constraints; /* value of the extension; empty: none */
    enum cm_sigalg sigalg;
    uint32_t crl_shards;        /* 0 counts as 1 */
    const char *crl_url;        /* http, may hold ${shard}; NULL: none */
    const char *ocsp_url;       /* NULL: none */
    const char *ca_issuers_url; /* http, of the DER certificate; NULL: none */
};

/* An attribute of the device's record. */
struct cm_attribute {
    struct cm_bytes key;
    struct cm_bytes value; /* UTF-8 */
};

/* Everything is borrowed for the call. */
struct cm_template_input {
    struct cm_bytes serial; /* 1 to 20 octets, positive, minimal: as it stands in the INTEGER */
    int64_t issue_time_s;   /* Unix seconds; the profile's backdate is taken off it */
    int64_t validity_s;     /* asked for; 0: the profile's. Never more than the profile's */
    struct cm_bytes device; /* id */
    const struct cm_attribute *attributes;
    size_t attributes_count;
    struct cm_bytes spki; /* DER, already checked by admission */
    enum cm_key_type key_type;
    const struct cm_name *csr_name; /* subject of the request; may be NULL */
    const struct cm_san *csr_sans;
    size_t csr_sans_count;
    /* Of a CA that is not ours: what it calls itself, and its key. Empty: as the profile has it. */
    struct cm_bytes subject; /* Name, taken octet by octet */
    struct cm_bytes ski;     /* key identifier, 1 to CM_SKI_SIZE_MAX octets */
};

/* What came out. Spans live in the arena. */
struct cm_tbs {
    struct cm_bytes der;  /* TBSCertificate */
    int64_t not_before_s; /* Unix seconds, inclusive both */
    int64_t not_after_s;
    uint32_t crl_shard;
};

/*
 * Composer: one worker's scratch memory and hash contexts; also lent to the linter.
 * Thread: one at a time.
 */
struct cm_composer;

CM_MUST_USE cm_status cm_composer_new(struct cm_composer **ret_composer, struct cm_error *err);
void cm_composer_free(struct cm_composer *composer);

/* Subject key identifier of an SPKI. False when the SPKI is none. Thread: the composer's. */
bool cm_composer_ski(struct cm_composer *composer, enum cm_ski_method method, struct cm_bytes spki,
                     uint8_t ret_ski[CM_SKI_SIZE]);

struct cm_template;

/*
 * Does:       checks profile and issuer against each other and encodes what is constant.
 * Owns:       the caller owns *ret_template; the issuer is copied; the profile is borrowed and
 *             must live longer.
 * Thread:     any.
 * Fails with: CM_MALFORMED (the profile, as cm_profile_check; an issuer without name or SKI; an
 *             URL that is none), CM_MISMATCH (issuer may not issue this: path length).
 */
CM_MUST_USE cm_status cm_template_build(const struct cm_profile *profile,
                                        const struct cm_issuer *issuer,
                                        struct cm_template **ret_template, struct cm_error *err);
void cm_template_free(struct cm_template *template);

const struct cm_profile *cm_template_profile(const struct cm_template *template);
const struct cm_issuer *cm_template_issuer(const struct cm_template *template); /* the copy */

/*
 * Does:       composes the bytes to be signed for one device.
 *
 *             notBefore = issue time - backdate, not before the issuer's; notAfter = notBefore
 *             + validity - 1 s, not after the issuer's. A profile without expiry gets
 *             99991231235959Z under any issuer: that date says that there is none, and the
 *             certificate still ends with its issuer's. A name is written once, even if the rules
 *             and the CSR both have it.
 * Owns:       *ret_tbs points into arena.
 * Thread:     any, with a composer of its own.
 * Fails with: policy.attribute-missing, policy.key-type-not-allowed, policy.name-not-allowed,
 *             policy.issuer-expired, name.*, san.*, key.encoding, engine.internal (the serial is
 *             none).
 */
CM_MUST_USE bool cm_template_compose(const struct cm_template *template,
                                     struct cm_composer *composer,
                                     const struct cm_template_input *in, struct cm_arena *arena,
                                     struct cm_tbs *ret_tbs, struct cm_refusal *refusal);

/*
 * Shard of a serial: its last 8 octets (all, if fewer) as a big-endian number, modulo shards_count.
 * CRL and OCSP depend on this for the life of every certificate: it never changes.
 */
uint32_t cm_crl_shard(struct cm_bytes serial, uint32_t shards_count);

#endif
