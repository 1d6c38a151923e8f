/*
 * Queue: where requests come from and answers go.
 *
 * A queue hands out *entries* on lease: an entry stays the engine's until it is answered or given
 * back, and comes again (to this engine or another) when the engine dies. So delivery is at least
 * once, and the store, not the queue, makes it exactly once.
 *
 *     cm_queue_open(&cm_queue_redis, loop, &settings, on_entries, self, &queue, &err);
 *     cm_queue_want(queue, 512);                     room for 512 more entries
 *     ... on_entries(entries, 256, self) ...         they are ours now
 *     cm_queue_answer(queue, answers, 256, on_answered, self);
 *
 * Work is pulled at the engine's pace: entries arrive only against the credit that cm_queue_want
 * gave. While that is used up, entries of a kind that need not wait may be taken out from among the
 * others, wherever they stand, against a credit of their own (cm_queue_want_ahead). An answer is made durable as the backend understands it (result stream, file) *before* the
 * entry is acknowledged; if acknowledging fails, the entry comes again and is answered the same.
 *
 * Beside answers a queue may carry *notices*: what the engine has to say to whoever looks after devices
 * without having been asked (cm_queue_notify).
 *
 * Backends: redis/ (streams with a consumer group), spool/ (folders of files), memory/ (tests,
 * benchmarks). One conformance suite (tests/conformance/queue_test.c) runs against each.
 *
 * Everything runs on the loop's thread and calls back there, never inside the call that caused it.
 * The process ignores SIGPIPE: a Redis server may go away while it is being written to.
 */
#ifndef CM_QUEUE_QUEUE_H
#define CM_QUEUE_QUEUE_H

#include "engine/base/bytes.h"
#include "engine/base/loop.h"
#include "engine/base/refusal.h"
#include "engine/base/status.h"

/* X(SYMBOL, name) - the fields of wire format version 1 (docs/reference/wire.md) */
#define CM_FIELD_MAP(X)                                                                            \
    X(OP, "op")                                                                                    \
    X(ID, "id")                                                                                    \
    X(REQUESTER, "requester")                                                                      \
    X(DEVICE, "device")                                                                            \
    X(CSR, "csr")                                                                                  \
    X(PROFILE, "profile")                                                                          \
    X(SERIAL, "serial")                                                                            \
    X(REASON, "reason")                                                                            \
    X(INVALIDITY, "invalidity")                                                                    \
    X(WHY, "why")                                                                                  \
    X(TIME, "time")                                                                                \
    X(AUTH, "auth")                                                                                \
    X(PRIORITY, "priority")

enum cm_field {
#define X(symbol, name) CM_FIELD_##symbol,
    CM_FIELD_MAP(X)
#undef X
        CM_FIELD_COUNT
};

const char *cm_field_name(enum cm_field field);

/* The field with this name; CM_FIELD_COUNT when version 1 has none. */
enum cm_field cm_field_find(struct cm_bytes name);

/* Entries larger than this are answered request.too-large without their content. Bytes. */
#define CM_ENTRY_SIZE_MAX 65536

/* Where the device id of an entry stands. */
enum cm_device_from {
    CM_DEVICE_FROM_FIELD,        /* in the field "device" */
    CM_DEVICE_FROM_CN,           /* in the CSR's subject: commonName */
    CM_DEVICE_FROM_SERIAL_NUMBER /* in the CSR's subject: serialNumber */
};

/* What the engine has found out about the authentication of an entry. */
enum cm_entry_standing {
    CM_ENTRY_UNJUDGED, /* not looked at yet, or its requester need not authenticate */
    CM_ENTRY_TRUSTED,  /* made by its requester, and just now */
    CM_ENTRY_STALE,    /* made by its requester, but not to be worked on: the answer says why */
    CM_ENTRY_FORGED    /* nobody vouches for it, or one stale one of too many: set aside, its
                          requester is not told */
};

/*
 * One request as it came. Life: made by the queue, the engine's from on_entries on, back to the
 * queue with cm_queue_answer or cm_queue_give_back, each entry once. Never touch it afterwards.
 * An entry of a Redis stream may carry several requests (docs/reference/wire.md): each is one of these.
 */
