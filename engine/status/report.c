/*
 * Report: the engine's numbers are its loop's, so they are fetched there, as one JSON text that all threads
 * share. It is made anew when it is a quarter of a second old and somebody asks: however many do, the
 * loop makes four a second.
 */
#include "engine/status/internal.h"

#include <stdlib.h>

#include "engine/base/clock.h"

enum { REPORT_AGE_MS = 250, DOCUMENTS_MAX = 1000 };

static uint64_t clock_ms(void)
{
    return cm_clock_monotonic_ns() / CM_NS_PER_MS;
}

/* --- the text ------------------------------------------------------------------------------------ */

static struct cm_report *take(struct cm_reports *reports, uint64_t age_max_ms)
{
    uint64_t now_ms = clock_ms();
    pthread_mutex_lock(&reports->mutex); /* { */
    struct cm_report *report = reports->latest;
    if (report && now_ms - report->made_ms > age_max_ms)
        report = NULL;
    if (report)
        atomic_fetch_add(&report->holders_count, 1);
    pthread_mutex_unlock(&reports->mutex); /* } */
    return report;
}

static void put(struct cm_reports *reports, char *text)
{
    struct cm_report *report = calloc(1, sizeof *report);
    if (!report)
        abort();
    atomic_init(&report->holders_count, 1);
    report->made_ms = clock_ms();
    report->text = text;
    pthread_mutex_lock(&reports->mutex); /* { */
    struct cm_report *before = reports->latest;
    reports->latest = report;
    pthread_mutex_unlock(&reports->mutex); /* } */
    cm_report_let_go(before);
}

void cm_report_let_go(struct cm_report *report)
{
    if (!report || atomic_fetch_sub(&report->holders_count, 1) > 1)
        return;
    free(report->text);
    free(report);
}

/* What is on the shelf: each document, up to so many, and all of them by issuer. */
struct shelf_rows {
    json_t *documents, *issuers;
};

static void add_to(json_t *row, const char *key, size_t value)
{
    json_t *member = json_object_get(row, key);
    json_integer_set(member, json_integer_value(member) + (json_int_t)value);
}

/* "/crl/issuing-1/0.crl" and "/ca/issuing-1.cer" are of issuing-1. */
static json_t *row_of_issuer(json_t *rows, const char *path)
{
    const char *name = strchr(path + 1, '/');
    size_t i, size;
    json_t *row;
    if (!name++)
        return NULL;
    const char *end = strchr(name, '/');
    if (!end)
        end = strrchr(name, '.');
    size = end ? (size_t)(end - name) : strlen(name);
    json_array_foreach(rows, i, row)
    {
        json_t *known = json_object_get(row, "name");
        if (json_string_length(known) == size && memcmp(json_string_value(known), name, size) == 0)
            return row;
    }
    row = json_pack("{s:s%, s:i, s:i, s:i}", "name", name, size, "documents", 0, "octets", 0,
                    "expires_s", 0);
    json_array_append_new(rows, row);
    return row;
}

static void count_document(json_t *row, const struct cm_document *document)
{
    json_t *expires = json_object_get(row, "expires_s");
    json_int_t first_s = json_integer_value(expires);
    add_to(row, "documents", 1);
    add_to(row, "octets", document->content.size);
    if (document->expires_s > 0 && (first_s == 0 || document->expires_s < first_s))
        json_integer_set(expires, document->expires_s);
}

static void add_document(const char *path, const struct cm_document *document, void *arg)
{
    const struct shelf_rows *rows = arg;
    json_t *issuer = row_of_issuer(rows->issuers, path);
    if (issuer)
        count_document(issuer, document);
    if (json_array_size(rows->documents) >= DOCUMENTS_MAX)
        return;
    json_array_append_new(rows->documents, json_pack("{s:s, s:I, s:I, s:I}", "path", path, "size",
                                                     (json_int_t)document->content.size,
                                                     "modified_s", (json_int_t)document->modified_s,
                                                     "expires_s", (json_int_t)document->expires_s));
}

