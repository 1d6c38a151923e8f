/*
 * Fault points: named places between two steps where a test can kill the process, or hold it.
 *
 * CERTMILL_FAULT="name:n:action" makes the n-th passage of the point act: "kill" (SIGKILL to
 * itself), "stop" (SIGSTOP) or "hang" (its thread sleeps for fifteen seconds). Compiled in with the
 * build option fault_points only; elsewhere the macro is nothing, and the names are not in the binary
 * (a test looks).
 *
 * Points, in the order of a batch: entries-arrived, composed, intent-durable, signed, sealed,
 * store-commit and store-committed (around each commit: of an intent and of a record), recorded,
 * answers-written, answered. Of a CRL: crl-numbered, crl-signed; of each file that is published:
 * crl-written (under another name), crl-renamed. Of a responder's certificate: responder-promised,
 * responder-signed, responder-recorded. Of a rotation, in the command: ca-key-made, and for each certificate
 * ca-intended and ca-signed, then ca-recorded; of a change of state, in whoever writes the store: ca-moved.
 * Of a checkpoint: checkpoint-signed, checkpoint-recorded, checkpoint-shipped (whatever came of it).
 * Of a renewal campaign's step: notices-written.
 * Of a plan: plan-marked (before the commit that runs it); of orders through
 * the control socket: orders-durable.
 */
#ifndef CM_BASE_FAULTPOINT_H
#define CM_BASE_FAULTPOINT_H

#ifdef CM_FAULT_POINTS
/* Any thread. */
void cm_fault_point(const char *name);
#    define CM_FAULT_POINT(name) cm_fault_point(name)
#else
#    define CM_FAULT_POINT(name) ((void)0)
#endif

#endif
