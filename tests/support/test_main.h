/*
 * The frame of every unit and conformance test: one executable per module, one CUnit suite per
 * executable. The display name of a test is made from its function's name, so the two cannot
 * drift apart:
 *
 *     CM_TEST_SUITE(arena, CM_TEST(test_arena_reset_gives_the_same_memory_again),
 *                          CM_TEST(test_arena_copies_an_empty_span));
 *
 * defines main(). It returns 0 when every test passed, 1 when one failed *or none ran*, and 77
 * (skipped, with the reason on standard output) when a test called cm_test_skip() and none failed.
 *
 * CUnit keeps its state in globals: assert on the test thread only. Fatal assertions leave by
 * longjmp, so what must be released lives in a fixture.
 */
#ifndef CM_TESTS_SUPPORT_TEST_MAIN_H
#define CM_TESTS_SUPPORT_TEST_MAIN_H

#include <CUnit/CUnit.h>

#include <stddef.h>

struct cm_test {
    const char *name;
    void (*run)(void);
};

struct cm_test_suite {
    const char *name;
    const struct cm_test *tests;
    size_t tests_count;
    int (*set_up)(void);    /* before the first test; non-zero fails the suite; may be NULL */
    int (*tear_down)(void); /* after the last; may be NULL */
};

#define CM_TEST(function)                                                                          \
    {                                                                                              \
#        function, function                                                                        \
    }

#define CM_TEST_SUITE_WITH(suite_name, set_up_, tear_down_, ...)                                   \
    static const struct cm_test suite_name##_tests[] = { __VA_ARGS__ };                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        static const struct cm_test_suite suite = { #suite_name, suite_name##_tests,               \
                                                    sizeof suite_name##_tests                      \
                                                        / sizeof suite_name##_tests[0],            \
                                                    set_up_, tear_down_ };                         \
        return cm_test_main(&suite, argc, argv);                                                   \
    }                                                                                              \
    _Static_assert(1, "takes the semicolon")

#define CM_TEST_SUITE(suite_name, ...) CM_TEST_SUITE_WITH(suite_name, NULL, NULL, __VA_ARGS__)

/* With an argument, only the tests whose name contains it run. */
int cm_test_main(const struct cm_test_suite *suite, int argc, char **argv);

/* Says on standard output why the running test did not check anything; return afterwards. */
void cm_test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A fresh folder below $TMPDIR, removed with its content when the process exits. Owned by the frame. */
const char *cm_test_scratch(void);

#endif
