/*
 * Extension: one element of a certificate's Extensions, read and written. Thread: any.
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

/* Puts an Extension around the value that has been written since the mark. */
void cm_extension_wrap(struct cm_der_writer *w, size_t mark, struct cm_bytes oid, bool critical);

#endif
