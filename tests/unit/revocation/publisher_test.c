/* The publisher: there is always a fresh CRL, and never one that takes something back. */
#include "engine/revocation/publisher.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/revocation/crl_files.h"
#include "providers/fake/fake.h"
#include "tests/support/test_main.h"
#include "tests/unit/revocation/publisher_rig.h"

#define CRL   "/crl/issuing-1/0.crl"
#define DELTA "/crl/issuing-1/0-delta.crl"

/* Numbers of lists: the nth of those that are made in the rig's first second; the first of a later one. */
#define NTH(n)            (RIG_NOW_S + (n)-1)
#define AT(seconds_later) (RIG_NOW_S + (seconds_later))

static const struct rig_settings plain = { .shards = 1 };
static const struct rig_settings with_delta = { .shards = 1, .delta_validity_s = 7200 };

static void begin(const struct rig_settings *settings)
{
    rig_make(settings);
    rig_open();
    CU_ASSERT_FATAL(rig_wait_number(CRL, NTH(1)));
}

static void end(void)
{
    rig_close();
    rig_done();
}

static struct cm_publisher_counts count(void)
{
    struct cm_publisher_counts counts;
    cm_publisher_count(rig.publisher, &counts);
    return counts;
}

/* ------------------------------------------------------------------ the usual -- */

static void test_a_first_start_publishes_an_empty_list_of_every_shard(void)
{
    begin(&(const struct rig_settings){ .shards = 3 });
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
    CU_ASSERT_EQUAL(count().shards, 3);
    CU_ASSERT_EQUAL(count().published, 3);
    CU_ASSERT_EQUAL(count().overdue, 0);
    CU_ASSERT_EQUAL(count().next_expiry_s, RIG_NOW_S + 7 * RIG_DAY_S);
    end();
}

static bool folder_agrees(void *arg)
{
    return rig_folder_agrees(arg);
}

static void test_the_authoritys_certificate_is_published_in_both_forms(void)
{
    begin(&plain);
    struct cm_document *cer = cm_shelf_take(rig.shelf, cm_bytes_str("/ca/issuing-1.cer"));
    struct cm_document *pem = cm_shelf_take(rig.shelf, cm_bytes_str("/ca/issuing-1.pem"));
    CU_ASSERT_FATAL(cer && pem);
    CU_ASSERT(cm_bytes_equal(cer->content, rig.key.certificate));
    CU_ASSERT_STRING_EQUAL(cer->content_type, "application/pkix-cert");
    CU_ASSERT_STRING_EQUAL(pem->content_type, "application/x-pem-file");
    CU_ASSERT_EQUAL(memcmp(pem->content.data, "-----BEGIN CERTIFICATE-----\n", 28), 0);
    cm_document_let_go(cer);
    cm_document_let_go(pem);
    CU_ASSERT(rig_wait(folder_agrees, (void *)(uintptr_t) "/ca/issuing-1.cer"));
    CU_ASSERT(rig_wait(folder_agrees, (void *)(uintptr_t) "/ca/issuing-1.pem"));
    end();
}

static void test_a_revocation_is_in_the_next_list_and_others_go_with_it(void)
{
    begin(&plain);
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
    end();
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
    begin(&plain);
    rig_touch(rig.holds);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    rig_run(200); /* it is made, and waits for its signature */
    rig.authority.crl_delay_ms = 3600 * 1000;
    rig_revoke(3, CM_REASON_UNSPECIFIED);
    rig_remove(rig.holds);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_run(100);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    end();
}

static void test_a_change_touches_its_own_shard_only(void)
{
    unsigned shown = 0;
    begin(&(const struct rig_settings){ .shards = 3 });
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/2.crl", NTH(1)));
    rig_revoke(3, CM_REASON_KEY_COMPROMISE);
    CU_ASSERT(rig_wait(has_second, NULL));
    rig_run(100);
    CU_ASSERT_EQUAL(count_second(), 1);
    for (unsigned i = 0; i < 3; i++)
        shown += rig_reason(path_of(i), 3) == CM_REASON_KEY_COMPROMISE;
    CU_ASSERT_EQUAL(shown, 1);
    end();
}

static void test_a_list_is_renewed_before_it_ends_and_not_before_that(void)
{
    begin(&plain);
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
    end();
}

