#include "tests/unit/settings/settings_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"

char rig_path[512];

const char *rig_write(const char *text, size_t size)
{
    snprintf(rig_path, sizeof rig_path, "%s/certmill.yaml", cm_test_scratch());
    FILE *file = fopen(rig_path, "w");
    if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
        abort();
    return rig_path;
}

cm_status rig_read(const char *text, struct cm_settings **ret, struct cm_error *err)
{
    return cm_settings_read(rig_write(text, strlen(text)), ret, err);
}

struct cm_settings *rig_good(const char *text)
{
    struct cm_settings *settings = NULL;
    struct cm_error err = { 0 };
    if (rig_read(text, &settings, &err) != CM_OK) {
        printf("%s\n", err.text);
        CU_FAIL_FATAL("a good file was refused");
    }
    return settings;
}

void rig_expect_refusals(const struct rig_refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cm_settings *settings = NULL;
        struct cm_error err = { 0 };
        char expected[sizeof rig_path + CM_ERROR_TEXT_SIZE];
        cm_status status = rig_read(refusals[i].text, &settings, &err);
        snprintf(expected, sizeof expected, "%s%s", rig_path, refusals[i].expected);
        if (status != CM_MALFORMED || strncmp(err.text, expected, strlen(expected)) != 0) {
            printf("\n%s\nexpected: %s\nfound:    %s\n", refusals[i].text, expected, err.text);
            CU_FAIL("another message was expected");
        }
        CU_ASSERT_PTR_NULL(settings);
    }
}
