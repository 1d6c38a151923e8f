/* What only the SQLite store can get wrong: files, formats, damage, full disks. */
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/store/sqlite/internal.h"
#include "tests/conformance/store_fixture.h"
#include "tests/support/test_main.h"

static struct fixture f;

static cm_status try_open(const char *path, bool create, bool read_only)
{
    const struct cm_store_settings settings = { .path = path,
                                                .create = create,
                                                .read_only = read_only };
    struct cm_store *store = NULL;
    cm_status status = cm_store_open(&cm_store_sqlite, NULL, &settings, &store, &f.err);
    cm_store_close(store);
    return status;
}

/* SQL by another hand, while the store is closed. */
static void tamper(const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    sqlite3_open(f.path, &db);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        CU_FAIL("the SQL of the test is wrong");
    sqlite3_free(message);
    sqlite3_close(db);
}

static void write_at(const char *path, long offset, const void *octets, size_t size)
{
    FILE *file = fopen(path, "r+");
    if (!file)
        abort();
    fseek(file, offset, SEEK_SET);
    fwrite(octets, 1, size, file);
    fclose(file);
}

/* -------------------------------------------------------------------- files -- */

static void test_a_missing_store_is_not_made_by_opening(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/nowhere.db", cm_test_scratch());
    CU_ASSERT_EQUAL(try_open(path, false, false), CM_NOT_FOUND);
    CU_ASSERT_EQUAL(try_open(path, false, true), CM_NOT_FOUND);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/no-folder/s.db", cm_test_scratch());
    CU_ASSERT_EQUAL(try_open(path, true, false), CM_IO);
}

static void test_a_store_is_not_made_over_another(void)
{
    fixture_make(&f, "twice");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    fixture_close(&f);
    CU_ASSERT_EQUAL(try_open(f.path, true, false), CM_EXISTS);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 1);
    fixture_done(&f);
}

static void test_the_files_are_for_their_owner_alone(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
    char path[600];
    struct stat status;
    fixture_make(&f, "modes");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s%s", f.path, suffixes[i]);
        CU_ASSERT_EQUAL(stat(path, &status), 0);
        CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    }
    fixture_done(&f);
}

static void test_another_format_version_is_named(void)
{
    fixture_make(&f, "version");
    fixture_close(&f);
    tamper("PRAGMA user_version = 7");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_MISMATCH);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "version 7"));
    CU_ASSERT_EQUAL(try_open(f.path, false, true), CM_MISMATCH);
    tamper("PRAGMA user_version = 2; PRAGMA application_id = 1");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_MISMATCH);
    fixture_done(&f);
}

/* ---------------------------------------------------------------------- the log -- */

static void reopen_with_log(uint32_t pages_max)
{
    const struct cm_store_settings settings = { .path = f.path, .log_pages_max = pages_max };
    fixture_close(&f);
    CU_ASSERT_EQUAL_FATAL(cm_store_open(&cm_store_sqlite, f.loop, &settings, &f.store, &f.err),
                          CM_OK);
}

static int64_t log_size(void)
{
    char path[600];
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", f.path);
    return stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

/* Some 20 pages an operation: without a move the log would have 1,600 of them. Readers come and go. */
static void test_the_log_stays_short_while_operations_go_on(void)
{
    int64_t longest = 0;
    fixture_make(&f, "short-log");
    reopen_with_log(64);
    for (unsigned i = 0; i < 80; i++) {
        CU_ASSERT_EQUAL(fixture_record(&f, 1 + i * 500, 500), CM_OK);
        if (i % 8 == 0) {
            CU_ASSERT_EQUAL(fixture_counts(&f).certificates, (int64_t)(i + 1) * 500);
            cm_store_reader_end(f.reader);
        }
        longest = log_size() > longest ? log_size() : longest;
    }
    CU_ASSERT(longest < 8 * 64 * 8192);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 40000);
    CU_ASSERT_TRUE(fixture_recall(&f, 1).known);
    CU_ASSERT_TRUE(fixture_recall(&f, 40000).known);
    fixture_done(&f);
}

