/* The store's contract: what is recorded names its audit row, and checkpoints follow each other. */
#include "tests/conformance/store_orders.h"

#include "tests/support/test_main.h"

static struct fixture f;
static struct record record_a, record_b;
static int64_t before; /* rows of the audit log */

static void make(const char *name)
{
    fixture_make(&f, name);
    orders_put_devices(&f, 3);
    before = fixture_counts(&f).audit_rows;
}

/* ------------------------------------------------------------------ rows and trees -- */

struct list {
    unsigned count;
    struct cm_audited items[16]; /* without their spans */
};

static bool note(const struct cm_audited *audited, void *arg)
{
    struct list *list = arg;
    CU_ASSERT_EQUAL(audited->der.size, audited->is_abandoned ? 0 : 8);
    list->items[list->count] = *audited;
    list->items[list->count++].der = cm_bytes(NULL, 0);
    return list->count < 16;
}

static struct list list_audited(int64_t first, int64_t last)
{
    struct list list = { .count = 0 };
    CU_ASSERT_EQUAL(cm_store_walk_audited(fixture_snapshot(&f), first, last, note, &list, &f.err),
                    CM_OK);
    return list;
}

static void expect_entry(const struct cm_audited *audited, int64_t audit, bool is_abandoned,
                         unsigned n)
{
    struct cm_serial serial = row_serial(n);
    CU_ASSERT_EQUAL(audited->audit, audit);
    CU_ASSERT_EQUAL(audited->is_abandoned, is_abandoned);
    CU_ASSERT(memcmp(audited->serial, serial.octets, CM_SERIAL_SIZE) == 0);
    CU_ASSERT_EQUAL(audited->generation_number, 1);
}

static void test_certificates_and_abandoned_serials_name_their_row(void)
{
    struct cm_abandoned_row given_up = { .serial = row_serial(2), .generation_number = 1 };
    struct cm_store_op *ops[] = { &record_a.op, &record_b.op };
    make("audited");
    record_fill(&record_a, 5, 2);
    record_fill(&record_b, 3, 2);
    record_b.op.abandoned = &given_up;
    record_b.op.abandoned_count = 1;
    fixture_submit(&f, ops, 2); /* in one transaction */
    struct list list = list_audited(1, INT64_MAX);
    CU_ASSERT_EQUAL_FATAL(list.count, 5);
    expect_entry(&list.items[0], before + 1, false, 5);
    expect_entry(&list.items[1], before + 1, false, 6);
    expect_entry(&list.items[2], before + 2, false, 3);
    expect_entry(&list.items[3], before + 2, false, 4);
    expect_entry(&list.items[4], before + 2, true, 2);
    CU_ASSERT_EQUAL(list_audited(before + 1, before + 1).count, 2);
    CU_ASSERT_EQUAL(list_audited(before + 3, INT64_MAX).count, 0);
    fixture_done(&f);
}

/* A promise that is kept late lies far from the rest of its batch, and other batches lie between. */
static void test_a_row_finds_its_certificates_wherever_their_numbers_lie(void)
{
    struct cm_store_op *ops[] = { &record_a.op, &record_b.op };
    struct list strays = { .count = 0 };
    make("audited-apart");
    record_fill(&record_a, 1, 4);
    record_fill(&record_b, 3, 2);
    record_a.rows[0] = row_certificate(9000000, record_a.ders[0]);
    record_a.rows[2] = row_certificate(5, record_a.ders[2]);
    record_a.rows[3] = row_certificate(1, record_a.ders[3]);
    fixture_submit(&f, ops, 2);
    struct list list = list_audited(before + 1, before + 1);
    CU_ASSERT_EQUAL_FATAL(list.count, 4);
    expect_entry(&list.items[0], before + 1, false, 1);
    expect_entry(&list.items[1], before + 1, false, 2);
    expect_entry(&list.items[2], before + 1, false, 5);
    expect_entry(&list.items[3], before + 1, false, 9000000);
    list = list_audited(before + 2, before + 2);
    CU_ASSERT_EQUAL_FATAL(list.count, 2);
    expect_entry(&list.items[0], before + 2, false, 3);
    expect_entry(&list.items[1], before + 2, false, 4);
    CU_ASSERT_EQUAL(cm_store_walk_strays(fixture_snapshot(&f), note, &strays, &f.err), CM_OK);
    CU_ASSERT_EQUAL(strays.count, 0);
    fixture_done(&f);
}

