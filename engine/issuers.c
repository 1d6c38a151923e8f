#include "engine/issuers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/fixing.h"
#include "engine/floors.h"

/* Of a key that does not issue: up to a minute. */
enum { RETRY_MS_MIN = 250, RETRY_SHIFT_MAX = 8, LOOK_AGAIN_MS = 1000 };

static void notice(const struct cm_issuers *issuers, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void notice(const struct cm_issuers *issuers, const char *format, ...)
{
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (issuers->env.on_notice)
        issuers->env.on_notice(text, issuers->env.arg);
}

static bool has_started(const struct cm_issuers *issuers)
{
    return !issuers->opened;
}

static void tell_changed(const struct cm_issuers *issuers)
{
    if (has_started(issuers) && !issuers->is_stopped && issuers->env.on_changed)
        issuers->env.on_changed(issuers->env.arg);
}

/* ------------------------------------------------------------------ keys -- */

static void open_again(void *arg);

static bool is_missing(const struct cm_issuer_key *issuer)
{
    return issuer->provider && !issuer->key && !issuer->is_being_opened && !issuer->is_over
           && !cm_issuer_has_ended(issuer, cm_clock_wall_s());
}

static void plan_retry(struct cm_issuers *issuers)
{
    bool is_wanted = false;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        is_wanted |= is_missing(&issuers->keys[i]);
    if (is_wanted && !issuers->is_stopped && issuers->status == CM_OK)
        cm_timer_start(&issuers->retry, issuers->env.loop,
                       cm_clock_backoff_ms(RETRY_MS_MIN, issuers->retries_count, RETRY_SHIFT_MAX),
                       open_again, issuers);
}

static void finish_one(struct cm_issuers *issuers)
{
    void (*opened)(struct cm_issuers * issuers, void *arg) = issuers->opened;
    if (--issuers->pending_count > 0)
        return;
    issuers->opened = NULL;
    plan_retry(issuers);
    if (opened) {
        opened(issuers, issuers->arg);
    } else if (issuers->is_stopped && issuers->env.on_idle) {
        issuers->env.on_idle(issuers->env.arg);
    }
}

static void fail(struct cm_issuers *issuers, cm_status status, const struct cm_error *err)
{
    if (issuers->status != CM_OK)
        return;
    issuers->status = status;
    issuers->err = *err;
}

static bool is_active(const struct cm_issuer_key *issuer)
{
    return issuer->state == CM_GENERATION_ACTIVE;
}

/* One that issues fails the start. Else it is told the first time, and then less and less often. */
static void put_off(struct cm_issuer_key *issuer, cm_status status, const struct cm_error *err)
{
    struct cm_issuers *issuers = issuer->issuers;
    unsigned count = issuers->retries_count;
    if (is_active(issuer) && !has_started(issuers))
        fail(issuers, status, err);
    else if ((count & (count - 1)) == 0)
        notice(issuers, "%s of %s for now: %s",
               is_active(issuer) ? "no certificates" : "no CRLs and OCSP responses", issuer->name,
               err->text);
}

/* Once its key is open, or cannot be: what is published of it at once wants the key. */
static void announce(struct cm_issuer_key *issuer)
{
    const struct cm_issuers_env *env = &issuer->issuers->env;
    if (!issuer->is_new)
        return;
    issuer->is_new = false;
    if (env->on_added)
        env->on_added(issuer, env->arg);
}

static void on_key_opened(cm_status status, struct cm_key *key, const struct cm_error *err,
                          void *arg)
{
    struct cm_issuer_key *issuer = arg;
    struct cm_error why = { .status = CM_OK };
    issuer->is_being_opened = false;
    if (status == CM_OK)
        status = cm_issuer_take_key(issuer, key, &why);
    else
        (void)CM_FAIL(&why, status, CM_ORIGIN_SELF, 0, "key of %s: %s", issuer->name, err->text);
    if (status == CM_OK)
        issuer->issues = is_active(issuer);
    else
        put_off(issuer, status, &why);
    announce(issuer);
    if (status == CM_OK && issuer->issuers->env.on_opened)
        issuer->issuers->env.on_opened(issuer, issuer->issuers->env.arg);
    tell_changed(issuer->issuers);
    finish_one(issuer->issuers);
}

static struct cm_provider *provider_of(const struct cm_issuer_key *issuer)
{
    const struct cm_issuers_env *env = &issuer->issuers->env;
    return env->providers[issuer->provider - env->settings->providers];
}

/* The floor is bound once: it stays for the reference. */
static void bind_floor(const struct cm_issuer_key *issuer)
{
    struct cm_floor floor =
        cm_floor_of(issuer->issuers->settings, issuer->authority, issuer->issuer.name);
    if (!is_active(issuer) && issuer->state != CM_GENERATION_PENDING)
        floor.lanes &= CM_LANE_BIT(CM_LANE_CRL) | CM_LANE_BIT(CM_LANE_OCSP);
    cm_host_bind(provider_of(issuer), issuer->reference, &floor);
}

static void open_key(struct cm_issuer_key *issuer)
{
    issuer->issuers->pending_count++;
    issuer->is_being_opened = true;
    cm_provider_open_key(provider_of(issuer), issuer->reference, CM_SIGALG_UNKNOWN, on_key_opened,
                         issuer);
}

static void open_again(void *arg)
{
    struct cm_issuers *issuers = arg;
    issuers->retries_count++;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (is_missing(&issuers->keys[i]))
            open_key(&issuers->keys[i]);
}

static void open_first(struct cm_issuer_key *issuer)
{
    if (!issuer->provider) {
        notice(issuer->issuers,
               "nothing of %s is signed: its provider is not in the settings that are in use",
               issuer->name);
    } else {
        bind_floor(issuer);
        open_key(issuer);
    }
}

/* ------------------------------------------------------------------ the store's generations -- */

static const struct cm_settings_authority *authority_of(const struct cm_issuers *issuers,
                                                        const struct cm_generation *generation)
{
    const struct cm_settings *settings = issuers->settings;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (cm_bytes_is(generation->authority, settings->authorities[i].name))
            return &settings->authorities[i];
    return NULL;
}

static void set_urls(struct cm_issuer_key *issuer, const struct cm_generation *generation)
{
    struct cm_fixed fixed;
    cm_fixing_look(issuer->issuers->fixing, generation, issuer->name, issuer->authority, &fixed);
    if (fixed.differs && is_active(issuer))
        notice(issuer->issuers,
               "%s keeps its CRL shards (%u) and their URL: those of the settings are for new "
               "generations",
               issuer->name, fixed.crl_shards);
    cm_issuer_set_urls(issuer, fixed.crl_shards, fixed.crl_url);
}

/* Its key is archived, or destroyed: nobody asks for it any more. */
static bool is_over(const struct cm_generation *generation)
{
    return generation->state == CM_GENERATION_RETIRED && generation->key_fate != CM_KEY_KEPT;
}

/* NULL: it is not to be here, or cannot be; of one that issues the start fails then. */
static struct cm_issuer_key *add(struct cm_issuers *issuers, const struct cm_generation *generation,
                                 const struct cm_settings_authority *authority)
{
    uint32_t count = issuers->keys_count;
    struct cm_issuer_key *issuer = &issuers->keys[count];
    struct cm_error why;
    if (count == CM_ISSUERS_MAX) {
        notice(issuers, "a generation of %s is not taken up: start the engine again, it has %d",
               authority->name, CM_ISSUERS_MAX);
        return NULL;
    }
    cm_status status = cm_issuer_init(issuer, issuers, generation, authority, &why);
    bool has_ended = status == CM_OK
                     && (is_over(generation)
                         || (!is_active(issuer) && cm_issuer_has_ended(issuer, cm_clock_wall_s())));
    if (status == CM_OK && !has_ended) {
        set_urls(issuer, generation);
        atomic_store(&issuers->keys_count, count + 1);
        return issuer;
    }
    if (status != CM_OK)
        put_off(issuer, status, &why);
    cm_issuer_done(issuer);
    return NULL;
}

static struct cm_issuer_key *find(const struct cm_issuers *issuers, int64_t generation_number)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].generation_number == generation_number)
            return &issuers->keys[i];
    return NULL;
}

