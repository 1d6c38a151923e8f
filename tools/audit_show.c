/* certmill audit show, audit export: rows of the audit log, for people and for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/audit_text.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/serial.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ which rows -- */

/* NULL, 0: whatever it is. */
struct filter {
    int64_t since_ms, until_ms;
    const char *kind, *actor, *device;
    struct cm_serial_content serial;
    char serial_text[CM_SERIAL_TEXT_SIZE];
    int64_t *rows; /* of the certificates of the device or serial, ascending */
    size_t rows_count, rows_space;
};

static void add_row(struct filter *filter, int64_t row)
{
    if (filter->rows_count == filter->rows_space) {
        filter->rows_space = filter->rows_space ? 2 * filter->rows_space : 64;
        filter->rows = realloc(filter->rows, filter->rows_space * sizeof *filter->rows);
        if (!filter->rows)
            abort();
    }
    filter->rows[filter->rows_count++] = row;
}

static bool add_certificate(const struct cm_certificate_found *certificate, void *arg)
{
    add_row(arg, certificate->audit);
    return true;
}

static int by_value(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static cm_status find_rows(struct filter *filter, struct cm_deployment *deployment,
                           struct cm_error *err)
{
    struct cm_device device = { .number = 0 };
    struct cm_certificate_found found = { .number = 0 };
    struct cm_serial serial;
    cm_status status = CM_OK;
    if (filter->device)
        status = cm_store_find_device(deployment->reader, cm_bytes_str(filter->device),
                                      &deployment->arena, &device, err);
    if (status == CM_OK && device.number > 0)
        status = cm_store_walk_device_certificates(deployment->reader, device.number,
                                                   add_certificate, filter, err);
    if (status == CM_OK && filter->serial.size > 0
        && cm_serial_from_content(cm_serial_bytes(&filter->serial), &serial))
        status = cm_store_find_certificate(deployment->reader, cm_serial_number(&serial),
                                           &deployment->arena, &found, err);
    if (found.number > 0)
        add_row(filter, found.audit);
    if (filter->rows_count > 0)
        qsort(filter->rows, filter->rows_count, sizeof *filter->rows, by_value);
    return status;
}

static cm_status read_time(const struct cm_call *call, const char *option, int64_t *ret_ms,
                           struct cm_error *err)
{
    const char *text = cm_call_value(call, option);
    int64_t time_s = 0;
    if (text && !cm_time_read(text, &time_s))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "--%s: \"%.60s\" is no time", option,
                       text);
    *ret_ms = time_s * 1000;
    return CM_OK;
}

static cm_status read_filter(const struct cm_call *call, struct filter *filter,
                             struct cm_error *err)
{
    const char *serial = cm_call_value(call, "serial");
    *filter = (struct filter){ .kind = cm_call_value(call, "kind"),
                               .actor = cm_call_value(call, "operator"),
                               .device = cm_call_value(call, "device") };
    cm_status status = read_time(call, "since", &filter->since_ms, err);
    if (status == CM_OK)
        status = read_time(call, "until", &filter->until_ms, err);
    if (status == CM_OK && serial && !cm_serial_read(serial, &filter->serial))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "--serial: \"%.60s\" is no serial number", serial);
    if (status == CM_OK && serial)
        cm_serial_write(cm_serial_bytes(&filter->serial), filter->serial_text);
    return status;
}

static bool says(const json_t *detail, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(detail, name));
    return text && strcmp(text, value) == 0;
}

/* "ann" is "operator:ann", too. */
static bool is_actor(struct cm_bytes actor, const char *name)
{
    static const char prefix[] = "operator:";
    return cm_bytes_is(actor, name)
           || (actor.size > sizeof prefix - 1 && memcmp(actor.data, prefix, sizeof prefix - 1) == 0
               && cm_bytes_is(cm_bytes_from(actor, sizeof prefix - 1), name));
}

