/*
 * Approval: an operator's signature that a plan may run, or is to be cancelled.
 *
 * What is signed is a line of text, without an end of line, so that any tool can make it and check it:
 *
 *     certmill-plan-v1 run <the plan's SHA-256, 64 lower-case hex digits>
 *
 * with Ed25519, or ECDSA with SHA-256 on P-256. As a file, made where the store is not:
 *
 *     {"digest":"...","key":"<base64 SubjectPublicKeyInfo>","operator":"ann","plan":"<id>",
 *      "purpose":"run","signature":"<base64>","v":1}
 *
 * Thread: any.
 */
#ifndef CM_AUTHORITY_APPROVAL_H
#define CM_AUTHORITY_APPROVAL_H

#include "engine/base/arena.h"
#include "engine/store/plan.h"
#include "engine/x509/algorithm.h"

enum {
    CM_APPROVAL_MESSAGE_SIZE = 100, /* with its NUL */
    CM_APPROVAL_FILE_SIZE_MAX = 4096
};

struct cm_approval {
    uint8_t plan[CM_PLAN_ID_SIZE];
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
    struct cm_plan_approval by; /* time_ms is not part of it */
};

/* What is signed. Returns ret_message. */
const char *cm_approval_message(enum cm_approval_purpose purpose,
                                const uint8_t digest[CM_PLAN_DIGEST_SIZE],
                                char ret_message[CM_APPROVAL_MESSAGE_SIZE]);

/* How a key of this type signs it; UNKNOWN: it does not. */
enum cm_sigalg cm_approval_sigalg(enum cm_key_type type);

/*
 * Whether this signature is by this key (SubjectPublicKeyInfo) over the message.
 * Fails with: DENIED (it does not verify, or the key is of another kind), NO_MEMORY.
 */
CM_MUST_USE cm_status cm_approval_verify(enum cm_approval_purpose purpose,
                                         const uint8_t digest[CM_PLAN_DIGEST_SIZE],
                                         struct cm_bytes key, struct cm_bytes signature,
                                         struct cm_error *err);

/* The file's text, ended by a newline, in the arena. */
struct cm_bytes cm_approval_write(const struct cm_approval *approval, struct cm_arena *arena);

/* Nothing is verified. Fails with: MALFORMED. */
CM_MUST_USE cm_status cm_approval_read(struct cm_bytes text, struct cm_arena *arena,
                                       struct cm_approval *ret_approval, struct cm_error *err);

#endif
