#include "tools/inner_call.h"

#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 32 };

int cm_inner_call(const struct cm_command *command, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = { strdup(command->name) };
    char *owned[ARGUMENTS_MAX + 1]; /* parsing reorders argv */
    int argc = 1;
    struct cm_call call;
    bool help = false;
    while (arguments[argc - 1] && argc <= ARGUMENTS_MAX) {
        argv[argc] = strdup(arguments[argc - 1]);
        argc++;
    }
    for (int i = 0; i < argc; i++) {
        if (!argv[i])
            abort();
        owned[i] = argv[i];
    }
    int exit_code = cm_call_parse(command, argc, argv, &call, &help);
    if (exit_code == CM_EXIT_DONE)
        exit_code = command->run(&call);
    for (int i = 0; i < argc; i++)
        free(owned[i]);
    return exit_code;
}
