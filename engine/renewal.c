#include "engine/renewal.h"

#include <time.h>

enum { TIME_TEXT_SIZE = 40 };

/* "2026-11-30T12:00:00Z"; "at no time" where no calendar has it. */
static const char *write_time(int64_t time_s, char text[TIME_TEXT_SIZE])
{
    time_t time = (time_t)time_s;
    struct tm tm;
    if (!gmtime_r(&time, &tm) || strftime(text, TIME_TEXT_SIZE, "%FT%TZ", &tm) == 0)
        return "at no time";
    return text;
}

static bool check_owner(const struct cm_renewal *renewal, const struct cm_predecessor *predecessor,
                        struct cm_refusal *refusal)
{
    if (!predecessor->is_known)
        return cm_refuse(refusal, CM_REFUSAL_RENEW_UNKNOWN, CM_REFUSAL_NO_OFFSET, NULL);
    return predecessor->device_number == renewal->device_number
           || cm_refuse(refusal, CM_REFUSAL_RENEW_NOT_OWNED, CM_REFUSAL_NO_OFFSET, NULL);
}

/* A reason that speaks neither against the device nor against its key. */
static bool is_harmless(enum cm_reason reason)
{
    return reason == CM_REASON_SUPERSEDED || reason == CM_REASON_CA_COMPROMISE;
}

static bool check_standing(const struct cm_certificate_standing *standing,
                           struct cm_refusal *refusal)
{
    const char *reason;
    if (!standing->is_revoked || is_harmless(standing->reason))
        return true;
    if (standing->reason == CM_REASON_CERTIFICATE_HOLD)
        return cm_refuse(refusal, CM_REFUSAL_RENEW_REVOKED, CM_REFUSAL_NO_OFFSET,
                         "the certificate is on hold");
    reason = cm_reason_name(standing->reason);
    return cm_refuse(refusal, CM_REFUSAL_RENEW_REVOKED, CM_REFUSAL_NO_OFFSET,
                     "the certificate is revoked (%s)", reason ? reason : "for another reason");
}

static bool check_end(const struct cm_renewal *renewal, const struct cm_predecessor *predecessor,
                      struct cm_refusal *refusal)
{
    char end[TIME_TEXT_SIZE];
    const struct cm_settings_group *group = renewal->group;
    if (renewal->now_s - group->renewal_grace_s <= predecessor->not_after_s)
        return true;
    return cm_refuse(refusal, CM_REFUSAL_RENEW_EXPIRED, CM_REFUSAL_NO_OFFSET,
                     "the certificate has ended (%s)%s", write_time(predecessor->not_after_s, end),
                     group->renewal_grace_s > 0 ? ", too long ago to be renewed" : "");
}

static bool check_beginning(const struct cm_renewal *renewal,
                            const struct cm_predecessor *predecessor, struct cm_refusal *refusal)
{
    char begin[TIME_TEXT_SIZE];
    int64_t window_s = renewal->group->renewal_window_s;
    bool is_needed = predecessor->standing.generation_state != CM_GENERATION_ACTIVE
                     || predecessor->standing.is_revoked;
    if (window_s == 0 || is_needed || renewal->now_s >= predecessor->not_after_s - window_s)
        return true;
    return cm_refuse(refusal, CM_REFUSAL_RENEW_TOO_EARLY, CM_REFUSAL_NO_OFFSET,
                     "the certificate may be renewed from %s on",
                     write_time(predecessor->not_after_s - window_s, begin));
}

static bool check_key(const struct cm_renewal *renewal, const struct cm_predecessor *predecessor,
                      struct cm_refusal *refusal)
{
    const struct cm_settings_group *group = renewal->group;
    bool is_same = cm_bytes_equal(predecessor->spki, renewal->spki);
    if (group->renewal_key == CM_RENEWAL_KEY_SAME && !is_same)
        return cm_refuse(refusal, CM_REFUSAL_RENEW_SAME_KEY_REQUIRED, CM_REFUSAL_NO_OFFSET,
                         "group %s renews certificates for the same key", group->name);
    if (group->renewal_key == CM_RENEWAL_KEY_NEW && is_same)
        return cm_refuse(refusal, CM_REFUSAL_RENEW_NEW_KEY_REQUIRED, CM_REFUSAL_NO_OFFSET,
                         "group %s wants a new key for every renewal", group->name);
    return true;
}

bool cm_renewal_check(const struct cm_renewal *renewal, const struct cm_predecessor *predecessor,
                      struct cm_refusal *refusal)
{
    return check_owner(renewal, predecessor, refusal)
           && check_standing(&predecessor->standing, refusal)
           && check_end(renewal, predecessor, refusal)
           && check_beginning(renewal, predecessor, refusal)
           && check_key(renewal, predecessor, refusal);
}
