/* The store's contract: what status services ask: issued serials, CRL numbers, imported certificates. */
#include "tests/conformance/store_orders.h"

#include <stdio.h>
#include <time.h>

#include "tests/support/test_main.h"

static struct fixture f;

/* Two generations, four devices, twenty certificates of the first generation. */
static void make(const char *name)
{
    struct cm_generation one = fixture_generation(1), two = fixture_generation(2);
    fixture_make(&f, name);
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &one), CM_OK);
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &two), CM_OK);
    orders_put_devices(&f, 4);
    orders_record(&f, 1, 20, 4);
}

/* --------------------------------------------------------------------- generations -- */

static bool keep_generation(const struct cm_generation *generation, void *arg)
{
    struct cm_generation *kept = arg;
    kept->crl_shards = generation->crl_shards;
    kept->crl_url = cm_arena_copy(&f.arena, generation->crl_url);
    return true;
}

static void test_a_generation_keeps_what_stands_in_its_certificates(void)
{
    struct cm_generation row = fixture_generation(1), kept = { .number = 0 };
    fixture_make(&f, "crl-url");
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &row), CM_OK);
    row.crl_shards = 16;
    row.crl_url = cm_bytes_str("http://crl.example/${shard}.crl");
    CU_ASSERT_EQUAL(fixture_put_generation(&f, &row), CM_OK);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(cm_store_walk_generations(fixture_snapshot(&f), keep_generation, &kept, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(kept.crl_shards, 16);
    CU_ASSERT_TRUE(cm_bytes_is(kept.crl_url, "http://crl.example/${shard}.crl"));
    fixture_done(&f);
}

/* ------------------------------------------------------------------ issued serials -- */

static int find_issued(int64_t generation, struct cm_bytes serial)
{
    enum cm_issued issued = CM_ISSUED_NEVER;
    CU_ASSERT_EQUAL(cm_store_find_issued(fixture_snapshot(&f), generation, serial, &issued, &f.err),
                    CM_OK);
    return (int)issued;
}

static void test_a_serial_is_issued_by_its_own_generation_only(void)
{
    static const uint8_t other[] = { 5 }, long_form[] = { 0, 5 };
    struct cm_serial serial = row_serial(3), near = row_serial(3), far = row_serial(30);
    struct cm_abandoned_row abandoned = { .serial = row_serial(30), .generation_number = 1 };
    struct cm_store_op op = { .kind = CM_STORE_RECORD,
                              .abandoned = &abandoned,
                              .abandoned_count = 1,
                              .audit = &fixture_audit };
    make("issued");
    near.octets[CM_SERIAL_SIZE - 1]++;
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&serial)), CM_ISSUED_CERTIFICATE);
    CU_ASSERT_EQUAL(find_issued(2, cm_serial_content(&serial)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&near)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&far)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(find_issued(1, cm_bytes(other, 1)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(find_issued(1, cm_bytes(long_form, 2)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(find_issued(1, cm_bytes(NULL, 0)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_OK);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&far)), CM_ISSUED_ABANDONED);
    CU_ASSERT_EQUAL(find_issued(2, cm_serial_content(&far)), CM_ISSUED_NEVER);
    cm_store_reader_end(f.reader); /* outside a snapshot as well */
    enum cm_issued issued = CM_ISSUED_NEVER;
    CU_ASSERT_EQUAL(cm_store_find_issued(f.reader, 1, cm_serial_content(&serial), &issued, &f.err),
                    CM_OK);
    CU_ASSERT_EQUAL(issued, CM_ISSUED_CERTIFICATE);
    CU_ASSERT_EQUAL(cm_store_reader_begin(f.reader, &f.err), CM_OK);
    fixture_done(&f);
}

static void test_a_serial_is_promised_until_it_is_recorded_or_abandoned(void)
{
    struct cm_intent_item items[2] = { { .serial = row_serial(150) },
                                       { .serial = row_serial(151) } };
    struct cm_intent intent = {
        .created_ms = FIXTURE_TIME_MS, .generation_number = 1, .items = items, .items_count = 2
    };
    struct cm_store_op promise = { .kind = CM_STORE_INTENT, .intent = &intent };
    struct cm_abandoned_row abandoned = { .serial = row_serial(151), .generation_number = 1 };
    struct cm_store_op settle = { .kind = CM_STORE_RECORD,
                                  .abandoned = &abandoned,
                                  .abandoned_count = 1,
                                  .intents_closed = &intent.number,
                                  .intents_closed_count = 1,
                                  .audit = &fixture_audit };
    struct cm_serial first = row_serial(150), second = row_serial(151), third = row_serial(152);
    make("promised");
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &promise, &f.err), CM_OK);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&first)), CM_ISSUED_PROMISED);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&second)), CM_ISSUED_PROMISED);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&third)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(find_issued(2, cm_serial_content(&first)), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(fixture_record(&f, 150, 1), CM_OK); /* the intent is open still */
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&first)), CM_ISSUED_CERTIFICATE);
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &settle, &f.err), CM_OK);
    CU_ASSERT_EQUAL(find_issued(1, cm_serial_content(&second)), CM_ISSUED_ABANDONED);
    fixture_done(&f);
}