static void test_without_a_url_there_is_one_list_that_covers_all(void)
{
    begin(&(const struct rig_settings){
        .shards = 3, .has_no_url = true, .has_no_folder = true, .delta_validity_s = 7200 });
    CU_ASSERT_EQUAL(count().shards, 1);
    CU_ASSERT_FALSE(rig_crl(CRL).has_idp);
    CU_ASSERT_FALSE(rig_crl(DELTA).is_there);
    rig_revoke(1, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(access(rig.folder, F_OK), -1);
    end();
}

static void test_an_entry_leaves_after_it_was_shown_past_its_end(void)
{
    begin(&plain);
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
    end();
}

/* ------------------------------------------------------------------ deltas -- */

static void test_a_delta_says_what_its_base_does_not(void)
{
    begin(&with_delta);
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
    end();
}

static void test_a_delta_is_renewed_alone_and_a_renewed_list_is_its_base(void)
{
    begin(&with_delta);
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
    end();
}

/* ------------------------------------------------------------------ restarts -- */

static void test_a_restart_goes_on_with_what_is_published(void)
{
    begin(&with_delta);
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
    end();
}

static void test_deltas_that_are_new_in_the_settings_are_named_by_the_list_at_once(void)
{
    begin(&plain);
    CU_ASSERT_FALSE(rig_crl(CRL).has_freshest);
    rig_close();
    rig.authority.delta_validity_s = 7200;
    rig_open();
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT(rig_crl(CRL).has_freshest);
    CU_ASSERT_EQUAL(rig_crl(DELTA).base_number, NTH(2));
    end();
}

static void test_what_was_revoked_while_nobody_looked_is_published_after_a_start(void)
{
    begin(&plain);
    rig_close();
    rig.publisher = NULL;
    rig_import(1, RIG_NOW_S + RIG_DAY_S);
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(rig_imported_reason(CRL, 1), CM_REASON_SUPERSEDED);
    end();
}

static void test_a_number_that_was_taken_and_not_used_is_burned(void)
{
    begin(&plain);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_close();
    rig_take_number(NTH(7));
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2)); /* better than none, until there is a new one */
    CU_ASSERT(rig_wait_number(CRL, NTH(8)));
    CU_ASSERT_EQUAL(rig_crl(CRL).entries_count, 1);
    end();
}

static void test_a_file_of_somebody_else_is_replaced_and_told(void)
{
    struct cm_error err;
    begin(&plain);
    rig_close();
    CU_ASSERT_EQUAL(cm_crl_files_write(rig.folder, CRL, cm_bytes_str("hello"), &err), CM_OK);
    rig_open();
    CU_ASSERT_NOT_EQUAL(rig.notices_count, 0);
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT(rig_folder_agrees(CRL));
    end();
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
    end();
}

static void test_numbers_that_somebody_else_has_taken_are_left_out(void)
{
    begin(&plain);
    rig_take_number(NTH(900));
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(901)));
    end();
}

static void test_a_shard_takes_no_list_of_another(void)
{
    struct cm_bytes other;
    struct cm_error err;
    begin(&(const struct rig_settings){ .shards = 2 });
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    rig_close();
    CU_ASSERT_EQUAL(cm_crl_files_read(rig.folder, "/crl/issuing-1/1.crl", &other, &err), CM_OK);
    CU_ASSERT_EQUAL(cm_crl_files_write(rig.folder, CRL, other, &err), CM_OK);
    free((void *)(uintptr_t)other.data);
    rig_open();
    CU_ASSERT(rig_wait_notice("is no CRL of its shard"));
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    end();
}

static void test_without_a_folder_a_start_makes_new_lists_behind_the_old_numbers(void)
{
    begin(&(const struct rig_settings){ .shards = 1, .has_no_folder = true });
    rig_close();
    rig_open();
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    end();
}

static void test_numbers_do_not_go_back_with_a_store_that_was_restored(void)
{
    begin(&(const struct rig_settings){ .shards = 1, .has_no_folder = true });
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    rig_close();
    rig_forget_store();
    rig.time_ms += 10 * 1000;
    rig_open();
    CU_ASSERT(rig_wait_number(CRL, AT(10)));
    end();
}

static bool ocsp_would_say(unsigned n, enum cm_reason reason)
{
    struct cm_book_found found;
    return rig_find_in_book(n, &found) && found.reason == reason && found.revoked_s > 0;
}

static void test_an_old_copy_of_the_store_takes_nothing_back(void)
{
    begin(&plain);
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
    CU_ASSERT_EQUAL(count().failed, 0);
    end();
}

