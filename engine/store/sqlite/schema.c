#include "engine/store/sqlite/internal.h"

/*
 * Every key but one grows with time, so that rows are appended; the one random index is request.
 * A row put into a large random index dirties a page of its own, and that page is what the row
 * costs. So the keys of requests go into request_log first, many in one row, and are moved into
 * request by stretches of neighbouring keys (answered.h); request_stretch says how far each has come.
 *
 * What the hot path reads and writes stands in narrow tables; the certificates themselves, which
 * nobody walks, in a table of their own. Constraints say what a column may hold; foreign keys are
 * written down for the reader, not enforced: the writer looks up what it refers to.
 *
 * number of a certificate: the first 8 octets of its serial; serial_tail: the other 12.
 * key_fingerprint: 64 unsigned bits, stored in a signed integer.
 * A request has been answered with a certificate or with a refusal, never with both; an order that was
 * carried out stands among the refusals with the code CM_SQLITE_CARRIED_OUT.
 * The row of total is kept in step with the tables by every transaction.
 *
 * These are the tables of version 3; a new store is made of them and of what the versions after it have
 * brought (schema_4.c, schema_5.c), so that it is the same as one that was upgraded.
 */
static const char schema[] =
    "CREATE TABLE device_group ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " name TEXT NOT NULL UNIQUE CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255)"
    ") STRICT;"
    "CREATE TABLE device ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " id TEXT NOT NULL UNIQUE CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 255),"
    " device_group INTEGER NOT NULL REFERENCES device_group,"
    " state TEXT NOT NULL CHECK (state IN ('allowed', 'quarantined', 'retired')),"
    " attributes BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX device_by_group ON device(device_group);"
    "CREATE TABLE generation ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " authority TEXT NOT NULL CHECK (length(authority) > 0),"
    " generation INTEGER NOT NULL CHECK (generation > 0),"
    " state TEXT NOT NULL"
    "  CHECK (state IN ('pending', 'active', 'retiring', 'retired', 'compromised')),"
    " provider TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " sigalg TEXT NOT NULL,"
    " certificate BLOB NOT NULL,"
    " chain TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL CHECK (created_ms > 0),"
    " crl_shards INTEGER NOT NULL CHECK (crl_shards >= 0),"
    " crl_url TEXT NOT NULL,"
    " UNIQUE (authority, generation)"
    ") STRICT;"
    "CREATE TABLE certificate ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " serial_tail BLOB NOT NULL CHECK (length(serial_tail) = 12),"
    " digest BLOB NOT NULL CHECK (length(digest) = 16),"
    " device INTEGER NOT NULL CHECK (device > 0) REFERENCES device,"
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation,"
    " key_fingerprint INTEGER NOT NULL,"
    " not_after INTEGER NOT NULL CHECK (not_after > 0)"
    ") STRICT;"
    "CREATE TABLE certificate_der ("
    " number INTEGER PRIMARY KEY REFERENCES certificate,"
    " der BLOB NOT NULL CHECK (length(der) > 0)"
    ") STRICT;"
    "CREATE TABLE refusal ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " digest BLOB NOT NULL CHECK (length(digest) = 16),"
    " code TEXT NOT NULL CHECK (length(code) > 0),"
    " message TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE request ("
    " key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 16),"
    " certificate INTEGER REFERENCES certificate,"
    " refusal INTEGER REFERENCES refusal,"
    " CHECK ((certificate IS NULL) <> (refusal IS NULL))"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE request_log ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " items BLOB NOT NULL CHECK (length(items) > 0 AND length(items) % 24 = 0)"
    ") STRICT;"
    "CREATE TABLE request_stretch ("
    " stretch INTEGER PRIMARY KEY CHECK (stretch BETWEEN 0 AND 255),"
    " moved_until INTEGER NOT NULL CHECK (moved_until >= 0)"
    ") STRICT;"
    "CREATE TABLE intent ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " created_ms INTEGER NOT NULL CHECK (created_ms > 0),"
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation,"
    " items BLOB NOT NULL CHECK (length(items) > 0 AND length(items) % 68 = 0)"
    ") STRICT;"
    "CREATE TABLE abandoned ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " serial_tail BLOB NOT NULL CHECK (length(serial_tail) = 12),"
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation"
    ") STRICT;"
    "CREATE TABLE usage ("
    " period INTEGER NOT NULL CHECK (period >= 0),"
    " name TEXT NOT NULL CHECK (length(name) > 0),"
    " count INTEGER NOT NULL CHECK (count >= 0),"
    " PRIMARY KEY (period, name)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE audit ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " time_ms INTEGER NOT NULL,"
    " kind TEXT NOT NULL CHECK (length(kind) > 0),"
    " actor TEXT NOT NULL,"
    " detail TEXT NOT NULL,"
    " digest BLOB NOT NULL CHECK (length(digest) = 32),"
    " previous BLOB NOT NULL CHECK (length(previous) = 32),"
    " hash BLOB NOT NULL CHECK (length(hash) = 32)"
    ") STRICT;";

