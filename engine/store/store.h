/*
 * Store: the truth. What was asked, decided, promised, signed, and by whom.
 *
 * The store has two faces. *Operations* change it: they are submitted from the loop, carried out on
 * the store's own thread, many in one transaction (group commit), and call back on the loop when
 * they are durable. *Readers* look things up from worker threads, each with a snapshot of its own.
 *
 *     cm_store_open(&cm_store_sqlite, loop, &settings, &store, &err);
 *     cm_store_submit(store, &batch->intent_op);          1. the intent is durable in intent_op.done
 *     ... sign, check ...
 *     cm_store_submit(store, &batch->record_op);          2. the certificates are, in record_op.done
 *
 * Identity of things: a certificate's number is the first 8 octets of its serial, big-endian: the
 * Unix milliseconds of issuance times 2^20 plus a counter, so that rows are born in the order of
 * their keys and one index serves serial, time and row. A request is known by the first 16 octets
 * of SHA-256(requester NUL id).
 *
 * One process writes a store at a time (a lock file says which); others may open it for reading.
 *
 * Backends: sqlite/. One conformance suite (tests/conformance/store_test.c) runs against each.
 */
#ifndef CM_ENGINE_STORE_STORE_H
#define CM_ENGINE_STORE_STORE_H

#include "engine/base/arena.h"
#include "engine/base/bytes.h"
#include "engine/base/loop.h"
#include "engine/base/refusal.h"
#include "engine/base/status.h"
#include "engine/x509/reason.h"

struct cm_store;
struct cm_store_reader;
struct cm_store_ops;

#define CM_SERIAL_SIZE 20
#define CM_HASH_SIZE   32

/* The number of a certificate: the first 8 octets of its serial. Positive, strictly growing. */
typedef int64_t cm_certificate_number;

struct cm_serial {
    uint8_t octets[CM_SERIAL_SIZE]; /* 8 of number, 12 random */
};

cm_certificate_number cm_serial_number(const struct cm_serial *serial);

/* The content of its INTEGER, as it stands in certificates: a span within the serial. */
struct cm_bytes cm_serial_content(const struct cm_serial *serial);

/* False: no content of an INTEGER of 1 to 20 octets, positive and minimal. */
bool cm_serial_from_content(struct cm_bytes content, struct cm_serial *ret_serial);

/* SHA-256(requester NUL id), first 16 octets. */
struct cm_request_key {
    uint8_t octets[16];
};

/* SHA-256 over every field that the answer depends on, first 16 octets: same content, same digest. */
struct cm_request_digest {
    uint8_t octets[16];
};

/* -------------------------------------------------------------------- devices -- */

/* X(SYMBOL, name) */
#define CM_DEVICE_STATE_MAP(X)                                                                     \
    X(ALLOWED, "allowed")                                                                          \
    X(QUARANTINED, "quarantined")                                                                  \
    X(RETIRED, "retired")

enum cm_device_state {
#define X(symbol, name) CM_DEVICE_##symbol,
    CM_DEVICE_STATE_MAP(X)
#undef X
        CM_DEVICE_STATE_COUNT
};

const char *cm_device_state_name(enum cm_device_state state);
bool cm_device_state_find(const char *name, enum cm_device_state *ret_state);

/* An allow-list record. Spans live in the arena of the call that read it. */
struct cm_device {
    int64_t number;        /* 0: not on the list */
    struct cm_bytes id;    /* 1 to 255 bytes of UTF-8 */
    struct cm_bytes group; /* name */
    enum cm_device_state state;
    struct cm_bytes attributes; /* key NUL value NUL, repeated; sorted by key; may be empty */
};

/* The value of an attribute; data NULL when there is none. */
struct cm_bytes cm_device_attribute(struct cm_bytes attributes, struct cm_bytes key);

/* ---------------------------------------------------------------- authorities -- */

/* X(SYMBOL, name) */
#define CM_GENERATION_STATE_MAP(X)                                                                 \
    X(PENDING, "pending")                                                                          \
    X(ACTIVE, "active")                                                                            \
    X(RETIRING, "retiring")                                                                        \
    X(RETIRED, "retired")                                                                          \
    X(COMPROMISED, "compromised")

