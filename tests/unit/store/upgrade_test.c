/* A store of an older format version becomes one of this: nothing is lost, and what is new is there. */
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/store/sqlite/internal.h"
#include "tests/conformance/store_orders.h"
#include "tests/support/test_main.h"

/* The tables of format version 2, as the engine made them until version 3. */
static const char schema_2[] =
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
    ") STRICT;";

static const char schema_2_rest[] =
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
    ") STRICT;"
    "CREATE TABLE total ("
    " number INTEGER PRIMARY KEY CHECK (number = 1),"
    " devices INTEGER NOT NULL CHECK (devices >= 0),"
    " certificates INTEGER NOT NULL CHECK (certificates >= 0),"
    " refusals INTEGER NOT NULL CHECK (refusals >= 0),"
    " abandoned INTEGER NOT NULL CHECK (abandoned >= 0),"
    " audit_rows INTEGER NOT NULL CHECK (audit_rows >= 0),"
    " last_number INTEGER NOT NULL CHECK (last_number >= 0),"
    " last_time_ms INTEGER NOT NULL CHECK (last_time_ms >= 0)"
    ") STRICT;";

static struct fixture f;

static void run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, message);
        CU_FAIL("the SQL of the test is wrong");
    }
    sqlite3_free(message);
}

static void copy(sqlite3 *db, const char *table, const char *columns)
{
    char sql[512];
    snprintf(sql, sizeof sql, "INSERT INTO %s SELECT %s FROM newer.%s", table, columns, table);
    run(db, sql);
}

/* The fixture's store, closed, as version 2 would have written it. */
static void make_older(void)
{
    static const char *const tables[] = {
        "device_group", "device",          "certificate_der", "refusal", "request",
        "request_log",  "request_stretch", "intent",          "usage",   "audit"
    };
    char newer[600], sql[700];
    sqlite3 *db = NULL;
    fixture_close(&f);
    snprintf(newer, sizeof newer, "%s.newer", f.path);
    CU_ASSERT_EQUAL(rename(f.path, newer), 0);
    sqlite3_open(f.path, &db);
    snprintf(sql, sizeof sql, "ATTACH '%s' AS newer", newer);
    run(db, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL");
    run(db, sql);
    run(db, schema_2);
    run(db, schema_2_rest);
    for (unsigned i = 0; i < sizeof tables / sizeof tables[0]; i++)
        copy(db, tables[i], "*");
    copy(db, "certificate",
         "number, serial_tail, digest, device, generation, key_fingerprint, not_after");
    copy(db, "abandoned", "number, serial_tail, generation");
    copy(db, "generation",
         "number, authority, generation, state, provider, key, sigalg,"
         " certificate, chain, created_ms");
    copy(db, "total",
         "number, devices, certificates, refusals, abandoned, audit_rows, last_number,"
         " last_time_ms");
    run(db, "PRAGMA application_id = 1129149300; PRAGMA user_version = 2");
    sqlite3_close(db);
}

static cm_status try_open(bool read_only)
{
    const struct cm_store_settings settings = { .path = f.path, .read_only = read_only };
    struct cm_store *store = NULL;
    cm_status status = cm_store_open(&cm_store_sqlite, NULL, &settings, &store, &f.err);
    cm_store_close(store);
    return status;
}

static void make_filled(const char *name)
{
    struct cm_abandoned_row abandoned[] = { { .serial = row_serial(3000), .generation_number = 2 },
                                            { .serial = row_serial(3001),
                                              .generation_number = 2 } };
    struct cm_refusal_row refusal = { row_key(3002), row_digest(3002), CM_REFUSAL_KEY_BLOCKED,
                                      "m" };
    struct cm_generation generation = { .authority = cm_bytes_str("issuing"),
                                        .generation = 1,
                                        .state = CM_GENERATION_ACTIVE,
                                        .provider = cm_bytes_str("soft"),
                                        .key = cm_bytes_str("key"),
                                        .sigalg = cm_bytes_str("ecdsa-p256-sha256"),
                                        .certificate = cm_bytes_str("der"),
                                        .created_ms = FIXTURE_TIME_MS };
    struct cm_store_op op = { .kind = CM_STORE_RECORD,
                              .abandoned = abandoned,
                              .abandoned_count = 2,
                              .refusals = &refusal,
                              .refusals_count = 1,
                              .audit = &fixture_audit };
    struct cm_store_op put = { .kind = CM_STORE_GENERATION,
                               .generation = &generation,
                               .audit = &fixture_audit };
    fixture_make(&f, name);
    orders_put_devices(&f, 7);
    orders_record(&f, 1, 1000, 7);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &put, &f.err), CM_OK);
    make_older();
}

