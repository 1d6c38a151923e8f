/* Orders, between order.c and order_devices.c. The writer's thread, inside a transaction. */
#ifndef CM_STORE_SQLITE_ORDER_H
#define CM_STORE_SQLITE_ORDER_H

#include <openssl/evp.h>

#include "engine/store/sqlite/internal.h"

/* One order while it is carried out. */
struct cm_sqlite_ordering {
    struct cm_sqlite_store *store;
    struct cm_order *order;
    int64_t now_s;
    bool is_fresh;       /* a device is reinstated without its certificates */
    EVP_MD_CTX *changed; /* over the serials of certificates that were changed */
};

/* A certificate that an order is about. */
struct cm_sqlite_issued {
    struct cm_serial serial;
    int64_t generation_number; /* 0: there is none */
    int64_t device;            /* number; 0: of none (imported, abandoned) */
    int64_t issued_s;          /* 0: not known */
    int64_t not_after_s;
};

/* Fills code and message. Nothing of the order may have been changed. Returns OK: it is an answer. */
cm_status cm_sqlite_refuse_order(struct cm_order *order, enum cm_refusal_code code,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether whoever orders has a right to the group. */
bool cm_sqlite_order_reaches(const struct cm_order *order, struct cm_bytes group);

/* Whether the devices of the group come back without their certificates. */
bool cm_sqlite_order_is_fresh(const struct cm_order *order, struct cm_bytes group);

/* Does to one certificate what the order wants, and counts it. Leaves those alone that have ended. */
CM_MUST_USE cm_status cm_sqlite_order_certificate(struct cm_sqlite_ordering *ordering,
                                                  const struct cm_sqlite_issued *issued,
                                                  struct cm_error *err);

/* The order's device, or the devices of its group. */
CM_MUST_USE cm_status cm_sqlite_order_devices(struct cm_sqlite_ordering *ordering,
                                              struct cm_error *err);

#endif
