/* What only the SQLite store can get wrong: files, formats, damage, full disks. */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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
    tamper("PRAGMA user_version = 1; PRAGMA application_id = 1");
    CU_ASSERT_EQUAL(try_open(f.path, false, false), CM_MISMATCH);
    fixture_done(&f);
}

/* ------------------------------------------------------------------- damage -- */

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

CM_TEST_SUITE(store_sqlite, CM_TEST(test_a_missing_store_is_not_made_by_opening),
              CM_TEST(test_a_store_is_not_made_over_another),
              CM_TEST(test_the_files_are_for_their_owner_alone),
              CM_TEST(test_another_format_version_is_named),
              CM_TEST(test_a_file_that_is_no_database_is_corrupt),
              CM_TEST(test_a_damaged_page_is_found_after_an_unclean_stop),
              CM_TEST(test_rows_taken_out_by_another_hand_are_noticed),
              CM_TEST(test_any_change_of_an_audit_row_breaks_the_chain),
              CM_TEST(test_a_write_that_fails_changes_nothing_and_later_ones_succeed));
