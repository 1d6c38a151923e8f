#include "engine/issuers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/fixing.h"
#include "engine/floors.h"

/* Of a key that does not issue: up to a minute. */
enum { RETRY_MS_MIN = 250, RETRY_SHIFT_MAX = 8 };

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

static char *copy_text(struct cm_bytes text)
{
    char *copy = strndup((const char *)text.data, text.size);
    if (!copy)
        abort();
    return copy;
}

/* ------------------------------------------------------------------ what is said of a generation -- */

/* The CA certificate says who the issuer is; settings and record say where its status is published. */
static cm_status describe_issuer(struct cm_issuer_key *key, struct cm_error *err)
{
    struct cm_certificate certificate;
    struct cm_refusal refusal;
    cm_status status = cm_certificate_read(key->certificate, &certificate, err);
    if (status == CM_OK)
        status = cm_issuer_from_certificate(&certificate, &key->issuer, err);
    if (status == CM_OK && !cm_public_key_read(certificate.spki, &key->public_key, &refusal))
        status = CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "public key of %s: %s", key->name,
                         refusal.message);
    return status;
}

static void set_urls(struct cm_issuer_key *key, const struct cm_generation *generation)
{
    struct cm_fixed fixed;
    cm_fixing_look(key->issuers->fixing, generation, key->name, key->authority, &fixed);
    if (fixed.differs && key->issues)
        notice(key->issuers,
               "%s keeps its CRL shards (%u) and their URL: those of the settings are for new "
               "generations",
               key->name, fixed.crl_shards);
    key->crl_url = fixed.crl_url;
    key->ocsp_url = cm_fill_issuer_url(key->authority->ocsp_url, key->name);
    key->ca_issuers_url = cm_fill_issuer_url(key->authority->ca_issuers_url, key->name);
    key->issuer.crl_shards = fixed.crl_shards;
    key->issuer.crl_url = key->crl_url;
    key->issuer.ocsp_url = key->ocsp_url;
    key->issuer.ca_issuers_url = key->ca_issuers_url;
}

static bool group_allows(const struct cm_settings_group *group, const struct cm_profile *profile)
{
    for (uint32_t i = 0; i < group->profiles_count; i++)
        if (group->profiles[i] == profile)
            return true;
    return false;
}

static bool is_issued_under(const struct cm_settings *settings, const struct cm_profile *profile,
                            const struct cm_settings_authority *authority)
{
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (settings->groups[i].authority == authority
            && group_allows(&settings->groups[i], profile))
            return true;
    return false;
}

static cm_status build_templates(struct cm_issuer_key *key, struct cm_error *err)
{
    const struct cm_settings *settings = key->issuers->settings;
    key->templates = calloc(settings->profiles_count, sizeof(struct cm_template *));
    if (!key->templates)
        abort();
    for (uint32_t i = 0; i < settings->profiles_count; i++) {
        if (!is_issued_under(settings, settings->profiles[i], key->authority))
            continue;
        struct cm_error why;
        cm_status status =
            cm_template_build(settings->profiles[i], &key->issuer, &key->templates[i], &why);
        if (status != CM_OK)
            return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "profile %s under %s: %s",
                           settings->profiles[i]->name, key->name, why.text);
    }
    return CM_OK;
}

/* ------------------------------------------------------------------ keys -- */

static void look_again(void *arg);

static bool is_missing(const struct cm_issuer_key *issuer)
{
    return issuer->provider && !issuer->key && !issuer->is_being_opened
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
                       look_again, issuers);
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

/* One that issues fails the start. */
static void fail(struct cm_issuers *issuers, cm_status status, const struct cm_error *err)
{
    if (issuers->status != CM_OK)
        return;
    issuers->status = status;
    issuers->err = *err;
}

/* The first time, and then less and less often. */
static void put_off(struct cm_issuer_key *issuer, const struct cm_error *err)
{
    struct cm_issuers *issuers = issuer->issuers;
    unsigned count = issuers->retries_count;
    if ((count & (count - 1)) == 0)
        notice(issuers, "no CRLs and OCSP responses of %s for now: %s", issuer->name, err->text);
}

/* Both fingerprints, so that an operator can tell which of the two is the wrong one. */
static cm_status refuse_other_key(const struct cm_issuer_key *issuer, const struct cm_key *key,
                                  struct cm_error *err)
{
    uint8_t hash[CM_SHA256_SIZE];
    char of_key[2 * CM_SHA256_SIZE + 1], of_certificate[2 * CM_SHA256_SIZE + 1];
    cm_sha256(&key->spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), of_key);
    cm_sha256(&issuer->issuer.spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), of_certificate);
    return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                   "%.40s: its key is not the certificate's: key %s, certificate %s", issuer->name,
                   of_key, of_certificate);
}