/* Its certificates are theirs, or it names one of them. */
static bool is_about(const struct filter *filter, const struct cm_audit_row *row)
{
    if (!filter->device && filter->serial.size == 0)
        return true;
    if (filter->rows_count > 0
        && bsearch(&row->number, filter->rows, filter->rows_count, sizeof row->number, by_value))
        return true;
    json_t *detail = json_loadb((const char *)row->detail.data, row->detail.size, 0, NULL);
    const char *serial = json_string_value(json_object_get(detail, "serial"));
    struct cm_serial_content content;
    bool is_it = filter->device && says(detail, "device", filter->device);
    if (serial && filter->serial.size > 0 && cm_serial_read(serial, &content))
        is_it |= cm_bytes_equal(cm_serial_bytes(&content), cm_serial_bytes(&filter->serial));
    json_decref(detail);
    return is_it;
}

static bool passes(const struct filter *filter, const struct cm_audit_row *row)
{
    return row->time_ms >= filter->since_ms
           && (filter->until_ms == 0 || row->time_ms < filter->until_ms)
           && (!filter->kind || strcmp(row->kind, filter->kind) == 0)
           && (!filter->actor || is_actor(row->actor, filter->actor)) && is_about(filter, row);
}

/* ------------------------------------------------------------------ showing them -- */

/* The last so many, in a ring. */
struct shown {
    const struct filter *filter;
    json_t **rows;
    size_t limit, count; /* count: of all that have passed */
};

static bool keep(const struct cm_audit_row *row, void *arg)
{
    struct shown *shown = arg;
    if (!passes(shown->filter, row))
        return true;
    json_t **place = &shown->rows[shown->count % shown->limit];
    json_decref(*place);
    *place = cm_audit_row_to_json(row);
    shown->count++;
    return true;
}

static json_t *nth(const struct shown *shown, size_t i)
{
    size_t first = shown->count > shown->limit ? shown->count - shown->limit : 0;
    return first + i < shown->count ? shown->rows[(first + i) % shown->limit] : NULL;
}

static void print_rows(const struct shown *shown, bool as_json)
{
    json_t *rows = json_array(), *row;
    for (size_t i = 0; (row = nth(shown, i)); i++) {
        if (as_json) {
            json_array_append(rows, row);
            continue;
        }
        char *detail = json_dumps(json_object_get(row, "detail"), JSON_COMPACT | JSON_ENCODE_ANY);
        printf("%-8lld %s  %-16s %-20s %s\n", json_integer_value(json_object_get(row, "number")),
               json_string_value(json_object_get(row, "time")),
               json_string_value(json_object_get(row, "kind")),
               json_string_value(json_object_get(row, "actor")), detail ? detail : "");
        free(detail);
    }
    if (as_json) {
        json_t *object = json_pack("{s:O}", "rows", rows);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    }
    json_decref(rows);
}

static cm_status show(const struct cm_call *call, struct cm_deployment *deployment,
                      struct filter *filter, struct cm_error *err)
{
    struct shown shown = { .filter = filter, .limit = cm_call_number(call, "limit") };
    cm_status status = find_rows(filter, deployment, err);
    shown.rows = calloc(shown.limit, sizeof *shown.rows);
    if (!shown.rows)
        abort();
    if (status == CM_OK)
        status = cm_store_walk_audit(deployment->reader, 1, keep, &shown, err);
    if (status == CM_OK)
        print_rows(&shown, cm_call_flag(call, "json"));
    for (size_t i = 0; i < shown.limit; i++)
        json_decref(shown.rows[i]);
    free(shown.rows);
    return status;
}

