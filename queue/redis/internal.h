/*
 * The Redis queue, inside: one instance, two connections, three modules.
 *
 *   intake.c    the reader link: makes the group, then one command at a time, whatever is due next:
 *               our own pending entries (after each connect), entries of dead engines (XAUTOCLAIM),
 *               new entries (XREADGROUP ... >, blocking briefly)
 *   ahead.c     the same link, while there is no credit: entries that may come ahead of others
 *   replies.c   the writer link: results of a batch in one pipeline, its acknowledgement only when
 *               every result has been confirmed
 *   held.c      which entries this engine has in hand, by id; keeps their leases from running out
 *   redis.c     opening, closing, events, keys
 *
 * An entry is *held* from its delivery until it was acknowledged, given back or given up. What is
 * held is never delivered again, although Redis may offer it: after a reconnect the group's list of
 * pending entries holds those in hand and those whose delivery was lost on the way.
 */
#ifndef CM_QUEUE_REDIS_INTERNAL_H
#define CM_QUEUE_REDIS_INTERNAL_H

#include <sys/queue.h>

#include "queue/entry.h"
#include "queue/redis/link.h"

#define CM_REDIS_ID_SIZE 44 /* two numbers of 20 digits, a dash, a NUL, rounded up */

/* A stream id; ordered as Redis orders them. */
struct cm_stream_id {
    uint64_t ms;
    uint64_t sequence;
};

/* What stands behind a struct cm_entry; lives in the block of its reply, or by itself with its fields. */
struct cm_redis_entry {
    struct cm_entry entry;
    struct cm_stream_id id;
    struct cm_reply_block *block;     /* one hold; NULL: memory of its own */
    const struct cm_reply *fields;    /* raw: names and values in turn */
    uint64_t extended_ns;             /* when its idle time was last set back to 0 */
    struct cm_redis_entry *same_slot; /* in the table of held entries */
    TAILQ_ENTRY(cm_redis_entry) link; /* of the held entries, oldest first */
    bool undeliverable;               /* a copy goes to the dead stream */
};
TAILQ_HEAD(cm_redis_entry_list, cm_redis_entry);

struct cm_held {
    struct cm_redis_entry_list entries;
    struct cm_redis_entry **slots;
    uint32_t slots_count; /* a power of two */
    uint32_t count;
};

struct cm_chain {
    SLIST_ENTRY(cm_chain) link;
    char *key;
    char *pem;
    size_t pem_size;
};

struct cm_reply_batch;
TAILQ_HEAD(cm_reply_batch_list, cm_reply_batch);

#define CM_REDIS_READ_MAX 512 /* entries in one read */

enum cm_intake_step {
    CM_INTAKE_IDLE, /* nothing sent: no link, or no credit */
    CM_INTAKE_GROUP,
    CM_INTAKE_HISTORY,
    CM_INTAKE_CLAIM,
    CM_INTAKE_COUNTS, /* how often were the staged entries delivered? */
    CM_INTAKE_NEW,
    CM_INTAKE_READ_AHEAD,
    CM_INTAKE_TAKE_AHEAD
};

#define CM_REDIS_AHEAD_READ_MAX 64 /* entries in one read; each has at most 64 KiB that are kept */

struct cm_ahead {
    struct cm_stream_id next;  /* everything before it was looked at */
    struct cm_stream_id again; /* but from here on once more, at again_ns; 0-0: nothing */
    uint64_t again_ns;
    struct cm_stream_id chosen[CM_REDIS_AHEAD_READ_MAX]; /* to be taken */
    uint32_t chosen_count;
    uint32_t reads_count; /* entries that came in their turn since the last look */
    bool is_due;          /* to be read on, up to the end */
    bool is_refused;      /* by the server; until it is asked anew after a reconnect */
    struct cm_timer timer;
};

struct cm_intake {
    struct cm_link link;
    struct cm_call call;
    enum cm_intake_step step; /* what the reply in flight answers */
    bool group_is_there;
    bool group_was_there; /* in the life of this queue: making it again is an event */
    bool history_is_read;
    bool claim_is_due;
    struct cm_stream_id history_last;
    char claim_cursor[CM_REDIS_ID_SIZE];
    struct cm_timer claim_timer;
    struct cm_redis_entry *staged[CM_REDIS_READ_MAX]; /* wait for their delivery counts */
    uint32_t staged_count;
    uint32_t staged_known_count; /* the first ones; dropped ones are NULL */
    bool staged_are_ahead;
    struct cm_ahead ahead;
};

