/* The publisher when key, folder or clock are in trouble, and what those hear who ask it. */
#include "engine/revocation/publisher.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "providers/fake/fake.h"
#include "tests/support/test_main.h"
#include "tests/unit/revocation/publisher_rig.h"

/* ------------------------------------------------------------------ trouble -- */

static void test_while_the_key_is_away_the_old_list_stays(void)
{
    rig_begin(&rig_plain);
    rig_touch(rig.away);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice("CRL 0 of issuing-1 was not published"));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_folder_agrees(CRL));
    unsigned notices = rig.notices_count;
    rig_run(800); /* it is tried again meanwhile */
    CU_ASSERT(rig_count().failed > 1);
    CU_ASSERT_EQUAL(rig.notices_count, notices);
    rig_remove(rig.away);
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_crl(CRL).number > NTH(2)); /* what failed has burned numbers */
    rig_end();
}

static void test_a_key_that_comes_late_signs_then(void)
{
    rig_make(&rig_plain);
    rig_open();
    struct cm_key *key = rig.key.key;
    rig.key.key = NULL;
    CU_ASSERT(rig_wait_notice("the key is not there"));
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    rig.key.key = key;
    CU_ASSERT(rig_wait_number(CRL, NTH(1)));
    rig_end();
}

static void test_a_signature_that_does_not_verify_is_not_published(void)
{
    rig_make(&rig_plain);
    rig_open_with("item=0:wrong");
    CU_ASSERT(rig_wait_notice("did not verify"));
    CU_ASSERT_FALSE(rig_crl(CRL).is_there);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT(rig_crl(CRL).verifies);
    rig_end();
}

static void test_a_key_that_is_busy_is_asked_again_with_the_same_number(void)
{
    rig_make(&(const struct rig_settings){ .shards = 4 });
    rig_open_with("in-flight=1 delay=60");
    CU_ASSERT(rig_wait_number("/crl/issuing-1/0.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/1.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/2.crl", NTH(1)));
    CU_ASSERT(rig_wait_number("/crl/issuing-1/3.crl", NTH(1)));
    CU_ASSERT_EQUAL(rig_count().failed, 0);
    rig_end();
}

static void test_a_list_and_its_delta_need_no_room_in_one_batch(void)
{
    rig_make(&rig_with_delta);
    rig_open_with("items-max=1");
    CU_ASSERT(rig_wait_number(DELTA, NTH(1)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    CU_ASSERT(rig_crl(CRL).verifies && rig_crl(DELTA).verifies);
    CU_ASSERT_EQUAL(rig_count().failed, 0);
    rig_end();
}

static void test_where_the_second_signature_does_not_come_neither_list_is_published(void)
{
    rig_make(&rig_with_delta);
    rig_open_with("item=1:UNAVAILABLE");
    CU_ASSERT(rig_wait_notice("CRL 0 of issuing-1 was not published"));
    CU_ASSERT_FALSE(rig_crl(CRL).is_there || rig_crl(DELTA).is_there);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    rig_end();
}

static void test_that_lists_come_near_to_what_a_signer_takes_is_told_once(void)
{
    rig_make(&rig_with_delta);
    rig_open_with("octets-max=400");
    CU_ASSERT(rig_wait_number(DELTA, NTH(1)));
    CU_ASSERT(rig_wait_notice("needs more crl-shards"));
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_number(DELTA, NTH(2)));
    CU_ASSERT_EQUAL(rig.notices_count, 1);
    rig_end();
}

static void test_lists_that_have_room_are_not_spoken_of(void)
{
    rig_make(&rig_with_delta);
    rig_open_with("octets-max=4000");
    CU_ASSERT(rig_wait_number(DELTA, NTH(1)));
    CU_ASSERT_EQUAL(rig.notices_count, 0);
    rig_end();
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
    rig_end();
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
    rig_begin(&rig_plain);
    mkdir(path_in_the_way(), 0755);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice(rig.folder));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT_FALSE(rig_folder_agrees(CRL));
    unsigned notices = rig.notices_count;
    uint64_t signatures = cm_fake_signatures_count(rig.provider);
    rig_run(800); /* the file is tried again meanwhile, and nothing is signed for it */
    CU_ASSERT(rig_count().failed > 1);
    CU_ASSERT_EQUAL(rig.notices_count, notices);
    CU_ASSERT_EQUAL(cm_fake_signatures_count(rig.provider), signatures);
    rmdir(path_in_the_way());
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    CU_ASSERT(rig_folder_agrees(CRL));
    rig_end();
}