static json_t *describe_http(struct cm_status_service *service)
{
    json_t *http = json_object();
#define X(member, name, help)                                                                      \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        for (uint32_t i = 0; i < service->threads_count; i++)                                      \
            sum +=                                                                                 \
                atomic_load_explicit(&service->threads[i].counters.member, memory_order_relaxed);  \
        json_object_set_new(http, name, json_integer((json_int_t)sum));                            \
    }
    CM_COUNTER_MAP(X)
#undef X
    json_object_set_new(http, "connections",
                        json_integer(atomic_load(&service->connections_count)));
    json_object_set_new(http, "in_flight", json_integer(atomic_load(&service->errands_count)));
    json_object_set_new(http, "ocsp_kept", json_integer(cm_answers_count(service->answers)));
    return http;
}

static void renew(struct cm_status_service *service)
{
    struct cm_report *young = take(&service->reports, REPORT_AGE_MS);
    if (young) {
        cm_report_let_go(young);
        return;
    }
    json_t *status = json_object();
    struct shelf_rows rows = { json_array(), json_array() };
    service->env.fill_status(status, service->env.arg);
    cm_shelf_walk(service->env.shelf, add_document, &rows);
    json_object_set_new(status, "published", rows.issuers);
    json_object_set_new(status, "documents", rows.documents);
    json_object_set_new(status, "http", describe_http(service));
    json_object_set_new(status, "time_s", json_integer((json_int_t)cm_clock_wall_s()));
    char *text = json_dumps(status, JSON_COMPACT);
    json_decref(status);
    if (!text)
        abort();
    put(&service->reports, text);
}

/* --- whoever asks for it ------------------------------------------------------------------------- */

struct asker {
    struct cm_errand errand; /* first */
    struct evhttp_request *request;
    enum cm_target_kind kind;
};

static void write_page(enum cm_target_kind kind, const json_t *status, struct evbuffer *text,
                       int *ret_code, const char **ret_type)
{
    *ret_code = 200;
    *ret_type = "text/plain; charset=utf-8";
    if (kind == CM_TARGET_METRICS) {
        *ret_type = "text/plain; version=0.0.4; charset=utf-8";
        cm_metrics_write(text, status);
    } else if (kind == CM_TARGET_PAGE) {
        *ret_type = "text/html; charset=utf-8";
        cm_page_write(text, status);
    } else
        *ret_code = cm_ready_write(text, status) ? 200 : 503;
}

static void send_report(struct cm_status_thread *thread, struct evhttp_request *request,
                        enum cm_target_kind kind, struct cm_report *report)
{
    struct evbuffer *text = evbuffer_new();
    const char *type = "application/json";
    int code = 200;
    if (!text)
        abort();
    if (kind == CM_TARGET_STATUS)
        evbuffer_add_printf(text, "%s\n", report->text);
    else {
        json_t *status = json_loads(report->text, 0, NULL);
        write_page(kind, status, text, &code, &type);
        json_decref(status);
    }
    if (kind == CM_TARGET_PAGE)
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Security-Policy",
                          "default-src 'none'; style-src 'unsafe-inline'");
    cm_send_text(thread, request, code, type, text);
    evbuffer_free(text);
    cm_report_let_go(report);
}

static void on_loop(struct cm_errand *errand)
{
    renew(errand->thread->service);
    cm_errand_return(errand);
}

static void on_back(struct cm_errand *errand)
{
    struct asker *asker = (struct asker *)errand;
    struct cm_report *report = take(&errand->thread->service->reports, UINT64_MAX);
    if (report)
        send_report(errand->thread, asker->request, asker->kind, report);
    else
        cm_send_error(errand->thread, asker->request, 503, NULL);
    free(asker);
}

void cm_report_serve(struct cm_status_thread *thread, struct evhttp_request *request,
                     enum cm_target_kind kind)
{
    struct cm_report *report = take(&thread->service->reports, REPORT_AGE_MS);
    if (report) {
        send_report(thread, request, kind, report);
        return;
    }
    struct asker *asker = calloc(1, sizeof *asker);
    if (!asker)
        abort();
    asker->errand = (struct cm_errand){ .take = on_loop, .back = on_back, .thread = thread };
    asker->request = request;
    asker->kind = kind;
    if (!cm_errand_send(&asker->errand)) {
        free(asker);
        cm_send_error(thread, request, 503, NULL);
    }
}
