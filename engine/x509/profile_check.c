/* What can be wrong with a profile that no issuer has seen yet: for settings, before they are used. */
#include "engine/x509/der_writer.h"
#include "engine/x509/name_constraints.h"
#include "engine/x509/profile.h"
#include "engine/x509/text_template.h"

#define CSR_ALTNAMES_ALL                                                                           \
    (CM_ALTNAME_BIT(CM_ALTNAME_DNS) | CM_ALTNAME_BIT(CM_ALTNAME_URI)                               \
     | CM_ALTNAME_BIT(CM_ALTNAME_IP) | CM_ALTNAME_BIT(CM_ALTNAME_EMAIL))
#define CA_USAGES        (CM_USAGE_KEY_CERT_SIGN | CM_USAGE_CRL_SIGN)
#define USAGES_ALL       0x7fu
#define LIST_COUNT_MAX   16 /* purposes, policies */
#define PATH_LEN_MAX     255
#define BACKDATE_S_MAX   (7 * 86400)
#define VALIDITY_S_LEAST 60
#define ANY_PURPOSE      "2.5.29.37.0"

#define REFUSE(err, ...) CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, __VA_ARGS__)

static bool is_oid(const char *text)
{
    uint8_t space[2 + CM_DER_OID_SIZE_MAX];
    struct cm_der_writer w;
    cm_der_writer_init(&w, space, sizeof space);
    return text && cm_der_put_oid(&w, cm_bytes_str(text));
}

static cm_status check_subject(const struct cm_profile *profile, struct cm_error *err)
{
    struct cm_text_template template;
    if (profile->subject_count > CM_SUBJECT_RULES_MAX)
        return REFUSE(err, "subject: more than %d attributes", CM_SUBJECT_RULES_MAX);
    for (size_t index = 0; index < profile->subject_count; index++) {
        const struct cm_subject_rule *rule = &profile->subject[index];
        if (rule->field >= CM_SUBJECT_FIELD_COUNT)
            return REFUSE(err, "subject[%zu]: no such attribute", index);
        const char *problem = cm_text_template_parse(rule->text, &template);
        if (problem)
            return REFUSE(err, "subject[%zu]: the template %s", index, problem);
    }
    return CM_OK;
}

static cm_status check_altname(const struct cm_altname_rule *rule, size_t index,
                               struct cm_error *err)
{
    struct cm_text_template template;
    if (rule->kind >= CM_ALTNAME_COUNT)
        return REFUSE(err, "altnames[%zu]: no such kind of name", index);
    const char *problem = cm_text_template_parse(rule->text, &template);
    if (problem)
        return REFUSE(err, "altnames[%zu]: the template %s", index, problem);
    bool may_have_oid =
        rule->kind == CM_ALTNAME_HARDWARE_MODULE || rule->kind == CM_ALTNAME_PERMANENT_ID;
    if (!rule->oid)
        return rule->kind == CM_ALTNAME_HARDWARE_MODULE ? REFUSE(
                   err, "altnames[%zu]: a hardware module needs the OID of its type", index)
                                                        : CM_OK;
    if (!may_have_oid)
        return REFUSE(err, "altnames[%zu]: an OID belongs to hardware-module and permanent-id only",
                      index);
    problem = cm_text_template_parse(rule->oid, &template);
    return problem ? REFUSE(err, "altnames[%zu]: the template of the OID %s", index, problem)
                   : CM_OK;
}

static cm_status check_altnames(const struct cm_profile *profile, struct cm_error *err)
{
    if (profile->altnames_count > CM_ALTNAMES_MAX)
        return REFUSE(err, "altnames: more than %d names", CM_ALTNAMES_MAX);
    for (size_t index = 0; index < profile->altnames_count; index++)
        if (check_altname(&profile->altnames[index], index, err) != CM_OK)
            return CM_MALFORMED;
    if (profile->csr_altnames & ~CSR_ALTNAMES_ALL)
        return REFUSE(err, "csr_altnames: only dns, uri, ip and email can come from a request");
    return CM_OK;
}

static cm_status check_usage(const struct cm_profile *profile, struct cm_error *err)
{
    unsigned both = profile->key_usage | profile->key_usage_rsa;
    unsigned least = profile->key_usage & profile->key_usage_rsa;
    if (both & ~USAGES_ALL)
        return REFUSE(err, "key_usage: a bit that is not supported");
    if (profile->key_usage == 0 || profile->key_usage_rsa == 0)
        return REFUSE(err, "key_usage: at least one usage is needed");
    if (profile->ca && !(least & CM_USAGE_KEY_CERT_SIGN))
        return REFUSE(err, "key_usage: a CA needs key-cert-sign");
    if (!profile->ca && both & CA_USAGES)
        return REFUSE(err, "key_usage: key-cert-sign and crl-sign are for CAs only");
    if (profile->key_usage & (CM_USAGE_KEY_ENCIPHERMENT | CM_USAGE_DATA_ENCIPHERMENT))
        return REFUSE(err, "key_usage: only RSA keys encipher (key_usage_rsa)");
    if (profile->key_types == 0 || profile->key_types & ~CM_KEY_TYPES_ALL)
        return REFUSE(err, "key_types: none, or one that is not supported");
    /* RFC 8410, 5: an Ed25519 key signs and does nothing else. */
    if (profile->key_types & CM_KEY_TYPE_BIT(CM_KEY_ED25519)
        && profile->key_usage & CM_USAGE_KEY_AGREEMENT)
        return REFUSE(err, "key_usage: Ed25519 keys cannot have key-agreement");
    return CM_OK;
}

