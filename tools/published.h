/*
 * Published: where an engine has put CRLs for a web server, below status.publish-folder.
 */
#ifndef CM_TOOLS_PUBLISHED_H
#define CM_TOOLS_PUBLISHED_H

#include "engine/base/arena.h"
#include "engine/settings/settings.h"

/*
 * Does:       finds the file of a CRL of a generation ("issuing-1"), by the path of its URL. *ret_path is
 *             in the arena.
 * Fails with: NOT_FOUND (no publish-folder, or nothing there yet), with what to do.
 */
CM_MUST_USE cm_status cm_published_crl(const struct cm_settings *settings, struct cm_arena *arena,
                                       const char *issuer, uint32_t shard, bool is_delta,
                                       const char **ret_path, struct cm_error *err);

#endif
