/*
 * Inventory: what a CA has issued before it moved in, and what has become of it.
 *
 *     cm_inventory_open(ca_certificate, &inventory, &err)
 *     cm_inventory_add_index(inventory, "index.txt", &err)          what openssl ca wrote
 *     cm_inventory_add_certificates(inventory, "newcerts", &err)    files, or a folder of them
 *     cm_inventory_add_crl(inventory, "old.crl", &err)
 *     cm_inventory_rows(inventory, &rows, &count, &err)             one row a serial, in their order
 *     cm_inventory_close(inventory)
 *
 * Nothing is believed that the CA's key has not signed, but for index.txt, which is the operator's.
 * Certificates and CRLs of another CA are refused by name. Where several say what has become of a
 * certificate, what was added last counts; where none does, it is good.
 *
 * Everything is kept in memory: about 200 bytes and the certificate itself each. One thread.
 */
#ifndef CM_TOOLS_INVENTORY_H
#define CM_TOOLS_INVENTORY_H

#include "engine/store/store.h"

struct cm_inventory;
struct cm_progress;

/* progress (may be NULL) is told of every certificate. Fails with: MALFORMED, MISMATCH (no CA). */
CM_MUST_USE cm_status cm_inventory_open(struct cm_bytes ca_certificate,
                                        struct cm_progress *progress,
                                        struct cm_inventory **ret_inventory, struct cm_error *err);
void cm_inventory_close(struct cm_inventory *inventory); /* takes NULL */

/* Fail with: NOT_FOUND, IO, MALFORMED, MISMATCH (it is another CA's); the text begins with the file. */
CM_MUST_USE cm_status cm_inventory_add_index(struct cm_inventory *inventory, const char *path,
                                             struct cm_error *err);
CM_MUST_USE cm_status cm_inventory_add_certificates(struct cm_inventory *inventory,
                                                    const char *path, struct cm_error *err);
CM_MUST_USE cm_status cm_inventory_add_crl(struct cm_inventory *inventory, const char *path,
                                           struct cm_error *err);

/*
 * Owns:       rows are the inventory's; generation_number in them is the caller's to fill.
 * Fails with: MISMATCH: two certificates with one serial.
 */
CM_MUST_USE cm_status cm_inventory_rows(struct cm_inventory *inventory,
                                        struct cm_imported_row **ret_rows, uint32_t *ret_count,
                                        struct cm_error *err);

/*
 * The CRL with the highest number of those that were added: ours go on behind it. number is 0 where none
 * was, and generation_number is the caller's to fill. False: a number does not fit 63 bits.
 */
bool cm_inventory_last_crl(const struct cm_inventory *inventory, struct cm_crl_row *ret_crl);

#endif
