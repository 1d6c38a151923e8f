/* What the tests of orders share: devices, orders made from a number, and what became of certificates. */
#ifndef CM_TESTS_CONFORMANCE_STORE_ORDERS_H
#define CM_TESTS_CONFORMANCE_STORE_ORDERS_H

#include "tests/conformance/store_fixture.h"

enum { ORDER_TIME_S = 1750000000, FIXTURE_ISSUED_S = FIXTURE_TIME_MS / 1000 };

/* Devices "d1", "d2", ... with the numbers 1, 2, ...; of group "odd" or "even". */
void orders_put_devices(struct fixture *fixture, unsigned count);

/* The n-th certificates are of device number 1 + (n - 1) % devices. */
void orders_record(struct fixture *fixture, unsigned first, unsigned count, unsigned devices);

/* The n-th certificate; the serial is in static memory until the next call. */
struct cm_order order_for_serial(unsigned n, enum cm_reason reason);
struct cm_order order_for_device(enum cm_order_kind kind, const char *device);
struct cm_order order_for_group(enum cm_order_kind kind, const char *group);

/* Alone in an operation without an audit event. */
cm_status order_apply(struct fixture *fixture, struct cm_order *order);

/* Of the n-th certificate; revision 0: none. The serial is not kept. */
struct cm_revocation order_standing(struct fixture *fixture, unsigned n);

/* -1: good without a row. */
int order_reason(struct fixture *fixture, unsigned n);

/* The last row of the audit log. detail is in the fixture's arena. */
struct cm_audit_row order_audit(struct fixture *fixture);

#endif
