#include "engine/status/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/status/listener.h"

enum { ERRANDS_MAX = 4096, LOOK_MS = 1000, TELL_AGAIN_MS = 60000, DESCRIPTORS_RESERVED = 256 };

int64_t cm_status_now_s(const struct cm_status_service *service)
{
    int64_t now_ms =
        service->env.time_ms ? service->env.time_ms(service->env.arg) : cm_clock_wall_ms();
    return now_ms < 0 ? -1 : now_ms / 1000;
}

/* --- errands ------------------------------------------------------------------------------------- */

bool cm_errand_send(struct cm_errand *errand)
{
    struct cm_status_service *service = errand->thread->service;
    if (atomic_load(&service->is_stopping))
        return false;
    if (atomic_fetch_add(&service->errands_count, 1) >= ERRANDS_MAX) {
        atomic_fetch_sub(&service->errands_count, 1);
        return false;
    }
    errand->next = NULL;
    pthread_mutex_lock(&service->inbox.mutex); /* { */
    bool was_empty = service->inbox.first == NULL;
    *service->inbox.last = errand;
    service->inbox.last = &errand->next;
    pthread_mutex_unlock(&service->inbox.mutex); /* } */
    if (was_empty)
        (void)eventfd_write(service->wake_fd, 1);
    return true;
}

static void run_back(void *arg)
{
    struct cm_errand *errand = arg;
    errand->back(errand);
}

void cm_errand_return(struct cm_errand *errand)
{
    atomic_fetch_sub(&errand->thread->service->errands_count, 1);
    errand->task = (struct cm_task){ .run = run_back, .arg = errand };
    cm_loop_post(errand->thread->loop, &errand->task);
}

static struct cm_errand *take_inbox(struct cm_status_service *service)
{
    pthread_mutex_lock(&service->inbox.mutex); /* { */
    struct cm_errand *first = service->inbox.first;
    service->inbox.first = NULL;
    service->inbox.last = &service->inbox.first;
    pthread_mutex_unlock(&service->inbox.mutex); /* } */
    return first;
}

static void give_all(struct cm_status_service *service, void (*give)(struct cm_errand *errand))
{
    for (struct cm_errand *errand = take_inbox(service), *next; errand; errand = next) {
        next = errand->next;
        (give ? give : errand->take)(errand);
    }
}

static void on_wake(void *arg)
{
    struct cm_status_service *service = arg;
    eventfd_t ignored;
    (void)eventfd_read(service->wake_fd, &ignored);
    give_all(service, NULL);
    cm_signing_go(service);
}

/* Once a minute, however many: whoever floods us does not flood the log. */
static void tell_failures(struct cm_status_service *service)
{
    uint64_t count = 0, now_ms = cm_clock_monotonic_ns() / CM_NS_PER_MS;
    char text[CM_ERROR_TEXT_SIZE];
    for (uint32_t i = 0; i < service->threads_count; i++)
        count +=
            atomic_load_explicit(&service->threads[i].counters.ocsp_failed, memory_order_relaxed);
    if (count == service->failures_told || now_ms < service->tell_again_ms)
        return;
    snprintf(text, sizeof text,
             "%llu OCSP answers were signed wrongly, or their certificates could not be looked up",
             (unsigned long long)(count - service->failures_told));
    service->failures_told = count;
    service->tell_again_ms = now_ms + TELL_AGAIN_MS;
    service->env.on_notice(text, service->env.arg);
}

static void on_look(void *arg)
{
    struct cm_status_service *service = arg;
    cm_signing_look(service);
    tell_failures(service);
    cm_timer_start(&service->look, service->env.loop, LOOK_MS, on_look, service);
}

/* --- descriptors --- ---------------------------------------------------------------------- */

/*
 * Connections must not take the descriptors that issuance needs. The usual limit of a thousand is raised
 * as far as the system lets us, and where that is not enough, there are fewer connections.
 */
static uint32_t make_room_for_connections(struct cm_status_service *service)
{
    const uint32_t wished = service->settings->connections_max;
    struct rlimit limit;
    char text[CM_ERROR_TEXT_SIZE];
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wished;
    rlim_t wanted = (rlim_t)wished + DESCRIPTORS_RESERVED;
    if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            limit.rlim_cur = before;
    }
    if (limit.rlim_cur >= wanted)
        return wished;
    uint32_t all = (uint32_t)limit.rlim_cur;
    uint32_t rest = all - (all / 2 < DESCRIPTORS_RESERVED ? all / 2 : DESCRIPTORS_RESERVED);
    uint32_t count = rest < wished ? rest : wished;
    snprintf(
        text, sizeof text,
        "status.connections-max: %u at a time, not %u: the process may open %u files (ulimit -n)",
        count, wished, all);
    service->env.on_notice(text, service->env.arg);
    return count;
}

/* --- life ---------------------------------------------------------------------------------------- */