enum cm_generation_state {
#define X(symbol, name) CM_GENERATION_##symbol,
    CM_GENERATION_STATE_MAP(X)
#undef X
        CM_GENERATION_STATE_COUNT
};

const char *cm_generation_state_name(enum cm_generation_state state);
bool cm_generation_state_find(const char *name, enum cm_generation_state *ret_state);

/* One key of an authority, with its certificate. */
struct cm_generation {
    int64_t number;            /* row; what certificates refer to */
    struct cm_bytes authority; /* "issuing" */
    int64_t generation;        /* 1, 2, ... within the authority: "issuing-1" */
    enum cm_generation_state state;
    struct cm_bytes provider;    /* name of the instance in the settings */
    struct cm_bytes key;         /* reference within the provider */
    struct cm_bytes sigalg;      /* name, engine/x509/algorithm.h */
    struct cm_bytes certificate; /* DER */
    struct cm_bytes chain;       /* PEM: this certificate and those above it, root left out */
    int64_t created_ms;
    /* What stands in its certificates for life, fixed by the engine that first issues with it. */
    uint32_t crl_shards;     /* 0: not fixed yet */
    struct cm_bytes crl_url; /* with ${shard}; empty: none, or not fixed yet */
};

/* ---------------------------------------------------------------- revocations -- */

/*
 * What has become of one certificate: revoked, on hold, or off hold again. One row a certificate;
 * abandoned serials have one, too. Each change gives the row a new revision, higher than any before in
 * the store: who has seen all up to a revision asks for what is later.
 */
struct cm_revocation {
    int64_t revision;
    int64_t generation_number;
    struct cm_bytes serial; /* content of the INTEGER: 1 to 20 octets, positive, minimal */
    enum cm_reason
        reason;        /* CERTIFICATE_HOLD: on hold. REMOVE_FROM_CRL: off hold, it is good again */
    int64_t revoked_s; /* Unix seconds */
    int64_t invalidity_s; /* 0: not known */
    int64_t not_after_s;  /* of the certificate: when the entry may leave the CRLs */
};

/* The clocks of those who order, or who have revoked what is imported, may be ahead of ours by so much. */
enum { CM_STORE_AHEAD_S = 60 };

/* What an order does. X(SYMBOL, name): the name is the op of the queue and the kind of the audit row. */
#define CM_ORDER_MAP(X)                                                                            \
    X(REVOKE, "revoke")         /* certificates, for good */                                       \
    X(QUARANTINE, "quarantine") /* a device: its certificates on hold, and no new ones */          \
    X(REINSTATE, "reinstate")   /* what is on hold, a device or one certificate: undone */         \
    X(RETIRE, "retire")         /* a device, for good: cessationOfOperation, and no new ones */

enum cm_order_kind {
#define X(symbol, name) CM_ORDER_##symbol,
    CM_ORDER_MAP(X)
#undef X
        CM_ORDER_COUNT
};

const char *cm_order_name(enum cm_order_kind kind);

/*
 * An order to change what certificates are worth. Exactly one of serial, device and group is there;
 * QUARANTINE and RETIRE have no serial. Carried out inside the writer's transaction, whole or
 * (group) from one device on, up to a bound; an order that asks for what is already so changes nothing
 * and succeeds. A revoked certificate keeps its first date and reason, but may go from any reason to
 * keyCompromise; one on hold may be revoked, and keeps the date of the hold. Certificates that have ended
 * are left alone. What is not on hold is not reinstated, nor, by serial, what its device is in quarantine
 * with. No date of a certificate is before it: by serial that is refused, else it is moved. Of a
 * group, devices that the order is against (retired ones) are passed over.
 */
