/*
 * A store that knows nothing but revocations: a test changes them, and a book reads them.
 */
#ifndef CM_TESTS_UNIT_REVOCATION_CHANGES_H
#define CM_TESTS_UNIT_REVOCATION_CHANGES_H

#include "engine/revocation/book.h"

enum { CHANGES_MAX = 40000 };

struct changes {
    struct cm_store_reader reader;
    struct cm_revocation rows[CHANGES_MAX]; /* one a certificate, in no order */
    uint8_t serials[CHANGES_MAX][CM_SERIAL_SIZE];
    uint32_t count;
    int64_t revision;
    uint32_t fails_after; /* the walk: rows; 0: never */
};

struct changes *changes_new(void);

/* The row of a new serial, good for changes_touch. Sizes from 1 to 20, the first octet's top bit among
 * them. */
struct cm_revocation *changes_add(struct changes *changes, int64_t generation_number,
                                  struct cm_bytes serial);

/* It has changed: the next read sees it. */
void changes_touch(struct changes *changes, struct cm_revocation *row);

/* The serial of a number, 8 octets, or 20 with the same beginning. */
struct cm_bytes changes_serial(uint64_t number, size_t size, uint8_t octets[CM_SERIAL_SIZE]);

#endif
