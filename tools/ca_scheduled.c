#include "tools/ca_scheduled.h"

#include "engine/base/clock.h"
#include "engine/schedule.h"
#include "tools/ca_retirement.h"
#include "tools/ca_rotation.h"
#include "tools/generations.h"

/* What an engine has begun with the old key has its intents recorded by then; they keep the key. */
enum { SETTLED_MS = 10000 };

struct run {
    struct cm_ca_record *record;
    const struct cm_settings_authority *authority;
    void (*done)(const char *generation, const char *is, void *arg);
    void *arg;
    struct cm_generations generations;
};

static cm_status read_generations(struct run *run, struct cm_error *err)
{
    struct cm_deployment *deployment = &run->record->deployment;
    return cm_generations_read(deployment->store, &deployment->arena, &run->generations, err);
}

static const char *name_of(const struct run *run, const struct cm_generation *generation)
{
    return cm_generation_name(&run->record->deployment.arena, generation);
}

static const struct cm_generation *find_next(const struct run *run,
                                             const struct cm_generation *active)
{
    for (uint32_t i = 0; i < run->generations.count; i++) {
        const struct cm_generation *one = &run->generations.all[i];
        if (one->state == CM_GENERATION_PENDING && one->replaces == active->number
            && one->certificate.size > 0)
            return one;
    }
    return NULL;
}

/* Where the end of the signer is the end of both, another certificate would change nothing, again and again. */
static cm_status check_signer(const struct run *run, const struct cm_generation *active,
                              const struct cm_certificate *certificate, struct cm_error *err)
{
    struct cm_certificate of_signer;
    const struct cm_generation *signer = cm_generations_find_signer(&run->generations, certificate);
    if (!signer || cm_certificate_is_signed_by(certificate, certificate))
        return CM_OK;
    struct cm_bytes name = signer->authority;
    signer = cm_generations_active(&run->generations,
                                   cm_arena_printf(&run->record->deployment.arena, "%.*s",
                                                   (int)name.size, (const char *)name.data));
    if (!signer)
        return CM_OK; /* the rotation says so */
    cm_status status = cm_certificate_read(signer->certificate, &of_signer, err);
    if (status == CM_OK && of_signer.not_after_s <= certificate->not_after_s)
        return CM_FAIL(
            err, CM_DENIED, CM_ORIGIN_SELF, 0,
            "%.80s ends, and %.80s, which signs the next one, no later: rotate that first",
            name_of(run, active), name_of(run, signer));
    return status;
}

static cm_status prepare(struct run *run, const struct cm_generation *active, const char **ret_name,
                         struct cm_error *err)
{
    struct cm_ca_rotation rotation = { .authority = run->authority->name,
                                       .replaced = name_of(run, active) };
    cm_status status = cm_ca_rotation_carry_out(&rotation, run->record, err);
    if (status != CM_OK)
        return status;
    run->done(rotation.name, "pending", run->arg);
    *ret_name = rotation.name;
    return CM_OK;
}

static cm_status activate(struct run *run, const char *name, struct cm_error *err)
{
    cm_status status = cm_ca_record_move(run->record, name, CM_GENERATION_ACTIVE, CM_KEY_KEPT,
                                         false, NULL, NULL, err);
    if (status == CM_OK)
        run->done(name, "active", run->arg);
    return status;
}

static cm_status look_at_active(struct run *run, const struct cm_generation *active,
                                struct cm_error *err)
{
    struct cm_certificate certificate;
    struct cm_schedule_moments moments;
    const struct cm_generation *next = find_next(run, active);
    const char *name = next ? name_of(run, next) : NULL;
    cm_status status = cm_certificate_read(active->certificate, &certificate, err);
    if (status != CM_OK
        || !cm_schedule_of(run->authority, active->active_ms, certificate.not_after_s, &moments)
        || cm_clock_wall_ms() < moments.prepare_ms)
        return status;
    if (!next && moments.is_by_end)
        status = check_signer(run, active, &certificate, err);
    if (status == CM_OK && !next)
        status = prepare(run, active, &name, err);
    bool is_turn =
        run->authority->rotation == CM_ROTATION_AUTOMATIC && cm_clock_wall_ms() >= moments.due_ms;
    return status == CM_OK && is_turn ? activate(run, name, err) : status;
}

/* Those that still have something to tell stay. */
static cm_status look_at_retiring(struct run *run, const struct cm_generation *retiring,
                                  struct cm_error *err)
{
    enum cm_key_fate fate =
        run->authority->destroys_retired_keys ? CM_KEY_DESTROYED : CM_KEY_ARCHIVED;
    if (cm_clock_wall_ms() < retiring->stopped_ms + SETTLED_MS)
        return CM_OK;
    cm_status status = cm_ca_retire(run->record, retiring, fate, NULL, err);
    if (status == CM_OK)
        run->done(name_of(run, retiring), "retired", run->arg);
    return status == CM_BUSY ? CM_OK : status;
}

static cm_status look_at_all(struct run *run, enum cm_generation_state state,
                             cm_status (*look)(struct run *run,
                                               const struct cm_generation *generation,
                                               struct cm_error *err),
                             struct cm_error *err)
{
    cm_status status = read_generations(run, err);
    for (uint32_t i = 0; status == CM_OK && i < run->generations.count; i++) {
        const struct cm_generation *one = &run->generations.all[i];
        if (one->state == state && cm_bytes_is(one->authority, run->authority->name))
            status = look(run, one, err);
    }
    return status;
}

cm_status cm_ca_scheduled_carry_out(struct cm_ca_record *record, const char *authority,
                                    void (*done)(const char *generation, const char *is, void *arg),
                                    void *arg, struct cm_error *err)
{
    const struct cm_settings_authority *settings =
        cm_settings_authority(record->deployment.settings, authority);
    struct run run = { .record = record, .authority = settings, .done = done, .arg = arg };
    if (!settings || settings->issues_for_ms == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "the settings have no authority %.80s with issues-for", authority);
    if (settings->rotation == CM_ROTATION_WARN)
        return CM_OK;
    cm_status status = cm_ca_record_lock(record, err);
    if (status == CM_OK)
        status = look_at_all(&run, CM_GENERATION_ACTIVE, look_at_active, err);
    if (status == CM_OK && settings->rotation == CM_ROTATION_AUTOMATIC)
        status = look_at_all(&run, CM_GENERATION_RETIRING, look_at_retiring, err);
    return status;
}
