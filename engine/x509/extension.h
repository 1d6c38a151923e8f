/*
 * Extension: one element of the Extensions of a certificate, CRL or OCSP message, read and written; and
 * the values that more than one of them has. Thread: any.
 */
#ifndef CM_X509_EXTENSION_H
#define CM_X509_EXTENSION_H

#include "engine/x509/der.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/oid.h"

struct cm_extension {
    enum cm_oid id;      /* CM_OID_UNKNOWN when it is none of ours */
    struct cm_bytes oid; /* content of the OBJECT IDENTIFIER */
    bool critical;
    struct cm_bytes value; /* content of the OCTET STRING */
    size_t offset;         /* from the start of the reader's input */
};

/* Reads the next one; refuses through the reader: der.* (a FALSE that is written out, too). */
bool cm_extension_read(struct cm_der *der, struct cm_extension *ret_extension);

/* A list of extensions on its way through a reader: none stands twice in it (RFC 5280, 4.2). */
#define CM_EXTENSIONS_MAX 32
struct cm_extensions {
    struct cm_der list;
    size_t seen_count;
    struct cm_bytes seen[CM_EXTENSIONS_MAX];
};

/* Enters the list that comes next; in an element with this tag, where tag is not 0. */
bool cm_extensions_enter(struct cm_der *der, uint8_t tag, struct cm_extensions *ret_extensions);

/* As cm_extension_read; refuses one that stands twice, too, and more than CM_EXTENSIONS_MAX. */
bool cm_extensions_next(struct cm_extensions *extensions, struct cm_extension *ret_extension);

static inline bool cm_extensions_are_read(const struct cm_extensions *extensions)
{
    return cm_der_at_end(&extensions->list);
}

/* Refuses with csr.ext-critical-unknown and the OID; for extensions that nobody here knows. */
bool cm_extension_refuse_critical(const struct cm_der *der, const struct cm_extension *extension);

/* The OIDs of certificatePolicies (RFC 5280, 4.2.1.4), one after the other until the list is at its end; what qualifies
   them is left unread. False: it is malformed. */
bool cm_extension_enter_policies(struct cm_der *value, struct cm_der *ret_list);
bool cm_extension_next_policy(struct cm_der *list, struct cm_bytes *ret_oid);

/* An authorityKeyIdentifier: its key identifier, empty where it has none; other members are left unread. */
bool cm_extension_read_aki(struct cm_der *value, struct cm_bytes *ret_key_id);

/* Puts an Extension around the value that has been written since the mark. */
void cm_extension_wrap(struct cm_der_writer *w, size_t mark, struct cm_bytes oid, bool critical);

void cm_extension_put_aki(struct cm_der_writer *w, struct cm_bytes key_id);

/* DistributionPointName: one URL as full name, given in three pieces. */
void cm_extension_put_point_name(struct cm_der_writer *w, struct cm_bytes before,
                                 struct cm_bytes shard, struct cm_bytes after);

/* An extension that is a list of one distribution point with that name alone: cRLDistributionPoints,
 * freshestCRL. */
void cm_extension_put_points(struct cm_der_writer *w, enum cm_oid id, struct cm_bytes before,
                             struct cm_bytes shard, struct cm_bytes after);

/* authorityInfoAccess; NULL: none of this kind, but one of them there is. */
void cm_extension_put_authority_info(struct cm_der_writer *w, const char *ocsp_url,
                                     const char *ca_issuers_url);

#endif
