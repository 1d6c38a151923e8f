/*
 * Serial numbers of certificates, as the content of an INTEGER (RFC 5280, 4.1.2.2). Any thread.
 */
#ifndef CM_X509_SERIAL_H
#define CM_X509_SERIAL_H

#include "engine/base/bytes.h"

#define CM_SERIAL_SIZE_MAX 20 /* octets */

/* 1 to 20 octets, greater than zero, minimal. */
static inline bool cm_serial_is_good(struct cm_bytes serial)
{
    if (serial.size == 0 || serial.size > CM_SERIAL_SIZE_MAX || serial.data[0] & 0x80)
        return false;
    return serial.data[0] != 0 || (serial.size > 1 && serial.data[1] & 0x80);
}

#endif
