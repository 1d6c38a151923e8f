#include "engine/floors.h"

#include <string.h>

/* Promises from before a crash are kept with the time that they were made at. */
#define PROMISE_AGE_S_MAX (30ll * 24 * 3600)

#define CRL_VALIDITY_S_USUAL  (400ll * 24 * 3600)
#define OCSP_VALIDITY_S_USUAL (30ll * 24 * 3600)

static bool has_purpose(const struct cm_profile *profile, const char *oid)
{
    for (size_t i = 0; i < profile->purposes_count; i++) {
        const char *purpose = cm_purpose_oid(profile->purposes[i]);
        if (purpose && strcmp(purpose, oid) == 0)
            return true;
    }
    return false;
}

enum cm_lane cm_lane_of(const struct cm_profile *profile)
{
    if (profile->ca)
        return CM_LANE_CEREMONY;
    return has_purpose(profile, cm_purpose_oid("ocsp-signing")) ? CM_LANE_OCSP : CM_LANE_LEAF;
}

static int64_t larger(int64_t one, int64_t other)
{
    return one > other ? one : other;
}

static void widen(struct cm_floor *floor, const struct cm_profile *profile)
{
    enum cm_lane lane = cm_lane_of(profile);
    floor->lanes |= CM_LANE_BIT(lane);
    bool is_endless = profile->validity_s == CM_VALIDITY_NO_EXPIRY; /* no responder's */
    int64_t *validity_s_max =
        lane == CM_LANE_OCSP ? &floor->responder_validity_s_max : &floor->validity_s_max;
    if (!is_endless)
        *validity_s_max = larger(*validity_s_max, profile->validity_s);
    else if (lane != CM_LANE_OCSP)
        floor->allows_no_expiry = true;
    floor->past_s_max = larger(floor->past_s_max, profile->backdate_s + PROMISE_AGE_S_MAX);
}

struct cm_floor cm_floor_of(const struct cm_settings *settings,
                            const struct cm_settings_authority *authority,
                            struct cm_bytes issuer_name)
{
    struct cm_floor floor = {
        .issuer_name = issuer_name,
        .lanes = CM_LANE_BIT(CM_LANE_LEAF) | CM_LANE_BIT(CM_LANE_CRL) | CM_LANE_BIT(CM_LANE_OCSP),
        .past_s_max = PROMISE_AGE_S_MAX,
        .responder_validity_s_max = authority->ocsp_responder ? authority->responder_validity_s : 0,
        .crl_validity_s_max = larger(CRL_VALIDITY_S_USUAL, authority->crl_validity_s),
        .ocsp_validity_s_max = larger(OCSP_VALIDITY_S_USUAL, authority->ocsp_validity_s),
        .rate_per_s_max = authority->signatures_per_s_max,
        .burst = authority->signatures_per_s_max,
    };
    for (uint32_t i = 0; i < settings->groups_count; i++) {
        const struct cm_settings_group *group = &settings->groups[i];
        for (uint32_t k = 0; group->authority == authority && k < group->profiles_count; k++)
            widen(&floor, group->profiles[k]);
    }
    return floor;
}

struct cm_floor cm_floor_of_responder(const struct cm_settings_authority *authority,
                                      struct cm_bytes issuer_name)
{
    return (struct cm_floor){ .issuer_name = issuer_name,
                              .lanes = CM_LANE_BIT(CM_LANE_OCSP),
                              .is_responder = true,
                              .ocsp_validity_s_max =
                                  larger(OCSP_VALIDITY_S_USUAL, authority->ocsp_validity_s),
                              .rate_per_s_max = authority->signatures_per_s_max,
                              .burst = authority->signatures_per_s_max };
}

struct cm_floor cm_floor_of_audit(void)
{
    /* Far more than there ever are. */
    return (
        struct cm_floor){ .lanes = CM_LANE_BIT(CM_LANE_AUDIT), .rate_per_s_max = 10, .burst = 10 };
}
