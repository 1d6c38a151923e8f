/*
 * Device file: an allow-list as people and systems bring it, CSV or JSON lines.
 *
 *     device,group,model,dns                      {"device":"m-1","group":"default",
 *     m-1,default,M200,m-1.example                 "attributes":{"model":"M200"}}
 *
 * CSV needs a header; the columns beside device and group are attributes, an empty cell is none.
 * Quotes as in RFC 4180, but a value stays on its line. The first fault stops the reading, with
 * "FILE:LINE: " and what was expected.
 */
#ifndef CM_TOOLS_DEVICE_FILE_H
#define CM_TOOLS_DEVICE_FILE_H

#include "engine/base/arena.h"
#include "engine/settings/settings.h"
#include "engine/store/store.h"

/* The devices of a file. Rows are on the heap, what they point at is in the arena given. */
struct cm_device_file {
    struct cm_device_row *rows;
    uint32_t *lines; /* of each row, from 1 */
    uint32_t count;
    uint32_t space;
};

/*
 * Does:       reads a file ("-": standard input). Rows without a group get default_group (NULL:
 *             each needs one); a group must be in the settings.
 * Owns:       *ret_file is the caller's, until cm_device_file_done.
 * Fails with: NOT_FOUND, IO, MALFORMED; nothing is then left to release.
 */
CM_MUST_USE cm_status cm_device_file_read(const char *path, const struct cm_settings *settings,
                                          const char *default_group, struct cm_arena *arena,
                                          struct cm_device_file *ret_file, struct cm_error *err);
void cm_device_file_done(struct cm_device_file *file);

#endif
