#include "tests/support/terminal.h"

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Once the question is there: what comes before it is thrown away. */
static void answer(const struct terminal *terminal, pid_t child, int fd)
{
    const struct timespec delay = { .tv_sec = terminal->delay_ms / 1000,
                                    .tv_nsec = (long)(terminal->delay_ms % 1000) * 1000000 };
    nanosleep(&delay, NULL);
    if (terminal->signal_number != 0)
        kill(child, terminal->signal_number);
    else if (write(fd, terminal->typed, strlen(terminal->typed)) < 0)
        perror("terminal");
}

static void talk(struct terminal *terminal, pid_t child, int fd)
{
    size_t used = 0, space = sizeof terminal->seen - 1;
    const char *rest = terminal->seen, *question;
    ssize_t got;
    while (used < space && (got = read(fd, terminal->seen + used, space - used)) > 0) {
        used += (size_t)got;
        terminal->seen[used] = '\0';
        while ((question = strstr(rest, terminal->words)) != NULL) {
            rest = question + strlen(terminal->words);
            terminal->questions++;
            answer(terminal, child, fd);
        }
    }
}

void terminal_run(struct terminal *terminal, int (*run)(void *arg), void *arg)
{
    struct termios after;
    int fd;
    terminal->status = -1;
    fflush(NULL);
    pid_t child = forkpty(&fd, NULL, NULL, NULL);
    if (child == 0)
        _exit(run(arg));
    if (child < 0)
        return;
    talk(terminal, child, fd);
    waitpid(child, &terminal->status, 0);
    terminal->echoes = tcgetattr(fd, &after) == 0 && (after.c_lflag & ECHO) != 0;
    close(fd);
}
