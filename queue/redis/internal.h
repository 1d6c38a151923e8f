/*
 * The Redis queue, inside: one instance, two connections, and what lies between them.
 *
 *   intake.c    the reader link: makes the group, then one command at a time, whatever is due next:
 *               our own pending entries (after each connect), entries of dead engines (XAUTOCLAIM),
 *               new entries (XREADGROUP ... >, blocking briefly)
 *   ahead.c     the same link, while there is no credit: entries that may come ahead of others
 *   unpack.c    the requests that an entry of the stream carries
 *   ready.c     requests that are here, and wait for credit
 *   results.c   what became of requests, as commands
 *   replies.c   the writer link: results of a batch in one pipeline, its acknowledgement only when
 *               every result has been confirmed
 *   back.c      the writer link: what goes back unanswered
 *   notices.c   the writer link: what nobody has asked for
 *   held.c      which entries of the stream this engine has in hand, by id; keeps their leases from
 *               running out
 *   redis.c     opening, closing, events, keys
 *
 * What Redis delivers, leases and acknowledges is an entry of the stream: here a *lease*. It carries one
 * request, or several; each is a struct cm_entry to the engine, and behind it a struct cm_redis_entry. A
 * lease ends when all its requests are back: acknowledged when all were answered.
 *
 * A lease is *held* from its delivery until it was acknowledged, given back or given up. What is
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

struct cm_lease;

/* What stands behind a struct cm_entry; lives in the block of its reply, or by itself with its fields. */
struct cm_redis_entry {
    struct cm_entry entry;
    struct cm_lease *lease;
    struct cm_reply_block *block;  /* one hold; NULL: memory of its own */
    const struct cm_reply *fields; /* raw: names and values in turn, of all the lease's requests */
    uint32_t number;               /* of its fields in there; 0: they have none */
    bool is_ready;                 /* not the engine's: it waits for credit */
    TAILQ_ENTRY(cm_redis_entry) link;    /* of its lease */
    TAILQ_ENTRY(cm_redis_entry) in_turn; /* of those that are ready */
};
TAILQ_HEAD(cm_redis_entry_list, cm_redis_entry);

/* How a lease ends, the last that was true of one of its requests. */
enum cm_lease_end {
    CM_LEASE_ANSWERED,
    CM_LEASE_GIVEN_UP,  /* an answer could not be written: it comes again when its time is up */
    CM_LEASE_GIVEN_BACK /* comes again at once */
};

/* An entry of the stream that is in hand. */
struct cm_lease {
    struct cm_stream_id id;
    struct cm_redis_entry_list entries; /* its requests, but for those that are back */
    uint32_t entries_count;             /* of these */
    uint32_t away_count;                /* and of these, those that the engine has */
    uint32_t deliveries_count;
    enum cm_lease_end end;
    bool is_over;               /* is acknowledged, or goes back */
    uint64_t extended_ns;       /* when its idle time was last set back to 0 */
    struct cm_lease *next;      /* in its slot of the table, or of those that are idle */
    struct cm_lease *next_over; /* of those that are acknowledged, or given back, together */
    TAILQ_ENTRY(cm_lease) link; /* of the held ones, oldest first */
};
TAILQ_HEAD(cm_lease_list, cm_lease);

struct cm_held {
    struct cm_lease_list leases;
    struct cm_lease **slots;
    uint32_t slots_count; /* a power of two */
    uint32_t count;
    struct cm_lease *idle; /* to be used again */
};

struct cm_ready {
    struct cm_redis_entry_list entries;
    uint32_t count;
    struct cm_timer turn; /* credit has come: they go outside of that call */
};

struct cm_chain {
    SLIST_ENTRY(cm_chain) link;
    char *key;
    char *pem;
    size_t pem_size;
};

struct cm_notice_batch;
TAILQ_HEAD(cm_notice_batch_list, cm_notice_batch);

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
    uint32_t chosen_requests_count; /* that they carry */
    uint32_t reads_count;           /* requests that came in their turn since the last look */
    bool is_due;                    /* to be read on, up to the end */
    bool is_refused;                /* by the server; until it is asked anew after a reconnect */
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
    struct cm_lease *staged[CM_REDIS_READ_MAX]; /* wait for their delivery counts */
    uint32_t staged_count;
    uint32_t staged_known_count; /* the first ones; dropped ones are NULL */
    bool staged_are_ahead;
    uint32_t requests_each; /* about, of an entry: so many come with each that is read */
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
    struct cm_ready ready;
    struct cm_intake intake;
    struct cm_replies replies;
    struct cm_notice_batch_list notices; /* on their way, by the link of the replies */
    struct cm_timer extension_timer;
    SLIST_HEAD(, cm_chain) chains;
    bool is_up;
    bool is_stopping; /* nothing is handed out any more */
    bool down_was_told;
    char *prefix;
    char *stream;   /* <prefix>:requests */
    char *dead;     /* <prefix>:dead */
    char *results;  /* <prefix>:results:, and then the requester */
    char *noticed;  /* <prefix>:notices */
    char *consumer; /* the group is named like the prefix */
    uint32_t lease_ms;
    uint32_t deliveries_max;
    uint32_t results_max;
    uint32_t notices_max;
    uint32_t timeout_ms;
};

/* ids */
bool cm_stream_id_read(struct cm_bytes text, struct cm_stream_id *ret_id);
int cm_stream_id_compare(struct cm_stream_id a, struct cm_stream_id b);
/* As Redis writes it; text has room for CM_REDIS_ID_SIZE. Returns text. */
const char *cm_stream_id_format(struct cm_stream_id id, char *text);

