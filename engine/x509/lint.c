#include "engine/x509/lint.h"

#include <stdio.h>

#include "engine/x509/lint_reader.h"
#include "engine/x509/name_constraints.h"
#include "engine/x509/serial.h"

#define SHARD          "${shard}"
#define LISTS_SIZE_MAX (16 * (2 + 2 + CM_DER_OID_SIZE_MAX) + 8) /* policies */

struct lint {
    struct cm_composer *composer;
    const struct cm_profile *profile;
    const struct cm_issuer *issuer;
    struct cm_bytes subject, ski; /* that were given; empty: the profile's */
    struct cm_public_key key;
    bool key_is_good;
    struct cm_lint_reading read;
};

static const struct cm_extension *find(const struct lint *l, enum cm_oid id)
{
    for (size_t index = 0; index < l->read.extensions_count; index++)
        if (l->read.extensions[index].id == id)
            return &l->read.extensions[index];
    return NULL;
}

/* Both the name and the key are the issuer's: only a CA may be like that. */
static bool is_self_signed(const struct lint *l)
{
    return l->profile->ca && cm_bytes_equal(l->read.spki, l->issuer->spki)
           && cm_bytes_equal(l->read.subject, l->issuer->name);
}

static bool subject_is_empty(const struct lint *l)
{
    return l->read.subject.size == 2; /* a SEQUENCE of nothing */
}

/* --- body ---------------------------------------------------------------------------------------- */

static bool rule_READABLE(const struct lint *l)
{
    return l->read.extensions_count > 0; /* the reader has done the rest */
}

static bool rule_SERIAL_SIZE(const struct lint *l)
{
    return l->read.serial.size >= 1 && l->read.serial.size <= CM_SERIAL_SIZE_MAX;
}

static bool rule_SERIAL_POSITIVE(const struct lint *l)
{
    uint8_t first = l->read.serial.data[0];
    return first < 0x80 && (first != 0 || l->read.serial.size > 1);
}

static bool rule_SIGNATURE_ALGORITHM(const struct lint *l)
{
    return cm_bytes_equal(l->read.sigalg, cm_sigalg_der(l->issuer->sigalg));
}

static bool rule_ISSUER_NAME(const struct lint *l)
{
    return l->read.issuer.size > 2 && cm_bytes_equal(l->read.issuer, l->issuer->name);
}

static bool time_is_encoded_well(struct cm_lint_time time)
{
    return (time.tag == CM_DER_UTC_TIME) == (time.time_s <= CM_DER_UTC_TIME_MAX_S);
}

static bool rule_TIME_ENCODING(const struct lint *l)
{
    return time_is_encoded_well(l->read.not_before) && time_is_encoded_well(l->read.not_after);
}

static bool rule_VALIDITY_ORDER(const struct lint *l)
{
    return l->read.not_before.time_s <= l->read.not_after.time_s;
}

static bool rule_VALIDITY_ISSUER(const struct lint *l)
{
    bool has_no_expiry = l->profile->validity_s == CM_VALIDITY_NO_EXPIRY
                         && l->read.not_after.time_s == CM_DER_TIME_MAX_S;
    return l->read.not_before.time_s >= l->issuer->not_before_s
           && l->read.not_before.time_s <= l->issuer->not_after_s
           && (has_no_expiry || l->read.not_after.time_s <= l->issuer->not_after_s);
}

static bool rule_VALIDITY_PROFILE(const struct lint *l)
{
    /* Both ends count. */
    return l->read.not_after.time_s - l->read.not_before.time_s <= l->profile->validity_s - 1;
}

/* --- names --------------------------------------------------------------------------------------- */

static bool rule_SUBJECT_SYNTAX(const struct lint *l)
{
    return l->subject.size > 0 ? cm_bytes_equal(l->read.subject, l->subject)
                               : l->read.subject_is_good;
}

