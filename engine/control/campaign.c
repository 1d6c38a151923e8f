/* Renewal campaigns: started, paused, resumed, cancelled, and how they are getting on. */
#include "engine/control/internal.h"

static void on_changed(struct cm_store_op *op)
{
    struct cm_connection *connection = op->arg;
    const struct cm_control_env *env = &connection->control->env;
    const struct cm_campaign_plan *plan = &connection->plan;
    const struct cm_campaign *campaign = &plan->campaign;
    if (op->status != CM_OK) {
        cm_request_answer_error(connection, &op->err);
        return;
    }
    if (env->on_campaign)
        env->on_campaign(campaign, env->arg);
    cm_connection_answer(connection, json_pack("{s:s%, s:s, s:b}", "campaign", campaign->name.data,
                                               campaign->name.size, "state",
                                               cm_campaign_state_name(campaign->state), "changed",
                                               plan->change.changed));
}

cm_status cm_campaign_run(struct cm_connection *connection, const json_t *request,
                          struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    struct cm_campaign_plan *plan = &connection->plan;
    struct cm_bytes actor;
    cm_status status = cm_request_read_actor(request, &connection->arena, &actor, err);
    if (status == CM_OK)
        status =
            cm_campaign_plan_read(request, env->settings, actor, &connection->arena, plan, err);
    if (status != CM_OK)
        return status;
    connection->op = (struct cm_store_op){ .kind = CM_STORE_CAMPAIGN,
                                           .done = on_changed,
                                           .arg = connection,
                                           .campaign = &plan->change,
                                           .audit = &plan->audit };
    cm_store_submit(env->store, &connection->op);
    return CM_OK;
}

cm_status cm_campaign_list_run(struct cm_connection *connection, const json_t *request,
                               struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    (void)request;
    (void)err;
    cm_connection_answer(
        connection,
        json_pack("{s:o}", "campaigns",
                  env->describe_campaigns ? env->describe_campaigns(env->arg) : json_array()));
    return CM_OK;
}
