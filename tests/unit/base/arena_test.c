#include "engine/base/arena.h"
#include "tests/support/test_main.h"

static void test_arena_reset_gives_the_same_memory_again(void)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 4096);
    void *first = cm_arena_alloc(&arena, 100);
    cm_arena_reset(&arena);
    CU_ASSERT_PTR_EQUAL(cm_arena_alloc(&arena, 100), first);
    cm_arena_done(&arena);
}

static void test_arena_serves_more_than_a_block(void)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 128);
    uint8_t *small = cm_arena_zalloc(&arena, 64);
    uint8_t *large = cm_arena_zalloc(&arena, 100000);
    large[99999] = 1;
    small[63] = 2;
    cm_arena_reset(&arena);
    /* The large block is found again behind the small one. */
    cm_arena_alloc(&arena, 64);
    CU_ASSERT_PTR_EQUAL(cm_arena_alloc(&arena, 100000), large);
    cm_arena_done(&arena);
}

static void test_arena_aligns_every_allocation(void)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 4096);
    for (size_t size = 1; size < 40; size++)
        CU_ASSERT_EQUAL((uintptr_t)cm_arena_alloc(&arena, size) % _Alignof(max_align_t), 0);
    cm_arena_done(&arena);
}

static void test_arena_printf_holds_long_texts(void)
{
    struct cm_arena arena;
    cm_arena_init(&arena, 64);
    const char *text = cm_arena_printf(&arena, "%0*d", 5000, 7);
    CU_ASSERT_EQUAL(strlen(text), 5000);
    CU_ASSERT_EQUAL(text[4999], '7');
    CU_ASSERT_STRING_EQUAL(cm_arena_printf(&arena, "%s-%d", "a", 1), "a-1");
    cm_arena_done(&arena);
}

CM_TEST_SUITE(arena, CM_TEST(test_arena_reset_gives_the_same_memory_again),
              CM_TEST(test_arena_serves_more_than_a_block),
              CM_TEST(test_arena_aligns_every_allocation),
              CM_TEST(test_arena_printf_holds_long_texts));
