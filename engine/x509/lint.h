/*
 * Lint: the last look at a TBSCertificate before its intent is recorded and a key is asked.
 *
 * The linter knows nothing of templates: it reads the bytes afresh and holds them against RFC
 * 5280, the profile and the issuer. It fails closed: what it cannot read, or does not know, it
 * refuses. Every rule has a name that stands in the refusal's message.
 */
#ifndef CM_X509_LINT_H
#define CM_X509_LINT_H

#include "engine/x509/template.h"

/* X(symbol, name, what it demands), in the order in which they are checked */
/* clang-format off */
#define CM_LINT_MAP(X)                                                                                          \
    X(READABLE, "readable", "the whole is strict DER of a version 3 TBSCertificate")                            \
    X(SERIAL_SIZE, "serial-size", "the serial has 1 to 20 octets")                                              \
    X(SERIAL_POSITIVE, "serial-positive", "the serial is greater than zero")                                    \
    X(SIGNATURE_ALGORITHM, "signature-algorithm", "the signature algorithm is the issuer's")                    \
    X(ISSUER_NAME, "issuer-name", "the issuer is the CA's subject, byte for byte")                              \
    X(TIME_ENCODING, "time-encoding", "UTCTime to the end of 2049, GeneralizedTime from 2050")                  \
    X(VALIDITY_ORDER, "validity-order", "notBefore is not after notAfter")                                      \
    X(VALIDITY_ISSUER, "validity-issuer", "the validity lies within the issuer's, or has no expiry")            \
    X(VALIDITY_PROFILE, "validity-profile", "the validity is not longer than the profile's")                    \
    X(SUBJECT_SYNTAX, "subject-syntax", "attributes have their string types, sizes and characters")             \
    X(SUBJECT_PROFILE, "subject-profile", "the profile has a rule for every attribute of the subject")          \
    X(SUBJECT_ISSUER, "subject-issuer", "only a self-signed CA bears its issuer's name")                        \
    X(SUBJECT_CA, "subject-ca", "a CA has a subject")                                                           \
    X(NAME_PRESENT, "name-present", "there is a subject or an alternative name")                                \
    X(KEY_ENCODING, "key-encoding", "the public key is one that certmill reads")                                \
    X(KEY_TYPE, "key-type", "the profile allows the key type")                                                  \
    X(KEY_ISSUER, "key-issuer", "the issuer's key is in its own certificate only")                              \
    X(EXTENSION_UNIQUE, "extension-unique", "no extension stands twice")                                        \
    X(EXTENSION_KNOWN, "extension-known", "only extensions that certmill writes")                               \
    X(EXTENSION_CRITICAL, "extension-critical", "critical where it must be, and nowhere else")                  \
    X(SKI_PRESENT, "ski-present", "there is a subject key identifier")                                          \
    X(SKI_HASH, "ski-hash", "the subject key identifier is the hash of the key")                                \
    X(AKI_PRESENT, "aki-present", "there is an authority key identifier")                                       \
    X(AKI_ISSUER, "aki-issuer", "the authority key identifier is the issuer's subject key identifier")          \
    X(CONSTRAINTS_PRESENT, "constraints-present", "basic constraints stand where the profile wants them")       \
    X(CONSTRAINTS_CA, "constraints-ca", "cA is TRUE in CA certificates and nowhere else")                       \
    X(CONSTRAINTS_PATH_LEN, "constraints-path-len", "the path length is the profile's")                         \
    X(CONSTRAINTS_PATH_ISSUER, "constraints-path-issuer", "the path length is below the issuer's")              \
    X(USAGE_PRESENT, "usage-present", "there is a key usage")                                                   \
    X(USAGE_PROFILE, "usage-profile", "the key usage is the profile's for this key type")                       \
    X(USAGE_CA, "usage-ca", "keyCertSign and cRLSign stand in CA certificates only")                            \
    X(USAGE_KEY_TYPE, "usage-key-type", "the key can be used like that")                                        \
    X(PURPOSES, "purposes", "the extended key usage is the profile's")                                          \
    X(POLICIES, "policies", "the certificate policies are the profile's")                                       \
    X(NAME_CONSTRAINTS, "name-constraints", "the name constraints are the profile's")                           \
    X(NAMES_ISSUER, "names-issuer", "every name lies within the issuer's name constraints")                     \
    X(ALTNAMES_NOT_EMPTY, "altnames-not-empty", "a subject alternative name extension has names")               \
    X(ALTNAMES_SYNTAX, "altnames-syntax", "every alternative name is well-formed")                              \
    X(ALTNAMES_UNIQUE, "altnames-unique", "no alternative name stands twice")                                   \
    X(ALTNAMES_PROFILE, "altnames-profile", "the profile has alternative names of that kind")                   \
    X(CRL, "crl", "the CRL distribution point is that of the serial's shard")                                   \
    X(AUTHORITY_INFO, "authority-info", "the authority information access is the issuer's")                     \
    X(OCSP_NO_CHECK, "ocsp-no-check", "the extension that exempts a responder from status checks is the profile's")
/* clang-format on */

enum cm_lint_rule {
#define X(symbol, name, text) CM_LINT_##symbol,
    CM_LINT_MAP(X)
#undef X
        CM_LINT_COUNT
};

const char *cm_lint_rule_name(enum cm_lint_rule rule);
const char *cm_lint_rule_text(enum cm_lint_rule rule);

/*
 * Does:       checks every rule; false at the first that is broken.
 * Thread:     any, with a composer of its own (for the hash of the key identifier).
 * Fails with: lint.failed; the message is "NAME: what it demands".
 */
CM_MUST_USE bool cm_lint_tbs(struct cm_composer *composer, struct cm_bytes tbs,
                             const struct cm_profile *profile, const struct cm_issuer *issuer,
                             struct cm_refusal *refusal);

/*
 * The same of a CA that is not ours: subject-syntax, subject-profile and ski-hash hold where subject and
 * subject key identifier are the ones given, octet by octet, whatever these are. Empty: as above.
 */
CM_MUST_USE bool cm_lint_given(struct cm_composer *composer, struct cm_bytes tbs,
                               const struct cm_profile *profile, const struct cm_issuer *issuer,
                               struct cm_bytes subject, struct cm_bytes ski,
                               struct cm_refusal *refusal);

#endif
