/*
 * Readers: snapshots, lookups (reader.c, latest.c) and walks (walk.c, holders.c) on connections that never
 * write. What each function does stands in engine/store/store.h. Private to engine/store/sqlite.
 *
 * Thread: whoever holds the reader.
 */
#ifndef CM_STORE_SQLITE_READER_H
#define CM_STORE_SQLITE_READER_H

#include <sqlite3.h>

#include "engine/store/campaign.h"
#include "engine/store/sqlite/answered.h"
#include "engine/store/sqlite/listing.h"
#include "engine/store/store.h"

#define CM_SQLITE_DEVICE_COLUMNS                                                                   \
    "device.number, device.id, device_group.name, device.state, device.attributes"                 \
    " FROM device JOIN device_group ON device_group.number = device.device_group"

/* X(SYMBOL, sql) */
#define CM_SQLITE_LOOKUP_MAP(X)                                                                    \
    X(SNAPSHOT_BEGIN, "BEGIN")                                                                     \
    X(SNAPSHOT_END, "COMMIT")                                                                      \
    X(PIN, "SELECT last_number FROM total WHERE number = 1")                                       \
    X(GET_TOTAL, "SELECT devices, certificates, refusals, abandoned, audit_rows, last_number,"     \
                 " last_time_ms, (SELECT count(*) FROM intent), orders, revocations,"              \
                 " (SELECT ifnull(max(number), 0) FROM checkpoint)"                                \
                 " FROM total WHERE number = 1")                                                   \
    X(GET_REQUEST, "SELECT certificate, refusal FROM request WHERE key = ?1")                      \
    X(LOGGED_REQUESTS, "SELECT items FROM request_log")                                            \
    X(GET_REFUSAL, "SELECT digest, code, message FROM refusal WHERE number = ?1")                  \
    X(GET_CERTIFICATE, "SELECT digest, device, generation, not_after, der, audit FROM certificate" \
                       " JOIN certificate_der USING (number) WHERE number = ?1")                   \
    X(GET_DEVICE, "SELECT " CM_SQLITE_DEVICE_COLUMNS " WHERE device.id = ?1")                      \
    X(IS_CERTIFICATE, "SELECT 1 FROM certificate WHERE number = ?1")                               \
    X(IS_ABANDONED, "SELECT 1 FROM abandoned WHERE number = ?1")                                   \
    X(GET_DEVICE_RUNS, "SELECT device_runs FROM total WHERE number = 1")                           \
    X(IN_RUN, CM_SQLITE_RUN_SQL)                                                                   \
    X(LOGGED, CM_SQLITE_LOG_SQL)                                                                   \
    X(GET_STANDING, "SELECT state, reason FROM generation LEFT JOIN revocation"                    \
                    " ON revocation.generation = generation.number AND serial = ?2"                \
                    " WHERE generation.number = ?1")                                               \
    /* enum cm_issued. One snapshot for all; the open intents come last, which have no index */    \
    X(IS_ISSUED, "SELECT 1 FROM certificate"                                                       \
                 " WHERE number = ?1 AND serial_tail = ?2 AND generation = ?4"                     \
                 " UNION ALL SELECT 2 FROM abandoned"                                              \
                 " WHERE number = ?1 AND serial_tail = ?2 AND generation = ?4"                     \
                 " UNION ALL SELECT 1 FROM imported WHERE generation = ?4 AND serial = ?3"         \
                 " UNION ALL SELECT 3 FROM intent WHERE generation = ?4 AND instr(items, ?5)")

enum cm_sqlite_lookup {
#define X(symbol, sql) CM_SQLITE_##symbol,
    CM_SQLITE_LOOKUP_MAP(X)
#undef X
        CM_SQLITE_LOOKUP_COUNT
};

struct cm_sqlite_reader {
    struct cm_store_reader base;
    sqlite3 *db;
    sqlite3_stmt *statements[CM_SQLITE_LOOKUP_COUNT];
    struct cm_answered *answered; /* the store's; NULL: another process writes */
    uint64_t moves;               /* cm_answered_moves before the snapshot was taken */
    bool in_snapshot;
    bool has_lost_snapshot; /* in place of in_snapshot: no newer one could be taken */
};

cm_status cm_sqlite_reader_open(struct cm_store *base, struct cm_store_reader **ret_reader,
                                struct cm_error *err);
void cm_sqlite_reader_close(struct cm_store_reader *base);
cm_status cm_sqlite_reader_begin(struct cm_store_reader *base, struct cm_error *err);
void cm_sqlite_reader_end(struct cm_store_reader *base);
/* False between begin and end when the snapshot could not be renewed: IO. */
CM_MUST_USE cm_status cm_sqlite_reader_is_whole(const struct cm_sqlite_reader *reader,
                                                struct cm_error *err);
