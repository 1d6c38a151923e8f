/*
 * Alternative names: their syntax (RFC 5280, 4.2.1.6; RFC 4108 and RFC 4043 for the two kinds
 * that name devices), and how they are written. Thread: any.
 */
#ifndef CM_X509_ALTNAME_H
#define CM_X509_ALTNAME_H

#include "engine/x509/der_writer.h"
#include "engine/x509/template.h"

/* A name ready to be written. */
struct cm_altname_value {
    enum cm_altname_kind kind;
    struct cm_bytes value; /* text; octets of IP; serial number or identifier */
    struct cm_bytes oid;   /* OBJECT IDENTIFIER, tag included: hwType or assigner; else empty */
};

/* Checks a name's value: what cm_san_check refuses, and name.* for the two kinds that name devices.
   The index is for the message. */
bool cm_altname_check(const struct cm_altname_value *name, size_t index,
                      struct cm_refusal *refusal);

/* Text of an IPv4 or IPv6 address to its octets: 4, 16, or 0 when it is none. */
size_t cm_altname_ip_read(struct cm_bytes text, uint8_t ret_octets[16]);

/* The same name: DNS names ignore case, all else is compared by octet. */
bool cm_altname_equal(const struct cm_altname_value *a, const struct cm_altname_value *b);

/* Content of the OID of permanentIdentifier names. */
struct cm_bytes cm_altname_permanent_identifier(void);

/* One GeneralName. */
void cm_altname_put(struct cm_der_writer *w, const struct cm_altname_value *name);

#endif
