/*
 * Interruptions: SIGINT, SIGTERM and SIGHUP while there is something that must not be left behind, like
 * a new key that a token or vault keeps for good.
 *
 *     cm_interruptions_hold("destroying the key %s; interrupt again to leave it there", reference);
 *     if (cm_interruptions_check(&err) == CM_OK)
 *         ... make it, and look again before the next one ...
 *     ... take it back ...
 *     cm_interruptions_release();
 *
 * The first one prints the text and is remembered for good: the command is to end. The second one ends
 * the process. What was ignored (nohup) stays so. One thread; not nested.
 */
#ifndef CM_TOOLS_INTERRUPTIONS_H
#define CM_TOOLS_INTERRUPTIONS_H

#include <stdbool.h>

#include "engine/base/status.h"

/* The text goes to standard error as "certmill: TEXT", by the signal's handler. */
void cm_interruptions_hold(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cm_interruptions_release(void);

bool cm_is_interrupted(void);

/* Fails with: CANCELLED, once it is interrupted. */
CM_MUST_USE cm_status cm_interruptions_check(struct cm_error *err);

#endif
