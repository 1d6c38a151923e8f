/*
 * Base64url: bytes as text without padding (RFC 4648, 5; RFC 7515, 2). Any thread.
 *
 * Reading is strict, so that every sequence of bytes has one text only: no padding, no other
 * characters, no bits behind the last octet.
 */
#ifndef CM_BASE_BASE64URL_H
#define CM_BASE_BASE64URL_H

#include "engine/base/bytes.h"

/* Characters of size octets, without a NUL. */
#define CM_BASE64URL_SIZE(size) (((size)*4 + 2) / 3)

/* Writes CM_BASE64URL_SIZE(bytes.size) characters and a NUL at ret_text. */
void cm_base64url_encode(struct cm_bytes bytes, char *ret_text);

/*
 * What a letter or digit stands for, the same in both alphabets of RFC 4648 (4 and 5); -1 for any other
 * character, the two in which they differ included.
 */
static inline int cm_base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    return c >= '0' && c <= '9' ? c - '0' + 52 : -1;
}

/* Reads text that stands for exactly size octets. False, and nothing is written, when it does not. */
bool cm_base64url_decode(struct cm_bytes text, uint8_t *ret_bytes, size_t size);

#endif
