/* The publisher: there is always a fresh CRL, and never one that takes something back. */
#include "engine/revocation/publisher.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/support/test_main.h"
#include "tests/unit/revocation/publisher_rig.h"

/* ------------------------------------------------------------------ the usual -- */

static void test_a_first_start_publishes_an_empty_list_of_every_shard(void)
{
    rig_begin(&(const struct rig_settings){ .shards = 3 });
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/2.crl", NTH(1)));
    struct rig_crl crl = rig_crl("/crl/issuing-1/2.crl");
    CU_ASSERT(crl.verifies);
    CU_ASSERT(crl.has_idp);
    CU_ASSERT_FALSE(crl.has_freshest);
    CU_ASSERT_EQUAL(crl.entries_count, 0);
    CU_ASSERT_EQUAL(crl.base_number, -1);
    CU_ASSERT_EQUAL(crl.this_update_s, RIG_NOW_S);
    CU_ASSERT_EQUAL(crl.next_update_s, RIG_NOW_S + 7 * RIG_DAY_S);
    CU_ASSERT(rig_folder_agrees("/crl/issuing-1/2.crl"));
    CU_ASSERT_FALSE(rig_crl("/crl/issuing-1/3.crl").is_there);
    CU_ASSERT_FALSE(rig_crl("/crl/issuing-1/2-delta.crl").is_there);
    CU_ASSERT_EQUAL(rig_count().shards, 3);
    CU_ASSERT_EQUAL(rig_count().published, 3);
    CU_ASSERT_EQUAL(rig_count().overdue, 0);
    CU_ASSERT_EQUAL(rig_count().next_expiry_s, RIG_NOW_S + 7 * RIG_DAY_S);
    rig_end();
}

static void test_the_authoritys_certificate_is_published_in_both_forms(void)
{
    rig_begin(&rig_plain);
    struct cm_document *cer = cm_shelf_take(rig.shelf, cm_bytes_str("/ca/issuing-1.cer"));
    struct cm_document *pem = cm_shelf_take(rig.shelf, cm_bytes_str("/ca/issuing-1.pem"));
    CU_ASSERT_FATAL(cer && pem);
    CU_ASSERT(cm_bytes_equal(cer->content, rig.key.certificate));
    CU_ASSERT_STRING_EQUAL(cer->content_type, "application/pkix-cert");
    CU_ASSERT_STRING_EQUAL(pem->content_type, "application/x-pem-file");
    CU_ASSERT_EQUAL(memcmp(pem->content.data, "-----BEGIN CERTIFICATE-----\n", 28), 0);
    cm_document_let_go(cer);
    cm_document_let_go(pem);
    CU_ASSERT(rig_wait(rig_folder_has, (void *)(uintptr_t) "/ca/issuing-1.cer"));
    CU_ASSERT(rig_wait(rig_folder_has, (void *)(uintptr_t) "/ca/issuing-1.pem"));
    rig_end();
}

static void test_a_revocation_is_in_the_next_list_and_others_go_with_it(void)
{
    rig_begin(&rig_plain);
    rig_revoke(3, CM_REASON_KEY_COMPROMISE);
    rig_revoke(4, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).entries_count, 2);
    CU_ASSERT(rig_crl(CRL).verifies);
    CU_ASSERT_EQUAL(rig_reason(CRL, 3), CM_REASON_KEY_COMPROMISE);
    CU_ASSERT_EQUAL(rig_reason(CRL, 4), CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_folder_agrees(CRL));
    rig_run(100);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    rig_end();
}

static const char *path_of(unsigned shard)
{
    static char path[40];
    snprintf(path, sizeof path, "/crl/issuing-1/%u.crl", shard);
    return path;
}

/* How many of three shards have a second list. */
static unsigned count_second(void)
{
    unsigned count_of_them = 0;
    for (unsigned i = 0; i < 3; i++)
        count_of_them += rig_crl(path_of(i)).number == NTH(2);
    return count_of_them;
}

static bool has_second(void *arg)
{
    (void)arg;
    return count_second() > 0;
}

static void test_what_comes_while_a_list_is_made_waits_for_its_own_time(void)
{
    rig_begin(&rig_plain);
    rig_touch(rig.holds);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    rig_run(200); /* it is made, and waits for its signature */
    rig.authority.crl_delay_ms = 3600 * 1000;
    rig_revoke(3, CM_REASON_UNSPECIFIED);
    rig_remove(rig.holds);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_run(100);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    rig_end();
}

