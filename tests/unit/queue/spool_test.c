/* What is the spool's own: names, folders, files of several blocks, and what must not be read. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/queue.h"
#include "tests/support/queue_rig.h"
#include "tests/support/test_main.h"

static const char block_a[] = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
                              "-----END CERTIFICATE REQUEST-----\n";
static const char block_b[] = "-----BEGIN CERTIFICATE REQUEST-----\nBBBB\n"
                              "-----END CERTIFICATE REQUEST-----\n";

static char base[300];
static unsigned bases_count;
static struct cm_queue_rig rig;
static char input[600];
static char output[600];

static const char *path_of(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static void write_file(const char *name, const void *content, size_t size)
{
    FILE *file = fopen(path_of(name), "we");
    if (!file || fwrite(content, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void move(const char *from, const char *to)
{
    char from_path[600];
    snprintf(from_path, sizeof from_path, "%s", path_of(from));
    CU_ASSERT_EQUAL(rename(from_path, path_of(to)), 0);
}

static bool exists(const char *name)
{
    struct stat status;
    return lstat(path_of(name), &status) == 0;
}

static void make_folder(const char *name)
{
    if (mkdir(path_of(name), 0700) != 0)
        abort();
}

static void begin(void)
{
    snprintf(base, sizeof base, "%s/one-%u", cm_test_scratch(), bases_count++);
    if (mkdir(base, 0700) != 0)
        abort();
    cm_queue_rig_init(&rig);
}

static bool open_once(const char *from, struct cm_queue_settings settings)
{
    snprintf(input, sizeof input, "%s", from[0] == '-' ? from : path_of(from));
    snprintf(output, sizeof output, "%s", path_of("out"));
    settings.input = input;
    settings.output = output;
    return cm_queue_rig_open(&rig, &cm_queue_spool, &settings);
}

/* Everything that the input gives, in hand. */
static void read_all(const char *from)
{
    CU_ASSERT_TRUE_FATAL(open_once(from, (struct cm_queue_settings){ .requester = "r" }));
    cm_queue_want(rig.queue, 1000);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_EXHAUSTED, 1));
}

static int find(const char *device)
{
    for (uint32_t i = 0; i < rig.entries_count; i++)
        if (strcmp(cm_queue_rig_text(&rig, i, CM_FIELD_DEVICE), device) == 0)
            return (int)i;
    return -1;
}

static void end(void)
{
    cm_queue_rig_done(&rig);
}

static void test_a_missing_input_is_an_error(void)
{
    begin();
    CU_ASSERT_FALSE(open_once("nothing", (struct cm_queue_settings){ .requester = NULL }));
    end();
}

static void test_a_missing_folder_of_a_watched_spool_is_an_error(void)
{
    begin();
    make_folder("incoming");
    make_folder("answered");
    const struct cm_queue_settings settings = { .folder = base };
    CU_ASSERT_FALSE(cm_queue_rig_open(&rig, &cm_queue_spool, &settings));
    end();
}

static void test_only_requests_of_a_folder_are_read_and_they_stay(void)
{
    begin();
    make_folder("in");
    write_text("in/a.csr", "a");
    write_text("in/b.pem", "b");
    write_text("in/c.der", "c");
    write_text("in/.hidden.csr", "x");
    write_text("in/.csr", "x");
    write_text("in/d.csr.tmp", "x");
    write_text("in/README", "x");
    read_all("in");
    CU_ASSERT_EQUAL(rig.entries_count, 3);
    CU_ASSERT_TRUE(find("a") >= 0 && find("b") >= 0 && find("c") >= 0);
    cm_queue_rig_answer(&rig, 3);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE(exists("out/a.pem") && exists("out/b.pem") && exists("out/c.pem"));
    CU_ASSERT_TRUE(exists("in/a.csr") && exists("in/b.pem"));
    end();
}

