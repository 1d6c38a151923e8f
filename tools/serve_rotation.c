#include "tools/serve_rotation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/child.h"

/* Pauses of 1 s, 2 s, ... 4096 s, of which an hour is the most. */
enum { PAUSE_MS_MIN = 1000, PAUSE_DOUBLINGS_MAX = 12, PAUSE_MS_MAX = 3600000, PATIENCE_MS = 2000 };

struct cm_serve_rotation_child {
    const char *authority;
    pid_t pid;         /* 0: none runs */
    bool is_wanted;    /* once more, when that one has ended, or the pause */
    unsigned failures; /* in a row */
    uint64_t not_before_ns;
};

static void say_failed(const struct cm_serve_rotation *rotation,
                       const struct cm_serve_rotation_child *child, const char *why)
{
    char text[300];
    snprintf(text, sizeof text, "the rotation of %s %s; it is tried again in %llu s",
             child->authority, why,
             (child->not_before_ns - cm_clock_monotonic_ns() + CM_NS_PER_S - 1) / CM_NS_PER_S);
    cm_runner_say(rotation->runner, text);
}

static void note_failure(const struct cm_serve_rotation *rotation,
                         struct cm_serve_rotation_child *child, const char *why)
{
    uint32_t pause_ms = cm_clock_backoff_ms(PAUSE_MS_MIN, child->failures++, PAUSE_DOUBLINGS_MAX);
    if (pause_ms > PAUSE_MS_MAX)
        pause_ms = PAUSE_MS_MAX;
    child->not_before_ns = cm_clock_monotonic_ns() + pause_ms * CM_NS_PER_MS;
    child->is_wanted = true;
    say_failed(rotation, child, why);
}

static void start_wanted(struct cm_serve_rotation *rotation, struct cm_serve_rotation_child *child)
{
    const char *const words[] = { "certmill",
                                  "ca",
                                  "rotate",
                                  child->authority,
                                  "--scheduled",
                                  "-c",
                                  rotation->runner->settings->path,
                                  NULL };
    char why[120];
    if (!child->is_wanted || child->pid != 0 || cm_clock_monotonic_ns() < child->not_before_ns
        || cm_clock_leap_ms() > 0 || rotation->runner->was_interrupted)
        return;
    child->is_wanted = false;
    int code = cm_child_start("/proc/self/exe", words, -1, &child->pid);
    if (code == 0)
        return;
    child->pid = 0;
    snprintf(why, sizeof why, "cannot be started: %s", strerror(code));
    note_failure(rotation, child, why);
}

/* False: it runs. */
static bool has_ended(struct cm_serve_rotation_child *child, int *ret_status)
{
    *ret_status = 0;
    pid_t pid = waitpid(child->pid, ret_status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return false;
    child->pid = 0;
    return true;
}

static void look_at(struct cm_serve_rotation *rotation, struct cm_serve_rotation_child *child)
{
    int status;
    if (child->pid != 0 && has_ended(child, &status)) {
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            child->failures = 0;
        else if (!rotation->runner->was_interrupted)
            note_failure(rotation, child, "has failed");
    }
    start_wanted(rotation, child);
}

void cm_serve_rotation_begin(struct cm_serve_rotation *rotation, struct cm_runner *runner)
{
    const struct cm_settings *settings = runner->settings;
    *rotation = (struct cm_serve_rotation){ .runner = runner,
                                            .children = calloc(settings->authorities_count + 1,
                                                               sizeof *rotation->children),
                                            .count = settings->authorities_count };
    if (!rotation->children)
        abort();
    for (uint32_t i = 0; i < rotation->count; i++)
        rotation->children[i].authority = settings->authorities[i].name;
}

void cm_serve_rotation_ask(struct cm_serve_rotation *rotation, const char *authority)
{
    for (uint32_t i = 0; i < rotation->count; i++) {
        struct cm_serve_rotation_child *child = &rotation->children[i];
        if (strcmp(child->authority, authority) != 0)
            continue;
        child->is_wanted = true;
        start_wanted(rotation, child);
    }
}

void cm_serve_rotation_look(struct cm_serve_rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->count; i++)
        look_at(rotation, &rotation->children[i]);
}

/* Asked to, it takes back what is not recorded yet. One that is killed leaves a key that the next run takes up. */
static void end_child(struct cm_serve_rotation_child *child)
{
    static const struct timespec pause = { .tv_nsec = 10000000 };
    uint64_t begin_ns = cm_clock_monotonic_ns();
    int status;
    kill(child->pid, SIGTERM);
    while (!has_ended(child, &status)) {
        if (cm_clock_monotonic_ns() - begin_ns > PATIENCE_MS * CM_NS_PER_MS)
            kill(child->pid, SIGKILL);
        nanosleep(&pause, NULL);
    }
}

void cm_serve_rotation_end(struct cm_serve_rotation *rotation)
{
    for (uint32_t i = 0; i < rotation->count; i++)
        if (rotation->children[i].pid != 0)
            end_child(&rotation->children[i]);
    free(rotation->children);
    rotation->children = NULL;
    rotation->count = 0;
}
