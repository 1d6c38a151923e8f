/*
 * Admit: who may have what. Default deny.
 *
 * First the memory: a request that was answered before gets the same answer, whatever policy says
 * today, and an id that was used for other content is refused. Then the decision, for new requests:
 * the device is on the allow-list and may enrol, the requester may ask for its group, the group
 * names the profile, and nobody takes more than their share. Of an order the store decides the rest, as
 * it is carried out; here it is said who orders, and which groups are theirs.
 */
#include "engine/internal.h"

static bool recall(struct cm_request *request, struct cm_worker *worker, struct cm_arena *arena)
{
    struct cm_error err;
    if (cm_store_recall(worker->reader, &request->key, arena, &request->recall, &err) != CM_OK)
        return false;
    if (!request->recall.known)
        return true;
    if (memcmp(&request->recall.digest, &request->digest, sizeof request->digest) != 0) {
        request->recall.known = false; /* nothing of the other request's answer is told */
        cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_ID_REUSED, CM_REFUSAL_NO_OFFSET, NULL);
        cm_request_refuse(request);
        return true;
    }
    request->outcome = CM_OUTCOME_REPEATED;
    return true;
}

/* Also for requests that the envelope has condemned meanwhile: their first answer stands. */
void cm_admit_recall(struct cm_batch *batch, struct cm_worker *worker)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        bool is_limited = request->refusal.code == CM_REFUSAL_REQUEST_RATE_LIMITED;
        if (request->has_key && !is_limited && !recall(request, worker, &batch->arena))
            request->outcome = CM_OUTCOME_GIVEN_BACK;
    }
}

static bool admit_operation(struct cm_request *request)
{
    if (request->requester->operations & CM_OPERATION_BIT(request->operation))
        return true;
    return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_OPERATION_NOT_ALLOWED,
                     CM_REFUSAL_NO_OFFSET, "requester %s may not ask for op %s",
                     request->requester->name, cm_operation_name(request->operation));
}

static bool admit_device(struct cm_request *request, const struct cm_settings *settings)
{
    char name[64];
    struct cm_bytes group = request->device.group;
    if (request->device.number == 0) {
        if (!request->entry->group)
            return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_NOT_ALLOWED,
                             CM_REFUSAL_NO_OFFSET, "device %s is not on the allow-list",
                             cm_bytes_printable(request->device_id, name, sizeof name));
        request->enrolls = true;
        group = cm_bytes_str(request->entry->group);
    } else if (request->device.state != CM_DEVICE_ALLOWED) {
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_STATE, CM_REFUSAL_NO_OFFSET,
                         "device %s is %s",
                         cm_bytes_printable(request->device_id, name, sizeof name),
                         cm_device_state_name(request->device.state));
    }
    request->group = cm_settings_group(settings, group);
    if (!request->group)
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_NOT_ALLOWED,
                         CM_REFUSAL_NO_OFFSET, "the device's group %s is not in the settings",
                         cm_bytes_printable(group, name, sizeof name));
    return true;
}

static bool admit_requester(struct cm_request *request)
{
    for (uint32_t i = 0; i < request->requester->groups_count; i++)
        if (request->requester->groups[i] == request->group)
            return true;
    return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_GROUP_NOT_ALLOWED, CM_REFUSAL_NO_OFFSET,
                     "requester %s may not ask for devices of group %s", request->requester->name,
                     request->group->name);
}

static bool choose_profile(struct cm_request *request, const struct cm_settings *settings)
{
    struct cm_bytes wanted = request->entry->fields[CM_FIELD_PROFILE];
    char name[64];
    if (!wanted.data) {
        request->profile = request->group->profiles[0];
        return true;
    }
    for (uint32_t i = 0; i < request->group->profiles_count; i++) {
        if (cm_bytes_is(wanted, request->group->profiles[i]->name)) {
            request->profile = request->group->profiles[i];
            return true;
        }
    }
    cm_bytes_printable(wanted, name, sizeof name);
    if (!cm_settings_profile(settings, wanted))
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_PROFILE_UNKNOWN, CM_REFUSAL_NO_OFFSET,
                         "there is no profile %s", name);
    return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_PROFILE_NOT_ALLOWED, CM_REFUSAL_NO_OFFSET,
                     "group %s does not allow profile %s", request->group->name, name);
}

static bool admit_key_type(struct cm_request *request)
{
    if (request->profile->key_types & CM_KEY_TYPE_BIT(request->csr.key.type))
        return true;
    return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_KEY_TYPE_NOT_ALLOWED,
                     CM_REFUSAL_NO_OFFSET, "profile %s does not allow %s keys",
                     request->profile->name, cm_key_type_name(request->csr.key.type));
}

