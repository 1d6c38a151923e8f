/* The steps of a plan before it runs: each is looked at here, and recorded by the store. */
#include "engine/dual_control.h"

#include "engine/base/clock.h"

/* A preparation and its arrival here are minutes apart at most. */
enum { PREPARED_AGE_S_MAX = 600, PREPARED_AHEAD_S_MAX = 60, DEVICES_DRIFT_MAX = 100 };

static void fill_audit(struct cm_plan_taking *taking, const char *kind, struct cm_bytes actor,
                       const char *detail)
{
    taking->audit =
        (struct cm_audit_event){ .kind = kind, .actor = actor, .detail = cm_bytes_str(detail) };
    memcpy(taking->audit.digest, taking->change.digest, sizeof taking->audit.digest);
}

static const char *hex_of(const uint8_t id[CM_PLAN_ID_SIZE], struct cm_arena *arena)
{
    char *hex = cm_arena_alloc(arena, 2 * CM_PLAN_ID_SIZE + 1);
    cm_hex_encode(cm_bytes(id, CM_PLAN_ID_SIZE), hex);
    return hex;
}

/* ------------------------------------------------------------------------------------------- new -- */

/* Whatever it says that the settings know better. */
static cm_status check_rule(const struct cm_settings *settings, const struct cm_plan *plan,
                            struct cm_bytes actor, struct cm_error *err)
{
    const struct cm_settings_dual_control *control =
        cm_settings_dual_control(settings, plan->operation);
    int64_t now_s = cm_clock_wall_s();
    const char *wrong = NULL;
    if (!control)
        wrong = "its operation is not marked in the settings";
    else if (plan->approvals != control->approvals
             || strcmp(plan->role, control->role ? control->role : "") != 0)
        wrong = "it wants other approvals than the settings";
    else if (plan->expires_s - plan->prepared_s != control->valid_s)
        wrong = "it is valid for another time than the settings say";
    else if (plan->prepared_s > now_s + PREPARED_AHEAD_S_MAX
             || plan->prepared_s < now_s - PREPARED_AGE_S_MAX)
        wrong = "it was not prepared now";
    else if (!cm_bytes_is(actor, plan->prepared_by))
        wrong = "somebody else has prepared it";
    return wrong ? CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "the plan is not taken: %s", wrong)
                 : CM_OK;
}

static bool is_as_made(const struct cm_plan *plan, const struct cm_plan *made,
                       struct cm_arena *arena)
{
    struct cm_plan same = *made;
    memcpy(same.id, plan->id, sizeof same.id);
    same.prepared_s = plan->prepared_s;
    same.expires_s = plan->expires_s;
    same.devices = plan->devices; /* the fleet goes on enrolling, a little */
    if (plan->devices > made->devices + DEVICES_DRIFT_MAX
        || plan->devices < made->devices - DEVICES_DRIFT_MAX)
        return false;
    return cm_bytes_equal(cm_plan_write(&same, arena), cm_plan_write(plan, arena));
}

/* It is made again from what the store has, and must come out the same. */
static cm_status check_made(const struct cm_settings *settings, struct cm_store *store,
                            const struct cm_plan *plan, struct cm_arena *arena,
                            struct cm_error *err)
{
    const struct cm_deed deed = { .operation = plan->operation,
                                  .subject = plan->subject,
                                  .parameters = plan->parameters,
                                  .parameters_count = plan->parameters_count };
    struct cm_store_reader *reader = NULL;
    struct cm_plan made;
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status == CM_OK)
        status = cm_plan_make(settings, reader, &deed, plan->prepared_by, arena, &made, err);
    cm_store_reader_close(reader);
    if (status == CM_OK && !is_as_made(plan, &made, arena))
        status = CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                         "the plan is not taken: the store is not as it says");
    return status;
}

cm_status cm_plan_take_new(const struct cm_settings *settings, struct cm_store *store,
                           struct cm_bytes text, struct cm_bytes actor, struct cm_arena *arena,
                           struct cm_plan_taking *ret_taking, struct cm_error *err)
{
    struct cm_plan plan;
    cm_status status = cm_plan_read(text, arena, &plan, err);
    if (status == CM_OK)
        status = check_rule(settings, &plan, actor, err);
    if (status == CM_OK)
        status = check_made(settings, store, &plan, arena, err);
    if (status != CM_OK)
        return status;
    struct cm_plan_taking taking = { .change = { .step = CM_PLAN_ADD,
                                                 .text = cm_arena_copy(arena, text),
                                                 .expires_s = plan.expires_s } };
    memcpy(taking.change.id, plan.id, sizeof plan.id);
    cm_plan_digest(text, taking.change.digest);
    fill_audit(&taking, "plan-prepared", actor,
               cm_arena_printf(arena, "{\"plan\":\"%s\",\"operation\":\"%s\",\"subject\":\"%s\"}",
                               hex_of(plan.id, arena), cm_ceremony_name(plan.operation),
                               plan.subject));
    *ret_taking = taking;
    return CM_OK;
}

