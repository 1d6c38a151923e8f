/*
 * Serial: a certificate's serial number as people write it.
 *
 * Hex digits in either case, with or without a colon between octets ("0a:1B"), as certmill, `openssl
 * x509 -serial` and browsers show them. Leading zeros do not matter. Any thread.
 */
#ifndef CM_TOOLS_SERIAL_H
#define CM_TOOLS_SERIAL_H

#include <stdbool.h>

#include "engine/store/store.h"

/* A serial as the content of an INTEGER: positive, minimal. */
struct cm_serial_content {
    uint8_t octets[CM_SERIAL_SIZE];
    size_t size;
};

static inline struct cm_bytes cm_serial_bytes(const struct cm_serial_content *serial)
{
    return cm_bytes(serial->octets, serial->size);
}

/* False: no hex number, zero, or more than 20 octets. */
bool cm_serial_read(const char *text, struct cm_serial_content *ret_serial);

/* The magnitude, without the sign octet, in lower-case hex: as answers to requests have it. */
#define CM_SERIAL_TEXT_SIZE (2 * CM_SERIAL_SIZE + 1)
void cm_serial_write(struct cm_bytes content, char ret_text[CM_SERIAL_TEXT_SIZE]);

#endif
