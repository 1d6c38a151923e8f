/*
 * Notices: what a signer says by itself, no more of it than an operator reads.
 *
 * A signer may have much to say, or be out of its mind: of each minute the first twenty notices are
 * told, and once the minute is over how many were left out. Nothing is kept of those. Pure, but for
 * the caller's timer; any thread.
 */
#ifndef CM_PROVIDERS_HOST_NOTICES_H
#define CM_PROVIDERS_HOST_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

enum { CM_NOTICES_A_MINUTE = 20, CM_NOTICES_MINUTE_MS = 60000 };

/* Zero-initialised. */
struct cm_notices {
    uint64_t begin_ns;   /* of the minute; 0: none has begun */
    uint32_t told_count; /* in it */
    uint64_t left_out;   /* since cm_notices_left_out */
};

/* One more. False: it is left out. */
bool cm_notices_take(struct cm_notices *notices, uint64_t now_ns);

/* How many were left out since the last call. */
uint64_t cm_notices_left_out(struct cm_notices *notices);

#endif
