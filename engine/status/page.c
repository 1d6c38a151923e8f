/* The page for people: one HTML document, nothing loaded from anywhere. */
#include "engine/status/internal.h"

#include "engine/status/http_date.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"refresh\" content=\"15\">\n<title>certmill</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8884;--soft:#8882}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\n"
    ".state{display:inline-block;padding:.1rem .7rem;border-radius:1rem;color:#fff;"
    "font-weight:600;margin-left:.6rem;font-size:1rem;vertical-align:middle}\n"
    ".ready{background:#1a7f37}.not{background:#b42318}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line)}\n"
    "th{font-weight:600}\n"
    "td.n,th.n{text-align:right;padding-right:1.6rem;font-variant-numeric:tabular-nums}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.5rem;margin:0}\n"
    "dl div{background:var(--soft);border-radius:.4rem;padding:.4rem .7rem}\n"
    "dt{font-size:.85rem;opacity:.75}dd{margin:0;font-size:1.15rem;"
    "font-variant-numeric:tabular-nums}\n"
    "pre{background:var(--soft);border-radius:.4rem;padding:.6rem .8rem;white-space:pre-wrap}\n"
    ".wide{overflow-x:auto}.late{color:#b42318;font-weight:600}\n"
    "footer{margin:2rem 0;opacity:.75;font-size:.9rem}\n"
    "</style>\n</head>\n<body>\n";

static void write_escaped(struct evbuffer *text, const char *words)
{
    for (; *words; words++) {
        if (*words == '<')
            evbuffer_add_printf(text, "&lt;");
        else if (*words == '>')
            evbuffer_add_printf(text, "&gt;");
        else if (*words == '&')
            evbuffer_add_printf(text, "&amp;");
        else if (*words == '"')
            evbuffer_add_printf(text, "&quot;");
        else
            evbuffer_add(text, words, 1);
    }
}

/* "in_flight": "in flight"; times are told as what is left until then. */
static void write_key(struct evbuffer *text, const char *key)
{
    if (strcmp(key, "next_expiry") == 0 || strcmp(key, "expires_s") == 0
        || strcmp(key, "window_end_s") == 0 || strcmp(key, "sending_end_s") == 0)
        key = "next update in";
    else if (strcmp(key, "seconds") == 0)
        key = "for";
    for (; *key; key++)
        if (*key == '_')
            evbuffer_add_printf(text, " ");
        else
            write_escaped(text, (const char[]){ *key, '\0' });
}

static void write_value(struct evbuffer *text, const json_t *value)
{
    if (json_is_string(value))
        write_escaped(text, json_string_value(value));
    else if (json_is_boolean(value))
        evbuffer_add_printf(text, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_integer(value))
        evbuffer_add_printf(text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        evbuffer_add_printf(text, "%.3g", json_real_value(value));
}

static void write_span(struct evbuffer *text, json_int_t seconds)
{
    if (seconds >= 2 * 86400)
        evbuffer_add_printf(text, "%lld d", (long long)seconds / 86400);
    else if (seconds >= 2 * 3600)
        evbuffer_add_printf(text, "%lld h", (long long)seconds / 3600);
    else if (seconds >= 120)
        evbuffer_add_printf(text, "%lld min", (long long)seconds / 60);
    else
        evbuffer_add_printf(text, "%lld s", (long long)(seconds > 0 ? seconds : 0));
}

/* How long until then; a dash for never. */
static void write_until(struct evbuffer *text, json_int_t then_s, json_int_t now_s)
{
    if (then_s == 0)
        evbuffer_add_printf(text, "&ndash;");
    else if (then_s <= now_s)
        evbuffer_add_printf(text, "<span class=\"late\">overdue</span>");
    else
        write_span(text, then_s - now_s);
}

/* Times and spans as people read them. */
static void write_cell(struct evbuffer *text, const char *key, const json_t *value,
                       json_int_t now_s)
{
    if (strcmp(key, "next_expiry") == 0 || strcmp(key, "expires_s") == 0
        || strcmp(key, "window_end_s") == 0 || strcmp(key, "sending_end_s") == 0)
        write_until(text, json_integer_value(value), now_s);
    else if (strcmp(key, "seconds") == 0)
        write_span(text, json_integer_value(value));
    else
        write_value(text, value);
}

static bool is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_boolean(value) || json_is_number(value);
}

/* --- parts --------------------------------------------------------------------------------------- */

static void write_state(struct evbuffer *text, const json_t *status)
{
    struct evbuffer *reasons = evbuffer_new();
    bool is_ready = cm_ready_write(reasons, status);
    size_t size = evbuffer_get_length(reasons);
    evbuffer_add_printf(text, "<h1>certmill<span class=\"state %s\">%s</span></h1>\n",
                        is_ready ? "ready" : "not", is_ready ? "ready" : "not ready");
    evbuffer_add(reasons, "", 1);
    if (!is_ready && size > strlen("not ready\n")) {
        evbuffer_add_printf(text, "<pre>");
        write_escaped(text, (const char *)evbuffer_pullup(reasons, -1) + strlen("not ready\n"));
        evbuffer_add_printf(text, "</pre>\n");
    }
    evbuffer_free(reasons);
}

