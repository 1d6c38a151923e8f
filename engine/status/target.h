/*
 * Targets: what the target of an HTTP request names. Pure functions over bytes; any thread.
 *
 * A path is compared octet by octet; nothing is decoded but what stands behind /ocsp/. A query is passed
 * over. The form with scheme and host, which proxies send, means the same.
 */
#ifndef CM_STATUS_TARGET_H
#define CM_STATUS_TARGET_H

#include "engine/base/bytes.h"

#define CM_TARGET_SIZE_MAX 4096 /* octets; a longer one is 414 */

enum cm_target_kind {
    CM_TARGET_NONE,     /* 404 */
    CM_TARGET_TOO_LONG, /* 414 */
    CM_TARGET_DOCUMENT, /* whatever the shelf has under this path */
    CM_TARGET_OCSP,
    CM_TARGET_METRICS,
    CM_TARGET_HEALTH,
    CM_TARGET_READY,
    CM_TARGET_STATUS,
    CM_TARGET_PAGE
};

struct cm_target {
    enum cm_target_kind kind;
    struct cm_bytes path;    /* without the query */
    struct cm_bytes request; /* OCSP: the text behind /ocsp/; empty: there is none */
};

struct cm_target cm_target_read(struct cm_bytes text);

/*
 * Reads base64 (RFC 4648, 4), each of whose characters may stand percent-encoded. Padding may be left
 * out; nothing else may be there: false, and for what does not fit into space.
 */
bool cm_target_decode(struct cm_bytes text, uint8_t *ret_octets, size_t space, size_t *ret_size);

#endif
