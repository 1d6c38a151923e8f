#include "engine/status/internal.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/listener.h>

enum {
    EVERY_METHOD = EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT
                   | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT
                   | EVHTTP_REQ_PATCH
};

/* Whose thread this is: a listener's error callback gets evhttp as its argument, nothing of ours. */
static _Thread_local struct cm_status_thread *this_thread;

/* Out of descriptors, most likely: the socket stays readable, so it is not looked at for a while. */
static void on_accept_failed(struct evconnlistener *listener, void *http)
{
    (void)http;
    evconnlistener_disable(listener);
    this_thread->is_deaf = true;
}

static void on_look(void *arg)
{
    struct cm_status_thread *thread = arg;
    if (thread->is_deaf && thread->bound)
        evconnlistener_enable(evhttp_bound_socket_get_listener(thread->bound));
    thread->is_deaf = false;
}

/* Called while the listener accepts: it stops with the one that it has. */
static void accept_more(bool may_accept, void *arg)
{
    struct cm_status_thread *thread = arg;
    if (!thread->bound || thread->is_deaf)
        return;
    struct evconnlistener *listener = evhttp_bound_socket_get_listener(thread->bound);
    if (may_accept)
        evconnlistener_enable(listener);
    else
        evconnlistener_disable(listener);
}

static void bind_http(struct cm_status_thread *thread)
{
    struct event_base *base = cm_loop_event_base(thread->loop);
    struct evconnlistener *listener = evconnlistener_new(
        base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, thread->socket);
    thread->http = evhttp_new(base);
    if (!thread->http || !listener)
        abort();
    thread->bound = evhttp_bind_listener(thread->http, listener);
    if (!thread->bound)
        abort();
    thread->socket = -1;
    evconnlistener_set_error_cb(listener, on_accept_failed);
    evhttp_set_max_headers_size(thread->http, CM_HEADERS_SIZE_MAX);
    evhttp_set_max_body_size(thread->http, CM_OCSP_REQUEST_SIZE_MAX);
    evhttp_set_allowed_methods(thread->http, EVERY_METHOD); /* others are 501, ours to refuse 405 */
    evhttp_set_gencb(thread->http, cm_serve, thread);
}

cm_status cm_thread_open(struct cm_status_service *service, struct cm_status_thread *thread,
                         int socket, struct cm_error *err)
{
    thread->service = service;
    thread->socket = socket;
    cm_status status = cm_loop_new_for_sockets(&thread->loop, err);
    if (status == CM_OK)
        status = cm_store_reader_open(service->env.store, &thread->reader, err);
    if (status != CM_OK)
        return status;
    thread->recent_texts = cm_recent_new(service->settings->ocsp_answers_max);
    thread->recent_bodies = cm_recent_new(service->settings->ocsp_answers_max);
    thread->body = evbuffer_new();
    if (!thread->body)
        abort();
    bind_http(thread);
    thread->connections = cm_connections_new(
        thread->loop, thread->http,
        &(struct cm_connections_limits){ .deadline_ms = service->settings->deadline_ms,
                                         .connections_max = service->connections_max,
                                         .shared_count = &service->connections_count,
                                         .refused_count = &thread->counters.connections_refused,
                                         .cut_count = &thread->counters.connections_cut,
                                         .on_look = on_look,
                                         .accept = accept_more,
                                         .arg = thread });
    return CM_OK;
}

static void *run(void *arg)
{
    this_thread = arg;
    cm_loop_run(this_thread->loop);
    return NULL;
}

/* Signals are the engine's: none is taken on these threads. */
cm_status cm_thread_start(struct cm_status_thread *thread, struct cm_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread->thread, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "start a thread of the status service");
    pthread_setname_np(thread->thread, "cm-http");
    thread->is_running = true;
    return CM_OK;
}

static void stop_here(void *arg)
{
    struct cm_status_thread *thread = arg;
    evhttp_del_accept_socket(thread->http, thread->bound);
    thread->bound = NULL;
    cm_connections_stop(thread->connections);
}

void cm_thread_stop(struct cm_status_thread *thread)
{
    thread->stop = (struct cm_task){ .run = stop_here, .arg = thread };
    cm_loop_post(thread->loop, &thread->stop);
}

void cm_thread_end(struct cm_status_thread *thread)
{
    if (!thread->is_running)
        return;
    cm_loop_stop(thread->loop);
    pthread_join(thread->thread, NULL);
    thread->is_running = false;
}

void cm_thread_done(struct cm_status_thread *thread)
{
    if (thread->socket >= 0)
        close(thread->socket);
    if (thread->http)
        evhttp_free(thread->http);
    cm_ocsp_free_jobs(thread);
    cm_connections_free(thread->connections);
    for (size_t i = 0; i < sizeof thread->checked / sizeof thread->checked[0]; i++)
        cm_verifier_free(thread->checked[i].verifier);
    if (thread->body)
        evbuffer_free(thread->body);
    cm_recent_free(thread->recent_texts);
    cm_recent_free(thread->recent_bodies);
    if (thread->reader)
        cm_store_reader_close(thread->reader);
    cm_loop_free(thread->loop);
}