static void test_what_only_a_delta_shows_is_not_taken_back_either(void)
{
    begin(&with_delta);
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
    end();
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
    begin(&plain);
    (void)rig_wait(folder_agrees, (void *)(uintptr_t) "/ca/issuing-1.pem");
    rig_close();
    setenv("CERTMILL_FAULT", fault, 1);
    rig_open();
    (void)rig_wait(folder_agrees, (void *)(uintptr_t) "/ca/issuing-1.pem");
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
    rig_find(&plain);
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
    end();
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
    end();
}

/* ------------------------------------------------------------------ trouble -- */

static void test_while_the_key_is_away_the_old_list_stays(void)
{
    begin(&plain);
    rig_touch(rig.away);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice("CRL 0 of issuing-1 was not published"));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_folder_agrees(CRL));
    unsigned notices = rig.notices_count;
    rig_run(800); /* it is tried again meanwhile */
    CU_ASSERT(count().failed > 1);
    CU_ASSERT_EQUAL(rig.notices_count, notices);
    rig_remove(rig.away);
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_crl(CRL).number > NTH(2)); /* what failed has burned numbers */
    end();
}

static void test_a_key_that_comes_late_signs_then(void)
{
    rig_make(&plain);
    rig_open();
    struct cm_key *key = rig.key.key;
    rig.key.key = NULL;
    CU_ASSERT(rig_wait_notice("the key is not there"));
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    rig.key.key = key;
    CU_ASSERT(rig_wait_number(CRL, NTH(1)));
    end();
}

static void test_a_signature_that_does_not_verify_is_not_published(void)
{
    rig_make(&plain);
    rig_open_with("item=0:wrong");
    CU_ASSERT(rig_wait_notice("did not verify"));
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT(rig_crl(CRL).verifies);
    end();
}

static void test_a_key_that_is_busy_is_asked_again_with_the_same_number(void)
{
    rig_make(&(const struct rig_settings){ .shards = 4 });
    rig_open_with("in-flight=1 delay=60");
    CU_ASSERT(rig_wait_number("/crl/issuing-1/0.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/2.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/3.crl", NTH(1)));
    CU_ASSERT_EQUAL(count().failed, 0);
    end();
}

static void test_a_list_and_its_delta_need_no_room_in_one_batch(void)
{
    rig_make(&with_delta);
    rig_open_with("items-max=1");
    CU_ASSERT(rig_wait_number(DELTA, NTH(1)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_crl(CRL).verifies && rig_crl(DELTA).verifies);
    CU_ASSERT_EQUAL(count().failed, 0);
    end();
}

static void test_where_the_second_signature_does_not_come_neither_list_is_published(void)
{
    rig_make(&with_delta);
    rig_open_with("item=1:UNAVAILABLE");
    CU_ASSERT(rig_wait_notice("CRL 0 of issuing-1 was not published"));
    CU_ASSERT_FALSE(rig_crl(CRL).is_there || rig_crl(DELTA).is_there);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    end();
}

static void test_that_lists_come_near_to_what_a_signer_takes_is_told_once(void)
{
    rig_make(&with_delta);
    rig_open_with("octets-max=400");
    CU_ASSERT(rig_wait_number(DELTA, NTH(1)));
    CU_ASSERT(rig_wait_notice("needs more crl-shards"));
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig.notices_count, 1);
    end();
}

static void test_lists_that_have_room_are_not_spoken_of(void)
{
    rig_make(&with_delta);
    rig_open_with("octets-max=4000");
    CU_ASSERT(rig_wait_number(DELTA, NTH(1)));
    CU_ASSERT_EQUAL(rig.notices_count, 0);
    end();
}

static void test_a_key_that_is_slow_keeps_no_list_of_another(void)
{
    rig_make(&(const struct rig_settings){ .shards = 8, .has_second_key = true });
    rig_touch(rig.holds);
    rig_open();
    for (unsigned i = 0; i < 8; i++) {
        char path[40];
        snprintf(path, sizeof path, "/crl/issuing-2/%u.crl", i);
        CU_ASSERT(rig_wait_number(path, NTH(1)));
    }
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    rig_remove(rig.holds);
    CU_ASSERT(rig_wait_number("/crl/issuing-1/7.crl", NTH(1)));
    end();
}

