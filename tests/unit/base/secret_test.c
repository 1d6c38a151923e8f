#include "engine/base/secret.h"
#include "tests/support/terminal.h"
#include "tests/support/test_main.h"

#include <signal.h>
#include <stdint.h>
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

#define WORDS "PIN of the token"

/* 0: the secret was read; else the status. */
static int ask(void *expected)
{
    struct cm_secret secret = { 0 };
    cm_status status = cm_secret_read("prompt:" WORDS, NULL, &secret, NULL);
    bool same = status != CM_OK || strcmp(secret.text, expected) == 0;
    cm_secret_done(&secret);
    return same ? (int)status : -1;
}

static void test_secret_is_asked_for_on_the_terminal_without_an_echo(void)
{
    struct terminal terminal = { .words = WORDS ": ", .typed = "s3cret\n" };
    terminal_run(&terminal, ask, (void *)(uintptr_t) "s3cret");
    CU_ASSERT_EQUAL(terminal.status, 0);
    CU_ASSERT_EQUAL(terminal.questions, 1);
    CU_ASSERT_PTR_NULL(strstr(terminal.seen, "s3cret"));
    CU_ASSERT_TRUE(terminal.echoes);
    CU_ASSERT_TRUE(cm_secret_is_asked("prompt:"));
    CU_ASSERT_FALSE(cm_secret_is_asked("file:prompt:"));
}

/* nohup and background jobs hand on signals that are ignored: here they end the process. */
static int ask_to_the_end(void *number)
{
    signal(*(const int *)number, SIG_DFL);
    return ask((void *)(uintptr_t) "");
}

static void test_secret_leaves_a_terminal_that_echoes_to_a_signal_that_ends_the_process(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct terminal terminal = { .words = WORDS ": ", .signal_number = numbers[i] };
        terminal_run(&terminal, ask_to_the_end, (void *)(uintptr_t)&numbers[i]);
        CU_ASSERT_TRUE(WIFSIGNALED(terminal.status) && WTERMSIG(terminal.status) == numbers[i]);
        CU_ASSERT_TRUE(terminal.echoes);
    }
}

/* As a signer does. */
static int ask_deaf_to_signals(void *arg)
{
    signal(SIGINT, SIG_IGN);
    return ask(arg);
}

static void test_secret_is_denied_when_a_signal_breaks_off_the_question(void)
{
    struct terminal terminal = { .words = WORDS ": ", .typed = "half\003" };
    terminal_run(&terminal, ask_deaf_to_signals, (void *)(uintptr_t) "");
    CU_ASSERT_TRUE(WIFEXITED(terminal.status) && WEXITSTATUS(terminal.status) == CM_DENIED);
    CU_ASSERT_TRUE(terminal.echoes);
}

static int ask_briefly(void *arg)
{
    cm_secret_set_patience(50);
    return ask(arg);
}

static void test_secret_is_denied_when_nobody_answers(void)
{
    struct terminal terminal = { .words = WORDS ": ", .typed = "half" };
    terminal_run(&terminal, ask_briefly, (void *)(uintptr_t) "");
    CU_ASSERT_TRUE(WIFEXITED(terminal.status) && WEXITSTATUS(terminal.status) == CM_DENIED);
    CU_ASSERT_TRUE(terminal.echoes);
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
              CM_TEST(test_secret_leaves_a_terminal_that_echoes_to_a_signal_that_ends_the_process),
              CM_TEST(test_secret_is_denied_when_a_signal_breaks_off_the_question),
              CM_TEST(test_secret_is_denied_when_nobody_answers),
              CM_TEST(test_secret_cannot_be_asked_for_without_a_terminal),
              CM_TEST(test_secret_done_takes_nothing));