struct cm_replies {
    struct cm_link link;
    struct cm_reply_batch_list batches;
    struct cm_timer retry;
    uint32_t retry_ms;
    uint64_t give_up_ns; /* the engine is stopping: no answer waits for longer; 0: it is not */
};

struct cm_redis_queue {
    struct cm_queue head;
    struct cm_redis_address address;
    struct cm_tls tls;
    struct cm_reply_blocks blocks;
    struct cm_held held;
    struct cm_intake intake;
    struct cm_replies replies;
    struct cm_timer extension_timer;
    SLIST_HEAD(, cm_chain) chains;
    bool is_up;
    bool down_was_told;
    char *prefix;
    char *stream;   /* <prefix>:requests */
    char *dead;     /* <prefix>:dead */
    char *consumer; /* the group is named like the prefix */
    uint32_t lease_ms;
    uint32_t deliveries_max;
    uint32_t results_max;
    uint32_t timeout_ms;
};

/* ids */
bool cm_stream_id_read(struct cm_bytes text, struct cm_stream_id *ret_id);
int cm_stream_id_compare(struct cm_stream_id a, struct cm_stream_id b);
/* As Redis writes it; text has room for CM_REDIS_ID_SIZE. Returns text. */
const char *cm_stream_id_format(struct cm_stream_id id, char *text);

/* held.c */
bool cm_held_has(const struct cm_held *held, struct cm_stream_id id);
void cm_held_add(struct cm_held *held, struct cm_redis_entry *entry, uint64_t now_ns);
/* The same in memory of its own, in its place; lets the block go. */
struct cm_redis_entry *cm_held_detach(struct cm_held *held, struct cm_redis_entry *entry);
/* Forgets the entry and lets its memory go. */
void cm_held_drop(struct cm_held *held, struct cm_redis_entry *entry);
void cm_held_done(struct cm_held *held);
/* Sets back the idle time of what has been in hand for a while; called by a timer. */
void cm_held_extend(struct cm_redis_queue *queue);

/* intake.c */
void cm_intake_open(struct cm_redis_queue *queue);
void cm_intake_go_on(struct cm_redis_queue *queue); /* credit has come, or something is due */
void cm_intake_close(struct cm_redis_queue *queue);

/* ahead.c */
void cm_ahead_open(struct cm_redis_queue *queue);
void cm_ahead_close(struct cm_redis_queue *queue);
/* After a connect: from the beginning of the stream. */
void cm_ahead_reset(struct cm_redis_queue *queue);
/* What stands from id on may be free after wait_ms: it is looked at once more. */
void cm_ahead_look_again(struct cm_redis_queue *queue, struct cm_stream_id id, uint32_t wait_ms);
/* While there is no credit: sends what is due next. False: nothing. */
bool cm_ahead_send(struct cm_redis_queue *queue, enum cm_intake_step *ret_step);
/* Of a read: which are to be taken. */
void cm_ahead_choose(struct cm_redis_queue *queue, const struct cm_reply *list);
/* They were asked for: those that are not held now are another engine's. */
void cm_ahead_taken(struct cm_redis_queue *queue);
/* The server does not allow it. */
void cm_ahead_refuse(struct cm_redis_queue *queue, const struct cm_reply *error);

/* replies.c */
void cm_replies_open(struct cm_redis_queue *queue);
void cm_replies_add(struct cm_redis_queue *queue, struct cm_answer *answers, uint32_t count,
                    cm_answered_fn *answered, void *arg);
void cm_replies_hurry(struct cm_redis_queue *queue, uint32_t patience_ms);
void cm_replies_close(struct cm_redis_queue *queue);

/* redis.c */
void cm_redis_publish_chains(struct cm_redis_queue *queue);
void cm_redis_look_up(struct cm_redis_queue *queue); /* a link came up: tell UP when all is */
void cm_redis_look_down(struct cm_redis_queue *queue, const char *text);

#endif
