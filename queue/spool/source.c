#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "queue/spool/internal.h"

enum { BUFFER_SIZE = 2 * CM_ENTRY_SIZE_MAX, READ_SIZE = 32768 };

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";

/* --------------------------------------------------------------------------- a request -- */

static void compute_id(struct cm_spool_request *request)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    const char *name = request->file[0] != '\0' ? request->file : request->name;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1
        || EVP_DigestUpdate(context, name, strlen(name) + 1) != 1
        || EVP_DigestUpdate(context, request->content, request->was_kept ? request->size : 0) != 1
        || EVP_DigestFinal_ex(context, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
    cm_hex_encode(cm_bytes(digest, 16), request->id);
}

/* content may be NULL: too large to be kept. */
static struct cm_spool_request *make_request(const char *file, const char *name,
                                             const void *content, size_t size)
{
    struct cm_spool_request *request = malloc(sizeof *request + (content ? size : 0) + 1);
    if (!request)
        abort();
    memset(request, 0, sizeof *request);
    snprintf(request->file, sizeof request->file, "%s", file);
    snprintf(request->name, sizeof request->name, "%s", name);
    request->size = size;
    request->was_kept = content != NULL;
    if (content)
        memcpy(request->content, content, size);
    compute_id(request);
    return request;
}

static struct cm_spool_request *make_non_request(const char *file, const char *name,
                                                 const char *reason)
{
    struct cm_spool_request *request = make_request(file, name, "", 0);
    request->reason = reason;
    return request;
}

/* The name without the extension of a request; false when it has none of these. */
static bool read_stem(const char *file, char *ret_stem)
{
    const char *dot = strrchr(file, '.');
    if (file[0] == '.' || !dot || dot == file
        || (strcmp(dot, ".csr") != 0 && strcmp(dot, ".pem") != 0 && strcmp(dot, ".der") != 0))
        return false;
    memcpy(ret_stem, file, (size_t)(dot - file));
    ret_stem[dot - file] = '\0';
    return true;
}

/* ---------------------------------------------------------------------- a stream of blocks -- */

static void start_stream(struct cm_source *source, int fd, const char *stem)
{
    source->fd = fd;
    source->buffer = malloc(BUFFER_SIZE);
    if (!source->buffer)
        abort();
    source->start = source->end = 0;
    source->at_eof = false;
    source->skipping = false;
    source->blocks_count = 0;
    snprintf(source->stem, sizeof source->stem, "%s", stem);
}

static void end_stream(struct cm_source *source)
{
    if (source->fd > STDIN_FILENO)
        close(source->fd);
    source->fd = -1;
    free(source->buffer);
    source->buffer = NULL;
}

/* Reads more, without waiting for it. False: nothing there yet. */
static bool fill_buffer(struct cm_source *source)
{
    struct pollfd ready = { .fd = source->fd, .events = POLLIN };
    memmove(source->buffer, source->buffer + source->start, source->end - source->start);
    source->end -= source->start;
    source->start = 0;
    if (poll(&ready, 1, 0) == 0)
        return false;
    size_t room = BUFFER_SIZE - source->end;
    ssize_t size =
        read(source->fd, source->buffer + source->end, room < READ_SIZE ? room : (size_t)READ_SIZE);
    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (size <= 0)
        source->at_eof = true;
    else
        source->end += (size_t)size;
    return true;
}

static char *find_from(const struct cm_source *source, size_t at, const char *mark)
{
    return at < source->end ? memmem(source->buffer + at, source->end - at, mark, strlen(mark))
                            : NULL;
}

static char *find_mark(const struct cm_source *source, const char *mark)
{
    return find_from(source, source->start, mark);
}

static struct cm_spool_request *make_block(struct cm_source *source, const void *content,
                                           size_t size)
{
    char name[CM_SPOOL_NAME_SIZE];
    source->blocks_count++;
    if (source->stem[0] == '\0')
        snprintf(name, sizeof name, "%06u", source->blocks_count);
    else
        snprintf(name, sizeof name, "%.240s-%06u", source->stem, source->blocks_count);
    return make_request("", name, content, size);
}

/* The end of the line that begins with the end mark; 0 while it has not been read. Where that line was lost the
 * block ends before the next one, which must not be lost with it. */
static size_t find_block_end(const struct cm_source *source)
{
    const char *mark = find_mark(source, end_mark);
    size_t behind = source->start + (source->skipping ? 0 : strlen(begin_mark));
    const char *next = find_from(source, behind, begin_mark);
    if (next && (!mark || next < mark))
        return (size_t)(next - source->buffer);
    if (!mark)
        return 0;
    size_t at = (size_t)(mark - source->buffer);
    const char *line_end = memchr(mark, '\n', source->end - at);
    if (line_end)
        return (size_t)(line_end - source->buffer) + 1;
    return source->at_eof ? source->end : 0;
}

