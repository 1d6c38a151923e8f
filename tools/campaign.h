/*
 * Campaign: what the commands about renewal campaigns share.
 */
#ifndef CM_TOOLS_CAMPAIGN_H
#define CM_TOOLS_CAMPAIGN_H

#include <jansson.h>

#include "engine/campaign/plan.h"
#include "tools/command.h"
#include "tools/deployment.h"

/*
 * Does:       carries a request out (engine/campaign/plan.h; v and actor are added): by the engine that has
 *             the store, or here. *ret_by_engine says who did; *ret_changed is false where it was so already.
 * Fails with: what the plan, the store or the engine fails with.
 */
CM_MUST_USE cm_status cm_campaign_carry_out(const struct cm_call *call, json_t *request,
                                            bool *ret_by_engine, bool *ret_changed,
                                            struct cm_error *err);

/* Prints an object on one line, and lets it go. */
void cm_campaign_print_json(json_t *object);

#endif
