/* Certificates by device from inside: how their log becomes runs. */
#include <sqlite3.h>
#include <stdio.h>

#include "engine/store/sqlite/internal.h"
#include "tests/conformance/store_orders.h"
#include "tests/support/test_main.h"

enum { DEVICES = 7, BLOCK = 500, BLOCKS = 200 };

static struct fixture f;

/* By another hand, while the store is closed. */
static int64_t run(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    int64_t number = -1;
    sqlite3_open(f.path, &db);
    CU_ASSERT_EQUAL(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    if (sqlite3_step(row) == SQLITE_ROW)
        number = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return number;
}

static void make(const char *name)
{
    fixture_make(&f, name);
    orders_put_devices(&f, DEVICES);
}

static void record_block(unsigned block)
{
    orders_record(&f, 1 + block * BLOCK, BLOCK, DEVICES);
}

static bool sum_number(const struct cm_certificate_found *found, void *arg)
{
    uint64_t *sums = arg;
    sums[0]++;
    sums[1] += (uint64_t)found->number & 0xfffff;
    return true;
}

/* Of all rows that were recorded, by walking, and by orders that change each of them once. */
static void check_from(unsigned first_device, unsigned rows)
{
    for (unsigned device = first_device; device <= DEVICES; device++) {
        uint64_t walked[2] = { 0, 0 }, expected[2] = { 0, 0 };
        char id[16];
        for (unsigned n = device; n <= rows; n += DEVICES) {
            expected[0]++;
            expected[1] += n;
        }
        CU_ASSERT_EQUAL(cm_store_walk_device_certificates(fixture_snapshot(&f), device, sum_number,
                                                          walked, &f.err),
                        CM_OK);
        CU_ASSERT_EQUAL(walked[0], expected[0]);
        CU_ASSERT_EQUAL(walked[1], expected[1]);
        snprintf(id, sizeof id, "d%u", device);
        struct cm_order order = order_for_device(CM_ORDER_QUARANTINE, id);
        CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
        CU_ASSERT_EQUAL(order.certificates_changed, expected[0]);
    }
}

static void check_all(unsigned rows)
{
    check_from(1, rows);
}

static const char in_runs_sql[] =
    "SELECT ifnull(sum(length(items)) / 16, 0) FROM device_run, total WHERE run <= device_runs";
static const char in_log_sql[] = "SELECT ifnull(sum(length(items)) / 16, 0) FROM device_log";

/* Each pair stands once: in a run that counts, or in the log. */
static void check_once(int64_t rows)
{
    CU_ASSERT_EQUAL(run(in_runs_sql) + run(in_log_sql), rows);
}

/* ---------------------------------------------------------------------------------- */

static void test_the_log_becomes_runs_when_it_is_long(void)
{
    make("moves");
    for (unsigned block = 0; block < BLOCKS; block++)
        record_block(block);
    fixture_close(&f);
    CU_ASSERT(run("SELECT device_runs FROM total") >= 2);
    CU_ASSERT(run(in_runs_sql) >= 65536);
    CU_ASSERT(run("SELECT max(length(items)) FROM device_run")
              < 2030); /* none overflows its page */
    check_once(BLOCKS * BLOCK);
    fixture_reopen(&f);
    check_all(BLOCKS * BLOCK);
    fixture_done(&f);
}

/* 37 is prime to the number of blocks: each comes once, far from its neighbours. */
static void test_certificates_in_any_order_are_all_found(void)
{
    make("any-order");
    for (unsigned i = 0; i < BLOCKS; i++) {
        record_block(i * 37 % BLOCKS);
        if (i % 60 == 59)
            fixture_reopen(&f);
        if (i % 25 == 24) { /* brings rows into memory */
            struct cm_order order = order_for_device(CM_ORDER_REINSTATE, "d1");
            CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
            CU_ASSERT_EQUAL(order.code, CM_REFUSAL_REVOKE_NOT_ON_HOLD);
        }
    }
    check_all(BLOCKS * BLOCK);
    fixture_close(&f);
    check_once(BLOCKS * BLOCK);
    fixture_done(&f);
}

static void test_a_move_that_fails_is_made_up_for(void)
{
    make("fails");
    fixture_close(&f);
    run("CREATE TRIGGER stop BEFORE INSERT ON device_run WHEN"
        " (SELECT count(*) FROM device_run) >= 100 BEGIN SELECT RAISE(ABORT, 'full'); END");
    fixture_reopen(&f);
    for (unsigned block = 0; block < BLOCKS / 2; block++)
        record_block(block);
    struct cm_order order = order_for_device(CM_ORDER_REVOKE, "d1");
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.certificates_changed, (BLOCKS / 2 * BLOCK + DEVICES - 1) / DEVICES);
    fixture_close(&f);
    int64_t rows = run("SELECT count(*) FROM device_run");
    CU_ASSERT(rows > 0); /* of a run that does not count */
    CU_ASSERT(rows <= 100);
    CU_ASSERT_EQUAL(run("SELECT device_runs FROM total"), 0);
    run("DROP TRIGGER stop");
    fixture_reopen(&f);
    for (unsigned block = BLOCKS / 2; block < BLOCKS; block++)
        record_block(block);
    fixture_close(&f);
    CU_ASSERT(run("SELECT device_runs FROM total") > 0);
    check_once(BLOCKS * BLOCK);
    fixture_reopen(&f);
    check_from(2, BLOCKS * BLOCK);
    fixture_done(&f);
}

/* What was brought into memory inside a transaction may not be there after it. */
static void test_rows_that_were_undone_are_not_kept_in_memory(void)
{
    static struct record many[12];
    struct cm_store_op *ops[13];
    struct cm_order order = order_for_device(CM_ORDER_REVOKE, "d1");
    struct cm_store_op order_op = { .kind = CM_STORE_RECORD, .orders = &order, .orders_count = 1 };
    make("undone");
    orders_record(&f, 1, 1, DEVICES);
    fixture_close(&f);
    run("CREATE TRIGGER stop BEFORE UPDATE ON total WHEN NEW.certificates > 1"
        " BEGIN SELECT RAISE(ABORT, 'full'); END"); /* as late as a commit that fails */
    fixture_reopen(&f);
    ((struct cm_sqlite_store *)f.store)->group_rows_max = 100000;
    for (unsigned i = 0; i < 12; i++) {
        record_fill(&many[i], 1001 + 1000 * i, 1000);
        ops[i] = &many[i].op;
    }
    ops[12] = &order_op;
    fixture_submit(&f, ops, 13);
    /* By the trigger, or as promised before the order that was carried out first and undone. */
    for (unsigned i = 0; i < 12; i++)
        CU_ASSERT(many[i].op.status == CM_INVALID || many[i].op.status == CM_DENIED);
    CU_ASSERT_EQUAL(order_op.status, CM_OK);
    CU_ASSERT_EQUAL(order.certificates_changed, 1);
    fixture_done(&f);
}

CM_TEST_SUITE(store_listing, CM_TEST(test_the_log_becomes_runs_when_it_is_long),
              CM_TEST(test_certificates_in_any_order_are_all_found),
              CM_TEST(test_a_move_that_fails_is_made_up_for),
              CM_TEST(test_rows_that_were_undone_are_not_kept_in_memory));
