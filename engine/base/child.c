#include "engine/base/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

extern char **environ;

static int plan_descriptors(posix_spawn_file_actions_t *actions, int fd)
{
    int code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, 2, 1);
    if (code == 0 && fd >= 0)
        code = posix_spawn_file_actions_adddup2(actions, fd, CM_CHILD_FD);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(actions,
                                                        fd >= 0 ? CM_CHILD_FD + 1 : CM_CHILD_FD);
    return code;
}

static int plan_signals(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    return code;
}

int cm_child_start(const char *program, const char *const *words, int fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = plan_descriptors(&actions, fd);
        if (code == 0)
            code = plan_signals(&attributes);
        if (code == 0)
            code = posix_spawn(ret_pid, program, &actions, &attributes,
                               (char *const *)(uintptr_t)words, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}