static void test_an_older_store_is_read_only_after_an_engine_was_started(void)
{
    make_filled("older-read");
    CU_ASSERT_EQUAL(try_open(true), CM_MISMATCH);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "version 2"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "start the engine once"));
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    CU_ASSERT_EQUAL(try_open(true), CM_OK);
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    fixture_done(&f);
}

static bool see_generation(const struct cm_generation *generation, void *arg)
{
    unsigned *seen = arg;
    *seen += generation->crl_shards == 0 && generation->crl_url.size == 0;
    return true;
}

static void test_nothing_of_an_older_store_is_lost(void)
{
    unsigned generations = 0;
    make_filled("older");
    fixture_reopen(&f);
    struct cm_store_counts counts = fixture_counts(&f);
    CU_ASSERT_EQUAL(counts.certificates, 1000);
    CU_ASSERT_EQUAL(counts.refusals, 1);
    CU_ASSERT_EQUAL(counts.abandoned, 2);
    CU_ASSERT_EQUAL(counts.revocations, 2);
    CU_ASSERT_TRUE(fixture_recall(&f, 1000).known);
    CU_ASSERT_EQUAL(fixture_recall(&f, 3002).code, CM_REFUSAL_KEY_BLOCKED);
    CU_ASSERT_EQUAL(
        cm_store_walk_generations(fixture_snapshot(&f), see_generation, &generations, &f.err),
        CM_OK);
    CU_ASSERT_EQUAL(generations, 1);
    CU_ASSERT_EQUAL(fixture_record(&f, 5000, 10), CM_OK);
    fixture_done(&f);
}

static void test_abandoned_serials_of_an_older_store_are_revoked(void)
{
    make_filled("older-abandoned");
    fixture_reopen(&f);
    struct cm_revocation one = order_standing(&f, 3000), other = order_standing(&f, 3001);
    CU_ASSERT_EQUAL(one.reason, CM_REASON_UNSPECIFIED);
    CU_ASSERT_EQUAL(one.revision, 1);
    CU_ASSERT_EQUAL(one.generation_number, 2);
    CU_ASSERT_EQUAL(one.revoked_s, FIXTURE_ISSUED_S);
    CU_ASSERT_EQUAL(one.not_after_s, 253402300799);
    CU_ASSERT_EQUAL(other.revision, 2);
    struct cm_order order = order_for_serial(9, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order_standing(&f, 9).revision, 3);
    fixture_done(&f);
}

static void read_text(const char *sql, char *text, size_t size)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    sqlite3_open(f.path, &db);
    text[0] = '\0';
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    sqlite3_close(db);
}

static void test_certificates_of_an_older_store_are_found_by_device(void)
{
    make_filled("older-devices");
    fixture_reopen(&f);
    orders_record(&f, 1001, 7, 7);
    struct cm_order order = order_for_device(CM_ORDER_REVOKE, "d2");
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.certificates_changed, 144); /* 143 and the one that came later */
    fixture_done(&f);
}

