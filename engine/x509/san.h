/*
 * Subject alternative names: reads GeneralNames into DNS names, URIs, IP addresses and mail
 * addresses. Other kinds of names (otherName, directoryName, ...) are refused: certmill sets those
 * itself, from the device's record. Whether a name belongs to the device is not decided here.
 *
 * Values are spans over the input: ASCII text, or 4 or 16 octets of an address. Any thread.
 */
#ifndef CM_X509_SAN_H
#define CM_X509_SAN_H

#include "engine/x509/der.h"

#define CM_SANS_MAX 32

enum cm_san_type { CM_SAN_DNS, CM_SAN_URI, CM_SAN_IP, CM_SAN_EMAIL };

struct cm_san {
    enum cm_san_type type;
    struct cm_bytes value; /* borrowed */
};

struct cm_sans {
    size_t count;
    struct cm_san names[CM_SANS_MAX]; /* in the order of the encoding */
};

/* Reads the next element of der, which is GeneralNames. */
bool cm_san_read(struct cm_der *der, struct cm_sans *ret_sans);

/*
 * One name, not in DER: the checks of its syntax alone, with an index for the message. Also for
 * names that come from elsewhere (a device's record).
 */
bool cm_san_check(const struct cm_san *san, size_t index, struct cm_refusal *refusal);

/* Equal as names: ASCII letters in DNS names match in either case. */
bool cm_san_equal(const struct cm_san *a, const struct cm_san *b);

#endif
