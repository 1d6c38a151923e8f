/*
 * Profile: the immutable description of one kind of certificate.
 *
 * A profile says where the names come from, what the key may be used for, how long the certificate
 * lives and what it may carry. It is filled once, from the settings or from the built-in list, and
 * never changes afterwards; a template (engine/x509/template.h) joins it with one generation of
 * an issuer, and the linter (engine/x509/lint.h) holds every certificate against it.
 *
 *     const struct cm_profile *profile = cm_profile_builtin("device-client");
 *
 * Text templates. A name's value is a template: literal text with placeholders in it,
 *
 *     ${device}        the device id
 *     ${attr:NAME}     an attribute of the device's record
 *     ${csr:FIELD}     a subject attribute of the request: cn, serial-number, o, ...
 *     ${A|B|C}         the first of these that the request or record has: ${attr:dns|device}
 *     $$               one dollar sign
 *
 * A placeholder without a value is refused with policy.attribute-missing, or, where the rule is
 * optional, leaves the whole name out. An empty value counts as absent.
 *
 * Owns:   nothing. Every pointer here is borrowed from whoever made the profile and lives as
 *         long as the profile; the built-in ones live for ever.
 * Thread: any; nothing here is written after it was made.
 */
#ifndef CM_X509_PROFILE_H
#define CM_X509_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/x509/algorithm.h"

/*
 * Attributes of a subject: X(symbol, name in settings, string type, most characters).
 * The order of a subject is the order of its rules, not of this list.
 */
#define CM_SUBJECT_FIELD_MAP(X)                                                                    \
    X(CN, "cn", UTF8, 64)                                                                          \
    X(SERIAL_NUMBER, "serial-number", PRINTABLE, 64)                                               \
    X(C, "c", PRINTABLE, 2)                                                                        \
    X(ST, "st", UTF8, 128)                                                                         \
    X(L, "l", UTF8, 128)                                                                           \
    X(O, "o", UTF8, 64)                                                                            \
    X(OU, "ou", UTF8, 64)                                                                          \
    X(TITLE, "title", UTF8, 64)                                                                    \
    X(DC, "dc", IA5, 63)                                                                           \
    X(UID, "uid", UTF8, 256)

enum cm_subject_field {
#define X(symbol, name, string, max) CM_SUBJECT_##symbol,
    CM_SUBJECT_FIELD_MAP(X)
#undef X
        CM_SUBJECT_FIELD_COUNT
};

/* Kinds of subject alternative names: X(symbol, name in settings). */
#define CM_ALTNAME_MAP(X)                                                                          \
    X(DNS, "dns")                                                                                  \
    X(URI, "uri")                                                                                  \
    X(IP, "ip")                                                                                    \
    X(EMAIL, "email")                                                                              \
    X(HARDWARE_MODULE, "hardware-module")                                                          \
    X(PERMANENT_ID, "permanent-id")

enum cm_altname_kind {
#define X(symbol, name) CM_ALTNAME_##symbol,
    CM_ALTNAME_MAP(X)
#undef X
        CM_ALTNAME_COUNT
};

/* Key usage: X(symbol, name in settings, bit number of RFC 5280). */
#define CM_KEY_USAGE_MAP(X)                                                                        \
    X(DIGITAL_SIGNATURE, "digital-signature", 0)                                                   \
    X(NON_REPUDIATION, "non-repudiation", 1)                                                       \
    X(KEY_ENCIPHERMENT, "key-encipherment", 2)                                                     \
    X(DATA_ENCIPHERMENT, "data-encipherment", 3)                                                   \
    X(KEY_AGREEMENT, "key-agreement", 4)                                                           \
    X(KEY_CERT_SIGN, "key-cert-sign", 5)                                                           \
    X(CRL_SIGN, "crl-sign", 6)

enum cm_key_usage {
#define X(symbol, name, bit) CM_USAGE_##symbol = 1u << (bit),
    CM_KEY_USAGE_MAP(X)
#undef X
};

/* Purposes (extended key usage) that have a name in settings; any other is a dotted OID. */
#define CM_PURPOSE_MAP(X)                                                                          \
    X("server-auth", "1.3.6.1.5.5.7.3.1")                                                          \
    X("client-auth", "1.3.6.1.5.5.7.3.2")                                                          \
    X("code-signing", "1.3.6.1.5.5.7.3.3")                                                         \
    X("email-protection", "1.3.6.1.5.5.7.3.4")                                                     \
    X("time-stamping", "1.3.6.1.5.5.7.3.8")                                                        \
    X("ocsp-signing", "1.3.6.1.5.5.7.3.9")                                                         \
    X("ipsec-ike", "1.3.6.1.5.5.7.3.17")

/* How the subject key identifier is made from the bits of the public key. */
enum cm_ski_method {
    CM_SKI_RFC7093_1, /* "rfc7093-1": leftmost 160 bits of SHA-256; the default */
    CM_SKI_RFC5280_1  /* "rfc5280-1": SHA-1 */
};