static void test_orders_of_the_same_operation_have_rows_of_their_own(void)
{
    struct cm_order order = order_for_device(CM_ORDER_REVOKE, "d3");
    make("audited-orders");
    record_fill(&record_a, 1, 1);
    record_a.op.orders = &order;
    record_a.op.orders_count = 1;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    struct list list = list_audited(1, INT64_MAX);
    CU_ASSERT_EQUAL_FATAL(list.count, 1);
    CU_ASSERT_EQUAL(fixture_counts(&f).audit_rows, before + 2);
    expect_entry(&list.items[0], before + 2, false, 1);
    struct cm_certificate_found found = { .number = 0 };
    struct cm_serial serial = row_serial(1);
    struct cm_store_reader *reader = fixture_snapshot(&f);
    CU_ASSERT_EQUAL(
        cm_store_find_certificate(reader, cm_serial_number(&serial), &f.arena, &found, &f.err),
        CM_OK);
    CU_ASSERT_EQUAL(found.audit, before + 2);
    fixture_done(&f);
}

/* The first of two operations is refused: its row's number is the second one's. */
static void test_what_was_rolled_back_takes_no_row(void)
{
    struct cm_store_op *ops[] = { &record_a.op, &record_b.op };
    make("audited-rollback");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    record_fill(&record_a, 1, 2); /* number 1 is there */
    record_fill(&record_b, 3, 1);
    fixture_submit(&f, ops, 2);
    CU_ASSERT_NOT_EQUAL(record_a.op.status, CM_OK);
    CU_ASSERT_EQUAL(record_b.op.status, CM_OK);
    struct list list = list_audited(1, INT64_MAX);
    CU_ASSERT_EQUAL_FATAL(list.count, 2);
    expect_entry(&list.items[1], before + 2, false, 3);
    fixture_done(&f);
}

static void test_what_there_is_is_counted(void)
{
    struct cm_audited_counts counts;
    struct cm_abandoned_row given_up = { .serial = row_serial(9), .generation_number = 1 };
    make("audited-counts");
    record_fill(&record_a, 1, 4);
    record_a.op.abandoned = &given_up;
    record_a.op.abandoned_count = 1;
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &record_a.op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_count_audited(fixture_snapshot(&f), &counts, &f.err), CM_OK);
    CU_ASSERT_EQUAL(counts.certificates, 4);
    CU_ASSERT_EQUAL(counts.contents, 4);
    CU_ASSERT_EQUAL(counts.abandoned, 1);
    CU_ASSERT_EQUAL(counts.certificates_unaudited + counts.abandoned_unaudited, 0);
    fixture_done(&f);
}

/* ----------------------------------------------------------------- checkpoints -- */

/* Of the last row, behind this one; number 0: the first. */
static struct cm_checkpoint checkpoint_after(const struct cm_checkpoint *last)
{
    struct cm_audit_row row = order_audit(&f);
    struct cm_checkpoint checkpoint = { .number = last->number + 1,
                                        .audit = row.number,
                                        .time_ms = FIXTURE_TIME_MS,
                                        .spki = cm_bytes_str("spki"),
                                        .sigalg = cm_bytes_str("ed25519"),
                                        .signature = cm_bytes_str("signature") };
    memcpy(checkpoint.hash, row.hash, CM_HASH_SIZE);
    if (last->number > 0)
        cm_checkpoint_hash(last, checkpoint.previous);
    return checkpoint;
}

