/*
 * The mover: a thread with a connection of its own that moves the write-ahead log into the database, so that
 * nobody's commit waits for hundreds of milliseconds of writing and syncing. SQLite lets one connection
 * write into the log while another moves what is in it; when to move, and the last pages, are the
 * writer's (checkpoint.c). It never commits anything.
 *
 * It is only asked while the log has pages that are in no database yet, and of the two only one moves at a
 * time. SQLite before 3.51.3 may lose commits where a checkpoint begins on one connection in the moment in
 * which another begins a log again that is moved whole (https://sqlite.org/wal.html#walresetbug). Here none
 * does: the writer alone begins it again, and cannot until the mover has moved the last page of it.
 */
#include "engine/store/sqlite/internal.h"

static bool wait_for_wish(struct cm_sqlite_mover *mover)
{
    pthread_mutex_lock(&mover->shared.mutex); /* { */
    while (mover->shared.state != CM_SQLITE_MOVER_ASKED && !mover->shared.closing)
        pthread_cond_wait(&mover->shared.wake, &mover->shared.mutex);
    bool wanted = !mover->shared.closing;
    pthread_mutex_unlock(&mover->shared.mutex); /* } */
    return wanted;
}

static void tell(struct cm_sqlite_mover *mover, int moved)
{
    pthread_mutex_lock(&mover->shared.mutex); /* { */
    mover->shared.moved = moved;
    mover->shared.state = CM_SQLITE_MOVER_DONE;
    pthread_mutex_unlock(&mover->shared.mutex); /* } */
}

static void *mover_main(void *arg)
{
    struct cm_sqlite_mover *mover = arg;
    pthread_setname_np(pthread_self(), "store-log");
    while (wait_for_wish(mover))
        tell(mover, cm_sqlite_move_pages(mover->db, SQLITE_CHECKPOINT_PASSIVE));
    return NULL;
}

void cm_sqlite_mover_ask(struct cm_sqlite_mover *mover)
{
    pthread_mutex_lock(&mover->shared.mutex); /* { */
    mover->shared.state = CM_SQLITE_MOVER_ASKED;
    pthread_cond_signal(&mover->shared.wake);
    pthread_mutex_unlock(&mover->shared.mutex); /* } */
}

enum cm_sqlite_mover_state cm_sqlite_mover_look(struct cm_sqlite_mover *mover, int *ret_moved)
{
    pthread_mutex_lock(&mover->shared.mutex); /* { */
    enum cm_sqlite_mover_state state = mover->shared.state;
    if (state == CM_SQLITE_MOVER_DONE) {
        *ret_moved = mover->shared.moved;
        mover->shared.state = CM_SQLITE_MOVER_RESTS;
    }
    pthread_mutex_unlock(&mover->shared.mutex); /* } */
    return state;
}

cm_status cm_sqlite_mover_start(struct cm_sqlite_mover *mover, const char *path,
                                struct cm_error *err)
{
    cm_status status = cm_sqlite_connect(path, false, &mover->db, err);
    if (status == CM_OK)
        status =
            cm_sqlite_run(mover->db, "PRAGMA synchronous = FULL; PRAGMA cache_size = -256", err);
    if (status != CM_OK)
        return status;
    pthread_mutex_init(&mover->shared.mutex, NULL);
    pthread_cond_init(&mover->shared.wake, NULL);
    int code = pthread_create(&mover->thread, NULL, mover_main, mover);
    if (code != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "start the store's second thread");
    mover->is_started = true;
    return CM_OK;
}

void cm_sqlite_mover_stop(struct cm_sqlite_mover *mover)
{
    if (mover->is_started) {
        pthread_mutex_lock(&mover->shared.mutex); /* { */
        mover->shared.closing = true;
        pthread_cond_signal(&mover->shared.wake);
        pthread_mutex_unlock(&mover->shared.mutex); /* } */
        pthread_join(mover->thread, NULL);
        pthread_cond_destroy(&mover->shared.wake);
        pthread_mutex_destroy(&mover->shared.mutex);
        mover->is_started = false;
    }
    sqlite3_close(mover->db);
    mover->db = NULL;
}
