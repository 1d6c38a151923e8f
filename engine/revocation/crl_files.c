#include "engine/revocation/crl_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/faultpoint.h"

#define UNFINISHED ".unfinished"

/* More than CRLs can be: a signer takes less at once. */
#define CONTENT_SIZE_MAX (1ll << 30)

static cm_status fail(struct cm_error *err, const char *what, const char *path)
{
    int code = errno;
    bool is_denied = code == EACCES || code == EPERM || code == EROFS;
    cm_status status = code == ENOENT ? CM_NOT_FOUND : is_denied ? CM_DENIED : CM_IO;
    return CM_FAIL(err, status, CM_ORIGIN_OS, code, "%s %s", what, path);
}

/* ------------------------------------------------------------------ folders -- */

static bool sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool synced = fsync(fd) == 0;
    int code = errno;
    close(fd);
    errno = code;
    return synced;
}

/* The folder of a path, which is cut there for the call. */
static bool sync_folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    bool synced = sync_folder(*path ? path : "/");
    *slash = '/';
    return synced;
}

static bool make_folder(char *path)
{
    if (mkdir(path, 0755) != 0)
        return errno == EEXIST;
    return !strchr(path, '/') || sync_folder_of(path);
}

/* Those of the document, below the one that the settings name, and that one. */
static bool make_folders(char *path, size_t root_size)
{
    for (char *slash = path + root_size; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = make_folder(path);
        *slash = '/';
        if (!made)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ writing -- */

static bool write_all(int fd, struct cm_bytes content)
{
    while (content.size > 0) {
        ssize_t put = write(fd, content.data, content.size);
        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0)
            content = cm_bytes_from(content, (size_t)put);
    }
    return true;
}

static bool write_durably(const char *path, struct cm_bytes content)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool written = write_all(fd, content) && fsync(fd) == 0;
    int code = errno;
    if (close(fd) != 0 && written) {
        written = false;
        code = errno;
    }
    errno = code;
    return written;
}

/* The folder's entry may not be durable when this fails: it is written again, then. */
static bool put_in_place(const char *unfinished, char *path)
{
    CM_FAULT_POINT("crl-written");
    if (rename(unfinished, path) != 0)
        return false;
    CM_FAULT_POINT("crl-renamed");
    return sync_folder_of(path);
}

cm_status cm_crl_files_write(const char *folder, const char *path, struct cm_bytes content,
                             struct cm_error *err)
{
    char whole[PATH_MAX], unfinished[PATH_MAX];
    const char *name = strrchr(path, '/') + 1;
    int size = snprintf(whole, sizeof whole, "%s%s", folder, path);
    int size_unfinished = snprintf(unfinished, sizeof unfinished, "%s%.*s.%s" UNFINISHED, folder,
                                   (int)(name - path), path, name);
    if (size >= PATH_MAX || size_unfinished >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return fail(err, "write", path);
    }
    if (!make_folders(whole, strlen(folder)))
        return fail(err, "make the folder of", whole);
    if (write_durably(unfinished, content) && put_in_place(unfinished, whole))
        return CM_OK;
    cm_status status = fail(err, "write", whole);
    unlink(unfinished);
    return status;
}

/* ------------------------------------------------------------------ reading -- */

static bool read_all(int fd, uint8_t *octets, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(fd, octets + at, size - at);
        if (got == 0)
            errno = EIO;
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        if (got > 0)
            at += (size_t)got;
    }
    return true;
}

static cm_status read_content(int fd, const char *path, struct cm_bytes *ret_content,
                              struct cm_error *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return fail(err, "read", path);
    if (!S_ISREG(about.st_mode) || about.st_size > CONTENT_SIZE_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s is no CRL", path);
    size_t size = (size_t)about.st_size;
    uint8_t *octets = malloc(size + 1);
    if (!octets)
        abort();
    if (!read_all(fd, octets, size)) {
        cm_status status = fail(err, "read", path);
        free(octets);
        return status;
    }
    *ret_content = cm_bytes(octets, size);
    return CM_OK;
}

cm_status cm_crl_files_read(const char *folder, const char *path, struct cm_bytes *ret_content,
                            struct cm_error *err)
{
    char whole[PATH_MAX];
    if (snprintf(whole, sizeof whole, "%s%s", folder, path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return fail(err, "read", path);
    }
    int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(err, "open", whole);
    cm_status status = read_content(fd, whole, ret_content, err);
    close(fd);
    return status;
}

/* ------------------------------------------------------------------ cleaning -- */

static bool is_unfinished(const FTSENT *entry)
{
    const size_t size = sizeof UNFINISHED - 1;
    return entry->fts_info == FTS_F && entry->fts_name[0] == '.' && entry->fts_namelen > size
           && strcmp(entry->fts_name + entry->fts_namelen - size, UNFINISHED) == 0;
}

static cm_status clean(FTS *walk, struct cm_error *err)
{
    cm_status status = CM_OK;
    FTSENT *entry;
    while ((entry = fts_read(walk)) != NULL) {
        if (is_unfinished(entry) && unlink(entry->fts_accpath) != 0)
            status = fail(err, "remove", entry->fts_path);
    }
    return status;
}

cm_status cm_crl_files_clean(const char *folder, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (unsigned i = 0; i < 2 && status == CM_OK; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s/%s", folder, i ? "ca" : "crl") >= PATH_MAX)
            continue;
        char *const roots[] = { path, NULL };
        FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
        if (!walk)
            return fail(err, "look through", path);
        status = clean(walk, err);
        fts_close(walk);
    }
    return status;
}