static bool rule_SUBJECT_PROFILE(const struct lint *l)
{
    unsigned allowed[CM_SUBJECT_FIELD_COUNT] = { 0 };
    if (l->subject.size > 0)
        return cm_bytes_equal(l->read.subject, l->subject);
    for (size_t index = 0; index < l->profile->subject_count; index++)
        allowed[l->profile->subject[index].field]++;
    for (size_t field = 0; field < CM_SUBJECT_FIELD_COUNT; field++)
        if (l->read.subject_counts[field] > allowed[field])
            return false;
    return true;
}

static bool rule_SUBJECT_ISSUER(const struct lint *l)
{
    return !cm_bytes_equal(l->read.subject, l->issuer->name) || is_self_signed(l);
}

static bool rule_SUBJECT_CA(const struct lint *l)
{
    return !l->profile->ca || !subject_is_empty(l);
}

static bool rule_NAME_PRESENT(const struct lint *l)
{
    return !subject_is_empty(l) || l->read.altnames_count > 0;
}

static bool rule_ALTNAMES_NOT_EMPTY(const struct lint *l)
{
    return !find(l, CM_OID_SUBJECT_ALT_NAME) || l->read.altnames_count > 0
           || !l->read.altnames_are_good;
}

static bool rule_ALTNAMES_SYNTAX(const struct lint *l)
{
    return l->read.altnames_are_good;
}

static bool rule_ALTNAMES_UNIQUE(const struct lint *l)
{
    for (size_t index = 1; index < l->read.altnames_count; index++)
        for (size_t earlier = 0; earlier < index; earlier++)
            if (cm_altname_equal(&l->read.altnames[index], &l->read.altnames[earlier]))
                return false;
    return true;
}

static bool rule_ALTNAMES_PROFILE(const struct lint *l)
{
    unsigned kinds = l->profile->csr_altnames;
    for (size_t index = 0; index < l->profile->altnames_count; index++)
        kinds |= CM_ALTNAME_BIT(l->profile->altnames[index].kind);
    for (size_t index = 0; index < l->read.altnames_count; index++)
        if (!(kinds & CM_ALTNAME_BIT(l->read.altnames[index].kind)))
            return false;
    return true;
}

/* --- key ----------------------------------------------------------------------------------------- */

static bool rule_KEY_ENCODING(const struct lint *l)
{
    return l->key_is_good;
}

static bool rule_KEY_TYPE(const struct lint *l)
{
    return l->profile->key_types & CM_KEY_TYPE_BIT(l->key.type);
}

static bool rule_KEY_ISSUER(const struct lint *l)
{
    return !cm_bytes_equal(l->read.spki, l->issuer->spki) || is_self_signed(l);
}

static bool rule_SKI_PRESENT(const struct lint *l)
{
    return find(l, CM_OID_SUBJECT_KEY_ID) != NULL;
}

static bool rule_SKI_HASH(const struct lint *l)
{
    uint8_t ski[CM_SKI_SIZE];
    if (l->ski.size > 0)
        return cm_bytes_equal(l->read.ski, l->ski);
    return cm_composer_ski(l->composer, l->profile->ski_method, l->read.spki, ski)
           && cm_bytes_equal(l->read.ski, cm_bytes(ski, sizeof ski));
}

static bool rule_AKI_PRESENT(const struct lint *l)
{
    return find(l, CM_OID_AUTHORITY_KEY_ID) != NULL;
}

static bool rule_AKI_ISSUER(const struct lint *l)
{
    return cm_bytes_equal(l->read.aki, l->issuer->ski);
}

/* --- extensions ---------------------------------------------------------------------------------- */

static bool rule_EXTENSION_UNIQUE(const struct lint *l)
{
    const struct cm_extension *all = l->read.extensions;
    for (size_t index = 1; index < l->read.extensions_count; index++)
        for (size_t earlier = 0; earlier < index; earlier++)
            if (cm_bytes_equal(all[index].oid, all[earlier].oid))
                return false;
    return true;
}

