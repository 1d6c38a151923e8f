/* The main job, as a person would type it: `issue`, or `serve` and `submit` with a Redis between. */
#include "tools/quickstart.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/inner_call.h"
#include "tools/private_redis.h"

enum { FIXED_ARGUMENTS = 6, TIMEOUT_S = 60, DEVICES_PER_S_MIN = 100 };

bool cm_quickstart_issue(struct cm_quickstart *quickstart)
{
    const char *const issue[] = { "-c",    quickstart->settings, "--in", quickstart->csrs,
                                  "--out", quickstart->certs,    NULL };
    return cm_inner_call(&cm_command_issue, issue) == CM_EXIT_DONE;
}

/* The engine, in a process of its own, as it would run beside the backends. */
pid_t cm_quickstart_start_engine(const struct cm_quickstart *quickstart)
{
    const char *const serve[] = { "-c", quickstart->settings, "--quiet", NULL };
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int exit_code = cm_inner_call(&cm_command_serve, serve);
    fflush(NULL);
    _exit(exit_code);
}

bool cm_quickstart_stop_engine(pid_t pid)
{
    int how = -1;
    kill(pid, SIGTERM);
    return waitpid(pid, &how, 0) == pid && WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

static bool submit(struct cm_quickstart *quickstart)
{
    struct cm_arena *arena = &quickstart->arena;
    uint32_t count = quickstart->devices_count;
    const char **arguments = calloc(FIXED_ARGUMENTS + count + 1, sizeof *arguments);
    char id[CM_FLEET_ID_SIZE];
    if (!arguments)
        abort();
    const char *const fixed[FIXED_ARGUMENTS] = {
        "-c",        quickstart->settings,
        "--out",     quickstart->certs,
        "--timeout", cm_arena_printf(arena, "%u", TIMEOUT_S + count / DEVICES_PER_S_MIN),
    };
    for (size_t i = 0; i < FIXED_ARGUMENTS; i++)
        arguments[i] = fixed[i];
    for (uint32_t i = 0; i < count; i++) {
        cm_fleet_device_id(i, id);
        arguments[FIXED_ARGUMENTS + i] = cm_arena_printf(arena, "%s/%s.csr", quickstart->csrs, id);
    }
    int exit_code = cm_inner_call(&cm_command_submit, arguments);
    free(arguments);
    return exit_code == CM_EXIT_DONE;
}

bool cm_quickstart_issue_redis(struct cm_quickstart *quickstart)
{
    pid_t engine = cm_quickstart_start_engine(quickstart);
    if (engine < 0)
        return cm_quickstart_fail(quickstart, "the engine's process could not be started");
    bool done = submit(quickstart);
    bool stopped = cm_quickstart_stop_engine(engine);
    if (done && !stopped)
        return cm_quickstart_fail(quickstart, "the engine did not end well");
    return done;
}