/* A reader that stays holds the log up, not the writer; when it goes, the log begins again. */
static void test_a_reader_that_stays_holds_up_nothing_but_the_log(void)
{
    fixture_make(&f, "reader-stays");
    reopen_with_log(64);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 500), CM_OK);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    for (unsigned i = 1; i < 60; i++)
        CU_ASSERT_EQUAL(fixture_record(&f, 1 + i * 500, 500), CM_OK);
    int64_t held = log_size();
    struct cm_store_counts counts;
    CU_ASSERT_EQUAL(cm_store_count(reader, &counts, &f.err), CM_OK);
    CU_ASSERT_EQUAL(counts.certificates, 500);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 30000); /* a snapshot of now */
    cm_store_reader_end(reader);
    for (unsigned i = 60; i < 130; i++)
        CU_ASSERT_EQUAL(fixture_record(&f, 1 + i * 500, 500), CM_OK);
    CU_ASSERT(held > 100 * 8192);
    CU_ASSERT(log_size() < 2 * held);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 65000);
    fixture_done(&f);
}

/* ------------------------------------------------------------------- damage -- */

struct strays {
    unsigned count;
    int64_t audit;
};

static bool count_stray(const struct cm_audited *audited, void *arg)
{
    struct strays *strays = arg;
    strays->count++;
    strays->audit = audited->audit;
    return true;
}

static struct strays find_strays(void)
{
    struct strays strays = { .count = 0 };
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(cm_store_walk_strays(fixture_snapshot(&f), count_stray, &strays, &f.err),
                    CM_OK);
    fixture_close(&f);
    return strays;
}

static void test_a_certificate_that_its_row_does_not_find_is_a_stray(void)
{
    fixture_make(&f, "strays");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    CU_ASSERT_EQUAL(fixture_record(&f, 4, 3), CM_OK);
    fixture_close(&f);
    CU_ASSERT_EQUAL(find_strays().count, 0);
    tamper("UPDATE certificate SET audit = 2 WHERE number = (SELECT min(number) FROM certificate)");
    CU_ASSERT_EQUAL(find_strays().count, 1);
    CU_ASSERT_EQUAL(find_strays().audit, 2);
    tamper("UPDATE certificate SET audit = 4711"
           " WHERE number = (SELECT min(number) FROM certificate)");
    CU_ASSERT_EQUAL(find_strays().audit, 4711);
    tamper("DELETE FROM audit_range WHERE audit = 2");
    CU_ASSERT_EQUAL(find_strays().count, 4);
    fixture_done(&f);
}

static void test_a_file_that_is_no_database_is_corrupt(void)
{
    fixture_make(&f, "header");
    fixture_close(&f);
    write_at(f.path, 0, "no database at all", 18);
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_CORRUPT);
    CU_ASSERT_EQUAL(try_open(f.path, false, true), CM_CORRUPT);
    fixture_done(&f);
}

static void test_a_damaged_page_is_found_after_an_unclean_stop(void)
{
    uint8_t zero[8192] = { 0 };
    char lock[600];
    struct stat status;
    fixture_make(&f, "page");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1000), CM_OK);
    fixture_close(&f);
    stat(f.path, &status);
    write_at(f.path, (long)status.st_size - 2 * (long)sizeof zero, zero, sizeof zero);
    snprintf(lock, sizeof lock, "%s.lock", f.path);
    write_at(lock, 0, "12345\n", 6); /* as a killed process leaves it */
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "damaged"));
    fixture_done(&f);
}

static void test_rows_taken_out_by_another_hand_are_noticed(void)
{
    fixture_make(&f, "taken");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 10), CM_OK);
    CU_ASSERT_EQUAL(fixture_record(&f, 11, 10), CM_OK);
    fixture_close(&f);
    tamper("DELETE FROM audit WHERE number = 2");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_CORRUPT);
    fixture_done(&f);
}

struct chain {
    uint8_t tail[CM_HASH_SIZE];
    bool holds;
};

static bool follow(const struct cm_audit_row *row, void *arg)
{
    struct chain *chain = arg;
    uint8_t hash[CM_HASH_SIZE];
    cm_audit_hash(row, hash);
    chain->holds = memcmp(row->previous, chain->tail, CM_HASH_SIZE) == 0
                   && memcmp(row->hash, hash, CM_HASH_SIZE) == 0;
    memcpy(chain->tail, row->hash, CM_HASH_SIZE);
    return chain->holds;
}

