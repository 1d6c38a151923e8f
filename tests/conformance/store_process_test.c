/* The store between processes: one writes, others read, and any of them may be killed. */
#include "tests/conformance/store_orders.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_main.h"

extern char **environ;

static struct fixture f;

struct child {
    pid_t pid;
    FILE *output;
    int input;
};

/* Spawned, not forked: an open connection must not be carried into a child. */
static struct child start_child(const char *mode, const char *path)
{
    char program[] = STORE_CHILD, mode_copy[16], path_copy[512];
    char *argv[] = { program, mode_copy, path_copy, NULL };
    int out[2], in[2];
    posix_spawn_file_actions_t actions;
    struct child child = { .pid = -1 };
    snprintf(mode_copy, sizeof mode_copy, "%s", mode);
    snprintf(path_copy, sizeof path_copy, "%s", path);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(in, O_CLOEXEC) != 0)
        abort();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (posix_spawn(&child.pid, program, &actions, NULL, argv, environ) != 0)
        abort();
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(in[0]);
    child.output = fdopen(out[0], "r");
    child.input = in[1];
    return child;
}

static int end_child(struct child *child)
{
    int status = 0;
    close(child->input);
    waitpid(child->pid, &status, 0);
    fclose(child->output);
    return status;
}

/* Lets the child record until row, then kills it; the last row that it called durable. */
static unsigned kill_writer_after(const char *mode, const char *path, unsigned row)
{
    struct child child = start_child(mode, path);
    char line[64];
    unsigned durable = 0;
    while (durable < row && fgets(line, sizeof line, child.output))
        durable = (unsigned)strtoul(line, NULL, 10);
    kill(child.pid, SIGKILL);
    while (fgets(line, sizeof line, child.output))
        if (strchr(line, '\n'))
            durable = (unsigned)strtoul(line, NULL, 10);
    end_child(&child);
    return durable;
}

static void expect_all_until(unsigned durable)
{
    fixture_reopen(&f);
    struct cm_store_counts counts = fixture_counts(&f);
    CU_ASSERT(counts.certificates >= durable);
    CU_ASSERT_EQUAL(counts.certificates % 64, 0);
    int64_t batches = counts.certificates / 64;
    CU_ASSERT_EQUAL(counts.revocations, batches - 1);
    CU_ASSERT_EQUAL(counts.audit_rows, 2 * batches - 1);
    for (unsigned n = 1; n <= durable; n++)
        if (!fixture_recall(&f, n).known)
            CU_FAIL("a durable row is gone");
    for (unsigned n = 65; n <= durable; n += 64)
        if (!fixture_recall(&f, 10000000 + n).is_order || order_reason(&f, n - 1) < 0)
            CU_FAIL("a durable order is gone");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_EXISTS);
    CU_ASSERT_EQUAL(fixture_record(&f, 900000, 10), CM_OK);
}

static void test_what_was_called_durable_outlives_kill_9(void)
{
    fixture_make(&f, "killed");
    fixture_close(&f);
    unsigned durable = kill_writer_after("write", f.path, 2000);
    CU_ASSERT(durable >= 2000);
    expect_all_until(durable);
    fixture_done(&f);
}

/* The unclean start looks through all pages, too. */
static void test_what_was_called_durable_outlives_kill_9_while_the_log_is_moved(void)
{
    for (unsigned round = 0; round < 8; round++) {
        char name[32];
        snprintf(name, sizeof name, "killed-moving-%u", round);
        fixture_make(&f, name);
        fixture_close(&f);
        unsigned durable = kill_writer_after("moving", f.path, 1000 + round * 711);
        CU_ASSERT(durable >= 1000 + round * 711);
        expect_all_until(durable);
        fixture_done(&f);
    }
}

static void test_a_failed_sync_of_the_database_ends_the_process_and_loses_nothing(void)
{
    char line[64];
    unsigned durable = 0;
    fixture_make(&f, "unmoved");
    fixture_close(&f);
    struct child child = start_child("unmoved", f.path);
    while (fgets(line, sizeof line, child.output))
        if (strchr(line, '\n'))
            durable = (unsigned)strtoul(line, NULL, 10);
    int status = end_child(&child);
    CU_ASSERT_TRUE(WIFSIGNALED(status));
    CU_ASSERT_EQUAL(WTERMSIG(status), SIGABRT);
    CU_ASSERT(durable >= 64);
    expect_all_until(durable);
    fixture_done(&f);
}

