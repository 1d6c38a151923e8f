#include "tests/support/keyvault/keyvault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PAGE_SIZE_MAX = 25 };

/* One line of a list: what it is sorted by, and what it is about. */
struct line {
    const char *identifier;
    const struct kv_key *key;
    const struct kv_version *version;
};

struct lines {
    struct line *list;
    size_t count, capacity;
};

static void add_line(struct lines *lines, struct line line)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? 2 * lines->capacity : 64;
        lines->list = realloc(lines->list, lines->capacity * sizeof *lines->list);
        if (!lines->list)
            abort();
    }
    lines->list[lines->count++] = line;
}

static int compare_lines(const void *left, const void *right)
{
    const struct line *a = left, *b = right;
    return strcasecmp(a->identifier, b->identifier);
}

static int read_page_size(struct kv_exchange *exchange)
{
    const char *text = kv_exchange_parameter(exchange, "maxresults");
    char *end;
    long size = text ? strtol(text, &end, 10) : PAGE_SIZE_MAX;
    if (!text || (end != text && *end == '\0' && size >= 1 && size <= PAGE_SIZE_MAX))
        return (int)size;
    kv_refuse(exchange, 400, "BadParameter", NULL, "maxresults is a number from 1 to 25.");
    return 0;
}

static json_t *next_link(struct kv_exchange *exchange, const char *path, const char *last, int size)
{
    return json_sprintf("https://%s%s?api-version=%s&$skiptoken=%s&maxresults=%d", exchange->host,
                        path, kv_exchange_parameter(exchange, "api-version"), last, size);
}

/* Frees the lines. write: one line's JSON. */
static void answer_page(struct kv_exchange *exchange, struct lines *lines, const char *path,
                        json_t *(*write)(const struct kv_exchange *, const struct line *))
{
    const char *after = kv_exchange_parameter(exchange, "$skiptoken");
    int size = read_page_size(exchange), written = 0;
    json_t *value = json_array(), *next = NULL;
    if (lines->count > 0 && size > 0)
        qsort(lines->list, lines->count, sizeof *lines->list, compare_lines);
    for (size_t i = 0; i < lines->count && size > 0 && !next; i++) {
        const struct line *line = &lines->list[i];
        if (after && strcasecmp(line->identifier, after) <= 0)
            continue;
        if (written++ < size)
            json_array_append_new(value, write(exchange, line));
        else
            next = next_link(exchange, path, lines->list[i - 1].identifier, size);
    }
    free(lines->list);
    json_t *page = json_pack("{soso}", "value", value, "nextLink", next ? next : json_null());
    if (size > 0)
        kv_answer(exchange, 200, page);
    else
        json_decref(page);
}

static json_t *write_key(const struct kv_exchange *exchange, const struct line *line)
{
    return kv_list_item(exchange, line->key, line->version, false);
}

static json_t *write_version(const struct kv_exchange *exchange, const struct line *line)
{
    return kv_list_item(exchange, line->key, line->version, true);
}

static json_t *write_deleted(const struct kv_exchange *exchange, const struct line *line)
{
    return kv_deleted_item(exchange, line->key);
}

static struct lines gather_keys(const struct kv_keys *keys, bool deleted)
{
    struct lines lines = { NULL, 0, 0 };
    for (size_t i = 0; i < KV_BUCKETS; i++)
        for (const struct kv_key *key = keys->buckets[i]; key; key = key->next)
            if ((key->deleted != 0) == deleted)
                add_line(&lines, (struct line){ key->name, key, key->newest });
    return lines;
}

void kv_handle_list(struct kv_exchange *exchange)
{
    struct lines lines = gather_keys(&exchange->emulator->keys, false);
    answer_page(exchange, &lines, "/keys", write_key);
}

void kv_handle_list_deleted(struct kv_exchange *exchange)
{
    struct lines lines = gather_keys(&exchange->emulator->keys, true);
    answer_page(exchange, &lines, "/deletedkeys", write_deleted);
}

void kv_handle_versions(struct kv_exchange *exchange)
{
    struct lines lines = { NULL, 0, 0 };
    char path[160];
    const struct kv_key *key = exchange->key;
    for (const struct kv_version *version = key->newest; version; version = version->next)
        add_line(&lines, (struct line){ version->id, key, version });
    snprintf(path, sizeof path, "/keys/%s/versions", key->name);
    answer_page(exchange, &lines, path, write_version);
}