static void write_scalars(struct evbuffer *text, const char *title, const json_t *object,
                          json_int_t now_s)
{
    const char *key;
    json_t *value;
    evbuffer_add_printf(text, "<h2>");
    write_key(text, title);
    evbuffer_add_printf(text, "</h2>\n<dl>\n");
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!is_scalar(value) || strcmp(key, "ready") == 0 || strcmp(key, "time_s") == 0)
            continue;
        evbuffer_add_printf(text, "<div><dt>");
        write_key(text, key);
        evbuffer_add_printf(text, "</dt><dd>");
        write_cell(text, key, value, now_s);
        evbuffer_add_printf(text, "</dd></div>\n");
    }
    evbuffer_add_printf(text, "</dl>\n");
}

static void write_head_row(struct evbuffer *text, const json_t *row)
{
    const char *key;
    json_t *value;
    evbuffer_add_printf(text, "<tr>");
    json_object_foreach((json_t *)(uintptr_t)row, key, value)
    {
        if (!is_scalar(value))
            continue;
        evbuffer_add_printf(text, "<th%s>", json_is_number(value) ? " class=\"n\"" : "");
        write_key(text, key);
        evbuffer_add_printf(text, "</th>");
    }
    evbuffer_add_printf(text, "</tr>\n");
}

/* The cells under the first row's keys, so that a row that lacks one does not shift the others. */
static void write_row(struct evbuffer *text, const json_t *first, const json_t *row,
                      json_int_t now_s)
{
    const char *key;
    json_t *value;
    evbuffer_add_printf(text, "<tr>");
    json_object_foreach((json_t *)(uintptr_t)first, key, value)
    {
        const json_t *cell = json_object_get(row, key);
        if (!is_scalar(value))
            continue;
        evbuffer_add_printf(text, "<td%s>", json_is_number(cell) ? " class=\"n\"" : "");
        write_cell(text, key, cell, now_s);
        evbuffer_add_printf(text, "</td>");
    }
    evbuffer_add_printf(text, "</tr>\n");
}

static void write_table(struct evbuffer *text, const char *title, const json_t *rows,
                        json_int_t now_s)
{
    if (!json_is_object(json_array_get(rows, 0)))
        return;
    evbuffer_add_printf(text, "<h2>");
    write_key(text, title);
    evbuffer_add_printf(text, "</h2>\n<div class=\"wide\"><table>\n");
    write_head_row(text, json_array_get(rows, 0));
    for (size_t i = 0; i < json_array_size(rows); i++)
        write_row(text, json_array_get(rows, 0), json_array_get(rows, i), now_s);
    evbuffer_add_printf(text, "</table></div>\n");
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void write_document(struct evbuffer *text, const json_t *document, json_int_t now_s)
{
    const char *path = json_string_value(json_object_get(document, "path"));
    json_int_t expires_s = number_of(document, "expires_s");
    if (!path)
        return;
    evbuffer_add_printf(text, "<tr><td><a href=\"");
    write_escaped(text, path);
    evbuffer_add_printf(text, "\">");
    write_escaped(text, path);
    evbuffer_add_printf(text, "</a></td><td class=\"n\">%lld</td><td class=\"n\">",
                        (long long)number_of(document, "size"));
    write_span(text, now_s - number_of(document, "modified_s"));
    evbuffer_add_printf(text, "</td><td class=\"n\">");
    write_until(text, expires_s, now_s);
    evbuffer_add_printf(text, "</td></tr>\n");
}

static void write_documents(struct evbuffer *text, const json_t *documents, json_int_t now_s)
{
    evbuffer_add_printf(text, "<h2>documents</h2>\n<div class=\"wide\"><table>\n"
                              "<tr><th>path</th><th class=\"n\">octets</th>"
                              "<th class=\"n\">age</th><th class=\"n\">next update in</th></tr>\n");
    for (size_t i = 0; i < json_array_size(documents); i++)
        write_document(text, json_array_get(documents, i), now_s);
    evbuffer_add_printf(text, "</table></div>\n");
}

void cm_page_write(struct evbuffer *text, const json_t *status)
{
    const json_int_t now_s = number_of(status, "time_s");
    char date[CM_HTTP_DATE_SIZE];
    const char *key;
    json_t *value;
    cm_http_date(now_s, date);
    evbuffer_add(text, head, sizeof head - 1);
    write_state(text, status);
    write_scalars(text, "engine", status, now_s);
    json_object_foreach((json_t *)(uintptr_t)status, key, value)
    {
        if (strcmp(key, "documents") == 0)
            write_documents(text, value, now_s);
        else if (json_is_array(value))
            write_table(text, key, value, now_s);
        else if (json_is_object(value))
            write_scalars(text, key, value, now_s);
    }
    evbuffer_add_printf(text,
                        "<footer>as of %s &middot; <a href=\"/api/v1/status\">JSON</a> &middot; "
                        "<a href=\"/metrics\">metrics</a> &middot; <a href=\"/readyz\">readyz</a>"
                        "</footer>\n</body>\n</html>\n",
                        date);
}
