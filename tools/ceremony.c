#include "tools/ceremony.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/control/control.h"
#include "tools/control_client.h"
#include "tools/der_file.h"
#include "tools/new_files.h"
#include "tools/operator.h"

/* ----------------------------------------------------------------------------------- steps -- */

static cm_status take_here(struct cm_deployment *deployment, const char *step, struct cm_bytes text,
                           struct cm_bytes actor, bool *ret_changed, struct cm_error *err)
{
    struct cm_arena *arena = &deployment->arena;
    struct cm_plan_taking taking;
    cm_status status;
    if (strcmp(step, "plan-prepare") == 0)
        status = cm_plan_take_new(deployment->settings, deployment->store, text, actor, arena,
                                  &taking, err);
    else if (strcmp(step, "plan-approve") == 0)
        status = cm_plan_take_approval(deployment->settings, deployment->store, text, actor, arena,
                                       &taking, err);
    else
        status = cm_plan_take_cancel(deployment->settings, deployment->store,
                                     (const char *)text.data, actor, arena, &taking, err);
    if (status != CM_OK)
        return status;
    struct cm_store_op op = { .kind = CM_STORE_PLAN,
                              .plan_change = &taking.change,
                              .audit = &taking.audit };
    status = cm_store_apply(deployment->store, &op, err);
    if (status == CM_OK)
        *ret_changed = taking.change.changed;
    return status;
}

static cm_status take_there(struct cm_deployment *deployment, const char *step,
                            struct cm_bytes text, struct cm_bytes actor, bool *ret_changed,
                            struct cm_error *busy)
{
    struct cm_control_client *client;
    json_t *answer = NULL;
    cm_status status = cm_control_client_open_busy(deployment->settings->store_path, &client, busy);
    if (status != CM_OK)
        return status;
    json_t *request =
        json_pack("{s:i, s:s, s:s%, s:s%}", "v", CM_CONTROL_VERSION, "op", step, "actor",
                  (const char *)actor.data, actor.size, "text", (const char *)text.data, text.size);
    status = request ? cm_control_client_call(client, request, &answer, busy)
                     : CM_FAIL(busy, CM_MALFORMED, CM_ORIGIN_SELF, 0, "no text of UTF-8");
    if (status == CM_OK)
        *ret_changed = json_is_true(json_object_get(answer, "changed"));
    json_decref(request);
    json_decref(answer);
    cm_control_client_close(client);
    return status;
}

cm_status cm_ceremony_take(struct cm_deployment *deployment, const char *step, struct cm_bytes text,
                           bool *ret_changed, struct cm_error *err)
{
    struct cm_bytes actor = cm_bytes_str(cm_operator_name(&deployment->arena));
    cm_status status = cm_deployment_open_store(deployment, CM_DEPLOYMENT_WRITE, err);
    if (status == CM_BUSY)
        return take_there(deployment, step, text, actor, ret_changed, err);
    return status == CM_OK ? take_here(deployment, step, text, actor, ret_changed, err) : status;
}

/* ----------------------------------------------------------------------------------- plans -- */

cm_status cm_ceremony_find_plan(const struct cm_call *call, struct cm_arena *arena,
                                struct cm_plan_record *ret_record, struct cm_error *err)
{
    struct cm_deployment deployment;
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status = cm_plan_find(deployment.reader, call->operands[0], arena, ret_record, err);
    cm_deployment_close(&deployment);
    return status;
}

cm_status cm_ceremony_read_file(const char *path, struct cm_arena *arena,
                                struct cm_plan_record *ret_record, struct cm_error *err)
{
    struct cm_plan_record record = { .row = { .state = CM_PLAN_PENDING } };
    struct cm_bytes content;
    cm_status status = cm_whole_file_read(path, &content, err);
    if (status != CM_OK)
        return status;
    record.row.text = cm_arena_copy(arena, content);
    free((void *)(uintptr_t)content.data);
    if (record.row.text.size > 0 && record.row.text.data[record.row.text.size - 1] == '\n')
        record.row.text.size--;
    status = cm_plan_read(record.row.text, arena, &record.plan, err);
    if (status != CM_OK)
        return status;
    memcpy(record.row.id, record.plan.id, sizeof record.row.id);
    cm_plan_digest(record.row.text, record.row.digest);
    record.row.expires_s = record.plan.expires_s;
    *ret_record = record;
    return CM_OK;
}

const char *cm_ceremony_state(const struct cm_plan_record *record)
{
    if (record->row.state != CM_PLAN_PENDING)
        return cm_plan_state_name(record->row.state);
    return cm_clock_wall_s() >= record->row.expires_s ? "expired" : "open";
}

void cm_ceremony_print_words(const uint8_t hash[CM_PLAN_DIGEST_SIZE], const char *indent)
{
    for (unsigned i = 0; i < CM_PLAN_DIGEST_SIZE; i += 2)
        printf("%s%02x%02x%s", i % 8 == 0 ? indent : "  ", hash[i], hash[i + 1],
               i % 8 == 6 ? "\n" : "");
}

cm_status cm_ceremony_write_file(const char *path, struct cm_bytes text, struct cm_error *err)
{
    struct cm_new_files files = { .count = 0 };
    if (strcmp(path, "-") == 0)
        return fwrite(text.data, 1, text.size, stdout) == text.size
                   ? CM_OK
                   : CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "standard output");
    cm_status status = cm_new_files_write(&files, path, 0644, text, err);
    cm_new_files_done(&files);
    return status;
}
