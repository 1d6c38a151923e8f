/*
 * Private token: a SoftHSM token of one's own in a folder, for `bench` and `quickstart`. Software,
 * for trials: whoever reads the folder has the keys.
 */
#ifndef CM_TOOLS_PRIVATE_TOKEN_H
#define CM_TOOLS_PRIVATE_TOKEN_H

#include "engine/base/status.h"

#define CM_PRIVATE_TOKEN_URI "pkcs11:token=certmill"

struct cm_private_token {
    const char *module;  /* SoftHSM's; static */
    char settings[4200]; /* FOLDER/token/softhsm2.conf */
    char pin[4200];      /* "file:FOLDER/token/pin": random, readable by its owner */
};

/*
 * Does:       makes FOLDER/token with an initialised token in it and points SOFTHSM2_CONF there, for
 *             this process and those it starts. The module is loaded in a child process only.
 * Fails with: NOT_FOUND (no SoftHSM), EXISTS, IO, UNAVAILABLE (the module refused).
 */
CM_MUST_USE cm_status cm_private_token_make(struct cm_private_token *token, const char *folder,
                                            struct cm_error *err);

/* SoftHSM's module; NULL: it is not installed. Static. */
const char *cm_private_token_module(void);

#endif