/* --------------------------------------------------------------------- CRL numbers -- */

static struct cm_crl_row crl_row(uint32_t shard, uint64_t number, bool is_delta)
{
    return (struct cm_crl_row){ .generation_number = 1,
                                .shard = shard,
                                .is_delta = is_delta,
                                .number = number,
                                .base_number = is_delta ? 1 : 0,
                                .this_update_s = ORDER_TIME_S,
                                .next_update_s = ORDER_TIME_S + 60,
                                .revision = (int64_t)number,
                                .tbs_hash = { (uint8_t)number } };
}

static cm_status put_crls(struct cm_crl_row *rows, uint32_t count)
{
    struct cm_store_op op = { .kind = CM_STORE_CRLS, .crls = rows, .crls_count = count };
    return cm_store_apply(f.store, &op, &f.err);
}

static cm_status put_crl(uint32_t shard, uint64_t number, bool is_delta)
{
    struct cm_crl_row row = crl_row(shard, number, is_delta);
    return put_crls(&row, 1);
}

struct crls {
    unsigned count;
    struct cm_crl_row rows[8];
};

static bool see_crl(const struct cm_crl_row *crl, void *arg)
{
    struct crls *crls = arg;
    crls->rows[crls->count++] = *crl;
    return crls->count < 8;
}

static struct crls walk_crls(void)
{
    struct crls crls = { .count = 0 };
    CU_ASSERT_EQUAL(cm_store_walk_crls(fixture_snapshot(&f), see_crl, &crls, &f.err), CM_OK);
    return crls;
}

static void test_the_number_of_a_crl_never_goes_back(void)
{
    fixture_make(&f, "crl-numbers");
    CU_ASSERT_EQUAL(put_crl(0, 5, false), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 5, false), CM_EXISTS);
    CU_ASSERT_EQUAL(put_crl(0, 4, false), CM_EXISTS);
    CU_ASSERT_EQUAL(put_crl(0, 5, true),
                    CM_EXISTS); /* its complete list is of an earlier operation */
    CU_ASSERT_EQUAL(put_crl(0, 6, true), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 6, true), CM_EXISTS);
    CU_ASSERT_EQUAL(put_crl(0, 6, false), CM_EXISTS); /* nor may it follow its delta */
    CU_ASSERT_EQUAL(put_crl(1, 5, false), CM_OK);     /* of another shard */
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(put_crl(0, 6, false), CM_EXISTS);
    CU_ASSERT_EQUAL(put_crl(0, 7, false), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 0, false), CM_INVALID);
    CU_ASSERT_EQUAL(put_crl(0, UINT64_MAX, false), CM_INVALID);
    fixture_done(&f);
}

