/*
 * Ceremonies: the operations that settings may mark, so that several people approve each one before it
 * runs (dual-control). Any thread.
 */
#ifndef CM_BASE_CEREMONY_H
#define CM_BASE_CEREMONY_H

#include <stdbool.h>

#include "engine/base/bytes.h"

/* X(SYMBOL, name in settings and plans, what it does, for people) */
#define CM_CEREMONY_MAP(X)                                                                         \
    X(ROOT_KEY, "root-key", "makes the key and the certificate of a root")                         \
    X(CREATE, "create", "makes an authority: a key, and a certificate or a request for one")       \
    X(CROSS_SIGN, "cross-sign", "certifies the key of a CA that is not ours")                      \
    X(ROTATE, "rotate", "makes the next generation of an authority: a key and its certificates")   \
    X(ACTIVATE, "activate", "lets a generation issue, in the place of the one that it replaces")   \
    X(RETIRE, "retire", "ends a generation: its key is destroyed or archived")                     \
    X(COMPROMISE, "compromise", "calls a generation's key compromised: it issues no more, ever")   \
    X(REVOKE_GROUP, "revoke-group", "revokes every certificate of every device of a group")

enum cm_ceremony {
#define X(symbol, name, text) CM_CEREMONY_##symbol,
    CM_CEREMONY_MAP(X)
#undef X
        CM_CEREMONY_COUNT
};

const char *cm_ceremony_name(enum cm_ceremony operation);
const char *cm_ceremony_text(enum cm_ceremony operation); /* half a sentence, no full stop */
bool cm_ceremony_find(struct cm_bytes name, enum cm_ceremony *ret_operation);

#endif
