/*
 * Checkpoints: while the engine runs, and once more as it stops, it signs which hash the last row of the
 * audit log has (engine/store/audit.h), and appends that to a file and a Redis stream where the settings name them.
 *
 * Nothing waits for it: batches go on whatever becomes of a checkpoint. A failure is a notice, and is
 * tried again, less and less often. What was not signed is covered by the next one; what was recorded and
 * not appended there yet is appended by the next attempt, in its order.
 *
 * Life: open once the issuers' keys are, finish when the engine is at rest otherwise, close. Loop's
 * thread; file and stream are written by a worker.
 */
#ifndef CM_ENGINE_CHECKPOINTS_H
#define CM_ENGINE_CHECKPOINTS_H

#include <stdbool.h>

#include "engine/base/status.h"

struct cm_engine;
struct cm_checkpoints;

/* NULL where the settings name no key. Fails with: DENIED (the key is an authority's), IO. */
CM_MUST_USE cm_status cm_checkpoints_open(struct cm_engine *engine,
                                          struct cm_checkpoints **ret_checkpoints,
                                          struct cm_error *err);

/*
 * The last one, over all rows: true when it is made, or cannot be made in time. Begins it when it is asked
 * for the first time; the engine is told to look around when it is over. Takes NULL: true.
 */
bool cm_checkpoints_are_over(struct cm_checkpoints *checkpoints);

/* With nothing under way: after are_over, or when nothing ever began. Takes NULL. */
void cm_checkpoints_close(struct cm_checkpoints *checkpoints);

#endif
