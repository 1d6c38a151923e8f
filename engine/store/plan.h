/*
 * Plans: operations that several people approve before they run, and their approvals.
 *
 *     pending ---> running ---> run
 *        \----------------------^
 *        \---> cancelled
 *
 * pending    prepared; approvals are collected
 * running    it has begun, and takes more than one operation of the store: it may go on
 * run        it is done, once and for all
 * cancelled  enough operators did not want it any more
 *
 * The store keeps texts and signatures, and knows of each plan whether it may still run: within its time,
 * once, and only while what it says of generations is so. Whose signatures they are, and whether they
 * are enough, is looked at before (engine/dual_control.h).
 */
#ifndef CM_ENGINE_STORE_PLAN_H
#define CM_ENGINE_STORE_PLAN_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"
#include "engine/store/generation.h"

#define CM_PLAN_ID_SIZE     16
#define CM_PLAN_DIGEST_SIZE 32 /* SHA-256 */

/* X(SYMBOL, name) */
#define CM_PLAN_STATE_MAP(X)                                                                       \
    X(PENDING, "pending")                                                                          \
    X(RUNNING, "running")                                                                          \
    X(RUN, "run")                                                                                  \
    X(CANCELLED, "cancelled")

enum cm_plan_state {
#define X(symbol, name) CM_PLAN_##symbol,
    CM_PLAN_STATE_MAP(X)
#undef X
        CM_PLAN_STATE_COUNT
};

const char *cm_plan_state_name(enum cm_plan_state state);
bool cm_plan_state_find(const char *name, enum cm_plan_state *ret_state);

/* What a signature is for. X(SYMBOL, name) */
#define CM_APPROVAL_PURPOSE_MAP(X)                                                                 \
    X(RUN, "run")                                                                                  \
    X(CANCEL, "cancel")

enum cm_approval_purpose {
#define X(symbol, name) CM_APPROVAL_##symbol,
    CM_APPROVAL_PURPOSE_MAP(X)
#undef X
        CM_APPROVAL_PURPOSE_COUNT
};

const char *cm_approval_purpose_name(enum cm_approval_purpose purpose);
bool cm_approval_purpose_find(const char *name, enum cm_approval_purpose *ret_purpose);

/* A generation as the plan found it. */
struct cm_plan_found {
    struct cm_bytes generation; /* "issuing-1" */
    enum cm_generation_state state;
    bool has_certificate;
    uint8_t certificate[CM_PLAN_DIGEST_SIZE]; /* SHA-256 of its DER */
};

/*
 * The plan that an operation carries out, looked at inside the writer's transaction, which marks it as
 * well.
 *
 * Fails with: DENIED: there is no such plan, it has run, was cancelled or has ended, or a generation is not
 *             as it was found. Nothing is changed then.
 */
struct cm_plan_use {
    uint8_t id[CM_PLAN_ID_SIZE];
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
    const struct cm_plan_found *found;
    uint32_t found_count;
};

struct cm_plan_row {
    int64_t number;
    uint8_t id[CM_PLAN_ID_SIZE];
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
    struct cm_bytes text; /* canonical JSON, engine/authority/plan.h */
    enum cm_plan_state state;
    int64_t prepared_ms;
    int64_t expires_s;
    int64_t settled_ms; /* run or cancelled; 0: neither */
};

struct cm_plan_approval {
    enum cm_approval_purpose purpose;
    struct cm_bytes operator;  /* name */
    struct cm_bytes key;       /* SubjectPublicKeyInfo */
    struct cm_bytes signature; /* engine/authority/approval.h */
    int64_t time_ms;           /* written by the store */
};

enum cm_plan_step {
    CM_PLAN_ADD,     /* id, digest, text, expires_s. Fails with: EXISTS */
    CM_PLAN_APPROVE, /* id, digest, approval. Fails with: DENIED, as struct cm_plan_use */
    CM_PLAN_CANCEL   /* id, digest. The same; one that is running goes on to its end */
};

/* A step before a plan runs. Doing one again changes nothing, and succeeds without an audit row. */
struct cm_plan_change {
    enum cm_plan_step step;
    uint8_t id[CM_PLAN_ID_SIZE];
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
    struct cm_bytes text;
    int64_t expires_s;
    struct cm_plan_approval approval;
    bool changed; /* written by the store */
};

#endif