struct cm_entry {
    struct cm_bytes
        fields[CM_FIELD_COUNT]; /* data NULL: absent; valid while the engine has the entry */
    struct cm_refusal
        refusal; /* the queue's own verdict: unknown or duplicate field, too large, undeliverable */
    const char
        *group; /* NULL, or the group that an unknown device is registered in (issue --enroll) */
    enum cm_device_from device_from; /* FIELD, but for spools that leave it to the CSR's subject */
    size_t size;                     /* bytes of all names and values as they came, kept or not */
    uint32_t deliveries_count;       /* 1: for the first time */
    bool is_covered;                 /* fields is all that came: a signature over them covers it */
    enum cm_entry_standing standing; /* the engine's: whether its requester vouches for it */
    bool is_rated; /* the engine's: it has been charged to its requester's and its group's rate */
    bool is_credited;      /* the engine's: the queue has its credit back already */
    bool is_ahead;         /* taken out ahead of others: that credit is to be given back for it */
    uint32_t losses_count; /* the engine's: signatures that were lost as their signer died */
    uint64_t arrived_ns;   /* cm_clock_monotonic_ns() when it came */
    void *backend;         /* the queue's */
};

enum cm_answer_status {
    CM_ANSWER_ISSUED,  /* certificate */
    CM_ANSWER_DONE,    /* an operation without a certificate */
    CM_ANSWER_REFUSED, /* code, message */
    CM_ANSWER_FAILED   /* code, message; our side's fault */
};

const char *cm_answer_status_name(enum cm_answer_status status); /* "issued" */

/* What an entry came to. Spans are borrowed until the answer has been taken (answered()). */
struct cm_answer {
    struct cm_entry *entry; /* goes back to the queue */
    enum cm_answer_status status;
    struct cm_bytes id, requester, device; /* as in the request; empty where unreadable */
    enum cm_refusal_code code;             /* REFUSED, FAILED */
    const char *message;                   /* REFUSED, FAILED; one line */
    struct cm_bytes certificate;           /* ISSUED: DER */
    struct cm_bytes serial;                /* ISSUED: octets, big-endian */
    const char *issuer;                    /* ISSUED: authority generation name, e.g. "issuing-1" */
    struct cm_bytes chain;                 /* ISSUED: PEM of the issuer and above; may be empty */
    int64_t not_after;                     /* ISSUED: Unix seconds */
    bool
        may_be_grouped; /* its requester reads several results of one entry; backends may ignore it */
};

/* A device is asked to come for a new certificate. Spans and texts are borrowed until notified. */
struct cm_notice {
    const char *kind; /* "renew" */
    struct cm_bytes campaign;
    struct cm_bytes device; /* id */
    struct cm_bytes serial; /* of the certificate that it has: octets, big-endian, 1 to 20 */
    const char *issuer;     /* and which key has issued that: "issuing-1" */
    int64_t not_after;      /* Unix seconds: when it ends */
    int64_t not_before;     /* when the device is to come, at the earliest, */
    int64_t deadline;       /* and at the latest */
};

struct cm_queue;

/* count entries are the engine's now. entries is borrowed for the call. */
typedef void cm_entries_fn(struct cm_entry **entries, uint32_t count, void *arg);

/* What a queue tells of its health; the engine shows it and goes on. */
enum cm_queue_event {
    CM_QUEUE_UP,    /* connected, group there */
    CM_QUEUE_DOWN,  /* not reachable; retrying with backoff */
    CM_QUEUE_RESET, /* the stream or its group had vanished and was made again */
    CM_QUEUE_LIMITED, /* the server refuses to have entries looked for that may come ahead of others */
    CM_QUEUE_LOST, /* entries were deleted while on lease: their requesters must send them again */
    CM_QUEUE_EXHAUSTED /* finite queues: nothing will come any more (files read to the end) */
};

typedef void cm_queue_event_fn(enum cm_queue_event event, const char *text, void *arg);

