/*
 * Lint: the last look at a TBSCertificate before its intent is recorded and a key is asked.
 *
 * The linter knows nothing of templates: it reads the bytes afresh and holds them against RFC
 * 5280, the profile and the issuer. It fails closed: what it cannot read, it refuses. Each rule
 * of CM_LINT_MAP has a name that stands in the refusal's message and a test that breaks it.
 */
#ifndef CM_X509_LINT_H
#define CM_X509_LINT_H

#include "engine/x509/template.h"

/*
 * Does:       checks every rule; false at the first that is broken.
 * Thread:     any, with a composer of its own (for the hash of the key identifier).
 * Fails with: lint.failed; the message begins with the rule's name.
 */
CM_MUST_USE bool cm_lint_tbs(struct cm_composer *composer, struct cm_bytes tbs,
                             const struct cm_profile *profile, const struct cm_issuer *issuer,
                             struct cm_refusal *refusal);

#endif
