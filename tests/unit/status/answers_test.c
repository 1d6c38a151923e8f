#include "engine/status/answers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/test_main.h"

/* An id of certificate n; kind tells apart those that different clients write for the same one. */
struct id {
    struct cm_ocsp_cert_id id;
    uint8_t whole[64];
    uint8_t serial[4];
};

static struct cm_ocsp_cert_id *make_id(struct id *id, uint32_t n, uint8_t kind)
{
    memset(id, 0, sizeof *id);
    cm_big_endian_write(n, id->serial, sizeof id->serial);
    cm_big_endian_write(n, id->whole, 4);
    id->whole[4] = kind;
    id->id.whole = cm_bytes(id->whole, sizeof id->whole);
    id->id.serial = cm_bytes(id->serial, sizeof id->serial);
    return &id->id;
}

static struct cm_ocsp_answer *make_answer(int64_t generation_number)
{
    return cm_ocsp_answer_new(cm_bytes_str("response"), generation_number, 1000, 2000);
}

static bool put(struct cm_answers *answers, uint32_t n, uint8_t kind, int64_t generation_number)
{
    struct id id;
    struct cm_ocsp_answer *answer = make_answer(generation_number);
    bool is_kept = cm_answers_put(answers, make_id(&id, n, kind), answer);
    cm_ocsp_answer_let_go(answer);
    return is_kept;
}

static bool has(struct cm_answers *answers, uint32_t n, uint8_t kind, int64_t generation_number)
{
    struct id id;
    struct cm_ocsp_answer *answer =
        cm_answers_find(answers, generation_number, make_id(&id, n, kind));
    cm_ocsp_answer_let_go(answer);
    return answer != NULL;
}

