/* The file that checkpoints are appended to: one line of JSON each (engine/authority/checkpoint_text.h). */
#ifndef CM_ENGINE_CHECKPOINT_FILE_H
#define CM_ENGINE_CHECKPOINT_FILE_H

#include "engine/store/store.h"

/*
 * Does:       appends what the store has and the file does not, in order, and waits until the disk has it.
 *             Makes the file where there is none. A last line that a crash has cut off is taken away first.
 * Thread:     the reader's; it may take a while.
 * Fails with: IO; MISMATCH (its last line is no checkpoint, or one that the store does not have: another
 *             store's file, or a store that was put back).
 */
CM_MUST_USE cm_status cm_checkpoint_file_append(const char *path, struct cm_store_reader *reader,
                                                struct cm_error *err);

#endif