cm_status cm_sqlite_recall(struct cm_store_reader *base, const struct cm_request_key *key,
                           struct cm_arena *arena, struct cm_recall *ret_recall,
                           struct cm_error *err);
cm_status cm_sqlite_find_device(struct cm_store_reader *base, struct cm_bytes id,
                                struct cm_arena *arena, struct cm_device *ret_device,
                                struct cm_error *err);
cm_status cm_sqlite_find_certificate(struct cm_store_reader *base, cm_certificate_number number,
                                     struct cm_arena *arena, struct cm_certificate_found *ret_found,
                                     struct cm_error *err);
cm_status cm_sqlite_find_issued(struct cm_store_reader *base, int64_t generation_number,
                                struct cm_bytes serial, enum cm_issued *ret_issued,
                                struct cm_error *err);
cm_status cm_sqlite_find_latest(struct cm_store_reader *base, struct cm_latest *latest,
                                uint32_t count, struct cm_error *err);
cm_status cm_sqlite_find_standing(struct cm_store_reader *base, int64_t generation_number,
                                  struct cm_bytes serial,
                                  struct cm_certificate_standing *ret_standing,
                                  struct cm_error *err);
cm_status cm_sqlite_count(struct cm_store_reader *base, struct cm_store_counts *ret_counts,
                          struct cm_error *err);

/* How many runs of certificates by device there are (listing.h). */
CM_MUST_USE cm_status cm_sqlite_count_runs(struct cm_sqlite_reader *reader, int64_t *ret_runs,
                                           struct cm_error *err);

/* Reads a row of CM_SQLITE_DEVICE_COLUMNS; false when the row is not well-formed. */
bool cm_sqlite_read_device(sqlite3_stmt *row, struct cm_device *ret_device);

cm_status cm_sqlite_walk_devices(struct cm_store_reader *base, struct cm_bytes group,
                                 cm_device_walk_fn *walk, void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_keys(struct cm_store_reader *base, cm_key_walk_fn *walk, void *arg,
                              struct cm_error *err);
cm_status cm_sqlite_walk_open_intents(struct cm_store_reader *base, cm_intent_walk_fn *walk,
                                      void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_generations(struct cm_store_reader *base, cm_generation_walk_fn *walk,
                                     void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_crosses(struct cm_store_reader *base, cm_cross_walk_fn *walk, void *arg,
                                 struct cm_error *err);
cm_status cm_sqlite_walk_plans(struct cm_store_reader *base, cm_plan_walk_fn *walk, void *arg,
                               struct cm_error *err);
cm_status cm_sqlite_walk_approvals(struct cm_store_reader *base, int64_t plan_number,
                                   cm_approval_walk_fn *walk, void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_certificates(struct cm_store_reader *base, cm_certificate_number after,
                                      uint32_t rows_max, cm_listed_walk_fn *walk, void *arg,
                                      cm_certificate_number *ret_last, struct cm_error *err);
cm_status cm_sqlite_find_use(struct cm_store_reader *base, int64_t generation_number, int64_t now_s,
                             struct cm_generation_use *ret_use, struct cm_error *err);
cm_status cm_sqlite_walk_revocations(struct cm_store_reader *base, int64_t after_revision,
                                     cm_revocation_walk_fn *walk, void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_crls(struct cm_store_reader *base, cm_crl_walk_fn *walk, void *arg,
                              struct cm_error *err);
cm_status cm_sqlite_walk_device_certificates(struct cm_store_reader *base, int64_t device_number,
                                             cm_certificate_walk_fn *walk, void *arg,
                                             struct cm_error *err);
cm_status cm_sqlite_walk_usage(struct cm_store_reader *base, int64_t period, cm_usage_walk_fn *walk,
                               void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_audit(struct cm_store_reader *base, int64_t from_number,
                               cm_audit_walk_fn *walk, void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_audited(struct cm_store_reader *base, int64_t first, int64_t last,
                                 cm_audited_walk_fn *walk, void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_strays(struct cm_store_reader *base, cm_audited_walk_fn *walk, void *arg,
                                struct cm_error *err);
cm_status cm_sqlite_count_audited(struct cm_store_reader *base,
                                  struct cm_audited_counts *ret_counts, struct cm_error *err);
cm_status cm_sqlite_walk_checkpoints(struct cm_store_reader *base, int64_t after_number,
                                     cm_checkpoint_walk_fn *walk, void *arg, struct cm_error *err);

cm_status cm_sqlite_walk_campaigns(struct cm_store_reader *base, cm_campaign_walk_fn *walk,
                                   void *arg, struct cm_error *err);
cm_status cm_sqlite_walk_holders(struct cm_store_reader *base, struct cm_holder_stretch *stretch,
                                 cm_holder_walk_fn *walk, void *arg, struct cm_error *err);

#endif
