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

/* What stood in one list of extensions: none stands twice (RFC 5280, 4.2). Begins with count 0. */
#define CM_EXTENSIONS_MAX 32
struct cm_extensions_seen {
    size_t count;
    struct cm_bytes oids[CM_EXTENSIONS_MAX];
};

/* As cm_extension_read; refuses one that stands twice, too, and more than CM_EXTENSIONS_MAX. */
bool cm_extension_read_next(struct cm_der *der, struct cm_extensions_seen *seen,
                            struct cm_extension *ret_extension);

/* Refuses with csr.ext-critical-unknown and the OID; for extensions that nobody here knows. */
bool cm_extension_refuse_critical(const struct cm_der *der, const struct cm_extension *extension);

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

#endif
