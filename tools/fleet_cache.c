/*
 * The file: a head that says what is meant to be in it, then for each device its type (1 octet), the size of
 * its request (2, big-endian) and the request. The head ends with the size and the SHA-256 of that.
 */
#include "tools/fleet_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "engine/base/clock.h"

#define MAGIC "certmill fleet\n"

enum {
    VERSION = 1,
    HASH_SIZE = 32,
    HEAD_SIZE = 16 + 4 + 4 + 4 * CM_KEY_TYPE_COUNT + 8 + HASH_SIZE,
    ROW_HEAD_SIZE = 3
};

struct head {
    uint8_t bytes[HEAD_SIZE];
    size_t size;
};

static void add_number(struct head *head, uint64_t number, unsigned octets)
{
    for (unsigned i = octets; i-- > 0;)
        head->bytes[head->size++] = (uint8_t)(number >> (8 * i));
}

/* All but the hash: it is the same whenever these requests are meant. */
static void describe(const struct cm_fleet_settings *settings, uint64_t body_size,
                     struct head *ret_head)
{
    uint32_t counts[CM_KEY_TYPE_COUNT];
    cm_fleet_count_types(settings, counts);
    *ret_head = (struct head){ .size = 16 };
    memcpy(ret_head->bytes, MAGIC, sizeof MAGIC);
    add_number(ret_head, VERSION, 4);
    add_number(ret_head, settings->devices_count, 4);
    for (unsigned type = 0; type < CM_KEY_TYPE_COUNT; type++)
        add_number(ret_head, counts[type], 4);
    add_number(ret_head, body_size, 8);
}