static cm_status open_threads(struct cm_status_service *service, struct cm_error *err)
{
    uint32_t count = service->settings->threads > 0 ? service->settings->threads : 1;
    int sockets[64];
    if (count > sizeof sockets / sizeof sockets[0])
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "status.threads: %u at most",
                       (unsigned)(sizeof sockets / sizeof sockets[0]));
    service->threads = calloc(count, sizeof *service->threads);
    if (!service->threads)
        abort();
    cm_status status =
        cm_listener_open(service->settings->listen, count, sockets, &service->port, err);
    for (uint32_t i = 0; status == CM_OK && i < count; i++) {
        service->threads_count++;
        status = cm_thread_open(service, &service->threads[i], sockets[i], err);
        sockets[i] = -1;
    }
    /* What no thread has taken over; nothing was opened when the listener failed. */
    for (uint32_t i = service->threads_count; service->threads_count > 0 && i < count; i++)
        close(sockets[i]);
    return status;
}

static cm_status start(struct cm_status_service *service, struct cm_error *err)
{
    const struct cm_status_service_env *env = &service->env;
    cm_status status = CM_OK;
    for (uint32_t i = 0; status == CM_OK && i < env->generations_count; i++)
        status = cm_status_service_add_generation(service, &env->generations[i], err);
    if (status == CM_OK)
        status = open_threads(service, err);
    if (status != CM_OK)
        return status;
    cm_watch_start(&service->wake, env->loop, service->wake_fd, CM_READABLE, on_wake, service);
    on_look(service);
    for (uint32_t i = 0; status == CM_OK && i < service->threads_count; i++)
        status = cm_thread_start(&service->threads[i], err);
    return status;
}

cm_status cm_status_service_open(const struct cm_status_service_env *env,
                                 struct cm_status_service **ret_service, struct cm_error *err)
{
    struct cm_status_service *service = calloc(1, sizeof *service);
    cm_loop_assert_here(env->loop);
    if (!service)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for the status service");
    service->env = *env;
    service->settings = &env->settings->status;
    service->inbox.last = &service->inbox.first;
    pthread_mutex_init(&service->inbox.mutex, NULL);
    pthread_mutex_init(&service->reports.mutex, NULL);
    service->connections_max = make_room_for_connections(service);
    service->answers = cm_answers_new(service->settings->ocsp_answers_max);
    service->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    cm_status status = service->wake_fd >= 0
                           ? start(service, err)
                           : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "create an eventfd");
    if (status != CM_OK)
        cm_status_service_close(service);
    else
        *ret_service = service;
    return status;
}

uint16_t cm_status_service_port(const struct cm_status_service *service)
{
    return service->port;
}

void cm_status_service_forget(struct cm_status_service *service, int64_t generation_number,
                              struct cm_bytes serial)
{
    uint32_t count = atomic_load(&service->generations_count);
    cm_loop_assert_here(service->env.loop);
    for (uint32_t i = 0; serial.size == 0 && i < count; i++)
        if (service->generations[i]->about.number == generation_number)
            cm_generation_ask_signer(service, service->generations[i]);
    cm_answers_forget(service->answers, generation_number, serial);
}

void cm_status_service_stop(struct cm_status_service *service)
{
    cm_loop_assert_here(service->env.loop);
    if (atomic_exchange(&service->is_stopping, true))
        return;
    for (uint32_t i = 0; i < service->threads_count; i++)
        cm_thread_stop(&service->threads[i]);
}

bool cm_status_service_is_idle(const struct cm_status_service *service)
{
    return cm_signing_is_idle(service);
}

static void run_back_here(struct cm_errand *errand)
{
    errand->back(errand);
}

/* Nothing is left with anybody when this returns: what no signature is out for goes back undone. */
static void end_threads(struct cm_status_service *service)
{
    uint32_t count = atomic_load(&service->generations_count);
    atomic_store(&service->is_stopping, true);
    for (uint32_t i = 0; i < count; i++)
        cm_signing_drop(service->generations[i]);
    give_all(service, cm_errand_return);
    for (uint32_t i = 0; i < service->threads_count; i++)
        cm_thread_end(&service->threads[i]);
    give_all(service, run_back_here); /* sent as we began to stop */
    for (uint32_t i = 0; i < service->threads_count; i++)
        cm_thread_done(&service->threads[i]);
}

void cm_status_service_close(struct cm_status_service *service)
{
    if (!service)
        return;
    end_threads(service);
    cm_timer_done(&service->look);
    cm_timer_done(&service->again);
    cm_watch_done(&service->wake);
    if (service->wake_fd >= 0)
        close(service->wake_fd);
    cm_generations_done(service);
    cm_answers_free(service->answers);
    cm_report_let_go(service->reports.latest);
    pthread_mutex_destroy(&service->reports.mutex);
    pthread_mutex_destroy(&service->inbox.mutex);
    free(service->threads);
    free(service);
}
