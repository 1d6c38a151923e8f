/*
 * Index line: one line of the index.txt of `openssl ca`, its record of what it has issued.
 *
 *     V<tab>301231235959Z<tab><tab>01A2<tab>unknown<tab>/CN=m-1
 *     R<tab>301231235959Z<tab>260131120000Z,keyTime,20260130000000Z<tab>01A3<tab>unknown<tab>/CN=m-2
 *
 * State (V valid, R revoked, E expired), end of validity, revocation, serial, file, subject. The
 * revocation is a time, a reason where there is one, and for some a word more: `keyTime` and
 * `CAkeyTime` are key and CA compromise with an invalidity date, `holdInstruction` is a hold. Times are
 * UTCTime, or GeneralizedTime from 2050 on. File and subject are not looked at. Any thread.
 */
#ifndef CM_TOOLS_INDEX_LINE_H
#define CM_TOOLS_INDEX_LINE_H

#include "engine/base/status.h"
#include "engine/x509/reason.h"
#include "tools/serial.h"

struct cm_index_line {
    struct cm_serial_content serial;
    int64_t not_after_s;
    int64_t revoked_s; /* 0: it is not */
    int64_t invalidity_s;
    enum cm_reason reason;
};

/* Strict. Changes the line. Fails with: MALFORMED; err says what was expected, not where. */
CM_MUST_USE cm_status cm_index_line_read(char *line, struct cm_index_line *ret_line,
                                         struct cm_error *err);

#endif
