/*
 * Refusals: why a request does not get what it asked for, as a stable dotted code.
 *
 * A code is a promise: once released it is never renamed, and the same input gives the same code
 * for ever (docs/reference/codes.md is generated from this list). A refusal is an answer, not an
 * error: the station that refuses fills a struct cm_refusal and the request goes on to reply.
 *
 *     return cm_refuse(refusal, CM_REFUSAL_DER_TRAILING_DATA, end, "%zu bytes after the CSR", rest);
 *
 * Messages say what is wrong and where, never repeat attacker bytes raw (cm_bytes_printable), and
 * are at most 255 characters.
 */
#ifndef CM_BASE_REFUSAL_H
#define CM_BASE_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cm_refusal_kind {
    CM_REFUSAL_PERMANENT, /* the same request is refused again */
    CM_REFUSAL_RETRYABLE, /* may succeed later, under the same id: never remembered */
    CM_REFUSAL_SECURITY   /* permanent, and worth an operator's eye */
};

/* X(SYMBOL, code, kind, text) */
/* clang-format off */
#define CM_REFUSAL_MAP(X)                                                                                             \
    /* the request itself */                                                                                          \
    X(REQUEST_FIELD_MISSING, "request.field-missing", PERMANENT, "a field that this operation needs is absent")       \
    X(REQUEST_FIELD_UNKNOWN, "request.field-unknown", PERMANENT, "a field that version 1 does not know")              \
    X(REQUEST_FIELD_DUPLICATE, "request.field-duplicate", PERMANENT, "a field stands twice")                          \
    X(REQUEST_FIELD_INVALID, "request.field-invalid", PERMANENT, "a field's value is outside its format")             \
    X(REQUEST_ID_INVALID, "request.id-invalid", PERMANENT, "the id is not 1 to 128 visible ASCII characters")         \
    X(REQUEST_ID_REUSED, "request.id-reused", PERMANENT, "the id was used before for other content")                  \
    X(REQUEST_OP_UNKNOWN, "request.op-unknown", PERMANENT, "no such operation")                                       \
    X(REQUEST_OP_UNSUPPORTED, "request.op-unsupported", PERMANENT, "this engine does not perform the operation")      \
    X(REQUEST_TOO_LARGE, "request.too-large", PERMANENT, "the entry is larger than the limit")                        \
    X(REQUEST_UNDELIVERABLE, "request.undeliverable", SECURITY, "delivered too often without an answer; set aside")   \
    X(REQUEST_REQUESTER_UNKNOWN, "request.requester-unknown", SECURITY, "no such requester in the settings")          \
    X(REQUEST_RATE_LIMITED, "request.rate-limited", RETRYABLE, "too many requests; try again later")                  \
    X(REQUEST_TIME_MISSING, "request.time-missing", PERMANENT, "this requester must say when it made its requests")    \
    X(REQUEST_EXPIRED, "request.expired", RETRYABLE, "the request's time is too far in the past")                     \
    X(REQUEST_FROM_FUTURE, "request.from-future", RETRYABLE, "the request's time is in the future")                   \
    X(REQUEST_AUTH_MISSING, "request.auth-missing", SECURITY, "this requester must authenticate its requests")        \
    X(REQUEST_AUTH_INVALID, "request.auth-invalid", SECURITY, "the request's authentication does not verify")         \
    X(REQUEST_REASON_INVALID, "request.reason-invalid", PERMANENT, "no reason that one may give for a revocation")    \
    X(REQUEST_SERIAL_INVALID, "request.serial-invalid", PERMANENT, "not a serial number: 1 to 20 octets, positive")   \
    /* who may have what */                                                                                           \
    X(POLICY_DEVICE_NOT_ALLOWED, "policy.device-not-allowed", PERMANENT, "the device is not on the allow-list")       \
    X(POLICY_DEVICE_STATE, "policy.device-state", PERMANENT, "the device's state does not allow enrolment")           \
    X(POLICY_DEVICE_REVOKED, "policy.device-revoked", RETRYABLE, "the device was revoked while it was being served")  \
    X(POLICY_DEVICE_INVALID, "policy.device-invalid", PERMANENT, "not 1 to 255 bytes of UTF-8, or the engine's own")   \
    X(POLICY_GROUP_NOT_ALLOWED, "policy.group-not-allowed", SECURITY, "the requester may not ask for this group")     \
    X(POLICY_PROFILE_UNKNOWN, "policy.profile-unknown", PERMANENT, "no such profile")                                 \
    X(POLICY_PROFILE_NOT_ALLOWED, "policy.profile-not-allowed", SECURITY, "the device's group does not allow it")     \
    X(POLICY_QUOTA_EXCEEDED, "policy.quota-exceeded", PERMANENT, "the quota is used up")                              \
    X(POLICY_KEY_TYPE_NOT_ALLOWED, "policy.key-type-not-allowed", PERMANENT, "the profile allows other key types")    \
    X(POLICY_ATTRIBUTE_MISSING, "policy.attribute-missing", PERMANENT, "the profile needs an absent attribute")       \
    X(POLICY_NAME_NOT_ALLOWED, "policy.name-not-allowed", PERMANENT, "the profile does not allow a name like this")   \
    X(POLICY_ISSUER_EXPIRED, "policy.issuer-expired", RETRYABLE, "the issuing certificate's validity has ended")      \
    X(POLICY_OPERATION_NOT_ALLOWED, "policy.operation-not-allowed", SECURITY, "not an operation of this requester")   \
    X(POLICY_DUAL_CONTROL, "policy.dual-control", SECURITY, "it wants a plan that several operators approve")         \
    /* what becomes of a certificate that ends */                                                                     \
    X(RENEW_UNKNOWN, "renew.unknown", PERMANENT, "there is no such certificate to renew")                             \
    X(RENEW_NOT_OWNED, "renew.not-owned", SECURITY, "the certificate is another device's")                            \
    X(RENEW_REVOKED, "renew.revoked", SECURITY, "the certificate is revoked or on hold")                              \
    X(RENEW_TOO_EARLY, "renew.too-early", RETRYABLE, "the time to renew the certificate has not come")                \
    X(RENEW_EXPIRED, "renew.expired", PERMANENT, "the certificate has ended, too long ago to be renewed")             \
    X(RENEW_SAME_KEY_REQUIRED, "renew.same-key-required", PERMANENT, "the group's certificates keep their keys")      \
    X(RENEW_NEW_KEY_REQUIRED, "renew.new-key-required", PERMANENT, "the group wants a new key for every renewal")     \
    /* what a certificate is worth */                                                                                 \
    X(REVOKE_SERIAL_UNKNOWN, "revoke.serial-unknown", PERMANENT, "no certificate with this serial number is ours")    \
    X(REVOKE_ISSUER_MISSING, "revoke.issuer-missing", PERMANENT, "several issuers have issued this serial number")    \
    X(REVOKE_DEVICE_UNKNOWN, "revoke.device-unknown", PERMANENT, "the device is not on the allow-list")               \
    X(REVOKE_GROUP_UNKNOWN, "revoke.group-unknown", PERMANENT, "no device was ever of this group")                    \
    X(REVOKE_GROUP_NOT_ALLOWED, "revoke.group-not-allowed", SECURITY, "the requester has no right to this group")     \
    X(REVOKE_NOT_ON_HOLD, "revoke.not-on-hold", PERMANENT, "what is to be reinstated is not on hold"             )   \
    X(REVOKE_FINAL, "revoke.final", PERMANENT, "the device is retired, for good")                                     \
    X(REVOKE_DATE_INVALID, "revoke.date-invalid", PERMANENT, "a date that is missing or in the future")               \
    /* DER */                                                                                                         \
    X(DER_EMPTY, "der.empty", PERMANENT, "nothing there")                                                             \
    X(DER_TRUNCATED, "der.truncated", PERMANENT, "the encoding ends too early")                                       \
    X(DER_TRAILING_DATA, "der.trailing-data", PERMANENT, "bytes behind the end")                                      \
    X(DER_INDEFINITE_LENGTH, "der.indefinite-length", PERMANENT, "BER, not DER")                                      \
    X(DER_LENGTH_NOT_MINIMAL, "der.length-not-minimal", PERMANENT, "a length is longer than it must be")              \
    X(DER_LENGTH_OVERFLOW, "der.length-overflow", PERMANENT, "a length beyond any input")                             \
    X(DER_UNEXPECTED_TAG, "der.unexpected-tag", PERMANENT, "another type stands where one was expected")              \
    X(DER_UNEXPECTED_LENGTH, "der.unexpected-length", PERMANENT, "a primitive of an impossible size")                 \
    X(DER_TOO_DEEP, "der.too-deep", PERMANENT, "nested too deeply")                                                   \
    X(DER_TOO_MANY_ELEMENTS, "der.too-many-elements", PERMANENT, "more elements than the limit")                      \
    X(DER_TOO_FEW_ELEMENTS, "der.too-few-elements", PERMANENT, "an element that must be there is not")                \
    X(DER_TOO_LARGE, "der.too-large", PERMANENT, "larger than the limit")                                             \
    X(DER_INTEGER_NOT_MINIMAL, "der.integer-not-minimal", PERMANENT, "an INTEGER has redundant leading octets")       \
    X(DER_INTEGER_NEGATIVE, "der.integer-negative", PERMANENT, "an INTEGER that must not be negative is")             \
    X(DER_BOOLEAN_NOT_CANONICAL, "der.boolean-not-canonical", PERMANENT, "TRUE is 0xFF in DER")                       \
    X(DER_DEFAULT_ENCODED, "der.default-encoded", PERMANENT, "a DEFAULT value is encoded")                            \
    X(DER_BITSTRING_UNUSED_BITS, "der.bitstring-unused-bits", PERMANENT, "a BIT STRING with unused bits")             \
    X(DER_STRING_CONSTRUCTED, "der.string-constructed", PERMANENT, "a constructed string")                            \
    X(DER_OID_INVALID, "der.oid-invalid", PERMANENT, "not an OBJECT IDENTIFIER")                                      \
    X(DER_OID_TOO_LONG, "der.oid-too-long", PERMANENT, "an OBJECT IDENTIFIER longer than 64 octets")                  \
    /* PEM */                                                                                                         \
    X(PEM_TEXT_OUTSIDE, "pem.text-outside", PERMANENT, "text outside the PEM block")                                  \
    X(PEM_MULTIPLE_BLOCKS, "pem.multiple-blocks", PERMANENT, "more than one PEM block")                               \
    X(PEM_WRONG_LABEL, "pem.wrong-label", PERMANENT, "not a certificate request")                                     \
    X(PEM_HEADERS_NOT_ALLOWED, "pem.headers-not-allowed", PERMANENT, "encapsulated headers are not allowed")          \
    X(PEM_UNTERMINATED, "pem.unterminated", PERMANENT, "no END line that matches")                                    \
    X(PEM_BASE64_INVALID, "pem.base64-invalid", PERMANENT, "not base64")                                              \
    X(PEM_EMPTY, "pem.empty", PERMANENT, "an empty PEM block")                                                        \
    /* the certificate request */                                                                                     \
    X(CSR_IS_CERTIFICATE, "csr.is-certificate", PERMANENT, "this is a certificate, not a request")                    \
    X(CSR_IS_PRIVATE_KEY, "csr.is-private-key", SECURITY, "this is a private key; treat it as compromised")           \
    X(CSR_VERSION, "csr.version", PERMANENT, "not version 0 (v1)")                                                    \
    X(CSR_ATTRIBUTES_MISSING, "csr.attributes-missing", PERMANENT, "the attributes field is absent")                  \
    X(CSR_ATTR_DUPLICATE, "csr.attr-duplicate", PERMANENT, "an attribute stands twice")                               \
    X(CSR_ATTR_VALUE_COUNT, "csr.attr-value-count", PERMANENT, "an attribute has another number of values than one")  \
    X(CSR_ATTR_NOT_ALLOWED, "csr.attr-not-allowed", PERMANENT, "an attribute that is not accepted")                   \
    X(CSR_EXT_DUPLICATE, "csr.ext-duplicate", PERMANENT, "an extension stands twice")                                 \
    X(CSR_EXT_MALFORMED, "csr.ext-malformed", PERMANENT, "an extension's value is malformed")                         \
    X(CSR_EXT_NOT_ALLOWED, "csr.ext-not-allowed", PERMANENT, "an extension that only the issuer may set")             \
    X(CSR_EXT_CRITICAL_UNKNOWN, "csr.ext-critical-unknown", PERMANENT, "an unknown extension marked critical")        \
    X(CSR_EXT_CA_REQUESTED, "csr.ext-ca-requested", SECURITY, "asks to be a certificate authority")                   \
    X(CSR_EXT_KEYUSAGE_NOT_ALLOWED, "csr.ext-keyusage-not-allowed", SECURITY, "asks for a CA's key usage")            \
    X(CSR_EXT_EKU_NOT_ALLOWED, "csr.ext-eku-not-allowed", SECURITY, "asks for a key purpose that is not allowed")     \
    X(CSR_SIGNATURE_INVALID, "csr.signature-invalid", PERMANENT, "the proof of possession does not verify")           \
    X(CSR_SIGNATURE_ENCODING, "csr.signature-encoding", PERMANENT, "the signature is not strict DER")                 \
    X(CSR_SIGALG_NOT_ALLOWED, "csr.sigalg-not-allowed", PERMANENT, "signature algorithm not allowed")                 \
    X(CSR_SIGALG_MISMATCH, "csr.sigalg-mismatch", PERMANENT, "signature algorithm and key type differ")               \
    X(CSR_SIGALG_PARAMS, "csr.sigalg-params", PERMANENT, "signature algorithm parameters not allowed")                \
    /* names */                                                                                                       \
    X(NAME_EMPTY, "name.empty", PERMANENT, "an empty name")                                                           \
    X(NAME_NUL, "name.nul", SECURITY, "a NUL character in a name")                                                    \
    X(NAME_STRING_TYPE, "name.string-type", PERMANENT, "a string type that is not accepted in names")                 \
    X(NAME_CHARSET, "name.charset", PERMANENT, "a character outside the string type's set")                           \
    X(NAME_UTF8_INVALID, "name.utf8-invalid", PERMANENT, "not UTF-8")                                                 \
    X(NAME_CONTROL_CHAR, "name.control-char", PERMANENT, "a control character in a name")                             \
    X(NAME_BIDI, "name.bidi", SECURITY, "a bidirectional control in a name")                                          \
    X(NAME_INVISIBLE, "name.invisible", SECURITY, "an invisible character in a name")                                 \
    X(NAME_TOO_LONG, "name.too-long", PERMANENT, "longer than RFC 5280's upper bound")                                \
    X(NAME_WHITESPACE, "name.whitespace", PERMANENT, "leading or trailing white space")                               \
    X(NAME_ATTR_DUPLICATE, "name.attr-duplicate", PERMANENT, "a name attribute stands twice")                         \
    X(NAME_MULTIVALUED_RDN, "name.multivalued-rdn", PERMANENT, "a multi-valued RDN")                                  \
    X(NAME_ATTR_NOT_ALLOWED, "name.attr-not-allowed", PERMANENT, "a name attribute that is not accepted")             \
    X(NAME_IS_ISSUER, "name.is-issuer", SECURITY, "the subject is the issuer's own name")                             \
    X(SAN_EMPTY, "san.empty", PERMANENT, "a subject alternative name extension with no names")                        \
    X(SAN_NUL, "san.nul", SECURITY, "a NUL character in a subject alternative name")                                  \
    X(SAN_NOT_ASCII, "san.not-ascii", PERMANENT, "a byte above 0x7F in an IA5String")                                 \
    X(SAN_DNS_SYNTAX, "san.dns-syntax", PERMANENT, "not a DNS name")                                                  \
    X(SAN_WILDCARD, "san.wildcard", PERMANENT, "a wildcard")                                                          \
    X(SAN_IDN_INVALID, "san.idn-invalid", PERMANENT, "a label that only an internationalised name may have")          \
    X(SAN_IP_LENGTH, "san.ip-length", PERMANENT, "an IP address has 4 or 16 octets")                                  \
    X(SAN_IP_NOT_ALLOWED, "san.ip-not-allowed", PERMANENT, "an address that names no single device")                  \
    X(SAN_TYPE_NOT_ALLOWED, "san.type-not-allowed", PERMANENT, "a kind of name that is not accepted")                 \
    X(SAN_EMAIL_SYNTAX, "san.email-syntax", PERMANENT, "not a mail address")                                          \
    X(SAN_URI_SYNTAX, "san.uri-syntax", PERMANENT, "not an absolute URI")                                             \
    X(SAN_TOO_MANY, "san.too-many", PERMANENT, "more names than the limit")                                           \
    X(SAN_DUPLICATE, "san.duplicate", PERMANENT, "the same name twice")                                               \
    X(SAN_NOT_OWNED, "san.not-owned", SECURITY, "a name of another device")                                           \
    /* keys */                                                                                                        \
    X(KEY_ALG_NOT_ALLOWED, "key.alg-not-allowed", PERMANENT, "a key algorithm that is not accepted")                  \
    X(KEY_ENCODING, "key.encoding", PERMANENT, "the public key's encoding is malformed")                              \
    X(KEY_RSA_SIZE, "key.rsa-size", PERMANENT, "an RSA modulus size that is not accepted")                            \
    X(KEY_RSA_EXPONENT, "key.rsa-exponent", SECURITY, "an RSA exponent other than 65537")                             \
    X(KEY_RSA_NEGATIVE, "key.rsa-negative", PERMANENT, "a negative RSA modulus")                                      \
    X(KEY_RSA_MODULUS_EVEN, "key.rsa-modulus-even", SECURITY, "an even RSA modulus")                                  \
    X(KEY_RSA_SMALL_FACTOR, "key.rsa-small-factor", SECURITY, "an RSA modulus with a small prime factor")             \
    X(KEY_RSA_CLOSE_PRIMES, "key.rsa-close-primes", SECURITY, "an RSA modulus of two close primes")                   \
    X(KEY_RSA_ROCA, "key.rsa-roca", SECURITY, "an RSA key of the ROCA kind (CVE-2017-15361)")                         \
    X(KEY_RSA_PATTERN, "key.rsa-pattern", SECURITY, "an RSA modulus with a repeating pattern")                        \
    X(KEY_EC_CURVE_NOT_ALLOWED, "key.ec-curve-not-allowed", PERMANENT, "an elliptic curve that is not accepted")      \
    X(KEY_EC_EXPLICIT_PARAMS, "key.ec-explicit-params", SECURITY, "explicit curve parameters (RFC 5480, 2.1.1)")      \
    X(KEY_EC_POINT_FORMAT, "key.ec-point-format", PERMANENT, "not an uncompressed point")                             \
    X(KEY_EC_INFINITY, "key.ec-infinity", PERMANENT, "the point at infinity")                                         \
    X(KEY_EC_POINT_INVALID, "key.ec-point-invalid", SECURITY, "not a point of the curve")                             \
    X(KEY_ED25519_SMALL_ORDER, "key.ed25519-small-order", SECURITY, "an Ed25519 point of small order")                \
    X(KEY_BLOCKED, "key.blocked", SECURITY, "a key that is known to be compromised")                                  \
    X(KEY_REUSED, "key.reused", SECURITY, "the key is certified for another device")                                  \
    X(KEY_IS_CA_KEY, "key.is-ca-key", SECURITY, "the key of a certificate authority")                                 \
    /* the certificate that would come out */                                                                         \
    X(LINT_FAILED, "lint.failed", SECURITY, "the certificate would break its profile's rules")                        \
    /* failures on our side; answered with status "failed" */                                                        \
    X(ENGINE_SIGNER_FAILED, "engine.signer-failed", RETRYABLE, "the signature could not be made")                     \
    X(ENGINE_INTERNAL, "engine.internal", RETRYABLE, "the engine failed")