static cm_status check_authority(const struct cm_profile *profile, struct cm_error *err)
{
    if (profile->path_len < CM_PATH_LEN_NONE || profile->path_len > PATH_LEN_MAX)
        return REFUSE(err, "path_len: not between 0 and %d", PATH_LEN_MAX);
    if (!profile->ca && profile->path_len != CM_PATH_LEN_NONE)
        return REFUSE(err, "path_len: only a CA has one");
    if (profile->ca && profile->subject_count == 0)
        return REFUSE(err, "subject: a CA needs a name");
    if (profile->subject_count == 0 && profile->altnames_count == 0 && profile->csr_altnames == 0)
        return REFUSE(err, "neither subject nor altnames: the certificate would name nobody");
    return CM_OK;
}

static cm_status check_times(const struct cm_profile *profile, struct cm_error *err)
{
    if (profile->validity_s < VALIDITY_S_LEAST)
        return REFUSE(err, "validity: shorter than %d seconds", VALIDITY_S_LEAST);
    if (profile->backdate_s < 0 || profile->backdate_s > BACKDATE_S_MAX)
        return REFUSE(err, "backdate: not between 0 and 7 days");
    if (profile->backdate_s >= profile->validity_s)
        return REFUSE(err, "backdate: as long as the validity itself");
    return CM_OK;
}

static bool stands_before(const char *const *list, size_t index, bool are_purposes)
{
    for (size_t earlier = 0; earlier < index; earlier++) {
        const char *a = are_purposes ? cm_purpose_oid(list[earlier]) : list[earlier];
        const char *b = are_purposes ? cm_purpose_oid(list[index]) : list[index];
        if (strcmp(a, b) == 0)
            return true;
    }
    return false;
}

static cm_status check_lists(const struct cm_profile *profile, struct cm_error *err)
{
    if (profile->purposes_count > LIST_COUNT_MAX || profile->policies_count > LIST_COUNT_MAX)
        return REFUSE(err, "purposes, policies: more than %d", LIST_COUNT_MAX);
    for (size_t index = 0; index < profile->purposes_count; index++) {
        if (!is_oid(cm_purpose_oid(profile->purposes[index])))
            return REFUSE(err, "purposes[%zu]: neither a name nor an OID", index);
        if (stands_before(profile->purposes, index, true))
            return REFUSE(err, "purposes[%zu]: stands there twice", index);
        if (profile->purposes_critical && strcmp(profile->purposes[index], ANY_PURPOSE) == 0)
            return REFUSE(err, "purposes: any purpose cannot be critical");
    }
    for (size_t index = 0; index < profile->policies_count; index++) {
        if (!is_oid(profile->policies[index]))
            return REFUSE(err, "policies[%zu]: not an OID", index);
        if (stands_before(profile->policies, index, false))
            return REFUSE(err, "policies[%zu]: stands there twice", index);
    }
    return CM_OK;
}

static cm_status check_subtrees(const char *part, const char *const *list, size_t count,
                                struct cm_error *err)
{
    uint8_t octets[CM_SUBTREE_OCTETS];
    struct cm_subtree subtree;
    if (count > CM_SUBTREES_MAX)
        return REFUSE(err, "%s: more than %d", part, CM_SUBTREES_MAX);
    for (size_t index = 0; index < count; index++) {
        const char *problem = cm_subtree_read(list[index], octets, &subtree);
        if (problem)
            return REFUSE(err, "%s[%zu]: %s", part, index, problem);
        if (stands_before(list, index, false))
            return REFUSE(err, "%s[%zu]: stands there twice", part, index);
    }
    return CM_OK;
}

static cm_status check_name_constraints(const struct cm_profile *profile, struct cm_error *err)
{
    bool has_any = profile->permitted_names_count > 0 || profile->excluded_names_count > 0;
    if (has_any && !profile->ca)
        return REFUSE(err, "%s_names: only a CA has name constraints",
                      profile->permitted_names_count > 0 ? "permitted" : "excluded");
    cm_status status = check_subtrees("permitted_names", profile->permitted_names,
                                      profile->permitted_names_count, err);
    return status == CM_OK ? check_subtrees("excluded_names", profile->excluded_names,
                                            profile->excluded_names_count, err)
                           : status;
}

static bool has_purpose(const struct cm_profile *profile, const char *name)
{
    for (size_t index = 0; index < profile->purposes_count; index++)
        if (strcmp(cm_purpose_oid(profile->purposes[index]), cm_purpose_oid(name)) == 0)
            return true;
    return false;
}

static cm_status check_ocsp(const struct cm_profile *profile, struct cm_error *err)
{
    if (profile->ocsp_no_check && !has_purpose(profile, "ocsp-signing"))
        return REFUSE(err, "ocsp_no_check: only with the purpose ocsp-signing");
    if (profile->validity_s == CM_VALIDITY_NO_EXPIRY && has_purpose(profile, "ocsp-signing"))
        return REFUSE(err, "validity: a responder's certificate ends (purpose ocsp-signing)");
    return CM_OK;
}

cm_status cm_profile_check(const struct cm_profile *profile, struct cm_error *err)
{
    static cm_status (*const checks[])(const struct cm_profile *, struct cm_error *) = {
        check_subject, check_altnames,         check_usage, check_authority, check_times,
        check_lists,   check_name_constraints, check_ocsp,
    };
    for (size_t index = 0; index < sizeof checks / sizeof checks[0]; index++)
        if (checks[index](profile, err) != CM_OK)
            return CM_MALFORMED;
    return CM_OK;
}
