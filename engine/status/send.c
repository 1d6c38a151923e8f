#include "engine/status/internal.h"

#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/status/http_date.h"

/* What caches keep they give on without asking, so a revocation that is published reaches whoever is behind
 * one so much later. A CRL that has not changed costs a 304 then. */
enum { CRL_MAX_AGE_S = 60 };

/* CA certificates do not change. */
enum { CERTIFICATE_MAX_AGE_S = 3600 };

/* As with CRLs, but longer: caches are what spares the responder questions. RFC 9919 bounds it by nextUpdate
 * only, which is hours away. */
enum { ANSWER_MAX_AGE_S = 300 };

static void add(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static bool is_head(const struct evhttp_request *request)
{
    return evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
}

/* The body as it stands in thread->body. HEAD has its size, and nothing more. */
static void send_body(struct cm_status_thread *thread, struct evhttp_request *request, int code)
{
    size_t size = evbuffer_get_length(thread->body);
    if (is_head(request)) {
        char text[24];
        snprintf(text, sizeof text, "%zu", size);
        add(request, "Content-Length", text);
        evbuffer_drain(thread->body, size);
        size = 0;
    }
    if (code >= 400)
        cm_count(&thread->counters.refused);
    cm_connections_answer(thread->connections, request, size);
    evhttp_send_reply(request, code, NULL, thread->body);
}

void cm_send_text(struct cm_status_thread *thread, struct evhttp_request *request, int code,
                  const char *content_type, struct evbuffer *text)
{
    add(request, "Content-Type", content_type);
    add(request, "X-Content-Type-Options", "nosniff");
    add(request, "Cache-Control", "no-store");
    evbuffer_add_buffer(thread->body, text);
    send_body(thread, request, code);
}

void cm_send_error(struct cm_status_thread *thread, struct evhttp_request *request, int code,
                   const char *allow)
{
    const char *text = code == 404   ? "not found\n"
                       : code == 405 ? "method not allowed\n"
                       : code == 414 ? "the path is too long\n"
                       : code == 415 ? "expected Content-Type: application/ocsp-request\n"
                                     : "not available, try again later\n";
    if (allow)
        add(request, "Allow", allow);
    add(request, "Content-Type", "text/plain; charset=utf-8");
    add(request, "Cache-Control", "no-store");
    evbuffer_add(thread->body, text, strlen(text));
    send_body(thread, request, code);
}

/* If-None-Match (RFC 9110, 13.1.2): a list of tags, weak or not, or a star. Octets are found where they
 * stand: a tag of ours is too long to be a part of another. */
static bool has_match(struct evhttp_request *request, const char *etag)
{
    const char *tags =
        evhttp_find_header(evhttp_request_get_input_headers(request), "If-None-Match");
    return tags && (strcmp(tags, "*") == 0 || strstr(tags, etag));
}

static bool send_unmodified(struct cm_status_thread *thread, struct evhttp_request *request,
                            const char *etag)
{
    if (evhttp_request_get_command(request) == EVHTTP_REQ_POST || !has_match(request, etag))
        return false;
    cm_count(&thread->counters.unmodified);
    cm_connections_answer(thread->connections, request, 0);
    evhttp_send_reply(request, 304, NULL, NULL);
    return true;
}

/* Nothing past the end. */
static int64_t document_max_age_s(const struct cm_document *document, int64_t now_s)
{
    int64_t rest_s = document->expires_s - now_s;
    if (document->expires_s == 0)
        return CERTIFICATE_MAX_AGE_S;
    if (rest_s > CRL_MAX_AGE_S)
        return CRL_MAX_AGE_S;
    return rest_s > 0 ? rest_s : 0;
}

static void let_document_go(const void *data, size_t size, void *document)
{
    (void)data;
    (void)size;
    cm_document_let_go(document);
}

void cm_send_document(struct cm_status_thread *thread, struct evhttp_request *request,
                      struct cm_document *document)
{
    char text[CM_HTTP_DATE_SIZE + 32];
    snprintf(text, sizeof text, "public, max-age=%lld",
             (long long)document_max_age_s(document, cm_clock_wall_s()));
    add(request, "Cache-Control", text);
    add(request, "ETag", document->etag);
    cm_http_date(document->modified_s, text);
    add(request, "Last-Modified", text);
    if (document->expires_s > 0) {
        cm_http_date(document->expires_s, text);
        add(request, "Expires", text);
    }
    if (send_unmodified(thread, request, document->etag)) {
        cm_document_let_go(document);
        return;
    }
    add(request, "Content-Type", document->content_type);
    cm_count(&thread->counters.documents);
    /* Not copied, however large: the connection is a holder until the last octet has been taken. */
    if (evbuffer_add_reference(thread->body, document->content.data, document->content.size,
                               let_document_go, document)
        != 0)
        abort();
    send_body(thread, request, 200);
}

/* Not beyond the time of the next one; near the end, half of what is left; without a clock, nothing. */
static int64_t answer_max_age_s(const struct cm_ocsp_answer *answer, int64_t now_s)
{
    if (now_s < 0)
        return 0;
    int64_t rest_s = cm_ocsp_answer_is_old(answer, now_s)
                         ? (answer->next_update_s - now_s) / 2
                         : (answer->this_update_s + answer->next_update_s) / 2 - now_s;
    if (rest_s > ANSWER_MAX_AGE_S)
        return ANSWER_MAX_AGE_S;
    return rest_s > 0 ? rest_s : 0;
}

void cm_send_answer(struct cm_status_thread *thread, struct evhttp_request *request,
                    struct cm_ocsp_answer *answer, int64_t now_s)
{
    char text[80];
    snprintf(text, sizeof text, "max-age=%lld, public, no-transform, must-revalidate",
             (long long)answer_max_age_s(answer, now_s));
    add(request, "Cache-Control", text);
    add(request, "ETag", answer->etag);
    add(request, "Last-Modified", answer->modified);
    add(request, "Expires", answer->expires);
    if (send_unmodified(thread, request, answer->etag))
        return;
    add(request, "Content-Type", "application/ocsp-response");
    evbuffer_add(thread->body, answer->der, answer->size);
    send_body(thread, request, 200);
}

void cm_send_response(struct cm_status_thread *thread, struct evhttp_request *request,
                      struct cm_bytes der)
{
    add(request, "Content-Type", "application/ocsp-response");
    add(request, "Cache-Control", "no-store");
    evbuffer_add(thread->body, der.data, der.size);
    send_body(thread, request, 200);
}