static const char totals[] = "CREATE TABLE total ("
                             " number INTEGER PRIMARY KEY CHECK (number = 1),"
                             " devices INTEGER NOT NULL CHECK (devices >= 0),"
                             " certificates INTEGER NOT NULL CHECK (certificates >= 0),"
                             " refusals INTEGER NOT NULL CHECK (refusals >= 0),"
                             " abandoned INTEGER NOT NULL CHECK (abandoned >= 0),"
                             " audit_rows INTEGER NOT NULL CHECK (audit_rows >= 0),"
                             " last_number INTEGER NOT NULL CHECK (last_number >= 0),"
                             " last_time_ms INTEGER NOT NULL CHECK (last_time_ms >= 0),"
                             " orders INTEGER NOT NULL CHECK (orders BETWEEN 0 AND refusals),"
                             " revocations INTEGER NOT NULL CHECK (revocations >= 0),"
                             " last_revision INTEGER NOT NULL CHECK (last_revision >= revocations),"
                             " device_runs INTEGER NOT NULL CHECK (device_runs >= 0)"
                             ") STRICT;"
                             "INSERT INTO total VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);";

/*
 * What version 3 has brought. Revocations stand in the order of their revisions: a change takes the row
 * out and puts it in again behind all others. A serial is the content of its INTEGER here, since another
 * CA's may have any size. Of CRLs the latest complete and the latest delta list of each shard is kept.
 * device_log and device_run say which certificates a device has (listing.h).
 */
const char cm_sqlite_schema_added[] =
    "CREATE TABLE revocation ("
    " revision INTEGER PRIMARY KEY CHECK (revision > 0),"
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation,"
    " serial BLOB NOT NULL CHECK (length(serial) BETWEEN 1 AND 20),"
    " reason INTEGER NOT NULL CHECK (reason BETWEEN 0 AND 10 AND reason <> 7),"
    " revoked_s INTEGER NOT NULL CHECK (revoked_s > 0),"
    " invalidity_s INTEGER CHECK (invalidity_s > 0),"
    " not_after INTEGER NOT NULL CHECK (not_after > 0),"
    " UNIQUE (generation, serial)"
    ") STRICT;"
    "CREATE TABLE crl ("
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation,"
    " shard INTEGER NOT NULL CHECK (shard >= 0),"
    " is_delta INTEGER NOT NULL CHECK (is_delta IN (0, 1)),"
    " number INTEGER NOT NULL CHECK (number > 0),"
    " base_number INTEGER NOT NULL CHECK (base_number BETWEEN 0 AND number),"
    " this_update INTEGER NOT NULL CHECK (this_update > 0),"
    " next_update INTEGER NOT NULL CHECK (next_update > this_update),"
    " revision INTEGER NOT NULL CHECK (revision >= 0),"
    " tbs_hash BLOB NOT NULL CHECK (length(tbs_hash) = 32),"
    " PRIMARY KEY (generation, shard, is_delta)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE imported ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " generation INTEGER NOT NULL CHECK (generation > 0) REFERENCES generation,"
    " serial BLOB NOT NULL CHECK (length(serial) BETWEEN 1 AND 20),"
    " not_after INTEGER NOT NULL CHECK (not_after > 0),"
    " der BLOB NOT NULL,"
    " UNIQUE (generation, serial)"
    ") STRICT;"
    "CREATE TABLE device_log ("
    " number INTEGER PRIMARY KEY CHECK (number > 0),"
    " items BLOB NOT NULL CHECK (length(items) > 0 AND length(items) % 16 = 0)"
    ") STRICT;"
    "CREATE TABLE device_run ("
    " run INTEGER NOT NULL CHECK (run > 0),"
    " device INTEGER NOT NULL REFERENCES device,"
    " certificate INTEGER NOT NULL REFERENCES certificate,"
    " items BLOB NOT NULL CHECK (length(items) > 0 AND length(items) % 16 = 0),"
    " PRIMARY KEY (run, device, certificate)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX device_not_allowed ON device(number) WHERE state <> 'allowed';";

