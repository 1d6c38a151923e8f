#include "tools/new_files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void cm_new_files_note(struct cm_new_files *files, const char *path)
{
    assert(files->count < CM_NEW_FILES_MAX);
    char *copy = strdup(path);
    if (!copy)
        abort();
    files->paths[files->count++] = copy;
}

static cm_status fail_exists(const char *path, struct cm_error *err)
{
    return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "%s is there already; nothing is overwritten",
                   path);
}

cm_status cm_new_files_folder(struct cm_new_files *files, const char *path, mode_t mode,
                              bool may_exist, struct cm_error *err)
{
    struct stat status;
    if (mkdir(path, mode) != 0) {
        if (errno != EEXIST)
            return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make the folder %s", path);
        if (may_exist && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            return CM_OK;
        return fail_exists(path, err);
    }
    cm_new_files_note(files, path);
    if (chmod(path, mode) != 0) /* whatever the umask was */
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "set the mode of %s", path);
    return CM_OK;
}

static cm_status write_all(int fd, struct cm_bytes content, const char *path, struct cm_error *err)
{
    while (content.size > 0) {
        ssize_t written = write(fd, content.data, content.size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "write %s", path);
        content = cm_bytes_from(content, (size_t)written);
    }
    if (fsync(fd) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "sync %s", path);
    return CM_OK;
}

cm_status cm_new_files_write(struct cm_new_files *files, const char *path, mode_t mode,
                             struct cm_bytes content, struct cm_error *err)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST)
        return fail_exists(path, err);
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make %s", path);
    cm_new_files_note(files, path);
    cm_status status = write_all(fd, content, path, err);
    close(fd);
    return status;
}

cm_status cm_folder_sync(const char *path, struct cm_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    return synced ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, error, "sync the folder %s", path);
}

void cm_new_files_undo(struct cm_new_files *files)
{
    for (size_t i = files->count; i > 0; i--)
        remove(files->paths[i - 1]);
    cm_new_files_done(files);
}

void cm_new_files_done(struct cm_new_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->paths[i]);
    files->count = 0;
}
