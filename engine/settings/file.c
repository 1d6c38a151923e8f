#include "engine/settings/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/base/nearest.h"
#include "engine/settings/value.h"

#define FILE_SIZE_MAX (1u << 20)
#define PLACE_SIZE    160
#define KEYS_MAX      32 /* of one mapping */

/* ------------------------------------------------------------------------ failing -- */

/* "FILE:LINE: place: text"; long file names lose their beginning, so that the text is seen. */
static cm_status fail_at(const struct settings_file *file, struct cm_error *err, size_t line,
                         const char *place, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static cm_status fail_at(const struct settings_file *file, struct cm_error *err, size_t line,
                         const char *place, const char *format, va_list args)
{
    char text[CM_ERROR_TEXT_SIZE];
    size_t path_size = strlen(file->path);
    bool cut = path_size > 100;
    vsnprintf(text, sizeof text, format, args);
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_YAML, 0, "%s%s:%zu: %s%s%s", cut ? "..." : "",
                   cut ? file->path + path_size - 97 : file->path, line, place,
                   place[0] ? ": " : "", text);
}

static cm_status fail_line(const struct settings_file *file, struct cm_error *err, size_t line,
                           const char *place, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static cm_status fail_line(const struct settings_file *file, struct cm_error *err, size_t line,
                           const char *place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cm_status status = fail_at(file, err, line, place, format, args);
    va_end(args);
    return status;
}

/* ------------------------------------------------------------------------ reading -- */

static cm_status read_text(struct settings_file *file, struct cm_error *err)
{
    FILE *stream = fopen(file->path, "re");
    if (!stream)
        return CM_FAIL(err, errno == ENOENT ? CM_NOT_FOUND : CM_IO, CM_ORIGIN_OS, errno, "%s",
                       file->path);
    file->text = malloc(FILE_SIZE_MAX + 1);
    if (file->text)
        file->size = fread(file->text, 1, FILE_SIZE_MAX + 1, stream);
    bool failed = !file->text || ferror(stream);
    int error = errno;
    fclose(stream);
    if (failed)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, error, "%s", file->path);
    if (file->size > FILE_SIZE_MAX)
        return fail_line(file, err, 1, "", "expected at most %u bytes", FILE_SIZE_MAX);
    return CM_OK;
}

static cm_status fail_parser(const struct settings_file *file, const yaml_parser_t *parser,
                             struct cm_error *err)
{
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) /* has an offset only */
        for (size_t i = line = 1; i <= parser->problem_offset && i <= file->size; i++)
            line += file->text[i - 1] == '\n';
    return fail_line(file, err, line, "", "not YAML: %s%s%s",
                     parser->problem ? parser->problem : "out of memory",
                     parser->context ? " " : "", parser->context ? parser->context : "");
}

static cm_status parse_document(struct settings_file *file, yaml_parser_t *parser,
                                struct cm_error *err)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &file->document))
        return fail_parser(file, parser, err);
    file->has_document = true;
    if (!yaml_document_get_root_node(&file->document))
        return fail_line(file, err, 1, "", "the file is empty");
    if (!yaml_parser_load(parser, &second))
        return fail_parser(file, parser, err);
    const yaml_node_t *root = yaml_document_get_root_node(&second);
    size_t line = root ? root->start_mark.line + 1 : 0;
    yaml_document_delete(&second);
    return line == 0 ? CM_OK : fail_line(file, err, line, "", "expected one YAML document only");
}

cm_status settings_file_read(struct settings_file *file, const char *path, struct cm_error *err)
{
    *file = (struct settings_file){ .path = path };
    cm_status status = read_text(file, err);
    if (status != CM_OK)
        return status;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_YAML, 0, "%s: out of memory", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)file->text, file->size);
    status = parse_document(file, &parser, err);
    yaml_parser_delete(&parser);
    return status;
}

void settings_file_done(struct settings_file *file)
{
    if (file->has_document)
        yaml_document_delete(&file->document);
    free(file->text);
    *file = (struct settings_file){ 0 };
}