struct cm_order {
    enum cm_order_kind kind;
    struct cm_bytes serial; /* content of the INTEGER */
    struct cm_bytes device; /* id */
    struct cm_bytes group;  /* name: every device of it */
    struct cm_bytes issuer; /* with serial: "issuing-1"; empty: whichever has issued it */
    /* Groups that whoever orders has a right to, NUL-terminated names; NULL: every one. */
    const char *const *groups;
    uint32_t groups_count;
    /* Groups, NUL-terminated names, whose devices are reinstated without their certificates: what is on
     * hold is revoked (superseded), and the device is to ask for a fresh one. */
    const char *const *fresh_groups;
    uint32_t fresh_groups_count;
    enum cm_reason reason; /* REVOKE; never REMOVE_FROM_CRL; CERTIFICATE_HOLD is one */
    int64_t time_s;        /* revocationDate, Unix seconds; at most a minute ahead of our clock */
    int64_t invalidity_s;  /* 0: none */
    struct cm_bytes actor; /* for the audit row: who */
    struct cm_bytes why;   /* and why; one line, may be empty */
    /* Of the queue: the answer is remembered under this key. key NULL: nobody asks again. */
    const struct cm_request_key *key;
    const struct cm_request_digest *digest;
    int64_t after_device; /* with group: go on behind this device's number; 0: from the first */
    uint32_t devices_max; /* with group: of one operation; 0: a default */
    /* written by the store */
    enum cm_refusal_code code; /* NONE: carried out; else nothing of this order was changed */
    char message[CM_REFUSAL_MESSAGE_SIZE];
    uint32_t certificates_changed;
    uint32_t devices_changed; /* of a device or a group: those of which anything was */
    int64_t last_device;      /* with group: go on behind it; 0: there are no more */
};

/* One number of a CRL, taken before it is signed. */
struct cm_crl_row {
    int64_t generation_number;
    uint32_t shard;
    bool is_delta;
    uint64_t number;      /* higher than any of this shard before, complete or delta, or, of a delta
                             that goes with a complete one, the same */
    uint64_t base_number; /* of a delta */
    int64_t this_update_s, next_update_s;
    int64_t revision;               /* it shows every revocation up to here */
    uint8_t tbs_hash[CM_HASH_SIZE]; /* SHA-256 of the TBSCertList */
};

/* A certificate that another CA software has issued with a key that is ours now. */
struct cm_imported_row {
    int64_t generation_number;
    struct cm_bytes serial; /* content of the INTEGER */
    int64_t not_after_s;    /* 0: not known */
    struct cm_bytes der;    /* empty: only the serial is known */
    /* What the old CA says of it; reason UNSPECIFIED with revoked_s 0: it is good. */
    enum cm_reason reason;
    int64_t revoked_s;    /* at most CM_STORE_AHEAD_S ahead of our clock */
    int64_t invalidity_s; /* 0: none; no date is after 9999-12-31T23:59:59Z */
};

/* ----------------------------------------------------------------- operations -- */

struct cm_store_op;
typedef void cm_store_done_fn(struct cm_store_op *op);

/* What every change says of itself in the audit log, in the same transaction. */
struct cm_audit_event {
    const char *kind;             /* "issue", "device-import", "ca-create", ... */
    struct cm_bytes actor;        /* who: requester or operator */
    struct cm_bytes detail;       /* one JSON object, no secrets */
    uint8_t digest[CM_HASH_SIZE]; /* over what was done, e.g. all certificates of the batch */
};

/* One promise to sign: exactly these bytes under this serial, for this request. */
struct cm_intent_item {
    struct cm_request_key key;
    struct cm_serial serial;
    uint8_t tbs_hash[CM_HASH_SIZE]; /* SHA-256 of the TBSCertificate */
};

struct cm_intent {
    int64_t number;            /* written by the store: handle for closing */
    int64_t created_ms;        /* notBefore is made from this, so that it can be composed again */
    int64_t generation_number; /* issuer */
    struct cm_intent_item *items;
    uint32_t items_count;
};

/* Why a certificate is not to be handed out any more. */
enum cm_denial {
    CM_DENIAL_NONE,
    CM_DENIAL_STATE,  /* its device is not allowed */
    CM_DENIAL_REVOKED /* its device was revoked meanwhile, and may ask again */
};

