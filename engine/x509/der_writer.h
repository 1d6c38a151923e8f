/*
 * DER writer: fills a buffer from its end towards its start.
 *
 * Backwards, because a DER length stands before what it measures: when the header is written its
 * content is already there, so that nothing is moved and no size is counted twice. The caller
 * writes the last element first.
 *
 *     uint8_t buffer[256];
 *     struct cm_der_writer w;
 *     cm_der_writer_init(&w, buffer, sizeof buffer);
 *     size_t mark = cm_der_mark(&w);
 *     cm_der_put_tlv(&w, CM_DER_OCTET_STRING, second);
 *     cm_der_put_uint(&w, 7);
 *     cm_der_wrap(&w, CM_DER_SEQUENCE, mark);          -> SEQUENCE { 7, second }
 *
 * A buffer that is too small makes the writer overflow: it then swallows everything, and
 * cm_der_written gives an empty span. Check once, at the end.
 *
 * Owns nothing. Thread: whoever holds it.
 */
#ifndef CM_X509_DER_WRITER_H
#define CM_X509_DER_WRITER_H

#include "engine/base/bytes.h"
#include "engine/x509/der.h" /* tags */

struct cm_der_writer {
    uint8_t *start; /* borrowed buffer */
    uint8_t *next;  /* what is written lies from here to end */
    uint8_t *end;
    bool overflow;
};

void cm_der_writer_init(struct cm_der_writer *w, void *buffer, size_t buffer_size);

/* What has been written; empty after an overflow. Valid as long as the buffer. */
struct cm_bytes cm_der_written(const struct cm_der_writer *w);

/* Bytes as they are. */
void cm_der_put(struct cm_der_writer *w, struct cm_bytes bytes);
void cm_der_put_byte(struct cm_der_writer *w, uint8_t byte);

/* Puts a header around everything written since the mark was taken. */
static inline size_t cm_der_mark(const struct cm_der_writer *w)
{
    return (size_t)(w->end - w->next);
}
void cm_der_wrap(struct cm_der_writer *w, uint8_t tag, size_t mark);

/* A header alone: of content that stands, or will stand, elsewhere. */
void cm_der_put_header(struct cm_der_writer *w, uint8_t tag, size_t length);

void cm_der_put_tlv(struct cm_der_writer *w, uint8_t tag, struct cm_bytes content);
void cm_der_put_true(struct cm_der_writer *w);
void cm_der_put_uint(struct cm_der_writer *w, uint64_t value);

/* BIT STRING of named bits, trailing zero bits left out: bit n of the mask is bit n of the type. */
void cm_der_put_named_bits(struct cm_der_writer *w, unsigned mask);

/*
 * OBJECT IDENTIFIER from its dotted decimal text. False, and nothing written, when the text is
 * none: two arcs at least, the first 0 to 2, no leading zeros, arcs below 2^63, 64 octets at most.
 */
bool cm_der_put_oid(struct cm_der_writer *w, struct cm_bytes text);

#define CM_DER_TIME_MIN_S     (-631152000LL) /* 1950-01-01 00:00:00 */
#define CM_DER_TIME_MAX_S     253402300799LL /* 9999-12-31 23:59:59: no well-defined expiry */
#define CM_DER_UTC_TIME_MAX_S 2524607999LL   /* 2049-12-31 23:59:59 */

/* UTCTime to the end of 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5). Unix seconds
   between CM_DER_TIME_MIN_S and CM_DER_TIME_MAX_S. */
void cm_der_put_time(struct cm_der_writer *w, int64_t time_s);

/* GeneralizedTime, whatever the year; the same range. */
void cm_der_put_generalized_time(struct cm_der_writer *w, int64_t time_s);

static inline bool cm_der_time_is_in_range(int64_t time_s)
{
    return time_s >= CM_DER_TIME_MIN_S && time_s <= CM_DER_TIME_MAX_S;
}

#endif
