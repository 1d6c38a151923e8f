/*
 * The SQLite store from inside: what the files of its writer share. connection.h, checkpoint.h and reader.h are
 * chapters of their own.
 *
 *     open.c        life: files, lock, versions, the order in which things come up and go down
 *     lock.c        the lock file: one writing process
 *     schema.c      the tables, and whether a file is a store of this version
 *     schema_upgrade.c  how a store of the version before becomes one of this version
 *     connection.c  a connection with its settings, errors, bindings
 *     change.c      what one operation does, by way of the next five
 *     audit.c       the audit log: its rows, checkpoints;  audit_tree.c  which certificates a row is about
 *     generation.c  generations of authorities, their cross certificates and their states
 *     plan.c        plans, their approvals, and whether one may run
 *     device.c      devices and their groups
 *     record.c      intents, certificates, refusals and what goes with them
 *     request.c     the keys of answered requests: log, index, and answered.c in memory
 *     order.c       orders: what may be ordered, and what is said of it
 *     order_devices.c   orders about devices and groups
 *     listing.c     the certificates of a device: log and runs; listing_find.c  looking into them
 *     barred.c      devices that may not be allowed
 *     campaign.c    campaigns;  holders.c  devices that hold certificates of a generation
 *     crl.c         numbers of CRLs;  import.c  certificates of another CA software
 *     revocation.c  what becomes of one certificate
 *     tally.c       what the writer knows by heart, read at the start
 *     writer.c      the writer's thread: group commit
 *     checkpoint.c  the log's way into the database, and the errors that end the process;  mover.c  a thread for it
 *     outbox.c      finished operations on their way to the loop
 *     reader.c      snapshots and lookups;  walk.c  what lists (walking.h)
 *     latest.c      lookups for renewals: the newest certificates of devices, what one is worth
 *
 * Threads: the writer's connection belongs to the writer's thread from its start to its join, the mover's to
 * the mover's; a reader's connection to the thread that holds the reader. SQLite is used without its mutexes.
 */
#ifndef CM_STORE_SQLITE_INTERNAL_H
#define CM_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "engine/store/sqlite/answered.h"
#include "engine/store/sqlite/checkpoint.h"
#include "engine/store/sqlite/connection.h"
#include "engine/store/sqlite/listing.h"
#include "engine/store/sqlite/reader.h"
#include "engine/store/store.h"

/* ------------------------------------------------------------------- writer -- */

/* 9999-12-31T23:59:59Z, what X.509 has for "never" (RFC 5280, 4.1.2.5): of what ends at no known time. */
#define CM_SQLITE_END_OF_TIME "253402300799"
static const int64_t cm_sqlite_end_of_time_s = 253402300799;

/* Numbers hold the milliseconds of issuance. */
static inline int64_t cm_sqlite_issued_s(cm_certificate_number number)
{
    return (number >> 20) / 1000;
}

/* The last number of a millisecond. */
static inline cm_certificate_number cm_sqlite_last_of(int64_t time_ms)
{
    return ((time_ms + 1) << 20) - 1;
}

/* Certificates of one audit row that lie no further apart (a millisecond) are in one range. */
#define CM_SQLITE_RANGE_GAP "1048576"
static const cm_certificate_number cm_sqlite_range_gap = 1048576;

/* In place of a refusal's code: the request was an order, and it was carried out. */
#define CM_SQLITE_CARRIED_OUT "carried-out"

