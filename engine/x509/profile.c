#include "engine/x509/profile.h"

#include "engine/base/bytes.h"
#include "engine/x509/der_writer.h"

#define PURPOSES_SIZE_MAX (16 * (2 + 2 + CM_DER_OID_SIZE_MAX) + 8)

#define DAY_S      INT64_C(86400)
#define YEAR_S     (365 * DAY_S)
#define BACKDATE_S 300 /* devices whose clock is a little slow */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct cm_subject_rule device_subject[] = { { CM_SUBJECT_CN, "${device}", false } };

static const struct cm_subject_rule idevid_subject[] = {
    { CM_SUBJECT_O, "${attr:o}", true },
    { CM_SUBJECT_CN, "${attr:model}", true },
    { CM_SUBJECT_SERIAL_NUMBER, "${attr:serial|device}", false },
};

static const struct cm_subject_rule ldevid_subject[] = {
    { CM_SUBJECT_CN, "${device}", false },
    { CM_SUBJECT_SERIAL_NUMBER, "${attr:serial}", true },
};

static const struct cm_subject_rule authority_subject[] = {
    { CM_SUBJECT_C, "${attr:c}", true },
    { CM_SUBJECT_O, "${attr:o}", true },
    { CM_SUBJECT_CN, "${attr:cn|device}", false },
};

static const struct cm_altname_rule server_altnames[] = {
    { CM_ALTNAME_DNS, "${attr:dns|device}", NULL, false },
    { CM_ALTNAME_IP, "${attr:ip}", NULL, true },
};

static const struct cm_altname_rule idevid_altnames[] = {
    { CM_ALTNAME_HARDWARE_MODULE, "${attr:hw-serial}", "${attr:hw-type}", true },
};

static const char *const client[] = { "client-auth" };
static const char *const server[] = { "server-auth" };
static const char *const ocsp_signing[] = { "ocsp-signing" };
static const char *const client_and_server[] = { "client-auth", "server-auth" };

#define SUBJECT(rules)  .subject = (rules), .subject_count = COUNT(rules)
#define ALTNAMES(rules) .altnames = (rules), .altnames_count = COUNT(rules)
#define PURPOSES(list)  .purposes = (list), .purposes_count = COUNT(list)
#define LEAF            .path_len = CM_PATH_LEN_NONE, .basic_constraints = true
#define USAGE(ec, rsa)  .key_usage = (ec), .key_usage_rsa = (rsa)
#define SIGN            CM_USAGE_DIGITAL_SIGNATURE
#define CA_SIGN         (CM_USAGE_KEY_CERT_SIGN | CM_USAGE_CRL_SIGN)
#define SERVER_RSA      (CM_USAGE_DIGITAL_SIGNATURE | CM_USAGE_KEY_ENCIPHERMENT)
#define SERVER_CSR_NAMES                                                                           \
    .csr_altnames = CM_ALTNAME_BIT(CM_ALTNAME_DNS) | CM_ALTNAME_BIT(CM_ALTNAME_IP),                \
    .csr_names_must_match = true
#define LIFE(validity) .validity_s = (validity), .backdate_s = BACKDATE_S
#define ANY_KEY        .key_types = CM_KEY_TYPES_ALL

