/*
 * A terminal for tests, with somebody at it who answers one question.
 *
 *     struct terminal terminal = { .words = "PIN: ", .typed = "1234\n" };
 *     terminal_run(&terminal, ask, arg);        runs ask(arg) in a child; its result is the exit code
 *     CU_ASSERT_EQUAL(terminal.status, 0);
 */
#ifndef CM_TESTS_SUPPORT_TERMINAL_H
#define CM_TESTS_SUPPORT_TERMINAL_H

#include <stdbool.h>

struct terminal {
    const char *words; /* what the question ends in */
    const char *typed; /* whenever it is asked; "" for nothing */
    unsigned delay_ms; /* before typing */
    int signal_number; /* instead of typing, the child gets this; 0: none */
    /* What came of it: */
    int status; /* of the child, as waitpid has it; -1: it did not even start */
    unsigned questions;
    bool echoes;     /* afterwards */
    char seen[2048]; /* on the terminal */
};

void terminal_run(struct terminal *terminal, int (*run)(void *arg), void *arg);

#endif
