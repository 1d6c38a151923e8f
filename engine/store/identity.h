/*
 * Identity: what certificates and requests are known by.
 *
 * A certificate's number is the first 8 octets of its serial, big-endian: the Unix milliseconds of issuance
 * times 2^20 plus a counter, so that rows are born in the order of their keys and one index serves serial,
 * time and row. A request is known by the first 16 octets of SHA-256(requester NUL id).
 *
 * Values, all of them. Any thread.
 */
#ifndef CM_ENGINE_STORE_IDENTITY_H
#define CM_ENGINE_STORE_IDENTITY_H

#include "engine/base/bytes.h"

#define CM_SERIAL_SIZE 20
#define CM_HASH_SIZE   32

/* The number of a certificate: the first 8 octets of its serial. Positive, strictly growing. */
typedef int64_t cm_certificate_number;

struct cm_serial {
    uint8_t octets[CM_SERIAL_SIZE]; /* 8 of number, 12 random */
};

cm_certificate_number cm_serial_number(const struct cm_serial *serial);

/* The content of its INTEGER, as it stands in certificates: a span within the serial. */
struct cm_bytes cm_serial_content(const struct cm_serial *serial);

/* False: no content of an INTEGER of 1 to 20 octets, positive and minimal. */
bool cm_serial_from_content(struct cm_bytes content, struct cm_serial *ret_serial);

/* SHA-256(requester NUL id), first 16 octets. */
struct cm_request_key {
    uint8_t octets[16];
};

/* SHA-256 over every field that the answer depends on, first 16 octets: same content, same digest. */
struct cm_request_digest {
    uint8_t octets[16];
};

#endif