static cm_status put(const struct cm_checkpoint *checkpoint)
{
    struct cm_store_op op = { .kind = CM_STORE_CHECKPOINT, .checkpoint = checkpoint };
    return cm_store_apply(f.store, &op, &f.err);
}

static bool note_checkpoint(const struct cm_checkpoint *checkpoint, void *arg)
{
    struct cm_checkpoint *last = arg;
    CU_ASSERT_EQUAL(checkpoint->number, last->number + 1);
    CU_ASSERT(cm_bytes_is(checkpoint->spki, "spki"));
    CU_ASSERT(cm_bytes_is(checkpoint->sigalg, "ed25519"));
    CU_ASSERT(cm_bytes_is(checkpoint->signature, "signature"));
    *last = *checkpoint;
    return true;
}

static struct cm_checkpoint last_checkpoint(void)
{
    struct cm_checkpoint last = { .number = 0 };
    CU_ASSERT_EQUAL(
        cm_store_walk_checkpoints(fixture_snapshot(&f), 0, note_checkpoint, &last, &f.err), CM_OK);
    return last;
}

static void test_checkpoints_follow_each_other_after_a_reopening_too(void)
{
    static const struct cm_checkpoint none = { .number = 0 };
    make("checkpoints");
    struct cm_checkpoint first = checkpoint_after(&none);
    CU_ASSERT_EQUAL(put(&first), CM_OK);
    CU_ASSERT_EQUAL(fixture_counts(&f).audit_rows, before); /* a checkpoint is no row */
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    struct cm_checkpoint second = checkpoint_after(&first);
    CU_ASSERT_EQUAL(put(&second), CM_OK);
    struct cm_checkpoint last = last_checkpoint();
    CU_ASSERT_EQUAL(last.number, 2);
    CU_ASSERT_EQUAL(last.audit, before + 1);
    CU_ASSERT(memcmp(last.hash, second.hash, CM_HASH_SIZE) == 0);
    CU_ASSERT(memcmp(last.previous, second.previous, CM_HASH_SIZE) == 0);
    fixture_done(&f);
}

static void test_a_checkpoint_that_does_not_follow_is_refused(void)
{
    static const struct cm_checkpoint none = { .number = 0 };
    make("checkpoints-order");
    struct cm_checkpoint first = checkpoint_after(&none);
    CU_ASSERT_EQUAL(put(&first), CM_OK);
    CU_ASSERT_EQUAL(put(&first), CM_EXISTS);
    struct cm_checkpoint again = checkpoint_after(&first); /* the same row */
    CU_ASSERT_EQUAL(put(&again), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    struct cm_checkpoint next = checkpoint_after(&first);
    next.previous[31] ^= 1;
    CU_ASSERT_EQUAL(put(&next), CM_EXISTS);
    next = checkpoint_after(&first);
    next.number++;
    CU_ASSERT_EQUAL(put(&next), CM_EXISTS);
    next = checkpoint_after(&first);
    next.hash[0] ^= 1;
    CU_ASSERT_EQUAL(put(&next), CM_MISMATCH);
    next = checkpoint_after(&first);
    next.audit++; /* not there yet */
    CU_ASSERT_EQUAL(put(&next), CM_MISMATCH);
    CU_ASSERT_EQUAL(last_checkpoint().number, 1);
    fixture_done(&f);
}

CM_TEST_SUITE(store_audit, CM_TEST(test_certificates_and_abandoned_serials_name_their_row),
              CM_TEST(test_a_row_finds_its_certificates_wherever_their_numbers_lie),
              CM_TEST(test_orders_of_the_same_operation_have_rows_of_their_own),
              CM_TEST(test_what_was_rolled_back_takes_no_row),
              CM_TEST(test_what_there_is_is_counted),
              CM_TEST(test_checkpoints_follow_each_other_after_a_reopening_too),
              CM_TEST(test_a_checkpoint_that_does_not_follow_is_refused));
