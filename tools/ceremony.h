/*
 * What the ceremony commands share: plans as they lie about, and the steps that the store takes.
 */
#ifndef CM_TOOLS_CEREMONY_H
#define CM_TOOLS_CEREMONY_H

#include "engine/dual_control.h"
#include "tools/deployment.h"

#define CM_PLAN_HEX_SIZE   (2 * CM_PLAN_ID_SIZE + 1)
#define CM_DIGEST_HEX_SIZE (2 * CM_PLAN_DIGEST_SIZE + 1)

/* Two lines that the help of several commands needs. */
#define CM_CEREMONY_PLAN                                                                           \
    "`PLAN` is the beginning of a plan's id, four digits or more, as `certmill ceremony list` "    \
    "shows it."
#define CM_CEREMONY_ENGINE                                                                         \
    "While `certmill serve` runs, it takes the step; else the store is written here."

/*
 * Does:       has the store take a step, "plan-prepare", "plan-approve" or "plan-cancel": by the engine where
 *             one runs, else here. The deployment was opened without its store.
 * Fails with: DENIED, NOT_FOUND, MALFORMED, and what opening the store fails with.
 */
CM_MUST_USE cm_status cm_ceremony_take(struct cm_deployment *deployment, const char *step,
                                       struct cm_bytes text, bool *ret_changed,
                                       struct cm_error *err);

/* The plan of the call's first operand, from the store; the deployment is closed again. */
CM_MUST_USE cm_status cm_ceremony_find_plan(const struct cm_call *call, struct cm_arena *arena,
                                            struct cm_plan_record *ret_record,
                                            struct cm_error *err);

/* A plan in a file, as prepare writes it: a newline at the end is passed over. */
CM_MUST_USE cm_status cm_ceremony_read_file(const char *path, struct cm_arena *arena,
                                            struct cm_plan_record *ret_record,
                                            struct cm_error *err);

/* "open", "expired", "running", "run", "cancelled". */
const char *cm_ceremony_state(const struct cm_plan_record *record);

/* Lines of four words of four hex digits, each behind indent. */
void cm_ceremony_print_words(const uint8_t hash[CM_PLAN_DIGEST_SIZE], const char *indent);

/* Writes a file that was not there. "-": standard output. Fails with: EXISTS, IO. */
CM_MUST_USE cm_status cm_ceremony_write_file(const char *path, struct cm_bytes text,
                                             struct cm_error *err);

#endif
