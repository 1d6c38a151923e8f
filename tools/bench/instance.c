/*
 * An HSM, a vault, or whatever else the operator has: one key in it, for this run. Its certificate is signed
 * by itself, under a name of the run's own: whatever key it is, nothing that is signed here leads to the
 * operator's CA.
 */
#include "tools/bench/bench.h"

#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "tools/interruptions.h"
#include "tools/provider_load.h"

#define ALONE_SECONDS 1.0

enum { BATCH_ITEMS = 64, VAULT_IN_FLIGHT = 64, SESSIONS = 8 };

bool cm_bench_instance_is_asked_for(const struct cm_call *call)
{
    return cm_call_value(call, "config") || cm_call_value(call, "kind");
}

/* --- its key ------------------------------------------------------------------------------------- */

static struct cm_key_spec spec_of(const char *ca_key)
{
    for (size_t i = 0; i < cm_provider_kinds_count; i++)
        if (strcmp(cm_provider_kinds[i].name, ca_key) == 0)
            return cm_provider_kinds[i].spec;
    return (struct cm_key_spec){ .type = CM_KEY_P256 };
}

/* From here on it is interrupted only where nothing is left behind. */
static cm_status name_key(const struct cm_bench_plan *plan, struct cm_bench_instance *instance,
                          struct cm_error *err)
{
    const char *named = cm_call_value(plan->call, "key");
    cm_status status = CM_OK;
    if (!named)
        status = cm_provider_target_name_key(&instance->target, instance->made,
                                             sizeof instance->made, err);
    if (status != CM_OK) {
        instance->made[0] = '\0';
        return status;
    }
    instance->ca = (struct cm_new_authority){ .name = "issuing",
                                              .key = named ? named : instance->made,
                                              .has_key = named != NULL,
                                              .spec = spec_of(plan->ca_key),
                                              .profile = cm_profile_builtin("root-ca"),
                                              .cn = "certmill bench, trust it in nothing" };
    if (!named)
        cm_interruptions_hold(
            "ending, and destroying the key %s; interrupt again to leave it there", instance->made);
    return CM_OK;
}

/* --- what it does alone -------------------------------------------------------------------------- */

static uint32_t busy_with(const struct cm_bench_instance *instance)
{
    if (instance->target.provider.workers > 0)
        return instance->target.provider.workers;
    return cm_provider_target_is_vault(&instance->target) ? VAULT_IN_FLIGHT : SESSIONS;
}

static cm_status measure_alone(struct cm_bench_instance *instance,
                               struct cm_provider_session *session, struct cm_error *err)
{
    struct cm_provider_load_result found;
    const struct cm_provider_load_size size = {
        .sessions = busy_with(instance),
        .batches_max = cm_provider_caps(session->provider).batches_in_flight,
        .batch_items = BATCH_ITEMS,
        .is_vault = cm_provider_target_is_vault(&instance->target),
    };
    const struct cm_provider_load load = cm_provider_load_in_batches(&size, ALONE_SECONDS);
    cm_status status = cm_provider_load_run(session, instance->ca.handle, &load, &found, err);
    if (status == CM_OK)
        instance->per_second = found.per_second;
    return status;
}

/* --- its life ------------------------------------------------------------------------------------ */

static cm_status use_key(struct cm_bench_instance *instance, struct cm_provider_session *session,
                         struct cm_error *err)
{
    const struct cm_new_authority_signer itself = { .session = session,
                                                    .key = instance->ca.handle };
    instance->type = instance->ca.handle->type;
    instance->bits = instance->ca.handle->bits;
    cm_status status = cm_new_authority_sign(&instance->ca, &itself, &instance->arena, err);
    return status == CM_OK ? measure_alone(instance, session, err) : status;
}

/* All is closed again: what follows forks, and a module does not like that. */
static cm_status make_and_use_key(struct cm_bench_instance *instance, struct cm_error *err)
{
    struct cm_provider_session session;
    cm_status status = cm_provider_session_open(&session, &instance->target.provider, err);
    if (status == CM_OK)
        status = cm_new_authority_open_key(&instance->ca, &session, err);
    if (status == CM_OK)
        status = use_key(instance, &session, err);
    cm_new_authority_close_key(&instance->ca, false);
    cm_provider_session_close(&session);
    return status;
}

cm_status cm_bench_instance_open(const struct cm_bench_plan *plan,
                                 struct cm_bench_instance *instance, struct cm_error *err)
{
    cm_arena_init(&instance->arena, 4096);
    cm_status status = cm_provider_target_find(&instance->target, plan->call, err);
    if (status == CM_OK)
        status = name_key(plan, instance, err);
    if (status == CM_OK)
        status = make_and_use_key(instance, err);
    return status == CM_OK ? cm_interruptions_check(err) : status;
}

cm_status cm_bench_instance_record(const struct cm_bench_instance *instance, const char *authority,
                                   struct cm_store *store, struct cm_error *err)
{
    const struct cm_new_authority *ca = &instance->ca;
    struct cm_generation generation = {
        .authority = cm_bytes_str(authority),
        .generation = 1,
        .state = CM_GENERATION_ACTIVE,
        .provider = cm_bytes_str(instance->target.provider.name),
        .key = cm_bytes_str(ca->key),
        .sigalg = cm_bytes_str(cm_sigalg_name(ca->sigalg)),
        .certificate = ca->der,
        .created_ms = cm_clock_wall_ms(),
    };
    struct cm_audit_event audit = { .kind = "ca-create",
                                    .actor = cm_bytes_str("bench"),
                                    .detail = cm_bytes_str("{}") };
    SHA256(ca->der.data, ca->der.size, audit.digest);
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = &generation,
                              .audit = &audit };
    return cm_store_apply(store, &op, err);
}

static void destroy_key(struct cm_bench_instance *instance)
{
    struct cm_provider_session session;
    struct cm_error err = { 0 };
    char left[CM_LEFT_TEXT_SIZE];
    cm_status status = cm_provider_session_open(&session, &instance->target.provider, &err);
    if (status == CM_OK)
        status = cm_provider_session_take_back(&session, NULL, instance->made, left);
    else
        cm_provider_session_say_left(instance->made, &err, left);
    cm_provider_session_close(&session);
    if (status == CM_NO_KEY)
        return; /* it was never made */
    if (status != CM_OK)
        fprintf(stderr, "certmill: %s\n", left);
    else if (cm_vault_keeps(instance->made))
        fprintf(stderr, "certmill: the key %s was deleted; " CM_VAULT_KEEPS "\n", instance->made);
}

void cm_bench_instance_close(struct cm_bench_instance *instance)
{
    if (!instance->is_used)
        return;
    if (instance->made[0]) {
        destroy_key(instance);
        cm_interruptions_release();
    }
    cm_provider_target_done(&instance->target);
    cm_arena_done(&instance->arena);
    instance->is_used = false;
}
