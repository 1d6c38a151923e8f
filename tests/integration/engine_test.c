/*
 * The spine: requests through every station to their answers, with signers that fail by script.
 * The store is looked at afterwards: what was answered is there, and nothing else.
 */
#include "tests/integration/engine_rig.h"

#include "engine/base/clock.h"
#include "engine/x509/certificate.h"
#include "tests/support/test_main.h"

#include <stdio.h>
#include <unistd.h>

/* Ids must not repeat between tests: the broker keeps all answers. */
static const char *id_of(const char *test, int number)
{
    return cm_arena_printf(&rig_arena, "%s-%d", test, number);
}

static void push_all(const char *test, int count)
{
    for (int i = 0; i < count; i++)
        rig_push(id_of(test, i), rig_device(i), rig_csrs[i]);
}

static enum cm_answer_status status_of(const char *id)
{
    const struct cm_answer *answer = rig_answer(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    return answer->status;
}

static enum cm_refusal_code code_of(const char *id)
{
    const struct cm_answer *answer = rig_answer(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    return answer->code;
}

static void test_engine_issues_for_every_device_and_records_it(void)
{
    struct cm_certificate certificate;
    struct cm_error err;
    rig_deploy();
    rig_open("");
    push_all("all", RIG_DEVICES);
    rig_run(RIG_DEVICES);
    for (int i = 0; i < RIG_DEVICES; i++)
        CU_ASSERT_EQUAL(status_of(id_of("all", i)), CM_ANSWER_ISSUED);
    const struct cm_answer *answer = rig_answer("all-7");
    CU_ASSERT_EQUAL_FATAL(cm_certificate_read(answer->certificate, &certificate, &err), CM_OK);
    CU_ASSERT_TRUE(cm_bytes_equal(certificate.serial, answer->serial));
    CU_ASSERT_EQUAL(certificate.not_after_s, answer->not_after);
    rig_close();
    struct cm_store_counts counts = rig_count();
    CU_ASSERT_EQUAL(counts.certificates, RIG_DEVICES);
    CU_ASSERT_EQUAL(counts.open_intents, 0);
    CU_ASSERT_EQUAL(counts.abandoned, 0);
    CU_ASSERT_EQUAL(rig_signatures_count(), RIG_DEVICES);
}

static void test_engine_repeats_the_same_answer_and_refuses_other_content(void)
{
    rig_deploy();
    rig_open("");
    rig_push("again-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    struct cm_bytes first = cm_arena_copy(&rig_arena, rig_answer("again-1")->certificate);
    rig_push("again-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    CU_ASSERT_TRUE(cm_bytes_equal(rig_answer("again-1")->certificate, first));
    rig_push("again-1", "dev-1", rig_csrs[1]);
    rig_run(1);
    CU_ASSERT_EQUAL(code_of("again-1"), CM_REFUSAL_REQUEST_ID_REUSED);
    rig_close();
    rig_open(""); /* and after a restart */
    rig_push("again-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    CU_ASSERT_TRUE(cm_bytes_equal(rig_answer("again-1")->certificate, first));
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, 1);
}

static void test_engine_answers_ten_copies_at_once_with_one_certificate(void)
{
    rig_deploy();
    rig_open("delay=20");
    for (int i = 0; i < 10; i++)
        rig_push("copies-1", "dev-0", rig_csrs[0]);
    rig_run(10);
    CU_ASSERT_EQUAL(rig_answers_count("copies-1"), 10);
    CU_ASSERT_EQUAL(status_of("copies-1"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, 1);
    CU_ASSERT_EQUAL(rig_signatures_count(), 1);
}

static void test_engine_refuses_unknown_devices_and_clones(void)
{
    rig_deploy();
    rig_open("");
    rig_push("who-1", "dev-99", rig_csrs[0]);
    rig_push("who-2", "dev-1", rig_csrs[1]);
    rig_run(2);
    CU_ASSERT_EQUAL(code_of("who-1"), CM_REFUSAL_POLICY_DEVICE_NOT_ALLOWED);
    CU_ASSERT_EQUAL(status_of("who-2"), CM_ANSWER_ISSUED);
    rig_push("who-3", "dev-2", rig_csrs[1]); /* dev-1's key */
    rig_push("who-4", "dev-1", rig_csrs[1]); /* its own again */
    rig_run(2);
    CU_ASSERT_EQUAL(code_of("who-3"), CM_REFUSAL_KEY_REUSED);
    CU_ASSERT_EQUAL(status_of("who-4"), CM_ANSWER_ISSUED);
    rig_close();
    rig_open(""); /* the filter is rebuilt */
    rig_push("who-5", "dev-2", rig_csrs[1]);
    rig_run(1);
    CU_ASSERT_EQUAL(code_of("who-5"), CM_REFUSAL_KEY_REUSED);
    rig_close();
}

static void test_engine_asks_again_for_signatures_that_did_not_come(void)
{
    rig_deploy();
    rig_open("item=1:UNAVAILABLE item=4:UNCERTAIN item=7:THROTTLED item=9:EXPIRED");
    push_all("retry", RIG_DEVICES);
    rig_run(RIG_DEVICES);
    for (int i = 0; i < RIG_DEVICES; i++)
        CU_ASSERT_EQUAL(status_of(id_of("retry", i)), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, RIG_DEVICES);
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
    /* The uncertain one was signed twice, over the same bytes. */
    CU_ASSERT_EQUAL(rig_signatures_count(), RIG_DEVICES + 1);
}

static void test_engine_lets_no_wrong_signature_out_and_spares_the_neighbours(void)
{
    int failed = 0;
    rig_deploy();
    rig_open("item=2:wrong item=5:short item=8:MISMATCH");
    push_all("wrong", RIG_DEVICES);
    rig_run(RIG_DEVICES);
    for (int i = 0; i < RIG_DEVICES; i++) {
        if (status_of(id_of("wrong", i)) == CM_ANSWER_ISSUED)
            continue;
        failed++;
        CU_ASSERT_EQUAL(status_of(id_of("wrong", i)), CM_ANSWER_FAILED);
        CU_ASSERT_EQUAL(code_of(id_of("wrong", i)), CM_REFUSAL_ENGINE_SIGNER_FAILED);
        /* Not remembered: the same id may try again, and gets a new serial. */
        rig_push(id_of("wrong", i), rig_device(i), rig_csrs[i]);
    }
    CU_ASSERT_EQUAL(failed, 3);
    rig_run((size_t)failed);
    for (int i = 0; i < RIG_DEVICES; i++)
        CU_ASSERT_EQUAL(status_of(id_of("wrong", i)), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, RIG_DEVICES);
    CU_ASSERT_EQUAL(rig_count().abandoned, 3);
    CU_ASSERT_EQUAL(rig_count().open_intents, 0);
}

static void test_engine_makes_batches_no_larger_than_its_signers_take(void)
{
    rig_deploy();
    rig_open("items-max=8");
    CU_ASSERT_PTR_NOT_NULL(strstr(rig_last_notice, "8 requests"));
    push_all("small", RIG_DEVICES);
    rig_run(RIG_DEVICES);
    for (int i = 0; i < RIG_DEVICES; i++)
        CU_ASSERT_EQUAL(status_of(id_of("small", i)), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().certificates, RIG_DEVICES);
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
}

static void test_engine_waits_for_a_signer_that_is_away(void)
{
    rig_deploy();
    rig_open("item=0:UNAVAILABLE item=1:TOKEN_REMOVED item=2:UNAVAILABLE item=3:UNCERTAIN "
             "item=4:UNAVAILABLE item=5:UNAVAILABLE item=6:UNAVAILABLE item=7:UNCERTAIN");
    rig_push("away-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("away-1"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
}

static void test_engine_gives_up_on_a_signer_that_answers_wrongly_and_says_so(void)
{
    rig_deploy();
    rig_open("item=0:CORRUPT item=1:CORRUPT item=2:CORRUPT item=3:CORRUPT item=4:CORRUPT "
             "item=5:CORRUPT");
    rig_push("wrong-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("wrong-1"), CM_ANSWER_FAILED);
    rig_close();
    rig_open("");
    rig_push("wrong-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("wrong-1"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().abandoned, 1);
}

static void test_engine_that_stops_while_its_signer_is_away_leaves_the_work_to_the_next(void)
{
    rig_deploy();
    rig_open("dies=1");
    rig_push("left-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    rig_push("left-2", "dev-1", rig_csrs[1]);
    rig_run_until_promised(1);
    rig_close();
    CU_ASSERT_PTR_NULL(rig_answer("left-2"));
    CU_ASSERT_EQUAL(rig_count().open_intents, 1);
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
    rig_open("");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("left-2"), CM_ANSWER_ISSUED);
    rig_close();
    /* The promise was kept: the same serial. */
    CU_ASSERT_EQUAL(rig_count().open_intents, 0);
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
}

/* Its certificate would begin, and end, when nobody could have it. */
static void test_engine_keeps_no_promise_that_has_lain_for_too_long(void)
{
    rig_deploy();
    rig_open("dies=1");
    rig_push("left-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    rig_push("left-2", "dev-1", rig_csrs[1]);
    rig_run_until_promised(1);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().open_intents, 1);
    rig_intent_hold_s = 1;
    rig_deliver_again();
    usleep(1100000);
    rig_open("");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("left-2"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().open_intents, 0);
    CU_ASSERT_EQUAL(rig_count().abandoned, 1);
}

/* A throttled service has them for a minute, and for another one after that. */
static void test_engine_that_stops_withdraws_what_waits_for_a_slow_key(void)
{
    char path[600], script[700];
    rig_deploy();
    snprintf(path, sizeof path, "%s/held", cm_test_scratch());
    snprintf(script, sizeof script, "holds=%s", path);
    rig_open(script);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
    rig_push("held-1", "dev-0", rig_csrs[0]);
    rig_run_until_promised(1);
    CU_ASSERT_EQUAL(rig_count().open_intents, 1);
    rig_close();
    unlink(path);
    CU_ASSERT_PTR_NULL(rig_answer("held-1"));
    CU_ASSERT_EQUAL(rig_count().open_intents, 1);
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
    rig_open("");
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("held-1"), CM_ANSWER_ISSUED);
    rig_close();
    CU_ASSERT_EQUAL(rig_count().open_intents, 0);
    CU_ASSERT_EQUAL(rig_count().abandoned, 0);
}

static void test_engine_stops_issuing_when_the_clock_goes_back(void)
{
    rig_deploy();
    rig_open("");
    rig_push("clock-1", "dev-0", rig_csrs[0]);
    rig_run(1);
    cm_clock_set_wall_offset_ms(-3600 * 1000);
    rig_push("clock-2", "dev-1", rig_csrs[1]);
    /* It is given back, again and again, until the clock is right. */
    for (int i = 0; i < 3; i++)
        CU_ASSERT_PTR_NULL(rig_answer("clock-2"));
    cm_clock_set_wall_offset_ms(0);
    rig_run(1);
    CU_ASSERT_EQUAL(status_of("clock-2"), CM_ANSWER_ISSUED);
    rig_close();
}

static void test_engine_answers_garbage_and_goes_on(void)
{
    static const char *const garbage[] = { "", "x", "-----BEGIN CERTIFICATE REQUEST-----\n",
                                           "\x30\x80\x00\x00", "\x30\x03\x02\x01\x00" };
    enum { GARBAGE = sizeof garbage / sizeof garbage[0] };
    rig_deploy();
    rig_open("");
    for (int i = 0; i < GARBAGE; i++)
        rig_push(id_of("garbage", i), "dev-0", cm_bytes_str(garbage[i]));
    rig_push("garbage-good", "dev-1", rig_csrs[1]);
    rig_push("bad id", "dev-1", rig_csrs[1]);
    rig_push("control", "dev-\x01", rig_csrs[1]);
    rig_run(GARBAGE + 3);
    for (int i = 0; i < GARBAGE; i++)
        CU_ASSERT_EQUAL(status_of(id_of("garbage", i)), CM_ANSWER_REFUSED);
    CU_ASSERT_EQUAL(status_of("garbage-good"), CM_ANSWER_ISSUED);
    CU_ASSERT_EQUAL(code_of("bad id"), CM_REFUSAL_REQUEST_ID_INVALID);
    CU_ASSERT_EQUAL(code_of("control"), CM_REFUSAL_POLICY_DEVICE_INVALID);
    rig_close();
}

CM_TEST_SUITE_WITH(
    engine, rig_set_up, rig_tear_down, CM_TEST(test_engine_issues_for_every_device_and_records_it),
    CM_TEST(test_engine_repeats_the_same_answer_and_refuses_other_content),
    CM_TEST(test_engine_answers_ten_copies_at_once_with_one_certificate),
    CM_TEST(test_engine_refuses_unknown_devices_and_clones),
    CM_TEST(test_engine_asks_again_for_signatures_that_did_not_come),
    CM_TEST(test_engine_lets_no_wrong_signature_out_and_spares_the_neighbours),
    CM_TEST(test_engine_makes_batches_no_larger_than_its_signers_take),
    CM_TEST(test_engine_waits_for_a_signer_that_is_away),
    CM_TEST(test_engine_gives_up_on_a_signer_that_answers_wrongly_and_says_so),
    CM_TEST(test_engine_that_stops_while_its_signer_is_away_leaves_the_work_to_the_next),
    CM_TEST(test_engine_keeps_no_promise_that_has_lain_for_too_long),
    CM_TEST(test_engine_that_stops_withdraws_what_waits_for_a_slow_key),
    CM_TEST(test_engine_stops_issuing_when_the_clock_goes_back),
    CM_TEST(test_engine_answers_garbage_and_goes_on));