/* An order reads the log, as far as it is not in memory: it holds nothing of before the upgrade. */
static void test_certificates_of_an_older_store_are_no_log_to_be_read(void)
{
    char rows[2][64];
    make_filled("older-runs");
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    read_text("SELECT count(*) FROM device_log", rows[0], sizeof rows[0]);
    CU_ASSERT_STRING_EQUAL(rows[0], "0");
    read_text(
        "SELECT count(DISTINCT run) = (SELECT device_runs FROM total) AND sum(length(items)) / 16"
        " = (SELECT count(*) FROM certificate) FROM device_run",
        rows[1], sizeof rows[1]);
    CU_ASSERT_STRING_EQUAL(rows[1], "1");
    fixture_done(&f);
}

/* ------------------------------------------------------------------------ shapes -- */

static const char columns_sql[] =
    "SELECT group_concat(line, char(10)) FROM (SELECT m.name || ' ' || c.cid || ' ' || c.name || ' '"
    " || c.type || ' ' || c.\"notnull\" || ' ' || c.pk AS line"
    " FROM sqlite_master AS m, pragma_table_info(m.name) AS c ORDER BY m.name, c.cid)";

/* ---------------------------------------------------------- from version 4 to 5 -- */

/* The fixture's store, closed, as version 4 would have written it. */
static void make_version_4(void)
{
    sqlite3 *db = NULL;
    fixture_close(&f);
    sqlite3_open(f.path, &db);
    run(db, "CREATE INDEX certificate_by_audit ON certificate(audit) WHERE audit > 0;"
            "DROP TABLE audit_range; PRAGMA user_version = 4");
    sqlite3_close(db);
}

/* Certificates that name no row, rows with certificates far apart, and among each other. */
static void make_scattered(const char *name)
{
    static struct record records[3];
    struct cm_store_op *ops[] = { &records[0].op, &records[1].op, &records[2].op };
    fixture_make(&f, name);
    orders_put_devices(&f, 7);
    record_fill(&records[0], 1, 300);
    record_fill(&records[1], 301, 10);
    record_fill(&records[2], 400, 500);
    records[0].rows[7] = row_certificate(3000000, records[0].ders[7]);
    records[0].rows[8] = row_certificate(3000001, records[0].ders[8]);
    records[1].rows[0] = row_certificate(8, records[1].ders[0]);
    fixture_submit(&f, ops, 3);
    orders_record(&f, 5000, 1000, 7);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(ops[i]->status, CM_OK);
}

static const char ranges_sql[] =
    "SELECT group_concat(audit || ' ' || first || ' ' || last, char(10)) FROM audit_range";

static void test_ranges_of_a_store_of_version_4_are_those_that_the_engine_writes(void)
{
    static char ranges[2][4096];
    make_scattered("ranges");
    fixture_close(&f);
    read_text(ranges_sql, ranges[0], sizeof ranges[0]);
    CU_ASSERT(strlen(ranges[0]) > 100);
    fixture_reopen(&f);
    make_version_4();
    CU_ASSERT_EQUAL(try_open(true), CM_MISMATCH);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "version 4"));
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    read_text(ranges_sql, ranges[1], sizeof ranges[1]);
    CU_ASSERT_STRING_EQUAL(ranges[0], ranges[1]);
    fixture_done(&f);
}

static bool count_entry(const struct cm_audited *audited, void *arg)
{
    unsigned *seen = arg;
    CU_ASSERT_EQUAL(audited->der.size, 8);
    ++*seen;
    return true;
}

static bool count_stray(const struct cm_audited *audited, void *arg)
{
    (void)audited;
    ++*(unsigned *)arg;
    return true;
}

