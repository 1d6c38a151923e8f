#include "engine/base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

/* Per turn, so that a burst of completions cannot starve timers and sockets. */
enum { TASKS_PER_TURN = 256 };

struct cm_loop {
    struct event_base *base;
    struct event *mail;
    struct cm_task *taken; /* detached from the mailbox, not yet run; the loop's own */
    pthread_t thread;
    atomic_bool running;
    atomic_bool stopping;
    struct cm_task stop;
    int mail_fd;

    struct {
        pthread_mutex_t mutex;
        struct cm_task *first;
        struct cm_task **last;
    } shared; /* touched by any thread, under the mutex */
};

/* The list is detached under the lock and run outside it. */
static void take_mail(struct cm_loop *loop)
{
    pthread_mutex_lock(&loop->shared.mutex); /* { */
    loop->taken = loop->shared.first;
    loop->shared.first = NULL;
    loop->shared.last = &loop->shared.first;
    pthread_mutex_unlock(&loop->shared.mutex); /* } */
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct cm_loop *loop = arg;
    uint64_t count;
    (void)what;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored;
    if (!loop->taken)
        take_mail(loop);
    for (unsigned i = 0; loop->taken && i < TASKS_PER_TURN; i++) {
        struct cm_task *task = loop->taken;
        loop->taken = task->next;
        task->run(task->arg);
    }
    if (loop->taken)
        event_active(loop->mail, EV_READ, 1);
    else {
        /* Mail that came while the old list was being run has not woken us: look again. */
        pthread_mutex_lock(&loop->shared.mutex); /* { */
        bool more = loop->shared.first != NULL;
        pthread_mutex_unlock(&loop->shared.mutex); /* } */
        if (more)
            event_active(loop->mail, EV_READ, 1);
    }
}

/* NULL: errno says why. */
static struct event_base *new_base(int flags)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config && event_config_set_flag(config, flags) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

static cm_status open_loop(int flags, struct cm_loop **ret_loop, struct cm_error *err)
{
    struct cm_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an event loop");
    loop->shared.last = &loop->shared.first;
    pthread_mutex_init(&loop->shared.mutex, NULL);
    loop->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->base = new_base(flags);
    if (loop->mail_fd >= 0 && loop->base)
        loop->mail = event_new(loop->base, loop->mail_fd, EV_READ | EV_PERSIST, on_mail, loop);
    if (!loop->mail || event_add(loop->mail, NULL) != 0) {
        int code = errno;
        cm_loop_free(loop);
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "create an event loop");
    }
    *ret_loop = loop;
    return CM_OK;
}

cm_status cm_loop_new(struct cm_loop **ret_loop, struct cm_error *err)
{
    return open_loop(0, ret_loop, err);
}

cm_status cm_loop_new_for_sockets(struct cm_loop **ret_loop, struct cm_error *err)
{
    return open_loop(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST, ret_loop, err);
}

void cm_loop_free(struct cm_loop *loop)
{
    if (!loop)
        return;
    if (loop->mail)
        event_free(loop->mail);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->mail_fd >= 0)
        close(loop->mail_fd);
    pthread_mutex_destroy(&loop->shared.mutex);
    free(loop);
}

void cm_loop_run(struct cm_loop *loop)
{
    loop->thread = pthread_self();
    atomic_store(&loop->running, true);
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    atomic_store(&loop->running, false);
}

static void stop_here(void *arg)
{
    struct cm_loop *loop = arg;
    atomic_store(&loop->stopping, false);
    event_base_loopbreak(loop->base);
}

void cm_loop_stop(struct cm_loop *loop)
{
    /* Through the mailbox: libevent itself is used without locks, by one thread. */
    if (atomic_exchange(&loop->stopping, true))
        return;
    loop->stop = (struct cm_task){ .run = stop_here, .arg = loop };
    cm_loop_post(loop, &loop->stop);
}

void cm_loop_post(struct cm_loop *loop, struct cm_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&loop->shared.mutex); /* { */
    bool was_empty = loop->shared.first == NULL;
    *loop->shared.last = task;
    loop->shared.last = &task->next;
    pthread_mutex_unlock(&loop->shared.mutex); /* } */
    if (was_empty) {
        uint64_t one = 1;
        ssize_t ignored = write(loop->mail_fd, &one, sizeof one);
        (void)ignored; /* full means: a wake-up is pending already */
    }
}

void cm_loop_assert_here(const struct cm_loop *loop)
{
    (void)loop;
    assert(!atomic_load(&loop->running) || pthread_equal(loop->thread, pthread_self()));
}

struct event_base *cm_loop_event_base(struct cm_loop *loop)
{
    return loop->base;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct cm_timer *timer = arg;
    (void)fd;
    (void)what;
    timer->run(timer->arg);
}

void cm_timer_start(struct cm_timer *timer, struct cm_loop *loop, uint32_t delay_ms,
                    void (*run)(void *arg), void *arg)
{
    const struct timeval delay = { .tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000 };
    cm_loop_assert_here(loop);
    timer->run = run;
    timer->arg = arg;
    if (!timer->event)
        timer->event = event_new(loop->base, -1, 0, on_timer, timer);
    if (!timer->event || event_add(timer->event, &delay) != 0)
        abort();
}

bool cm_timer_is_running(const struct cm_timer *timer)
{
    return timer->event && event_pending(timer->event, EV_TIMEOUT, NULL);
}

void cm_timer_stop(struct cm_timer *timer)
{
    if (timer->event)
        event_del(timer->event);
}

void cm_timer_done(struct cm_timer *timer)
{
    if (timer->event)
        event_free(timer->event);
    timer->event = NULL;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct cm_watch *watch = arg;
    (void)fd;
    (void)what;
    watch->run(watch->arg);
}

void cm_watch_start(struct cm_watch *watch, struct cm_loop *loop, int fd,
                    enum cm_readiness readiness, void (*run)(void *arg), void *arg)
{
    const int direction = readiness == CM_READABLE ? EV_READ : EV_WRITE;
    cm_loop_assert_here(loop);
    watch->run = run;
    watch->arg = arg;
    if (!watch->event)
        watch->event = event_new(loop->base, fd, (short)(direction | EV_PERSIST), on_ready, watch);
    if (!watch->event || event_add(watch->event, NULL) != 0)
        abort();
}

void cm_watch_stop(struct cm_watch *watch)
{
    if (watch->event)
        event_del(watch->event);
}

void cm_watch_done(struct cm_watch *watch)
{
    if (watch->event)
        event_free(watch->event);
    watch->event = NULL;
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct cm_signal *watch = arg;
    (void)what;
    watch->run((int)signal_number, watch->arg);
}

void cm_signal_watch(struct cm_signal *watch, struct cm_loop *loop, int signal_number,
                     void (*run)(int signal_number, void *arg), void *arg)
{
    watch->run = run;
    watch->arg = arg;
    watch->event = evsignal_new(loop->base, signal_number, on_signal, watch);
    if (!watch->event || event_add(watch->event, NULL) != 0)
        abort();
}

void cm_signal_done(struct cm_signal *watch)
{
    if (watch->event)
        event_free(watch->event);
    watch->event = NULL;
}