/* ------------------------------------------------------------------------- places -- */

/* libyaml's accessors take a document that is not const, and do not change it. */
static const yaml_node_t *node_at(const struct settings_file *file, int number)
{
    return file->document.nodes.start + number - 1;
}

static const char *scalar_text(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static const yaml_node_t *find_key(const struct settings_file *file, const yaml_node_t *mapping,
                                   const char *name, size_t name_size)
{
    if (mapping->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const char *key = scalar_text(node_at(file, pair->key));
        if (strlen(key) == name_size && memcmp(key, name, name_size) == 0)
            return node_at(file, pair->value);
    }
    return NULL;
}

static const yaml_node_t *find_item(const struct settings_file *file, const yaml_node_t *sequence,
                                    size_t index)
{
    if (sequence->type != YAML_SEQUENCE_NODE)
        return NULL;
    yaml_node_item_t *item = sequence->data.sequence.items.start + index;
    return item < sequence->data.sequence.items.top ? node_at(file, *item) : NULL;
}

/* Follows a place as far as it goes; *ret_node is the node there, or NULL. */
static size_t line_of(const struct settings_file *file, const char *place,
                      const yaml_node_t **ret_node)
{
    const yaml_node_t *node = node_at(file, 1);
    size_t line = node->start_mark.line;
    while (node && *place) {
        size_t size = strcspn(place, ".[]");
        if (*place == '[')
            node = find_item(file, node, strtoul(place + 1, NULL, 10));
        else
            node = find_key(file, node, place, size);
        if (node)
            line = node->start_mark.line;
        place += *place == '[' ? strcspn(place, "]") + 1 : size;
        place += *place == '.';
    }
    *ret_node = node;
    return line + 1;
}

bool settings_file_has(const struct settings_file *file, const char *place)
{
    const yaml_node_t *node;
    line_of(file, place, &node);
    return node != NULL;
}

cm_status settings_file_fail(const struct settings_file *file, struct cm_error *err,
                             const char *place, const char *format, ...)
{
    const yaml_node_t *node;
    va_list args;
    va_start(args, format);
    cm_status status = fail_at(file, err, line_of(file, place, &node), place, format, args);
    va_end(args);
    return status;
}

/* --------------------------------------------------------------------------- walk -- */

struct walk {
    const struct settings_file *file;
    struct cm_error *err;
    char place[PLACE_SIZE];
};

static cm_status walk_mapping(struct walk *walk, const struct settings_mapping *mapping,
                              const yaml_node_t *node);

static size_t line_of_node(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static cm_status fail_kind(struct walk *walk, const yaml_node_t *node, const char *expected)
{
    static const char *const found[] = { [YAML_NO_NODE] = "nothing",
                                         [YAML_SCALAR_NODE] = "a single value",
                                         [YAML_SEQUENCE_NODE] = "a list",
                                         [YAML_MAPPING_NODE] = "nested keys" };
    bool empty = node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0;
    return fail_line(walk->file, walk->err, line_of_node(node), walk->place,
                     "expected %s, found %s", expected, empty ? "nothing" : found[node->type]);
}

static cm_status fail_unknown(struct walk *walk, const struct settings_mapping *mapping,
                              const yaml_node_t *key)
{
    const char *names[KEYS_MAX];
    char shown[48];
    for (size_t i = 0; i < mapping->keys_count; i++)
        names[i] = mapping->keys[i].name;
    const char *meant = cm_nearest(scalar_text(key), names, mapping->keys_count);
    return fail_line(walk->file, walk->err, line_of_node(key), walk->place,
                     "unknown key \"%s\"%s%s%s",
                     cm_bytes_printable(cm_bytes_str(scalar_text(key)), shown, sizeof shown),
                     meant ? " (did you mean " : "", meant ? meant : "", meant ? "?)" : "");
}

static cm_status walk_scalar(struct walk *walk, const struct settings_key *key,
                             const yaml_node_t *node)
{
    char expected[200];
    if (node->type != YAML_SCALAR_NODE)
        return fail_kind(walk, node, "a single value");
    if (strlen(scalar_text(node)) != node->data.scalar.length)
        return fail_line(walk->file, walk->err, line_of_node(node), walk->place, "a NUL character");
    if (!settings_value_check(key, scalar_text(node), expected, sizeof expected))
        return fail_line(walk->file, walk->err, line_of_node(node), walk->place, "%s", expected);
    return CM_OK;
}

static cm_status walk_sequence(struct walk *walk, const struct settings_key *key,
                               const yaml_node_t *node)
{
    size_t place_size = strlen(walk->place);
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_kind(walk, node, "a list");
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count < key->min || count > key->max)
        return fail_line(walk->file, walk->err, line_of_node(node), walk->place,
                         "expected %d to %d entries, found %zu", (int)key->min, (int)key->max,
                         count);
    cm_status status = CM_OK;
    for (size_t i = 0; i < count && status == CM_OK; i++) {
        const yaml_node_t *item = find_item(walk->file, node, i);
        snprintf(walk->place + place_size, PLACE_SIZE - place_size, "[%zu]", i);
        status = key->kind == SETTINGS_LIST ? walk_scalar(walk, key, item)
                                            : walk_mapping(walk, key->mapping, item);
    }
    walk->place[place_size] = '\0';
    return status;
}

static cm_status walk_value(struct walk *walk, const struct settings_key *key,
                            const yaml_node_t *node)
{
    size_t place_size = strlen(walk->place);
    cm_status status;
    snprintf(walk->place + place_size, PLACE_SIZE - place_size, "%s%s", place_size ? "." : "",
             key->name);
    if (key->kind == SETTINGS_MAP)
        status = walk_mapping(walk, key->mapping, node);
    else if (key->kind == SETTINGS_MAPS || key->kind == SETTINGS_LIST)
        status = walk_sequence(walk, key, node);
    else
        status = walk_scalar(walk, key, node);
    walk->place[place_size] = '\0';
    return status;
}

static const struct settings_key *key_named(const struct settings_mapping *mapping,
                                            const yaml_node_t *name)
{
    for (size_t i = 0; i < mapping->keys_count; i++)
        if (strcmp(mapping->keys[i].name, scalar_text(name)) == 0)
            return &mapping->keys[i];
    return NULL;
}

static cm_status check_missing(struct walk *walk, const struct settings_mapping *mapping,
                               const yaml_node_t *node, const bool *seen)
{
    for (size_t i = 0; i < mapping->keys_count; i++)
        if (mapping->keys[i].required && !seen[i])
            return fail_line(walk->file, walk->err, line_of_node(node), walk->place,
                             "the key \"%s\" is missing", mapping->keys[i].name);
    return CM_OK;
}

static cm_status walk_mapping(struct walk *walk, const struct settings_mapping *mapping,
                              const yaml_node_t *node)
{
    bool seen[KEYS_MAX] = { false };
    if (node->type != YAML_MAPPING_NODE)
        return fail_kind(walk, node, "nested keys");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = node_at(walk->file, pair->key);
        const struct settings_key *key = key_named(mapping, name);
        if (!key)
            return fail_unknown(walk, mapping, name);
        if (seen[key - mapping->keys])
            return fail_line(walk->file, walk->err, line_of_node(name), walk->place,
                             "the key \"%s\" stands twice", key->name);
        seen[key - mapping->keys] = true;
        cm_status status = walk_value(walk, key, node_at(walk->file, pair->value));
        if (status != CM_OK)
            return status;
    }
    return check_missing(walk, mapping, node, seen);
}

cm_status settings_file_walk(const struct settings_file *file, struct cm_error *err)
{
    struct walk walk = { .file = file, .err = err };
    return walk_mapping(&walk, &settings_mapping_settings, node_at(file, 1));
}