/* In the way of the file; root is stopped by it, too. */
static const char *path_in_the_way(void)
{
    static char path[500];
    snprintf(path, sizeof path, "%s/crl/issuing-1/.0.crl.unfinished", rig.folder);
    return path;
}

static void test_a_folder_that_takes_nothing_keeps_no_list_from_the_shelf(void)
{
    begin(&plain);
    mkdir(path_in_the_way(), 0755);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice(rig.folder));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT_FALSE(rig_folder_agrees(CRL));
    unsigned notices = rig.notices_count;
    uint64_t signatures = cm_fake_signatures_count(rig.provider);
    rig_run(800); /* the file is tried again meanwhile, and nothing is signed for it */
    CU_ASSERT(count().failed > 1);
    CU_ASSERT_EQUAL(rig.notices_count, notices);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(rig.provider), signatures);
    rmdir(path_in_the_way());
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT(rig_folder_agrees(CRL));
    end();
}

static void test_a_list_that_did_not_come_into_the_folder_is_made_anew_after_a_start(void)
{
    begin(&plain);
    mkdir(path_in_the_way(), 0755);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice(rig.folder));
    rig_close();
    rmdir(path_in_the_way());
    rig_open();
    CU_ASSERT(rig_wait_number(CRL, NTH(3)));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_folder_agrees(CRL));
    end();
}

static void test_a_clock_before_the_last_list_signs_nothing(void)
{
    begin(&plain);
    rig_pass(-3600);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice("the clock stands before"));
    rig_run(100);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    rig_pass(3600);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).this_update_s, RIG_NOW_S);
    end();
}

static void test_a_suspect_clock_signs_nothing(void)
{
    begin(&plain);
    rig.time_ms = -1;
    struct cm_order order = order_for_serial(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT_EQUAL(order_apply(&rig.store, &order), CM_OK);
    cm_publisher_look(rig.publisher);
    rig_run(200);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_wait_notice("no CRLs are made"));
    rig.time_ms = RIG_NOW_S * 1000ll;
    cm_publisher_look(rig.publisher);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT(rig_wait_notice("the clock is right again"));
    end();
}

static void test_lists_that_have_ended_are_counted(void)
{
    begin(&plain);
    rig_touch(rig.away);
    rig_pass(8 * RIG_DAY_S);
    CU_ASSERT(rig_wait_notice("was not published"));
    CU_ASSERT_EQUAL(count().overdue, 1);
    rig_remove(rig.away);
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(count().overdue, 0);
    end();
}

static void test_a_list_that_could_never_be_made_is_overdue(void)
{
    rig_make(&plain);
    rig_touch(rig.away);
    rig_open();
    CU_ASSERT_EQUAL(count().overdue, 0); /* it has just begun */
    CU_ASSERT(rig_wait_notice("was not published"));
    CU_ASSERT_EQUAL(count().overdue, 1);
    rig_remove(rig.away);
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(count().overdue, 0);
    end();
}

/* ------------------------------------------------------------------ asked -- */

struct answer {
    bool came, is_inside;
    uint32_t published_count, failed_count;
    char why[CM_ERROR_TEXT_SIZE];
};

static void on_published(uint32_t published_count, uint32_t failed_count, const char *why,
                         void *arg)
{
    struct answer *answer = arg;
    CU_ASSERT_FALSE(answer->came);
    CU_ASSERT_FALSE(answer->is_inside);
    answer->came = true;
    answer->published_count = published_count;
    answer->failed_count = failed_count;
    snprintf(answer->why, sizeof answer->why, "%s", why);
}

static bool has_come(void *arg)
{
    const struct answer *answer = arg;
    return answer->came;
}

static void ask(struct answer *answer, int64_t generation_number)
{
    *answer = (struct answer){ .is_inside = true };
    cm_publisher_publish(rig.publisher, generation_number, on_published, answer);
    answer->is_inside = false;
}

static void test_whoever_asks_hears_when_all_of_it_is_published(void)
{
    struct answer one, all, none;
    begin(&(const struct rig_settings){ .shards = 3 });
    ask(&one, 1);
    ask(&all, 0);
    ask(&none, 77);
    CU_ASSERT(rig_wait(has_come, &one));
    CU_ASSERT(rig_wait(has_come, &all));
    CU_ASSERT(rig_wait(has_come, &none));
    CU_ASSERT_EQUAL(one.published_count, 3);
    CU_ASSERT_EQUAL(one.failed_count, 0);
    CU_ASSERT_EQUAL(all.published_count, 3);
    CU_ASSERT_EQUAL(none.published_count, 0);
    CU_ASSERT(rig_crl(CRL).number >= NTH(2));
    end();
}

