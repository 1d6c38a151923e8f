#include "engine/x509/der.h"

#define TAG_NUMBER_MASK 0x1f
#define CONSTRUCTED     0x20
#define CLASS_MASK      0xc0

/* A length with more octets, or a higher value, is no truncated input but an attack. */
#define LENGTH_OCTETS_MAX 4
#define LENGTH_MAX        0x7fffffffu

struct cm_der cm_der_open(struct cm_bytes input, struct cm_refusal *refusal)
{
    return (struct cm_der){ .start = input.data, .end = input.size, .refusal = refusal };
}

struct cm_der cm_der_inside(const struct cm_der *der, struct cm_bytes content)
{
    size_t position = content.size ? (size_t)(content.data - der->start) : 0;
    return (struct cm_der){ .start = der->start,
                            .position = position,
                            .end = position + content.size,
                            .refusal = der->refusal };
}

static size_t bytes_left(const struct cm_der *der)
{
    return der->end - der->position;
}

static bool refuse_truncated(const struct cm_der *der, const char *what, size_t needed)
{
    return cm_refuse(der->refusal, CM_REFUSAL_DER_TRUNCATED, der->position,
                     "%s: need %zu bytes, have %zu", what, needed, bytes_left(der));
}

/* The long form: one to four octets, no leading zero, no value that the short form could hold. */
static bool read_long_length(struct cm_der *der, const char *what, size_t offset, size_t octets,
                             size_t *ret_length)
{
    if (octets > LENGTH_OCTETS_MAX)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_LENGTH_OVERFLOW, offset,
                         "%s: length of %zu octets", what, octets);
    if (bytes_left(der) < octets)
        return refuse_truncated(der, what, octets);
    size_t length = 0;
    for (size_t i = 0; i < octets; i++)
        length = length << 8 | der->start[der->position + i];
    if (der->start[der->position] == 0 || length < 0x80)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_LENGTH_NOT_MINIMAL, offset,
                         "%s: length %zu in %zu octets", what, length, octets + 1);
    if (length > LENGTH_MAX)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_LENGTH_OVERFLOW, offset,
                         "%s: declares %zu bytes, input has %zu", what, length, bytes_left(der));
    der->position += octets;
    *ret_length = length;
    return true;
}

static bool read_length(struct cm_der *der, const char *what, size_t *ret_length)
{
    size_t offset = der->position;
    if (bytes_left(der) == 0)
        return refuse_truncated(der, what, 1);
    uint8_t first = der->start[der->position++];
    if (first < 0x80) {
        *ret_length = first;
        return true;
    }
    if (first == 0x80)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_INDEFINITE_LENGTH, offset,
                         "%s: indefinite length", what);
    return read_long_length(der, what, offset, first & 0x7fu, ret_length);
}

static bool check_tag(const struct cm_der *der, const char *what, uint8_t tag)
{
    if ((tag & TAG_NUMBER_MASK) == TAG_NUMBER_MASK)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_TAG, der->position,
                         "%s: tag 0x%02x has a high tag number", what, tag);
    if (tag == 0)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_TAG, der->position, "%s: tag 0x00",
                         what);
    return true;
}

bool cm_der_read_any(struct cm_der *der, const char *what, struct cm_der_element *ret_element)
{
    size_t offset = der->position;
    size_t length = 0;
    if (bytes_left(der) == 0)
        return cm_refuse(der->refusal,
                         offset == 0 ? CM_REFUSAL_DER_EMPTY : CM_REFUSAL_DER_TOO_FEW_ELEMENTS,
                         offset, "%s is missing", what);
    uint8_t tag = der->start[offset];
    if (!check_tag(der, what, tag))
        return false;
    der->position++;
    if (!read_length(der, what, &length))
        return false;
    if (bytes_left(der) < length)
        return refuse_truncated(der, what, length);
    *ret_element = (struct cm_der_element){
        .tag = tag,
        .offset = offset,
        .whole = cm_bytes(der->start + offset, der->position - offset + length),
        .content = cm_bytes(der->start + der->position, length),
    };
    der->position += length;
    return true;
}

bool cm_der_read(struct cm_der *der, uint8_t tag, const char *what,
                 struct cm_der_element *ret_element)
{
    if (bytes_left(der) > 0 && !cm_der_next_is(der, tag))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_TAG, der->position,
                         "%s: tag 0x%02x, expected 0x%02x", what, der->start[der->position], tag);
    return cm_der_read_any(der, what, ret_element);
}

