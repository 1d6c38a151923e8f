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
#include "engine/store/audit.h"
#include "engine/store/generation.h"
#include "engine/store/identity.h"
#include "engine/store/plan.h"
#include "engine/store/revocation.h"

struct cm_campaign;
struct cm_campaign_change;
struct cm_holder;
struct cm_holder_stretch;
struct cm_store;
struct cm_store_reader;
struct cm_store_ops;

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

/* ----------------------------------------------------------------- operations -- */

struct cm_store_op;
typedef void cm_store_done_fn(struct cm_store_op *op);

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
    CM_DENIAL_STATE,   /* its device is not allowed */
    CM_DENIAL_REVOKED, /* its device was revoked meanwhile, and may ask again */
    CM_DENIAL_ISSUER   /* the key that has signed it is compromised */
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
    /* Of the DER, as a leaf of the audit row's tree, for whoever makes that; NULL: not hashed yet. */
    const uint8_t *leaf_hash;
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
    CM_STORE_GENERATION, /* generation, crosses, imported (number 0: of it), and the audit event */
    CM_STORE_TRANSITION, /* transition, and the audit event */
    CM_STORE_PLAN,       /* plan_change, and the audit event */
    CM_STORE_CRLS,       /* crls */
    CM_STORE_IMPORT,     /* imported, and the audit event */
    CM_STORE_CHECKPOINT, /* checkpoint */
    CM_STORE_CAMPAIGN /* campaign (engine/store/campaign.h), and but for a MOVE the audit event */
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
     * replaced, all but its state and what else transitions change. */
    struct cm_generation *generation;
    struct cm_cross_certificate *crosses; /* issuer or subject 0: that generation */
    uint32_t crosses_count;
    struct cm_transition *transition;
    struct cm_campaign_change *campaign;
    struct cm_plan_change *plan_change;
    const struct cm_plan_use
        *plan; /* GENERATION, TRANSITION, IMPORT: the plan that this carries out, which has
                                       run then; NULL: none */

    const struct cm_checkpoint *checkpoint;

    const struct cm_audit_event *audit; /* NULL for CM_STORE_INTENT, CM_STORE_CRLS,
                                           CM_STORE_CHECKPOINT, a campaign's MOVE, and a record of
                                           nothing but orders */
};

/* ------------------------------------------------------------------ functions -- */

