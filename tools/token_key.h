/*
 * Token key: what a new key in a PKCS#11 token is called. Pure; any thread.
 */
#ifndef CM_TOOLS_TOKEN_KEY_H
#define CM_TOOLS_TOKEN_KEY_H

#include "engine/base/arena.h"

/* "pkcs11:token=T;object=LABEL?query" in the arena, from the token's URI; NULL: the only token. */
const char *cm_token_key_reference(const char *token, const char *label, struct cm_arena *arena);

#endif
