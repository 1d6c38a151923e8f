/*
 * DER: a strict reader over spans. Nothing is copied or allocated; what is read points into the
 * input, and every message names its offset from the start of the whole input.
 *
 *     struct cm_der der = cm_der_open(input, &refusal), inner;
 *     if (!cm_der_enter(&der, CM_DER_SEQUENCE, "CSR", &inner) || !cm_der_finish(&der, "CSR"))
 *         return false;
 *
 * Functions return false when the input is refused, with the code and the message in the refusal
 * that the reader was opened with; the reader is then not used further. Accepted is only what
 * X.690 section 10 and 11 allow: definite minimal lengths, low tag numbers, primitive strings,
 * minimal integers, TRUE as 0xFF. Any thread, one reader a thread.
 */
#ifndef CM_X509_DER_H
#define CM_X509_DER_H

#include "engine/base/bytes.h"
#include "engine/base/refusal.h"

#define CM_DER_DEPTH_MAX    16 /* nested constructed elements */
#define CM_DER_OID_SIZE_MAX 64 /* bytes of content */

#define CM_DER_BOOLEAN                     0x01
#define CM_DER_INTEGER                     0x02
#define CM_DER_BIT_STRING                  0x03
#define CM_DER_OCTET_STRING                0x04
#define CM_DER_NULL                        0x05
#define CM_DER_OID                         0x06
#define CM_DER_ENUMERATED                  0x0a
#define CM_DER_UTF8_STRING                 0x0c
#define CM_DER_PRINTABLE_STRING            0x13
#define CM_DER_TELETEX_STRING              0x14
#define CM_DER_IA5_STRING                  0x16
#define CM_DER_UTC_TIME                    0x17
#define CM_DER_GENERALIZED_TIME            0x18
#define CM_DER_SEQUENCE                    0x30
#define CM_DER_SET                         0x31
#define CM_DER_CONTEXT(number)             (0x80 | (number)) /* primitive */
#define CM_DER_CONTEXT_CONSTRUCTED(number) (0xa0 | (number))

struct cm_der {
    const uint8_t *start;       /* borrowed: the whole input, for offsets */
    size_t position;            /* of the next element */
    size_t end;                 /* of the element that is being read */
    struct cm_refusal *refusal; /* borrowed: where a refusal is told */
};

struct cm_der_element {
    uint8_t tag;
    size_t offset;         /* of its tag, from the start of the whole input */
    struct cm_bytes whole; /* tag, length, content */
    struct cm_bytes content;
};

struct cm_der cm_der_open(struct cm_bytes input, struct cm_refusal *refusal);

/* A reader over content that was read from der: an OCTET STRING with DER inside, say. */
struct cm_der cm_der_inside(const struct cm_der *der, struct cm_bytes content);

static inline bool cm_der_at_end(const struct cm_der *der)
{
    return der->position == der->end;
}

/* True where the next element has this tag. */
static inline bool cm_der_next_is(const struct cm_der *der, uint8_t tag)
{
    return der->position < der->end && der->start[der->position] == tag;
}

/* The reader of the elements, each with what it is called in messages. */
bool cm_der_read_any(struct cm_der *der, const char *what, struct cm_der_element *ret_element);
bool cm_der_read(struct cm_der *der, uint8_t tag, const char *what,
                 struct cm_der_element *ret_element);

/* Reads a SEQUENCE as it stands, tag included, and looks into nothing of it. */
bool cm_der_read_sequence(struct cm_der *der, const char *what, struct cm_bytes *ret_whole);

/* Reads a constructed element and opens a reader over its content. */
bool cm_der_enter(struct cm_der *der, uint8_t tag, const char *what, struct cm_der *ret_inner);

/* True at the end; else refuses what stands there as an extra element. */
bool cm_der_finish(const struct cm_der *der, const char *what);

/* Two's complement content, minimal. */
bool cm_der_read_integer(struct cm_der *der, const char *what, struct cm_bytes *ret_content);

/* Magnitude of an INTEGER that must not be negative, without a sign octet; empty for zero. */
bool cm_der_read_unsigned(struct cm_der *der, const char *what, struct cm_bytes *ret_magnitude);

bool cm_der_read_boolean(struct cm_der *der, const char *what, bool *ret_value);
bool cm_der_read_null(struct cm_der *der, const char *what);
bool cm_der_read_oid(struct cm_der *der, const char *what, struct cm_bytes *ret_content);
bool cm_der_read_octet_string(struct cm_der *der, const char *what, struct cm_bytes *ret_content);

/* A BIT STRING of whole octets: no unused bits. */
bool cm_der_read_bit_string(struct cm_der *der, const char *what, struct cm_bytes *ret_octets);

/*
 * A BIT STRING of named bits, at most 16: bit N of the value is named bit N. In DER trailing zero
 * bits are not sent (X.690, 11.2.2).
 */
bool cm_der_read_named_bits(struct cm_der *der, const char *what, uint16_t *ret_bits);

/*
 * UTCTime or GeneralizedTime in the forms of RFC 5280 section 4.1.2.5 ("Z", whole seconds), as Unix
 * seconds.
 */
bool cm_der_read_time(struct cm_der *der, const char *what, int64_t *ret_unix_seconds);

/*
 * Walks everything below, so that later readers meet only well-formed DER: lengths, tags, depth,
 * and the content of every universal primitive. Time is linear in the size of the input.
 */
bool cm_der_check(struct cm_bytes input, struct cm_refusal *refusal);

/* The same over the rest of a reader, which stays where it is. */
bool cm_der_check_inside(const struct cm_der *der);

#endif