static void test_a_delta_may_have_the_number_of_the_list_that_it_goes_with(void)
{
    struct cm_crl_row rows[] = { crl_row(0, 9, true), crl_row(0, 9, false), crl_row(1, 3, false) };
    fixture_make(&f, "crl-together");
    CU_ASSERT_EQUAL(put_crls(rows, 3), CM_OK);
    CU_ASSERT_EQUAL(put_crls(rows, 3), CM_EXISTS);
    struct cm_crl_row twice[] = { crl_row(0, 10, false), crl_row(0, 10, true),
                                  crl_row(0, 10, true) };
    CU_ASSERT_EQUAL(put_crls(twice, 3), CM_EXISTS);
    struct cm_crl_row elsewhere[] = { crl_row(1, 9, false), crl_row(2, 9, true) };
    CU_ASSERT_EQUAL(put_crl(2, 9, false), CM_OK);
    CU_ASSERT_EQUAL(put_crls(elsewhere, 2), CM_EXISTS);
    CU_ASSERT_EQUAL(walk_crls().count, 4);
    fixture_done(&f);
}

static void test_the_latest_lists_of_each_shard_are_walked(void)
{
    fixture_make(&f, "crl-walk");
    CU_ASSERT_EQUAL(walk_crls().count, 0);
    CU_ASSERT_EQUAL(put_crl(1, 1, false), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 2, false), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 3, true), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 4, true), CM_OK);
    CU_ASSERT_EQUAL(put_crl(0, 5, false), CM_OK);
    fixture_reopen(&f);
    struct crls crls = walk_crls();
    CU_ASSERT_EQUAL(crls.count, 3);
    struct cm_crl_row expected[] = { crl_row(0, 5, false), crl_row(0, 4, true),
                                     crl_row(1, 1, false) };
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(crls.rows[i].shard, expected[i].shard);
        CU_ASSERT_EQUAL(crls.rows[i].number, expected[i].number);
        CU_ASSERT_EQUAL(crls.rows[i].is_delta, expected[i].is_delta);
        CU_ASSERT_EQUAL(crls.rows[i].base_number, expected[i].base_number);
        CU_ASSERT_EQUAL(crls.rows[i].revision, expected[i].revision);
        CU_ASSERT_EQUAL(crls.rows[i].this_update_s, expected[i].this_update_s);
        CU_ASSERT_EQUAL(crls.rows[i].next_update_s, expected[i].next_update_s);
        CU_ASSERT_EQUAL(memcmp(crls.rows[i].tbs_hash, expected[i].tbs_hash, CM_HASH_SIZE), 0);
    }
    fixture_done(&f);
}

/* ------------------------------------------------------------ imported certificates -- */

static const uint8_t serial_5[] = { 5 };

static struct cm_imported_row imported_row(void)
{
    return (struct cm_imported_row){ .generation_number = 1,
                                     .serial = cm_bytes(serial_5, 1),
                                     .not_after_s = 3000000000,
                                     .der = cm_bytes_str("certificate") };
}

static cm_status import(struct cm_imported_row *row, uint32_t *ret_changed)
{
    struct cm_store_op op = {
        .kind = CM_STORE_IMPORT, .imported = row, .imported_count = 1, .audit = &fixture_audit
    };
    cm_status status = cm_store_apply(f.store, &op, &f.err);
    *ret_changed = op.imported_changed;
    return status;
}

static bool keep_revocation(const struct cm_revocation *revocation, void *arg)
{
    struct cm_revocation *kept = arg;
    if (cm_bytes_equal(revocation->serial, cm_bytes(serial_5, 1)))
        *kept = *revocation;
    kept->serial = cm_bytes(NULL, 0);
    return true;
}

static struct cm_revocation standing(void)
{
    struct cm_revocation kept = { .revision = 0 };
    CU_ASSERT_EQUAL(
        cm_store_walk_revocations(fixture_snapshot(&f), 0, keep_revocation, &kept, &f.err), CM_OK);
    return kept;
}

static void test_an_imported_certificate_is_issued_and_may_be_revoked(void)
{
    static const char *const groups[] = { "odd", "even" };
    uint32_t changed;
    struct cm_imported_row row = imported_row();
    make("import");
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 0);
    fixture_reopen(&f);
    CU_ASSERT_EQUAL(find_issued(1, row.serial), CM_ISSUED_CERTIFICATE);
    CU_ASSERT_EQUAL(find_issued(2, row.serial), CM_ISSUED_NEVER);
    CU_ASSERT_EQUAL(standing().revision, 0);
    struct cm_order order = order_for_serial(1, CM_REASON_SUPERSEDED);
    order.serial = row.serial;
    order.groups = groups;
    order.groups_count = 2;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    order.groups = NULL;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(standing().not_after_s, 3000000000);
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK); /* good there: no better here */
    CU_ASSERT_EQUAL(changed, 0);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_SUPERSEDED);
    fixture_done(&f);
}

