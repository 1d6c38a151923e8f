/* Keys in flight are exclusive; those that come again wait, in order; removals hide nobody. */
#include "engine/inflight.h"
#include "tests/support/test_main.h"

#include <stdlib.h>

static struct cm_request request_with_key(uint32_t home, uint32_t tail)
{
    struct cm_request request = { .has_key = true };
    memcpy(request.key.octets, &home, sizeof home);
    memcpy(request.key.octets + 4, &tail, sizeof tail);
    return request;
}

static void test_inflight_second_entry_waits_behind_the_first(void)
{
    struct cm_inflight inflight;
    struct cm_request first = request_with_key(5, 1), again = request_with_key(5, 1);
    struct cm_entry a, b;
    cm_inflight_init(&inflight, 16);
    CU_ASSERT_PTR_NULL(cm_inflight_enter(&inflight, &first));
    CU_ASSERT_PTR_EQUAL(cm_inflight_enter(&inflight, &again), &first);
    cm_inflight_wait(&first, &a);
    cm_inflight_wait(&first, &b);
    struct cm_waiting *waiting = cm_inflight_leave(&inflight, &first);
    CU_ASSERT_PTR_EQUAL(waiting->entry, &a);
    CU_ASSERT_PTR_EQUAL(waiting->next->entry, &b);
    CU_ASSERT_PTR_NULL(waiting->next->next);
    free(waiting->next);
    free(waiting);
    CU_ASSERT_PTR_NULL(cm_inflight_enter(&inflight, &again));
    CU_ASSERT_PTR_NULL(cm_inflight_leave(&inflight, &again));
    cm_inflight_done(&inflight);
}

/* Random enters and leaves over few home slots, against a plain list. */
static void test_inflight_finds_everyone_after_any_removals(void)
{
    enum { KEYS = 64 };
    struct cm_inflight inflight;
    struct cm_request requests[KEYS];
    bool inside[KEYS] = { false };
    srand(1);
    cm_inflight_init(&inflight, KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        requests[i] = request_with_key((uint32_t)rand() % 8 + 120, i);
    for (int step = 0; step < 20000; step++) {
        int i = rand() % KEYS;
        struct cm_request twin = requests[i];
        if (inside[i])
            cm_inflight_leave(&inflight, &requests[i]);
        else
            CU_ASSERT_PTR_NULL(cm_inflight_enter(&inflight, &requests[i]));
        inside[i] = !inside[i];
        int j = rand() % KEYS;
        if (inside[j]) {
            twin = requests[j];
            CU_ASSERT_PTR_EQUAL(cm_inflight_enter(&inflight, &twin), &requests[j]);
        }
    }
    cm_inflight_done(&inflight);
}

CM_TEST_SUITE(inflight, CM_TEST(test_inflight_second_entry_waits_behind_the_first),
              CM_TEST(test_inflight_finds_everyone_after_any_removals));