static bool rule_EXTENSION_KNOWN(const struct lint *l)
{
    for (size_t index = 0; index < l->read.extensions_count; index++) {
        switch (l->read.extensions[index].id) {
        case CM_OID_SUBJECT_KEY_ID:
        case CM_OID_AUTHORITY_KEY_ID:
        case CM_OID_BASIC_CONSTRAINTS:
        case CM_OID_KEY_USAGE:
        case CM_OID_EXTENDED_KEY_USAGE:
        case CM_OID_CERTIFICATE_POLICIES:
        case CM_OID_NAME_CONSTRAINTS:
        case CM_OID_SUBJECT_ALT_NAME:
        case CM_OID_CRL_DISTRIBUTION_POINTS:
        case CM_OID_AUTHORITY_INFO_ACCESS:
        case CM_OID_OCSP_NO_CHECK:
            break;
        default:
            return false;
        }
    }
    return true;
}

static bool must_be_critical(const struct lint *l, enum cm_oid id)
{
    switch (id) {
    case CM_OID_BASIC_CONSTRAINTS:
    case CM_OID_KEY_USAGE:
    case CM_OID_NAME_CONSTRAINTS:
        return true;
    case CM_OID_EXTENDED_KEY_USAGE:
        return l->profile->purposes_critical;
    case CM_OID_SUBJECT_ALT_NAME:
        return subject_is_empty(l);
    default:
        return false;
    }
}

static bool rule_EXTENSION_CRITICAL(const struct lint *l)
{
    for (size_t index = 0; index < l->read.extensions_count; index++)
        if (l->read.extensions[index].critical != must_be_critical(l, l->read.extensions[index].id))
            return false;
    return true;
}

static bool rule_CONSTRAINTS_PRESENT(const struct lint *l)
{
    bool is_there = find(l, CM_OID_BASIC_CONSTRAINTS) != NULL;
    return is_there == (l->profile->ca || l->profile->basic_constraints);
}

static bool rule_CONSTRAINTS_CA(const struct lint *l)
{
    return l->read.ca == l->profile->ca;
}

static bool rule_CONSTRAINTS_PATH_LEN(const struct lint *l)
{
    return l->read.path_len == l->profile->path_len;
}

static bool rule_CONSTRAINTS_PATH_ISSUER(const struct lint *l)
{
    if (!l->read.ca || l->issuer->path_len == CM_PATH_LEN_NONE)
        return true;
    return l->read.path_len != CM_PATH_LEN_NONE && l->read.path_len < l->issuer->path_len;
}

static bool rule_USAGE_PRESENT(const struct lint *l)
{
    return find(l, CM_OID_KEY_USAGE) && l->read.key_usage != 0;
}

static bool rule_USAGE_PROFILE(const struct lint *l)
{
    bool is_rsa = l->key.type == CM_KEY_RSA;
    return l->read.key_usage == (is_rsa ? l->profile->key_usage_rsa : l->profile->key_usage);
}

static bool rule_USAGE_CA(const struct lint *l)
{
    bool signs = l->read.key_usage & (CM_USAGE_KEY_CERT_SIGN | CM_USAGE_CRL_SIGN);
    bool signs_certificates = l->read.key_usage & CM_USAGE_KEY_CERT_SIGN;
    return l->read.ca ? signs_certificates : !signs;
}

/* RFC 8410, 5 and RFC 8813, 3: EC and Ed25519 keys do not encipher, Ed25519 does not agree on keys. */
static bool rule_USAGE_KEY_TYPE(const struct lint *l)
{
    unsigned never = 0;
    if (l->key.type != CM_KEY_RSA)
        never = CM_USAGE_KEY_ENCIPHERMENT | CM_USAGE_DATA_ENCIPHERMENT;
    if (l->key.type == CM_KEY_ED25519 || l->key.type == CM_KEY_RSA)
        never |= CM_USAGE_KEY_AGREEMENT;
    return !(l->read.key_usage & never);
}

static bool rule_PURPOSES(const struct lint *l)
{
    return cm_profile_has_purposes(l->profile, l->read.purposes);
}

