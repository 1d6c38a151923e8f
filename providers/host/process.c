#include "providers/host/process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/child.h"
#include "providers/host.h"

cm_status cm_process_start(struct cm_process *process, const char *program, const char *name,
                           int *ret_fd, struct cm_error *err)
{
    const char *const words[] = { "certmill", "signer", name, NULL };
    int fds[2];
    static_assert(CM_CHILD_FD == CM_SIGNER_FD, "that is where a signer looks for its engine");
    *process = (struct cm_process){ 0 };
    if (!program)
        program = "/proc/self/exe";
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, errno, "make a socket for a signer");
    int code = cm_child_start(program, words, fds[1], &process->pid);
    close(fds[1]);
    if (code != 0) {
        process->pid = 0;
        close(fds[0]);
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OS, code, "start the signer %s", program);
    }
    *ret_fd = fds[0];
    return CM_OK;
}

bool cm_process_has_ended(struct cm_process *process)
{
    if (process->pid == 0)
        return true;
    pid_t pid = waitpid(process->pid, &process->status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return false;
    if (pid < 0)
        process->status = 0; /* somebody else has collected it */
    process->pid = 0;
    return true;
}

void cm_process_kill(struct cm_process *process)
{
    if (process->pid != 0)
        kill(process->pid, SIGKILL);
}

void cm_process_end(struct cm_process *process, unsigned patience_ms)
{
    const struct timespec pause = { .tv_nsec = 500000 };
    uint64_t begin_ns = cm_clock_monotonic_ns(), patience_ns = patience_ms * CM_NS_PER_MS;
    while (!cm_process_has_ended(process)) {
        uint64_t waited_ns = cm_clock_monotonic_ns() - begin_ns;
        if (waited_ns >= 2 * patience_ns)
            return;
        if (waited_ns >= patience_ns)
            cm_process_kill(process);
        nanosleep(&pause, NULL);
    }
}

static const char *explain(int exit_code)
{
    switch (exit_code) {
    case CM_SIGNER_EXIT_HUNG:
        return ": a call into the key store did not come back";
    case CM_SIGNER_EXIT_PROTOCOL:
        return ": it did not understand the engine";
    case CM_SIGNER_EXIT_REFUSED:
        return ": it could not open the key store";
    default:
        return "";
    }
}

const char *cm_process_describe(const struct cm_process *process, char *text, size_t space)
{
    int status = process->status;
    if (WIFSIGNALED(status))
        snprintf(text, space, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, space, "ended with exit code %d%s", WEXITSTATUS(status),
                 explain(WEXITSTATUS(status)));
    return text;
}
