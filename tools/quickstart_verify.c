/* Certificates are believed when a program that we did not write believes them. */
#include "tools/quickstart.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAMPLE_MAX = 100, FIXED_ARGUMENTS = 7 };

extern char **environ;

/* Spread over the key types, and within each over the fleet. */
static uint32_t choose_sample(const struct cm_fleet *fleet, uint32_t ret_indexes[SAMPLE_MAX])
{
    uint32_t types = 0, seen[CM_KEY_TYPE_COUNT] = { 0 }, taken[CM_KEY_TYPE_COUNT] = { 0 };
    uint32_t count = 0;
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        types += fleet->counts[type] > 0;
    uint32_t share = SAMPLE_MAX / (types ? types : 1);
    for (uint32_t i = 0; i < fleet->devices_count && count < SAMPLE_MAX; i++) {
        unsigned type = fleet->devices[i].type;
        uint32_t wanted = fleet->counts[type] < share ? fleet->counts[type] : share;
        if ((uint64_t)seen[type]++ * wanted < (uint64_t)taken[type] * fleet->counts[type]
            || taken[type] == wanted)
            continue;
        taken[type]++;
        ret_indexes[count++] = i;
    }
    return count;
}

int cm_quickstart_run_program(char *const argv[], const char *log)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int how = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0 || waitpid(pid, &how, 0) != pid)
        return -1;
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

bool cm_quickstart_verify(struct cm_quickstart *quickstart)
{
    struct cm_arena *arena = &quickstart->arena;
    uint32_t indexes[SAMPLE_MAX];
    char *argv[FIXED_ARGUMENTS + SAMPLE_MAX + 1];
    size_t argc = 0;
    const char *const fixed[FIXED_ARGUMENTS] = {
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        cm_arena_printf(arena, "%s/ca/root.pem", quickstart->folder),
        "-untrusted",
        cm_arena_printf(arena, "%s/ca/issuing.pem", quickstart->folder),
    };
    const char *log = cm_arena_printf(arena, "%s/verify.log", quickstart->folder);
    for (size_t i = 0; i < FIXED_ARGUMENTS; i++)
        argv[argc++] = (char *)(uintptr_t)fixed[i];
    quickstart->sampled = choose_sample(quickstart->fleet, indexes);
    for (uint32_t i = 0; i < quickstart->sampled; i++) {
        char id[CM_FLEET_ID_SIZE];
        cm_fleet_device_id(indexes[i], id);
        argv[argc++] =
            (char *)(uintptr_t)cm_arena_printf(arena, "%s/%s.pem", quickstart->certs, id);
    }
    argv[argc] = NULL;
    int exit_code = cm_quickstart_run_program(argv, log);
    if (exit_code != 0)
        return cm_quickstart_fail(quickstart, "openssl verify failed (exit %d); see %s", exit_code,
                                  log);
    quickstart->verified = quickstart->sampled;
    return true;
}
