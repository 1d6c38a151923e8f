/*
 * CA scheduled: what the settings say is due of an authority by now, and nothing else (engine/schedule.h): the
 * next key is made, one that is pending and whose turn has come issues, and those of which everything has ended are
 * retired. For `ca rotate --scheduled`. One thread.
 */
#ifndef CM_TOOLS_CA_SCHEDULED_H
#define CM_TOOLS_CA_SCHEDULED_H

#include "tools/ca_record.h"

/*
 * Does:       all that is due; each step is told to done, as "issuing-2" and "pending". Nothing due
 *             is success.
 * Fails with: NOT_FOUND (no such authority in the settings, or no schedule of it), DENIED (its signer ends no
 *             later than it does), and what rotation, record and retirement fail with. What was done stays done.
 */
CM_MUST_USE cm_status cm_ca_scheduled_carry_out(struct cm_ca_record *record, const char *authority,
                                                void (*done)(const char *generation, const char *is,
                                                             void *arg),
                                                void *arg, struct cm_error *err);

#endif
