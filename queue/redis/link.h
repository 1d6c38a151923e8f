/*
 * Link: one connection to Redis that is kept up.
 *
 * A link connects, over TLS where its settings say so, logs in, tells on_up, and when the connection is lost tells on_down and tries
 * again with growing, jittered pauses. Commands are sent only while it is up; each has a *call* that
 * is told of its reply, once: with the reply, or with NULL when the connection was lost before it
 * came. Then the command may or may not have been carried out.
 *
 * A connection on which a command stays unanswered for longer than the link's timeout is given up:
 * a server that hangs is as good as gone.
 *
 * Life: cm_link_open, sends, cm_link_close. Calls that are pending at close are told NULL before it
 * returns. Everything on the loop's thread; calls come from the loop, never from inside a send.
 * Name resolution blocks: give an address, or a name from /etc/hosts.
 */
#ifndef CM_QUEUE_REDIS_LINK_H
#define CM_QUEUE_REDIS_LINK_H

#include "engine/base/loop.h"
#include "queue/redis/address.h"
#include "queue/redis/command.h"
#include "queue/redis/reply.h"
#include "queue/redis/tls.h"

struct redisAsyncContext;

/* Lives in what waits for the reply. reply is borrowed for the call; hold its block to keep it. */
struct cm_call {
    void (*replied)(struct cm_call *call, const struct cm_reply *reply);
};

/* How a link is opened; what it points at must outlive the link. */
struct cm_link_settings {
    const struct cm_redis_address *address;
    const struct cm_tls *tls; /* used when its context is there */
    struct cm_reply_blocks *blocks;
    uint32_t timeout_ms;
    void (*on_up)(void *arg);
    void (*on_down)(const char *text, void *arg); /* also for each attempt that failed */
    void *arg;
};

struct cm_link {
    struct cm_loop *loop;
    struct cm_link_settings settings;
    struct redisAsyncContext *context; /* hiredis's; NULL between attempts */
    struct ssl_st *ssl;                /* the connection's; NULL: not encrypted */
    bool is_up;
    uint32_t pending_count;    /* commands without a reply */
    uint64_t heard_ns;         /* when the last reply came, or the first pending command went */
    uint32_t pause_ms;         /* before the next attempt */
    uint32_t handshakes_count; /* replies that the log-in waits for */
    struct cm_timer retry;
    struct cm_timer watchdog;
    struct cm_call handshake;
    struct cm_call ping;
    struct cm_command command; /* for its users: built and sent at once */
};

void cm_link_open(struct cm_link *link, struct cm_loop *loop,
                  const struct cm_link_settings *settings);
void cm_link_close(struct cm_link *link);

/*
 * Sends link->command. call may be NULL when nobody waits for the reply. False when the link is down:
 * nothing was sent and call will not be told.
 */
bool cm_link_send(struct cm_link *link, struct cm_call *call);

/* Gives the connection up and tries again after at least pause_ms. Tells on_down. */
void cm_link_fail(struct cm_link *link, uint32_t pause_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The server does what it is asked: the pauses begin small again. */
void cm_link_settle(struct cm_link *link);

#endif