static void test_whoever_asks_hears_why_nothing_could_be_published(void)
{
    struct answer answer;
    begin(&plain);
    rig_touch(rig.away);
    ask(&answer, 1);
    CU_ASSERT(rig_wait(has_come, &answer));
    CU_ASSERT_EQUAL(answer.published_count, 0);
    CU_ASSERT_EQUAL(answer.failed_count, 1);
    CU_ASSERT_STRING_NOT_EQUAL(answer.why, "");
    rig.time_ms = -1;
    ask(&answer, 1);
    CU_ASSERT(rig_wait(has_come, &answer));
    CU_ASSERT_EQUAL(answer.failed_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, "suspect"));
    end();
}

static void test_whoever_asks_hears_of_a_folder_that_takes_nothing(void)
{
    struct answer answer;
    begin(&plain);
    mkdir(path_in_the_way(), 0755);
    ask(&answer, 1);
    CU_ASSERT(rig_wait(has_come, &answer));
    CU_ASSERT_EQUAL(answer.failed_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, rig.folder));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    rmdir(path_in_the_way());
    end();
}

static void test_a_stop_waits_for_no_key(void)
{
    struct answer answer;
    begin(&plain);
    rig_touch(rig.holds);
    ask(&answer, 1);
    rig_run(100);
    CU_ASSERT_FALSE(answer.came);
    CU_ASSERT_FALSE(cm_publisher_is_idle(rig.publisher));
    rig_close();
    CU_ASSERT(answer.came);
    CU_ASSERT_EQUAL(answer.failed_count, 1);
    rig_remove(rig.holds);
    rig_open();
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    end();
}

CM_TEST_SUITE_WITH(
    publisher, rig_begin_suite, rig_end_suite,
    CM_TEST(test_a_first_start_publishes_an_empty_list_of_every_shard),
    CM_TEST(test_the_authoritys_certificate_is_published_in_both_forms),
    CM_TEST(test_a_revocation_is_in_the_next_list_and_others_go_with_it),
    CM_TEST(test_what_comes_while_a_list_is_made_waits_for_its_own_time),
    CM_TEST(test_a_change_touches_its_own_shard_only),
    CM_TEST(test_a_list_is_renewed_before_it_ends_and_not_before_that),
    CM_TEST(test_without_a_url_there_is_one_list_that_covers_all),
    CM_TEST(test_an_entry_leaves_after_it_was_shown_past_its_end),
    CM_TEST(test_a_delta_says_what_its_base_does_not),
    CM_TEST(test_a_delta_is_renewed_alone_and_a_renewed_list_is_its_base),
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
    CM_TEST(test_a_crash_behind_the_renaming_has_published),
    CM_TEST(test_while_the_key_is_away_the_old_list_stays),
    CM_TEST(test_a_key_that_comes_late_signs_then),
    CM_TEST(test_a_signature_that_does_not_verify_is_not_published),
    CM_TEST(test_a_key_that_is_busy_is_asked_again_with_the_same_number),
    CM_TEST(test_a_list_and_its_delta_need_no_room_in_one_batch),
    CM_TEST(test_where_the_second_signature_does_not_come_neither_list_is_published),
    CM_TEST(test_that_lists_come_near_to_what_a_signer_takes_is_told_once),
    CM_TEST(test_lists_that_have_room_are_not_spoken_of),
    CM_TEST(test_a_key_that_is_slow_keeps_no_list_of_another),
    CM_TEST(test_a_folder_that_takes_nothing_keeps_no_list_from_the_shelf),
    CM_TEST(test_a_list_that_did_not_come_into_the_folder_is_made_anew_after_a_start),
    CM_TEST(test_a_clock_before_the_last_list_signs_nothing),
    CM_TEST(test_a_suspect_clock_signs_nothing), CM_TEST(test_lists_that_have_ended_are_counted),
    CM_TEST(test_a_list_that_could_never_be_made_is_overdue),
    CM_TEST(test_whoever_asks_hears_when_all_of_it_is_published),
    CM_TEST(test_whoever_asks_hears_why_nothing_could_be_published),
    CM_TEST(test_whoever_asks_hears_of_a_folder_that_takes_nothing),
    CM_TEST(test_a_stop_waits_for_no_key));