/* Everything before the next block is dropped; all but what may be the mark's beginning. */
static bool go_to_block(struct cm_source *source)
{
    const char *mark = find_mark(source, begin_mark);
    size_t keep = strlen(begin_mark) - 1;
    if (mark)
        source->start = (size_t)(mark - source->buffer);
    else if (source->end - source->start > keep)
        source->start = source->end - keep;
    return mark != NULL;
}

/* A block without an end so far: is it too large, or cut off? */
static struct cm_spool_request *take_open_block(struct cm_source *source)
{
    size_t size = source->end - source->start;
    if (source->at_eof) {
        source->start = source->end;
        bool is_large = source->skipping || size > CM_ENTRY_SIZE_MAX;
        source->skipping = false;
        return make_block(source, is_large ? NULL : source->buffer + source->end - size,
                          source->skipped_size + size);
    }
    if (size > CM_ENTRY_SIZE_MAX) {
        size_t dropped = size - sizeof end_mark;
        source->skipping = true;
        source->skipped_size += dropped;
        source->start += dropped;
    }
    return NULL;
}

static struct cm_spool_request *take_block(struct cm_source *source)
{
    if (!source->skipping) {
        source->skipped_size = 0;
        if (!go_to_block(source))
            return NULL;
    }
    size_t block_end = find_block_end(source);
    if (block_end == 0)
        return take_open_block(source);
    size_t size = block_end - source->start;
    bool is_large = source->skipping || size > CM_ENTRY_SIZE_MAX;
    const char *content = source->buffer + source->start;
    source->start = block_end;
    source->skipping = false;
    return make_block(source, is_large ? NULL : content, source->skipped_size + size);
}

/* Input that begins like DER is one request. */
static bool is_der(const struct cm_source *source)
{
    return source->blocks_count == 0 && source->end > source->start
           && source->buffer[source->start] == 0x30;
}

static struct cm_spool_request *take_der(struct cm_source *source)
{
    size_t size = source->end - source->start;
    const char *content = source->buffer + source->start;
    if (!source->at_eof && size < BUFFER_SIZE)
        return NULL;
    source->start = source->end;
    source->at_eof = true;
    return make_block(source, size > CM_ENTRY_SIZE_MAX ? NULL : content, size);
}

static enum cm_source_outcome next_block(struct cm_source *source,
                                         struct cm_spool_request **ret_request)
{
    for (;;) {
        struct cm_spool_request *request = is_der(source) ? take_der(source) : take_block(source);
        if (request) {
            *ret_request = request;
            return CM_SOURCE_REQUEST;
        }
        if (source->at_eof) {
            end_stream(source);
            return CM_SOURCE_SKIPPED;
        }
        if (!fill_buffer(source))
            return CM_SOURCE_LATER;
    }
}

/* ----------------------------------------------------------------------------------- files -- */

static bool has_several_blocks(const char *content, size_t size)
{
    const char *first = memmem(content, size, begin_mark, strlen(begin_mark));
    if (!first)
        return false;
    const char *rest = first + 1;
    return memmem(rest, size - (size_t)(rest - content), begin_mark, strlen(begin_mark)) != NULL;
}

/* Up to size bytes; a file that shrinks meanwhile gives fewer. */
static size_t read_all(int fd, char *content, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t part = read(fd, content + used, size - used);
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            break;
        used += (size_t)part;
    }
    return used;
}

static bool is_pem(int fd)
{
    char content[4096];
    ssize_t size = pread(fd, content, sizeof content, 0);
    return size > 0 && memmem(content, (size_t)size, begin_mark, strlen(begin_mark)) != NULL;
}

/* Takes fd. */
static enum cm_source_outcome read_file(struct cm_source *source, int fd, const char *file,
                                        const char *stem, const struct stat *status,
                                        struct cm_spool_request **ret_request)
{
    static char content[CM_ENTRY_SIZE_MAX];
    bool is_large = status->st_size > CM_ENTRY_SIZE_MAX;
    size_t size = is_large ? (size_t)status->st_size : read_all(fd, content, sizeof content);
    if (source->splits && (is_large ? is_pem(fd) : has_several_blocks(content, size))) {
        lseek(fd, 0, SEEK_SET);
        start_stream(source, fd, stem);
        return CM_SOURCE_SKIPPED;
    }
    close(fd);
    struct cm_spool_request *request = make_request(file, stem, is_large ? NULL : content, size);
    request->inode = status->st_ino;
    request->modified = status->st_mtim;
    *ret_request = request;
    return CM_SOURCE_REQUEST;
}