static void test_a_change_touches_its_own_shard_only(void)
{
    unsigned shown = 0;
    rig_begin(&(const struct rig_settings){ .shards = 3 });
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/2.crl", NTH(1)));
    rig_revoke(3, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT(rig_wait(has_second, NULL));
    rig_run(100);
    CU_ASSERT_EQUAL(count_second(), 1);
    for (unsigned i = 0; i < 3; i++)
        shown += rig_reason(path_of(i), 3) == CM_REASON_KEY_COMPROMISE;
    CU_ASSERT_EQUAL(shown, 1);
    rig_end();
}

static void test_a_list_is_renewed_before_it_ends_and_not_before_that(void)
{
    rig_begin(&rig_plain);
    rig_pass(4 * RIG_DAY_S - 1);
    rig_run(100);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    rig_pass(1);
    CU_ASSERT(rig_wait_number(CRL, AT(4 * RIG_DAY_S)));
    CU_ASSERT_EQUAL(rig_crl(CRL).this_update_s, RIG_NOW_S + 4 * RIG_DAY_S);
    CU_ASSERT_EQUAL(rig_crl(CRL).next_update_s, RIG_NOW_S + 11 * RIG_DAY_S);
    rig.authority.crl_overlap_s = 6 * RIG_DAY_S;
    rig_pass(RIG_DAY_S);
    CU_ASSERT(rig_wait_number(CRL, AT(5 * RIG_DAY_S)));
    rig_end();
}

static void test_without_a_url_there_is_one_list_that_covers_all(void)
{
    rig_begin(&(const struct rig_settings){
        .shards = 3, .has_no_url = true, .has_no_folder = true, .delta_validity_s = 7200 });
    CU_ASSERT_EQUAL(rig_count().shards, 1);
    CU_ASSERT_FALSE(rig_crl(CRL).has_idp);
    CU_ASSERT_FALSE(rig_crl(DELTA).is_there);
    rig_revoke(1, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(access(rig.folder, F_OK), -1);
    rig_end();
}

static void test_an_entry_leaves_after_it_was_shown_past_its_end(void)
{
    rig_begin(&rig_plain);
    rig_import(1, RIG_NOW_S + RIG_DAY_S);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(rig_imported_reason(CRL, 1), CM_REASON_SUPERSEDED);
    rig_pass(4 * RIG_DAY_S);
    CU_ASSERT(rig_wait_number(CRL, AT(4 * RIG_DAY_S)));
    CU_ASSERT_EQUAL(rig_imported_reason(CRL, 1), CM_REASON_SUPERSEDED);
    rig_pass(4 * RIG_DAY_S);
    CU_ASSERT(rig_wait_number(CRL, AT(8 * RIG_DAY_S)));
    CU_ASSERT_EQUAL(rig_imported_reason(CRL, 1), -1);
    CU_ASSERT_EQUAL(rig.notices_count, 0);
    rig_end();
}

/* ------------------------------------------------------------------ deltas -- */

static void test_a_delta_says_what_its_base_does_not(void)
{
    rig_begin(&rig_with_delta);
    CU_ASSERT(rig_crl(CRL).has_freshest);
    CU_ASSERT_EQUAL(rig_crl(DELTA).number, NTH(1));
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(1));
    CU_ASSERT_EQUAL(rig_crl(DELTA).entries_count, 0);
    CU_ASSERT(rig_crl(DELTA).has_idp);
    CU_ASSERT_FALSE(rig_crl(DELTA).has_freshest);
    CU_ASSERT_EQUAL(rig_crl(DELTA).next_update_s, RIG_NOW_S + 7200);
    rig_order(CM_ORDER_QUARANTINE, "d1");
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(1));
    CU_ASSERT(rig_crl(DELTA).verifies);
    CU_ASSERT_EQUAL(rig_reason(CRL, 1), CM_REASON_CERTIFICATE_HOLD);
    CU_ASSERT_EQUAL(rig_reason(DELTA, 1), CM_REASON_CERTIFICATE_HOLD);
    rig_order(CM_ORDER_REINSTATE, "d1");
    CU_ASSERT(rig_wait_number(DELTA, NTH(3)));
    CU_ASSERT_EQUAL(rig_reason(CRL, 1), -1);
    CU_ASSERT_EQUAL(rig_reason(DELTA, 1), CM_REASON_REMOVE_FROM_CRL);
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(1));
    CU_ASSERT_EQUAL(rig.notices_count, 0);
    CU_ASSERT(rig_folder_agrees(DELTA));
    rig_end();
}

static void test_a_delta_is_renewed_alone_and_a_renewed_list_is_its_base(void)
{
    rig_begin(&rig_with_delta);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    rig_pass(3600);
    CU_ASSERT(rig_wait_number(DELTA, AT(3600)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(1));
    CU_ASSERT_EQUAL(rig_reason(DELTA, 2), CM_REASON_UNSPECIFIED);
    rig_pass(4 * RIG_DAY_S);
    CU_ASSERT(rig_wait_number(DELTA, AT(3600 + 4 * RIG_DAY_S)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, AT(3600 + 4 * RIG_DAY_S));
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, AT(3600 + 4 * RIG_DAY_S));
    CU_ASSERT_EQUAL(rig_crl(DELTA).entries_count, 0);
    rig_end();
}

CM_TEST_SUITE_WITH(publisher, rig_begin_suite, rig_end_suite,
                   CM_TEST(test_a_first_start_publishes_an_empty_list_of_every_shard),
                   CM_TEST(test_the_authoritys_certificate_is_published_in_both_forms),
                   CM_TEST(test_a_revocation_is_in_the_next_list_and_others_go_with_it),
                   CM_TEST(test_what_comes_while_a_list_is_made_waits_for_its_own_time),
                   CM_TEST(test_a_change_touches_its_own_shard_only),
                   CM_TEST(test_a_list_is_renewed_before_it_ends_and_not_before_that),
                   CM_TEST(test_without_a_url_there_is_one_list_that_covers_all),
                   CM_TEST(test_an_entry_leaves_after_it_was_shown_past_its_end),
                   CM_TEST(test_a_delta_says_what_its_base_does_not),
                   CM_TEST(test_a_delta_is_renewed_alone_and_a_renewed_list_is_its_base));