static void test_an_id_is_the_same_for_the_same_file_only(void)
{
    char ids[3][64];
    static const char *const contents[3] = { "one", "one", "two" };
    for (unsigned i = 0; i < 3; i++) {
        begin();
        write_text("x.csr", contents[i]);
        read_all("x.csr");
        CU_ASSERT_EQUAL_FATAL(rig.entries_count, 1);
        snprintf(ids[i], sizeof ids[i], "%s", cm_queue_rig_text(&rig, 0, CM_FIELD_ID));
        end();
    }
    CU_ASSERT_EQUAL(strlen(ids[0]), 32);
    CU_ASSERT_STRING_EQUAL(ids[0], ids[1]);
    CU_ASSERT_STRING_NOT_EQUAL(ids[0], ids[2]);
}

static void test_a_file_of_several_blocks_is_several_requests(void)
{
    begin();
    make_folder("in");
    char text[400];
    snprintf(text, sizeof text, "first\n%stext between\n%s", block_a, block_b);
    write_text("in/batch.pem", text);
    write_text("in/single.pem", block_a);
    read_all("in");
    CU_ASSERT_EQUAL(rig.entries_count, 3);
    int second = find("batch-000002");
    CU_ASSERT_TRUE_FATAL(second >= 0);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, (uint32_t)second, CM_FIELD_CSR), block_b);
    CU_ASSERT_TRUE(find("batch-000001") >= 0);
    CU_ASSERT_TRUE(find("single") >= 0);
    end();
}

static void test_a_large_file_of_many_blocks_is_read_in_pieces(void)
{
    begin();
    FILE *file = fopen(path_of("many.pem"), "we");
    for (unsigned i = 0; i < 5000; i++)
        fputs(i % 2 ? block_a : block_b, file);
    fclose(file);
    CU_ASSERT_TRUE_FATAL(open_once("many.pem", (struct cm_queue_settings){ .requester = "r" }));
    for (unsigned i = 1; i <= 50; i++) {
        cm_queue_want(rig.queue, 100);
        CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 100 * i));
    }
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_EXHAUSTED, 1));
    CU_ASSERT_EQUAL(rig.entries_count, 5000);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 4999, CM_FIELD_DEVICE), "many-005000");
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 4999, CM_FIELD_CSR), block_a);
    end();
}

static void test_a_block_that_is_too_large_is_refused_and_its_neighbours_are_not(void)
{
    begin();
    FILE *file = fopen(path_of("x.pem"), "we");
    fputs(block_a, file);
    fputs("-----BEGIN CERTIFICATE REQUEST-----\n", file);
    for (unsigned i = 0; i < 300000; i++)
        fputc(i % 64 == 63 ? '\n' : 'A', file);
    fputs("\n-----END CERTIFICATE REQUEST-----\n", file);
    fputs(block_b, file);
    fputs("-----BEGIN CERTIFICATE REQUEST-----\nAA", file);
    fclose(file);
    read_all("x.pem");
    CU_ASSERT_EQUAL_FATAL(rig.entries_count, 4);
    CU_ASSERT_EQUAL(rig.entries[0]->refusal.code, CM_REFUSAL_NONE);
    CU_ASSERT_EQUAL(rig.entries[1]->refusal.code, CM_REFUSAL_REQUEST_TOO_LARGE);
    CU_ASSERT_TRUE(rig.entries[1]->size > 300000);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 2, CM_FIELD_CSR), block_b);
    CU_ASSERT_EQUAL(rig.entries[3]->refusal.code, CM_REFUSAL_NONE);
    end();
}

