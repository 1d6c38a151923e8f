#include "engine/x509/dns_name.h"

#define NAME_SIZE_MAX  253
#define LABEL_SIZE_MAX 63
#define LABELS_MAX     10

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- Punycode, RFC 3492: decoded only to know that it can be ------------------------------------- */

#define PUNYCODE_BASE 36u
#define PUNYCODE_TMIN 1u
#define PUNYCODE_TMAX 26u

static uint32_t punycode_adapt(uint32_t delta, uint32_t points, bool is_first)
{
    uint32_t k = 0;
    delta = is_first ? delta / 700 : delta / 2;
    delta += delta / points;
    for (; delta > (PUNYCODE_BASE - PUNYCODE_TMIN) * PUNYCODE_TMAX / 2; k += PUNYCODE_BASE)
        delta /= PUNYCODE_BASE - PUNYCODE_TMIN;
    return k + (PUNYCODE_BASE - PUNYCODE_TMIN + 1) * delta / (delta + 38);
}

/* One variable-length integer, added to *value; at most 63 digits, so 64 bits are watched for. */
static bool punycode_add_delta(struct cm_bytes text, size_t *position, uint32_t bias,
                               uint32_t *value)
{
    uint64_t weight = 1;
    uint64_t sum = *value;
    for (uint32_t k = PUNYCODE_BASE;; k += PUNYCODE_BASE) {
        if (*position == text.size)
            return false;
        uint8_t c = text.data[(*position)++];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z'))
            return false;
        uint32_t digit = is_digit(c) ? c - '0' + 26u : c - 'a' + 0u;
        sum += digit * weight;
        if (sum > UINT32_MAX)
            return false;
        uint32_t threshold = k <= bias + PUNYCODE_TMIN   ? PUNYCODE_TMIN
                             : k >= bias + PUNYCODE_TMAX ? PUNYCODE_TMAX
                                                         : k - bias;
        if (digit < threshold)
            break;
        weight *= PUNYCODE_BASE - threshold;
        if (weight > UINT32_MAX)
            return false;
    }
    *value = (uint32_t)sum;
    return true;
}

/* True for what stands behind xn--: decodes, and to something that is not plain ASCII. */
static bool punycode_is_valid(struct cm_bytes text)
{
    const uint8_t *delimiter = memrchr(text.data, '-', text.size);
    size_t position = delimiter ? (size_t)(delimiter - text.data) + 1 : 0;
    uint32_t points = delimiter ? (uint32_t)(delimiter - text.data) : 0;
    uint32_t character = 0x80;
    uint32_t bias = 72;
    uint32_t index = 0;
    bool is_first = true;
    if (position == text.size)
        return false;
    while (position < text.size) {
        uint32_t before = index;
        if (!punycode_add_delta(text, &position, bias, &index))
            return false;
        points++;
        bias = punycode_adapt(index - before, points, is_first);
        is_first = false;
        character += index / points;
        if (character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
            return false;
        index = index % points + 1;
    }
    return true;
}

/* --- labels --------------------------------------------------------------------------------------- */

static enum cm_refusal_code check_characters(struct cm_bytes name, const char **ret_reason)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        *ret_reason = c == 0 ? "a NUL character" : "a byte above 0x7F";
        if (c == 0)
            return CM_REFUSAL_SAN_NUL;
        if (c >= 0x80)
            return CM_REFUSAL_SAN_NOT_ASCII;
    }
    *ret_reason = "a wildcard";
    return name.size && memchr(name.data, '*', name.size) ? CM_REFUSAL_SAN_WILDCARD
                                                          : CM_REFUSAL_NONE;
}

static const char *label_error(struct cm_bytes label)
{
    if (label.size == 0)
        return "an empty label";
    if (label.size > LABEL_SIZE_MAX)
        return "a label longer than 63";
    for (size_t i = 0; i < label.size; i++)
        if (!is_letter(label.data[i]) && !is_digit(label.data[i]) && label.data[i] != '-')
            return "a character other than letters, digits and hyphens";
    if (label.data[0] == '-' || label.data[label.size - 1] == '-')
        return "a hyphen at the beginning or end of a label";
    return NULL;
}

/* "??--" is reserved; the only use is "xn--" (RFC 5890, 2.3.1). */
static bool label_is_bad_idn(struct cm_bytes label)
{
    if (label.size < 4 || label.data[2] != '-' || label.data[3] != '-')
        return false;
    return memcmp(label.data, "xn", 2) != 0 || !punycode_is_valid(cm_bytes_from(label, 4));
}

static bool is_all_digits(struct cm_bytes label)
{
    for (size_t i = 0; i < label.size; i++)
        if (!is_digit(label.data[i]))
            return false;
    return true;
}

static struct cm_bytes label_at(struct cm_bytes name, size_t begin)
{
    size_t end = begin;
    while (end < name.size && name.data[end] != '.')
        end++;
    return cm_bytes(name.data + begin, end - begin);
}

enum cm_refusal_code cm_dns_name_check(struct cm_bytes name, const char **ret_reason)
{
    enum cm_refusal_code code = check_characters(name, ret_reason);
    if (code != CM_REFUSAL_NONE)
        return code;
    *ret_reason = name.size == 0 ? "empty" : "longer than 253 characters";
    if (name.size == 0 || name.size > NAME_SIZE_MAX)
        return CM_REFUSAL_SAN_DNS_SYNTAX;
    struct cm_bytes label = { NULL, 0 };
    size_t labels = 0;
    for (size_t begin = 0; begin <= name.size; begin += label.size + 1) {
        label = label_at(name, begin);
        *ret_reason = ++labels > LABELS_MAX ? "more than 10 labels" : label_error(label);
        if (*ret_reason)
            return CM_REFUSAL_SAN_DNS_SYNTAX;
        *ret_reason = "a label that is no valid internationalised one";
        if (label_is_bad_idn(label))
            return CM_REFUSAL_SAN_IDN_INVALID;
    }
    *ret_reason = "its last label is a number";
    return is_all_digits(label) ? CM_REFUSAL_SAN_DNS_SYNTAX : CM_REFUSAL_NONE;
}
