/*
 * Serials: 20 octets, 8 of a strictly growing number and 12 (96 bits) from the CSPRNG.
 *
 * The number is the Unix time in milliseconds times 2^20 plus a counter, so the top bit stays clear
 * until the year 2248 and certificates are born in the order of their numbers (RFC 5280, 4.1.2.2;
 * CA/Browser Forum Baseline Requirements 7.1: at least 64 bits of entropy). A serial that was drawn
 * is never drawn again, whatever becomes of it.
 *
 * Thread: any; the counter is shared and atomic, the random octets come from the calling thread's
 * own DRBG.
 */
#ifndef CM_ENGINE_SERIALS_H
#define CM_ENGINE_SERIALS_H

#include <stdatomic.h>

#include "engine/store/store.h"

struct cm_serials {
    _Atomic int64_t last_number;
};

/* last_number: the highest that the store has ever seen. */
void cm_serials_init(struct cm_serials *serials, cm_certificate_number last_number);

/*
 * Draws count serials for certificates issued at time_ms. False when the CSPRNG fails: then there is
 * no serial and nothing may be issued.
 */
CM_MUST_USE bool cm_serials_draw(struct cm_serials *serials, int64_t time_ms, uint32_t count,
                                 struct cm_serial *ret_serials);

#endif
