/*
 * Orders: from the texts that somebody sends to what the store carries out (struct cm_order).
 *
 *     const struct cm_order_texts texts = { .kind = cm_bytes_str("revoke"), .serial = ... };
 *     if (!cm_order_read(&texts, time_s, &arena, &order, &refusal))
 *         ... refusal.code and refusal.message say why
 *     order.actor = ...;                  who orders, and of which groups, is the caller's to say
 *
 * The queue's requests, the control socket and the command line all come through here, so that the
 * same texts mean the same wherever they are written:
 *
 *     kind         revoke, quarantine, reinstate, retire
 *     serial       of a certificate: hexadecimal digits, at most 20 octets; zeros in front are dropped
 *     device       id: 1 to 255 octets of UTF-8, no control characters; not ocsp-responder/...
 *     group        name: each device of it
 *     issuer       with serial: "issuing-1", where two generations could have issued the same serial
 *     reason       of revoke: a name of RFC 5280, 5.3.1; absent: unspecified
 *     invalidity   of revoke: Unix seconds since when the key is not to be trusted
 *     why          one line of UTF-8, at most 256 octets, for the audit log
 *
 * Exactly one of serial, device and group stands there; a serial with revoke and reinstate only. A text that says
 * nothing for its kind of order was meant for another one, and is refused.
 *
 * Thread: any.
 */
#ifndef CM_ENGINE_ORDERS_H
#define CM_ENGINE_ORDERS_H

#include "engine/base/arena.h"
#include "engine/base/refusal.h"
#include "engine/store/store.h"

#define CM_ORDER_WHY_SIZE_MAX 256

/* data NULL: absent. */
struct cm_order_texts {
    struct cm_bytes kind;
    struct cm_bytes serial, device, group, issuer;
    struct cm_bytes reason, invalidity, why;
};

/* False: no order has this name. */
bool cm_order_kind_find(struct cm_bytes name, enum cm_order_kind *ret_kind);

/*
 * Does:       reads the texts into an order that takes place at time_s (Unix seconds), which is its
 *             revocation date. What is the caller's to say (actor, groups, fresh_groups, key and
 *             digest, after_device and devices_max) is left empty.
 * Owns:       spans of the order point at the texts, or into the arena.
 * Fails with: request.op-unknown (kind), request.field-missing, request.field-invalid,
 *             request.serial-invalid, request.reason-invalid, policy.device-invalid.
 */
bool cm_order_read(const struct cm_order_texts *texts, int64_t time_s, struct cm_arena *arena,
                   struct cm_order *ret_order, struct cm_refusal *refusal);

/*
 * A serial number as people write it, as the content of its INTEGER: positive, minimal, at most 20
 * octets. False: it is none, and nothing is said of why.
 */
bool cm_order_read_serial(struct cm_bytes text, struct cm_arena *arena,
                          struct cm_bytes *ret_serial);

/* The same in a request; else request.serial-invalid. */
bool cm_order_check_serial(struct cm_bytes text, struct cm_arena *arena,
                           struct cm_bytes *ret_serial, struct cm_refusal *refusal);

/* A device id, as it stands in orders and in requests for certificates, and not one of the engine's own
 * (engine/store/device.h); else policy.device-invalid. */
bool cm_order_check_device(struct cm_bytes id, struct cm_refusal *refusal);

#endif
