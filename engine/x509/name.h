/*
 * Name: reads an RDNSequence into its attributes.
 *
 * What is accepted is what certmill would itself put into a certificate: known attribute types,
 * UTF8String or PrintableString (IA5String for domain components), RFC 5280's upper bounds, one
 * attribute in an RDN, no attribute twice except organizationalUnitName, streetAddress and
 * domainComponent, and text that a reader sees as it is (engine/x509/name_text.h). Values are
 * spans over the input; all of them are UTF-8. Any thread.
 */
#ifndef CM_X509_NAME_H
#define CM_X509_NAME_H

#include "engine/x509/der.h"
#include "engine/x509/oid.h"

#define CM_NAME_ATTRIBUTES_MAX 12

struct cm_name_attribute {
    enum cm_oid type;      /* CM_OID_COMMON_NAME, ... */
    struct cm_bytes value; /* borrowed, UTF-8 */
};

struct cm_name {
    size_t count; /* 0: the empty name, which is a valid encoding */
    struct cm_name_attribute attributes[CM_NAME_ATTRIBUTES_MAX]; /* in the order of the encoding */
};

/* Reads the next element of der, which is a Name. */
bool cm_name_read(struct cm_der *der, struct cm_name *ret_name);

/* The first value of a type; empty when there is none. */
struct cm_bytes cm_name_find(const struct cm_name *name, enum cm_oid type);

#endif