static void hash(struct cm_bytes body, uint8_t ret_hash[HASH_SIZE])
{
    if (EVP_Digest(body.data, body.size, ret_hash, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void cm_fleet_cache_path(const char *folder, const struct cm_fleet_settings *settings,
                         char ret_path[CM_FLEET_CACHE_PATH_SIZE])
{
    uint32_t counts[CM_KEY_TYPE_COUNT];
    int used = snprintf(ret_path, CM_FLEET_CACHE_PATH_SIZE, "%.4000s/fleet-%" PRIu32, folder,
                        settings->devices_count);
    cm_fleet_count_types(settings, counts);
    for (unsigned type = 1; type < CM_KEY_TYPE_COUNT; type++)
        if (counts[type] > 0)
            used += snprintf(ret_path + used, CM_FLEET_CACHE_PATH_SIZE - (size_t)used,
                             "-%s-%" PRIu32, cm_fleet_key_name(type), counts[type]);
    snprintf(ret_path + used, CM_FLEET_CACHE_PATH_SIZE - (size_t)used, ".csrs");
}

/* --- reading ------------------------------------------------------------------------------------- */

static cm_status fail(const char *path, const char *why, struct cm_error *err)
{
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: %s", path, why);
}

static cm_status read_file(const char *path, struct cm_arena *arena, struct cm_bytes *ret_content,
                           struct cm_error *err)
{
    struct stat found;
    FILE *file = fopen(path, "r");
    if (!file)
        return CM_FAIL(err, errno == ENOENT ? CM_NOT_FOUND : CM_IO, CM_ORIGIN_OS, errno, "%s",
                       path);
    size_t size = fstat(fileno(file), &found) == 0 ? (size_t)found.st_size : 0;
    uint8_t *content = cm_arena_alloc(arena, size + 1);
    bool is_read = fread(content, 1, size, file) == size && !ferror(file);
    fclose(file);
    if (!is_read)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    *ret_content = cm_bytes(content, size);
    return CM_OK;
}

static cm_status check(const struct cm_fleet_settings *settings, struct cm_bytes content,
                       const char *path, struct cm_error *err)
{
    struct head head;
    uint8_t found[HASH_SIZE];
    if (content.size < HEAD_SIZE || memcmp(content.data, MAGIC, sizeof MAGIC) != 0)
        return fail(path, "not a fleet", err);
    describe(settings, content.size - HEAD_SIZE, &head);
    if (memcmp(content.data + 16, head.bytes + 16, 4) != 0)
        return fail(path, "a fleet of another version", err);
    if (memcmp(content.data, head.bytes, head.size) != 0)
        return fail(path, "damaged: it is cut off, or another fleet's", err);
    hash(cm_bytes_from(content, HEAD_SIZE), found);
    if (memcmp(found, content.data + head.size, HASH_SIZE) != 0)
        return fail(path, "damaged: its hash is another", err);
    return CM_OK;
}

static bool take_devices(struct cm_fleet *fleet, struct cm_bytes body)
{
    for (uint32_t i = 0; i < fleet->devices_count; i++) {
        if (body.size < ROW_HEAD_SIZE)
            return false;
        size_t size = (size_t)body.data[1] << 8 | body.data[2];
        if (body.data[0] >= CM_KEY_TYPE_COUNT || size > body.size - ROW_HEAD_SIZE)
            return false;
        fleet->devices[i] =
            (struct cm_fleet_device){ .type = (enum cm_key_type)body.data[0],
                                      .csr = cm_bytes(body.data + ROW_HEAD_SIZE, size) };
        body = cm_bytes_from(body, ROW_HEAD_SIZE + size);
    }
    return body.size == 0;
}

cm_status cm_fleet_cache_read(const char *folder, const struct cm_fleet_settings *settings,
                              struct cm_fleet **ret_fleet, struct cm_error *err)
{
    uint64_t begin_ns = cm_clock_monotonic_ns();
    char path[CM_FLEET_CACHE_PATH_SIZE];
    struct cm_bytes content = { 0 };
    struct cm_fleet *fleet = cm_fleet_new(settings, 1);
    cm_fleet_cache_path(folder, settings, path);
    cm_status status = read_file(path, &fleet->arenas[0], &content, err);
    if (status == CM_OK)
        status = check(settings, content, path, err);
    if (status == CM_OK && !take_devices(fleet, cm_bytes_from(content, HEAD_SIZE)))
        status = fail(path, "damaged: its rows do not add up", err);
    if (status != CM_OK) {
        cm_fleet_free(fleet);
        return status;
    }
    fleet->elapsed_ns = cm_clock_monotonic_ns() - begin_ns;
    *ret_fleet = fleet;
    return CM_OK;
}

/* --- writing ------------------------------------------------------------------------------------- */

static struct cm_bytes body_of(const struct cm_fleet *fleet)
{
    size_t size = 0;
    for (uint32_t i = 0; i < fleet->devices_count; i++)
        size += ROW_HEAD_SIZE + fleet->devices[i].csr.size;
    uint8_t *body = malloc(size + 1), *at = body;
    if (!body)
        abort();
    for (uint32_t i = 0; i < fleet->devices_count; i++) {
        struct cm_bytes csr = fleet->devices[i].csr;
        *at++ = (uint8_t)fleet->devices[i].type;
        *at++ = (uint8_t)(csr.size >> 8);
        *at++ = (uint8_t)csr.size;
        memcpy(at, csr.data, csr.size);
        at += csr.size;
    }
    return cm_bytes(body, size);
}

static cm_status write_file(const char *path, const struct head *head, struct cm_bytes body,
                            struct cm_error *err)
{
    char beside[CM_FLEET_CACHE_PATH_SIZE + 16];
    snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", beside);
    bool written = fwrite(head->bytes, 1, head->size, file) == head->size
                   && fwrite(body.data, 1, body.size, file) == body.size;
    if (fclose(file) != 0 || !written || rename(beside, path) != 0) {
        (void)CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
        unlink(beside);
        return CM_IO;
    }
    return CM_OK;
}

cm_status cm_fleet_cache_write(const char *folder, const struct cm_fleet_settings *settings,
                               const struct cm_fleet *fleet, struct cm_error *err)
{
    char path[CM_FLEET_CACHE_PATH_SIZE];
    struct head head;
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", folder);
    struct cm_bytes body = body_of(fleet);
    describe(settings, body.size, &head);
    hash(body, head.bytes + head.size);
    head.size += HASH_SIZE;
    cm_fleet_cache_path(folder, settings, path);
    cm_status status = write_file(path, &head, body, err);
    free((void *)(uintptr_t)body.data);
    return status;
}