struct cm_certificate_row {
    struct cm_serial serial;
    struct cm_request_key key;
    struct cm_request_digest digest;
    int64_t device_number; /* 0: register enroll_device in enroll_group first */
    struct cm_bytes enroll_device;
    struct cm_bytes enroll_group;
    int64_t generation_number;
    uint64_t key_fingerprint; /* first 8 octets of SHA-256(SubjectPublicKeyInfo), big-endian */
    int64_t not_after;        /* Unix seconds */
    struct cm_bytes der;
    enum cm_denial denial; /* written by the store, with DENIED */
};

/* A refusal that is remembered: the same id gets the same answer. */
struct cm_refusal_row {
    struct cm_request_key key;
    struct cm_request_digest digest;
    enum cm_refusal_code code;
    const char *message;
};

/* A serial that was promised and will never be used; status services call it revoked. */
struct cm_abandoned_row {
    struct cm_serial serial;
    int64_t generation_number;
    int64_t not_after_s; /* when its certificate would have ended; not known: its issuer's end */
};

/* Uses of a quota: count is added to the name's total of the period. */
struct cm_usage_row {
    struct cm_bytes name; /* "requester:local", "group:default" */
    int64_t period;       /* days since 1970-01-01 */
    int64_t count;
};

struct cm_device_row {
    struct cm_bytes id, group, attributes;
    enum cm_device_state state;
    /* true: overwrite a record that is there, of which the state only ever gets worse; false: leave it */
    bool replace;
};

enum cm_store_op_kind {
    CM_STORE_INTENT,     /* intent */
    CM_STORE_RECORD,     /* the arrays below, orders among them, and the audit event */
    CM_STORE_DEVICES,    /* devices, and the audit event */
    CM_STORE_GENERATION, /* generation, and the audit event */
    CM_STORE_CRLS,       /* crls */
    CM_STORE_IMPORT      /* imported, and the audit event */
};

/*
 * One change. Lives in what it is about (a batch), borrowed from submit until done; so is all that
 * it points at. All of an operation takes place, or nothing.
 */
struct cm_store_op {
    struct cm_store_op *next; /* the store's */
    struct cm_task task;      /* the store's */
    enum cm_store_op_kind kind;
    cm_store_done_fn *done; /* on the loop, once, never inside submit */
    void *arg;
    cm_status status;    /* written by the store */
    struct cm_error err; /* filled when status is not OK */

    struct cm_intent *intent;

    struct cm_certificate_row *certificates;
    uint32_t certificates_count;
    struct cm_refusal_row *refusals;
    uint32_t refusals_count;
    struct cm_abandoned_row *abandoned;
    uint32_t abandoned_count;
    struct cm_usage_row *usage;
    uint32_t usage_count;
    const int64_t *intents_closed; /* numbers of intents of which nothing is open any more */
    uint32_t intents_closed_count;
    struct cm_order *orders; /* before the certificates; each writes an audit row of its own */
    uint32_t orders_count;

    struct cm_crl_row *crls;
    uint32_t crls_count;
    struct cm_imported_row *imported;
    uint32_t imported_count;
    uint32_t imported_changed; /* written by the store: new ones, and changes of status */

    struct cm_device_row *devices;
    uint32_t devices_count;
    uint32_t devices_changed; /* written by the store: new or replaced */
    uint32_t
        devices_kept; /* those of them that were to be allowed, and stay as barred as they were */

    /* number 0: a new one, and the store writes its number; else the record of that number is
     * replaced (a change of state). */
    struct cm_generation *generation;

    const struct cm_audit_event *audit; /* NULL for CM_STORE_INTENT, CM_STORE_CRLS, and a record of
                                           nothing but orders */
};

/* ------------------------------------------------------------------ functions -- */

struct cm_store_settings {
    const char *path;        /* sqlite: the database file */
    bool create;             /* make it; fails with EXISTS where there is one */
    bool read_only;          /* only readers; no lock is taken */
    uint32_t group_rows_max; /* rows in one transaction, softly; 0: the backend's default */
};

