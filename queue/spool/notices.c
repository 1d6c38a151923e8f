#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/spool/internal.h"

static const char file_name[] = "notices.jsonl";

struct text {
    char *data;
    size_t size, space;
};

static int append(const char *part, size_t size, void *arg)
{
    struct text *text = arg;
    if (text->space - text->size < size) {
        text->space = 2 * (text->space + size);
        text->data = realloc(text->data, text->space);
        if (!text->data)
            abort();
    }
    memcpy(text->data + text->size, part, size);
    text->size += size;
    return 0;
}

static void add_line(struct text *text, const struct cm_notice *notice)
{
    char serial[2 * 20 + 1];
    cm_hex_encode(notice->serial, serial);
    json_t *object =
        json_pack("{s:i, s:s, s:s%, s:s%, s:s, s:s, s:I, s:I, s:I}", "v", 1, "kind", notice->kind,
                  "campaign", notice->campaign.data, notice->campaign.size, "device",
                  notice->device.data, notice->device.size, "serial", serial, "issuer",
                  notice->issuer, "not_after", (json_int_t)notice->not_after, "not_before",
                  (json_int_t)notice->not_before, "deadline", (json_int_t)notice->deadline);
    if (!object || json_dump_callback(object, append, text, JSON_COMPACT) != 0)
        abort(); /* names are UTF-8: whoever put them into the store has looked */
    json_decref(object);
    append("\n", 1, text);
}

/* Of a line that was not finished: the next one must not go on with it. */
static bool is_torn(int fd)
{
    struct stat found;
    char last = '\n';
    return fstat(fd, &found) == 0 && found.st_size > 0
           && pread(fd, &last, 1, found.st_size - 1) == 1 && last != '\n';
}

static bool write_all(int fd, const struct text *text)
{
    for (size_t at = 0; at < text->size;) {
        ssize_t size = write(fd, text->data + at, text->size - at);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return false;
        at += (size_t)size;
    }
    return true;
}

cm_status cm_notices_write(int folder, const struct cm_notice *notices, uint32_t count,
                           struct cm_error *err)
{
    struct text text = { .size = 0 };
    cm_status status = CM_OK;
    int fd = openat(folder, file_name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %s", file_name);
    if (is_torn(fd))
        append("\n", 1, &text);
    for (uint32_t i = 0; i < count; i++)
        add_line(&text, &notices[i]);
    /* The folder, too: the file may be new. */
    if (!write_all(fd, &text) || fdatasync(fd) != 0 || fsync(folder) != 0)
        status = CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "write %s", file_name);
    close(fd);
    free(text.data);
    return status;
}
