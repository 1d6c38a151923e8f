/*
 * Watchdog: a thread that ends the process when a call into the key store does not come back.
 *
 * A thread inside a vendor's module cannot be taken out of it, and a process that waits for it is
 * of no use to anyone: dying is the repair. Thread: any.
 */
#ifndef CM_PROVIDERS_HOST_WATCHDOG_H
#define CM_PROVIDERS_HOST_WATCHDOG_H

#include "engine/base/status.h"

/* From now on. The process ends with CM_SIGNER_EXIT_HUNG and a line on standard error. name is
 * copied. Fails with: NO_MEMORY. */
CM_MUST_USE cm_status cm_watchdog_start(uint32_t deadline_ms, const char *name,
                                        struct cm_error *err);

/* Joins the thread; idempotent. */
void cm_watchdog_stop(void);

#endif