static bool chain_holds(void)
{
    struct chain chain = { .holds = false };
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(cm_store_walk_audit(fixture_snapshot(&f), 1, follow, &chain, &f.err), CM_OK);
    fixture_close(&f);
    return chain.holds;
}

static void test_any_change_of_an_audit_row_breaks_the_chain(void)
{
    static const char *const changes[] = {
        "UPDATE audit SET time_ms = time_ms + 1 WHERE number = 2",
        "UPDATE audit SET kind = 'tesu' WHERE number = 2",
        "UPDATE audit SET actor = 'testes' WHERE number = 2",
        "UPDATE audit SET detail = '{]' WHERE number = 2",
        "UPDATE audit SET digest = zeroblob(32) WHERE number = 2",
        "UPDATE audit SET previous = zeroblob(32) WHERE number = 2",
        "UPDATE audit SET hash = zeroblob(32) WHERE number = 2",
    };
    fixture_make(&f, "flipped");
    for (unsigned n = 1; n <= 3; n++)
        CU_ASSERT_EQUAL(fixture_record(&f, n, 1), CM_OK);
    fixture_close(&f);
    tamper("CREATE TABLE kept AS SELECT * FROM audit");
    CU_ASSERT_TRUE(chain_holds());
    for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        tamper(changes[i]);
        CU_ASSERT_FALSE(chain_holds());
        tamper("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept");
        CU_ASSERT_TRUE(chain_holds());
    }
    fixture_done(&f);
}

/* ---------------------------------------------------------------- full disks -- */

static void limit_file_size(rlim_t size)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void test_a_write_that_fails_changes_nothing_and_later_ones_succeed(void)
{
    char wal[600];
    struct stat status = { .st_size = 0 };
    signal(SIGXFSZ, SIG_IGN);
    fixture_make(&f, "full");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 10), CM_OK);
    snprintf(wal, sizeof wal, "%s-wal", f.path);
    stat(wal, &status);
    limit_file_size((rlim_t)status.st_size + 10000); /* room for a page, then none */
    CU_ASSERT_EQUAL(fixture_record(&f, 11, 1000), CM_IO);
    CU_ASSERT_EQUAL(f.err.origin, CM_ORIGIN_SQLITE);
    CU_ASSERT_EQUAL(fixture_record(&f, 11, 1000), CM_IO);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 10);
    limit_file_size(RLIM_INFINITY);
    CU_ASSERT_EQUAL(fixture_record(&f, 11, 1000), CM_OK);
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, 1010);
    fixture_close(&f);
    CU_ASSERT_TRUE(chain_holds());
    fixture_done(&f);
}

/* ------------------------------------------------------- requests on the move -- */

enum { MOVING_ROWS = 100000, MOVING_STEP = 500 };

static atomic_uint rows_recorded;

/* Whatever was recorded before the snapshot is known in it, wherever it stands meanwhile. */
static void *look_for_recorded(void *arg)
{
    struct cm_store_reader *reader = NULL;
    struct cm_arena arena;
    struct cm_error err;
    uintptr_t missing = 0;
    unsigned looks = 0, recorded;
    cm_arena_init(&arena, 65536);
    if (cm_store_reader_open(arg, &reader, &err) != CM_OK)
        abort();
    while ((recorded = atomic_load(&rows_recorded)) < MOVING_ROWS) {
        if (cm_store_reader_begin(reader, &err) != CM_OK)
            abort();
        for (unsigned i = 0; recorded > 0 && i < 100; i++) {
            struct cm_request_key key = row_key(1 + looks++ * 7919 % recorded);
            struct cm_recall recall = { .known = false };
            if (cm_store_recall(reader, &key, &arena, &recall, &err) != CM_OK || !recall.known)
                missing++;
        }
        cm_store_reader_end(reader);
        cm_arena_reset(&arena);
    }
    cm_store_reader_close(reader);
    cm_arena_done(&arena);
    return (void *)(looks > 0 ? missing : 1);
}