static void test_an_imported_certificate_on_hold_is_reinstated(void)
{
    static const char *const groups[] = { "odd", "even" };
    uint32_t changed;
    struct cm_imported_row row = imported_row();
    row.reason = CM_REASON_CERTIFICATE_HOLD;
    row.revoked_s = ORDER_TIME_S;
    make("import-held");
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_CERTIFICATE_HOLD);
    struct cm_order order = order_for_serial(1, CM_REASON_UNSPECIFIED);
    order.kind = CM_ORDER_REINSTATE;
    order.serial = row.serial;
    order.groups = groups;
    order.groups_count = 2;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED);
    order.groups = NULL;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_REMOVE_FROM_CRL);
    fixture_done(&f);
}

static void test_a_serial_that_two_generations_have_issued_needs_its_issuer(void)
{
    uint32_t changed;
    struct cm_imported_row one = imported_row(), two = imported_row();
    two.generation_number = 2;
    make("import-two");
    CU_ASSERT_EQUAL(import(&one, &changed), CM_OK);
    CU_ASSERT_EQUAL(import(&two, &changed), CM_OK);
    struct cm_order order = order_for_serial(1, CM_REASON_SUPERSEDED);
    order.serial = one.serial;
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_REVOKE_ISSUER_MISSING);
    order.issuer = cm_bytes_str("issuing-2");
    CU_ASSERT_EQUAL(order_apply(&f, &order), CM_OK);
    CU_ASSERT_EQUAL(order.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(standing().generation_number, 2);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 1);
    fixture_done(&f);
}

static void test_an_import_makes_a_status_only_worse(void)
{
    uint32_t changed;
    struct cm_imported_row row = imported_row();
    make("import-worse");
    row.reason = CM_REASON_CERTIFICATE_HOLD;
    row.revoked_s = 1600000000;
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(standing().revoked_s, 1600000000);
    row.reason = CM_REASON_UNSPECIFIED;
    row.revoked_s = 0; /* good, says the old CA: ours stays */
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 0);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_CERTIFICATE_HOLD);
    row.reason = CM_REASON_SUPERSEDED;
    row.revoked_s = 1650000000;
    row.invalidity_s = 1590000000;
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    CU_ASSERT_EQUAL(standing().reason, CM_REASON_SUPERSEDED);
    CU_ASSERT_EQUAL(standing().revoked_s, 1600000000);
    CU_ASSERT_EQUAL(standing().invalidity_s, 1590000000);
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 0);
    fixture_done(&f);
}

static void test_an_old_hold_is_not_imported_over_one_that_has_ended(void)
{
    uint32_t changed;
    make("import-old-hold");
    struct cm_order one = order_for_serial(3, CM_REASON_UNSPECIFIED);
    struct cm_order hold = order_for_device(CM_ORDER_QUARANTINE, "d3");
    struct cm_order end = order_for_device(CM_ORDER_REINSTATE, "d3");
    CU_ASSERT_EQUAL(order_apply(&f, &hold), CM_OK);
    CU_ASSERT_EQUAL(order_apply(&f, &end), CM_OK);
    CU_ASSERT_EQUAL(order_standing(&f, 3).reason, CM_REASON_REMOVE_FROM_CRL);
    struct cm_imported_row row = imported_row();
    row.serial = one.serial;
    row.reason = CM_REASON_CERTIFICATE_HOLD;
    row.revoked_s = ORDER_TIME_S;
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(order_standing(&f, 3).reason, CM_REASON_REMOVE_FROM_CRL);
    row.reason = CM_REASON_SUPERSEDED; /* that is for good */
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(order_standing(&f, 3).reason, CM_REASON_SUPERSEDED);
    fixture_done(&f);
}

