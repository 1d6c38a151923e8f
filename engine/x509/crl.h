/*
 * CRLs (RFC 5280, section 5): entries, the list that is signed, and reading lists back.
 *
 * An entry is encoded once, when a certificate is revoked, and kept encoded; a CRL is then a head, the
 * entries as they stand one behind the other, and a tail. So a list of a million entries costs a copy,
 * a hash and a signature.
 *
 *     size = cm_crl_entry_write(&entry, buffer);                       once a revocation
 *     cm_crl_compose(&crl, entries, arena, &tbs, &err);                TBSCertList
 *     ... signed ...
 *     der = cm_certificate_assemble(tbs, crl.sigalg, signature, arena)   (the shape is the same)
 *
 * Large lists are made as drafts (cm_crl_draft_make), which spares the copy of the last line.
 *
 * What stands in a list: version 2, AKI, cRLNumber; for a shard a critical issuingDistributionPoint whose
 * URI is octet for octet that of the certificates' distribution point, onlyContainsUserCerts where
 * asked for; in a complete list freshestCRL where there is a delta, in a delta a critical
 * deltaCRLIndicator. An empty list has no revokedCertificates.
 *
 * Entries: reasonCode is left out for unspecified; invalidityDate where known; neither is critical.
 * Pure functions; any thread.
 */
#ifndef CM_X509_CRL_H
#define CM_X509_CRL_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"
#include "engine/x509/reason.h"

#define CM_CRL_ENTRY_SIZE_MAX  96 /* octets */
#define CM_CRL_NUMBER_SIZE_MAX 20 /* octets of a cRLNumber (RFC 5280, 5.2.3) */

struct cm_crl_entry {
    struct cm_bytes serial; /* content of the INTEGER: 1 to 20 octets, positive, minimal */
    int64_t revoked_s;      /* Unix seconds */
    int64_t invalidity_s;   /* invalidityDate; 0: not known */
    enum cm_reason reason;
};

/* Writes the entry, tag included. Returns its size, at most CM_CRL_ENTRY_SIZE_MAX; 0: no such serial or
 * date. */
size_t cm_crl_entry_write(const struct cm_crl_entry *entry,
                          uint8_t ret_octets[CM_CRL_ENTRY_SIZE_MAX]);

/* The order of entries: of their serials' values. As memcmp. */
int cm_crl_serial_compare(struct cm_bytes one, struct cm_bytes other);

/* What a list says beside its entries. */
struct cm_crl {
    struct cm_bytes issuer; /* Name, DER */
    struct cm_bytes aki;    /* key identifier of the key that signs it */
    enum cm_sigalg sigalg;
    int64_t this_update_s, next_update_s; /* Unix seconds */
    uint64_t number;
    bool is_delta;
    uint64_t base_number;     /* of a delta */
    const char *url;          /* issuingDistributionPoint's URI; NULL: no such extension */
    bool user_certificates;   /* onlyContainsUserCerts; with url */
    const char *freshest_url; /* of the delta, in a complete list; NULL: none */
};

/*
 * Does:       TBSCertList in the arena. entries: encoded entries, sorted, one behind the other; may be
 *             empty.
 * Fails with: INVALID (no issuer, no AKI, no algorithm, times out of order, a URL that is none, a delta
 *             with a later base or with a freshestCRL of its own, larger than CM_CRL_SIZE_MAX).
 */
CM_MUST_USE cm_status cm_crl_compose(const struct cm_crl *crl, struct cm_bytes entries,
                                     struct cm_arena *arena, struct cm_bytes *ret_tbs,
                                     struct cm_error *err);

#define CM_CRL_SIZE_MAX 0x7ff00000u /* octets of entries: what readers of DER take as a length */

/*
 * A list in memory of its own, with room left around the TBSCertList: so the signature comes to it, and
 * nothing of it is copied again.
 *
 *     cm_crl_draft_make(&crl, entries, &draft, &err);
 *     ... draft.tbs signed ...
 *     der = cm_crl_draft_finish(&draft, signature);      the caller's, to free
 */
struct cm_crl_draft {
    struct cm_bytes tbs; /* TBSCertList: what is signed */
    enum cm_sigalg sigalg;
    uint8_t *memory; /* owned */
    size_t memory_size;
};

/* Fails with: as cm_crl_compose, and NO_MEMORY. */
CM_MUST_USE cm_status cm_crl_draft_make(const struct cm_crl *crl, struct cm_bytes entries,
                                        struct cm_crl_draft *ret_draft, struct cm_error *err);

/* CertificateList, from malloc: its data is the caller's to free. The draft is empty then. */
struct cm_bytes cm_crl_draft_finish(struct cm_crl_draft *draft, struct cm_bytes signature);

/* Where it does not come to a signature; after finish, and twice, it does nothing. */
void cm_crl_draft_done(struct cm_crl_draft *draft);

/* A list that was read; spans over its DER. */
struct cm_crl_read {
    struct cm_bytes der, tbs;
    struct cm_bytes issuer;
    struct cm_bytes aki;                  /* empty: none */
    struct cm_bytes url;                  /* issuingDistributionPoint's first URI; empty: none */
    int64_t this_update_s, next_update_s; /* next 0: none */
    bool has_number;
    struct cm_bytes number; /* magnitude, big-endian, without leading zeros */
    bool is_delta;
    struct cm_bytes base_number;
    struct cm_bytes entries; /* content of revokedCertificates */
    enum cm_sigalg sigalg;
    struct cm_bytes signature; /* content of the BIT STRING, without the unused-bits octet */
};

/*
 * Does:       reads one DER CRL, strictly: our own, and those of other CAs that move in; of version 1,
 *             too, which has no extensions. Entries are checked by cm_crl_next_entry: until then, the
 *             time that it takes does not depend on them.
 * Fails with: MALFORMED, UNSUPPORTED (version, algorithm, an unknown critical extension, an indirect
 *             CRL or one for some reasons only); err says where.
 */
CM_MUST_USE cm_status cm_crl_read(struct cm_bytes der, struct cm_crl_read *ret_crl,
                                  struct cm_error *err);

/*
 * Takes the first entry off *entries. False with OK at the end, with MALFORMED where what stands there is
 * no entry. An unknown critical entry extension is MALFORMED. REMOVE_FROM_CRL is a reason here like others.
 */
CM_MUST_USE bool cm_crl_next_entry(struct cm_bytes *entries, struct cm_crl_entry *ret_entry,
                                   cm_status *ret_status, struct cm_error *err);

#endif