static void test_requests_are_found_while_they_move_into_the_index(void)
{
    pthread_t thread;
    void *missing;
    fixture_make(&f, "moving");
    atomic_store(&rows_recorded, 0);
    pthread_create(&thread, NULL, look_for_recorded, f.store);
    for (unsigned first = 1; first < MOVING_ROWS; first += MOVING_STEP) {
        CU_ASSERT_EQUAL(fixture_record(&f, first, MOVING_STEP), CM_OK);
        atomic_store(&rows_recorded, first + MOVING_STEP - 1);
    }
    pthread_join(thread, &missing);
    CU_ASSERT_PTR_NULL(missing);
    fixture_done(&f);
}

/* Stops what runs outside a transaction, as a disk that cannot be read would: a BEGIN. */
static int stop_begin(void *db)
{
    return sqlite3_get_autocommit(db);
}

static cm_status recall_in(struct cm_store_reader *reader, unsigned n)
{
    const struct cm_request_key key = row_key(n);
    struct cm_recall recall;
    return cm_store_recall(reader, &key, &f.arena, &recall, &f.err);
}

static bool see_none(const struct cm_certificate_found *found, void *arg)
{
    (void)found;
    (void)arg;
    CU_FAIL("a certificate was seen");
    return false;
}

static void test_a_snapshot_that_cannot_be_renewed_fails_every_look_up_until_the_next(void)
{
    struct cm_device device;
    struct cm_certificate_found found;
    struct cm_serial serial = row_serial(1);
    enum cm_issued issued;
    fixture_make(&f, "not-renewed");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    struct cm_sqlite_reader *inside = (struct cm_sqlite_reader *)reader;
    inside->moves--; /* as if requests had moved since: what is not found wants a newer snapshot */
    sqlite3_progress_handler(inside->db, 1, stop_begin, inside->db);
    CU_ASSERT_EQUAL(recall_in(reader, 2), CM_IO);
    sqlite3_progress_handler(inside->db, 0, NULL, NULL);
    CU_ASSERT_EQUAL(recall_in(reader, 1), CM_IO);
    CU_ASSERT_EQUAL(cm_store_find_device(reader, cm_bytes_str("device"), &f.arena, &device, &f.err),
                    CM_IO);
    CU_ASSERT_EQUAL(cm_store_find_certificate(reader, 1, &f.arena, &found, &f.err), CM_IO);
    CU_ASSERT_EQUAL(cm_store_find_issued(reader, 1, cm_serial_content(&serial), &issued, &f.err),
                    CM_IO);
    CU_ASSERT_EQUAL(cm_store_walk_device_certificates(reader, 1, see_none, NULL, &f.err), CM_IO);
    CU_ASSERT_TRUE(fixture_recall(&f, 1).known); /* in a snapshot of its own */
    fixture_done(&f);
}

static int64_t number_in(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    sqlite3_open(f.path, &db);
    int64_t number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return number;
}

static void test_a_program_beside_the_writer_finds_requests_in_log_and_index(void)
{
    const struct cm_store_settings settings = { .path = f.path, .read_only = true };
    fixture_make(&f, "beside");
    for (unsigned first = 1; first < 60000; first += 1000)
        CU_ASSERT_EQUAL(fixture_record(&f, first, 1000), CM_OK);
    fixture_close(&f);
    CU_ASSERT(number_in("SELECT count(*) FROM request") > 20000);
    CU_ASSERT(number_in("SELECT count(*) FROM request") < 60000);
    CU_ASSERT_EQUAL(cm_store_open(&cm_store_sqlite, NULL, &settings, &f.store, &f.err), CM_OK);
    for (unsigned n = 1; n <= 60000; n += 5003)
        CU_ASSERT_TRUE(fixture_recall(&f, n).known);
    CU_ASSERT_TRUE(fixture_recall(&f, 60000).known);
    CU_ASSERT_FALSE(fixture_recall(&f, 60001).known);
    fixture_done(&f);
}

/*
 * Moves go around the ring of stretches, and a start may come after any of them. What a move left
 * around the ring's end is the oldest after another time around: that takes some thirty moves.
 */