/* clang-format on */

enum cm_refusal_code {
    CM_REFUSAL_NONE,
#define X(symbol, code, kind, text) CM_REFUSAL_##symbol,
    CM_REFUSAL_MAP(X)
#undef X
        CM_REFUSAL_COUNT
};

#define CM_REFUSAL_MESSAGE_SIZE 256
#define CM_REFUSAL_NO_OFFSET    SIZE_MAX

struct cm_refusal {
    enum cm_refusal_code code; /* CM_REFUSAL_NONE: not refused */
    char message[CM_REFUSAL_MESSAGE_SIZE];
};

const char *cm_refusal_name(enum cm_refusal_code code); /* "der.trailing-data" */
const char *cm_refusal_text(enum cm_refusal_code code); /* the list's sentence */
enum cm_refusal_kind cm_refusal_kind_of(enum cm_refusal_code code);

/* The code with this dotted name; CM_REFUSAL_NONE when there is none. */
enum cm_refusal_code cm_refusal_find(const char *name);

/*
 * Fills *refusal and returns false, so that a checking function can refuse in one line. An offset
 * (bytes into the CSR) is appended as " at offset N" unless it is CM_REFUSAL_NO_OFFSET. With a
 * NULL format the list's sentence is the message.
 */
#define cm_refuse(...) (cm_refusal_fill(__VA_ARGS__), cm_refused())

/* False, so that the compiler knows it, too: what follows a refusal is not reached. */
static inline bool cm_refused(void)
{
    return false;
}

void cm_refusal_fill(struct cm_refusal *refusal, enum cm_refusal_code code, size_t offset,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