static void test_a_failed_sync_ends_the_process_and_the_next_start_reads_what_is_there(void)
{
    fixture_make(&f, "unsynced");
    fixture_close(&f);
    struct child child = start_child("unsynced", f.path);
    int status = end_child(&child);
    CU_ASSERT_TRUE(WIFSIGNALED(status));
    CU_ASSERT_EQUAL(WTERMSIG(status), SIGABRT);
    fixture_reopen(&f);
    struct cm_store_counts counts = fixture_counts(&f);
    CU_ASSERT(counts.certificates == 64 || counts.certificates == 128); /* nobody was told */
    CU_ASSERT_EQUAL(counts.audit_rows, counts.certificates / 64);
    CU_ASSERT_TRUE(fixture_recall(&f, 64).known);
    fixture_done(&f);
}

static void test_a_second_writer_is_told_who_writes(void)
{
    char line[512] = "", pid[32];
    fixture_make(&f, "second");
    struct child child = start_child("open", f.path);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, child.output));
    CU_ASSERT_EQUAL(WEXITSTATUS(end_child(&child)), 1);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(line, pid));
    fixture_close(&f);
    child = start_child("open", f.path);
    CU_ASSERT_EQUAL(end_child(&child), 0);
    fixture_done(&f);
}

static void test_a_second_writer_in_the_same_process_is_kept_out(void)
{
    struct cm_store *second = NULL;
    fixture_make(&f, "second-here");
    const struct cm_store_settings settings = { .path = f.path };
    CU_ASSERT_EQUAL(cm_store_open(&cm_store_sqlite, f.loop, &settings, &second, &f.err), CM_BUSY);
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 1), CM_OK);
    fixture_done(&f);
}

static void test_another_process_reads_whole_snapshots_while_we_write(void)
{
    char line[512] = "";
    fixture_make(&f, "readers");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 100), CM_OK);
    struct child child = start_child("read", f.path);
    CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, child.output));
    CU_ASSERT_STRING_EQUAL(line, "ready\n");
    for (unsigned first = 101; first < 20000; first += 100)
        if (fixture_record(&f, first, 100) != CM_OK)
            CU_FAIL("a record failed beside a reader");
    CU_ASSERT_EQUAL(end_child(&child), 0);
    fixture_done(&f);
}

static void test_a_read_only_store_is_read_without_a_writer(void)
{
    struct cm_store *store = NULL;
    struct cm_store_reader *reader = NULL;
    struct cm_store_counts counts = { .certificates = 0 };
    fixture_make(&f, "read-only");
    CU_ASSERT_EQUAL(fixture_record(&f, 1, 10), CM_OK);
    fixture_close(&f);
    const struct cm_store_settings settings = { .path = f.path, .read_only = true };
    CU_ASSERT_EQUAL_FATAL(cm_store_open(&cm_store_sqlite, NULL, &settings, &store, &f.err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_open(store, &reader, &f.err), CM_OK);
    CU_ASSERT_EQUAL(cm_store_count(reader, &counts, &f.err), CM_OK);
    CU_ASSERT_EQUAL(counts.certificates, 10);
    cm_store_reader_close(reader);
    cm_store_close(store);
    fixture_done(&f);
}

CM_TEST_SUITE(store_process, CM_TEST(test_what_was_called_durable_outlives_kill_9),
              CM_TEST(test_what_was_called_durable_outlives_kill_9_while_the_log_is_moved),
              CM_TEST(test_a_failed_sync_of_the_database_ends_the_process_and_loses_nothing),
              CM_TEST(test_a_failed_sync_ends_the_process_and_the_next_start_reads_what_is_there),
              CM_TEST(test_a_second_writer_is_told_who_writes),
              CM_TEST(test_a_second_writer_in_the_same_process_is_kept_out),
              CM_TEST(test_another_process_reads_whole_snapshots_while_we_write),
              CM_TEST(test_a_read_only_store_is_read_without_a_writer));
