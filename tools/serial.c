#include "tools/serial.h"

#include <ctype.h>

#include "engine/orders.h"

/* The digits, without colons and leading zeros. False at anything else, or when they are too many. */
static bool gather_digits(const char *text, char *digits, size_t *ret_count)
{
    size_t count = 0, since_colon = 0;
    for (; *text; text++) {
        if (*text == ':') {
            if (since_colon == 0 || text[1] == '\0')
                return false;
            since_colon = 0;
            continue;
        }
        if (!isxdigit((unsigned char)*text))
            return false;
        since_colon++;
        if (count == 0 && *text == '0')
            continue;
        if (count == 2 * CM_SERIAL_SIZE)
            return false;
        digits[count++] = *text;
    }
    *ret_count = count;
    return true;
}

bool cm_serial_read(const char *text, struct cm_serial_content *ret_serial)
{
    char digits[2 * CM_SERIAL_SIZE];
    struct cm_bytes serial;
    struct cm_arena arena;
    size_t count;
    if (!gather_digits(text, digits, &count))
        return false;
    cm_arena_init(&arena, CM_SERIAL_SIZE);
    bool is_good = cm_order_read_serial(cm_bytes(digits, count), &arena, &serial);
    if (is_good) {
        *ret_serial = (struct cm_serial_content){ .size = serial.size };
        memcpy(ret_serial->octets, serial.data, serial.size);
    }
    cm_arena_done(&arena);
    return is_good;
}

void cm_serial_write(struct cm_bytes content, char ret_text[CM_SERIAL_TEXT_SIZE])
{
    bool has_sign = content.size > 1 && content.data[0] == 0;
    struct cm_bytes magnitude = cm_bytes_from(content, has_sign);
    if (magnitude.size > CM_SERIAL_SIZE)
        magnitude.size = CM_SERIAL_SIZE;
    cm_hex_encode(magnitude, ret_text);
}
