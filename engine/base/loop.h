/*
 * Loop: one thread that owns state and sockets, and the mailbox through which others reach it.
 *
 * A loop wraps a libevent base. Everything that belongs to a loop is touched on its thread only;
 * cm_loop_assert_here() is the first line of functions that rely on it. Two calls are for any
 * thread: cm_loop_post and cm_loop_stop.
 *
 *     struct cm_loop *loop;
 *     cm_loop_new(&loop, &err);
 *     cm_timer_start(&timer, loop, 5, on_flush, batcher);
 *     cm_loop_run(loop);
 *     cm_loop_free(loop);
 *
 * A task posted from the loop's own thread runs on a later turn, never inside the call: whoever
 * posts a completion keeps the promise that callbacks do not come from inside the call that caused
 * them.
 */
#ifndef CM_BASE_LOOP_H
#define CM_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

struct event_base;
struct event;
struct cm_loop;

/* Something to run on the loop. Lives inside the object it is about; owned by the poster. */
struct cm_task {
    struct cm_task *next; /* the mailbox's, while posted */
    void (*run)(void *arg);
    void *arg;
};

/* Owns: *ret_loop is the caller's, until cm_loop_free. Fails with: IO, NO_MEMORY. */
CM_MUST_USE cm_status cm_loop_new(struct cm_loop **ret_loop, struct cm_error *err);

/* The same for many sockets that change what they wait for all the time: the kernel is told once a turn.
 * None of its descriptors may be a copy (dup) of another. */
CM_MUST_USE cm_status cm_loop_new_for_sockets(struct cm_loop **ret_loop, struct cm_error *err);
void cm_loop_free(struct cm_loop *loop);

/* Runs on the calling thread, which becomes the loop's, until cm_loop_stop. */
void cm_loop_run(struct cm_loop *loop);

/* Ends cm_loop_run after the current turn. Any thread. */
void cm_loop_stop(struct cm_loop *loop);

/*
 * Runs task->run(task->arg) on the loop's thread, in the order of posting. Any thread.
 * Owns: the task is borrowed until it runs; it may be freed or posted again from inside run.
 */
void cm_loop_post(struct cm_loop *loop, struct cm_task *task);

/* Aborts when called on another thread than the loop's while the loop runs. */
void cm_loop_assert_here(const struct cm_loop *loop);

/* For libraries that bring their own events (hiredis, evhttp). Borrowed. */
struct event_base *cm_loop_event_base(struct cm_loop *loop);

/*
 * A one-shot timer, embedded in its owner and zero-initialised. Starting a running timer moves it.
 * Calls back once, on the loop. Stop and done are idempotent; stop it before its owner goes.
 */
struct cm_timer {
    struct event *event;
    void (*run)(void *arg);
    void *arg;
};

void cm_timer_start(struct cm_timer *timer, struct cm_loop *loop, uint32_t delay_ms,
                    void (*run)(void *arg), void *arg);
bool cm_timer_is_running(const struct cm_timer *timer);
void cm_timer_stop(struct cm_timer *timer);
void cm_timer_done(struct cm_timer *timer);

/*
 * Watches a descriptor in one direction, embedded in its owner and zero-initialised. Calls back on
 * the loop, again and again while the descriptor is ready, until stop. Stop and done are idempotent;
 * done comes before the descriptor is closed.
 */
enum cm_readiness { CM_READABLE, CM_WRITABLE };

struct cm_watch {
    struct event *event;
    void (*run)(void *arg);
    void *arg;
};

void cm_watch_start(struct cm_watch *watch, struct cm_loop *loop, int fd,
                    enum cm_readiness readiness, void (*run)(void *arg), void *arg);
void cm_watch_stop(struct cm_watch *watch);
void cm_watch_done(struct cm_watch *watch);

/* Calls back on the loop for every arrival of the signal, until cm_signal_done. */
struct cm_signal {
    struct event *event;
    void (*run)(int signal_number, void *arg);
    void *arg;
};

void cm_signal_watch(struct cm_signal *watch, struct cm_loop *loop, int signal_number,
                     void (*run)(int signal_number, void *arg), void *arg);
void cm_signal_done(struct cm_signal *watch);

#endif