static void test_a_lost_end_line_does_not_take_the_next_block_along(void)
{
    begin();
    FILE *file = fopen(path_of("x.pem"), "we");
    fputs("-----BEGIN CERTIFICATE REQUEST-----\nMA==\n", file);
    fputs(block_a, file);
    fputs("-----BEGIN CERTIFICATE REQUEST-----\n", file);
    for (unsigned i = 0; i < 300000; i++)
        fputc(i % 64 == 63 ? '\n' : 'A', file);
    fputc('\n', file);
    fputs(block_b, file);
    fclose(file);
    read_all("x.pem");
    CU_ASSERT_EQUAL_FATAL(rig.entries_count, 4);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_CSR),
                           "-----BEGIN CERTIFICATE REQUEST-----\nMA==\n");
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 1, CM_FIELD_CSR), block_a);
    CU_ASSERT_EQUAL(rig.entries[2]->refusal.code, CM_REFUSAL_REQUEST_TOO_LARGE);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 3, CM_FIELD_CSR), block_b);
    end();
}

/* Standard input of the test is replaced for the time of the call. */
static void read_standard_input(const char *text, size_t size)
{
    int ends[2];
    int before = dup(STDIN_FILENO);
    if (pipe(ends) != 0)
        abort();
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    CU_ASSERT_TRUE_FATAL(open_once("-", (struct cm_queue_settings){ .requester = "r" }));
    cm_queue_want(rig.queue, 10);
    cm_queue_rig_run(&rig, 30);
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_EXHAUSTED], 0);
    CU_ASSERT_EQUAL(write(ends[1], text, size), (ssize_t)size);
    close(ends[1]);
    CU_ASSERT_TRUE(cm_queue_rig_wait_event(&rig, CM_QUEUE_EXHAUSTED, 1));
    dup2(before, STDIN_FILENO);
    close(before);
}

static void test_standard_input_gives_numbered_requests(void)
{
    char text[400];
    begin();
    snprintf(text, sizeof text, "%s%s", block_a, block_b);
    read_standard_input(text, strlen(text));
    CU_ASSERT_EQUAL_FATAL(rig.entries_count, 2);
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 1, CM_FIELD_DEVICE), "000002");
    end();
}

static void test_standard_input_may_be_one_request_in_der(void)
{
    begin();
    read_standard_input("\x30\x02\x00-", 4);
    CU_ASSERT_EQUAL_FATAL(rig.entries_count, 1);
    CU_ASSERT_EQUAL(rig.entries[0]->fields[CM_FIELD_CSR].size, 4);
    end();
}

static void test_what_is_no_regular_file_is_refused_and_not_opened(void)
{
    begin();
    make_folder("in");
    make_folder("in/folder.csr");
    write_text("secret", "s");
    CU_ASSERT_EQUAL(symlink("../secret", path_of("in/link.csr")), 0);
    CU_ASSERT_EQUAL(mkfifo(path_of("in/pipe.csr"), 0600), 0);
    read_all("in");
    CU_ASSERT_EQUAL_FATAL(rig.entries_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(rig.entries[i]->refusal.code, CM_REFUSAL_REQUEST_FIELD_INVALID);
        CU_ASSERT_EQUAL(rig.entries[i]->fields[CM_FIELD_CSR].size, 0);
    }
    cm_queue_rig_refuse(&rig, 3);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE(exists("out/link.error.json") && exists("out/pipe.error.json"));
    end();
}

static void test_the_device_may_be_left_to_the_subject(void)
{
    begin();
    write_text("x.csr", "c");
    const struct cm_queue_settings settings = { .requester = "r",
                                                .device_from = "serial-number",
                                                .enroll_group = "g" };
    CU_ASSERT_TRUE_FATAL(open_once("x.csr", settings));
    cm_queue_want(rig.queue, 1);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_EQUAL(rig.entries[0]->device_from, CM_DEVICE_FROM_SERIAL_NUMBER);
    CU_ASSERT_PTR_NULL(rig.entries[0]->fields[CM_FIELD_DEVICE].data);
    CU_ASSERT_STRING_EQUAL(rig.entries[0]->group, "g");
    end();
}

