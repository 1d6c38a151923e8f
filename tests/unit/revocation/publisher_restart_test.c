/* The publisher after a stop, a crash, and with a store that knows less than what is published. */
#include "engine/revocation/publisher.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/revocation/crl_files.h"
#include "providers/fake/fake.h"
#include "tests/support/test_main.h"
#include "tests/unit/revocation/publisher_rig.h"

/* ------------------------------------------------------------------ restarts -- */

static void test_a_restart_goes_on_with_what_is_published(void)
{
    rig_begin(&rig_with_delta);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    struct rig_crl before = rig_crl(CRL), delta = rig_crl(DELTA);
    rig_close();
    rig_open();
    CU_ASSERT_STRING_EQUAL(rig_crl(CRL).etag, before.etag);
    CU_ASSERT_STRING_EQUAL(rig_crl(DELTA).etag, delta.etag);
    rig_run(100);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(rig.provider), 0);
    rig_revoke(3, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(DELTA, NTH(3)));
    CU_ASSERT_EQUAL(rig_crl(CRL).entries_count, 2);
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(2));
    CU_ASSERT_EQUAL(rig_crl(DELTA).entries_count, 1);
    rig_end();
}

static void test_deltas_that_are_new_in_the_settings_are_named_by_the_list_at_once(void)
{
    rig_begin(&rig_plain);
    CU_ASSERT_FALSE(rig_crl(CRL).has_freshest);
    rig_close();
    rig.authority.delta_validity_s = 7200;
    rig_open();
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT(rig_crl(CRL).has_freshest);
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(2));
    rig_end();
}

static void test_what_was_revoked_while_nobody_looked_is_published_after_a_start(void)
{
    rig_begin(&rig_plain);
    rig_close();
    rig.publisher = NULL;
    rig_import(1, RIG_NOW_S + RIG_DAY_S);
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(rig_imported_reason(CRL, 1), CM_REASON_SUPERSEDED);
    rig_end();
}

static void test_a_number_that_was_taken_and_not_used_is_burned(void)
{
    rig_begin(&rig_plain);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_close();
    rig_take_number(NTH(7));
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2)); /* better than none, until there is a new one */
    CU_ASSERT(rig_wait_number(CRL, NTH(8)));
    CU_ASSERT_EQUAL(rig_crl(CRL).entries_count, 1);
    rig_end();
}

static void test_a_file_of_somebody_else_is_replaced_and_told(void)
{
    struct cm_error err;
    rig_begin(&rig_plain);
    rig_close();
    CU_ASSERT_EQUAL(cm_crl_files_write(rig.folder, CRL, cm_bytes_str("hello"), &err), CM_OK);
    rig_open();
    CU_ASSERT_NOT_EQUAL(rig.notices_count, 0);
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT(rig_folder_agrees(CRL));
    rig_end();
}

static void test_the_list_of_the_software_before_stays_until_there_is_one_of_ours(void)
{
    rig_make(&(const struct rig_settings){ .shards = 1, .has_no_url = true });
    rig_write_foreign_crl(CRL, 4711);
    rig_import(1, RIG_NOW_S + RIG_DAY_S);
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, 4711);
    CU_ASSERT(rig_wait_number(CRL, NTH(1)));
    CU_ASSERT_EQUAL(rig_imported_reason(CRL, 1), CM_REASON_SUPERSEDED);
    /* What it shows, and nobody has imported, stays revoked. */
    CU_ASSERT_EQUAL(rig_crl(CRL).entries_count, 3);
    CU_ASSERT(rig_wait_notice("2 certificates that published CRLs show as revoked"));
    CU_ASSERT_EQUAL(rig.notices_count, 1);
    rig_end();
}

static void test_numbers_that_somebody_else_has_taken_are_left_out(void)
{
    rig_begin(&rig_plain);
    rig_take_number(NTH(900));
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(901)));
    rig_end();
}

static void test_a_shard_takes_no_list_of_another(void)
{
    struct cm_bytes other;
    struct cm_error err;
    rig_begin(&(const struct rig_settings){ .shards = 2 });
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    rig_close();
    CU_ASSERT_EQUAL(cm_crl_files_read(rig.folder, "/crl/issuing-1/1.crl", &other, &err), CM_OK);
    CU_ASSERT_EQUAL(cm_crl_files_write(rig.folder, CRL, other, &err), CM_OK);
    free((void *)(uintptr_t)other.data);
    rig_open();
    CU_ASSERT(rig_wait_notice("is no CRL of its shard"));
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_end();
}

static void test_without_a_folder_a_start_makes_new_lists_behind_the_old_numbers(void)
{
    rig_begin(&(const struct rig_settings){ .shards = 1, .has_no_folder = true });
    rig_close();
    rig_open();
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_end();
}

static void test_numbers_do_not_go_back_with_a_store_that_was_restored(void)
{
    rig_begin(&(const struct rig_settings){ .shards = 1, .has_no_folder = true });
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_close();
    rig_forget_store();
    rig.time_ms += 10 * 1000;
    rig_open();
    CU_ASSERT(rig_wait_number(CRL, AT(10)));
    rig_end();
}

