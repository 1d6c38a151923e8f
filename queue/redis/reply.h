/*
 * Reply: what Redis answered, as a tree in one block of memory.
 *
 * hiredis parses; this module tells it where to put what it finds. All nodes and strings of a reply
 * go into the arena of one *block*, without a heap allocation each, and the entries that are made
 * from a reply point straight into it. A block is counted: the parser holds it until the callback of
 * its command has returned, every entry that was handed out holds it until it comes back or is
 * detached, and then it serves the next reply.
 *
 * Producers choose what stands in a stream, so a reply is bounded while it is read: an array keeps
 * CM_REPLY_CHILDREN_MAX children and only counts the others, and strings of one array are kept up to
 * CM_ENTRY_SIZE_MAX bytes altogether; those beyond have a size and no data.
 */
#ifndef CM_QUEUE_REDIS_REPLY_H
#define CM_QUEUE_REDIS_REPLY_H

#include <hiredis/hiredis.h>

#include "engine/base/arena.h"
#include "engine/base/bytes.h"

#define CM_REPLY_CHILDREN_MAX 2048

enum cm_reply_type {
    CM_REPLY_NIL, /* also of types that no command of ours is answered with */
    CM_REPLY_STRING,
    CM_REPLY_STATUS,
    CM_REPLY_ERROR,
    CM_REPLY_INTEGER,
    CM_REPLY_ARRAY
};

struct cm_reply {
    enum cm_reply_type type;
    uint32_t children_count;    /* ARRAY: kept */
    struct cm_bytes text;       /* STRING, STATUS, ERROR; data NULL: not kept */
    struct cm_reply **children; /* ARRAY */
    size_t kept_size;           /* ARRAY: bytes of the strings that were kept */
    int64_t number;             /* INTEGER; ARRAY: children that came, kept or not */
};

struct cm_reply_block {
    struct cm_reply root; /* first: hiredis frees a block by its root */
    struct cm_arena arena;
    size_t used_size; /* bytes taken from the arena */
    uint32_t holders_count;
    struct cm_reply_blocks *home;
    struct cm_reply_block *next; /* while it is idle */
};

/* The idle blocks of one queue; must outlive its connections. Zero-initialised is empty. */
struct cm_reply_blocks {
    struct cm_reply_block *idle;
    uint32_t idle_count;
};

/* Lets a connection's reader build its replies here. */
void cm_reply_blocks_attach(struct cm_reply_blocks *blocks, struct redisReader *reader);
void cm_reply_blocks_done(struct cm_reply_blocks *blocks);

/* The block of a reply's root. */
struct cm_reply_block *cm_reply_block_of(const struct cm_reply *root);
void cm_reply_block_hold(struct cm_reply_block *block);
void cm_reply_block_release(struct cm_reply_block *block);

/* The child of an array; a NIL node where there is none, so that hostile replies need no care. */
const struct cm_reply *cm_reply_child(const struct cm_reply *reply, uint32_t index);

/* True for an error reply that begins with this word, e.g. "NOGROUP". */
bool cm_reply_is_error(const struct cm_reply *reply, const char *word);

#endif
