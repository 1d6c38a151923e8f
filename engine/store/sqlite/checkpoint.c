#include "engine/store/sqlite/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGES_PRESET = 4000,  /* 32 MB: a page written often is moved once, and no move takes long */
    IDLE_PAGES = 64,      /* worth moving when there is nothing else to do */
    RESTART_WAIT_MS = 100 /* how long commits may wait for readers to leave the log */
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
    if (pages < store->log.pages) { /* the log was begun again from its start */
        store->log.moved = 0;
        store->log.restarts++;
    }
    store->log.pages = pages;
    return SQLITE_OK;
}

int cm_sqlite_move_pages(sqlite3 *db, int mode)
{
    struct cm_error err;
    int pages = 0, moved = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, mode, &pages, &moved);
    if (code == SQLITE_OK && pages >= 0)
        return moved;
    cm_sqlite_fail(db, code, "move the log into the database", &err);
    cm_sqlite_die_if_fatal(&err);
    return -1;
}

/* A disk that is full or a reader in the way (-1): the pages stay in the log until the next time. Counted as
 * moved all the same, so that the next time comes after another stretch of log. */
static void note_moved(struct cm_sqlite_store *store, int moved)
{
    store->log.moved = moved >= 0 ? moved : store->log.pages;
}

/* Never more than there is: what is not known to be moved was appended behind the last move. */
static int rest_of(const struct cm_sqlite_store *store)
{
    return store->log.pages - store->log.moved;
}

/* True while the mover is at work. *ret_is_done: it has come to an end just now. */
static bool is_moving(struct cm_sqlite_store *store, bool *ret_is_done)
{
    int moved = 0;
    enum cm_sqlite_mover_state state = cm_sqlite_mover_look(&store->mover, &moved);
    *ret_is_done = state == CM_SQLITE_MOVER_DONE;
    if (*ret_is_done && store->log.restarts == store->log.restarts_when_asked)
        note_moved(store, moved);
    return state == CM_SQLITE_MOVER_ASKED;
}

/* Only with pages to move: mover.c says why. */
static void ask_mover(struct cm_sqlite_store *store)
{
    assert(rest_of(store) > 0);
    store->log.restarts_when_asked = store->log.restarts;
    cm_sqlite_mover_ask(&store->mover);
}

/* On the writer's own time. A log that has grown all the same begins again only when no reader uses it: then
 * commits wait for that moment. */
static void move_rest(struct cm_sqlite_store *store)
{
    if (store->log.pages < 2 * store->log.pages_max) {
        note_moved(store, cm_sqlite_move_pages(store->db, SQLITE_CHECKPOINT_PASSIVE));
        return;
    }
    sqlite3_busy_timeout(store->db, RESTART_WAIT_MS);
    note_moved(store, cm_sqlite_move_pages(store->db, SQLITE_CHECKPOINT_RESTART));
    sqlite3_busy_timeout(store->db, CM_SQLITE_BUSY_TIMEOUT_MS);
}

/*
 * Late, since a page that is written ten times is then moved once. The mover takes what there is; what was
 * written meanwhile is little, and the writer moves it itself: the log begins again from its start only
 * when all of it is in the database. A log that grows faster than it is moved holds the writer up at last.
 */
void cm_sqlite_checkpoint_when_due(struct cm_sqlite_store *store)
{
    bool is_done;
    bool is_long = store->log.pages >= 4 * store->log.pages_max;
    if (is_moving(store, &is_done))
        return;
    if (is_done && rest_of(store) > 0 && (rest_of(store) <= store->log.pages_max / 8 || is_long))
        move_rest(store);
    else if (is_done ? rest_of(store) > 0 : rest_of(store) >= store->log.pages_max)
        ask_mover(store);
}

bool cm_sqlite_checkpoint_has_idle_work(struct cm_sqlite_store *store)
{
    bool ignored;
    return is_moving(store, &ignored) || rest_of(store) >= IDLE_PAGES;
}

void cm_sqlite_checkpoint_idle(struct cm_sqlite_store *store)
{
    bool ignored;
    if (is_moving(store, &ignored))
        return;
    if (rest_of(store) > store->log.pages_max / 8)
        ask_mover(store);
    else if (rest_of(store) >= IDLE_PAGES)
        move_rest(store);
}

cm_status cm_sqlite_checkpoint_start(struct cm_sqlite_store *store, struct cm_error *err)
{
    if (store->log.pages_max == 0)
        store->log.pages_max = PAGES_PRESET;
    sqlite3_wal_hook(store->db, on_commit, store);
    return cm_sqlite_mover_start(&store->mover, store->path, err);
}
