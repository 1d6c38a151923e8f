/* certmill campaign pause, resume, cancel. */
#include <stdio.h>

#include "tools/campaign.h"
#include "tools/commands.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int run(const struct cm_call *call, const char *op, const char *state, const char *more)
{
    struct cm_error err = { 0 };
    const char *name = call->operands[0];
    bool by_engine, changed;
    json_t *request = json_pack("{s:s, s:s}", "op", op, "name", name);
    if (!request)
        return cm_usage_fail("names are UTF-8");
    cm_status status = cm_campaign_carry_out(call, request, &by_engine, &changed, &err);
    json_decref(request);
    if (status != CM_OK)
        return cm_call_fail(call, "%s", err.text);
    if (cm_call_flag(call, "json"))
        cm_campaign_print_json(
            json_pack("{s:s, s:s, s:b}", "campaign", name, "state", state, "changed", changed));
    else if (changed)
        printf("%s is %s%s\n", name, state, more);
    else
        printf("%s is %s already\n", name, state);
    return CM_EXIT_DONE;
}

static int run_pause(const struct cm_call *call)
{
    return run(call, "campaign-pause", "paused", "; certmill campaign resume goes on from there");
}

static int run_resume(const struct cm_call *call)
{
    return run(call, "campaign-resume", "running", "");
}

static int run_cancel(const struct cm_call *call)
{
    return run(call, "campaign-cancel", "cancelled", "; what was sent stays sent");
}

/* -------------------------------------------------------------------------------- descriptions -- */

static const struct cm_option options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };

static const char *const pause_paragraphs[] = {
    "Stops the notices of a campaign at once; those that were sent stay sent. Its window goes on: a device "
    "whose moment has passed when it gets its notice is asked to come at once, so what is left comes at the "
    "campaign's rate.",
    NULL
};
const struct cm_command cm_command_campaign_pause = {
    .name = "campaign pause",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "stop sending the notices of a campaign",
    .paragraphs = pause_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .when_failed = "failed, or the campaign is over; nothing was changed",
    .run = run_pause,
};

static const char *const resume_paragraphs[] = {
    "Goes on with a campaign that was paused, from where it was.", NULL
};
const struct cm_command cm_command_campaign_resume = {
    .name = "campaign resume",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "go on with a campaign that was paused",
    .paragraphs = resume_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .when_failed = "failed, or the campaign is over; nothing was changed",
    .run = run_resume,
};

static const char *const cancel_paragraphs[] = {
    "Ends a campaign before every device has its notice. That is for good, and its name is used; another "
    "campaign may be started for the rest.",
    NULL
};
const struct cm_command cm_command_campaign_cancel = {
    .name = "campaign cancel",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "end a campaign for good",
    .paragraphs = cancel_paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .when_failed = "failed, or every device had its notice already; nothing was changed",
    .run = run_cancel,
};
