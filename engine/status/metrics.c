/*
 * Metrics: every number of the status JSON becomes a sample, named after where it stands; of a list of
 * objects each is told apart by its name. So what somebody adds to the status is a metric at once. All
 * samples of a name stand together, as the text format wants it.
 */
#include "engine/status/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_SIZE = 120, LABEL_SIZE = 300 };

struct sample {
    char name[NAME_SIZE];
    char label[LABEL_SIZE]; /* with its braces; "": none */
    double value;
};

struct samples {
    struct sample *rows;
    size_t count, space;
};

static void add_sample(struct samples *samples, const char *name, const char *label, double value)
{
    if (samples->count == samples->space) {
        samples->space = samples->space ? 2 * samples->space : 64;
        samples->rows = realloc(samples->rows, samples->space * sizeof *samples->rows);
        if (!samples->rows)
            abort();
    }
    struct sample *sample = &samples->rows[samples->count++];
    snprintf(sample->name, sizeof sample->name, "%s", name);
    snprintf(sample->label, sizeof sample->label, "%s", label);
    sample->value = value;
}

static void join_name(const char *prefix, const char *key, char *ret_name)
{
    snprintf(ret_name, NAME_SIZE, "%s_%s", prefix, key);
    for (char *c = ret_name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
            *c = '_';
}

/* Backslashes, quotes and what cannot be seen are left out: names of ours have none. */
static void write_label(const char *key, const char *value, char *ret_label)
{
    size_t size = (size_t)snprintf(ret_label, LABEL_SIZE, "{%s=\"", key);
    for (; *value && size + 3 < LABEL_SIZE; value++)
        if (*value != '\\' && *value != '"' && (unsigned char)*value >= ' ')
            ret_label[size++] = *value;
    memcpy(ret_label + size, "\"}", 3);
}

static void gather(struct samples *samples, const char *name, const char *label,
                   const json_t *value);

static void gather_object(struct samples *samples, const char *name, const char *label,
                          const json_t *object)
{
    const char *key;
    json_t *value;
    char member[NAME_SIZE];
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        join_name(name, key, member);
        gather(samples, member, label, value);
    }
}

static void gather_array(struct samples *samples, const char *name, const json_t *array)
{
    char label[LABEL_SIZE];
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *row = json_array_get(array, i);
        const char *key = json_object_get(row, "name") ? "name" : "path";
        const char *value = json_string_value(json_object_get(row, key));
        if (!value)
            continue;
        write_label(key, value, label);
        gather_object(samples, name, label, row);
    }
    snprintf(label, sizeof label, "%s_count", name);
    add_sample(samples, label, "", (double)json_array_size(array));
}

static void gather(struct samples *samples, const char *name, const char *label,
                   const json_t *value)
{
    if (json_is_object(value))
        gather_object(samples, name, label, value);
    else if (json_is_array(value))
        gather_array(samples, name, value);
    else if (json_is_number(value))
        add_sample(samples, name, label, json_number_value(value));
    else if (json_is_boolean(value))
        add_sample(samples, name, label, json_is_true(value) ? 1 : 0);
}

static int compare_samples(const void *one, const void *other)
{
    const struct sample *a = one, *b = other;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : strcmp(a->label, b->label);
}

static void write_counters(struct evbuffer *text, const json_t *http)
{
#define X(member, name, help)                                                                      \
    evbuffer_add_printf(text,                                                                      \
                        "# HELP certmill_http_" name "_total " help ", since the start.\n"         \
                        "# TYPE certmill_http_" name "_total counter\n"                            \
                        "certmill_http_" name "_total %.17g\n",                                    \
                        json_number_value(json_object_get(http, name)));
    CM_COUNTER_MAP(X)
#undef X
}

static bool is_counter(const char *name)
{
#define X(member, counter, help)                                                                   \
    if (strcmp(name, "certmill_http_" counter) == 0)                                               \
        return true;
    CM_COUNTER_MAP(X)
#undef X
    return false;
}

void cm_metrics_write(struct evbuffer *text, const json_t *status)
{
    struct samples samples = { 0 };
    gather(&samples, "certmill", "", status);
    if (samples.count > 0)
        qsort(samples.rows, samples.count, sizeof *samples.rows, compare_samples);
    for (size_t i = 0; i < samples.count; i++) {
        const struct sample *sample = &samples.rows[i];
        if (!is_counter(sample->name))
            evbuffer_add_printf(text, "%s%s %.17g\n", sample->name, sample->label, sample->value);
    }
    write_counters(text, json_object_get(status, "http"));
    free(samples.rows);
}
