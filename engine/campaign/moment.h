/*
 * Moment: when a device is asked to come, and how fast notices are sent. Pure; any thread.
 */
#ifndef CM_ENGINE_CAMPAIGN_MOMENT_H
#define CM_ENGINE_CAMPAIGN_MOMENT_H

#include "engine/store/campaign.h"

/* By when a device is to have come, whose certificate ends at not_after_s. Unix seconds. */
int64_t cm_moment_deadline_s(const struct cm_campaign *campaign, int64_t not_after_s);

/*
 * When it is to come at the earliest: spread evenly between the campaign's start and the deadline by a
 * hash of campaign and device, so that it is the same each time it is asked for. Unix seconds.
 */
int64_t cm_moment_not_before_s(const struct cm_campaign *campaign, struct cm_bytes device,
                               int64_t deadline_s);

/*
 * A token bucket of a tenth of a second: on the average no more than rate_per_s in a second, and in none
 * of them more than a tenth above. Zero-initialised but for the rate.
 */
struct cm_moment_pace {
    uint32_t rate_per_s; /* at least 1 */
    double tokens;
    uint64_t refilled_ns; /* 0: not yet */
};

/* Takes up to wanted tokens. 0: none is there; *ret_wait_ms says when there will be. */
uint32_t cm_moment_pace_take(struct cm_moment_pace *pace, uint64_t now_ns, uint32_t wanted,
                             uint32_t *ret_wait_ms);
/* Gives back what came to nothing. */
void cm_moment_pace_give_back(struct cm_moment_pace *pace, uint32_t count);

#endif
