#include "engine/store/sqlite/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * After an unclean stop SQLite brings the log back by itself; a look through the whole file on top
 * of that is taken while it is a matter of a second or two. Larger stores are for a check that the
 * operator starts.
 */
static const int64_t quick_check_size_max = INT64_C(512) << 20; /* bytes */

static const char *const change_sql[CM_SQLITE_CHANGE_COUNT] = {
#define X(symbol, sql) [CM_SQLITE_##symbol] = sql,
    CM_SQLITE_CHANGE_MAP(X)
#undef X
};

/* -------------------------------------------------------------------- files -- */

static cm_status sync_folder(const char *path, struct cm_error *err)
{
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", path);
    const char *folder = dirname(copy);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int code = errno;
    if (fd >= 0)
        close(fd);
    return synced ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "sync folder %s", folder);
}

/*
 * An empty file with the right mode, which SQLite passes on to the files beside it. This is the one
 * moment at which the file may be opened behind SQLite's back: nobody can have it open.
 */
static cm_status make_file(const char *path, struct cm_error *err)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "there is a store already: %s", path);
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "create %s", path);
    close(fd);
    return CM_OK;
}

static cm_status require_file(const char *path, struct cm_error *err)
{
    struct stat status;
    if (stat(path, &status) == 0)
        return CM_OK;
    if (errno == ENOENT)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "there is no store: %s", path);
    return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %s", path);
}

static int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

/* ------------------------------------------------------------------- writer -- */

static cm_status settle_writer(sqlite3 *db, struct cm_error *err)
{
    /* Checkpoints are our own (checkpoint.c). Nothing here is secret, so that freed pages
     * need not be overwritten. */
    return cm_sqlite_run(db,
                         "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
                         "PRAGMA journal_size_limit = 268435456; PRAGMA secure_delete = OFF;"
                         "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY",
                         err);
}

