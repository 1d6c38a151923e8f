#include "engine/status/internal.h"

#define READ_METHODS (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD)

static void serve_document(struct cm_status_thread *thread, struct evhttp_request *request,
                           struct cm_bytes path)
{
    struct cm_document *document = cm_shelf_take(thread->service->env.shelf, path);
    if (document)
        cm_send_document(thread, request, document);
    else
        cm_send_error(thread, request, 404, NULL);
}

static void serve_health(struct cm_status_thread *thread, struct evhttp_request *request)
{
    struct evbuffer *text = evbuffer_new();
    evbuffer_add_printf(text, "alive\n");
    cm_send_text(thread, request, 200, "text/plain; charset=utf-8", text);
    evbuffer_free(text);
}

static void serve_target(struct cm_status_thread *thread, struct evhttp_request *request,
                         const struct cm_target *target)
{
    switch (target->kind) {
    case CM_TARGET_NONE:
        cm_send_error(thread, request, 404, NULL);
        return;
    case CM_TARGET_TOO_LONG:
        cm_send_error(thread, request, 414, NULL);
        return;
    case CM_TARGET_OCSP:
        cm_ocsp_serve(thread, request, target);
        return;
    case CM_TARGET_DOCUMENT:
        serve_document(thread, request, target->path);
        return;
    case CM_TARGET_HEALTH:
        serve_health(thread, request);
        return;
    case CM_TARGET_METRICS:
    case CM_TARGET_READY:
    case CM_TARGET_STATUS:
    case CM_TARGET_PAGE:
        cm_report_serve(thread, request, target->kind);
        return;
    }
}

/* What is not there is 404 whoever asks how; what is too long is not looked at. */
static bool is_allowed(const struct cm_target *target, enum evhttp_cmd_type method,
                       const char **ret_allow)
{
    bool takes_post = target->kind == CM_TARGET_OCSP;
    if (target->kind == CM_TARGET_NONE || target->kind == CM_TARGET_TOO_LONG
        || (method & READ_METHODS))
        return true;
    *ret_allow = takes_post ? "GET, HEAD, POST" : "GET, HEAD";
    return takes_post && method == EVHTTP_REQ_POST;
}

void cm_serve(struct evhttp_request *request, void *arg)
{
    struct cm_status_thread *thread = arg;
    const char *allow = NULL;
    struct cm_target target = cm_target_read(cm_bytes_str(evhttp_request_get_uri(request)));
    cm_connections_begin(thread->connections, request);
    cm_count(&thread->counters.requests);
    if (is_allowed(&target, evhttp_request_get_command(request), &allow))
        serve_target(thread, request, &target);
    else
        cm_send_error(thread, request, 405, allow);
}