static void test_no_start_between_two_moves_forgets_a_request(void)
{
    unsigned next = 1;
    unsigned forgotten = 0;
    int64_t moved = 0;
    fixture_make(&f, "starts");
    for (unsigned starts = 0; starts < 48; starts++) {
        int64_t until = moved;
        while (until == moved) {
            CU_ASSERT_EQUAL_FATAL(fixture_record(&f, next, 1000), CM_OK);
            next += 1000;
            until = number_in("SELECT max(moved_until) FROM request_stretch");
        }
        moved = until;
        fixture_close(&f);
        fixture_reopen(&f);
    }
    CU_ASSERT_EQUAL(fixture_counts(&f).certificates, next - 1);
    for (unsigned n = 1; n < next; n++)
        forgotten += !fixture_recall(&f, n).known;
    CU_ASSERT_EQUAL(forgotten, 0);
    CU_ASSERT(number_in("SELECT min(number) FROM request_log") > 1);
    fixture_done(&f);
}

static void test_the_content_of_an_imported_certificate_is_kept_once_it_is_known(void)
{
    static const uint8_t serial[] = { 5 };
    struct cm_imported_row row = { .generation_number = 1, .serial = cm_bytes(serial, 1) };
    struct cm_generation generation = { .authority = cm_bytes_str("issuing"),
                                        .generation = 1,
                                        .created_ms = FIXTURE_TIME_MS };
    struct cm_store_op put = { .kind = CM_STORE_GENERATION,
                               .generation = &generation,
                               .audit = &fixture_audit };
    struct cm_store_op op = {
        .kind = CM_STORE_IMPORT, .imported = &row, .imported_count = 1, .audit = &fixture_audit
    };
    fixture_make(&f, "imported");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &put, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    row.der = cm_bytes_str("der");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    row.der = cm_bytes(NULL, 0);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(number_in("SELECT count(*) FROM imported WHERE der = CAST('der' AS BLOB)"), 1);
    fixture_done(&f);
}

static void test_a_request_that_is_missing_is_noticed(void)
{
    fixture_make(&f, "missing");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    CU_ASSERT_EQUAL(fixture_record(&f, 4, 3), CM_OK);
    fixture_close(&f);
    tamper("DELETE FROM request_log WHERE number = 1");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "3 requests of 6"));
    fixture_done(&f);
}

static void test_a_log_that_names_a_request_twice_is_corrupt(void)
{
    fixture_make(&f, "log-twice");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 3), CM_OK);
    fixture_close(&f);
    tamper("INSERT INTO request_log SELECT number + 1, items FROM request_log");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_CORRUPT);
    tamper("UPDATE request_log SET items = zeroblob(24)");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_CORRUPT);
    fixture_done(&f);
}

CM_TEST_SUITE(store_sqlite, CM_TEST(test_a_missing_store_is_not_made_by_opening),
              CM_TEST(test_a_store_is_not_made_over_another),
              CM_TEST(test_the_files_are_for_their_owner_alone),
              CM_TEST(test_another_format_version_is_named),
              CM_TEST(test_the_log_stays_short_while_operations_go_on),
              CM_TEST(test_a_reader_that_stays_holds_up_nothing_but_the_log),
              CM_TEST(test_a_certificate_that_its_row_does_not_find_is_a_stray),
              CM_TEST(test_a_file_that_is_no_database_is_corrupt),
              CM_TEST(test_a_damaged_page_is_found_after_an_unclean_stop),
              CM_TEST(test_rows_taken_out_by_another_hand_are_noticed),
              CM_TEST(test_any_change_of_an_audit_row_breaks_the_chain),
              CM_TEST(test_a_write_that_fails_changes_nothing_and_later_ones_succeed),
              CM_TEST(test_requests_are_found_while_they_move_into_the_index),
              CM_TEST(test_a_snapshot_that_cannot_be_renewed_fails_every_look_up_until_the_next),
              CM_TEST(test_a_program_beside_the_writer_finds_requests_in_log_and_index),
              CM_TEST(test_no_start_between_two_moves_forgets_a_request),
              CM_TEST(test_the_content_of_an_imported_certificate_is_kept_once_it_is_known),
              CM_TEST(test_a_request_that_is_missing_is_noticed),
              CM_TEST(test_a_log_that_names_a_request_twice_is_corrupt));
