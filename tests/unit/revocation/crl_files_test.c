/* Files of CRLs: whole or not at all, whatever the disk does. */
#include "engine/revocation/crl_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_main.h"

static char folder[400];

/* A folder of its own for each test; it is not there yet. */
static void use_folder(const char *name)
{
    snprintf(folder, sizeof folder, "%s/%s", cm_test_scratch(), name);
}

static cm_status put(const char *path, const char *text)
{
    struct cm_error err = { .text = "" };
    cm_status status = cm_crl_files_write(folder, path, cm_bytes_str(text), &err);
    if (status != CM_OK)
        CU_ASSERT_STRING_NOT_EQUAL(err.text, "");
    return status;
}

static bool has(const char *path, const char *text)
{
    struct cm_bytes content;
    struct cm_error err;
    if (cm_crl_files_read(folder, path, &content, &err) != CM_OK)
        return false;
    bool same = cm_bytes_is(content, text);
    free((void *)(uintptr_t)content.data);
    return same;
}

/* Names in a folder below, "." and ".." left out. */
static unsigned count_names(const char *below)
{
    char path[500];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s%s", folder, below);
    DIR *names = opendir(path);
    while (names && readdir(names))
        count++;
    if (names)
        closedir(names);
    return count > 2 ? count - 2 : 0;
}

static void test_a_file_is_written_and_replaced_and_nothing_else_is_left(void)
{
    use_folder("plain");
    CU_ASSERT_FALSE(has("/crl/a/0.crl", ""));
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_OK);
    CU_ASSERT(has("/crl/a/0.crl", "one"));
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "two"), CM_OK);
    CU_ASSERT_EQUAL(put("/crl/a/1.crl", ""), CM_OK);
    CU_ASSERT(has("/crl/a/0.crl", "two"));
    CU_ASSERT(has("/crl/a/1.crl", ""));
    CU_ASSERT_EQUAL(count_names("/crl/a"), 2);
}

static void test_others_may_read_what_is_published(void)
{
    char path[500];
    struct stat about;
    use_folder("modes");
    mode_t mask = umask(022);
    CU_ASSERT_EQUAL(put("/ca/a.cer", "one"), CM_OK);
    umask(mask);
    snprintf(path, sizeof path, "%s/ca/a.cer", folder);
    CU_ASSERT_EQUAL_FATAL(stat(path, &about), 0);
    CU_ASSERT_EQUAL(about.st_mode & 0777, 0644);
}

static void test_a_reader_keeps_the_old_file_whole(void)
{
    char path[500], text[8] = "";
    use_folder("reader");
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_OK);
    snprintf(path, sizeof path, "%s/crl/a/0.crl", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "other"), CM_OK);
    CU_ASSERT_EQUAL(read(fd, text, sizeof text - 1), 3);
    CU_ASSERT_STRING_EQUAL(text, "one");
    close(fd);
}

static void test_what_an_earlier_process_left_is_removed(void)
{
    char path[500];
    struct cm_error err;
    use_folder("left");
    CU_ASSERT_EQUAL(cm_crl_files_clean(folder, &err), CM_OK);
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_OK);
    CU_ASSERT_EQUAL(put("/ca/a.pem", "pem"), CM_OK);
    snprintf(path, sizeof path, "%s/crl/a/.0.crl.unfinished", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof path, "%s/ca/.a.pem.unfinished", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof path, "%s/crl/a/.htaccess", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    CU_ASSERT_EQUAL(cm_crl_files_clean(folder, &err), CM_OK);
    CU_ASSERT_EQUAL(count_names("/crl/a"), 2);
    CU_ASSERT_EQUAL(count_names("/ca"), 1);
    CU_ASSERT(has("/crl/a/0.crl", "one"));
    CU_ASSERT(has("/ca/a.pem", "pem"));
}

static void test_a_left_over_does_not_stand_in_the_way(void)
{
    char path[500];
    use_folder("in-the-way");
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_OK);
    snprintf(path, sizeof path, "%s/crl/a/.0.crl.unfinished", folder);
    CU_ASSERT_EQUAL(symlink("/dev/full", path), 0);
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "two"), CM_OK);
    CU_ASSERT(has("/crl/a/0.crl", "two"));
}

static void test_a_folder_that_cannot_be_made_is_told(void)
{
    use_folder("missing/deeper");
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_NOT_FOUND);
    use_folder("file");
    FILE *file = fopen(folder, "w");
    fclose(file);
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_IO);
}

static void test_what_is_no_file_is_not_read(void)
{
    struct cm_bytes content;
    struct cm_error err;
    use_folder("odd");
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_OK);
    CU_ASSERT_EQUAL(cm_crl_files_read(folder, "/crl/a", &content, &err), CM_MALFORMED);
    CU_ASSERT_EQUAL(cm_crl_files_read(folder, "/crl/b", &content, &err), CM_NOT_FOUND);
}

/* As nobody, who may not write there; root may anything. */
static void test_a_folder_that_is_not_ours_keeps_what_it_has(void)
{
    char path[500];
    use_folder("read-only");
    CU_ASSERT_EQUAL(put("/crl/a/0.crl", "one"), CM_OK);
    snprintf(path, sizeof path, "%s/crl/a", folder);
    chmod(path, 0555);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (getuid() == 0 && setuid(65534) != 0)
            _exit(9);
        struct cm_error err;
        _exit(cm_crl_files_write(folder, "/crl/a/0.crl", cm_bytes_str("two"), &err) == CM_DENIED
                  ? 0
                  : 1);
    }
    int how;
    waitpid(pid, &how, 0);
    chmod(path, 0755);
    CU_ASSERT_EQUAL(how, 0);
    CU_ASSERT(has("/crl/a/0.crl", "one"));
}

static int fill_disk(void)
{
    static char large[200000];
    struct cm_error err;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0
        || mount("tmpfs", folder, "tmpfs", 0, "size=128k") != 0)
        return 77;
    if (put("/crl/a/0.crl", "one") != CM_OK)
        return 1;
    if (cm_crl_files_write(folder, "/crl/a/0.crl", cm_bytes(large, sizeof large), &err) != CM_IO)
        return 2;
    if (!has("/crl/a/0.crl", "one") || count_names("/crl/a") != 1)
        return 3;
    return put("/crl/a/0.crl", "two") == CM_OK ? 0 : 4;
}

static void test_a_full_disk_keeps_what_it_has_and_room_for_the_next(void)
{
    int how;
    use_folder("full");
    mkdir(folder, 0755);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fill_disk());
    waitpid(pid, &how, 0);
    if (WIFEXITED(how) && WEXITSTATUS(how) == 77) {
        cm_test_skip("no file system can be mounted here");
        return;
    }
    CU_ASSERT_EQUAL(how, 0);
}

CM_TEST_SUITE(crl_files, CM_TEST(test_a_file_is_written_and_replaced_and_nothing_else_is_left),
              CM_TEST(test_others_may_read_what_is_published),
              CM_TEST(test_a_reader_keeps_the_old_file_whole),
              CM_TEST(test_what_an_earlier_process_left_is_removed),
              CM_TEST(test_a_left_over_does_not_stand_in_the_way),
              CM_TEST(test_a_folder_that_cannot_be_made_is_told),
              CM_TEST(test_what_is_no_file_is_not_read),
              CM_TEST(test_a_folder_that_is_not_ours_keeps_what_it_has),
              CM_TEST(test_a_full_disk_keeps_what_it_has_and_room_for_the_next));
