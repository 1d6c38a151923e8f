#include "engine/checkpoint_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/authority/checkpoint_text.h"

enum { TAIL_SIZE = 64 * 1024, ARENA_BLOCK_SIZE = 16384 };

struct file {
    const char *path;
    int fd;
    struct cm_arena arena;
    struct cm_checkpoint last; /* number 0: none yet */
    bool last_is_known;        /* to the store */
    bool has_grown;
    cm_status status; /* of a walk */
    struct cm_error *err;
};

static cm_status fail(struct file *file, const char *what)
{
    return CM_FAIL(file->err, CM_IO, CM_ORIGIN_OS, errno, "%s %.150s: %s", what, file->path,
                   strerror(errno));
}

/* Where it cannot be taken away (append only), it gets its end and stays, as a line that is none. */
static cm_status cut_off(struct file *file, off_t size)
{
    if (ftruncate(file->fd, size) == 0 || write(file->fd, "\n", 1) == 1)
        return CM_OK;
    return fail(file, "write");
}

/* The last line that has its end, of the file's last octets. */
static cm_status read_tail(struct file *file)
{
    struct stat about;
    if (fstat(file->fd, &about) != 0)
        return fail(file, "look at");
    off_t from = about.st_size > TAIL_SIZE ? about.st_size - TAIL_SIZE : 0;
    char *tail = cm_arena_alloc(&file->arena, TAIL_SIZE);
    ssize_t size = pread(file->fd, tail, TAIL_SIZE, from);
    if (size < 0)
        return fail(file, "read");
    const char *end = memrchr(tail, '\n', (size_t)size);
    size_t whole = end ? (size_t)(end - tail) + 1 : 0;
    if (whole < (size_t)size) {
        cm_status status = cut_off(file, from + (off_t)whole);
        if (status != CM_OK)
            return status;
    }
    if (whole == 0)
        return CM_OK;
    const char *before = memrchr(tail, '\n', whole - 1);
    const char *begin = before ? before + 1 : tail;
    if (!cm_checkpoint_read_line(cm_bytes(begin, (size_t)(end - begin)), &file->arena, &file->last))
        return CM_FAIL(file->err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "the last line of %.150s is no checkpoint", file->path);
    return CM_OK;
}

static bool append(const struct cm_checkpoint *checkpoint, void *arg)
{
    struct file *file = arg;
    if (checkpoint->number == file->last.number) {
        file->last_is_known = cm_checkpoint_equals(checkpoint, &file->last);
        return file->last_is_known;
    }
    cm_arena_reset(&file->arena);
    struct cm_bytes line = cm_checkpoint_line(checkpoint, &file->arena);
    ssize_t written = write(file->fd, line.data, line.size);
    if (written != (ssize_t)line.size) {
        errno = written < 0 ? errno : ENOSPC;
        file->status = fail(file, "write");
        return false;
    }
    file->has_grown = true;
    return true;
}

static cm_status append_all(struct file *file, struct cm_store_reader *reader)
{
    file->last_is_known = file->last.number == 0;
    cm_status status =
        cm_store_walk_checkpoints(reader, file->last.number - 1, append, file, file->err);
    if (status == CM_OK)
        status = file->status;
    if (status == CM_OK && !file->last_is_known)
        return CM_FAIL(file->err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "%.150s ends with checkpoint %lld, which the store does not have",
                       file->path, (long long)file->last.number);
    if (status == CM_OK && file->has_grown && fsync(file->fd) != 0)
        return fail(file, "write");
    return status;
}

cm_status cm_checkpoint_file_append(const char *path, struct cm_store_reader *reader,
                                    struct cm_error *err)
{
    struct file file = { .path = path, .err = err };
    file.fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (file.fd < 0)
        return fail(&file, "open");
    cm_arena_init(&file.arena, ARENA_BLOCK_SIZE);
    cm_status status = read_tail(&file);
    if (status == CM_OK)
        status = append_all(&file, reader);
    cm_arena_done(&file.arena);
    close(file.fd);
    return status;
}
