/*
 * Fleet CSR: what a device does before it asks: a fresh key, and a certification request signed
 * with it.
 *
 * The key is forgotten at once: a fleet is for load runs and demonstrations, and nothing there asks
 * for it again. Contexts of OpenSSL are made once for each maker. One maker a thread.
 */
#ifndef CM_TOOLS_FLEET_CSR_H
#define CM_TOOLS_FLEET_CSR_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/x509/algorithm.h"

struct cm_csr_maker;

/* Fails with: UNSUPPORTED, NO_MEMORY. */
CM_MUST_USE cm_status cm_csr_maker_new(struct cm_csr_maker **ret_maker, struct cm_error *err);
void cm_csr_maker_free(struct cm_csr_maker *maker);

/*
 * Does:       makes a key (RSA: 2048 bits) and a CSR with the subject CN=name and, unless dns is
 *             NULL, an extension request with that DNS name.
 * Owns:       *ret_csr lives in the arena. DER.
 * Fails with: UNSUPPORTED, with OpenSSL's words.
 */
CM_MUST_USE cm_status cm_csr_maker_make(struct cm_csr_maker *maker, enum cm_key_type type,
                                        const char *name, const char *dns, struct cm_arena *arena,
                                        struct cm_bytes *ret_csr, struct cm_error *err);

#endif
