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

/* Reads text that stands for exactly size octets. False, and nothing is written, when it does not. */
bool cm_base64url_decode(struct cm_bytes text, uint8_t *ret_bytes, size_t size);

#endif