/* One that waits for its certificate is none yet. */
static bool is_whole(const struct cm_generation *generation)
{
    return generation->certificate.size > 0;
}

static bool note_generation(const struct cm_generation *generation, void *arg)
{
    struct cm_issuers *issuers = arg;
    const struct cm_settings_authority *authority = authority_of(issuers, generation);
    if (authority && is_whole(generation))
        add(issuers, generation, authority);
    return issuers->status == CM_OK;
}

static bool is_there(const struct cm_issuers *issuers,
                     const struct cm_settings_authority *authority)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (is_active(&issuers->keys[i]) && issuers->keys[i].authority == authority)
            return true;
    return false;
}

static cm_status check_complete(const struct cm_issuers *issuers, struct cm_error *err)
{
    const struct cm_settings *settings = issuers->settings;
    for (uint32_t i = 0; i < settings->groups_count; i++) {
        const struct cm_settings_authority *authority = settings->groups[i].authority;
        if (is_there(issuers, authority))
            continue;
        if (!issuers->env.may_wait)
            return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                           "authority %s (of group %s) has no active generation in the store",
                           authority->name, settings->groups[i].name);
        notice(issuers, "authority %s has no active generation: requests of group %s wait for one",
               authority->name, settings->groups[i].name);
    }
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (is_active(&issuers->keys[i]) && !issuers->keys[i].provider)
            return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                           "the provider of %s is not in the settings", issuers->keys[i].name);
    return CM_OK;
}