/* "CMst"; file(1) and sqlite3 show it. */
#define APPLICATION_ID 1129149300
#define FORMAT_VERSION 5

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number
#define SET_VERSION      "PRAGMA user_version = " TEXT_OF(FORMAT_VERSION)

cm_status cm_sqlite_schema_create(sqlite3 *db, struct cm_error *err)
{
    cm_status status = cm_sqlite_run(db, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL", err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, "BEGIN IMMEDIATE", err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, schema, err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, totals, err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, cm_sqlite_schema_added, err);
    if (status == CM_OK)
        status = cm_sqlite_upgrade_to_4(db, err);
    if (status == CM_OK)
        status = cm_sqlite_upgrade_to_5(db, err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, "PRAGMA application_id = " TEXT_OF(APPLICATION_ID), err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, SET_VERSION "; COMMIT", err);
    return status;
}

/* Fails with: MISMATCH (no store), CORRUPT, IO. */
static cm_status read_version(sqlite3 *db, const char *path, int64_t *ret_version,
                              struct cm_error *err)
{
    int64_t application = 0;
    cm_status status = cm_sqlite_get_integer(db, "PRAGMA application_id", &application, err);
    if (status == CM_OK)
        status = cm_sqlite_get_integer(db, "PRAGMA user_version", ret_version, err);
    if (status != CM_OK) {
        const struct cm_error cause = *err;
        return CM_FAIL(err, status, cause.origin, cause.native, "%.150s: %s", path, cause.text);
    }
    if (application != APPLICATION_ID)
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "%s is not a store of certmill, or its making was interrupted", path);
    return CM_OK;
}

cm_status cm_sqlite_schema_check(sqlite3 *db, const char *path, struct cm_error *err)
{
    int64_t version = 0;
    cm_status status = read_version(db, path, &version, err);
    if (status != CM_OK || version == FORMAT_VERSION)
        return status;
    return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, version,
                   "%s has format version %lld, this program reads version %d%s", path,
                   (long long)version, FORMAT_VERSION,
                   version >= CM_SQLITE_OLDEST_VERSION && version < FORMAT_VERSION
                       ? "; start the engine once: that brings it up to date"
                       : "");
}

cm_status cm_sqlite_schema_upgrade(sqlite3 *db, const char *path, struct cm_error *err)
{
    int64_t version = 0;
    cm_status status = read_version(db, path, &version, err);
    if (status != CM_OK || version < CM_SQLITE_OLDEST_VERSION || version >= FORMAT_VERSION)
        return status;
    status = cm_sqlite_run(db, "BEGIN IMMEDIATE", err);
    if (status == CM_OK && version < 3)
        status = cm_sqlite_upgrade_to_3(db, err);
    if (status == CM_OK && version < 4)
        status = cm_sqlite_upgrade_to_4(db, err);
    if (status == CM_OK)
        status = cm_sqlite_upgrade_to_5(db, err);
    if (status == CM_OK)
        status = cm_sqlite_run(db, SET_VERSION "; COMMIT", err);
    return status; /* after a failure the connection is closed, and nothing has happened */
}
