#include "engine/base/bytes.h"

#include <stdlib.h>

struct cm_bytes cm_bytes_copy(struct cm_bytes bytes)
{
    uint8_t *data = malloc(bytes.size ? bytes.size : 1);
    if (!data)
        abort();
    if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    return cm_bytes(data, bytes.size);
}

void cm_big_endian_write(uint64_t number, uint8_t *ret_octets, size_t size)
{
    for (size_t i = size; i-- > 0; number >>= 8)
        ret_octets[i] = (uint8_t)number;
}

uint64_t cm_big_endian_read(const uint8_t *octets, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | octets[i];
    return number;
}

static const char hex_digits[] = "0123456789abcdef";

void cm_hex_encode(struct cm_bytes bytes, char *ret_text)
{
    for (size_t i = 0; i < bytes.size; i++) {
        ret_text[2 * i] = hex_digits[bytes.data[i] >> 4];
        ret_text[2 * i + 1] = hex_digits[bytes.data[i] & 15];
    }
    ret_text[2 * bytes.size] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool cm_hex_decode(const char *text, size_t text_size, uint8_t *ret_bytes, size_t bytes_space,
                   size_t *ret_size)
{
    if (text_size % 2 != 0 || text_size / 2 > bytes_space)
        return false;
    for (size_t i = 0; i < text_size; i += 2) {
        int high = hex_value(text[i]);
        int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i / 2] = (uint8_t)(high * 16 + low);
    }
    *ret_size = text_size / 2;
    return true;
}

bool cm_hex_decode_exactly(const char *text, uint8_t *ret_bytes, size_t size)
{
    size_t found;
    return text && strlen(text) == 2 * size
           && cm_hex_decode(text, 2 * size, ret_bytes, size, &found);
}

const char *cm_bytes_printable(struct cm_bytes bytes, char *text, size_t space)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t c = bytes.data[i];
        size_t need = c >= 0x20 && c < 0x7f && c != '\\' ? 1 : 4;
        /* Room is kept for the "..." that says the text was cut. */
        if (used + need + 4 > space) {
            if (space >= 4) {
                memcpy(text + used, "...", 3);
                used += 3;
            }
            break;
        }
        if (need == 1) {
            text[used] = (char)c;
        } else {
            text[used] = '\\';
            text[used + 1] = 'x';
            text[used + 2] = hex_digits[c >> 4];
            text[used + 3] = hex_digits[c & 15];
        }
        used += need;
    }
    text[used] = '\0';
    return text;
}
