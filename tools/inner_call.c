#include "tools/inner_call.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *text)
{
    char *kept = strdup(text);
    if (!kept)
        abort();
    return kept;
}

int cm_inner_call(const struct cm_command *command, const char *const *arguments)
{
    struct cm_call call;
    bool help = false;
    int argc = 1;
    while (arguments[argc - 1])
        argc++;
    /* Parsing reorders argv, so what is to be freed is kept beside it. */
    char **argv = calloc((size_t)argc + 1, sizeof *argv);
    char **owned = calloc((size_t)argc + 1, sizeof *owned);
    if (!argv || !owned)
        abort();
    for (int i = 0; i < argc; i++)
        argv[i] = owned[i] = copy(i == 0 ? command->name : arguments[i - 1]);
    int exit_code = cm_call_parse(command, argc, argv, &call, &help);
    if (exit_code == CM_EXIT_DONE)
        exit_code = command->run(&call);
    for (int i = 0; i < argc; i++)
        free(owned[i]);
    free(owned);
    free(argv);
    return exit_code;
}
