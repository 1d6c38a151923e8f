/* Serials grow, never repeat, and carry 96 random bits without a fixed one. */
#include "engine/serials.h"
#include "tests/support/test_main.h"

#include <pthread.h>
#include <stdlib.h>

enum { DRAWS = 100000, THREADS = 4, PER_THREAD = 20000 };

static void test_serials_grow_and_are_positive(void)
{
    struct cm_serials serials;
    struct cm_serial drawn[1000];
    int64_t last = 0;
    cm_serials_init(&serials, 0);
    for (int64_t time_ms = 1790000000000; time_ms < 1790000000010; time_ms++) {
        CU_ASSERT_TRUE_FATAL(cm_serials_draw(&serials, time_ms, 1000, drawn));
        for (int i = 0; i < 1000; i++) {
            CU_ASSERT_TRUE(cm_serial_number(&drawn[i]) > last);
            last = cm_serial_number(&drawn[i]);
            /* Minimal and positive as a 20-octet INTEGER. */
            CU_ASSERT_TRUE(drawn[i].octets[0] > 0 && drawn[i].octets[0] < 0x80);
        }
    }
    CU_ASSERT_EQUAL(last >> 20, 1790000000009);
}

static void test_serials_go_on_from_the_store_when_the_clock_is_behind(void)
{
    struct cm_serials serials;
    struct cm_serial drawn;
    cm_serials_init(&serials, 1790000000000LL << 20);
    CU_ASSERT_TRUE(cm_serials_draw(&serials, 1780000000000, 1, &drawn));
    CU_ASSERT_EQUAL(cm_serial_number(&drawn), (1790000000000LL << 20) + 1);
}

/* Each of the 96 bits is set in about half of the draws: within five sigma of a fair coin. */
static void test_serials_have_no_fixed_random_bit(void)
{
    static struct cm_serial drawn[DRAWS];
    struct cm_serials serials;
    const double sigma = 158.1; /* sqrt(100000) / 2 */
    cm_serials_init(&serials, 0);
    CU_ASSERT_TRUE_FATAL(cm_serials_draw(&serials, 1790000000000, DRAWS, drawn));
    for (int bit = 0; bit < 96; bit++) {
        int set = 0;
        for (int i = 0; i < DRAWS; i++)
            set += drawn[i].octets[8 + bit / 8] >> (bit % 8) & 1;
        CU_ASSERT_TRUE(abs(set - DRAWS / 2) < 5 * sigma);
    }
}

struct drawer {
    struct cm_serials *serials;
    struct cm_serial *drawn;
};

static void *draw(void *arg)
{
    struct drawer *drawer = arg;
    for (int i = 0; i < PER_THREAD; i += 100)
        if (!cm_serials_draw(drawer->serials, 1790000000000 + i / 1000, 100, drawer->drawn + i))
            abort();
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static void test_serials_of_many_threads_are_all_different(void)
{
    struct cm_serials serials;
    pthread_t threads[THREADS];
    struct drawer drawers[THREADS];
    struct cm_serial *all = calloc(THREADS * PER_THREAD, sizeof *all);
    int repeated = 0;
    cm_serials_init(&serials, 0);
    for (int i = 0; i < THREADS; i++) {
        drawers[i] = (struct drawer){ &serials, all + i * PER_THREAD };
        pthread_create(&threads[i], NULL, draw, &drawers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(all, THREADS * PER_THREAD, sizeof *all, by_number);
    for (int i = 1; i < THREADS * PER_THREAD; i++)
        repeated += memcmp(&all[i - 1], &all[i], 8) == 0;
    CU_ASSERT_EQUAL(repeated, 0);
    free(all);
}

CM_TEST_SUITE(serials, CM_TEST(test_serials_grow_and_are_positive),
              CM_TEST(test_serials_go_on_from_the_store_when_the_clock_is_behind),
              CM_TEST(test_serials_have_no_fixed_random_bit),
              CM_TEST(test_serials_of_many_threads_are_all_different));