static void test_a_new_answer_replaces_the_one_of_an_earlier_run(void)
{
    begin();
    write_text("x.csr", "c");
    read_all("x.csr");
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE(exists("out/x.error.json"));
    cm_queue_rig_close(&rig);
    read_all("x.csr");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_TRUE(exists("out/x.pem"));
    CU_ASSERT_FALSE(exists("out/x.error.json"));
    end();
}

static void test_a_name_too_long_for_its_answer_is_cut(void)
{
    char file[300];
    begin();
    make_folder("in");
    memset(file, 'n', sizeof file);
    memcpy(file, "in/", 3);
    memcpy(file + 3 + 250, ".csr", 5);
    write_text(file, "c");
    read_all("in");
    CU_ASSERT_EQUAL_FATAL(rig.entries_count, 1);
    cm_queue_rig_refuse(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 0);
    end();
}

static void test_answers_that_cannot_be_written_come_again(void)
{
    begin();
    write_text("x.csr", "c");
    read_all("x.csr");
    /* A folder stands where the answer should. */
    make_folder("out/x.pem");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_EQUAL(rig.unavailable_count, 1);
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_DOWN], 1);
    CU_ASSERT_EQUAL(rmdir(path_of("out/x.pem")), 0);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_TRUE(exists("out/x.pem"));
    CU_ASSERT_EQUAL(rig.events_count[CM_QUEUE_UP], 1);
    end();
}

static void open_watched(void)
{
    begin();
    make_folder("incoming");
    make_folder("answered");
    make_folder("refused");
    const struct cm_queue_settings settings = { .folder = base, .requester = "r" };
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_spool, &settings));
    cm_queue_want(rig.queue, 100);
}

static void test_a_file_that_appears_is_seen_at_once(void)
{
    open_watched();
    cm_queue_rig_run(&rig, 50);
    write_text("incoming/.x.csr.tmp", "c");
    move("incoming/.x.csr.tmp", "incoming/x.csr");
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 1));
    end();
}

static void test_a_request_that_was_replaced_meanwhile_is_not_removed(void)
{
    open_watched();
    write_text("incoming/x.csr", "old");
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_entries(&rig, 1));
    write_text("new", "new");
    move("new", "incoming/x.csr");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 1));
    CU_ASSERT_TRUE(cm_queue_rig_wait_entries(&rig, 1));
    CU_ASSERT_STRING_EQUAL(cm_queue_rig_text(&rig, 0, CM_FIELD_CSR), "new");
    cm_queue_rig_answer(&rig, 1);
    CU_ASSERT_TRUE(cm_queue_rig_wait_answered(&rig, 2));
    CU_ASSERT_FALSE(exists("incoming/x.csr"));
    end();
}

CM_TEST_SUITE(spool, CM_TEST(test_a_missing_input_is_an_error),
              CM_TEST(test_a_missing_folder_of_a_watched_spool_is_an_error),
              CM_TEST(test_only_requests_of_a_folder_are_read_and_they_stay),
              CM_TEST(test_an_id_is_the_same_for_the_same_file_only),
              CM_TEST(test_a_file_of_several_blocks_is_several_requests),
              CM_TEST(test_a_large_file_of_many_blocks_is_read_in_pieces),
              CM_TEST(test_a_block_that_is_too_large_is_refused_and_its_neighbours_are_not),
              CM_TEST(test_a_lost_end_line_does_not_take_the_next_block_along),
              CM_TEST(test_standard_input_gives_numbered_requests),
              CM_TEST(test_standard_input_may_be_one_request_in_der),
              CM_TEST(test_what_is_no_regular_file_is_refused_and_not_opened),
              CM_TEST(test_the_device_may_be_left_to_the_subject),
              CM_TEST(test_a_new_answer_replaces_the_one_of_an_earlier_run),
              CM_TEST(test_a_name_too_long_for_its_answer_is_cut),
              CM_TEST(test_answers_that_cannot_be_written_come_again),
              CM_TEST(test_a_file_that_appears_is_seen_at_once),
              CM_TEST(test_a_request_that_was_replaced_meanwhile_is_not_removed));