static cm_status check_pages(sqlite3 *db, const char *path, struct cm_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    cm_status status = CM_OK;
    if (code != SQLITE_ROW)
        status = cm_sqlite_fail(db, code, "check", err);
    else if (!cm_bytes_is(cm_sqlite_column_text(statement, 0), "ok"))
        status = CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0, "the store %s is damaged: %s", path,
                         (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return status;
}

/* The writer's connection is the first of the process: it also recovers the log. */
static cm_status open_writer(struct cm_sqlite_store *store, bool create, struct cm_error *err)
{
    cm_status status = cm_sqlite_connect(store->path, false, &store->db, err);
    if (status == CM_OK && create)
        status = cm_sqlite_schema_create(store->db, err);
    if (status == CM_OK)
        status = cm_sqlite_schema_upgrade(store->db, store->path, err);
    if (status == CM_OK)
        status = cm_sqlite_schema_check(store->db, store->path, err);
    if (status == CM_OK && store->lock.was_unclean && size_of(store->path) <= quick_check_size_max)
        status = check_pages(store->db, store->path, err);
    if (status == CM_OK)
        status = settle_writer(store->db, err);
    if (status == CM_OK)
        status = cm_sqlite_tally_read(store->db, &store->tally, err);
    if (status == CM_OK)
        status = cm_sqlite_prepare(store->db, change_sql, CM_SQLITE_CHANGE_COUNT, store->statements,
                                   err);
    if (status == CM_OK)
        status = cm_sqlite_requests_load(store, err);
    if (status == CM_OK)
        status = cm_sqlite_barred_load(store, err);
    if (status == CM_OK)
        status = cm_sqlite_compromised_load(store, err);
    if (status == CM_OK)
        status = sync_folder(store->path, err);
    return status;
}

static cm_status open_for_writing(struct cm_sqlite_store *store, bool create, struct cm_error *err)
{
    cm_status status = create ? CM_OK : require_file(store->path, err);
    if (status == CM_OK)
        status = cm_sqlite_lock_take(store->path, &store->lock, err);
    if (status == CM_OK && create)
        status = make_file(store->path, err);
    if (status != CM_OK)
        return status;
    status = open_writer(store, create, err);
    if (status == CM_OK)
        status = cm_sqlite_writer_start(store, err);
    return status;
}

static cm_status open_for_reading(const struct cm_sqlite_store *store, struct cm_error *err)
{
    sqlite3 *db = NULL;
    cm_status status = require_file(store->path, err);
    if (status == CM_OK)
        status = cm_sqlite_connect(store->path, true, &db, err);
    if (status == CM_OK)
        status = cm_sqlite_schema_check(db, store->path, err);
    sqlite3_close(db);
    return status;
}

/* --------------------------------------------------------------------- life -- */

static void close_store(struct cm_store *base)
{
    struct cm_sqlite_store *store = (struct cm_sqlite_store *)base;
    cm_sqlite_writer_stop(store);
    cm_sqlite_mover_stop(&store->mover);
    cm_sqlite_finalize(store->statements, CM_SQLITE_CHANGE_COUNT);
    /* The last connection to close moves the log into the database and removes it. */
    sqlite3_close(store->db);
    cm_sqlite_lock_release(&store->lock);
    cm_sqlite_requests_done(store);
    cm_sqlite_listing_done(store);
    free(store->barred.bits);
    free(store->barred.revoked);
    free(store->scratch);
    free(store->path);
    free(store);
}

static cm_status open_store(struct cm_loop *loop, const struct cm_store_settings *settings,
                            struct cm_store **ret_store, struct cm_error *err)
{
    struct cm_sqlite_store *store = calloc(1, sizeof *store);
    if (store)
        store->path = strdup(settings->path);
    if (!store || !store->path) {
        free(store);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a store");
    }
    store->base.ops = &cm_store_sqlite;
    store->loop = loop;
    store->lock.fd = -1;
    store->group_rows_max = settings->group_rows_max;
    store->log.pages_max = (int)settings->log_pages_max;
    cm_status status = settings->read_only ? open_for_reading(store, err)
                                           : open_for_writing(store, settings->create, err);
    if (status != CM_OK) {
        close_store(&store->base);
        return status;
    }
    *ret_store = &store->base;
    return CM_OK;
}

const struct cm_store_ops cm_store_sqlite = {
    .name = "sqlite",
    .open = open_store,
    .close = close_store,
    .submit = cm_sqlite_submit,
    .apply = cm_sqlite_apply,
    .reader_open = cm_sqlite_reader_open,
    .reader_close = cm_sqlite_reader_close,
    .reader_begin = cm_sqlite_reader_begin,
    .reader_end = cm_sqlite_reader_end,
    .recall = cm_sqlite_recall,
    .find_device = cm_sqlite_find_device,
    .find_certificate = cm_sqlite_find_certificate,
    .walk_devices = cm_sqlite_walk_devices,
    .walk_keys = cm_sqlite_walk_keys,
    .walk_open_intents = cm_sqlite_walk_open_intents,
    .walk_generations = cm_sqlite_walk_generations,
    .walk_crosses = cm_sqlite_walk_crosses,
    .walk_plans = cm_sqlite_walk_plans,
    .walk_approvals = cm_sqlite_walk_approvals,
    .walk_certificates = cm_sqlite_walk_certificates,
    .find_use = cm_sqlite_find_use,
    .walk_revocations = cm_sqlite_walk_revocations,
    .walk_crls = cm_sqlite_walk_crls,
    .walk_device_certificates = cm_sqlite_walk_device_certificates,
    .find_latest = cm_sqlite_find_latest,
    .find_standing = cm_sqlite_find_standing,
    .find_issued = cm_sqlite_find_issued,
    .walk_usage = cm_sqlite_walk_usage,
    .walk_audit = cm_sqlite_walk_audit,
    .walk_audited = cm_sqlite_walk_audited,
    .walk_strays = cm_sqlite_walk_strays,
    .count_audited = cm_sqlite_count_audited,
    .walk_checkpoints = cm_sqlite_walk_checkpoints,
    .count = cm_sqlite_count,
    .walk_campaigns = cm_sqlite_walk_campaigns,
    .walk_holders = cm_sqlite_walk_holders,
};