/* How the server of rediss:// proves who it is, and how we do. Paths of PEM files; NULL: see there. */
struct cm_redis_tls {
    const char *ca;          /* NULL: the system's CAs */
    const char *certificate; /* our own, with its chain; NULL: none */
    const char *key;         /* its key, without a passphrase */
    const char *server_name; /* that the server's certificate is for; NULL: the host of the URL */
};

/* What a queue is opened with; each backend reads its own part. Plain data, copied by open. */
struct cm_queue_settings {
    /* redis */
    const char *
        url; /* "unix:///run/redis.sock", "redis://[user:password@]host[:port][/db]", rediss://... */
    struct cm_redis_tls tls;  /* for rediss:// */
    const char *prefix;       /* of every key: "certmill" */
    const char *consumer;     /* name of this engine in the group; unique among engines */
    const char *password_ref; /* as in engine/base/secret.h, its path absolute; NULL: none */
    uint32_t lease_ms;        /* entries idle for longer are claimed from other consumers */
    uint32_t deliveries_max;  /* more: request.undeliverable and set aside; 0: no limit */
    uint32_t results_max;     /* XADD MAXLEN ~ of each result stream; 0: never trimmed */
    uint32_t notices_max;     /* the same of the stream of notices */
    uint32_t timeout_ms;      /* a command unanswered for longer ends the connection; 0: 5000 */
    /* spool */
    const char *folder;       /* holds incoming/, answered/, refused/ */
    const char *input;        /* one-shot instead: a folder, a file, or "-" */
    const char *output;       /* one-shot: the folder of the answers */
    const char *requester;    /* under whose name files are submitted */
    const char *device_from;  /* "file-name", "cn" or "serial-number" */
    const char *enroll_group; /* NULL: unknown devices are refused */
};

struct cm_queue_ops;
extern const struct cm_queue_ops cm_queue_redis;
extern const struct cm_queue_ops cm_queue_spool;

/*
 * Does:       makes the instance and starts connecting or scanning; entries come after want.
 * Owns:       *ret_queue is the caller's, until cm_queue_close.
 * Fails with: INVALID settings are the settings reader's to find; here: IO (folder missing),
 *             UNSUPPORTED (not built in), DENIED (TLS files unreadable), NO_MEMORY, and for the
 *             password what cm_secret_read fails with.
 *             An unreachable server is no failure: see CM_QUEUE_DOWN.
 */
CM_MUST_USE cm_status cm_queue_open(const struct cm_queue_ops *ops, struct cm_loop *loop,
                                    const struct cm_queue_settings *settings,
                                    cm_entries_fn *on_entries, cm_queue_event_fn *on_event,
                                    void *arg, struct cm_queue **ret_queue, struct cm_error *err);

/* Adds count entries to the credit. Entries given out use it up. */
void cm_queue_want(struct cm_queue *queue, uint32_t count);

/* Whether an entry with this op (data NULL: without one) may be taken out ahead of others. */
typedef bool cm_is_ahead_fn(struct cm_bytes op);

/*
 * Does:       adds count entries to a credit of their own, for entries of which is_ahead is true: while
 *             that of cm_queue_want is used up, they are looked for behind those that wait, and given out
 *             in their own order, marked is_ahead. All others stay where they are, not delivered.
 *             is_ahead is the same in every call. A backend that brings no such entries ignores it.
 */
void cm_queue_want_ahead(struct cm_queue *queue, uint32_t count, cm_is_ahead_fn *is_ahead);

/*
 * Does:       writes count answers, then acknowledges their entries.
 * Owns:       answers and what they point at are borrowed until answered is called; the entries go
 *             back to the queue at once.
 * Calls back: answered once, never inside this call. OK: written (and acknowledged, or the entry
 *             will come again and be answered the same). UNAVAILABLE: not (all) written; the queue
 *             has given the entries up; they come again after their lease.
 */
typedef void cm_answered_fn(cm_status status, void *arg);
void cm_queue_answer(struct cm_queue *queue, struct cm_answer *answers, uint32_t count,
                     cm_answered_fn *answered, void *arg);

