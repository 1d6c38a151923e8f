/*
 * Channel: frames over a socket, on a loop. Both sides of the boundary are one.
 *
 * Frames are appended to channel->out with the functions of wire.h and leave with cm_channel_flush,
 * at once where the socket has room. What comes in is taken apart and handed over frame by frame.
 * Nothing here blocks but cm_channel_wait, which is for start-up.
 *
 * Life: cm_channel_open, frames, cm_channel_close (which closes the socket). Thread: the loop's.
 */
#ifndef CM_PROVIDERS_HOST_CHANNEL_H
#define CM_PROVIDERS_HOST_CHANNEL_H

#include "providers/host/wire.h"

struct cm_channel {
    struct cm_loop *loop;
    int fd; /* owned; -1: closed */
    struct cm_buffer in;
    struct cm_buffer out;
    size_t out_begin;       /* of what has not left yet, in out */
    uint64_t written_count; /* bytes that have left, ever */
    uint64_t frames_count;  /* that have come, ever */
    bool is_deaf;           /* the other side takes nothing more */
    bool is_over;           /* on_end was called */
    struct cm_watch readable, writable;
    /* Borrowed for the call. False: the other side breaks the protocol. */
    bool (*on_frame)(const struct cm_wire_frame *frame, void *arg);
    /* Once: the other side has hung up, or what came was no frame. Close it from here or later. */
    void (*on_end)(bool is_garbage, void *arg);
    void *arg;
};

/* The callbacks and arg are set already. Takes fd over and makes it non-blocking. */
void cm_channel_open(struct cm_channel *channel, struct cm_loop *loop, int fd);

/* Idempotent; takes a zeroed channel whose fd is -1. */
void cm_channel_close(struct cm_channel *channel);

/* Sends what is in out. Never calls back: an end is noticed on a later turn. */
void cm_channel_flush(struct cm_channel *channel);

/* Where the next byte appended to out will be among all bytes: it has begun to leave once
 * written_count is greater. */
uint64_t cm_channel_position(const struct cm_channel *channel);

/* Without the loop: until *is_done, or the deadline (cm_clock_monotonic_ns), or the end. */
void cm_channel_wait(struct cm_channel *channel, const bool *is_done, uint64_t deadline_ns);

#endif