static const struct cm_profile builtins[] = {
    { .name = "device-client",
      SUBJECT(device_subject),
      PURPOSES(client),
      LEAF,
      ANY_KEY,
      LIFE(YEAR_S),
      USAGE(SIGN, SIGN) },
    { .name = "device-server",
      SUBJECT(device_subject),
      ALTNAMES(server_altnames),
      PURPOSES(server),
      LEAF,
      ANY_KEY,
      SERVER_CSR_NAMES,
      LIFE(YEAR_S),
      USAGE(SIGN, SERVER_RSA) },
    { .name = "gateway",
      SUBJECT(device_subject),
      ALTNAMES(server_altnames),
      PURPOSES(client_and_server),
      LEAF,
      ANY_KEY,
      SERVER_CSR_NAMES,
      LIFE(YEAR_S),
      USAGE(SIGN, SERVER_RSA) },
    /* IEEE 802.1AR: lives as long as the device, names it by serial number, no purposes. */
    { .name = "idevid",
      SUBJECT(idevid_subject),
      ALTNAMES(idevid_altnames),
      LEAF,
      ANY_KEY,
      LIFE(CM_VALIDITY_NO_EXPIRY),
      USAGE(SIGN, SIGN) },
    { .name = "ldevid",
      SUBJECT(ldevid_subject),
      PURPOSES(client),
      LEAF,
      ANY_KEY,
      LIFE(2 * YEAR_S),
      USAGE(SIGN, SIGN) },
    { .name = "sub-ca",
      SUBJECT(authority_subject),
      .ca = true,
      .path_len = 0,
      ANY_KEY,
      LIFE(5 * YEAR_S),
      USAGE(CA_SIGN, CA_SIGN) },
    /* One level of CAs below it, which is what sub-ca asks for. */
    { .name = "issuing-ca",
      SUBJECT(authority_subject),
      .ca = true,
      .path_len = 1,
      ANY_KEY,
      LIFE(10 * YEAR_S),
      USAGE(CA_SIGN, CA_SIGN) },
    { .name = "root-ca",
      SUBJECT(authority_subject),
      .ca = true,
      .path_len = CM_PATH_LEN_NONE,
      ANY_KEY,
      LIFE(20 * YEAR_S),
      USAGE(CA_SIGN, CA_SIGN),
      .no_revocation_info = true },
    /* Short-lived, and not asked about itself (RFC 6960, 4.2.2.2.1). */
    { .name = "ocsp-responder",
      SUBJECT(device_subject),
      PURPOSES(ocsp_signing),
      LEAF,
      ANY_KEY,
      LIFE(30 * DAY_S),
      USAGE(SIGN, SIGN),
      .no_revocation_info = true,
      .ocsp_no_check = true },
};

static const char *const altname_kinds[CM_ALTNAME_COUNT] = {
#define X(symbol, name) [CM_ALTNAME_##symbol] = name,
    CM_ALTNAME_MAP(X)
#undef X
};

static const struct {
    const char *name;
    unsigned bit;
} key_usages[] = {
#define X(symbol, name, bit) { name, 1u << (bit) },
    CM_KEY_USAGE_MAP(X)
#undef X
};

static const struct {
    const char *name;
    const char *oid;
} purposes[] = {
#define X(name, oid) { name, oid },
    CM_PURPOSE_MAP(X)
#undef X
};

const struct cm_profile *cm_profile_builtin_at(size_t index)
{
    return index < COUNT(builtins) ? &builtins[index] : NULL;
}

const struct cm_profile *cm_profile_builtin(const char *name)
{
    for (size_t index = 0; index < COUNT(builtins); index++)
        if (strcmp(builtins[index].name, name) == 0)
            return &builtins[index];
    return NULL;
}

const char *cm_altname_kind_name(enum cm_altname_kind kind)
{
    return kind < CM_ALTNAME_COUNT ? altname_kinds[kind] : "unknown";
}

enum cm_altname_kind cm_altname_kind_find(const char *name)
{
    unsigned kind = 0;
    while (kind < CM_ALTNAME_COUNT && strcmp(altname_kinds[kind], name) != 0)
        kind++;
    return (enum cm_altname_kind)kind;
}

unsigned cm_key_usage_find(const char *name)
{
    for (size_t index = 0; index < COUNT(key_usages); index++)
        if (strcmp(key_usages[index].name, name) == 0)
            return key_usages[index].bit;
    return 0;
}

const char *cm_purpose_oid(const char *name)
{
    for (size_t index = 0; index < COUNT(purposes); index++)
        if (strcmp(purposes[index].name, name) == 0)
            return purposes[index].oid;
    return name[0] >= '0' && name[0] <= '2' ? name : NULL;
}

bool cm_profile_has_purposes(const struct cm_profile *profile, struct cm_bytes value)
{
    uint8_t space[PURPOSES_SIZE_MAX];
    struct cm_der_writer w;
    cm_der_writer_init(&w, space, sizeof space);
    if (profile->purposes_count == 0)
        return value.size == 0;
    for (size_t index = profile->purposes_count; index-- > 0;)
        if (!cm_der_put_oid(&w, cm_bytes_str(cm_purpose_oid(profile->purposes[index]))))
            return false;
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    return !w.overflow && cm_bytes_equal(value, cm_der_written(&w));
}