/*
 * Does:       opens (or makes) the store, checks its format version, takes the writer's lock and
 *             starts the writer's thread (not when read_only; loop may then be NULL).
 * Owns:       *ret_store is the caller's, until cm_store_close.
 * Fails with: NOT_FOUND, EXISTS, BUSY (another process writes; the text names its pid), MISMATCH
 *             (format version), CORRUPT, IO.
 */
CM_MUST_USE cm_status cm_store_open(const struct cm_store_ops *ops, struct cm_loop *loop,
                                    const struct cm_store_settings *settings,
                                    struct cm_store **ret_store, struct cm_error *err);

/* Carries out what was submitted, calls back, and closes. Loop's thread. Takes NULL. */
void cm_store_close(struct cm_store *store);

/*
 * Does:       queues the operation; it becomes durable together with others.
 * Thread:     the loop's.
 * Calls back: op->done once, on the loop, with op->status:
 *             OK: durable. EXISTS: a request key or serial is there already: nothing was changed.
 *             DENIED: a device that a certificate is for is not allowed any more: nothing was changed.
 *             (CRLS) EXISTS: a number is not higher than one before.
 *             INVALID: a value against the contract. BUSY: another program holds the file.
 *             IO: disk full or read-only: nothing was changed; later operations may succeed.
 *             After an error that leaves the disk's state unknown (fsync) the process ends: the
 *             next start reads what is there.
 */
void cm_store_submit(struct cm_store *store, struct cm_store_op *op);

/* The same for programs without a running loop (init, device import): waits. */
CM_MUST_USE cm_status cm_store_apply(struct cm_store *store, struct cm_store_op *op,
                                     struct cm_error *err);

/* -------------------------------------------------------------------- readers -- */

/*
 * A reader belongs to one thread. begin takes a snapshot, end lets it go; keep it no longer than a
 * batch. Everything read is copied into the arena given.
 */
CM_MUST_USE cm_status cm_store_reader_open(struct cm_store *store,
                                           struct cm_store_reader **ret_reader,
                                           struct cm_error *err);
void cm_store_reader_close(struct cm_store_reader *reader);
CM_MUST_USE cm_status cm_store_reader_begin(struct cm_store_reader *reader, struct cm_error *err);
void cm_store_reader_end(struct cm_store_reader *reader);

/* What is known of a request. */
struct cm_recall {
    bool known;
    struct cm_request_digest digest;
    enum cm_refusal_code code;    /* NONE: it was issued */
    const char *message;          /* of a refusal */
    cm_certificate_number number; /* of the certificate */
    struct cm_bytes certificate;  /* DER */
    int64_t generation_number;
    bool is_order; /* it was an order that was carried out: no certificate, no refusal */
};

/*
 * Inside begin and end; it may take a newer snapshot. ret_recall->known is false for a request that
 * was not answered when the snapshot was taken. Where no newer snapshot can be had, this and every
 * other look-up of one record fails until end: IO.
 */
CM_MUST_USE cm_status cm_store_recall(struct cm_store_reader *reader,
                                      const struct cm_request_key *key, struct cm_arena *arena,
                                      struct cm_recall *ret_recall, struct cm_error *err);

/* Inside begin and end. ret_device->number is 0 for an unknown device. */
CM_MUST_USE cm_status cm_store_find_device(struct cm_store_reader *reader, struct cm_bytes id,
                                           struct cm_arena *arena, struct cm_device *ret_device,
                                           struct cm_error *err);

struct cm_certificate_found {
    cm_certificate_number number; /* 0: none */
    int64_t device_number;
    int64_t generation_number;
    int64_t not_after;
    struct cm_bytes der;
};

CM_MUST_USE cm_status cm_store_find_certificate(struct cm_store_reader *reader,
                                                cm_certificate_number number,
                                                struct cm_arena *arena,
                                                struct cm_certificate_found *ret_found,
                                                struct cm_error *err);

/* Walks: the callback returns false to stop. Spans are valid during the call only. */
typedef bool cm_device_walk_fn(const struct cm_device *device, void *arg);
CM_MUST_USE cm_status cm_store_walk_devices(struct cm_store_reader *reader, struct cm_bytes group,
                                            cm_device_walk_fn *walk, void *arg,
                                            struct cm_error *err); /* empty group: all */