static bool rule_POLICIES(const struct lint *l)
{
    uint8_t space[LISTS_SIZE_MAX];
    struct cm_der_writer w;
    cm_der_writer_init(&w, space, sizeof space);
    if (l->profile->policies_count == 0)
        return !find(l, CM_OID_CERTIFICATE_POLICIES);
    for (size_t index = l->profile->policies_count; index-- > 0;) {
        size_t mark = cm_der_mark(&w);
        if (!cm_der_put_oid(&w, cm_bytes_str(l->profile->policies[index])))
            return false;
        cm_der_wrap(&w, CM_DER_SEQUENCE, mark);
    }
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    return !w.overflow && cm_bytes_equal(l->read.policies, cm_der_written(&w));
}

static bool read_constraints(struct cm_bytes value, struct cm_name_constraints *ret_constraints)
{
    struct cm_refusal ignored;
    struct cm_der der = cm_der_open(value, &ignored);
    return cm_name_constraints_read(&der, ret_constraints) && cm_der_at_end(&der);
}

static bool subtrees_are(const struct cm_subtrees *subtrees, const char *const *texts, size_t count)
{
    if (subtrees->count != count)
        return false;
    for (size_t index = 0; index < count; index++) {
        uint8_t octets[CM_SUBTREE_OCTETS];
        struct cm_subtree wanted;
        if (cm_subtree_read(texts[index], octets, &wanted)
            || wanted.tag != subtrees->list[index].tag
            || !cm_bytes_equal(wanted.base, subtrees->list[index].base))
            return false;
    }
    return true;
}

static bool rule_NAME_CONSTRAINTS(const struct lint *l)
{
    const struct cm_profile *profile = l->profile;
    struct cm_name_constraints constraints;
    if (profile->permitted_names_count == 0 && profile->excluded_names_count == 0)
        return !find(l, CM_OID_NAME_CONSTRAINTS);
    return read_constraints(l->read.name_constraints, &constraints)
           && subtrees_are(&constraints.permitted, profile->permitted_names,
                           profile->permitted_names_count)
           && subtrees_are(&constraints.excluded, profile->excluded_names,
                           profile->excluded_names_count);
}

/* Names of other kinds than these (otherName) have no subtrees that anybody could judge. */
static const uint8_t altname_tags[CM_ALTNAME_COUNT] = {
    [CM_ALTNAME_DNS] = CM_SUBTREE_DNS,
    [CM_ALTNAME_URI] = CM_SUBTREE_URI,
    [CM_ALTNAME_IP] = CM_SUBTREE_IP,
    [CM_ALTNAME_EMAIL] = CM_SUBTREE_EMAIL,
    [CM_ALTNAME_HARDWARE_MODULE] = CM_DER_CONTEXT_CONSTRUCTED(0),
    [CM_ALTNAME_PERMANENT_ID] = CM_DER_CONTEXT_CONSTRUCTED(0),
};

static bool is_allowed(const struct cm_name_constraints *constraints, uint8_t tag,
                       struct cm_bytes value)
{
    uint8_t octets[CM_SUBTREE_OCTETS];
    struct cm_subtree name;
    const struct cm_subtree *by;
    if (!cm_name_constraints_have(constraints, tag))
        return true;
    return tag != CM_DER_CONTEXT_CONSTRUCTED(0) && cm_subtree_of_name(tag, value, octets, &name)
           && cm_name_constraints_allow(constraints, &name, &by);
}

/* What bears its issuer's own name is not held to them (RFC 5280, 6.1.3). */
static bool rule_NAMES_ISSUER(const struct lint *l)
{
    struct cm_name_constraints constraints;
    if (l->issuer->name_constraints.size == 0
        || (l->profile->ca && cm_bytes_equal(l->read.subject, l->issuer->name)))
        return true;
    if (!read_constraints(l->issuer->name_constraints, &constraints))
        return false;
    if (!subject_is_empty(l) && !is_allowed(&constraints, CM_SUBTREE_DIRECTORY, l->read.subject))
        return false;
    for (size_t index = 0; index < l->read.altnames_count; index++) {
        const struct cm_altname_value *name = &l->read.altnames[index];
        if (!is_allowed(&constraints, altname_tags[name->kind], name->value))
            return false;
    }
    return true;
}