bool cm_der_read_sequence(struct cm_der *der, const char *what, struct cm_bytes *ret_whole)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_SEQUENCE, what, &element))
        return false;
    *ret_whole = element.whole;
    return true;
}

bool cm_der_enter(struct cm_der *der, uint8_t tag, const char *what, struct cm_der *ret_inner)
{
    struct cm_der_element element;
    if (!cm_der_read(der, tag, what, &element))
        return false;
    *ret_inner = *der;
    ret_inner->position = der->position - element.content.size;
    ret_inner->end = der->position;
    return true;
}

bool cm_der_finish(const struct cm_der *der, const char *what)
{
    if (cm_der_at_end(der))
        return true;
    return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_TAG, der->position,
                     "%s: extra element, tag 0x%02x", what, der->start[der->position]);
}

/* --- contents of primitives: shared by the readers and the walk -------------------------------- */

static bool refuse_length(const struct cm_der *der, const char *what,
                          const struct cm_der_element *element)
{
    return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_LENGTH, element->offset,
                     "%s: %zu bytes of content", what, element->content.size);
}

static bool check_integer(const struct cm_der *der, const char *what,
                          const struct cm_der_element *element)
{
    struct cm_bytes content = element->content;
    if (content.size == 0)
        return refuse_length(der, what, element);
    if (content.size > 1
        && ((content.data[0] == 0x00 && content.data[1] < 0x80)
            || (content.data[0] == 0xff && content.data[1] >= 0x80)))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_INTEGER_NOT_MINIMAL, element->offset,
                         "%s: redundant leading octet", what);
    return true;
}

static bool check_boolean(const struct cm_der *der, const char *what,
                          const struct cm_der_element *element)
{
    if (element->content.size != 1)
        return refuse_length(der, what, element);
    uint8_t value = element->content.data[0];
    if (value != 0x00 && value != 0xff)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_BOOLEAN_NOT_CANONICAL, element->offset,
                         "%s: 0x%02x, expected 0xff", what, value);
    return true;
}

static bool check_oid(const struct cm_der *der, const char *what,
                      const struct cm_der_element *element)
{
    struct cm_bytes content = element->content;
    if (content.size > CM_DER_OID_SIZE_MAX)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_OID_TOO_LONG, element->offset,
                         "%s: %zu bytes, allowed %d", what, content.size, CM_DER_OID_SIZE_MAX);
    bool is_valid = content.size > 0 && !(content.data[content.size - 1] & 0x80);
    for (size_t i = 0; is_valid && i < content.size; i++)
        if (content.data[i] == 0x80 && (i == 0 || !(content.data[i - 1] & 0x80)))
            is_valid = false;
    if (!is_valid)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_OID_INVALID, element->offset,
                         "%s: not an object identifier", what);
    return true;
}

/* Unused bits are allowed here, but they must be zero (X.690, 11.2.1). */
static bool check_bit_string(const struct cm_der *der, const char *what,
                             const struct cm_der_element *element)
{
    struct cm_bytes content = element->content;
    if (content.size == 0)
        return refuse_length(der, what, element);
    unsigned unused = content.data[0];
    unsigned mask = (1u << (unused & 7)) - 1;
    bool is_valid = unused <= 7 && (content.size > 1 || unused == 0)
                    && !(content.data[content.size - 1] & mask & (content.size > 1 ? 0xffu : 0u));
    if (!is_valid)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_BITSTRING_UNUSED_BITS, element->offset,
                         "%s: unused bits are wrong or set", what);
    return true;
}

static bool check_null(const struct cm_der *der, const char *what,
                       const struct cm_der_element *element)
{
    return element->content.size == 0 || refuse_length(der, what, element);
}

/* --- readers of primitives ---------------------------------------------------------------------- */

bool cm_der_read_integer(struct cm_der *der, const char *what, struct cm_bytes *ret_content)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_INTEGER, what, &element) || !check_integer(der, what, &element))
        return false;
    *ret_content = element.content;
    return true;
}

bool cm_der_read_unsigned(struct cm_der *der, const char *what, struct cm_bytes *ret_magnitude)
{
    size_t offset = der->position;
    struct cm_bytes content;
    if (!cm_der_read_integer(der, what, &content))
        return false;
    if (content.data[0] & 0x80)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_INTEGER_NEGATIVE, offset, "%s: negative",
                         what);
    if (content.data[0] == 0)
        content = cm_bytes(content.data + 1, content.size - 1);
    *ret_magnitude = content;
    return true;
}