/* X(SYMBOL, sql) */
#define CM_SQLITE_CHANGE_MAP(X)                                                                    \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(CERTIFICATE, "INSERT INTO certificate VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")              \
    X(DER, "INSERT INTO certificate_der VALUES (?1, ?2)")                                          \
    X(REQUEST, "INSERT INTO request VALUES (?1, ?2, ?3)")                                          \
    X(FIND_REQUEST, "SELECT 1 FROM request WHERE key = ?1")                                        \
    X(REQUEST_LOG, "INSERT INTO request_log VALUES (?1, ?2)")                                      \
    X(REQUEST_LOG_PRUNE, "DELETE FROM request_log WHERE number <= ?1")                             \
    X(STRETCH, "INSERT OR REPLACE INTO request_stretch VALUES (?1, ?2)")                           \
    X(REFUSAL, "INSERT INTO refusal VALUES (?1, ?2, ?3, ?4)")                                      \
    X(ABANDONED, "INSERT INTO abandoned VALUES (?1, ?2, ?3, ?4)")                                  \
    X(FIND_CERTIFICATE, "SELECT 1 FROM certificate WHERE number = ?1")                             \
    X(FIND_ABANDONED, "SELECT 1 FROM abandoned WHERE number = ?1")                                 \
    X(USAGE, "INSERT INTO usage VALUES (?1, ?2, ?3)"                                               \
             " ON CONFLICT DO UPDATE SET count = count + excluded.count")                          \
    X(INTENT, "INSERT INTO intent VALUES (?1, ?2, ?3, ?4)")                                        \
    X(INTENT_CLOSE, "DELETE FROM intent WHERE number = ?1")                                        \
    X(GROUP, "INSERT INTO device_group(name) VALUES (?1) ON CONFLICT DO NOTHING")                  \
    X(FIND_GROUP, "SELECT number FROM device_group WHERE name = ?1")                               \
    X(DEVICE, "INSERT INTO device(id, device_group, state, attributes)"                            \
              " VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")                                   \
    /* a state only ever gets worse by it */                                                       \
    X(DEVICE_REPLACE, "UPDATE device SET device_group = ?2, attributes = ?4, state ="              \
                      " iif(state = 'allowed' OR ?3 = 'retired', ?3, state) WHERE id = ?1")        \
    X(FIND_DEVICE, "SELECT number, state = 'allowed' FROM device WHERE id = ?1")                   \
    X(GENERATION, "INSERT INTO generation(authority, generation, state, provider, key, sigalg,"    \
                  " certificate, chain, created_ms, crl_shards, crl_url, replaces, active_ms)"     \
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")              \
    X(GENERATION_REPLACE,                                                                          \
      "UPDATE generation SET authority = ?1, generation = ?2, provider = ?4, key = ?5,"            \
      " sigalg = ?6, certificate = ?7, chain = ?8, created_ms = ?9, crl_shards = ?10,"             \
      " crl_url = ?11, replaces = ?12 WHERE number = ?13")                                         \
    X(GENERATION_STATE, "UPDATE generation SET state = ?2,"                                        \
                        " active_ms = iif(?2 = 'active', ?3, active_ms),"                          \
                        " stopped_ms = iif(state = 'active', ?3, stopped_ms),"                     \
                        " key_fate = ?4 WHERE number = ?1")                                        \
    X(CROSS, "INSERT OR REPLACE INTO cross_certificate VALUES (?1, ?2, ?3)")                       \
    X(FIND_STATE, "SELECT state, length(certificate) > 0, replaces, authority"                     \
                  " FROM generation WHERE number = ?1")                                            \
    X(FIND_OTHER_ACTIVE, "SELECT 1 FROM generation WHERE authority = ?2 AND number <> ?1"          \
                         " AND state = 'active'")                                                  \
    X(FIND_INTENT_OF, "SELECT 1 FROM intent WHERE generation = ?1")                                \
    X(FIND_COMPROMISED, "SELECT 1 FROM generation WHERE number = ?1 AND state = 'compromised'")    \
    X(PLAN, "INSERT INTO plan(id, body, digest, state, prepared_ms, expires_s, settled_ms)"        \
            " VALUES (?1, ?2, ?3, 'pending', ?4, ?5, 0)")                                          \
    X(FIND_PLAN, "SELECT number, state, expires_s, digest FROM plan WHERE id = ?1")                \
    X(PLAN_STATE, "UPDATE plan SET state = ?2, settled_ms = ?3 WHERE number = ?1")                 \
    X(APPROVAL, "INSERT INTO approval VALUES (?1, ?2, ?3, ?4, ?5, ?6)"                             \
                " ON CONFLICT DO UPDATE SET key = excluded.key, signature = excluded.signature,"   \
                " time_ms = excluded.time_ms WHERE approval.key <> excluded.key")                  \
    X(FIND_AS_FOUND, "SELECT state, certificate FROM generation"                                   \
                     " WHERE authority || '-' || generation = ?1")                                 \
    X(FIND_ISSUER, "SELECT number FROM generation WHERE authority || '-' || generation = ?1")      \
    X(REVOCATION, "INSERT INTO revocation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                    \
    X(REVOCATION_TAKE_OUT, "DELETE FROM revocation WHERE revision = ?1")                           \
    X(FIND_REVOCATION, "SELECT revision, reason, revoked_s, ifnull(invalidity_s, 0)"               \
                       " FROM revocation WHERE generation = ?1 AND serial = ?2")                   \
    /* whoever has issued a serial: generation, device, end */                                     \
    X(FIND_SERIAL, "SELECT generation, device, not_after FROM certificate"                         \
                   " WHERE number = ?1 AND serial_tail = ?2 AND (?4 = 0 OR generation = ?4)"       \
                   " UNION ALL SELECT generation, 0, " CM_SQLITE_END_OF_TIME " FROM abandoned"     \
                   " WHERE number = ?1 AND serial_tail = ?2 AND (?4 = 0 OR generation = ?4)"       \
                   " UNION ALL SELECT generation, 0, not_after FROM imported"                      \
                   " WHERE generation IN (SELECT number FROM generation) AND serial = ?3"          \
                   " AND (?4 = 0 OR generation = ?4)")                                             \
    X(FIND_HOLDER, "SELECT device_group.name, device.state = 'quarantined' FROM device"            \
                   " JOIN device_group ON device_group.number = device.device_group"               \
                   " WHERE device.number = ?1")                                                    \
    X(FIND_MEMBER, "SELECT device.number, device.state, device_group.name FROM device"             \
                   " JOIN device_group ON device_group.number = device.device_group"               \
                   " WHERE device.id = ?1")                                                        \
    X(MEMBERS, "SELECT number, state FROM device WHERE device_group = ?1 AND number > ?2"          \
               " ORDER BY number LIMIT ?3")                                                        \
    X(DEVICE_STATE, "UPDATE device SET state = ?2 WHERE number = ?1")                              \
    X(FIND_LISTED, "SELECT serial_tail, generation, not_after FROM certificate WHERE number = ?1") \
    X(DEVICE_LOG, "INSERT INTO device_log VALUES (?1, ?2)")                                        \
    X(DEVICE_LOG_PRUNE, "DELETE FROM device_log WHERE number <= ?1")                               \
    X(DEVICE_LOGGED, CM_SQLITE_LOG_SQL)                                                            \
    X(DEVICE_RUN, "INSERT INTO device_run VALUES (?1, ?2, ?3, ?4)")                                \
    X(DEVICE_RUN_CLEAR, "DELETE FROM device_run WHERE run = ?1")                                   \
    X(DEVICE_IN_RUN, CM_SQLITE_RUN_SQL)                                                            \
    X(FIND_ALLOWED, "SELECT state = 'allowed' FROM device WHERE number = ?1")                      \
    X(CRL, "INSERT OR REPLACE INTO crl VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")               \
    X(FIND_CRL_NUMBERS, "SELECT max(number) FILTER (WHERE is_delta = 0),"                          \
                        " max(number) FILTER (WHERE is_delta = 1)"                                 \
                        " FROM crl WHERE generation = ?1 AND shard = ?2")                          \
    X(FIND_GENERATION, "SELECT number FROM generation WHERE number = ?1")                          \
    X(IMPORTED, "INSERT INTO imported(generation, serial, not_after, der)"                         \
                " VALUES (?1, ?2, ?3, ?4)")                                                        \
    X(IMPORTED_REPLACE, "UPDATE imported SET not_after = ?3,"                                      \
                        " der = iif(length(der) = 0, ?4, der)"                                     \
                        " WHERE generation = ?1 AND serial = ?2")                                  \
    X(FIND_IMPORTED, "SELECT not_after FROM imported WHERE generation = ?1 AND serial = ?2")       \
    X(CAMPAIGN, "INSERT INTO campaign(name, actor, generation, device_groups, window_s,"           \
                " rate_per_s, expected, state, created_ms, ended_ms, until, cursor, noticed,"      \
                " renewed)"                                                                        \
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'running', ?8, 0, ?9, 0, 0, 0)")             \
    X(FIND_CAMPAIGN, "SELECT number, created_ms, ended_ms, state FROM campaign WHERE name = ?1")   \
    X(CAMPAIGN_STATE, "UPDATE campaign SET state = ?2, ended_ms = ?3 WHERE number = ?1")           \
    X(CAMPAIGN_MOVE, "UPDATE campaign SET cursor = ?2, noticed = noticed + ?3,"                    \
                     " renewed = renewed + ?4 WHERE number = ?1 AND cursor <= ?2")                 \
    X(AUDIT, "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                          \
    X(AUDIT_RANGE, "INSERT INTO audit_range VALUES (?1, ?2, ?3)")                                  \
    X(IS_AUDIT_HASH, "SELECT 1 FROM audit WHERE number = ?1 AND hash = ?2")                        \
    X(CHECKPOINT, "INSERT INTO checkpoint VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                \
    X(LAST_CHECKPOINT, "SELECT number, audit, hash, time_ms, previous, spki, sigalg, signature"    \
                       " FROM checkpoint ORDER BY number DESC LIMIT 1")                            \
    X(TOTAL, "UPDATE total SET devices = ?1, certificates = ?2, refusals = ?3, abandoned = ?4,"    \
             " audit_rows = ?5, last_number = ?6, last_time_ms = ?7, orders = ?8,"                 \
             " revocations = ?9, last_revision = ?10, device_runs = ?11 WHERE number = 1")

enum cm_sqlite_change {
#define X(symbol, sql) CM_SQLITE_##symbol,
    CM_SQLITE_CHANGE_MAP(X)
#undef X
        CM_SQLITE_CHANGE_COUNT
};

/* What the writer knows by heart. Plain data: a rollback puts the copy from before back. */
struct cm_sqlite_tally {
    int64_t devices, certificates, refusals, abandoned, audit_rows;
    int64_t last_number, last_time_ms;
    int64_t audit_time_ms;    /* of the last row: where the clock goes back, the log does not */
    int64_t last_certificate; /* highest number among certificates and abandoned serials */
    int64_t last_abandoned;   /* highest number among abandoned serials */
    int64_t last_intent;
    int64_t last_request_log;
    int64_t orders; /* among the refusals */
    int64_t revocations, last_revision;
    int64_t device_runs, last_device_log;
    int64_t logged; /* pairs of device_log that are not on their way into a run */
    uint8_t audit_hash[CM_HASH_SIZE];
};

/* The keys of answered requests, as the writer has them. */
struct cm_sqlite_requests {
    struct cm_answered *answered; /* shared with the readers of this process; NULL: read-only */
    uint8_t *log;                 /* of the operation at hand */
    size_t log_size, log_space;
    int64_t
        moved_until[CM_ANSWERED_STRETCHES]; /* rows of request_log up to here are in the index */
    unsigned next_stretch;
};

/* Stretches that a transaction moves into the index. */
struct cm_sqlite_move {
    unsigned first_stretch, count;
};

/* Certificates by device, as the writer has them (listing.c). */
struct cm_sqlite_listing {
    struct cm_sqlite_list log;    /* of the operation at hand */
    struct cm_sqlite_list moving; /* into a run; so many of them are there */
    size_t moved;
    int64_t moving_until; /* row of the log; 0: nothing moves */
    struct cm_sqlite_list recent;
    int64_t recent_until;
};

/* A device whose certificates were revoked, and the last number that was promised to anybody by then. */
struct cm_sqlite_revoked {
    int64_t device; /* 0: a free place */
    int64_t number;
};

/* Devices that may not be allowed: a bit each; and those that were revoked while promises were open. */
struct cm_sqlite_barred {
    uint8_t *bits;
    size_t size;                       /* octets */
    struct cm_sqlite_revoked *revoked; /* open addressing */
    size_t revoked_space;              /* a power of two, at least twice the count */
    size_t revoked_count;
};

/* Finished operations on their way to the loop. Outlives the store while its task is posted. */
struct cm_sqlite_outbox {
    struct cm_task task;
    struct {
        pthread_mutex_t mutex;
        struct cm_store_op *first;
        struct cm_store_op **last;
        bool posted;   /* the task is in the loop's mailbox */
        bool orphaned; /* the store is gone: the task frees the outbox */
    } shared;
};

struct cm_sqlite_store {
    struct cm_store base;
    struct cm_loop *loop; /* borrowed; NULL: only cm_store_apply */
    char *path;
    struct cm_sqlite_lock lock;
    uint32_t group_rows_max;
    bool read_only;
    bool is_writing; /* the thread was started */
    pthread_t thread;
    struct cm_sqlite_outbox *outbox;

    /* the writer's thread's */
    sqlite3 *db;
    sqlite3_stmt *statements[CM_SQLITE_CHANGE_COUNT];
    struct cm_sqlite_tally tally;
    struct cm_sqlite_requests requests;
    struct cm_sqlite_barred barred;
    struct cm_sqlite_listing listing;
    int64_t generation_added; /* by the transaction that is open */
    bool has_compromised;     /* some generation may be: look */
    uint8_t *scratch;         /* an intent's items while they are encoded */
    size_t scratch_size;
    struct cm_sqlite_log log;
    struct cm_sqlite_mover mover; /* has a thread of its own */

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t wake;    /* for the writer: work, or closing */
        pthread_cond_t applied; /* for cm_store_apply */
        struct cm_store_op *first;
        struct cm_store_op **last;
        bool closing;
    } shared; /* under the mutex */
};

/* Reads what the tally knows from the tables. Fails with: CORRUPT where they disagree, IO. */
CM_MUST_USE cm_status cm_sqlite_tally_read(sqlite3 *db, struct cm_sqlite_tally *ret_tally,
                                           struct cm_error *err);

static inline int64_t cm_sqlite_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Number of the row that the operation is about to append, behind those of its orders. */
static inline int64_t cm_sqlite_next_audit(const struct cm_sqlite_store *store)
{
    return store->tally.audit_rows + 1;
}

/* Runs a statement that has been bound and returns no rows. */
CM_MUST_USE cm_status cm_sqlite_step(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                                     const char *what, struct cm_error *err);

/* Runs a statement that has been bound and returns one row of up to two integers, or none. */
CM_MUST_USE cm_status cm_sqlite_look_up(struct cm_sqlite_store *store, enum cm_sqlite_change change,
                                        bool *ret_found, int64_t ret_values[2],
                                        struct cm_error *err);

/* The number of the device that a request registers. Fails with: DENIED (there, not allowed). */
CM_MUST_USE cm_status cm_sqlite_enroll_device(struct cm_sqlite_store *store,
                                              const struct cm_certificate_row *row,
                                              int64_t *ret_number, struct cm_error *err);

/* Inside a transaction: everything that the operation asks for; and what ends the transaction. */
CM_MUST_USE cm_status cm_sqlite_change(struct cm_sqlite_store *store, struct cm_store_op *op,
                                       struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_devices(struct cm_sqlite_store *store,
                                               struct cm_store_op *op, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_intent(struct cm_sqlite_store *store,
                                              struct cm_intent *intent, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_record(struct cm_sqlite_store *store, struct cm_store_op *op,
                                              struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_generation(struct cm_sqlite_store *store,
                                                  struct cm_store_op *op, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_state(struct cm_sqlite_store *store,
                                             struct cm_transition *transition,
                                             struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_plan(struct cm_sqlite_store *store,
                                            struct cm_plan_change *change, struct cm_error *err);
/* Around a change that carries a plan out; use NULL: it carries none out. is_done false: there is more
 * to come of it. Fails with: as struct cm_plan_use. */
CM_MUST_USE cm_status cm_sqlite_plan_begin(struct cm_sqlite_store *store,
                                           const struct cm_plan_use *use, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_plan_end(struct cm_sqlite_store *store,
                                         const struct cm_plan_use *use, bool is_done,
                                         struct cm_bytes actor, struct cm_error *err);
/* Fails with DENIED where its key is compromised. */
CM_MUST_USE cm_status cm_sqlite_require_sound(struct cm_sqlite_store *store,
                                              int64_t generation_number, struct cm_error *err);
/* At the start. */
CM_MUST_USE cm_status cm_sqlite_compromised_load(struct cm_sqlite_store *store,
                                                 struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_campaign(struct cm_sqlite_store *store,
                                                struct cm_campaign_change *change,
                                                struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_crls(struct cm_sqlite_store *store,
                                            const struct cm_store_op *op, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_imported(struct cm_sqlite_store *store,
                                                struct cm_store_op *op, struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_checkpoint(struct cm_sqlite_store *store,
                                                  const struct cm_checkpoint *checkpoint,
                                                  struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_append_audit(struct cm_sqlite_store *store,
                                             const struct cm_audit_event *event,
                                             struct cm_error *err);
/* That the next row is about these certificates. */
CM_MUST_USE cm_status cm_sqlite_record_ranges(struct cm_sqlite_store *store,
                                              const struct cm_certificate_row *rows, uint32_t count,
                                              struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_change_total(struct cm_sqlite_store *store, struct cm_error *err);

/*
 * Requests. Inside a transaction: begin, record each (answer: a certificate's number, or a refusal's,
 * negative), end writes the log. The transaction's commit is followed by cm_answered_settle, its
 * rollback by cm_answered_undo. Fails with: EXISTS.
 */
void cm_sqlite_requests_begin(struct cm_sqlite_store *store);
CM_MUST_USE cm_status cm_sqlite_record_request(struct cm_sqlite_store *store,
                                               const struct cm_request_key *key, int64_t answer,
                                               struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_requests_end(struct cm_sqlite_store *store, struct cm_error *err);

/* The answer to a request that is remembered without a certificate, under the next number. */
CM_MUST_USE cm_status cm_sqlite_record_answer(struct cm_sqlite_store *store,
                                              const struct cm_request_key *key,
                                              const struct cm_request_digest *digest,
                                              const char *code, const char *message,
                                              struct cm_error *err);

/* When so many are recent, a transaction of its own moves some; after its commit they are forgotten. */
bool cm_sqlite_requests_are_many(const struct cm_sqlite_store *store);
CM_MUST_USE cm_status cm_sqlite_requests_move(struct cm_sqlite_store *store,
                                              struct cm_sqlite_move *ret_move,
                                              struct cm_error *err);
void cm_sqlite_requests_moved(struct cm_sqlite_store *store, const struct cm_sqlite_move *move);

/* At the start, and at the end. Fails with: CORRUPT, IO. */
CM_MUST_USE cm_status cm_sqlite_requests_load(struct cm_sqlite_store *store, struct cm_error *err);
void cm_sqlite_requests_done(struct cm_sqlite_store *store);

/* Looks through one row of the log: for readers of a store that another process writes. */
bool cm_sqlite_log_find(struct cm_bytes items, const struct cm_request_key *key,
                        int64_t *ret_answer);

/*
 * Revocations. Inside a transaction: what the certificate is worth becomes what is wanted, as far as that
 * is a change for the worse, or (REMOVE_FROM_CRL) the end of a hold. With only_held nothing is changed that
 * is not on hold. wanted->revision is not read.
 */
CM_MUST_USE cm_status cm_sqlite_revoke(struct cm_sqlite_store *store,
                                       const struct cm_revocation *wanted, bool only_held,
                                       bool *ret_changed, struct cm_error *err);

/* Those of these devices (numbers, sorted), by device and age. The caller frees ret_list->items. */
CM_MUST_USE cm_status cm_sqlite_list_certificates(struct cm_sqlite_store *store,
                                                  const int64_t *devices, size_t count,
                                                  struct cm_sqlite_list *ret_list,
                                                  struct cm_error *err);

/*
 * Inside a transaction: begin, each certificate that is recorded, end writes the log. The rollback is
 * followed by undo.
 */
void cm_sqlite_listing_begin(struct cm_sqlite_store *store);
CM_MUST_USE cm_status cm_sqlite_list_certificate(struct cm_sqlite_store *store,
                                                 const struct cm_sqlite_listed *listed,
                                                 struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_listing_end(struct cm_sqlite_store *store, struct cm_error *err);
void cm_sqlite_listing_undo(struct cm_sqlite_store *store);

/* When it is due: prepare; move inside a transaction of its own, moved after its commit. */
bool cm_sqlite_listing_is_due(const struct cm_sqlite_store *store);
CM_MUST_USE cm_status cm_sqlite_listing_prepare(struct cm_sqlite_store *store,
                                                struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_listing_move(struct cm_sqlite_store *store, struct cm_error *err);
void cm_sqlite_listing_moved(struct cm_sqlite_store *store);

void cm_sqlite_listing_done(struct cm_sqlite_store *store);

/* Inside a transaction, between requests_begin and _end. A refusal of the order is no failure. */
CM_MUST_USE cm_status cm_sqlite_carry_out_order(struct cm_sqlite_store *store,
                                                struct cm_order *order, struct cm_error *err);

/*
 * Devices. bar: whenever one gets a state other than allowed. require: fails with DENIED where the device
 * is on the list and not allowed. load: at the start.
 */
CM_MUST_USE cm_status cm_sqlite_bar_device(struct cm_sqlite_store *store, int64_t device,
                                           struct cm_error *err);
CM_MUST_USE cm_status cm_sqlite_require_allowed(struct cm_sqlite_store *store, int64_t device,
                                                struct cm_error *err);
/* The device's certificates are revoked: those that are promised, up to this number, and not recorded are
 * not to come. */
CM_MUST_USE cm_status cm_sqlite_note_revoked(struct cm_sqlite_store *store, int64_t device,
                                             cm_certificate_number last, struct cm_error *err);
bool cm_sqlite_was_revoked(const struct cm_sqlite_store *store, int64_t device,
                           cm_certificate_number number);
CM_MUST_USE cm_status cm_sqlite_barred_load(struct cm_sqlite_store *store, struct cm_error *err);

CM_MUST_USE cm_status cm_sqlite_outbox_new(struct cm_sqlite_outbox **ret_outbox,
                                           struct cm_error *err);
/* Any thread. Calls back: op->done, on the loop. */
void cm_sqlite_outbox_put(struct cm_sqlite_outbox *outbox, struct cm_loop *loop,
                          struct cm_store_op *op);
/* Loop's thread: calls back what is left at once, and frees the outbox when its task is gone. */
void cm_sqlite_outbox_free(struct cm_sqlite_outbox *outbox);

CM_MUST_USE cm_status cm_sqlite_writer_start(struct cm_sqlite_store *store, struct cm_error *err);
void cm_sqlite_writer_stop(struct cm_sqlite_store *store);
void cm_sqlite_submit(struct cm_store *base, struct cm_store_op *op);
cm_status cm_sqlite_apply(struct cm_store *base, struct cm_store_op *op, struct cm_error *err);

/* An intent's items as octets: key, serial, hash, one after another. */
enum { CM_SQLITE_ITEM_SIZE = 16 + CM_SERIAL_SIZE + CM_HASH_SIZE };

#endif