static enum cm_source_outcome open_file(struct cm_source *source, const char *file,
                                        const char *stem, struct cm_spool_request **ret_request)
{
    struct stat status;
    if (fstatat(source->folder, file, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return CM_SOURCE_SKIPPED; /* gone meanwhile */
    int fd = S_ISREG(status.st_mode)
                 ? openat(source->folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                 : -1;
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return read_file(source, fd, file, stem, &status, ret_request);
    if (fd >= 0)
        close(fd);
    if (S_ISREG(status.st_mode) && errno == ENOENT)
        return CM_SOURCE_SKIPPED;
    struct cm_spool_request *request = make_non_request(
        file, stem, S_ISREG(status.st_mode) ? "the file cannot be read" : "not a regular file");
    request->inode = status.st_ino;
    request->modified = status.st_mtim;
    *ret_request = request;
    return CM_SOURCE_REQUEST;
}

static enum cm_source_outcome next_single(struct cm_source *source,
                                          struct cm_spool_request **ret_request)
{
    char file[CM_SPOOL_NAME_SIZE];
    char stem[CM_SPOOL_NAME_SIZE];
    memcpy(file, source->single, sizeof file);
    source->single[0] = '\0';
    if (!read_stem(file, stem)) {
        snprintf(stem, sizeof stem, "%s", file);
        if (stem[0] == '.')
            stem[0] = '_';
    }
    return open_file(source, file, stem, ret_request);
}

static enum cm_source_outcome next_file(struct cm_source *source,
                                        bool (*is_held)(const char *file, void *arg), void *arg,
                                        struct cm_spool_request **ret_request)
{
    char stem[CM_SPOOL_NAME_SIZE];
    const struct dirent *found = readdir(source->pass);
    if (!found) {
        closedir(source->pass);
        source->pass = NULL;
        return CM_SOURCE_END;
    }
    if (!read_stem(found->d_name, stem) || is_held(found->d_name, arg))
        return CM_SOURCE_SKIPPED;
    return open_file(source, found->d_name, stem, ret_request);
}

/* A pass reads the folder through a descriptor of its own, so that it has a place of its own. */
static bool start_pass(struct cm_source *source)
{
    int fd = openat(source->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    source->pass = fd >= 0 ? fdopendir(fd) : NULL;
    if (!source->pass && fd >= 0)
        close(fd);
    return source->pass != NULL;
}

enum cm_source_outcome cm_source_next(struct cm_source *source,
                                      bool (*is_held)(const char *file, void *arg), void *arg,
                                      struct cm_spool_request **ret_request)
{
    if (source->buffer)
        return next_block(source, ret_request);
    if (source->single[0] != '\0')
        return next_single(source, ret_request);
    if (source->folder < 0 || source->is_single || (!source->pass && !start_pass(source)))
        return CM_SOURCE_END;
    return next_file(source, is_held, arg, ret_request);
}

/* ------------------------------------------------------------------------------------ life -- */

cm_status cm_source_open_folder(struct cm_source *source, const char *path, bool splits,
                                struct cm_error *err)
{
    *source = (struct cm_source){ .fd = -1, .splits = splits };
    source->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source->folder < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open the folder %s", path);
    return CM_OK;
}

/* The folder that a file is in, for *at() calls. */
static cm_status open_parent(struct cm_source *source, const char *path, struct cm_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    char parent[4096];
    int size = slash ? (int)(slash - path + 1) : 1;
    snprintf(parent, sizeof parent, "%.*s", size, slash ? path : ".");
    cm_status status = cm_source_open_folder(source, parent, true, err);
    if (status != CM_OK)
        return status;
    snprintf(source->single, sizeof source->single, "%s", file);
    source->is_single = true;
    return CM_OK;
}

cm_status cm_source_open_input(struct cm_source *source, const char *path, struct cm_error *err)
{
    struct stat status;
    if (strcmp(path, "-") == 0) {
        *source = (struct cm_source){ .folder = -1, .splits = true };
        start_stream(source, STDIN_FILENO, "");
        return CM_OK;
    }
    if (stat(path, &status) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %s", path);
    if (S_ISDIR(status.st_mode))
        return cm_source_open_folder(source, path, true, err);
    return open_parent(source, path, err);
}

void cm_source_close(struct cm_source *source)
{
    if (source->buffer)
        end_stream(source);
    if (source->pass)
        closedir(source->pass);
    if (source->folder >= 0)
        close(source->folder);
    source->folder = -1;
    source->pass = NULL;
}
