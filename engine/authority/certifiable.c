#include "engine/authority/certifiable.h"

#include <stdio.h>
#include <time.h>

#include "engine/x509/der_writer.h"
#include "engine/x509/extension.h"
#include "engine/x509/key.h"
#include "engine/x509/name_constraints.h"

#define DAY_S            86400
#define DATE_SIZE        24
#define WHO_SIZE         120
#define REFUSE(err, ...) CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, __VA_ARGS__)

struct check {
    const struct cm_signer_chain *chain;
    const struct cm_certificate_plan *plan;
    int64_t end_s;
};

static const char *write_date(int64_t time_s, char text[DATE_SIZE])
{
    struct tm tm;
    time_t time = time_s;
    if (!gmtime_r(&time, &tm) || strftime(text, DATE_SIZE, "%FT%TZ", &tm) == 0)
        snprintf(text, DATE_SIZE, "?");
    return text;
}

/* "root-1", or "what stands 2 above issuing-1". */
static const char *who(const struct check *check, size_t index, char text[WHO_SIZE])
{
    if (index == 0)
        snprintf(text, WHO_SIZE, "%.80s", check->chain->name);
    else if (index == 1)
        snprintf(text, WHO_SIZE, "the signer of %.80s", check->chain->name);
    else
        snprintf(text, WHO_SIZE, "the CA %zu above %.80s", index, check->chain->name);
    return text;
}

static bool is_self_issued(const struct cm_certificate *certificate)
{
    return cm_bytes_equal(certificate->subject, certificate->issuer);
}

/* --------------------------------------------------------------------------- the signer -- */

static cm_status check_signer(struct check *check, struct cm_error *err)
{
    const struct cm_certificate *signer = &check->chain->certificates[0];
    struct cm_public_key key;
    struct cm_refusal refusal;
    if (!signer->is_ca)
        return REFUSE(err, "%s is no CA: its certificate does not say so", check->chain->name);
    if (!(signer->key_usage & CM_USAGE_KEY_CERT_SIGN))
        return REFUSE(err, "%s may not sign certificates: its key usage has no keyCertSign",
                      check->chain->name);
    if (signer->ski.size == 0)
        return REFUSE(err, "%s has no subject key identifier, which what it signs would refer to",
                      check->chain->name);
    if (!cm_public_key_read(signer->spki, &key, &refusal))
        return REFUSE(err, "the key of %s cannot be used to sign: %s", check->chain->name,
                      refusal.message);
    if (cm_sigalg_default(key.type) == CM_SIGALG_UNKNOWN)
        return REFUSE(err, "there is no signature algorithm for the key of %s", check->chain->name);
    return CM_OK;
}

static cm_status check_times(struct check *check, struct cm_error *err)
{
    char name[WHO_SIZE], date[DATE_SIZE];
    check->end_s = INT64_MAX;
    for (size_t i = 0; i < check->chain->count; i++) {
        const struct cm_certificate *certificate = &check->chain->certificates[i];
        if (certificate->not_after_s < check->plan->now_s)
            return REFUSE(err, "%s has ended on %s", who(check, i, name),
                          write_date(certificate->not_after_s, date));
        if (certificate->not_before_s > check->plan->now_s)
            return REFUSE(err, "%s begins on %s only", who(check, i, name),
                          write_date(certificate->not_before_s, date));
        if (certificate->not_after_s < check->end_s)
            check->end_s = certificate->not_after_s;
    }
    return CM_OK;
}

/* ------------------------------------------------------------------------------ the plan -- */