static void test_a_list_that_did_not_come_into_the_folder_is_made_anew_after_a_start(void)
{
    rig_begin(&rig_plain);
    mkdir(path_in_the_way(), 0755);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice(rig.folder));
    rig_close();
    rmdir(path_in_the_way());
    rig_open();
    CU_ASSERT(rig_wait_number(CRL, NTH(3)));
    CU_ASSERT_EQUAL(rig_reason(CRL, 2), CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_folder_agrees(CRL));
    rig_end();
}

static void test_a_clock_before_the_last_list_signs_nothing(void)
{
    rig_begin(&rig_plain);
    rig_pass(-3600);
    rig_revoke(2, CM_REASON_UNSPECIFIED);
    CU_ASSERT(rig_wait_notice("the clock stands before"));
    rig_run(100);
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(1));
    rig_pass(3600);
    CU_ASSERT(rig_wait_number(CRL, NTH(2)));
    CU_ASSERT_EQUAL(rig_crl(CRL).this_update_s, RIG_NOW_S);
    rig_end();
}

static void test_a_suspect_clock_signs_nothing(void)
{
    rig_begin(&rig_plain);
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
    rig_end();
}

static void test_lists_that_have_ended_are_counted(void)
{
    rig_begin(&rig_plain);
    rig_touch(rig.away);
    rig_pass(8 * RIG_DAY_S);
    CU_ASSERT(rig_wait_notice("was not published"));
    CU_ASSERT_EQUAL(rig_count().overdue, 1);
    rig_remove(rig.away);
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(rig_count().overdue, 0);
    rig_end();
}

static void test_a_list_that_could_never_be_made_is_overdue(void)
{
    rig_make(&rig_plain);
    rig_touch(rig.away);
    rig_open();
    CU_ASSERT_EQUAL(rig_count().overdue, 0); /* it has just begun */
    CU_ASSERT(rig_wait_notice("was not published"));
    CU_ASSERT_EQUAL(rig_count().overdue, 1);
    rig_remove(rig.away);
    CU_ASSERT(rig_wait_notice("CRLs are published again"));
    CU_ASSERT_EQUAL(rig_count().overdue, 0);
    rig_end();
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
    rig_begin(&(const struct rig_settings){ .shards = 3 });
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
    rig_end();
}

static void test_whoever_asks_hears_why_nothing_could_be_published(void)
{
    struct answer answer;
    rig_begin(&rig_plain);
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
    rig_end();
}

static void test_whoever_asks_hears_of_a_folder_that_takes_nothing(void)
{
    struct answer answer;
    rig_begin(&rig_plain);
    mkdir(path_in_the_way(), 0755);
    ask(&answer, 1);
    CU_ASSERT(rig_wait(has_come, &answer));
    CU_ASSERT_EQUAL(answer.failed_count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.why, rig.folder));
    CU_ASSERT_EQUAL(rig_crl(CRL).number, NTH(2));
    rmdir(path_in_the_way());
    rig_end();
}

static void test_a_stop_waits_for_no_key(void)
{
    struct answer answer;
    rig_begin(&rig_plain);
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
    rig_end();
}

CM_TEST_SUITE_WITH(
    publisher_trouble, rig_begin_suite, rig_end_suite,
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