/* ----------------------------------------------------------------------------- plans that are there -- */

static cm_status find(struct cm_store *store, const char *id, struct cm_arena *arena,
                      struct cm_plan_record *ret_record, struct cm_error *err)
{
    struct cm_store_reader *reader = NULL;
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status == CM_OK)
        status = cm_plan_find(reader, id, arena, ret_record, err);
    cm_store_reader_close(reader);
    return status;
}

static struct cm_plan_taking taking_of(const struct cm_plan_record *record, enum cm_plan_step step)
{
    struct cm_plan_taking taking = { .change = { .step = step } };
    memcpy(taking.change.id, record->row.id, sizeof taking.change.id);
    memcpy(taking.change.digest, record->row.digest, sizeof taking.change.digest);
    return taking;
}

/* Who it is says the settings' key, not the one that the approval brings. */
static cm_status check_approval(const struct cm_settings *settings,
                                const struct cm_plan_record *record,
                                const struct cm_approval *approval, struct cm_error *err)
{
    const struct cm_settings_operator *operator=
        cm_settings_operator(settings, approval->by.operator);
    char shown[80];
    cm_bytes_printable(approval->by.operator, shown, sizeof shown);
    if (memcmp(approval->digest, record->row.digest, sizeof approval->digest) != 0)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the approval is for a plan with another digest");
    if (!operator)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "%s is no operator of the settings",
                       shown);
    if (!cm_bytes_equal(operator->key, approval->by.key))
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the key is not that of the operator %s in the settings", shown);
    cm_status status = cm_approval_verify(approval->by.purpose, record->row.digest,
                                          approval->by.key, approval->by.signature, err);
    if (status == CM_OK && !cm_plan_approval_counts(settings, record, &approval->by))
        status = CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                         "the operator %s has not the role that %s wants", shown,
                         cm_ceremony_name(record->plan.operation));
    return status;
}

cm_status cm_plan_take_approval(const struct cm_settings *settings, struct cm_store *store,
                                struct cm_bytes text, struct cm_bytes actor, struct cm_arena *arena,
                                struct cm_plan_taking *ret_taking, struct cm_error *err)
{
    struct cm_plan_record record;
    struct cm_approval approval;
    cm_status status = cm_approval_read(text, arena, &approval, err);
    if (status == CM_OK)
        status = find(store, hex_of(approval.plan, arena), arena, &record, err);
    if (status == CM_OK)
        status = check_approval(settings, &record, &approval, err);
    if (status != CM_OK)
        return status;
    struct cm_plan_taking taking = taking_of(&record, CM_PLAN_APPROVE);
    taking.change.approval = approval.by;
    /* An operator's name is one of the settings: it needs no quoting. */
    fill_audit(&taking, "plan-approved", actor,
               cm_arena_printf(arena, "{\"plan\":\"%s\",\"operator\":\"%.*s\",\"purpose\":\"%s\"}",
                               hex_of(record.row.id, arena), (int)approval.by.operator.size,
                               (const char *)approval.by.operator.data,
                               cm_approval_purpose_name(approval.by.purpose)));
    *ret_taking = taking;
    return CM_OK;
}

cm_status cm_plan_take_cancel(const struct cm_settings *settings, struct cm_store *store,
                              const char *id, struct cm_bytes actor, struct cm_arena *arena,
                              struct cm_plan_taking *ret_taking, struct cm_error *err)
{
    struct cm_plan_record record;
    cm_status status = find(store, id, arena, &record, err);
    if (status != CM_OK)
        return status;
    uint32_t count = cm_plan_count_approvals(settings, &record, CM_APPROVAL_CANCEL);
    uint32_t wanted = cm_plan_wants_approvals(settings, &record);
    if (count < wanted)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "%u of %u operators want it cancelled; it also ends by itself", count,
                       wanted);
    *ret_taking = taking_of(&record, CM_PLAN_CANCEL);
    fill_audit(ret_taking, "plan-cancelled", actor,
               cm_arena_printf(arena, "{\"plan\":\"%s\"}", hex_of(record.row.id, arena)));
    return CM_OK;
}
