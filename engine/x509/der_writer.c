#include "engine/x509/der_writer.h"

#include <assert.h>

void cm_der_writer_init(struct cm_der_writer *w, void *buffer, size_t buffer_size)
{
    w->start = buffer;
    w->end = w->start + buffer_size;
    w->next = w->end;
    w->overflow = false;
}

struct cm_bytes cm_der_written(const struct cm_der_writer *w)
{
    return w->overflow ? cm_bytes(NULL, 0) : cm_bytes(w->next, cm_der_mark(w));
}

void cm_der_put(struct cm_der_writer *w, struct cm_bytes bytes)
{
    if (w->overflow || bytes.size > (size_t)(w->next - w->start)) {
        w->overflow = true;
        return;
    }
    w->next -= bytes.size;
    if (bytes.size > 0)
        memcpy(w->next, bytes.data, bytes.size);
}

void cm_der_put_byte(struct cm_der_writer *w, uint8_t byte)
{
    if (w->overflow || w->next == w->start)
        w->overflow = true;
    else
        *--w->next = byte;
}

static void put_length(struct cm_der_writer *w, size_t length)
{
    unsigned octets = 0;
    if (length < 0x80) {
        cm_der_put_byte(w, (uint8_t)length);
        return;
    }
    for (; length > 0; length >>= 8, octets++)
        cm_der_put_byte(w, (uint8_t)(length & 0xff));
    cm_der_put_byte(w, (uint8_t)(0x80 | octets));
}

void cm_der_put_header(struct cm_der_writer *w, uint8_t tag, size_t length)
{
    put_length(w, length);
    cm_der_put_byte(w, tag);
}

void cm_der_wrap(struct cm_der_writer *w, uint8_t tag, size_t mark)
{
    cm_der_put_header(w, tag, cm_der_mark(w) - mark);
}

void cm_der_put_tlv(struct cm_der_writer *w, uint8_t tag, struct cm_bytes content)
{
    cm_der_put(w, content);
    cm_der_put_header(w, tag, content.size);
}

void cm_der_put_true(struct cm_der_writer *w)
{
    cm_der_put_tlv(w, CM_DER_BOOLEAN, cm_bytes("\xff", 1));
}

void cm_der_put_uint(struct cm_der_writer *w, uint64_t value)
{
    size_t mark = cm_der_mark(w);
    uint8_t top;
    do {
        top = (uint8_t)(value & 0xff);
        cm_der_put_byte(w, top);
        value >>= 8;
    } while (value > 0);
    if (top & 0x80)
        cm_der_put_byte(w, 0); /* else the number would be negative */
    cm_der_wrap(w, CM_DER_INTEGER, mark);
}

void cm_der_put_named_bits(struct cm_der_writer *w, unsigned mask)
{
    uint8_t content[1 + sizeof mask] = { 0 };
    size_t size = 1;
    for (unsigned bit = 0; bit < 8 * sizeof mask; bit++) {
        if (!(mask >> bit & 1))
            continue;
        content[1 + bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        content[0] = (uint8_t)(7 - bit % 8); /* unused bits behind the last one that is set */
        size = 2 + bit / 8;
    }
    cm_der_put_tlv(w, CM_DER_BIT_STRING, cm_bytes(content, size));
}

/* Reads one arc and the dot behind it. The last arc leaves *text empty. */
static bool oid_arc(struct cm_bytes *text, uint64_t *ret_arc)
{
    uint64_t arc = 0;
    size_t digits = 0;
    for (; digits < text->size && text->data[digits] != '.'; digits++) {
        uint8_t c = text->data[digits];
        if (c < '0' || c > '9' || arc > (INT64_MAX - 9) / 10)
            return false;
        arc = arc * 10 + (uint64_t)(c - '0');
    }
    if (digits == 0 || (digits > 1 && text->data[0] == '0') || digits + 1 == text->size)
        return false;
    *text = cm_bytes_from(*text, digits + 1);
    *ret_arc = arc;
    return true;
}

/* Appends an arc in base 128; 0 when there is no room, else the new size. */
static size_t oid_append(uint8_t content[CM_DER_OID_SIZE_MAX], size_t size, uint64_t arc)
{
    unsigned groups = 1;
    while (groups < 10 && arc >> 7 * groups)
        groups++;
    if (size + groups > CM_DER_OID_SIZE_MAX)
        return 0;
    while (groups-- > 0)
        content[size++] = (uint8_t)((arc >> 7 * groups & 0x7f) | (groups > 0 ? 0x80 : 0));
    return size;
}

bool cm_der_put_oid(struct cm_der_writer *w, struct cm_bytes text)
{
    uint8_t content[CM_DER_OID_SIZE_MAX];
    uint64_t first, arc;
    if (!oid_arc(&text, &first) || first > 2 || !oid_arc(&text, &arc))
        return false;
    if ((first < 2 && arc > 39) || arc > INT64_MAX - 80)
        return false;
    size_t size = oid_append(content, 0, first * 40 + arc);
    while (size > 0 && text.size > 0) {
        if (!oid_arc(&text, &arc))
            return false;
        size = oid_append(content, size, arc);
    }
    if (size == 0)
        return false;
    cm_der_put_tlv(w, CM_DER_OID, cm_bytes(content, size));
    return true;
}

static void digits(uint8_t *text, unsigned value, unsigned count)
{
    for (; count > 0; value /= 10)
        text[--count] = (uint8_t)('0' + value % 10);
}

/* Days since 1970-01-01 to year, month, day. Counting years from March puts the leap day last. */
static void civil(int64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = shifted / 146097;  /* 400 years each */
    int64_t day = shifted % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = (unsigned)(era * 400 + year + (*ret_month <= 2));
}

#define TIME_SIZE 15

/* "YYYYMMDDhhmmssZ" */
static void write_time(int64_t time_s, uint8_t text[TIME_SIZE])
{
    assert(cm_der_time_is_in_range(time_s));
    int64_t since_1950_s = time_s - CM_DER_TIME_MIN_S;
    unsigned second = (unsigned)(since_1950_s % 86400);
    unsigned year, month, day;
    civil(since_1950_s / 86400 + CM_DER_TIME_MIN_S / 86400, &year, &month, &day);
    digits(text, year, 4);
    digits(text + 4, month, 2);
    digits(text + 6, day, 2);
    digits(text + 8, second / 3600, 2);
    digits(text + 10, second / 60 % 60, 2);
    digits(text + 12, second % 60, 2);
    text[14] = 'Z';
}

void cm_der_put_time(struct cm_der_writer *w, int64_t time_s)
{
    uint8_t text[TIME_SIZE];
    write_time(time_s, text);
    if (time_s <= CM_DER_UTC_TIME_MAX_S)
        cm_der_put_tlv(w, CM_DER_UTC_TIME, cm_bytes(text + 2, TIME_SIZE - 2));
    else
        cm_der_put_tlv(w, CM_DER_GENERALIZED_TIME, cm_bytes(text, TIME_SIZE));
}

void cm_der_put_generalized_time(struct cm_der_writer *w, int64_t time_s)
{
    uint8_t text[TIME_SIZE];
    write_time(time_s, text);
    cm_der_put_tlv(w, CM_DER_GENERALIZED_TIME, cm_bytes(text, TIME_SIZE));
}
