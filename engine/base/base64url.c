#include "engine/base/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void cm_base64url_encode(struct cm_bytes bytes, char *ret_text)
{
    uint32_t bits = 0;
    unsigned bits_count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        bits = bits << 8 | bytes.data[i];
        for (bits_count += 8; bits_count >= 6; bits_count -= 6)
            *ret_text++ = alphabet[bits >> (bits_count - 6) & 0x3f];
    }
    if (bits_count > 0)
        *ret_text++ = alphabet[bits << (6 - bits_count) & 0x3f];
    *ret_text = '\0';
}

static int value_of(uint8_t c)
{
    return c == '-' ? 62 : c == '_' ? 63 : cm_base64_value(c);
}

/* With bytes NULL it only looks. */
static bool decode(struct cm_bytes text, uint8_t *bytes)
{
    uint32_t bits = 0;
    unsigned bits_count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        bits_count += 6;
        if (bits_count < 8)
            continue;
        bits_count -= 8;
        if (bytes)
            *bytes++ = (uint8_t)(bits >> bits_count);
    }
    return (bits & ((1u << bits_count) - 1)) == 0;
}

bool cm_base64url_decode(struct cm_bytes text, uint8_t *ret_bytes, size_t size)
{
    return text.size == CM_BASE64URL_SIZE(size) && decode(text, NULL) && decode(text, ret_bytes);
}
