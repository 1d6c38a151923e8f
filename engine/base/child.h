/*
 * Child: a process that has nothing of ours but what it is given.
 *
 * Its standard input is empty, its standard output is our standard error (standard output is what a command prints for
 * machines), every other descriptor is closed but one, and signals are as a fresh process has them. Whoever
 * starts it waits for it (waitpid).
 */
#ifndef CM_BASE_CHILD_H
#define CM_BASE_CHILD_H

#include <sys/types.h>

enum { CM_CHILD_FD = 3 }; /* what the one descriptor is for the child */

/*
 * Does:       starts a program with these words (the last is NULL; not changed) and our environment. fd: stays
 *             open, as CM_CHILD_FD; -1: none does.
 * Thread:     any.
 * Returns:    0, or an errno: nothing was started.
 */
int cm_child_start(const char *program, const char *const *words, int fd, pid_t *ret_pid);

#endif