/* held.c */
bool cm_held_has(const struct cm_held *held, struct cm_stream_id id);
/* XCLAIM of these to ourselves, as far as their ids; the caller adds so many words more and sends it. */
struct cm_command *cm_held_begin_claim(struct cm_redis_queue *queue, struct cm_lease *const *leases,
                                       uint32_t count, uint32_t more_words);
/* A lease without requests, held from now on. */
struct cm_lease *cm_held_take(struct cm_held *held, struct cm_stream_id id, uint64_t now_ns);
/* Forgets the lease, and lets go the memory of the requests that it still has: none that is ready. */
void cm_held_drop(struct cm_held *held, struct cm_lease *lease);
void cm_held_done(struct cm_held *held);
/* Sets back the idle time of what has been in hand for a while; called by a timer. */
void cm_held_extend(struct cm_redis_queue *queue);

/* unpack.c */
/* Makes the requests that stand in fields; their memory is the reply's. */
void cm_unpack(struct cm_lease *lease, struct cm_reply_block *block, const struct cm_reply *fields);
/* How many requests stand there, when each of them is_ahead; else 0. */
uint32_t cm_unpack_count_ahead(const struct cm_reply *fields, cm_is_ahead_fn *is_ahead);
/* Settles the refusals of a lease's requests. */
void cm_unpack_finish(struct cm_lease *lease, uint32_t deliveries_count, uint32_t deliveries_max);
/* Is this one of its fields: its own, or one for all? ret_plain: its name without the number. */
bool cm_unpack_owns(const struct cm_redis_entry *entry, struct cm_bytes name,
                    struct cm_bytes *ret_plain);
/* The same in memory of its own, in its place; lets the block go. */
struct cm_redis_entry *cm_unpack_detach(struct cm_redis_entry *entry);
/* Takes it off its lease, which stays. free lets its memory go. */
void cm_unpack_remove(struct cm_redis_entry *entry);
void cm_unpack_free(struct cm_redis_entry *entry);

/* ready.c */
void cm_ready_add(struct cm_redis_queue *queue, struct cm_lease *lease);
void cm_ready_add_again(struct cm_redis_queue *queue, struct cm_redis_entry *entry);
/* Of a lease that goes: none of its requests waits any more. */
void cm_ready_remove(struct cm_redis_queue *queue, struct cm_lease *lease);
/* As far as the credit goes. Not from inside a call of the engine. */
void cm_ready_deliver(struct cm_redis_queue *queue);
/* The same of leases (NULL: none there) that were taken ahead, and of all that wait and may come ahead. */
void cm_ready_deliver_ahead(struct cm_redis_queue *queue, struct cm_lease *const *leases,
                            uint32_t count);
void cm_ready_look_ahead(struct cm_redis_queue *queue);
/* Credit has come. Returns what is left of it for reading. */
uint32_t cm_ready_claim(struct cm_redis_queue *queue);
void cm_ready_close(struct cm_redis_queue *queue);

/* back.c */
void cm_back_give(struct cm_redis_queue *queue, struct cm_entry **entries, uint32_t count);
/* The engine has one request less of the lease: is that over, other than by an acknowledgement? */
void cm_back_look(struct cm_redis_queue *queue, struct cm_lease *lease);
/* The engine is stopping: leases go back as soon as it has nothing of them. */
void cm_back_hurry(struct cm_redis_queue *queue);

/* intake.c */
void cm_intake_open(struct cm_redis_queue *queue);
void cm_intake_go_on(struct cm_redis_queue *queue); /* credit has come, or something is due */
/* Leases were given back: they may be claimed. */
void cm_intake_claim(struct cm_redis_queue *queue);
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

#define CM_RESULTS_GROUP_MAX 64

/* results.c; build puts the command into that of the replies' link */
bool cm_result_has_requester(const struct cm_answer *answer);
/* A copy goes to the dead stream. One that was answered before is answered the same, however often it came. */
bool cm_result_is_set_aside(const struct cm_answer *answer);
/* In an entry, at most. Bytes. */
size_t cm_result_size(const struct cm_answer *answer);
/* One entry of the result stream of their requester, with all of these. */
void cm_result_build(struct cm_redis_queue *queue, const struct cm_answer *const *answers,
                     uint32_t count);
void cm_result_build_dead(struct cm_redis_queue *queue, const struct cm_answer *answer);

/* replies.c */
void cm_replies_open(struct cm_redis_queue *queue);
void cm_replies_add(struct cm_redis_queue *queue, struct cm_answer *answers, uint32_t count,
                    cm_answered_fn *answered, void *arg);
void cm_replies_hurry(struct cm_redis_queue *queue, uint32_t patience_ms);
void cm_replies_close(struct cm_redis_queue *queue);

/* notices.c; close after the link was closed */
void cm_notices_add(struct cm_redis_queue *queue, const struct cm_notice *notices, uint32_t count,
                    cm_notified_fn *notified, void *arg);
void cm_notices_close(struct cm_redis_queue *queue);

/* redis.c */
void cm_redis_publish_chains(struct cm_redis_queue *queue);
void cm_redis_look_up(struct cm_redis_queue *queue); /* a link came up: tell UP when all is */
void cm_redis_look_down(struct cm_redis_queue *queue, const char *text);

#endif