static void test_every_certificate_of_a_store_of_version_4_is_found_by_its_row(void)
{
    unsigned entries = 0, strays = 0;
    make_scattered("found-by-row");
    make_version_4();
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_record(&f, 6000, 10), CM_OK);
    CU_ASSERT_EQUAL(
        cm_store_walk_audited(fixture_snapshot(&f), 1, INT64_MAX, count_entry, &entries, &f.err),
        CM_OK);
    CU_ASSERT_EQUAL(entries, fixture_counts(&f).certificates);
    CU_ASSERT_EQUAL(cm_store_walk_strays(fixture_snapshot(&f), count_stray, &strays, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(strays, 0);
    fixture_done(&f);
}

/* From before there were trees: they name no row before or after it. */
static void test_certificates_of_version_2_get_no_range(void)
{
    char ranges[64];
    make_filled("no-ranges");
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    read_text("SELECT count(*) FROM audit_range", ranges, sizeof ranges);
    CU_ASSERT_STRING_EQUAL(ranges, "0");
    fixture_done(&f);
}

static const char indexes_sql[] =
    "SELECT group_concat(name || ifnull(sql, ''), char(10)) FROM"
    " (SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name)";

static void test_an_older_store_gets_the_tables_of_a_new_one(void)
{
    static char columns[2][8192], indexes[2][8192];
    fixture_make(&f, "shape-new");
    fixture_close(&f);
    read_text(columns_sql, columns[0], sizeof columns[0]);
    read_text(indexes_sql, indexes[0], sizeof indexes[0]);
    fixture_done(&f);
    make_filled("shape-older");
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    read_text(columns_sql, columns[1], sizeof columns[1]);
    read_text(indexes_sql, indexes[1], sizeof indexes[1]);
    CU_ASSERT(strlen(columns[0]) > 1000);
    CU_ASSERT_STRING_EQUAL(columns[0], columns[1]);
    CU_ASSERT(strlen(indexes[0]) > 100);
    CU_ASSERT_STRING_EQUAL(indexes[0], indexes[1]);
    fixture_done(&f);
}

static void test_an_upgrade_that_fails_leaves_the_store_of_version_4(void)
{
    sqlite3 *db = NULL;
    make_scattered("broken-4");
    make_version_4();
    sqlite3_open(f.path, &db);
    run(db, "CREATE TABLE audit_range (number)"); /* in the way */
    CU_ASSERT_NOT_EQUAL(try_open(false), CM_OK);
    run(db, "DROP TABLE audit_range");
    sqlite3_close(db);
    CU_ASSERT_EQUAL(try_open(true), CM_MISMATCH);
    CU_ASSERT_EQUAL(try_open(false), CM_OK);
    fixture_done(&f);
}

static void test_an_upgrade_that_fails_leaves_the_older_store(void)
{
    sqlite3 *db = NULL;
    make_filled("older-broken");
    sqlite3_open(f.path, &db);
    run(db, "CREATE TABLE imported (number)"); /* in the way */
    CU_ASSERT_NOT_EQUAL(try_open(false), CM_OK);
    run(db, "DROP TABLE imported");
    sqlite3_close(db);
    CU_ASSERT_EQUAL(try_open(true), CM_MISMATCH);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 2);
    fixture_done(&f);
}

CM_TEST_SUITE(store_upgrade, CM_TEST(test_an_older_store_is_read_only_after_an_engine_was_started),
              CM_TEST(test_nothing_of_an_older_store_is_lost),
              CM_TEST(test_abandoned_serials_of_an_older_store_are_revoked),
              CM_TEST(test_certificates_of_an_older_store_are_found_by_device),
              CM_TEST(test_certificates_of_an_older_store_are_no_log_to_be_read),
              CM_TEST(test_ranges_of_a_store_of_version_4_are_those_that_the_engine_writes),
              CM_TEST(test_every_certificate_of_a_store_of_version_4_is_found_by_its_row),
              CM_TEST(test_certificates_of_version_2_get_no_range),
              CM_TEST(test_an_older_store_gets_the_tables_of_a_new_one),
              CM_TEST(test_an_upgrade_that_fails_leaves_the_store_of_version_4),
              CM_TEST(test_an_upgrade_that_fails_leaves_the_older_store));
