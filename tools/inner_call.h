/*
 * Inner call: a command that runs other commands of the program, as a person would type them.
 *
 *     const char *const init[] = { folder, "--quiet", NULL };
 *     cm_inner_call(&cm_command_init, init);
 */
#ifndef CM_TOOLS_INNER_CALL_H
#define CM_TOOLS_INNER_CALL_H

#include "tools/command.h"

/* Parses the arguments (NULL at the end) and runs the command in this process; its exit code. */
int cm_inner_call(const struct cm_command *command, const char *const *arguments);

#endif