/* True when the text is the template with its ${shard} replaced. */
static bool is_shard_url(struct cm_bytes text, const char *template, uint32_t shard)
{
    char number[11];
    const char *hole = strstr(template, SHARD);
    if (!hole)
        return cm_bytes_is(text, template);
    size_t before = (size_t)(hole - template);
    size_t digits = (size_t)snprintf(number, sizeof number, "%u", shard);
    return text.size >= before + digits && memcmp(text.data, template, before) == 0
           && memcmp(text.data + before, number, digits) == 0
           && cm_bytes_is(cm_bytes_from(text, before + digits), hole + strlen(SHARD));
}

static bool rule_CRL(const struct lint *l)
{
    if (l->profile->no_revocation_info || !l->issuer->crl_url)
        return !find(l, CM_OID_CRL_DISTRIBUTION_POINTS);
    return is_shard_url(l->read.crl_url, l->issuer->crl_url,
                        cm_crl_shard(l->read.serial, l->issuer->crl_shards));
}

static bool url_is(struct cm_bytes url, const char *expected)
{
    return expected ? cm_bytes_is(url, expected) : url.size == 0;
}

static bool rule_AUTHORITY_INFO(const struct lint *l)
{
    const char *ocsp = l->profile->no_revocation_info ? NULL : l->issuer->ocsp_url;
    const char *ca_issuers = l->profile->no_revocation_info ? NULL : l->issuer->ca_issuers_url;
    if (!ocsp && !ca_issuers)
        return !find(l, CM_OID_AUTHORITY_INFO_ACCESS);
    return url_is(l->read.ocsp_url, ocsp) && url_is(l->read.ca_issuers_url, ca_issuers);
}

/* Its value is NULL: the reader takes nothing else. */
static bool rule_OCSP_NO_CHECK(const struct lint *l)
{
    return (find(l, CM_OID_OCSP_NO_CHECK) != NULL) == l->profile->ocsp_no_check;
}

/* --- all ----------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *text;
    bool (*holds)(const struct lint *);
} rules[CM_LINT_COUNT] = {
#define X(symbol, name_, text_) [CM_LINT_##symbol] = { name_, text_, rule_##symbol },
    CM_LINT_MAP(X)
#undef X
};

const char *cm_lint_rule_name(enum cm_lint_rule rule)
{
    return rules[rule].name;
}

const char *cm_lint_rule_text(enum cm_lint_rule rule)
{
    return rules[rule].text;
}

bool cm_lint_tbs(struct cm_composer *composer, struct cm_bytes tbs,
                 const struct cm_profile *profile, const struct cm_issuer *issuer,
                 struct cm_refusal *refusal)
{
    const struct cm_bytes nothing = { 0 };
    return cm_lint_given(composer, tbs, profile, issuer, nothing, nothing, refusal);
}

bool cm_lint_given(struct cm_composer *composer, struct cm_bytes tbs,
                   const struct cm_profile *profile, const struct cm_issuer *issuer,
                   struct cm_bytes subject, struct cm_bytes ski, struct cm_refusal *refusal)
{
    struct lint l;
    struct cm_refusal why;
    l.composer = composer;
    l.profile = profile;
    l.issuer = issuer;
    l.subject = subject;
    l.ski = ski;
    if (!cm_lint_read(tbs, &l.read, &why))
        return cm_refuse(refusal, CM_REFUSAL_LINT_FAILED, CM_REFUSAL_NO_OFFSET, "%s: %s",
                         rules[CM_LINT_READABLE].name, why.message);
    l.key_is_good = cm_public_key_read(l.read.spki, &l.key, &why);
    for (size_t rule = 0; rule < CM_LINT_COUNT; rule++)
        if (!rules[rule].holds(&l))
            return cm_refuse(refusal, CM_REFUSAL_LINT_FAILED, CM_REFUSAL_NO_OFFSET, "%s: %s",
                             rules[rule].name, rules[rule].text);
    return true;
}