#define CM_SKI_SIZE           20        /* bytes, either method */
#define CM_SKI_SIZE_MAX       64        /* of CAs that are not ours */
#define CM_PATH_LEN_NONE      (-1)      /* no pathLenConstraint */
#define CM_VALIDITY_NO_EXPIRY INT64_MAX /* notAfter is 99991231235959Z (RFC 5280, 4.1.2.5) */
#define CM_SUBJECT_RULES_MAX  16        /* rules of one profile */
#define CM_ALTNAMES_MAX       64        /* names in one certificate */

#define CM_ALTNAME_BIT(kind)  (1u << (kind))
#define CM_KEY_TYPE_BIT(type) (1u << (type))
#define CM_KEY_TYPES_ALL                                                                           \
    (CM_KEY_TYPE_BIT(CM_KEY_P256) | CM_KEY_TYPE_BIT(CM_KEY_P384) | CM_KEY_TYPE_BIT(CM_KEY_P521)    \
     | CM_KEY_TYPE_BIT(CM_KEY_RSA) | CM_KEY_TYPE_BIT(CM_KEY_ED25519))

/* One attribute of the subject. */
struct cm_subject_rule {
    enum cm_subject_field field;
    const char *text; /* template */
    bool optional;
};

/* One subject alternative name. IP addresses are written as text. */
struct cm_altname_rule {
    enum cm_altname_kind kind;
    const char *text; /* template; the serial number or identifier of the last two kinds */
    const char *oid;  /* template of a dotted OID: hwType of HARDWARE_MODULE (must be there),
                         assigner of PERMANENT_ID (may be NULL) */
    bool optional;
};

struct cm_profile {
    const char *name;

    const struct cm_subject_rule *subject;
    size_t subject_count;
    const struct cm_altname_rule *altnames;
    size_t altnames_count;
    unsigned csr_altnames; /* CM_ALTNAME_BIT()s that may be taken from the CSR: the first four */
    bool
        csr_names_must_match; /* a name from the CSR equals the device id or one of its attributes */
    bool csr_names_strict;    /* names in the CSR of other kinds are refused, not left out */

    bool ca;
    int path_len; /* CM_PATH_LEN_NONE, or 0 and up; only with ca */
    /* Name constraints, "dns:example.com" (engine/x509/subtree.h); only with ca; critical. */
    const char *const *permitted_names;
    size_t permitted_names_count;
    const char *const *excluded_names;
    size_t excluded_names_count;
    bool basic_constraints; /* write cA FALSE (an empty sequence) in a leaf */

    int64_t validity_s; /* or CM_VALIDITY_NO_EXPIRY */
    int64_t backdate_s; /* notBefore lies this far before the moment of issue */

    unsigned key_types;     /* CM_KEY_TYPE_BIT()s of subject keys */
    unsigned key_usage;     /* enum cm_key_usage bits, for EC and Ed25519 keys; critical */
    unsigned key_usage_rsa; /* the same for RSA keys */

    const char *const *purposes; /* names of CM_PURPOSE_MAP or dotted OIDs */
    size_t purposes_count;
    bool purposes_critical;
    const char *const *policies; /* dotted OIDs of certificate policies */
    size_t policies_count;

    enum cm_ski_method ski_method;
    bool no_revocation_info; /* leave out CRL distribution point and authority information access */
    bool ocsp_no_check;      /* write id-pkix-ocsp-nocheck; only with the purpose ocsp-signing */
};

/*
 * Built-in profiles: device-client, device-server, gateway, idevid, ldevid, sub-ca, root-ca,
 * issuing-ca; ocsp-responder, for responders that the engine issues certificates to by itself. NULL when there is none of that name. Static. docs/reference/settings.md shows what
 * they hold; cm_profile_builtin_at lists them (NULL past the end).
 */
const struct cm_profile *cm_profile_builtin(const char *name);
const struct cm_profile *cm_profile_builtin_at(size_t index);

/*
 * Does:       checks what can be said of a profile without an issuer: templates parse, OIDs are
 *             OIDs, masks and numbers are in range, CA bits only where ca is set.
 * Fails with: CM_MALFORMED, with a text that names the part ("subject[1]: ...").
 */
CM_MUST_USE cm_status cm_profile_check(const struct cm_profile *profile, struct cm_error *err);

/* Names in settings. The finders return the _COUNT of their enum when there is none; the key
   usage finder 0; the purpose finder NULL. */
const char *cm_subject_field_name(enum cm_subject_field field);
enum cm_subject_field cm_subject_field_find(const char *name, size_t name_size);
const char *cm_altname_kind_name(enum cm_altname_kind kind);
enum cm_altname_kind cm_altname_kind_find(const char *name);
unsigned cm_key_usage_find(const char *name);
const char *cm_purpose_oid(const char *name); /* dotted OID of a name, or the dotted OID itself */

/* Whether the value of an extended key usage (a SEQUENCE; empty: absent) is what the profile writes. */
bool cm_profile_has_purposes(const struct cm_profile *profile, struct cm_bytes value);

#endif
