/*
 * Deployment: the settings that a command was given with -c, and the store that they name.
 *
 * Life: cm_deployment_open, use, cm_deployment_close (also after a failed open). One thread.
 */
#ifndef CM_TOOLS_DEPLOYMENT_H
#define CM_TOOLS_DEPLOYMENT_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"
#include "tools/command.h"

struct cm_deployment {
    struct cm_settings *settings;
    struct cm_loop *loop; /* of the store, when it was opened for writing */
    struct cm_store *store;
    struct cm_store_reader *reader; /* inside begin and end */
    struct cm_arena arena;          /* for the command's own use */
};

enum cm_deployment_use {
    CM_DEPLOYMENT_SETTINGS, /* no store; see cm_deployment_open_store */
    CM_DEPLOYMENT_READ,
    CM_DEPLOYMENT_WRITE
};

/*
 * Does:       reads the settings of the call's --config and opens the store, with a reader in a
 *             snapshot when it is only read.
 * Fails with: what settings and store fail with; BUSY with a text that says what to do.
 */
CM_MUST_USE cm_status cm_deployment_open(struct cm_deployment *deployment,
                                         const struct cm_call *call, enum cm_deployment_use use,
                                         struct cm_error *err);

/* Opens the store of a deployment that was opened without; use is READ or WRITE. */
CM_MUST_USE cm_status cm_deployment_open_store(struct cm_deployment *deployment,
                                               enum cm_deployment_use use, struct cm_error *err);

/*
 * Where the engine of these settings answers OCSP, in the arena. NULL: it does not listen, or on a port that the
 * system chooses (0) and only the engine knows.
 */
const char *cm_deployment_ocsp_url(const struct cm_settings *settings, struct cm_arena *arena);

void cm_deployment_close(struct cm_deployment *deployment);

/* What a command does with its deployment; what it returns is told where it is not OK. */
typedef cm_status cm_deployment_do_fn(const struct cm_call *call, struct cm_deployment *deployment,
                                      struct cm_error *err);

/* Does: opens, calls, closes: all that most commands are. Returns the exit code. */
int cm_deployment_run(const struct cm_call *call, enum cm_deployment_use use,
                      cm_deployment_do_fn *does);

#endif
