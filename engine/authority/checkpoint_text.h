/*
 * Checkpoints as lines of JSON, as they stand in a file beside the store, and whether one is signed.
 *
 *     {"v":1,"number":7,"audit":1234,"hash":"...","time_ms":1700000000000,"previous":"...",
 *      "spki":"...","sigalg":"ecdsa-with-sha256","signature":"..."}
 *
 * Octets are lower-case hexadecimal. Any thread.
 */
#ifndef CM_ENGINE_AUTHORITY_CHECKPOINT_TEXT_H
#define CM_ENGINE_AUTHORITY_CHECKPOINT_TEXT_H

#include "engine/base/arena.h"
#include "engine/store/audit.h"

/* One line with its newline, in the arena. */
struct cm_bytes cm_checkpoint_line(const struct cm_checkpoint *checkpoint, struct cm_arena *arena);

/* False: the line (with or without its newline) is no checkpoint. Spans in the arena. */
bool cm_checkpoint_read_line(struct cm_bytes line, struct cm_arena *arena,
                             struct cm_checkpoint *ret_checkpoint);

/* Whether its signature is one of the key that it names. */
bool cm_checkpoint_is_signed(const struct cm_checkpoint *checkpoint);

/* Equal in everything. */
bool cm_checkpoint_equals(const struct cm_checkpoint *one, const struct cm_checkpoint *other);

#endif
