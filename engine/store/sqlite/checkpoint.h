/*
 * The write-ahead log on its way into the database (checkpoint.c), by a thread of its own (mover.c), and the
 * errors of the disk that end the process. Private to engine/store/sqlite.
 *
 * Thread: the writer's, but for the mover's own. ADR 22 says why there are two, and why never both at once.
 */
#ifndef CM_STORE_SQLITE_CHECKPOINT_H
#define CM_STORE_SQLITE_CHECKPOINT_H

#include <pthread.h>
#include <sqlite3.h>

#include "engine/base/status.h"

struct cm_sqlite_store;

/* The write-ahead log, as the writer knows it (checkpoint.c). */
struct cm_sqlite_log {
    int pages;     /* in it, told by SQLite after each commit */
    int moved;     /* of them in the database since the last checkpoint */
    int pages_max; /* before they are moved */
    uint64_t restarts,
        restarts_when_asked; /* how often it was begun again, now and at the last wish */
};

enum cm_sqlite_mover_state { CM_SQLITE_MOVER_RESTS, CM_SQLITE_MOVER_ASKED, CM_SQLITE_MOVER_DONE };

/* Moves the log into the database while the writer goes on (mover.c). */
struct cm_sqlite_mover {
    bool is_started;
    pthread_t thread;
    sqlite3 *db; /* the thread's */
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t wake;
        enum cm_sqlite_mover_state state;
        int moved; /* pages of the log; -1: none could be */
        bool closing;
    } shared; /* under the mutex */
};

/* Ends the process when the error leaves the state of the disk unknown. */
void cm_sqlite_die_if_fatal(const struct cm_error *err);
void __attribute__((noreturn)) cm_sqlite_die(const struct cm_error *err);

/* Pages of the log that are in the database, in all; -1: none could be moved. Any thread with a connection. */
int cm_sqlite_move_pages(sqlite3 *db, int mode);

/* The writer asks; it learns what came of it once (DONE, *ret_moved), when it looks. */
CM_MUST_USE cm_status cm_sqlite_mover_start(struct cm_sqlite_mover *mover, const char *path,
                                            struct cm_error *err);
void cm_sqlite_mover_ask(struct cm_sqlite_mover *mover);
enum cm_sqlite_mover_state cm_sqlite_mover_look(struct cm_sqlite_mover *mover, int *ret_moved);
void cm_sqlite_mover_stop(struct cm_sqlite_mover *mover);

/* Before the writer's thread starts; on it: after a commit, and when nothing is to be done. */
CM_MUST_USE cm_status cm_sqlite_checkpoint_start(struct cm_sqlite_store *store,
                                                 struct cm_error *err);
void cm_sqlite_checkpoint_when_due(struct cm_sqlite_store *store);
bool cm_sqlite_checkpoint_has_idle_work(struct cm_sqlite_store *store);
void cm_sqlite_checkpoint_idle(struct cm_sqlite_store *store);

#endif
