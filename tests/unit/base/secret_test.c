#include "engine/base/secret.h"
#include "tests/support/test_main.h"

#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *write_file(const char *name, const void *content, size_t size, mode_t mode)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", cm_test_scratch(), name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fwrite(content, 1, size, file);
    fclose(file);
    chmod(path, mode);
    return path;
}

static cm_status read_named(const char *kind, const char *name, struct cm_secret *ret_secret,
                            struct cm_error *err)
{
    char reference[600];
    *ret_secret = (struct cm_secret){ 0 };
    snprintf(reference, sizeof reference, "%s%s", kind, name);
    return cm_secret_read(reference, cm_test_scratch(), ret_secret, err);
}

static void expect_status(cm_status expected, const char *kind, const char *name)
{
    struct cm_secret secret;
    struct cm_error err = { .status = CM_OK };
    CU_ASSERT_EQUAL(read_named(kind, name, &secret, &err), expected);
    CU_ASSERT_EQUAL(err.status, expected);
    CU_ASSERT_PTR_NULL(secret.text);
}

static void expect_text(const char *expected, const char *kind, const char *name)
{
    struct cm_secret secret;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(read_named(kind, name, &secret, &err), CM_OK);
    CU_ASSERT_STRING_EQUAL(secret.text, expected);
    CU_ASSERT_EQUAL(secret.size, strlen(expected));
    cm_secret_done(&secret);
    CU_ASSERT_PTR_NULL(secret.text);
}

static void test_secret_of_an_unknown_kind_is_refused_without_repeating_it(void)
{
    struct cm_secret secret;
    struct cm_error err;
    CU_ASSERT_EQUAL(read_named("", "hunter2", &secret, &err), CM_MALFORMED);
    CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
    expect_status(CM_MALFORMED, "pass:", "hunter2");
    expect_status(CM_MALFORMED, "", "");
}

static void test_secret_file_open_to_all_users_is_refused_and_says_chmod(void)
{
    struct cm_secret secret;
    struct cm_error err;
    const char *path = write_file("open", "x", 1, 0604);
    CU_ASSERT_EQUAL(read_named("file:", path, &secret, &err), CM_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "chmod 600"));
    chmod(path, 0602);
    expect_status(CM_DENIED, "file:", path);
    chmod(path, 0640);
    expect_text("x", "file:", path);
}

static void test_secret_file_that_is_absent_is_not_found(void)
{
    expect_status(CM_NOT_FOUND, "file:", "absent");
    expect_status(CM_NOT_FOUND, "file:", "/nonexistent/secret");
    expect_status(CM_MALFORMED, "file:", "");
    expect_status(CM_MALFORMED, "file:", "/");
}

static void test_secret_from_a_pipe_is_malformed_and_does_not_block(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/pipe", cm_test_scratch());
    CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
    expect_status(CM_MALFORMED, "file:", path);
}

static void test_secret_that_is_empty_or_too_long_or_has_a_nul_is_malformed(void)
{
    static char large[CM_SECRET_SIZE_MAX + 2];
    memset(large, 'a', sizeof large);
    expect_status(CM_MALFORMED, "file:", write_file("empty", "", 0, 0600));
    expect_status(CM_MALFORMED, "file:", write_file("newline", "\n", 1, 0600));
    expect_status(CM_MALFORMED, "file:", write_file("nul", "a\0b", 3, 0600));
    expect_status(CM_MALFORMED, "file:", write_file("long", large, CM_SECRET_SIZE_MAX + 1, 0600));
}

static void test_secret_of_the_largest_size_is_read_with_its_newline(void)
{
    static char large[CM_SECRET_SIZE_MAX + 1];
    struct cm_secret secret;
    memset(large, 'a', sizeof large);
    large[CM_SECRET_SIZE_MAX] = '\n';
    const char *path = write_file("largest", large, sizeof large, 0600);
    CU_ASSERT_EQUAL_FATAL(read_named("file:", path, &secret, NULL), CM_OK);
    CU_ASSERT_EQUAL(secret.size, CM_SECRET_SIZE_MAX);
    cm_secret_done(&secret);
}

static void test_secret_loses_one_newline_and_no_more(void)
{
    write_file("two", "pass word \n\n", 12, 0600);
    expect_text("pass word \n", "file:", "two");
}