static cm_status take_key(struct cm_issuer_key *issuer, struct cm_key *key, struct cm_error *err)
{
    if (!cm_bytes_equal(issuer->issuer.spki, key->spki)) {
        cm_status status = refuse_other_key(issuer, key, err);
        cm_provider_close_key(key);
        return status;
    }
    issuer->key = key;
    if (!issuer->issues)
        return CM_OK; /* workers may be reading the rest */
    issuer->issuer.sigalg = key->alg;
    return build_templates(issuer, err);
}

static void on_key_opened(cm_status status, struct cm_key *key, const struct cm_error *err,
                          void *arg)
{
    struct cm_issuer_key *issuer = arg;
    struct cm_error why = { .status = CM_OK };
    issuer->is_being_opened = false;
    if (status == CM_OK)
        status = take_key(issuer, key, &why);
    else
        (void)CM_FAIL(&why, status, CM_ORIGIN_SELF, 0, "key of %s: %s", issuer->name, err->text);
    if (status != CM_OK && issuer->issues)
        fail(issuer->issuers, status, &why);
    else if (status != CM_OK)
        put_off(issuer, &why);
    finish_one(issuer->issuers);
}

static struct cm_provider *provider_of(const struct cm_issuer_key *issuer)
{
    const struct cm_issuers_env *env = &issuer->issuers->env;
    return env->providers[issuer->provider - env->settings->providers];
}

static void open_key(struct cm_issuer_key *issuer)
{
    issuer->is_being_opened = true;
    cm_provider_open_key(provider_of(issuer), issuer->reference, CM_SIGALG_UNKNOWN, on_key_opened,
                         issuer);
}

static void look_again(void *arg)
{
    struct cm_issuers *issuers = arg;
    uint32_t before = issuers->pending_count;
    issuers->retries_count++;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        issuers->pending_count += is_missing(&issuers->keys[i]);
    for (uint32_t i = 0; i < issuers->keys_count && issuers->pending_count > before; i++)
        if (is_missing(&issuers->keys[i]))
            open_key(&issuers->keys[i]);
}

/* The floor is bound once: it stays for the reference. */
static void bind_floor(const struct cm_issuer_key *issuer)
{
    struct cm_floor floor =
        cm_floor_of(issuer->issuers->settings, issuer->authority, issuer->issuer.name);
    if (!issuer->issues)
        floor.lanes &= CM_LANE_BIT(CM_LANE_CRL) | CM_LANE_BIT(CM_LANE_OCSP);
    cm_host_bind(provider_of(issuer), issuer->reference, &floor);
}

static void open_keys(struct cm_issuers *issuers)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        issuers->pending_count += issuers->keys[i].provider != NULL;
        if (!issuers->keys[i].provider)
            notice(issuers, "no CRLs and OCSP responses of %s: its provider is not in the settings",
                   issuers->keys[i].name);
    }
    for (uint32_t i = 0; i < issuers->keys_count; i++) {
        if (!issuers->keys[i].provider)
            continue;
        bind_floor(&issuers->keys[i]);
        open_key(&issuers->keys[i]);
    }
}

/* ------------------------------------------------------------------ the store's generations -- */

/* The keys move, but nobody knows one of them before the walk is over. */
static struct cm_issuer_key *add_key(struct cm_issuers *issuers,
                                     const struct cm_generation *generation,
                                     const struct cm_settings_authority *authority)
{
    void *keys = realloc(issuers->keys, (issuers->keys_count + 1) * sizeof *issuers->keys);
    char *provider = copy_text(generation->provider);
    if (!keys)
        abort();
    issuers->keys = keys;
    struct cm_issuer_key *key = &issuers->keys[issuers->keys_count++];
    *key = (struct cm_issuer_key){ .issuers = issuers,
                                   .authority = authority,
                                   .generation_number = generation->number,
                                   .issues = generation->state == CM_GENERATION_ACTIVE,
                                   .provider = cm_settings_provider(issuers->settings, provider),
                                   .reference = copy_text(generation->key),
                                   .certificate = cm_bytes_copy(generation->certificate),
                                   .chain = cm_bytes_copy(generation->chain) };
    snprintf(key->name, sizeof key->name, "%s-%lld", authority->name,
             (long long)generation->generation);
    free(provider);
    return key;
}

static void close_key(struct cm_issuer_key *key);

static void drop_last(struct cm_issuers *issuers)
{
    close_key(&issuers->keys[--issuers->keys_count]);
}