static bool limit_group(struct cm_request *request, struct cm_engine *engine)
{
    uint32_t wait_ms = 0;
    struct cm_limit *limit = cm_engine_group_limit(engine, request->group);
    if (request->entry->is_rated || cm_limit_take(limit, request->entry->arrived_ns, &wait_ms))
        return true;
    return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_RATE_LIMITED, CM_REFUSAL_NO_OFFSET,
                     "group %s is limited to %u requests a second; try again in %u ms",
                     request->group->name, request->group->rate_per_s, wait_ms);
}

/* Reserved last, when only the proof of possession can still fail. */
static bool reserve_quota(struct cm_request *request, struct cm_engine *engine, int64_t time_ms)
{
    struct cm_limit *requester = cm_engine_requester_limit(engine, request->requester);
    struct cm_limit *group = cm_engine_group_limit(engine, request->group);
    if (!cm_limit_reserve(requester, time_ms))
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_QUOTA_EXCEEDED, CM_REFUSAL_NO_OFFSET,
                         "requester %s has had its %llu certificates of today",
                         request->requester->name,
                         (unsigned long long)request->requester->quota_per_day);
    if (!cm_limit_reserve(group, time_ms)) {
        cm_limit_give_back(requester);
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_QUOTA_EXCEEDED, CM_REFUSAL_NO_OFFSET,
                         "group %s has had its %llu certificates of today", request->group->name,
                         (unsigned long long)request->group->quota_per_day);
    }
    request->has_quota = true;
    return true;
}

static bool admit(struct cm_request *request, struct cm_engine *engine, int64_t time_ms)
{
    const struct cm_settings *settings = engine->settings;
    return admit_device(request, settings) && admit_requester(request)
           && choose_profile(request, settings) && admit_key_type(request)
           && limit_group(request, engine) && reserve_quota(request, engine, time_ms);
}

/*
 * A probe is a request without a promise, which would be broken. Where the authority is away, it is the
 * one that has a promise of the key, or else any.
 */
static bool may_be_probe(const struct cm_request *request, const struct cm_choice *choice)
{
    if (!choice->probe || choice->is_probe_taken)
        return false;
    if (choice->issuer)
        return !request->promise;
    return !choice->is_probe_promised || request->kept_issuer == choice->probe;
}

/* As the loop has chosen for the batch. */
static void choose_issuer(struct cm_request *request, struct cm_batch *batch)
{
    const struct cm_settings_authority *authority = request->group->authority;
    struct cm_choice *choice = &batch->choices[authority - batch->engine->settings->authorities];
    const struct cm_issuer_key *kept = request->kept_issuer;
    if (may_be_probe(request, choice)) {
        request->issuer = choice->probe;
        choice->is_probe_taken = true;
    } else if (!choice->issuer) {
        request->outcome = CM_OUTCOME_SET_ASIDE;
    } else {
        request->issuer = kept && kept->authority == authority ? kept : choice->issuer;
    }
}

/* Never NULL: that would be every group. */
static const char *const *name_groups(const struct cm_settings_requester *requester,
                                      struct cm_arena *arena)
{
    const char **names = cm_arena_alloc(arena, (requester->groups_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < requester->groups_count; i++)
        names[i] = requester->groups[i]->name;
    return names;
}

static void admit_order(struct cm_request *request, struct cm_batch *batch)
{
    struct cm_order *order = request->order;
    order->fresh_groups = batch->engine->settings->fresh_groups;
    order->fresh_groups_count = batch->engine->settings->fresh_groups_count;
    order->groups = name_groups(request->requester, &batch->arena);
    order->groups_count = request->requester->groups_count;
    order->actor =
        cm_bytes_str(cm_arena_printf(&batch->arena, "requester:%s", request->requester->name));
    order->key = &request->key;
    order->digest = &request->digest;
    request->outcome = CM_OUTCOME_ORDERED;
}

void cm_admit(struct cm_batch *batch, struct cm_worker *worker)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        struct cm_error err;
        if (!cm_request_is_open(request))
            continue;
        if (!admit_operation(request))
            cm_request_refuse(request);
        else if (request->order)
            admit_order(request, batch);
        else if (cm_store_find_device(worker->reader, request->device_id, &batch->arena,
                                      &request->device, &err)
                 != CM_OK)
            request->outcome = CM_OUTCOME_GIVEN_BACK;
        else if (!admit(request, batch->engine, batch->time_ms))
            cm_request_refuse(request);
        else
            choose_issuer(request, batch);
    }
}