static void test_secret_from_the_environment_is_read(void)
{
    unsetenv("CM_TEST_SECRET");
    expect_status(CM_NOT_FOUND, "env:", "CM_TEST_SECRET");
    setenv("CM_TEST_SECRET", "s3cret", 1);
    expect_text("s3cret", "env:", "CM_TEST_SECRET");
    setenv("CM_TEST_SECRET", "", 1);
    expect_status(CM_MALFORMED, "env:", "CM_TEST_SECRET");
}

static void test_secret_from_a_credential_is_read_and_cannot_leave_its_folder(void)
{
    unsetenv("CREDENTIALS_DIRECTORY");
    expect_status(CM_NOT_FOUND, "credential:", "cred");
    setenv("CREDENTIALS_DIRECTORY", cm_test_scratch(), 1);
    write_file("cred", "from systemd", 12, 0400);
    expect_text("from systemd", "credential:", "cred");
    expect_status(CM_NOT_FOUND, "credential:", "other");
    expect_status(CM_MALFORMED, "credential:", "../cred");
    expect_status(CM_MALFORMED, "credential:", "a/b");
    expect_status(CM_MALFORMED, "credential:", "");
}

/* What somebody at a terminal sees who types so; *ret_code is 0 when that was what was read. */
static void type_at_a_prompt(const char *typed, char *seen, size_t space, int *ret_code)
{
    int terminal, status = -1;
    size_t used = 0;
    ssize_t got;
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    if (child == 0) {
        struct cm_secret secret;
        bool same = cm_secret_read("prompt:PIN of the token", NULL, &secret, NULL) == CM_OK
                    && secret.size == strlen(typed) - 1
                    && memcmp(secret.text, typed, secret.size) == 0;
        _exit(same ? 0 : 1);
    }
    CU_ASSERT_TRUE_FATAL(child > 0);
    /* Typed once the question is there: what comes before it is thrown away. */
    while (used + 1 < space && (got = read(terminal, seen + used, space - used - 1)) > 0) {
        bool asked = memchr(seen, ':', used) != NULL;
        used += (size_t)got;
        if (!asked && memchr(seen, ':', used))
            CU_ASSERT_EQUAL(write(terminal, typed, strlen(typed)), (ssize_t)strlen(typed));
    }
    seen[used] = '\0';
    waitpid(child, &status, 0);
    close(terminal);
    *ret_code = status;
}

static void test_secret_is_asked_for_on_the_terminal_without_an_echo(void)
{
    char seen[256];
    int code;
    type_at_a_prompt("s3cret\n", seen, sizeof seen, &code);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen, "PIN of the token: "));
    CU_ASSERT_PTR_NULL(strstr(seen, "s3cret"));
    CU_ASSERT_TRUE(cm_secret_is_asked("prompt:"));
    CU_ASSERT_FALSE(cm_secret_is_asked("file:prompt:"));
}

static void test_secret_cannot_be_asked_for_without_a_terminal(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        struct cm_secret secret;
        struct cm_error err;
        bool denied = setsid() > 0 && cm_secret_read("prompt:", NULL, &secret, &err) == CM_DENIED
                      && strstr(err.text, "no terminal");
        _exit(denied ? 0 : 1);
    }
    CU_ASSERT_TRUE_FATAL(child > 0);
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

static void test_secret_done_takes_nothing(void)
{
    struct cm_secret secret = { 0 };
    cm_secret_done(NULL);
    cm_secret_done(&secret);
    CU_PASS("did not crash");
}

CM_TEST_SUITE(secret, CM_TEST(test_secret_of_an_unknown_kind_is_refused_without_repeating_it),
              CM_TEST(test_secret_file_open_to_all_users_is_refused_and_says_chmod),
              CM_TEST(test_secret_file_that_is_absent_is_not_found),
              CM_TEST(test_secret_from_a_pipe_is_malformed_and_does_not_block),
              CM_TEST(test_secret_that_is_empty_or_too_long_or_has_a_nul_is_malformed),
              CM_TEST(test_secret_of_the_largest_size_is_read_with_its_newline),
              CM_TEST(test_secret_loses_one_newline_and_no_more),
              CM_TEST(test_secret_from_the_environment_is_read),
              CM_TEST(test_secret_from_a_credential_is_read_and_cannot_leave_its_folder),
              CM_TEST(test_secret_is_asked_for_on_the_terminal_without_an_echo),
              CM_TEST(test_secret_cannot_be_asked_for_without_a_terminal),
              CM_TEST(test_secret_done_takes_nothing));