static int run_show(const struct cm_call *call)
{
    struct cm_deployment deployment = { .settings = NULL };
    struct filter filter = { .kind = NULL };
    struct cm_error err;
    cm_status status = read_filter(call, &filter, &err);
    if (status != CM_OK)
        return cm_usage_fail("%s", err.text);
    status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = show(call, &deployment, &filter, &err);
    cm_deployment_close(&deployment);
    free(filter.rows);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* ------------------------------------------------------------------ exporting them -- */

static bool export_row(const struct cm_audit_row *row, void *arg)
{
    json_t *object = cm_audit_row_to_json(row);
    (void)arg;
    json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
    return putchar('\n') != EOF;
}

static cm_status export_rows(const struct cm_call *call, struct cm_deployment *deployment,
                             struct cm_error *err)
{
    int64_t from = (int64_t)cm_call_number(call, "from");
    cm_status status = cm_store_walk_audit(deployment->reader, from, export_row, NULL, err);
    if (status == CM_OK && fflush(stdout) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "standard output cannot be written");
    return status;
}

static int run_export(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, export_rows);
}

static const char *const show_paragraphs[] = {
    "Shows rows of the audit log: number, time (UTC), kind, who, and what. Options narrow it down; all that are given "
    "must hold. With `--device` or `--serial` these are the rows whose batches have certificates of it, and those "
    "that name it.",
    "Kinds are, among others, `issue` (a batch), `abandon`, `revoke`, `quarantine`, `reinstate`, `retire`, "
    "`device-import`, `ca-create`, `ca-import`, `ocsp-responder`, `engine-start`, `settings`, `key-open`, "
    "`engine-stop`.",
    NULL
};
static const struct cm_option show_options[] = {
    CM_OPTION_CONFIG,
    { .name = "since",
      .type = CM_OPTION_TEXT,
      .argument = "TIME",
      .help = "From then on: `2026-01-31`, `2026-01-31T12:00:00Z`, or Unix seconds." },
    { .name = "until", .type = CM_OPTION_TEXT, .argument = "TIME", .help = "Before then." },
    { .name = "kind", .type = CM_OPTION_TEXT, .argument = "KIND", .help = "Of this kind." },
    { .name = "device", .type = CM_OPTION_TEXT, .argument = "ID", .help = "About this device." },
    { .name = "serial",
      .type = CM_OPTION_TEXT,
      .argument = "HEX",
      .help = "About the certificate with this serial number." },
    { .name = "operator",
      .type = CM_OPTION_TEXT,
      .argument = "NAME",
      .help = "By this operator, requester, or `engine`." },
    { .name = "limit",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "100",
      .min = 1,
      .max = 1000000,
      .help = "The last so many." },
    CM_OPTION_JSON,
};
static const struct cm_example show_examples[] = {
    { "certmill audit show --kind revoke --since 2026-01-31", "What was revoked since then." },
    { "certmill audit show --device pump-0001", "All that is about this device." },
};

const struct cm_command cm_command_audit_show = {
    .name = "audit show",
    .operands = "",
    .summary = "show what was decided, when, and by whom",
    .paragraphs = show_paragraphs,
    .options = show_options,
    .options_count = COUNT(show_options),
    .examples = show_examples,
    .examples_count = COUNT(show_examples),
    .run = run_show,
};

static const char *const export_paragraphs[] = {
    "Writes the rows of the audit log to standard output, one JSON object a line, in their order, with digests and "
    "hashes: for a log server, or for a check by other software.",
    NULL
};
static const struct cm_option export_options[] = {
    CM_OPTION_CONFIG,
    { .name = "from",
      .type = CM_OPTION_NUMBER,
      .argument = "N",
      .standard = "1",
      .min = 1,
      .max = INT64_MAX,
      .help = "From this row on: the one after the last that was exported before." },
};
static const struct cm_example export_examples[] = {
    { "certmill audit export --from 1235 >> audit.jsonl", "What has come since row 1234." },
};

const struct cm_command cm_command_audit_export = {
    .name = "audit export",
    .operands = "",
    .summary = "write the rows of the audit log as lines of JSON",
    .paragraphs = export_paragraphs,
    .options = export_options,
    .options_count = COUNT(export_options),
    .examples = export_examples,
    .examples_count = COUNT(export_examples),
    .run = run_export,
};
