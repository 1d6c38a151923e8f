/*
 * New files: folders and files that a command makes together, all or none.
 *
 * Each is made where nothing was before, synced, and remembered; cm_new_files_undo removes them
 * again, last first. One thread.
 */
#ifndef CM_TOOLS_NEW_FILES_H
#define CM_TOOLS_NEW_FILES_H

#include <sys/types.h>

#include "engine/base/bytes.h"
#include "engine/base/status.h"

#define CM_NEW_FILES_MAX 32

struct cm_new_files {
    char *paths[CM_NEW_FILES_MAX]; /* owned */
    size_t count;
};

/*
 * Does:       makes a folder with exactly this mode. With may_exist, one that is there is left as
 *             it is and not remembered.
 * Fails with: EXISTS, IO.
 */
CM_MUST_USE cm_status cm_new_files_folder(struct cm_new_files *files, const char *path, mode_t mode,
                                          bool may_exist, struct cm_error *err);

/* Makes and syncs a file. Fails with: EXISTS, IO. */
CM_MUST_USE cm_status cm_new_files_write(struct cm_new_files *files, const char *path, mode_t mode,
                                         struct cm_bytes content, struct cm_error *err);

/* Remembers a file that something else has made, or is about to make. */
void cm_new_files_note(struct cm_new_files *files, const char *path);

/* Makes the names in a folder durable. */
CM_MUST_USE cm_status cm_folder_sync(const char *path, struct cm_error *err);

/* Removes everything. */
void cm_new_files_undo(struct cm_new_files *files);

/* Forgets everything and leaves it in place. */
void cm_new_files_done(struct cm_new_files *files);

#endif
