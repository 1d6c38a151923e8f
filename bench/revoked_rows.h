/*
 * Revoked rows: a store that has nothing but revocations, of one generation. Serials are as the engine draws
 * them, in no order; every other one has a reason.
 */
#ifndef CM_BENCH_REVOKED_ROWS_H
#define CM_BENCH_REVOKED_ROWS_H

#include "engine/store/store.h"

enum { REVOKED_GENERATION = 1, REVOKED_NOW_S = 1800000000 };

struct revoked_rows {
    struct cm_store_reader reader; /* for cm_book_read */
    uint32_t count;                /* that are revoked: may grow up to those that there are */
    uint8_t (*serials)[CM_SERIAL_SIZE];
};

/* count are revoked, and more_count later, as count grows. False: no memory, or no random octets. */
bool revoked_rows_make(struct revoked_rows *rows, uint32_t count, uint32_t more_count);
void revoked_rows_done(struct revoked_rows *rows);

enum cm_reason revoked_rows_reason(uint32_t index);

#endif
