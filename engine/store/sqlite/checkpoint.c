#include "engine/store/sqlite/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CHECKPOINT_PAGES = 20000,   /* 160 MB: a page written often is moved once */
    CHECKPOINT_IDLE_PAGES = 64, /* worth moving when there is nothing else to do */
    RESTART_WAIT_MS = 100       /* how long commits may wait for readers to leave the log */
};

/* The next start reads what is on the disk; this process no longer knows. */
void cm_sqlite_die(const struct cm_error *err)
{
    fprintf(stderr,
            "certmill: the store ends the process, since the state of the disk is unknown: "
            "%s (%lld)\n",
            err->text, (long long)err->native);
    abort();
}

void cm_sqlite_die_if_fatal(const struct cm_error *err)
{
    if (err->origin == CM_ORIGIN_SQLITE && cm_sqlite_is_fatal(err->native))
        cm_sqlite_die(err);
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct cm_sqlite_store *store = arg;
    (void)db;
    (void)name;
    if (pages < store->wal_pages)
        store->wal_pages_moved = 0; /* the log was begun again from its start */
    store->wal_pages = pages;
    return SQLITE_OK;
}

static void move_pages(struct cm_sqlite_store *store, int mode)
{
    struct cm_error err;
    int pages = 0, moved = 0;
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, mode, &pages, &moved);
    if (code != SQLITE_OK) {
        cm_sqlite_fail(store->db, code, "move the log into the database", &err);
        cm_sqlite_die_if_fatal(&err);
    }
    /* A disk that is full or a reader in the way: the pages stay in the log until the next time.
     * Counted as moved all the same, so that the next time comes after another stretch of log. */
    store->wal_pages_moved = code == SQLITE_OK && pages >= 0 ? moved : store->wal_pages;
}

/*
 * Late, since a page that is written ten times is then moved once. A passive checkpoint waits for
 * nobody, but the log begins again only in a moment without readers; when such a moment does not
 * come by itself, one checkpoint waits for it.
 */
void cm_sqlite_checkpoint_when_due(struct cm_sqlite_store *store)
{
    if (store->wal_pages - store->wal_pages_moved < CHECKPOINT_PAGES)
        return;
    if (store->wal_pages < 2 * CHECKPOINT_PAGES) {
        move_pages(store, SQLITE_CHECKPOINT_PASSIVE);
        return;
    }
    sqlite3_busy_timeout(store->db, RESTART_WAIT_MS);
    move_pages(store, SQLITE_CHECKPOINT_RESTART);
    sqlite3_busy_timeout(store->db, CM_SQLITE_BUSY_TIMEOUT_MS);
}

bool cm_sqlite_checkpoint_has_idle_work(const struct cm_sqlite_store *store)
{
    return store->wal_pages - store->wal_pages_moved >= CHECKPOINT_IDLE_PAGES;
}

void cm_sqlite_checkpoint_idle(struct cm_sqlite_store *store)
{
    move_pages(store, SQLITE_CHECKPOINT_PASSIVE);
}

void cm_sqlite_checkpoint_start(struct cm_sqlite_store *store)
{
    sqlite3_wal_hook(store->db, on_commit, store);
}