/* Every certificate's key, without touching the certificates themselves: rebuilds the clone filter. */
typedef bool cm_key_walk_fn(uint64_t key_fingerprint, cm_certificate_number number, void *arg);
CM_MUST_USE cm_status cm_store_walk_keys(struct cm_store_reader *reader, cm_key_walk_fn *walk,
                                         void *arg, struct cm_error *err);

/* Items of open intents that have neither a certificate nor been abandoned. */
typedef bool cm_intent_walk_fn(const struct cm_intent *intent, const struct cm_intent_item *item,
                               void *arg);
CM_MUST_USE cm_status cm_store_walk_open_intents(struct cm_store_reader *reader,
                                                 cm_intent_walk_fn *walk, void *arg,
                                                 struct cm_error *err);

typedef bool cm_generation_walk_fn(const struct cm_generation *generation, void *arg);
CM_MUST_USE cm_status cm_store_walk_generations(struct cm_store_reader *reader,
                                                cm_generation_walk_fn *walk, void *arg,
                                                struct cm_error *err);

/* Revocations later than a revision, in their order. Outside begin and end it takes a snapshot. */
typedef bool cm_revocation_walk_fn(const struct cm_revocation *revocation, void *arg);
CM_MUST_USE cm_status cm_store_walk_revocations(struct cm_store_reader *reader,
                                                int64_t after_revision, cm_revocation_walk_fn *walk,
                                                void *arg, struct cm_error *err);

/* The latest complete and the latest delta CRL of each shard. */
typedef bool cm_crl_walk_fn(const struct cm_crl_row *crl, void *arg);
CM_MUST_USE cm_status cm_store_walk_crls(struct cm_store_reader *reader, cm_crl_walk_fn *walk,
                                         void *arg, struct cm_error *err);

/* Certificates of a device, older ones first. Outside begin and end it takes a snapshot. */
typedef bool cm_certificate_walk_fn(const struct cm_certificate_found *certificate, void *arg);
CM_MUST_USE cm_status cm_store_walk_device_certificates(struct cm_store_reader *reader,
                                                        int64_t device_number,
                                                        cm_certificate_walk_fn *walk, void *arg,
                                                        struct cm_error *err);

/* Whether this generation has issued this serial: our own certificates (serial and generation agree to
 * the last octet) and imported ones. Outside begin and end it takes a snapshot. */
enum cm_issued {
    CM_ISSUED_NEVER,
    CM_ISSUED_CERTIFICATE, /* there is a certificate */
    CM_ISSUED_ABANDONED,   /* promised and given up: revoked */
    CM_ISSUED_PROMISED     /* an open intent has it: there may be a certificate by now */
};
CM_MUST_USE cm_status cm_store_find_issued(struct cm_store_reader *reader,
                                           int64_t generation_number, struct cm_bytes serial,
                                           enum cm_issued *ret_issued, struct cm_error *err);

typedef bool cm_usage_walk_fn(const struct cm_usage_row *usage, void *arg);
CM_MUST_USE cm_status cm_store_walk_usage(struct cm_store_reader *reader, int64_t period,
                                          cm_usage_walk_fn *walk, void *arg, struct cm_error *err);

struct cm_audit_row {
    int64_t number; /* 1, 2, 3, ... without gaps */
    int64_t time_ms;
    const char *kind;
    struct cm_bytes actor, detail;
    uint8_t digest[CM_HASH_SIZE];
    uint8_t previous[CM_HASH_SIZE]; /* hash of the row before; zero bytes for the first */
    uint8_t hash[CM_HASH_SIZE];     /* SHA-256 over all of the above, see cm_audit_hash */
};

/*
 * The chain's hash: SHA-256 over previous (32 octets), number and time_ms (8 octets each,
 * big-endian), then kind, actor and detail, each preceded by its size in 4 octets big-endian, then
 * digest (32 octets). Ignores row->hash.
 */
void cm_audit_hash(const struct cm_audit_row *row, uint8_t ret_hash[CM_HASH_SIZE]);