static void test_what_is_known_of_an_imported_certificate_grows(void)
{
    uint32_t changed;
    struct cm_imported_row row = imported_row();
    make("import-grows");
    row.der = cm_bytes(NULL, 0); /* from a CRL */
    row.not_after_s = 0;
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    row = imported_row(); /* then the certificate */
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 0);
    row.not_after_s = 0; /* and the next CRL */
    row.revoked_s = 1600000000;
    CU_ASSERT_EQUAL(import(&row, &changed), CM_OK);
    CU_ASSERT_EQUAL(changed, 1);
    CU_ASSERT_EQUAL(standing().not_after_s, 3000000000);
    fixture_done(&f);
}

static void test_an_imported_date_is_one_that_a_list_can_show(void)
{
    uint32_t changed;
    const int64_t far_s = 300000000000, soon_s = (int64_t)time(NULL) + 3600;
    struct cm_imported_row rows[] = { imported_row(), imported_row(), imported_row(),
                                      imported_row() };
    make("import-dates");
    rows[0].revoked_s = far_s;
    rows[1].revoked_s = soon_s;
    rows[2].revoked_s = 1600000000;
    rows[2].invalidity_s = far_s;
    rows[3].not_after_s = far_s;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CU_ASSERT_EQUAL(import(&rows[i], &changed), CM_INVALID);
    CU_ASSERT_EQUAL(fixture_counts(&f).revocations, 0);
    fixture_done(&f);
}

static void test_an_import_against_the_contract_changes_nothing(void)
{
    static const uint8_t negative[] = { 0x80 };
    uint32_t changed;
    struct cm_imported_row rows[] = { imported_row(), imported_row(), imported_row(),
                                      imported_row(), imported_row() };
    struct cm_imported_row good_and_bad[2];
    make("import-bad");
    rows[0].serial = cm_bytes(negative, 1);
    rows[1].generation_number = 3; /* there is none */
    rows[2].reason = CM_REASON_REMOVE_FROM_CRL;
    rows[2].revoked_s = ORDER_TIME_S;
    rows[3].reason = CM_REASON_SUPERSEDED; /* without a date */
    rows[4].not_after_s = -1;
    for (unsigned i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(import(&rows[i], &changed), CM_INVALID);
        CU_ASSERT_EQUAL(find_issued(1, rows[i].serial), CM_ISSUED_NEVER);
    }
    good_and_bad[0] = imported_row();
    good_and_bad[1] = rows[0];
    struct cm_store_op op = { .kind = CM_STORE_IMPORT,
                              .imported = good_and_bad,
                              .imported_count = 2,
                              .audit = &fixture_audit };
    CU_ASSERT_EQUAL(cm_store_apply(f.store, &op, &f.err), CM_INVALID);
    CU_ASSERT_EQUAL(find_issued(1, good_and_bad[0].serial), CM_ISSUED_NEVER);
    fixture_done(&f);
}

CM_TEST_SUITE(store_status, CM_TEST(test_a_generation_keeps_what_stands_in_its_certificates),
              CM_TEST(test_a_serial_is_issued_by_its_own_generation_only),
              CM_TEST(test_a_serial_is_promised_until_it_is_recorded_or_abandoned),
              CM_TEST(test_the_number_of_a_crl_never_goes_back),
              CM_TEST(test_a_delta_may_have_the_number_of_the_list_that_it_goes_with),
              CM_TEST(test_the_latest_lists_of_each_shard_are_walked),
              CM_TEST(test_an_imported_certificate_is_issued_and_may_be_revoked),
              CM_TEST(test_an_imported_certificate_on_hold_is_reinstated),
              CM_TEST(test_a_serial_that_two_generations_have_issued_needs_its_issuer),
              CM_TEST(test_an_import_makes_a_status_only_worse),
              CM_TEST(test_an_old_hold_is_not_imported_over_one_that_has_ended),
              CM_TEST(test_what_is_known_of_an_imported_certificate_grows),
              CM_TEST(test_an_imported_date_is_one_that_a_list_can_show),
              CM_TEST(test_an_import_against_the_contract_changes_nothing));