/*
 * Does:       makes an entry independent of those it came with. Backends may keep all that came at once
 *             in one block of memory; an entry that the engine has for long would hold on to all of it.
 * Owns:       returns the entry from now on, the same in all its parts; the old one is gone, and so is
 *             what its fields pointed at.
 */
struct cm_entry *cm_queue_detach(struct cm_queue *queue, struct cm_entry *entry);

/* Gives entries back unanswered: they come again, to anyone, without delay; this delivery does not
 * count towards deliveries_max. One that came together with others in an entry of a Redis stream comes
 * again here while the engine has any of those. */
void cm_queue_give_back(struct cm_queue *queue, struct cm_entry **entries, uint32_t count);

/*
 * For an engine that is stopping: answers that cannot be written are given up (UNAVAILABLE) after
 * patience_ms instead of after the lease. What can be written still is. No more is looked for.
 */
void cm_queue_hurry(struct cm_queue *queue, uint32_t patience_ms);

/*
 * Publishes the chain of an issuer generation where requesters look for it (redis: the string key
 * certmill:ca:<issuer>). Remembered and repeated after a reconnect. Spans are copied.
 */
void cm_queue_publish_chain(struct cm_queue *queue, const char *issuer, struct cm_bytes pem);

/*
 * Does:       publishes notices, in their order: in the stream PREFIX:notices, or the file notices.jsonl of
 *             the spool's folder.
 * Owns:       notices and what they point at are borrowed until notified is called.
 * Calls back: notified once, never inside this call. OK: all are written. UNAVAILABLE: not all are, and
 *             text says why; given again, some of them may stand twice.
 * Fails with: UNSUPPORTED: this queue has no place for them (one-shot spools); nothing is called back.
 */
typedef void cm_notified_fn(cm_status status, const char *text, void *arg);
CM_MUST_USE cm_status cm_queue_notify(struct cm_queue *queue, const struct cm_notice *notices,
                                      uint32_t count, cm_notified_fn *notified, void *arg,
                                      struct cm_error *err);

/*
 * Stops: unanswered entries come again elsewhere. Answers and notices that were not called back yet are
 * with UNAVAILABLE before this returns. Entries are gone with it. Not from inside one of the queue's
 * callbacks. Takes NULL.
 */
void cm_queue_close(struct cm_queue *queue);

/* ------------------------------------------------------------------ for backends -- */

/* The embedded head of every instance. */
struct cm_queue {
    const struct cm_queue_ops *ops;
    struct cm_loop *loop;
    cm_entries_fn *on_entries;
    cm_queue_event_fn *on_event;
    void *arg;
    uint32_t credit; /* entries still wanted */
    uint32_t ahead_credit;
    cm_is_ahead_fn *is_ahead; /* NULL: none were ever wanted */
};

struct cm_queue_ops {
    const char *name; /* "redis" */
    cm_status (*open)(struct cm_loop *loop, const struct cm_queue_settings *settings,
                      struct cm_queue **ret_queue, struct cm_error *err);
    void (*start)(struct cm_queue *queue);  /* head is filled; begin */
    void (*wanted)(struct cm_queue *queue); /* credit has grown */
    void (*answer)(struct cm_queue *queue, struct cm_answer *answers, uint32_t count,
                   cm_answered_fn *answered, void *arg);
    void (*give_back)(struct cm_queue *queue, struct cm_entry **entries, uint32_t count);
    struct cm_entry *(*detach)(struct cm_queue *queue,
                               struct cm_entry *entry); /* NULL: each has memory of its own */
    void (*hurry)(struct cm_queue *queue, uint32_t patience_ms); /* NULL: it never waits for long */
    void (*publish_chain)(struct cm_queue *queue, const char *issuer, struct cm_bytes pem);
    cm_status (*notify)(struct cm_queue *queue, const struct cm_notice *notices, uint32_t count,
                        cm_notified_fn *notified, void *arg,
                        struct cm_error *err); /* NULL: it has no place for them */
    void (*close)(struct cm_queue *queue);
};

#endif
