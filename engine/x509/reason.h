/*
 * Reasons: why a certificate is revoked (CRLReason, RFC 5280, 5.3.1).
 *
 * The names are RFC 5280's; the numbers stand in CRLs, OCSP responses and the store. Value 7 is not
 * used. removeFromCRL is no reason to revoke: it stands in delta CRLs only, for what came off hold, and
 * no name finds it. Pure data; any thread.
 */
#ifndef CM_X509_REASON_H
#define CM_X509_REASON_H

#include <stdbool.h>

#include "engine/base/bytes.h"

/* X(SYMBOL, name, value) */
#define CM_REASON_MAP(X)                                                                           \
    X(UNSPECIFIED, "unspecified", 0)                                                               \
    X(KEY_COMPROMISE, "keyCompromise", 1)                                                          \
    X(CA_COMPROMISE, "cACompromise", 2)                                                            \
    X(AFFILIATION_CHANGED, "affiliationChanged", 3)                                                \
    X(SUPERSEDED, "superseded", 4)                                                                 \
    X(CESSATION_OF_OPERATION, "cessationOfOperation", 5)                                           \
    X(CERTIFICATE_HOLD, "certificateHold", 6)                                                      \
    X(REMOVE_FROM_CRL, "removeFromCRL", 8)                                                         \
    X(PRIVILEGE_WITHDRAWN, "privilegeWithdrawn", 9)                                                \
    X(AA_COMPROMISE, "aACompromise", 10)

enum cm_reason {
#define X(symbol, name, value) CM_REASON_##symbol = (value),
    CM_REASON_MAP(X)
#undef X
};

/* "keyCompromise"; NULL for a value that is none. */
const char *cm_reason_name(enum cm_reason reason);

/* False: no reason that somebody may give for a revocation has this name. */
bool cm_reason_find(struct cm_bytes name, enum cm_reason *ret_reason);

#endif