static void test_an_answer_says_what_http_needs(void)
{
    struct cm_ocsp_answer *answer =
        cm_ocsp_answer_new(cm_bytes_str("abc"), 1, 784111777, 784111778);
    CU_ASSERT_STRING_EQUAL(answer->etag,
                           "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
    CU_ASSERT_STRING_EQUAL(answer->modified, "Sun, 06 Nov 1994 08:49:37 GMT");
    CU_ASSERT_STRING_EQUAL(answer->expires, "Sun, 06 Nov 1994 08:49:38 GMT");
    CU_ASSERT(cm_bytes_is(cm_bytes(answer->der, answer->size), "abc"));
    cm_ocsp_answer_let_go(answer);
}

static void test_an_answer_is_valid_within_its_time(void)
{
    struct cm_ocsp_answer *answer = make_answer(1);
    CU_ASSERT_FALSE(cm_ocsp_answer_is_valid(answer, 999));
    CU_ASSERT(cm_ocsp_answer_is_valid(answer, 1000));
    CU_ASSERT(cm_ocsp_answer_is_valid(answer, 1999));
    CU_ASSERT_FALSE(cm_ocsp_answer_is_valid(answer, 2000));
    /* Who does not know the time gives what is true, and does not say that it is old. */
    CU_ASSERT(cm_ocsp_answer_is_valid(answer, -1));
    CU_ASSERT_FALSE(cm_ocsp_answer_is_old(answer, -1));
    CU_ASSERT_FALSE(cm_ocsp_answer_is_old(answer, 1499));
    CU_ASSERT(cm_ocsp_answer_is_old(answer, 1500));
    cm_ocsp_answer_let_go(answer);
}

static void test_an_answer_is_found_by_generation_and_whole_id(void)
{
    struct cm_answers *answers = cm_answers_new(10);
    CU_ASSERT(put(answers, 1, 0, 7));
    CU_ASSERT(has(answers, 1, 0, 7));
    CU_ASSERT_FALSE(has(answers, 1, 1, 7));
    CU_ASSERT_FALSE(has(answers, 2, 0, 7));
    CU_ASSERT_FALSE(has(answers, 1, 0, 8));
    cm_answers_free(answers);
}

static void test_what_is_forgotten_is_outdated_with_every_holder(void)
{
    struct id id;
    struct cm_answers *answers = cm_answers_new(10);
    CU_ASSERT(put(answers, 1, 0, 7) && put(answers, 1, 1, 7) && put(answers, 2, 0, 7)
              && put(answers, 1, 0, 8));
    struct cm_ocsp_answer *held = cm_answers_find(answers, 7, make_id(&id, 1, 0));
    CU_ASSERT_PTR_NOT_NULL_FATAL(held);
    cm_answers_forget(answers, 7, id.id.serial);
    CU_ASSERT_FALSE(cm_ocsp_answer_is_valid(held, 1000));
    CU_ASSERT_FALSE(cm_ocsp_answer_is_valid(held, -1));
    CU_ASSERT_FALSE(has(answers, 1, 0, 7));
    CU_ASSERT_FALSE(has(answers, 1, 1, 7));
    CU_ASSERT(has(answers, 2, 0, 7));
    CU_ASSERT(has(answers, 1, 0, 8));
    cm_answers_forget(answers, 7, cm_bytes(NULL, 0));
    CU_ASSERT_FALSE(has(answers, 2, 0, 7));
    CU_ASSERT(has(answers, 1, 0, 8));
    CU_ASSERT(put(answers, 1, 0, 7));
    CU_ASSERT(has(answers, 1, 0, 7));
    cm_ocsp_answer_let_go(held);
    cm_answers_free(answers);
}

static void test_what_is_replaced_or_pushed_out_is_outdated(void)
{
    struct id id;
    struct cm_answers *answers = cm_answers_new(2);
    CU_ASSERT(put(answers, 1, 0, 7));
    struct cm_ocsp_answer *first = cm_answers_find(answers, 7, make_id(&id, 1, 0));
    CU_ASSERT(put(answers, 1, 0, 7));
    CU_ASSERT_FALSE(cm_ocsp_answer_is_valid(first, 1000));
    struct cm_ocsp_answer *second = cm_answers_find(answers, 7, make_id(&id, 1, 0));
    CU_ASSERT(cm_ocsp_answer_is_valid(second, 1000));
    for (uint32_t n = 2; n < 20; n++)
        CU_ASSERT(put(answers, n, 0, 7));
    CU_ASSERT_FALSE(cm_ocsp_answer_is_valid(second, 1000));
    CU_ASSERT_FALSE(has(answers, 1, 0, 7));
    CU_ASSERT(has(answers, 19, 0, 7));
    CU_ASSERT_EQUAL(cm_answers_count(answers), 2);
    cm_ocsp_answer_let_go(first);
    cm_ocsp_answer_let_go(second);
    cm_answers_free(answers);
}

static void test_an_answer_that_is_asked_for_stays(void)
{
    struct cm_answers *answers = cm_answers_new(4);
    CU_ASSERT(put(answers, 0, 0, 7));
    for (uint32_t n = 1; n < 100; n++) {
        CU_ASSERT(has(answers, 0, 0, 7));
        CU_ASSERT(put(answers, n, 0, 7));
    }
    CU_ASSERT(has(answers, 0, 0, 7));
    cm_answers_free(answers);
}

static void test_an_id_that_is_too_long_is_not_kept(void)
{
    static uint8_t whole[300];
    struct id id;
    struct cm_answers *answers = cm_answers_new(4);
    struct cm_ocsp_answer *answer = make_answer(7);
    make_id(&id, 1, 0)->whole = cm_bytes(whole, sizeof whole);
    CU_ASSERT_FALSE(cm_answers_put(answers, &id.id, answer));
    CU_ASSERT_EQUAL(cm_answers_count(answers), 0);
    cm_ocsp_answer_let_go(answer);
    cm_answers_free(answers);
}

static void test_a_recent_answer_is_found_by_its_octets_until_it_is_outdated(void)
{
    struct cm_recent *recent = cm_recent_new(16);
    struct cm_ocsp_answer *answer = make_answer(7);
    CU_ASSERT_PTR_NULL(cm_recent_find(recent, cm_bytes_str("request")));
    cm_recent_put(recent, cm_bytes_str("request"), answer);
    CU_ASSERT_PTR_EQUAL(cm_recent_find(recent, cm_bytes_str("request")), answer);
    CU_ASSERT_PTR_NULL(cm_recent_find(recent, cm_bytes_str("requests")));
    CU_ASSERT_EQUAL(atomic_load(&answer->holders_count), 2);
    atomic_store(&answer->is_outdated, true);
    CU_ASSERT_PTR_NULL(cm_recent_find(recent, cm_bytes_str("request")));
    CU_ASSERT_EQUAL(atomic_load(&answer->holders_count), 1);
    cm_ocsp_answer_let_go(answer);
    cm_recent_free(recent);
}

static void test_recent_answers_take_a_bounded_number_of_places(void)
{
    struct cm_recent *recent = cm_recent_new(16);
    struct cm_ocsp_answer *answer = make_answer(7);
    for (uint32_t n = 0; n < 10000; n++) {
        struct id id;
        cm_recent_put(recent, make_id(&id, n, 0)->whole, answer);
        CU_ASSERT_PTR_EQUAL(cm_recent_find(recent, id.id.whole), answer);
    }
    CU_ASSERT(atomic_load(&answer->holders_count) <= 1 + 32);
    cm_recent_free(recent);
    CU_ASSERT_EQUAL(atomic_load(&answer->holders_count), 1);
    cm_ocsp_answer_let_go(answer);
}

static void test_long_octets_are_not_remembered(void)
{
    static uint8_t octets[CM_RECENT_SIZE_MAX + 1];
    struct cm_recent *recent = cm_recent_new(16);
    struct cm_ocsp_answer *answer = make_answer(7);
    cm_recent_put(recent, cm_bytes(octets, sizeof octets), answer);
    CU_ASSERT_PTR_NULL(cm_recent_find(recent, cm_bytes(octets, sizeof octets)));
    cm_recent_put(recent, cm_bytes(octets, sizeof octets - 1), answer);
    CU_ASSERT_PTR_EQUAL(cm_recent_find(recent, cm_bytes(octets, sizeof octets - 1)), answer);
    cm_recent_put(recent, cm_bytes(octets, sizeof octets - 1), answer);
    CU_ASSERT_EQUAL(atomic_load(&answer->holders_count), 2);
    cm_recent_free(recent);
    cm_ocsp_answer_let_go(answer);
}

CM_TEST_SUITE(answers, CM_TEST(test_an_answer_says_what_http_needs),
              CM_TEST(test_an_answer_is_valid_within_its_time),
              CM_TEST(test_an_answer_is_found_by_generation_and_whole_id),
              CM_TEST(test_what_is_forgotten_is_outdated_with_every_holder),
              CM_TEST(test_what_is_replaced_or_pushed_out_is_outdated),
              CM_TEST(test_an_answer_that_is_asked_for_stays),
              CM_TEST(test_an_id_that_is_too_long_is_not_kept),
              CM_TEST(test_a_recent_answer_is_found_by_its_octets_until_it_is_outdated),
              CM_TEST(test_recent_answers_take_a_bounded_number_of_places),
              CM_TEST(test_long_octets_are_not_remembered));