bool cm_der_read_boolean(struct cm_der *der, const char *what, bool *ret_value)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_BOOLEAN, what, &element) || !check_boolean(der, what, &element))
        return false;
    *ret_value = element.content.data[0] != 0;
    return true;
}

bool cm_der_read_null(struct cm_der *der, const char *what)
{
    struct cm_der_element element;
    return cm_der_read(der, CM_DER_NULL, what, &element) && check_null(der, what, &element);
}

bool cm_der_read_oid(struct cm_der *der, const char *what, struct cm_bytes *ret_content)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_OID, what, &element) || !check_oid(der, what, &element))
        return false;
    *ret_content = element.content;
    return true;
}

bool cm_der_read_octet_string(struct cm_der *der, const char *what, struct cm_bytes *ret_content)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_OCTET_STRING, what, &element))
        return false;
    *ret_content = element.content;
    return true;
}

bool cm_der_read_bit_string(struct cm_der *der, const char *what, struct cm_bytes *ret_octets)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_BIT_STRING, what, &element)
        || !check_bit_string(der, what, &element))
        return false;
    if (element.content.data[0] != 0)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_BITSTRING_UNUSED_BITS, element.offset,
                         "%s: %u unused bits", what, element.content.data[0]);
    *ret_octets = cm_bytes(element.content.data + 1, element.content.size - 1);
    return true;
}

bool cm_der_read_named_bits(struct cm_der *der, const char *what, uint16_t *ret_bits)
{
    struct cm_der_element element;
    if (!cm_der_read(der, CM_DER_BIT_STRING, what, &element)
        || !check_bit_string(der, what, &element))
        return false;
    struct cm_bytes content = element.content;
    if (content.size > 3)
        return refuse_length(der, what, &element);
    unsigned last_used = 1u << content.data[0];
    if (content.size > 1 && !(content.data[content.size - 1] & last_used))
        return cm_refuse(der->refusal, CM_REFUSAL_DER_BITSTRING_UNUSED_BITS, element.offset,
                         "%s: trailing zero bits", what);
    unsigned bits = 0;
    for (size_t i = 0; i < (content.size - 1) * 8; i++)
        if (content.data[1 + i / 8] & (0x80u >> i % 8))
            bits |= 1u << i;
    *ret_bits = (uint16_t)bits;
    return true;
}

/* --- the walk ----------------------------------------------------------------------------------- */

static bool is_universal(uint8_t tag)
{
    return (tag & CLASS_MASK) == 0;
}

static bool check_universal(const struct cm_der *der, const struct cm_der_element *element)
{
    switch (element->tag) {
    case CM_DER_SEQUENCE:
    case CM_DER_SET:
        return true;
    case CM_DER_SEQUENCE & ~CONSTRUCTED:
    case CM_DER_SET & ~CONSTRUCTED:
        return cm_refuse(der->refusal, CM_REFUSAL_DER_UNEXPECTED_TAG, element->offset,
                         "primitive tag 0x%02x", element->tag);
    case CM_DER_BOOLEAN:
        return check_boolean(der, "BOOLEAN", element);
    case CM_DER_INTEGER:
        return check_integer(der, "INTEGER", element);
    case CM_DER_BIT_STRING:
        return check_bit_string(der, "BIT STRING", element);
    case CM_DER_NULL:
        return check_null(der, "NULL", element);
    case CM_DER_OID:
        return check_oid(der, "OBJECT IDENTIFIER", element);
    default:
        break;
    }
    if (element->tag & CONSTRUCTED)
        return cm_refuse(der->refusal, CM_REFUSAL_DER_STRING_CONSTRUCTED, element->offset,
                         "constructed tag 0x%02x", element->tag);
    return true;
}

static bool walk(struct cm_der der, unsigned depth)
{
    if (depth > CM_DER_DEPTH_MAX)
        return cm_refuse(der.refusal, CM_REFUSAL_DER_TOO_DEEP, der.position, "depth %u > %d", depth,
                         CM_DER_DEPTH_MAX);
    while (!cm_der_at_end(&der)) {
        struct cm_der_element element;
        if (!cm_der_read_any(&der, "element", &element))
            return false;
        if (is_universal(element.tag) && !check_universal(&der, &element))
            return false;
        if ((element.tag & CONSTRUCTED) && !walk(cm_der_inside(&der, element.content), depth + 1))
            return false;
    }
    return true;
}

bool cm_der_check_inside(const struct cm_der *der)
{
    return walk(*der, 0);
}

bool cm_der_check(struct cm_bytes input, struct cm_refusal *refusal)
{
    return walk(cm_der_open(input, refusal), 0);
}
