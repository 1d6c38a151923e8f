/*
 * Serve rotation: the processes that make keys for a running engine: `certmill ca rotate NAME --scheduled`, at most
 * one at a time of an authority, asked for when the engine says that there is something to do.
 *
 *     cm_serve_rotation_begin(&rotation, &runner);
 *     cm_serve_rotation_ask(&rotation, "issuing");     on CM_ENGINE_ROTATION_DUE
 *     cm_serve_rotation_look(&rotation);               ten times a second: nothing here blocks
 *     cm_serve_rotation_end(&rotation);                what still runs is ended, by its pid
 *
 * One that fails is started again after a pause that doubles from a second up to an hour, and says itself why. As long as
 * the clock is not believed none is started: what they make would be of the future. One thread.
 */
#ifndef CM_TOOLS_SERVE_ROTATION_H
#define CM_TOOLS_SERVE_ROTATION_H

#include "tools/runner.h"

struct cm_serve_rotation_child;

struct cm_serve_rotation {
    struct cm_runner *runner;
    struct cm_serve_rotation_child *children; /* by position of the authority in the settings */
    uint32_t count;
};

void cm_serve_rotation_begin(struct cm_serve_rotation *rotation, struct cm_runner *runner);
void cm_serve_rotation_ask(struct cm_serve_rotation *rotation, const char *authority);
void cm_serve_rotation_look(struct cm_serve_rotation *rotation);
void cm_serve_rotation_end(struct cm_serve_rotation *rotation);

#endif
