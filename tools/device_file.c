#include "tools/device_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "engine/base/nearest.h"
#include "engine/store/device.h"

#define COLUMNS_MAX CM_DEVICE_ATTRIBUTES_MAX
#define NO_COLUMN   SIZE_MAX

/* A file being read. */
struct reading {
    const char *path;
    uint32_t line;
    const struct cm_settings *settings;
    const char *default_group;
    struct cm_arena *arena;
    struct cm_device_file *file;
    struct cm_error *err;
    /* CSV */
    const char *columns[COLUMNS_MAX];
    size_t columns_count;
    size_t device_column, group_column;
};

static cm_status fail(struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static cm_status fail(struct reading *reading, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return CM_FAIL(reading->err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s:%u: %s", reading->path,
                   reading->line, text);
}

/* ------------------------------------------------------------------------------ groups -- */

static const char *printable(const char *text, char *space)
{
    return cm_bytes_printable(cm_bytes_str(text), space, 64);
}

static cm_status check_group(struct reading *reading, const char *group)
{
    const struct cm_settings *settings = reading->settings;
    char shown[64];
    const char *names[1000];
    if (!group)
        return fail(reading, "the group is missing; name it here or with --group");
    if (cm_settings_group(settings, cm_bytes_str(group)))
        return CM_OK;
    for (uint32_t i = 0; i < settings->groups_count && i < 1000; i++)
        names[i] = settings->groups[i].name;
    const char *meant = cm_nearest(group, names, settings->groups_count);
    return fail(reading, "\"%s\" is not a group of the settings%s%s%s", printable(group, shown),
                meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
}

/* ------------------------------------------------------------------------------------- rows -- */

static cm_status reserve_row(struct reading *reading)
{
    struct cm_device_file *file = reading->file;
    if (file->count < file->space)
        return CM_OK;
    uint32_t space = file->space ? file->space * 2 : 1024;
    struct cm_device_row *rows = reallocarray(file->rows, space, sizeof *rows);
    if (rows)
        file->rows = rows;
    uint32_t *lines = reallocarray(file->lines, space, sizeof *lines);
    if (lines)
        file->lines = lines;
    if (!rows || !lines)
        return fail(reading, "out of memory");
    file->space = space;
    return CM_OK;
}

static cm_status add_row(struct reading *reading, const char *device, const char *group,
                         struct cm_device_pair *pairs, size_t pairs_count)
{
    struct cm_device_file *file = reading->file;
    struct cm_error why;
    cm_status status = cm_device_check_id(device, &why);
    if (status != CM_OK)
        return fail(reading, "%s", why.text);
    if (!group || group[0] == '\0')
        group = reading->default_group;
    status = check_group(reading, group);
    for (size_t i = 0; i < pairs_count && status == CM_OK; i++)
        if (cm_device_check_attribute(&pairs[i], &why) != CM_OK)
            status = fail(reading, "%s", why.text);
    if (status == CM_OK)
        status = reserve_row(reading);
    if (status != CM_OK)
        return status;
    file->lines[file->count] = reading->line;
    file->rows[file->count++] = (struct cm_device_row){
        .id = cm_arena_copy(reading->arena, cm_bytes_str(device)),
        .group = cm_bytes_str(cm_settings_group(reading->settings, cm_bytes_str(group))->name),
        .attributes = cm_device_join_attributes(reading->arena, pairs, pairs_count),
        .state = CM_DEVICE_ALLOWED,
    };
    return CM_OK;
}

/* -------------------------------------------------------------------------------------- CSV -- */

/*
 * Takes the value at *rest, unquoted in place, and moves *rest behind its comma; NULL at the end of
 * the line. False when the quotes are wrong.
 */
static bool take_value(char **rest, char **ret_value)
{
    char *from = *rest, *to = from;
    *ret_value = from;
    if (*from != '"') {
        size_t size = strcspn(from, ",");
        if (memchr(from, '"', size))
            return false;
        *rest = from[size] ? from + size + 1 : NULL;
        from[size] = '\0';
        return true;
    }
    for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
        from += *from == '"';
        *to++ = *from;
    }
    if (*from != '"' || (from[1] != ',' && from[1] != '\0'))
        return false;
    *rest = from[1] ? from + 2 : NULL;
    *to = '\0';
    return true;
}

static cm_status split_line(struct reading *reading, char *line, char *values[COLUMNS_MAX],
                            size_t *ret_count)
{
    size_t count = 0;
    for (char *rest = line; rest; count++) {
        if (count == COLUMNS_MAX)
            return fail(reading, "more than %d columns", COLUMNS_MAX);
        if (!take_value(&rest, &values[count]))
            return fail(reading, "column %zu: a quote that is not closed, or stands inside a value",
                        count + 1);
    }
    *ret_count = count;
    return CM_OK;
}

static cm_status note_column(struct reading *reading, size_t i, const char *name)
{
    char shown[64];
    for (size_t before = 0; before < i; before++)
        if (strcmp(reading->columns[before], name) == 0)
            return fail(reading, "the column \"%s\" stands twice", printable(name, shown));
    reading->columns[i] = cm_arena_printf(reading->arena, "%s", name);
    if (strcmp(name, "device") == 0)
        reading->device_column = i;
    else if (strcmp(name, "group") == 0)
        reading->group_column = i;
    else if (!cm_device_is_attribute_key(name))
        return fail(reading,
                    "\"%s\" is not a column's name: 1 to %d letters, digits, '.', '_', '-'",
                    printable(name, shown), CM_DEVICE_ATTRIBUTE_KEY_MAX);
    return CM_OK;
}

static cm_status read_header(struct reading *reading, char *line)
{
    char *values[COLUMNS_MAX];
    if (strncmp(line, "\xef\xbb\xbf", 3) == 0) /* spreadsheets put a byte order mark there */
        line += 3;
    cm_status status = split_line(reading, line, values, &reading->columns_count);
    reading->device_column = reading->group_column = NO_COLUMN;
    for (size_t i = 0; i < reading->columns_count && status == CM_OK; i++)
        status = note_column(reading, i, values[i]);
    if (status == CM_OK && reading->device_column == NO_COLUMN)
        return fail(reading, "expected a header with a column \"device\"");
    return status;
}

static cm_status read_csv_line(struct reading *reading, char *line)
{
    char *values[COLUMNS_MAX];
    struct cm_device_pair pairs[COLUMNS_MAX];
    size_t count, pairs_count = 0;
    if (reading->columns_count == 0)
        return read_header(reading, line);
    cm_status status = split_line(reading, line, values, &count);
    if (status != CM_OK)
        return status;
    if (count != reading->columns_count)
        return fail(reading, "expected %zu columns as in the header, found %zu",
                    reading->columns_count, count);
    for (size_t i = 0; i < count; i++)
        if (i != reading->device_column && i != reading->group_column && values[i][0])
            pairs[pairs_count++] = (struct cm_device_pair){ reading->columns[i], values[i] };
    const char *group = reading->group_column == NO_COLUMN ? NULL : values[reading->group_column];
    return add_row(reading, values[reading->device_column], group, pairs, pairs_count);
}

/* ------------------------------------------------------------------------------- JSON lines -- */

static cm_status read_attributes(struct reading *reading, json_t *attributes,
                                 struct cm_device_pair *pairs, size_t *ret_count)
{
    const char *key;
    json_t *value;
    size_t count = 0;
    char shown[64];
    json_object_foreach(attributes, key, value)
    {
        if (!json_is_string(value))
            return fail(reading, "the attribute \"%s\" is not a string", printable(key, shown));
        if (count == COLUMNS_MAX)
            return fail(reading, "more than %d attributes", COLUMNS_MAX);
        if (json_string_length(value) > 0)
            pairs[count++] = (struct cm_device_pair){ key, json_string_value(value) };
    }
    *ret_count = count;
    return CM_OK;
}

static cm_status read_object(struct reading *reading, json_t *object)
{
    static const char *const keys[] = { "device", "group", "attributes" };
    const char *key;
    json_t *value;
    struct cm_device_pair pairs[COLUMNS_MAX];
    size_t count = 0;
    char shown[64];
    json_object_foreach(object, key, value)
    {
        bool is_attributes = strcmp(key, keys[2]) == 0;
        if (!is_attributes && strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0) {
            const char *meant = cm_nearest(key, keys, 3);
            return fail(reading, "unknown key \"%s\"%s%s%s", printable(key, shown),
                        meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
        }
        if (is_attributes ? !json_is_object(value) : !json_is_string(value))
            return fail(reading, "%s: expected %s", key, is_attributes ? "an object" : "a string");
    }
    cm_status status = read_attributes(reading, json_object_get(object, keys[2]), pairs, &count);
    if (status != CM_OK)
        return status;
    return add_row(reading, json_string_value(json_object_get(object, keys[0])),
                   json_string_value(json_object_get(object, keys[1])), pairs, count);
}

static cm_status read_json_line(struct reading *reading, const char *line)
{
    json_error_t error;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return fail(reading, "not JSON: %s", error.text);
    cm_status status =
        json_is_object(object) ? read_object(reading, object) : fail(reading, "expected an object");
    json_decref(object);
    return status;
}

/* ------------------------------------------------------------------------------- the whole -- */

static const struct reading *compared; /* qsort hands nothing through */

static int compare_rows(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    struct cm_bytes x = compared->file->rows[i].id, y = compared->file->rows[j].id;
    int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
    if (order == 0 && x.size != y.size)
        order = x.size < y.size ? -1 : 1;
    return order != 0 ? order : (i > j) - (i < j);
}

/* A device twice in one file is somebody's mistake; which of the two is meant cannot be known. */
static cm_status check_twice(struct reading *reading)
{
    struct cm_device_file *file = reading->file;
    cm_status status = CM_OK;
    char shown[64];
    uint32_t *order = calloc(file->count + 1, sizeof *order);
    if (!order)
        return fail(reading, "out of memory");
    for (uint32_t i = 0; i < file->count; i++)
        order[i] = i;
    compared = reading;
    qsort(order, file->count, sizeof *order, compare_rows);
    for (uint32_t i = 1; i < file->count && status == CM_OK; i++) {
        struct cm_bytes id = file->rows[order[i]].id;
        if (!cm_bytes_equal(id, file->rows[order[i - 1]].id))
            continue;
        reading->line = file->lines[order[i]];
        status = fail(reading, "the device \"%s\" stands in line %u already",
                      cm_bytes_printable(id, shown, sizeof shown), file->lines[order[i - 1]]);
    }
    free(order);
    return status;
}

static cm_status read_line(struct reading *reading, char *line, size_t size, bool *json)
{
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        line[--size] = '\0';
    if (strlen(line) != size)
        return fail(reading, "a NUL character");
    if (size == 0)
        return CM_OK;
    if (reading->columns_count == 0 && reading->file->count == 0)
        *json = line[0] == '{';
    return *json ? read_json_line(reading, line) : read_csv_line(reading, line);
}

static cm_status read_lines(struct reading *reading, FILE *stream)
{
    char *line = NULL;
    size_t space = 0;
    ssize_t size;
    bool json = false;
    cm_status status = CM_OK;
    while (status == CM_OK && (size = getline(&line, &space, stream)) >= 0) {
        reading->line++;
        status = read_line(reading, line, (size_t)size, &json);
    }
    if (status == CM_OK && ferror(stream))
        status = CM_FAIL(reading->err, CM_IO, CM_ORIGIN_OS, errno, "read %s", reading->path);
    free(line);
    if (status == CM_OK && reading->line == 0) {
        reading->line = 1;
        status = fail(reading, "the file is empty");
    }
    return status == CM_OK ? check_twice(reading) : status;
}

cm_status cm_device_file_read(const char *path, const struct cm_settings *settings,
                              const char *default_group, struct cm_arena *arena,
                              struct cm_device_file *ret_file, struct cm_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct cm_device_file file = { 0 };
    struct reading reading = { .path = is_stdin ? "standard input" : path,
                               .settings = settings,
                               .default_group = default_group,
                               .arena = arena,
                               .file = &file,
                               .err = err };
    FILE *stream = is_stdin ? stdin : fopen(path, "re");
    if (!stream)
        return CM_FAIL(err, errno == ENOENT ? CM_NOT_FOUND : CM_IO, CM_ORIGIN_OS, errno, "%s",
                       path);
    cm_status status = read_lines(&reading, stream);
    if (!is_stdin)
        fclose(stream);
    if (status == CM_OK)
        *ret_file = file;
    else
        cm_device_file_done(&file);
    return status;
}

void cm_device_file_done(struct cm_device_file *file)
{
    free(file->rows);
    free(file->lines);
    *file = (struct cm_device_file){ 0 };
}
