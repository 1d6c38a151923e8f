/*
 * OIDs: the object identifiers that certmill knows, and dotted text for those it does not.
 *
 * One list makes the enum, the encodings and the names in messages. An encoding here is the content
 * of an OBJECT IDENTIFIER, without tag and length. Pure data; any thread.
 */
#ifndef CM_X509_OID_H
#define CM_X509_OID_H

#include "engine/base/bytes.h"

/* X(symbol, name, content octets) */
/* clang-format off */
#define CM_OID_MAP(X)                                                                     \
    /* keys and curves */                                                                 \
    X(RSA_ENCRYPTION, "rsaEncryption", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")            \
    X(RSA_PSS, "id-RSASSA-PSS", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")                   \
    X(EC_PUBLIC_KEY, "id-ecPublicKey", "\x2a\x86\x48\xce\x3d\x02\x01")                    \
    X(ED25519, "id-Ed25519", "\x2b\x65\x70")                                              \
    X(P256, "secp256r1", "\x2a\x86\x48\xce\x3d\x03\x01\x07")                              \
    X(P384, "secp384r1", "\x2b\x81\x04\x00\x22")                                          \
    X(P521, "secp521r1", "\x2b\x81\x04\x00\x23")                                          \
    /* attributes of a certificate request */                                             \
    X(CHALLENGE_PASSWORD, "challengePassword", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07")    \
    X(EXTENSION_REQUEST, "extensionRequest", "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")      \
    /* name attributes */                                                                 \
    X(COMMON_NAME, "commonName", "\x55\x04\x03")                                          \
    X(SERIAL_NUMBER, "serialNumber", "\x55\x04\x05")                                      \
    X(COUNTRY, "countryName", "\x55\x04\x06")                                             \
    X(LOCALITY, "localityName", "\x55\x04\x07")                                           \
    X(STATE, "stateOrProvinceName", "\x55\x04\x08")                                       \
    X(STREET, "streetAddress", "\x55\x04\x09")                                            \
    X(ORGANIZATION, "organizationName", "\x55\x04\x0a")                                   \
    X(ORGANIZATIONAL_UNIT, "organizationalUnitName", "\x55\x04\x0b")                      \
    X(TITLE, "title", "\x55\x04\x0c")                                                     \
    X(DN_QUALIFIER, "dnQualifier", "\x55\x04\x2e")                                        \
    X(USER_ID, "userId", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01")                      \
    X(DOMAIN_COMPONENT, "domainComponent", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19")    \
    /* extensions */                                                                      \
    X(SUBJECT_KEY_ID, "subjectKeyIdentifier", "\x55\x1d\x0e")                             \
    X(KEY_USAGE, "keyUsage", "\x55\x1d\x0f")                                              \
    X(SUBJECT_ALT_NAME, "subjectAltName", "\x55\x1d\x11")                                 \
    X(ISSUER_ALT_NAME, "issuerAltName", "\x55\x1d\x12")                                   \
    X(BASIC_CONSTRAINTS, "basicConstraints", "\x55\x1d\x13")                              \
    X(CRL_NUMBER, "cRLNumber", "\x55\x1d\x14")                                            \
    X(REASON_CODE, "reasonCode", "\x55\x1d\x15")                                          \
    X(INVALIDITY_DATE, "invalidityDate", "\x55\x1d\x18")                                  \
    X(DELTA_CRL_INDICATOR, "deltaCRLIndicator", "\x55\x1d\x1b")                           \
    X(ISSUING_DISTRIBUTION_POINT, "issuingDistributionPoint", "\x55\x1d\x1c")             \
    X(NAME_CONSTRAINTS, "nameConstraints", "\x55\x1d\x1e")                                \
    X(CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints", "\x55\x1d\x1f")                   \
    X(CERTIFICATE_POLICIES, "certificatePolicies", "\x55\x1d\x20")                        \
    X(POLICY_MAPPINGS, "policyMappings", "\x55\x1d\x21")                                  \
    X(AUTHORITY_KEY_ID, "authorityKeyIdentifier", "\x55\x1d\x23")                         \
    X(POLICY_CONSTRAINTS, "policyConstraints", "\x55\x1d\x24")                            \
    X(EXTENDED_KEY_USAGE, "extKeyUsage", "\x55\x1d\x25")                                  \
    X(FRESHEST_CRL, "freshestCRL", "\x55\x1d\x2e")                                        \
    X(INHIBIT_ANY_POLICY, "inhibitAnyPolicy", "\x55\x1d\x36")                             \
    X(NO_REV_AVAIL, "noRevAvail", "\x55\x1d\x38")                                         \
    X(AUTHORITY_INFO_ACCESS, "authorityInfoAccess", "\x2b\x06\x01\x05\x05\x07\x01\x01")   \
    X(TLS_FEATURE, "tlsFeature", "\x2b\x06\x01\x05\x05\x07\x01\x18")                      \
    X(OCSP_NO_CHECK, "ocspNoCheck", "\x2b\x06\x01\x05\x05\x07\x30\x01\x05")               \
    X(OCSP_NONCE, "ocspNonce", "\x2b\x06\x01\x05\x05\x07\x30\x01\x02")                    \
    X(SCT_LIST, "signedCertificateTimestampList", "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02") \
    X(CT_POISON, "ctPoison", "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03")                  \
    X(MS_NTDS_SECURITY, "ntdsCASecurityExt", "\x2b\x06\x01\x04\x01\x82\x37\x19\x02")      \
    X(MS_CERTIFICATE_TEMPLATE, "certificateTemplate", "\x2b\x06\x01\x04\x01\x82\x37\x15\x07") \
    X(MS_ENROLL_CERTTYPE, "enrollCerttype", "\x2b\x06\x01\x04\x01\x82\x37\x14\x02")       \
    /* key purposes */                                                                    \
    X(ANY_EXTENDED_KEY_USAGE, "anyExtendedKeyUsage", "\x55\x1d\x25\x00")                  \
    X(SERVER_AUTH, "serverAuth", "\x2b\x06\x01\x05\x05\x07\x03\x01")                      \
    X(CLIENT_AUTH, "clientAuth", "\x2b\x06\x01\x05\x05\x07\x03\x02")                      \
    X(CODE_SIGNING, "codeSigning", "\x2b\x06\x01\x05\x05\x07\x03\x03")                    \
    X(EMAIL_PROTECTION, "emailProtection", "\x2b\x06\x01\x05\x05\x07\x03\x04")            \
    X(TIME_STAMPING, "timeStamping", "\x2b\x06\x01\x05\x05\x07\x03\x08")                  \
    X(OCSP_SIGNING, "OCSPSigning", "\x2b\x06\x01\x05\x05\x07\x03\x09")                    \
    /* access methods and other names */                                                  \
    X(AD_OCSP, "id-ad-ocsp", "\x2b\x06\x01\x05\x05\x07\x30\x01")                          \
    X(AD_CA_ISSUERS, "id-ad-caIssuers", "\x2b\x06\x01\x05\x05\x07\x30\x02")               \
    X(HARDWARE_MODULE_NAME, "id-on-hardwareModuleName", "\x2b\x06\x01\x05\x05\x07\x08\x04")\
    /* OCSP */                                                                            \
    X(OCSP_BASIC, "id-pkix-ocsp-basic", "\x2b\x06\x01\x05\x05\x07\x30\x01\x01")           \
    X(SHA1, "id-sha1", "\x2b\x0e\x03\x02\x1a")                                            \
    X(SHA256, "id-sha256", "\x60\x86\x48\x01\x65\x03\x04\x02\x01")
/* clang-format on */

enum cm_oid {
    CM_OID_UNKNOWN,
#define X(symbol, name, octets) CM_OID_##symbol,
    CM_OID_MAP(X)
#undef X
        CM_OID_COUNT
};

/* Content octets; empty for CM_OID_UNKNOWN. Static. */
struct cm_bytes cm_oid_content(enum cm_oid oid);
const char *cm_oid_name(enum cm_oid oid); /* "commonName" */

enum cm_oid cm_oid_find(struct cm_bytes content);

/* Room for the dotted text of any OID that the DER reader lets through. */
#define CM_OID_TEXT_SIZE 200

/* Writes "2.5.4.3" for valid content octets, cut to fit space; arcs beyond 64 bits print as "?". */
const char *cm_oid_dotted(struct cm_bytes content, char *text, size_t space);

#endif