/* The end that templates give it: both ends count, and it begins no earlier than its signer. */
static cm_status check_validity(struct check *check, struct cm_error *err)
{
    const struct cm_certificate_plan *plan = check->plan;
    int64_t begin_s = plan->now_s - plan->profile->backdate_s;
    char end[DATE_SIZE], limit[DATE_SIZE];
    if (begin_s < check->chain->certificates[0].not_before_s)
        begin_s = check->chain->certificates[0].not_before_s;
    int64_t room_s = check->end_s - begin_s + 1;
    if (!plan->must_last || plan->profile->validity_s <= room_s)
        return CM_OK;
    int64_t end_s = plan->profile->validity_s > CM_DER_TIME_MAX_S - begin_s
                        ? CM_DER_TIME_MAX_S
                        : begin_s + plan->profile->validity_s - 1;
    return REFUSE(err,
                  "it would end on %s, after %s, on %s; what is left is a validity of %lld days",
                  write_date(end_s, end), check->chain->name, write_date(check->end_s, limit),
                  (long long)(room_s / DAY_S));
}

/* How many CAs may follow, the new one among them, by the strictest of the chain. */
static int room_below(const struct check *check, size_t *ret_by)
{
    int least = CM_PATH_LEN_NONE, between = 0;
    for (size_t i = 0; i < check->chain->count; i++) {
        const struct cm_certificate *certificate = &check->chain->certificates[i];
        int room = certificate->path_len < between ? 0 : certificate->path_len - between;
        if (certificate->path_len != CM_PATH_LEN_NONE
            && (least == CM_PATH_LEN_NONE || room < least)) {
            least = room;
            *ret_by = i;
        }
        between += !is_self_issued(certificate);
    }
    return least;
}

static cm_status check_path_length(struct check *check, struct cm_error *err)
{
    char name[WHO_SIZE];
    size_t by = 0;
    int room = room_below(check, &by), planned = check->plan->profile->path_len;
    if (room == CM_PATH_LEN_NONE)
        return CM_OK;
    if (room == 0)
        return REFUSE(err, "no authority may stand below %s: the path length of %s is %d",
                      check->chain->name, who(check, by, name),
                      check->chain->certificates[by].path_len);
    if (planned == CM_PATH_LEN_NONE || planned >= room)
        return REFUSE(err,
                      "its path length must be below %d: below %s no more authorities may "
                      "follow (%s has path length %d)",
                      room, check->chain->name, who(check, by, name),
                      check->chain->certificates[by].path_len);
    return CM_OK;
}

static cm_status check_key_type(struct check *check, struct cm_error *err)
{
    enum cm_key_type type = check->plan->key_type;
    if (type == CM_KEY_UNKNOWN || (check->plan->profile->key_types & CM_KEY_TYPE_BIT(type)))
        return CM_OK;
    return REFUSE(err, "profile %s does not allow keys of type %s", check->plan->profile->name,
                  cm_key_type_name(type));
}

/* Self-issued certificates are made by rotations, of the same authority; a new one is another. */
static cm_status check_subject(struct check *check, struct cm_error *err)
{
    if (check->plan->subject.size == 0
        || !cm_bytes_equal(check->plan->subject, check->chain->certificates[0].subject))
        return CM_OK;
    return REFUSE(err, "it would bear the name of its signer, %s", check->chain->name);
}

/* ----------------------------------------------------------------------- name constraints -- */

static cm_status refuse_name(const struct check *check, size_t index, const char *what,
                             const struct cm_subtree *by, struct cm_error *err)
{
    char name[WHO_SIZE], text[CM_SUBTREE_TEXT_SIZE];
    if (by)
        return REFUSE(err, "%s excludes %.60s, and with it %.60s", who(check, index, name),
                      cm_subtree_write(by, text), what);
    return REFUSE(err, "%s does not permit %.100s in its name constraints", who(check, index, name),
                  what);
}

static cm_status check_subtrees(const struct check *check, size_t index,
                                const struct cm_name_constraints *constraints, struct cm_error *err)
{
    const struct cm_profile *profile = check->plan->profile;
    for (size_t i = 0; i < profile->permitted_names_count; i++) {
        uint8_t octets[CM_SUBTREE_OCTETS];
        struct cm_subtree planned;
        const struct cm_subtree *by;
        if (!cm_subtree_read(profile->permitted_names[i], octets, &planned)
            && !cm_name_constraints_allow(constraints, &planned, &by))
            return refuse_name(check, index, profile->permitted_names[i], by, err);
    }
    return CM_OK;
}

