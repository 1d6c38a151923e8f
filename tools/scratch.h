/*
 * Scratch: folders that a command makes for itself and may remove again.
 */
#ifndef CM_TOOLS_SCRATCH_H
#define CM_TOOLS_SCRATCH_H

#include <stddef.h>

#include "engine/base/status.h"

/*
 * Makes PREFIX.XXXXXX below $TMPDIR, or below /var/tmp rather than /tmp, which may lie in memory:
 * the syncs of a store belong to what is measured. Fails with: IO.
 */
CM_MUST_USE cm_status cm_scratch_make(const char *prefix, char *ret_path, size_t space,
                                      struct cm_error *err);

/* The folder and all that is in it; links are removed, not followed. */
void cm_scratch_remove(const char *path);

#endif
