/*
 * The other process of the store's tests.
 *
 *     store_child write PATH   records rows 1, 2, ... in batches, each with an order to revoke the last
 *                              row of the batch before; says each batch's last row once it is durable,
 *                              and goes on until it is killed
 *     store_child moving PATH  the same, and the log is short, so that it is moved into the database all the time
 *     store_child unmoved PATH  the same, while syncs of whoever moves the log fail
 *     store_child read PATH    reads until its standard input is closed; exit 0 when every snapshot
 *                              was whole
 *     store_child unsynced PATH  records a batch, then another while every sync to the disk fails
 *     store_child open PATH    opens for writing; exit 0, or says what failed and exits 1
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/store_fixture.h"

enum { BATCH = 64 };

/* In front of the C library's, for every library of this process. */
static atomic_bool syncs_fail, syncs_of_mover_fail;

static bool is_mover(void)
{
    char name[32] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    return strcmp(name, "store-log") == 0;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    if (!atomic_load(&syncs_fail) && !(atomic_load(&syncs_of_mover_fail) && is_mover()))
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    return fdatasync(fd);
}

static int fail(const struct cm_error *err)
{
    printf("%s\n", err->text);
    return 1;
}

static int write_rows(struct cm_store *store)
{
    static struct record record;
    struct cm_error err;
    for (unsigned first = 1;; first += BATCH) {
        const struct cm_serial serial = row_serial(first - 1);
        const struct cm_request_key key = row_key(10000000 + first);
        const struct cm_request_digest digest = row_digest(first);
        struct cm_order order = { .kind = CM_ORDER_REVOKE,
                                  .serial = cm_serial_content(&serial),
                                  .time_s = FIXTURE_TIME_MS,
                                  .key = &key,
                                  .digest = &digest };
        record_fill(&record, first, BATCH);
        record.op.orders = &order;
        record.op.orders_count = first > 1;
        if (cm_store_apply(store, &record.op, &err) != CM_OK)
            return fail(&err);
        printf("%u\n", first + BATCH - 1);
        fflush(stdout);
    }
}

static int write_unsynced(struct cm_store *store)
{
    static struct record record;
    struct cm_error err;
    record_fill(&record, 1, BATCH);
    if (cm_store_apply(store, &record.op, &err) != CM_OK)
        return fail(&err);
    atomic_store(&syncs_fail, true);
    record_fill(&record, 1 + BATCH, BATCH);
    cm_status status = cm_store_apply(store, &record.op, &err);
    printf("still here: %s\n", cm_status_name(status));
    return 1;
}

static bool count_key(uint64_t key_fingerprint, cm_certificate_number number, void *arg)
{
    int64_t *count = arg;
    (void)key_fingerprint;
    (void)number;
    ++*count;
    return true;
}

/* In one snapshot the totals, the tables and the batches' borders must agree. */
static bool is_whole(struct cm_store_reader *reader, struct cm_error *err)
{
    struct cm_store_counts counts = { .certificates = -1 };
    int64_t count = 0;
    bool good = cm_store_reader_begin(reader, err) == CM_OK
                && cm_store_count(reader, &counts, err) == CM_OK
                && cm_store_walk_keys(reader, count_key, &count, err) == CM_OK;
    cm_store_reader_end(reader);
    return good && count == counts.certificates && count % 100 == 0
           && counts.audit_rows == count / 100;
}

static bool is_closed(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    return poll(&poll_fd, 1, 0) != 0;
}

static int read_rows(struct cm_store *store)
{
    struct cm_error err = { .text = "a snapshot is not whole" };
    struct cm_store_reader *reader;
    if (cm_store_reader_open(store, &reader, &err) != CM_OK)
        return fail(&err);
    bool good = is_whole(reader, &err);
    printf("ready\n");
    fflush(stdout);
    while (good && !is_closed(STDIN_FILENO))
        good = is_whole(reader, &err);
    cm_store_reader_close(reader);
    return good ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    struct cm_store_settings settings = { .path = argc == 3 ? argv[2] : "" };
    struct cm_store *store = NULL;
    struct cm_error err;
    if (argc != 3)
        return 2;
    bool moves = strcmp(argv[1], "moving") == 0 || strcmp(argv[1], "unmoved") == 0;
    settings.log_pages_max = moves ? 24 : 0;
    atomic_store(&syncs_of_mover_fail, strcmp(argv[1], "unmoved") == 0);
    settings.read_only = strcmp(argv[1], "read") == 0;
    if (cm_store_open(&cm_store_sqlite, NULL, &settings, &store, &err) != CM_OK)
        return fail(&err);
    int code = 0;
    if (strcmp(argv[1], "write") == 0 || moves)
        code = write_rows(store);
    else if (strcmp(argv[1], "unsynced") == 0)
        code = write_unsynced(store);
    else if (settings.read_only)
        code = read_rows(store);
    cm_store_close(store);
    return code;
}
