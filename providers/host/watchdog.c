#include "providers/host/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "providers/calls.h"
#include "providers/host.h"

/* How many looks a deadline has. */
enum { LOOKS = 8 };

/* A process has one. */
static struct {
    pthread_t thread;
    bool is_running;
    uint32_t deadline_ms;
    char name[64];

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool stopping;
    } shared; /* under the mutex */
} watchdog = { .shared.mutex = PTHREAD_MUTEX_INITIALIZER };

static void look(void)
{
    uint64_t lasted_ms = cm_calls_longest_ns() / CM_NS_PER_MS;
    if (lasted_ms <= watchdog.deadline_ms)
        return;
    dprintf(STDERR_FILENO,
            "certmill: signer %s: a call has not come back for %llu ms (%u are allowed): ending\n",
            watchdog.name, (unsigned long long)lasted_ms, watchdog.deadline_ms);
    _exit(CM_SIGNER_EXIT_HUNG);
}

static void *watch(void *arg)
{
    uint64_t pause_ns = watchdog.deadline_ms * CM_NS_PER_MS / LOOKS + CM_NS_PER_MS;
    (void)arg;
    pthread_setname_np(pthread_self(), "watchdog");
    pthread_mutex_lock(&watchdog.shared.mutex); /* { */
    while (!watchdog.shared.stopping) {
        uint64_t until_ns = cm_clock_monotonic_ns() + pause_ns;
        const struct timespec until = { .tv_sec = (time_t)(until_ns / CM_NS_PER_S),
                                        .tv_nsec = (long)(until_ns % CM_NS_PER_S) };
        pthread_cond_timedwait(&watchdog.shared.changed, &watchdog.shared.mutex, &until);
        look();
    }
    pthread_mutex_unlock(&watchdog.shared.mutex); /* } */
    return NULL;
}

cm_status cm_watchdog_start(uint32_t deadline_ms, const char *name, struct cm_error *err)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    watchdog.deadline_ms = deadline_ms;
    watchdog.shared.stopping = false;
    snprintf(watchdog.name, sizeof watchdog.name, "%s", name);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog.shared.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&watchdog.thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    watchdog.is_running = code == 0;
    return code == 0 ? CM_OK : CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_OS, code, "start the watchdog");
}

void cm_watchdog_stop(void)
{
    if (!watchdog.is_running)
        return;
    pthread_mutex_lock(&watchdog.shared.mutex); /* { */
    watchdog.shared.stopping = true;
    pthread_cond_signal(&watchdog.shared.changed);
    pthread_mutex_unlock(&watchdog.shared.mutex); /* } */
    pthread_join(watchdog.thread, NULL);
    pthread_cond_destroy(&watchdog.shared.changed);
    watchdog.is_running = false;
}
