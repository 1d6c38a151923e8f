/*
 * The settings file as text: where in it a fault is. Private to engine/settings*.c.
 *
 * libcyaml fills structs but does not say where in the file a value stood. So the file is parsed
 * with libyaml first, held against the table of keys with line numbers at hand, and kept until
 * everything that refers to other parts of the file has been checked too.
 *
 * A place is a path as people write it: "groups[0].profiles[1]".
 */
#ifndef CM_ENGINE_SETTINGS_FILE_H
#define CM_ENGINE_SETTINGS_FILE_H

#include <yaml.h>

#include "engine/base/status.h"
#include "engine/settings/keys.h"

struct settings_file {
    const char *path; /* borrowed */
    char *text;       /* owned */
    size_t size;      /* bytes of text */
    yaml_document_t document;
    bool has_document;
};

/* Fails with: NOT_FOUND, IO, MALFORMED (too large, not YAML). Call settings_file_done always. */
CM_MUST_USE cm_status settings_file_read(struct settings_file *file, const char *path,
                                         struct cm_error *err);
void settings_file_done(struct settings_file *file);

/* Every key known, none twice, none missing, every value of its kind; else MALFORMED. */
CM_MUST_USE cm_status settings_file_walk(const struct settings_file *file, struct cm_error *err);

/* MALFORMED with "FILE:LINE: place: text"; the line is that of the longest part of place there is. */
cm_status settings_file_fail(const struct settings_file *file, struct cm_error *err,
                             const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* True when something stands at the place, be it an empty list. */
bool settings_file_has(const struct settings_file *file, const char *place);

#endif