static bool ocsp_would_say(unsigned n, enum cm_reason reason)
{
    struct cm_book_found found;
    return rig_find_in_book(n, &found) && found.reason == reason && found.revoked_s > 0;
}

static void test_an_old_copy_of_the_store_takes_nothing_back(void)
{
    rig_begin(&rig_plain);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_close();
    rig_forget_store();
    rig_open();
    CU_ASSERT(rig_wait_notice("is the store an old copy"));
    CU_ASSERT(rig_wait_notice("certmill ca import --issuer issuing-1 --crl "));
    CU_ASSERT(ocsp_would_say(2, CM_REASON_UNSPECIFIED));
    CU_ASSERT(rig_wait_number(CRL, NTH(3)));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_folder_agrees(CRL));
    CU_ASSERT_EQUAL(rig_count().failed, 0);
    rig_end();
}

static void test_what_only_a_delta_shows_is_not_taken_back_either(void)
{
    rig_begin(&rig_with_delta);
    rig_revoke(2, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    rig_close();
    rig_forget_store();
    rig_remove(CRL);
    rig_open();
    CU_ASSERT(rig_wait_notice("certmill ca import --issuer issuing-1 --crl "));
    CU_ASSERT(ocsp_would_say(2, CM_REASON_KEY_COMPROMISE));
    CU_ASSERT(rig_wait_number(CRL, NTH(3)));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_KEY_COMPROMISE);
    rig_end();
}

/* ------------------------------------------------------------------ crashes -- */

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* A process that has published, and dies on the way of the list that shows a revocation. */
static void die_at(const char *fault)
{
    rig_begin(&rig_plain);
    (void)rig_wait(rig_folder_has, (void *)(uintptr_t) "/ca/issuing-1.pem");
    rig_close();
    setenv("CERTMILL_FAULT", fault, 1);
    rig_open();
    (void)rig_wait(rig_folder_has, (void *)(uintptr_t) "/ca/issuing-1.pem");
    rig_revoke(2, CM_REASON_KEY_COMPROMISE);
    (void)rig_wait(never, NULL);
    _exit(0);
}

/* False where this build cannot. */
static bool crash_at(const char *fault)
{
#ifdef CM_FAULT_POINTS
    int how;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        die_at(fault);
    waitpid(pid, &how, 0);
    CU_ASSERT_FATAL(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    rig_find(&rig_plain);
    return true;
#else
    (void)die_at;
    cm_test_skip("%s: built without fault_points", fault);
    return false;
#endif
}

/* The number is burned, the old list is there until the next. */
static void check_burned(void)
{
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_wait_number(CRL, NTH(3)));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_KEY_COMPROMISE);
    CU_ASSERT(rig_folder_agrees(CRL));
    rig_end();
}

static void test_a_crash_behind_the_number_burns_it(void)
{
    if (crash_at("crl-numbered:1:kill"))
        check_burned();
}

static void test_a_crash_behind_the_signature_burns_the_number(void)
{
    if (crash_at("crl-signed:1:kill"))
        check_burned();
}

static void test_a_crash_before_the_file_is_in_its_place_leaves_the_old_one(void)
{
    char path[500];
    if (!crash_at("crl-written:1:kill"))
        return;
    snprintf(path, sizeof path, "%s/crl/issuing-1/.0.crl.unfinished", rig.folder);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    check_burned();
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

static void test_a_crash_behind_the_renaming_has_published(void)
{
    if (!crash_at("crl-renamed:1:kill"))
        return;
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_KEY_COMPROMISE);
    rig_run(100);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(rig.provider), 0);
    rig_end();
}

CM_TEST_SUITE_WITH(publisher_restart, rig_begin_suite, rig_end_suite,
                   CM_TEST(test_a_restart_goes_on_with_what_is_published),
                   CM_TEST(test_deltas_that_are_new_in_the_settings_are_named_by_the_list_at_once),
                   CM_TEST(test_what_was_revoked_while_nobody_looked_is_published_after_a_start),
                   CM_TEST(test_a_number_that_was_taken_and_not_used_is_burned),
                   CM_TEST(test_a_file_of_somebody_else_is_replaced_and_told),
                   CM_TEST(test_the_list_of_the_software_before_stays_until_there_is_one_of_ours),
                   CM_TEST(test_numbers_that_somebody_else_has_taken_are_left_out),
                   CM_TEST(test_a_shard_takes_no_list_of_another),
                   CM_TEST(test_without_a_folder_a_start_makes_new_lists_behind_the_old_numbers),
                   CM_TEST(test_numbers_do_not_go_back_with_a_store_that_was_restored),
                   CM_TEST(test_an_old_copy_of_the_store_takes_nothing_back),
                   CM_TEST(test_what_only_a_delta_shows_is_not_taken_back_either),
                   CM_TEST(test_a_crash_behind_the_number_burns_it),
                   CM_TEST(test_a_crash_behind_the_signature_burns_the_number),
                   CM_TEST(test_a_crash_before_the_file_is_in_its_place_leaves_the_old_one),
                   CM_TEST(test_a_crash_behind_the_renaming_has_published));
