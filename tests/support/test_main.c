#include "tests/support/test_main.h"

#include <CUnit/Basic.h>

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned skipped_count;
static char scratch[256];

void cm_test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("SKIP: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    skipped_count++;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_scratch(void)
{
    nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *cm_test_scratch(void)
{
    if (scratch[0] == '\0') {
        const char *base = getenv("TMPDIR");
        snprintf(scratch, sizeof scratch, "%s/certmill-test.XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(scratch))
            abort();
        atexit(remove_scratch);
    }
    return scratch;
}

int cm_test_main(const struct cm_test_suite *suite, int argc, char **argv)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    CU_pSuite registered = CU_add_suite(suite->name, suite->set_up, suite->tear_down);
    for (size_t i = 0; i < suite->tests_count; i++)
        if (argc < 2 || strstr(suite->tests[i].name, argv[1]))
            CU_add_test(registered, suite->tests[i].name, suite->tests[i].run);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned ran = CU_get_number_of_tests_run();
    unsigned failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    if (failed > 0 || ran == 0)
        return 1;
    return skipped_count > 0 ? 77 : 0;
}