static cm_status walk_generations(struct cm_issuers *issuers, struct cm_store_reader *reader,
                                  cm_generation_walk_fn *visit, struct cm_error *err)
{
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_walk_generations(reader, visit, issuers, err);
    cm_store_reader_end(reader);
    return status;
}

/* ------------------------------------------------------------------ while it runs -- */

static void change_state(struct cm_issuer_key *issuer, const struct cm_generation *generation)
{
    enum cm_generation_state before = issuer->state;
    issuer->state = generation->state;
    issuer->active_ms = generation->active_ms;
    issuer->issues = is_active(issuer) && issuer->key && issuer->templates;
    issuer->is_over = is_over(generation);
    if (before != issuer->state)
        notice(issuer->issuers, "%s is %s", issuer->name, cm_generation_state_name(issuer->state));
}

/* What a generation that is new has to be fixed is noted; those that are here have the state of the store. */
static bool note_change(const struct cm_generation *generation, void *arg)
{
    struct cm_issuers *issuers = arg;
    const struct cm_settings_authority *authority = authority_of(issuers, generation);
    struct cm_issuer_key *issuer = find(issuers, generation->number);
    struct cm_fixed fixed;
    char name[sizeof issuer->name];
    if (issuer) {
        change_state(issuer, generation);
    } else if (authority && is_whole(generation)) {
        snprintf(name, sizeof name, "%s-%lld", authority->name, (long long)generation->generation);
        cm_fixing_look(issuers->fixing, generation, name, authority, &fixed);
        free(fixed.crl_url);
    }
    return true;
}

static bool take_new(const struct cm_generation *generation, void *arg)
{
    struct cm_issuers *issuers = arg;
    const struct cm_settings_authority *authority = authority_of(issuers, generation);
    if (!authority || !is_whole(generation) || find(issuers, generation->number))
        return true;
    struct cm_issuer_key *issuer = add(issuers, generation, authority);
    if (!issuer)
        return true;
    issuer->is_new = true;
    open_first(issuer);
    if (!issuer->is_being_opened)
        announce(issuer);
    return true;
}

static cm_status walk_now(struct cm_issuers *issuers, cm_generation_walk_fn *visit,
                          struct cm_error *err)
{
    struct cm_store_reader *reader = NULL;
    cm_status status = cm_store_reader_open(issuers->env.store, &reader, err);
    if (status == CM_OK)
        status = walk_generations(issuers, reader, visit, err);
    cm_store_reader_close(reader);
    return status;
}

static void look_again(void *arg)
{
    cm_issuers_look(arg);
}

/* The step that look has counted as pending ends with it. */
static void end_look(struct cm_issuers *issuers, cm_status status, const struct cm_error *err)
{
    if (status != CM_OK)
        notice(issuers, "generations of authorities are not taken up yet: %s", err->text);
    if (status != CM_OK && !issuers->is_stopped)
        cm_timer_start(&issuers->again, issuers->env.loop, LOOK_AGAIN_MS, look_again, issuers);
    tell_changed(issuers);
    finish_one(issuers);
}

