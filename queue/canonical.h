/*
 * Canonical: a request as the octets that its requester signs (docs/reference/wire.md, ADR 9).
 *
 *     certmill-request-v1
 *     op 5 issue
 *     id 7 order-1
 *     requester 6 line-1
 *     device 6 pump-1
 *     csr-sha256 64 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
 *     time 13 1735689600000
 *
 * A line for each field that the entry has, but for auth, in this order: op, id, requester, device,
 * csr, profile, serial, reason, invalidity, why, priority, time. A line is the field's name, a blank,
 * the number of octets in decimal, a blank, the octets as sent, a line feed. The csr stands there as the
 * 64 lower-case hex digits of its SHA-256, under the name csr-sha256. An absent field has no line, so it
 * is not an empty one; the numbers keep values with line feeds in them from looking like lines.
 *
 * Any thread.
 */
#ifndef CM_QUEUE_CANONICAL_H
#define CM_QUEUE_CANONICAL_H

#include "queue/queue.h"

/* Room for the canonical form of any entry of CM_ENTRY_SIZE_MAX octets. */
#define CM_CANONICAL_SIZE_MAX (CM_ENTRY_SIZE_MAX + 1024)

/* Writes the form of these fields; 0 when it does not fit. Returns its octets. */
size_t cm_canonical_write(const struct cm_bytes fields[CM_FIELD_COUNT], uint8_t *ret_text,
                          size_t space);

#endif
