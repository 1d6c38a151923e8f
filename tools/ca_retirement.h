/*
 * CA retirement: the end of a generation that issues no more: its key is archived or destroyed. For `ca retire`
 * and for scheduled rotations. One thread.
 */
#ifndef CM_TOOLS_CA_RETIREMENT_H
#define CM_TOOLS_CA_RETIREMENT_H

#include "tools/ca_record.h"

/*
 * Does:       retires it, and destroys its key where that is its fate. One that is retired already has its key
 *             destroyed, if it was to be and is still there.
 * Owns:       *ret_answer is the caller's (NULL: not wanted).
 * Fails with: BUSY (certificates of it have not ended, or intents are open: it goes on telling what becomes of
 *             them); INVALID (to destroy an archived key); what record and key fail with.
 */
CM_MUST_USE cm_status cm_ca_retire(struct cm_ca_record *record,
                                   const struct cm_generation *generation, enum cm_key_fate fate,
                                   struct json_t **ret_answer, struct cm_error *err);

#endif