/* What is fixed now is taken as it stands in the store. */
static void on_new_fixed(cm_status status, const struct cm_error *fixing_err, void *arg)
{
    struct cm_issuers *issuers = arg;
    struct cm_error err = *fixing_err;
    cm_fixing_free(issuers->fixing);
    issuers->fixing = cm_fixing_new(NULL);
    if (status == CM_OK)
        status = walk_now(issuers, take_new, &err);
    cm_fixing_free(issuers->fixing);
    issuers->fixing = NULL;
    bool must_look = issuers->must_look && !issuers->is_stopped;
    issuers->must_look = false;
    end_look(issuers, status, &err);
    if (must_look)
        cm_issuers_look(issuers);
}

void cm_issuers_look(struct cm_issuers *issuers)
{
    struct cm_error err;
    cm_loop_assert_here(issuers->env.loop);
    if (issuers->is_stopped)
        return;
    if (issuers->fixing) {
        issuers->must_look = true;
        return;
    }
    issuers->pending_count++;
    issuers->fixing = cm_fixing_new(issuers->env.store);
    cm_status status = walk_now(issuers, note_change, &err);
    if (status == CM_OK) {
        cm_fixing_begin(issuers->fixing, on_new_fixed, issuers);
        return;
    }
    cm_fixing_free(issuers->fixing);
    issuers->fixing = NULL;
    end_look(issuers, status, &err);
}

/* ------------------------------------------------------------------ life -- */

/* The step that begin has counted as pending ends only when all of its keys have been asked for. */
static void on_fixed(cm_status status, const struct cm_error *err, void *arg)
{
    struct cm_issuers *issuers = arg;
    cm_fixing_free(issuers->fixing);
    issuers->fixing = NULL;
    if (status != CM_OK)
        fail(issuers, status, err);
    for (uint32_t i = 0; status == CM_OK && i < issuers->keys_count; i++)
        open_first(&issuers->keys[i]);
    finish_one(issuers);
}

static void begin(void *arg)
{
    struct cm_issuers *issuers = arg;
    if (issuers->status == CM_OK)
        cm_fixing_begin(issuers->fixing, on_fixed, issuers);
    else
        finish_one(issuers);
}

void cm_issuers_open(struct cm_issuers *issuers, const struct cm_issuers_env *env,
                     struct cm_store_reader *reader,
                     void (*opened)(struct cm_issuers *issuers, void *arg), void *arg)
{
    struct cm_error err;
    *issuers = (struct cm_issuers){ .settings = env->settings,
                                    .env = *env,
                                    .keys = calloc(CM_ISSUERS_MAX, sizeof *issuers->keys),
                                    .fixing = cm_fixing_new(env->store),
                                    .pending_count = 1,
                                    .opened = opened,
                                    .arg = arg };
    if (!issuers->keys)
        abort();
    cm_status status = walk_generations(issuers, reader, note_generation, &err);
    if (status == CM_OK && issuers->status == CM_OK)
        status = check_complete(issuers, &err);
    if (status != CM_OK)
        fail(issuers, status, &err);
    issuers->task = (struct cm_task){ .run = begin, .arg = issuers };
    cm_loop_post(env->loop, &issuers->task);
}

void cm_issuers_stop(struct cm_issuers *issuers)
{
    issuers->is_stopped = true;
    cm_timer_stop(&issuers->retry);
    cm_timer_stop(&issuers->again);
}

bool cm_issuers_are_idle(const struct cm_issuers *issuers)
{
    return issuers->pending_count == 0;
}

void cm_issuers_close(struct cm_issuers *issuers)
{
    cm_timer_done(&issuers->retry);
    cm_timer_done(&issuers->again);
    cm_fixing_free(issuers->fixing);
    issuers->fixing = NULL;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        cm_issuer_done(&issuers->keys[i]);
    free(issuers->keys);
    issuers->keys = NULL;
    issuers->keys_count = 0;
}

bool cm_issuers_have(const struct cm_issuers *issuers,
                     const struct cm_settings_authority *authority)
{
    return is_there(issuers, authority);
}

const struct cm_issuer_key *cm_issuers_by_generation(const struct cm_issuers *issuers,
                                                     int64_t generation_number)
{
    return find(issuers, generation_number);
}
