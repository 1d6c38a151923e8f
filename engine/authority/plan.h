/*
 * Plan: everything that an operation under dual control will do, as one canonical text.
 *
 *     {"approvals":2,"devices":0,"expires":1790000000,"found":[{"certificate":"<sha256>","generation":
 *      "issuing-1","state":"active"}],"id":"<32 hex digits>","operation":"activate","parameters":{},
 *      "prepared":1789990000,"prepared_by":"operator:ann","role":"","subject":"issuing-2","v":1}
 *
 * JSON with its keys sorted and no space that means nothing, so that one plan has one text. Its SHA-256
 * is what operators read aloud and sign (engine/authority/approval.h). Times are Unix seconds.
 *
 * Reading is strict: a text that this code would not have written so, to the last octet, is none.
 * Thread: any.
 */
#ifndef CM_AUTHORITY_PLAN_H
#define CM_AUTHORITY_PLAN_H

#include "engine/base/arena.h"
#include "engine/base/ceremony.h"
#include "engine/store/plan.h"

enum cm_plan_max {
    CM_PLAN_SIZE_MAX = 16384, /* octets of the text */
    CM_PLAN_PARAMETERS_MAX = 16,
    CM_PLAN_FOUND_MAX = 64,
    CM_PLAN_SUBJECT_SIZE_MAX = 80,
    CM_PLAN_VALUE_SIZE_MAX = 1024
};

/* What the operation is told beside its subject: names of its options, "reason", and their values. */
struct cm_plan_parameter {
    const char *name; /* letters a to z, digits and '-' */
    const char *value;
};

struct cm_plan {
    uint8_t id[CM_PLAN_ID_SIZE];
    enum cm_ceremony operation;
    const char *subject;                        /* "issuing-2", "issuing" or the name of a group */
    const struct cm_plan_parameter *parameters; /* sorted by name, each once */
    uint32_t parameters_count;
    const struct cm_plan_found *found; /* generations, sorted as the store has them */
    uint32_t found_count;
    int64_t devices;         /* of a group, when it was prepared; for people, not held against it */
    uint32_t approvals;      /* of different operators */
    const char *role;        /* that they have; "": any */
    const char *prepared_by; /* "operator:ann" */
    int64_t prepared_s, expires_s;
};

/* Whether a name may be a subject, a value a parameter's: what reading accepts. */
bool cm_plan_subject_is_good(const char *subject);
bool cm_plan_parameter_is_good(const struct cm_plan_parameter *parameter);

/* Sorts parameters as a plan has them. False: a name stands there twice. */
bool cm_plan_sort_parameters(struct cm_plan_parameter *parameters, uint32_t count);

/* The canonical text, in the arena, NUL-terminated behind the span. */
struct cm_bytes cm_plan_write(const struct cm_plan *plan, struct cm_arena *arena);

/* Owns: what the plan points at is in the arena. Fails with: MALFORMED. */
CM_MUST_USE cm_status cm_plan_read(struct cm_bytes text, struct cm_arena *arena,
                                   struct cm_plan *ret_plan, struct cm_error *err);

void cm_plan_digest(struct cm_bytes text, uint8_t ret_digest[CM_PLAN_DIGEST_SIZE]);

/* Whether both do the same to the same: operation, subject and parameters. */
bool cm_plan_does(const struct cm_plan *plan, enum cm_ceremony operation, const char *subject,
                  const struct cm_plan_parameter *parameters, uint32_t parameters_count);

#endif
