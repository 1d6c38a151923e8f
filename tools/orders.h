/*
 * Orders: what `revoke` and `device quarantine|reinstate|retire` ask for, carried out.
 *
 * They were read with cm_order_read (engine/orders.h). By the engine where one runs, since the store is its own to write then; else here, on the store. What
 * came of each order stands in it: code (NONE: carried out), message, and how much it changed.
 *
 * Of the plan of an order, where it has one, only the id needs to be there: the rest is looked up.
 */
#ifndef CM_TOOLS_ORDERS_H
#define CM_TOOLS_ORDERS_H

#include "engine/store/store.h"
#include "tools/deployment.h"

/*
 * Does:       fills in who orders, and carries out all of them. The deployment was opened
 *             without its store. An order that is refused stops no other.
 * Fails with: what opening the store fails with, UNCERTAIN (no answer: what was asked for may be done;
 *             asking again does no harm), DENIED (the engine's words).
 */
CM_MUST_USE cm_status cm_orders_carry_out(struct cm_deployment *deployment, struct cm_order *orders,
                                          uint32_t count, struct cm_error *err);

/*
 * The value of `--serial` as cm_order_read has it, in the arena; data NULL: there is none. False: it is no
 * serial number, and that was said as a usage error.
 */
bool cm_order_take_serial(const struct cm_call *call, struct cm_arena *arena,
                          struct cm_bytes *ret_text);

/* "CODE: MESSAGE" of an order that was refused, in the arena. */
const char *cm_order_complaint(struct cm_arena *arena, const struct cm_order *order);

#endif
