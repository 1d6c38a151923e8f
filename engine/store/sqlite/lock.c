#include "engine/store/sqlite/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * A lock of the open file description: it goes with the process however that ends, is not lost
 * when some library closes the file, and keeps out a second store in the same process as well.
 */
static bool lock_file(int fd)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

/* The pid in the file; 0 when it is empty. */
static long read_pid(int fd)
{
    char text[32];
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    return strtol(text, NULL, 10);
}

/* Whoever has just taken the lock writes its pid a moment later. */
static long wait_for_pid(int fd)
{
    const struct timespec moment = { .tv_nsec = 20000000 };
    long pid = read_pid(fd);
    for (int looks = 0; pid == 0 && looks < 25; looks++) {
        nanosleep(&moment, NULL);
        pid = read_pid(fd);
    }
    return pid;
}

static cm_status write_pid(int fd, const char *path, struct cm_error *err)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size || fsync(fd) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "write %s", path);
    return CM_OK;
}

static cm_status take(int fd, const char *path, const char *lock_path,
                      struct cm_sqlite_lock *ret_lock, struct cm_error *err)
{
    if (!lock_file(fd)) {
        int code = errno;
        if (code == EAGAIN || code == EACCES)
            return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                           "the store %s is being written by process %ld", path, wait_for_pid(fd));
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "lock %s", lock_path);
    }
    bool was_unclean = read_pid(fd) != 0;
    cm_status status = write_pid(fd, lock_path, err);
    if (status == CM_OK)
        *ret_lock = (struct cm_sqlite_lock){ .fd = fd, .was_unclean = was_unclean };
    return status;
}

cm_status cm_sqlite_lock_take(const char *path, struct cm_sqlite_lock *ret_lock,
                              struct cm_error *err)
{
    char lock_path[4096];
    if (snprintf(lock_path, sizeof lock_path, "%s.lock", path) >= (int)sizeof lock_path)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "the store's path is too long");
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %s", lock_path);
    cm_status status = take(fd, path, lock_path, ret_lock, err);
    if (status != CM_OK)
        close(fd);
    return status;
}

void cm_sqlite_lock_release(struct cm_sqlite_lock *lock)
{
    if (lock->fd < 0)
        return;
    /* Left as it is when this fails: the next start then looks closer than it had to. */
    int ignored = ftruncate(lock->fd, 0);
    (void)ignored;
    close(lock->fd);
    lock->fd = -1;
}
