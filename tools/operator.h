/*
 * Operator: who runs a command, for the audit log.
 */
#ifndef CM_TOOLS_OPERATOR_H
#define CM_TOOLS_OPERATOR_H

#include "engine/base/arena.h"

/* "operator:NAME": whoever called sudo, else the user's name or number. In the arena. */
const char *cm_operator_name(struct cm_arena *arena);

#endif