struct cm_store_settings {
    const char *path;        /* sqlite: the database file */
    bool create;             /* make it; fails with EXISTS where there is one */
    bool read_only;          /* only readers; no lock is taken */
    uint32_t group_rows_max; /* rows in one transaction, softly; 0: the backend's default */
    uint32_t log_pages_max;  /* sqlite: in the write-ahead log before they are moved; 0: default */
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
 *             DENIED: a device that a certificate is for is not allowed any more, or its issuer is
 *             compromised: nothing was changed. (TRANSITION) see engine/store/generation.h.
 *             (PLAN, and with a plan) see engine/store/plan.h.
 *             (CRLS) EXISTS: a number is not higher than one before.
 *             (CHECKPOINT) EXISTS: it does not follow the last one; MISMATCH: its row has another hash.
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
    int64_t audit; /* number of its row in the audit log; 0: from before format version 4 */
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

/* Items of open intents that have neither a certificate nor been abandoned. item NULL: the intent has none, and is
 * to be closed. */
typedef bool cm_intent_walk_fn(const struct cm_intent *intent, const struct cm_intent_item *item,
                               void *arg);
CM_MUST_USE cm_status cm_store_walk_open_intents(struct cm_store_reader *reader,
                                                 cm_intent_walk_fn *walk, void *arg,
                                                 struct cm_error *err);

typedef bool cm_generation_walk_fn(const struct cm_generation *generation, void *arg);
CM_MUST_USE cm_status cm_store_walk_generations(struct cm_store_reader *reader,
                                                cm_generation_walk_fn *walk, void *arg,
                                                struct cm_error *err);

typedef bool cm_cross_walk_fn(const struct cm_cross_certificate *cross, void *arg);
CM_MUST_USE cm_status cm_store_walk_crosses(struct cm_store_reader *reader, cm_cross_walk_fn *walk,
                                            void *arg, struct cm_error *err);

/* Plans in the order in which they were prepared; approvals of one. Outside begin and end each takes a
 * snapshot. */
typedef bool cm_plan_walk_fn(const struct cm_plan_row *plan, void *arg);
CM_MUST_USE cm_status cm_store_walk_plans(struct cm_store_reader *reader, cm_plan_walk_fn *walk,
                                          void *arg, struct cm_error *err);
typedef bool cm_approval_walk_fn(const struct cm_plan_approval *approval, void *arg);
CM_MUST_USE cm_status cm_store_walk_approvals(struct cm_store_reader *reader, int64_t plan_number,
                                              cm_approval_walk_fn *walk, void *arg,
                                              struct cm_error *err);

/* A certificate without its content. */
struct cm_certificate_listed {
    cm_certificate_number number;
    struct cm_serial serial;
    int64_t generation_number;
    int64_t not_after_s;
};

/*
 * Does:       walks certificates of all generations in the order of their numbers, those behind after, rows_max
 *             at most: for commands, which take them by stretches. *ret_last is the last one; after itself:
 *             there are no more.
 */
typedef bool cm_listed_walk_fn(const struct cm_certificate_listed *certificate, void *arg);
CM_MUST_USE cm_status cm_store_walk_certificates(struct cm_store_reader *reader,
                                                 cm_certificate_number after, uint32_t rows_max,
                                                 cm_listed_walk_fn *walk, void *arg,
                                                 cm_certificate_number *ret_last,
                                                 struct cm_error *err);

/* What a generation has issued: reads every certificate's row, and is for commands. */
struct cm_generation_use {
    int64_t certificates; /* that have not ended at now_s */
    int64_t
        last_end_s; /* of all that it has ever issued, imported ones too; cross certificates count
                           for neither; 0: none */
    int64_t open_intents;
};
CM_MUST_USE cm_status cm_store_find_use(struct cm_store_reader *reader, int64_t generation_number,
                                        int64_t now_s, struct cm_generation_use *ret_use,
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

/*
 * The newest certificates of devices, of many at a time: what is not sorted by device yet is read through
 * once for all of them. Inside begin and end. A device without any, or of no record, gets none.
 */
enum { CM_STORE_LATEST_MAX = 16 };

struct cm_latest {
    int64_t device_number;
    uint32_t wanted_count; /* at most CM_STORE_LATEST_MAX; each costs a little more */
    /* written by the store */
    cm_certificate_number numbers[CM_STORE_LATEST_MAX]; /* the newest first */
    uint32_t numbers_count;
};
CM_MUST_USE cm_status cm_store_find_latest(struct cm_store_reader *reader, struct cm_latest *latest,
                                           uint32_t count, struct cm_error *err);

/* What has become of one certificate, and of the generation that has issued it. Inside begin and end.
 * Fails with: NOT_FOUND (no such generation). */
struct cm_certificate_standing {
    enum cm_generation_state generation_state;
    bool is_revoked;       /* or on hold */
    enum cm_reason reason; /* of that */
};
CM_MUST_USE cm_status cm_store_find_standing(struct cm_store_reader *reader,
                                             int64_t generation_number, struct cm_bytes serial,
                                             struct cm_certificate_standing *ret_standing,
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

typedef bool cm_audit_walk_fn(const struct cm_audit_row *row, void *arg);
CM_MUST_USE cm_status cm_store_walk_audit(struct cm_store_reader *reader, int64_t from_number,
                                          cm_audit_walk_fn *walk, void *arg, struct cm_error *err);

/*
 * The entries of the trees of these audit rows, in their order: by row, certificates before abandoned
 * serials, by number.
 */
typedef bool cm_audited_walk_fn(const struct cm_audited *audited, void *arg);
CM_MUST_USE cm_status cm_store_walk_audited(struct cm_store_reader *reader, int64_t first,
                                            int64_t last, cm_audited_walk_fn *walk, void *arg,
                                            struct cm_error *err);
/* Certificates that name a row and are not found by it, without their contents: in a store that nobody has
 * changed there are none. Reads every certificate's row, and is for commands. */
CM_MUST_USE cm_status cm_store_walk_strays(struct cm_store_reader *reader, cm_audited_walk_fn *walk,
                                           void *arg, struct cm_error *err);
CM_MUST_USE cm_status cm_store_count_audited(struct cm_store_reader *reader,
                                             struct cm_audited_counts *ret_counts,
                                             struct cm_error *err);

typedef bool cm_checkpoint_walk_fn(const struct cm_checkpoint *checkpoint, void *arg);
CM_MUST_USE cm_status cm_store_walk_checkpoints(struct cm_store_reader *reader,
                                                int64_t after_number, cm_checkpoint_walk_fn *walk,
                                                void *arg, struct cm_error *err);

struct cm_store_counts {
    int64_t devices, certificates, refusals, abandoned, open_intents, audit_rows, revocations;
    int64_t checkpoints; /* number of the last one */
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
    cm_status (*walk_crosses)(struct cm_store_reader *reader, cm_cross_walk_fn *walk, void *arg,
                              struct cm_error *err);
    cm_status (*walk_plans)(struct cm_store_reader *reader, cm_plan_walk_fn *walk, void *arg,
                            struct cm_error *err);
    cm_status (*walk_approvals)(struct cm_store_reader *reader, int64_t plan_number,
                                cm_approval_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*walk_certificates)(struct cm_store_reader *reader, cm_certificate_number after,
                                   uint32_t rows_max, cm_listed_walk_fn *walk, void *arg,
                                   cm_certificate_number *ret_last, struct cm_error *err);
    cm_status (*find_use)(struct cm_store_reader *reader, int64_t generation_number, int64_t now_s,
                          struct cm_generation_use *ret_use, struct cm_error *err);
    cm_status (*walk_revocations)(struct cm_store_reader *reader, int64_t after_revision,
                                  cm_revocation_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*walk_crls)(struct cm_store_reader *reader, cm_crl_walk_fn *walk, void *arg,
                           struct cm_error *err);
    cm_status (*walk_device_certificates)(struct cm_store_reader *reader, int64_t device_number,
                                          cm_certificate_walk_fn *walk, void *arg,
                                          struct cm_error *err);
    cm_status (*find_latest)(struct cm_store_reader *reader, struct cm_latest *latest,
                             uint32_t count, struct cm_error *err);
    cm_status (*find_standing)(struct cm_store_reader *reader, int64_t generation_number,
                               struct cm_bytes serial, struct cm_certificate_standing *ret_standing,
                               struct cm_error *err);
    cm_status (*find_issued)(struct cm_store_reader *reader, int64_t generation_number,
                             struct cm_bytes serial, enum cm_issued *ret_issued,
                             struct cm_error *err);
    cm_status (*walk_usage)(struct cm_store_reader *reader, int64_t period, cm_usage_walk_fn *walk,
                            void *arg, struct cm_error *err);
    cm_status (*walk_audit)(struct cm_store_reader *reader, int64_t from_number,
                            cm_audit_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*walk_audited)(struct cm_store_reader *reader, int64_t first, int64_t last,
                              cm_audited_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*walk_strays)(struct cm_store_reader *reader, cm_audited_walk_fn *walk, void *arg,
                             struct cm_error *err);
    cm_status (*count_audited)(struct cm_store_reader *reader, struct cm_audited_counts *ret_counts,
                               struct cm_error *err);
    cm_status (*walk_checkpoints)(struct cm_store_reader *reader, int64_t after_number,
                                  cm_checkpoint_walk_fn *walk, void *arg, struct cm_error *err);
    cm_status (*count)(struct cm_store_reader *reader, struct cm_store_counts *ret_counts,
                       struct cm_error *err);
    cm_status (*walk_campaigns)(struct cm_store_reader *reader,
                                bool (*walk)(const struct cm_campaign *campaign, void *arg),
                                void *arg, struct cm_error *err);
    cm_status (*walk_holders)(struct cm_store_reader *reader, struct cm_holder_stretch *stretch,
                              bool (*walk)(const struct cm_holder *holder, void *arg), void *arg,
                              struct cm_error *err);
};

extern const struct cm_store_ops cm_store_sqlite;

#endif