static cm_status check_names_by(const struct check *check, size_t index, struct cm_error *err)
{
    const struct cm_subtree subject = { CM_SUBTREE_DIRECTORY, check->plan->subject };
    const struct cm_subtree *by;
    struct cm_name_constraints constraints;
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(check->chain->certificates[index].name_constraints, &refusal);
    if (!cm_name_constraints_read(&der, &constraints))
        return REFUSE(err, "the name constraints of %s: %s", check->chain->name, refusal.message);
    if (subject.base.size > 0 && !cm_name_constraints_allow(&constraints, &subject, &by))
        return refuse_name(check, index, "its subject", by, err);
    return check_subtrees(check, index, &constraints, err);
}

static cm_status check_names(struct check *check, struct cm_error *err)
{
    cm_status status = CM_OK;
    for (size_t i = 0; status == CM_OK && i < check->chain->count; i++)
        if (check->chain->certificates[i].name_constraints.size > 0)
            status = check_names_by(check, i, err);
    return status;
}

/* ------------------------------------------------------------------------------- policies -- */

/* Content of an OID: 2.5.29.32.0 */
static const uint8_t any_policy[] = { 0x55, 0x1d, 0x20, 0x00 };

static bool has_policy(struct cm_bytes policies, struct cm_bytes wanted)
{
    struct cm_refusal ignored;
    struct cm_der der = cm_der_open(policies, &ignored), list;
    struct cm_bytes policy;
    if (!cm_extension_enter_policies(&der, &list))
        return false;
    while (!cm_der_at_end(&list)) {
        if (!cm_extension_next_policy(&list, &policy))
            return false;
        if (cm_bytes_equal(policy, wanted)
            || cm_bytes_equal(policy, cm_bytes(any_policy, sizeof any_policy)))
            return true;
    }
    return false;
}

/* A root that names none stands for all of them; a CA below it for none. */
static cm_status check_policy(const struct check *check, const char *dotted, struct cm_error *err)
{
    uint8_t space[2 + CM_DER_OID_SIZE_MAX];
    char name[WHO_SIZE];
    struct cm_der_writer w;
    cm_der_writer_init(&w, space, sizeof space);
    cm_der_put_oid(&w, cm_bytes_str(dotted)); /* it is one: the profile has been checked */
    struct cm_bytes wanted = cm_bytes_from(cm_der_written(&w), 2);
    for (size_t i = 0; i < check->chain->count; i++) {
        const struct cm_certificate *certificate = &check->chain->certificates[i];
        if (certificate->policies.size == 0 && !is_self_issued(certificate))
            return REFUSE(err, "%s names no policies, so that %s would not count below it",
                          who(check, i, name), dotted);
        if (certificate->policies.size > 0 && !has_policy(certificate->policies, wanted))
            return REFUSE(err, "policy %s is none of those of %s", dotted, who(check, i, name));
    }
    return CM_OK;
}

static cm_status check_policies(struct check *check, struct cm_error *err)
{
    const struct cm_profile *profile = check->plan->profile;
    cm_status status = CM_OK;
    for (size_t i = 0; status == CM_OK && i < profile->policies_count; i++)
        status = check_policy(check, profile->policies[i], err);
    return status;
}

cm_status cm_certifiable_check(const struct cm_signer_chain *chain,
                               const struct cm_certificate_plan *plan, int64_t *ret_end_s,
                               struct cm_error *err)
{
    static cm_status (*const checks[])(struct check *, struct cm_error *) = {
        check_signer,   check_times,   check_path_length, check_validity,
        check_key_type, check_subject, check_names,       check_policies,
    };
    struct check check = { .chain = chain, .plan = plan };
    cm_status status = CM_OK;
    for (size_t i = 0; status == CM_OK && i < sizeof checks / sizeof checks[0]; i++)
        status = checks[i](&check, err);
    if (status == CM_OK)
        *ret_end_s = check.end_s;
    return status;
}