typedef bool cm_audit_walk_fn(const struct cm_audit_row *row, void *arg);
CM_MUST_USE cm_status cm_store_walk_audit(struct cm_store_reader *reader, int64_t from_number,
                                          cm_audit_walk_fn *walk, void *arg, struct cm_error *err);

struct cm_store_counts {
    int64_t devices, certificates, refusals, abandoned, open_intents, audit_rows, revocations;
    cm_certificate_number
        last_number;      /* highest ever used: certificates, abandoned and open intents */
    int64_t last_time_ms; /* highest wall time ever written: a clock before it is suspect */
};

CM_MUST_USE cm_status cm_store_count(struct cm_store_reader *reader,
                                     struct cm_store_counts *ret_counts, struct cm_error *err);

/* ------------------------------------------------------------------ for backends -- */

/* The embedded heads of every instance. */
struct cm_store {
    const struct cm_store_ops *ops;
};

struct cm_store_reader {
    const struct cm_store_ops *ops;
};

struct cm_store_ops {
    const char *name; /* "sqlite" */
    /* life */
    cm_status (*open)(struct cm_loop *loop, const struct cm_store_settings *settings,
                      struct cm_store **ret_store, struct cm_error *err);
    void (*close)(struct cm_store *store);
    /* changes */
    void (*submit)(struct cm_store *store, struct cm_store_op *op);
    cm_status (*apply)(struct cm_store *store, struct cm_store_op *op, struct cm_error *err);
    /* readers */
    cm_status (*reader_open)(struct cm_store *store, struct cm_store_reader **ret_reader,
                             struct cm_error *err);
    void (*reader_close)(struct cm_store_reader *reader);
    cm_status (*reader_begin)(struct cm_store_reader *reader, struct cm_error *err);
    void (*reader_end)(struct cm_store_reader *reader);
    cm_status (*recall)(struct cm_store_reader *reader, const struct cm_request_key *key,
                        struct cm_arena *arena, struct cm_recall *ret_recall, struct cm_error *err);
    cm_status (*find_device)(struct cm_store_reader *reader, struct cm_bytes id,
                             struct cm_arena *arena, struct cm_device *ret_device,
                             struct cm_error *err);
    cm_status (*find_certificate)(struct cm_store_reader *reader, cm_certificate_number number,
                                  struct cm_arena *arena, struct cm_certificate_found *ret_found,
                                  struct cm_error *err);
    cm_status (*walk_devices)(struct cm_store_reader *reader, struct cm_bytes group,
                              cm_device_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*walk_keys)(struct cm_store_reader *reader, cm_key_walk_fn *walk, void *arg,
                           struct cm_error *err);
    cm_status (*walk_open_intents)(struct cm_store_reader *reader, cm_intent_walk_fn *walk,
                                   void *arg, struct cm_error *err);
    cm_status (*walk_generations)(struct cm_store_reader *reader, cm_generation_walk_fn *walk,
                                  void *arg, struct cm_error *err);
    cm_status (*walk_revocations)(struct cm_store_reader *reader, int64_t after_revision,
                                  cm_revocation_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*walk_crls)(struct cm_store_reader *reader, cm_crl_walk_fn *walk, void *arg,
                           struct cm_error *err);
    cm_status (*walk_device_certificates)(struct cm_store_reader *reader, int64_t device_number,
                                          cm_certificate_walk_fn *walk, void *arg,
                                          struct cm_error *err);
    cm_status (*find_issued)(struct cm_store_reader *reader, int64_t generation_number,
                             struct cm_bytes serial, enum cm_issued *ret_issued,
                             struct cm_error *err);
    cm_status (*walk_usage)(struct cm_store_reader *reader, int64_t period, cm_usage_walk_fn *walk,
                            void *arg, struct cm_error *err);
    cm_status (*walk_audit)(struct cm_store_reader *reader, int64_t from_number,
                            cm_audit_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*count)(struct cm_store_reader *reader, struct cm_store_counts *ret_counts,
                       struct cm_error *err);
};

extern const struct cm_store_ops cm_store_sqlite;

#endif