/* False: the start fails. */
static bool take_generation(struct cm_issuers *issuers, const struct cm_generation *generation,
                            const struct cm_settings_authority *authority)
{
    struct cm_issuer_key *key = add_key(issuers, generation, authority);
    struct cm_error why;
    cm_status status = describe_issuer(key, &why);
    if (status == CM_OK && !key->issues && cm_issuer_has_ended(key, cm_clock_wall_s())) {
        drop_last(issuers);
    } else if (status == CM_OK) {
        set_urls(key, generation);
    } else if (key->issues) {
        fail(issuers, status, &why);
    } else {
        notice(issuers, "no CRLs and OCSP responses of %s: %s", key->name, why.text);
        drop_last(issuers);
    }
    return issuers->status == CM_OK;
}

static bool note_generation(const struct cm_generation *generation, void *arg)
{
    struct cm_issuers *issuers = arg;
    const struct cm_settings *settings = issuers->settings;
    if (generation->state != CM_GENERATION_ACTIVE && generation->state != CM_GENERATION_RETIRING
        && generation->state != CM_GENERATION_RETIRED)
        return true;
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (cm_bytes_is(generation->authority, settings->authorities[i].name))
            return take_generation(issuers, generation, &settings->authorities[i]);
    return true;
}

static cm_status check_complete(const struct cm_issuers *issuers, struct cm_error *err)
{
    const struct cm_settings *settings = issuers->settings;
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (!cm_issuers_have(issuers, settings->groups[i].authority))
            return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                           "authority %s (of group %s) has no active generation in the store",
                           settings->groups[i].authority->name, settings->groups[i].name);
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].issues && !issuers->keys[i].provider)
            return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                           "the provider of %s is not in the settings", issuers->keys[i].name);
    return CM_OK;
}

static cm_status walk_generations(struct cm_issuers *issuers, struct cm_store_reader *reader,
                                  struct cm_error *err)
{
    cm_status status = cm_store_reader_begin(reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_walk_generations(reader, note_generation, issuers, err);
    cm_store_reader_end(reader);
    return status;
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
    else
        open_keys(issuers);
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
                                    .fixing = cm_fixing_new(env->store),
                                    .pending_count = 1,
                                    .opened = opened,
                                    .arg = arg };
    cm_status status = walk_generations(issuers, reader, &err);
    if (status == CM_OK && issuers->status == CM_OK)
        status = check_complete(issuers, &err);
    if (status != CM_OK)
        fail(issuers, status, &err);
    issuers->task = (struct cm_task){ .run = begin, .arg = issuers };
    cm_loop_post(env->loop, &issuers->task);
}

static void close_key(struct cm_issuer_key *key)
{
    for (uint32_t i = 0; key->templates && i < key->issuers->settings->profiles_count; i++)
        cm_template_free(key->templates[i]);
    free(key->templates);
    free(key->reference);
    if (key->key)
        cm_provider_close_key(key->key);
    free((void *)(uintptr_t)key->certificate.data);
    free((void *)(uintptr_t)key->chain.data);
    free(key->crl_url);
    free(key->ocsp_url);
    free(key->ca_issuers_url);
}

void cm_issuers_stop(struct cm_issuers *issuers)
{
    issuers->is_stopped = true;
    cm_timer_stop(&issuers->retry);
}

bool cm_issuers_are_idle(const struct cm_issuers *issuers)
{
    return issuers->pending_count == 0;
}

void cm_issuers_close(struct cm_issuers *issuers)
{
    cm_timer_done(&issuers->retry);
    cm_fixing_free(issuers->fixing);
    issuers->fixing = NULL;
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        close_key(&issuers->keys[i]);
    free(issuers->keys);
    issuers->keys = NULL;
    issuers->keys_count = 0;
}

bool cm_issuers_have(const struct cm_issuers *issuers,
                     const struct cm_settings_authority *authority)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].issues && issuers->keys[i].authority == authority)
            return true;
    return false;
}

const struct cm_issuer_key *cm_issuers_by_generation(const struct cm_issuers *issuers,
                                                     int64_t generation_number)
{
    for (uint32_t i = 0; i < issuers->keys_count; i++)
        if (issuers->keys[i].generation_number == generation_number)
            return &issuers->keys[i];
    return NULL;
}

bool cm_issuer_has_ended(const struct cm_issuer_key *issuer, int64_t now_s)
{
    return now_s > issuer->issuer.not_after_s;
}

const struct cm_template *cm_issuer_template(const struct cm_issuer_key *issuer,
                                             const struct cm_profile *profile)
{
    const struct cm_settings *settings = issuer->issuers->settings;
    for (uint32_t i = 0; issuer->templates && i < settings->profiles_count; i++)
        if (settings->profiles[i] == profile)
            return issuer->templates[i];
    return NULL;
}
