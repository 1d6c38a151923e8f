/*
 * Plan: what an operator asks of campaigns, read and checked; the same for the engine that is asked
 * through its control socket and for a command that writes the store itself.
 *
 *     {"op":"campaign-start","name":"autumn","generation":"issuing-1","window":604800,"rate":100,
 *      "groups":["pumps"],"expected":2000}
 *     {"op":"campaign-pause","name":"autumn"}        and campaign-resume, campaign-cancel
 *
 * window: seconds; rate: notices in a second; groups may be left out, and expected (how many devices
 * there are to notice, for the progress).
 */
#ifndef CM_ENGINE_CAMPAIGN_PLAN_H
#define CM_ENGINE_CAMPAIGN_PLAN_H

#include "engine/settings/settings.h"
#include "engine/store/campaign.h"

struct json_t;

#define CM_CAMPAIGN_WINDOW_S_MIN 60
#define CM_CAMPAIGN_WINDOW_S_MAX (366ll * 24 * 60 * 60)
#define CM_CAMPAIGN_RATE_MAX     100000

/* What is to be done. Spans are in the arena. */
struct cm_campaign_plan {
    struct cm_campaign campaign;
    struct cm_campaign_change change; /* of that campaign: a plan stays where it is */
    struct cm_audit_event audit;
};

/*
 * Does:       reads a request; v and actor in it are its reader's. plan is filled as it stands.
 * Fails with: MALFORMED (the text says which member), NOT_FOUND (a group that the settings do not have).
 */
CM_MUST_USE cm_status cm_campaign_plan_read(const struct json_t *request,
                                            const struct cm_settings *settings,
                                            struct cm_bytes actor, struct cm_arena *arena,
                                            struct cm_campaign_plan *plan, struct cm_error *err);

/* The end of a campaign of which every device has its notice, for the audit log. */
void cm_campaign_plan_end(const struct cm_campaign *campaign, struct cm_arena *arena,
                          struct cm_campaign_plan *plan);

/* Whether the campaign is about a device: its group, and no responder, which the engine renews itself. */
bool cm_campaign_is_about(struct cm_bytes groups, const struct cm_device *device);

/*
 * A campaign as JSON: name, generation, state, groups, window_s, rate_per_s, started_s, window_end_s,
 * ended_s (0: not yet), expected, noticed, renewed, remaining (of the expected: still to be looked at) and
 * sending_end_s, when the last notice will be sent at this rate (0: it is not being sent). Owns: the caller.
 */
struct json_t *cm_campaign_to_json(const struct cm_campaign *campaign, int64_t now_s);

#endif
