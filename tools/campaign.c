#include "tools/campaign.h"

#include <stdio.h>

#include "engine/control/control.h"
#include "tools/control_client.h"
#include "tools/operator.h"

void cm_campaign_print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static cm_status apply(struct cm_deployment *deployment, const json_t *request, bool *ret_changed,
                       struct cm_error *err)
{
    struct cm_campaign_plan plan;
    struct cm_bytes actor = cm_bytes_str(cm_operator_name(&deployment->arena));
    cm_status status =
        cm_campaign_plan_read(request, deployment->settings, actor, &deployment->arena, &plan, err);
    if (status != CM_OK)
        return status;
    struct cm_store_op op = { .kind = CM_STORE_CAMPAIGN,
                              .campaign = &plan.change,
                              .audit = &plan.audit };
    status = cm_store_apply(deployment->store, &op, err);
    *ret_changed = plan.change.changed;
    return status;
}

static cm_status ask(struct cm_deployment *deployment, json_t *request, bool *ret_changed,
                     struct cm_error *busy)
{
    struct cm_control_client *client;
    json_t *answer = NULL;
    cm_status status = cm_control_client_open_busy(deployment->settings->store_path, &client, busy);
    json_object_set_new(request, "v", json_integer(CM_CONTROL_VERSION));
    json_object_set_new(request, "actor", json_string(cm_operator_name(&deployment->arena)));
    if (status == CM_OK)
        status = cm_control_client_call(client, request, &answer, busy);
    *ret_changed = json_is_true(json_object_get(answer, "changed"));
    json_decref(answer);
    cm_control_client_close(client);
    return status;
}

cm_status cm_campaign_carry_out(const struct cm_call *call, json_t *request, bool *ret_by_engine,
                                bool *ret_changed, struct cm_error *err)
{
    struct cm_deployment deployment;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_WRITE, err);
    *ret_changed = false;
    *ret_by_engine = status == CM_BUSY;
    if (status == CM_BUSY)
        status = ask(&deployment, request, ret_changed, err);
    else if (status == CM_OK)
        status = apply(&deployment, request, ret_changed, err);
    cm_deployment_close(&deployment);
    return status;
}
