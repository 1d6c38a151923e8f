#include "engine/settings/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/nearest.h"
#include "engine/settings/value.h"

enum { SESSIONS_MAX = 64 }; /* with a token */

/* ------------------------------------------------------------------------------ helpers -- */

const char *settings_keep(struct settings_build *build, const char *text)
{
    return text ? cm_arena_printf(build->arena, "%s", text) : NULL;
}

void *settings_keep_array(struct settings_build *build, size_t count, size_t size)
{
    return cm_arena_zalloc(build->arena, count > 0 ? count * size : size);
}

/* "a, b, c", cut where it gets long. */
static const char *list_words(const char *const *words, size_t count, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "nothing");
    for (size_t i = 0; i < count; i++) {
        size_t needed = strlen(words[i]) + 2;
        if (used + needed + 4 >= size) {
            snprintf(text + used, size - used, ", ...");
            break;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", words[i]);
    }
    return text;
}

cm_status settings_fail_choice(struct settings_build *build, const char *place, const char *found,
                               const char *what, const char *const *words, size_t words_count)
{
    char shown[64], list[160];
    const char *meant = cm_nearest(found, words, words_count);
    cm_bytes_printable(cm_bytes_str(found), shown, sizeof shown);
    if (meant)
        return settings_file_fail(build->file, build->err, place,
                                  "\"%s\" is not %s (did you mean %s?)", shown, what, meant);
    return settings_file_fail(build->file, build->err, place, "\"%s\" is not %s (there is: %s)",
                              shown, what, list_words(words, words_count, list, sizeof list));
}

cm_status settings_fail_twice(struct settings_build *build, const char *list, uint32_t index,
                              const char *name)
{
    return settings_file_fail(build->file, build->err, PLACE(build, "%s[%u].name", list, index),
                              "the name \"%s\" stands twice", name);
}

/* ---------------------------------------------------------------------------------- paths -- */

static void keep_folder(struct settings_build *build)
{
    const char *slash = strrchr(build->file->path, '/');
    struct cm_settings *settings = build->settings;
    settings->path = settings_keep(build, build->file->path);
    if (!slash)
        settings->folder = ".";
    else if (slash == build->file->path)
        settings->folder = "/";
    else
        settings->folder = cm_arena_printf(build->arena, "%.*s", (int)(slash - build->file->path),
                                           build->file->path);
}

const char *settings_keep_path(struct settings_build *build, const char *path)
{
    if (path[0] == '/' || strcmp(build->settings->folder, ".") == 0)
        return settings_keep(build, path);
    return cm_arena_printf(build->arena, "%s/%s", build->settings->folder, path);
}

static const char *keep_optional_path(struct settings_build *build, const char *path)
{
    return path ? settings_keep_path(build, path) : NULL;
}

const char *settings_keep_absolute(struct settings_build *build, const char *path)
{
    if (path[0] == '/')
        return settings_keep(build, path);
    char *folder = realpath(build->settings->folder, NULL);
    const char *kept =
        cm_arena_printf(build->arena, "%s/%s", folder ? folder : build->settings->folder, path);
    free(folder);
    return kept;
}

/* Absolute: whoever reads a secret has a folder of its own. */
const char *settings_keep_secret(struct settings_build *build, const char *reference)
{
    if (!reference || strncmp(reference, "file:", 5) != 0)
        return settings_keep(build, reference);
    return cm_arena_printf(build->arena, "file:%s", settings_keep_absolute(build, reference + 5));
}

/* ---------------------------------------------------------------------------------- queue -- */

static cm_status check_redis_url(struct settings_build *build, const char *url)
{
    const char *place = "queue.redis.url";
    if (!url)
        return settings_file_fail(build->file, build->err, "queue.redis",
                                  "the key \"url\" is missing");
    if (strncmp(url, "unix:///", 8) == 0 && url[8])
        return CM_OK;
    size_t scheme = strncmp(url, "rediss://", 9) == 0 ? 9 : 8;
    if ((scheme == 8 && strncmp(url, "redis://", 8) != 0) || !url[scheme])
        return settings_file_fail(build->file, build->err, place,
                                  "expected unix:///PATH or redis[s]://[USER@]HOST[:PORT][/DB]");
    const char *at = strrchr(url, '@');
    const char *colon = strchr(url + scheme, ':');
    if (at && colon && colon < at)
        return settings_file_fail(build->file, build->err, place,
                                  "expected no password here; secrets never stand in this file: "
                                  "queue.redis.password refers to it");
    return CM_OK;
}

/* Keys of TLS without TLS were meant for another URL. */
static cm_status check_redis_tls(struct settings_build *build, const struct raw_redis *raw)
{
    static const char *const keys[] = { "tls-ca", "tls-certificate", "tls-key", "tls-server-name" };
    bool is_tls = raw->url && strncmp(raw->url, "rediss://", 9) == 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && !is_tls; i++) {
        const char *place = PLACE(build, "queue.redis.%s", keys[i]);
        if (settings_file_has(build->file, place))
            return settings_file_fail(build->file, build->err, place,
                                      "expected only with an url that begins with rediss://");
    }
    if (!raw->tls_certificate != !raw->tls_key)
        return settings_file_fail(build->file, build->err,
                                  raw->tls_key ? "queue.redis.tls-key"
                                               : "queue.redis.tls-certificate",
                                  "expected tls-certificate and tls-key together");
    return CM_OK;
}

static const char *default_consumer(struct settings_build *build)
{
    char host[128] = "host";
    gethostname(host, sizeof host - 1);
    return cm_arena_printf(build->arena, "%s-%ld", host, (long)getpid());
}

static cm_status build_queue(struct settings_build *build)
{
    const struct raw_queue *raw = &build->raw->queue;
    struct cm_settings *settings = build->settings;
    settings->queue_kind =
        strcmp(raw->kind, "redis") == 0 ? CM_QUEUE_KIND_REDIS : CM_QUEUE_KIND_SPOOL;
    settings->spool = (struct cm_settings_spool){
        .folder = settings_keep_path(build, raw->spool.folder),
        .requester = settings_keep(build, raw->spool.requester),
        .device_from = settings_keep(build, raw->spool.device_from),
    };
    settings->redis = (struct cm_settings_redis){
        .url = settings_keep(build, raw->redis.url),
        .tls_ca = keep_optional_path(build, raw->redis.tls_ca),
        .tls_certificate = keep_optional_path(build, raw->redis.tls_certificate),
        .tls_key = keep_optional_path(build, raw->redis.tls_key),
        .tls_server_name = settings_keep(build, raw->redis.tls_server_name),
        .prefix = settings_keep(build, raw->redis.prefix),
        .consumer = raw->redis.consumer ? settings_keep(build, raw->redis.consumer)
                                        : default_consumer(build),
        .password = settings_keep_secret(build, raw->redis.password),
        .lease_ms = (uint32_t)settings_duration_ms(raw->redis.lease),
        .deliveries_max = (uint32_t)*raw->redis.deliveries_max,
        .results_max = (uint32_t)*raw->redis.results_max,
        .notices_max = (uint32_t)*raw->redis.notices_max,
    };
    cm_status status = CM_OK;
    if (settings->queue_kind == CM_QUEUE_KIND_REDIS || raw->redis.url)
        status = check_redis_url(build, raw->redis.url);
    return status == CM_OK ? check_redis_tls(build, &raw->redis) : status;
}

/* ------------------------------------------------------------------------------ providers -- */

/* How many threads sign: of a token its sessions, 0 for auto. */
static cm_status read_workers(struct settings_build *build, uint32_t position,
                              uint32_t *ret_workers)
{
    const struct raw_provider *raw = &build->raw->providers[position];
    char *end = NULL;
    if (strcmp(raw->kind, "pkcs11") != 0) {
        *ret_workers = (uint32_t)*raw->workers;
        return CM_OK;
    }
    *ret_workers = 0;
    if (strcmp(raw->sessions, "auto") == 0)
        return CM_OK;
    unsigned long count = strtoul(raw->sessions, &end, 10);
    if (raw->sessions[0] < '1' || raw->sessions[0] > '9' || *end != '\0' || count > SESSIONS_MAX)
        return settings_file_fail(build->file, build->err,
                                  PLACE(build, "providers[%u].sessions", position),
                                  "expected auto, or a number from 1 to %d", SESSIONS_MAX);
    *ret_workers = (uint32_t)count;
    return CM_OK;
}

static cm_status build_providers(struct settings_build *build)
{
    uint32_t count = build->raw->providers_count;
    struct cm_settings_provider *all = settings_keep_array(build, count, sizeof *all);
    build->settings->providers = all;
    for (uint32_t i = 0; i < count; i++) {
        const struct raw_provider *raw = &build->raw->providers[i];
        if (cm_settings_provider(build->settings, raw->name))
            return settings_fail_twice(build, "providers", i, raw->name);
        uint32_t workers;
        const char *options = NULL;
        cm_status status = read_workers(build, i, &workers);
        if (status == CM_OK)
            status = settings_build_keyvault(build, i, &options);
        if (status == CM_OK)
            status = settings_build_openssl(build, i, &options);
        if (status != CM_OK)
            return status;
        all[i] = (struct cm_settings_provider){
            .name = settings_keep(build, raw->name),
            .kind = settings_keep(build, raw->kind),
            .module = raw->module ? settings_keep_path(build, raw->module) : NULL,
            .keys = settings_keep_path(build, raw->keys),
            .passphrase = settings_keep_secret(build, raw->passphrase),
            .workers = workers,
            .options = options,
            .call_deadline_ms = (uint32_t)settings_duration_ms(raw->call_deadline),
        };
        build->settings->providers_count++;
    }
    return CM_OK;
}

/* --------------------------------------------------------------------------------- groups -- */

static cm_status find_profiles(struct settings_build *build, const struct raw_group *raw,
                               uint32_t i, struct cm_settings_group *group)
{
    const struct cm_settings *settings = build->settings;
    const struct cm_profile **found =
        settings_keep_array(build, raw->profiles_count, sizeof *found);
    for (uint32_t p = 0; p < raw->profiles_count; p++) {
        found[p] = cm_settings_profile(settings, cm_bytes_str(raw->profiles[p]));
        if (found[p])
            continue;
        const char *names[NAMES_MAX];
        for (uint32_t n = 0; n < settings->profiles_count; n++)
            names[n] = settings->profiles[n]->name;
        return settings_fail_choice(build, PLACE(build, "groups[%u].profiles[%u]", i, p),
                                    raw->profiles[p], "a profile", names, settings->profiles_count);
    }
    group->profiles = found;
    group->profiles_count = raw->profiles_count;
    return CM_OK;
}

static cm_status find_authority(struct settings_build *build, const struct raw_group *raw,
                                uint32_t i, struct cm_settings_group *group)
{
    const struct cm_settings *settings = build->settings;
    const char *names[NAMES_MAX];
    group->authority = cm_settings_authority(settings, raw->authority);
    if (group->authority)
        return CM_OK;
    for (uint32_t n = 0; n < settings->authorities_count; n++)
        names[n] = settings->authorities[n].name;
    return settings_fail_choice(build, PLACE(build, "groups[%u].authority", i), raw->authority,
                                "an authority", names, settings->authorities_count);
}

static uint32_t read_seconds(const char *duration)
{
    return duration ? (uint32_t)(settings_duration_ms(duration) / SETTINGS_MS_PER_S) : 0;
}

static cm_status read_renewals(struct settings_build *build, const struct raw_group *raw,
                               uint32_t i, struct cm_settings_group *group)
{
    static const char *const names[CM_RENEWAL_KEY_COUNT] = {
#define X(symbol, name) [CM_RENEWAL_KEY_##symbol] = name,
        CM_RENEWAL_KEY_MAP(X)
#undef X
    };
    group->renewal_window_s = read_seconds(raw->renewal_window);
    group->renewal_grace_s = read_seconds(raw->renew_after_expiry);
    for (unsigned key = 0; key < CM_RENEWAL_KEY_COUNT; key++)
        if (strcmp(raw->renewal_key, names[key]) == 0)
            group->renewal_key = (enum cm_renewal_key)key;
    if (group->renewal_key == CM_RENEWAL_KEY_SAME && !group->reuse_key)
        return settings_file_fail(build->file, build->err,
                                  PLACE(build, "groups[%u].renewal-key", i),
                                  "expected new or either with reuse-key: no");
    return CM_OK;
}

static void list_fresh_groups(struct settings_build *build)
{
    struct cm_settings *settings = build->settings;
    const char **names = settings_keep_array(build, settings->groups_count, sizeof *names);
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (settings->groups[i].reinstates_fresh)
            names[settings->fresh_groups_count++] = settings->groups[i].name;
    settings->fresh_groups = names;
}

static cm_status build_groups(struct settings_build *build)
{
    uint32_t count = build->raw->groups_count;
    struct cm_settings_group *all = settings_keep_array(build, count, sizeof *all);
    build->settings->groups = all;
    for (uint32_t i = 0; i < count; i++) {
        const struct raw_group *raw = &build->raw->groups[i];
        if (cm_settings_group(build->settings, cm_bytes_str(raw->name)))
            return settings_fail_twice(build, "groups", i, raw->name);
        all[i] = (struct cm_settings_group){
            .name = settings_keep(build, raw->name),
            .rate_per_s = (uint32_t)*raw->rate,
            .burst = (uint32_t)(raw->burst ? *raw->burst : *raw->rate),
            .quota_per_day = *raw->quota,
            .reinstates_fresh = strcmp(raw->reinstate, "fresh") == 0,
            .reuse_key = *raw->reuse_key,
        };
        cm_status status = find_authority(build, raw, i, &all[i]);
        if (status == CM_OK)
            status = find_profiles(build, raw, i, &all[i]);
        if (status == CM_OK)
            status = read_renewals(build, raw, i, &all[i]);
        if (status != CM_OK)
            return status;
        build->settings->groups_count++;
    }
    list_fresh_groups(build);
    return CM_OK;
}

/* ------------------------------------------------------------------------------------ engine -- */

static cm_status build_engine(struct settings_build *build)
{
    const struct raw_engine *raw = &build->raw->engine;
    build->settings->engine = (struct cm_settings_engine){
        .workers = (uint32_t)*raw->workers,
        .batch_items_max = (uint32_t)*raw->batch_items,
        .batch_age_ms_max = (uint32_t)settings_duration_ms(raw->batch_age),
        .batches_in_flight = (uint32_t)*raw->batches_in_flight,
        .intent_hold_s = (uint32_t)(settings_duration_ms(raw->intent_hold) / SETTINGS_MS_PER_S),
        .clock_step_s_max = (uint32_t)(settings_duration_ms(raw->clock_step) / SETTINGS_MS_PER_S),
        .check_signatures = (uint32_t)*raw->check_signatures,
        .forgoes_lanes = strcmp(raw->multi_buffer, "off") == 0,
        .signs_inline = strcmp(raw->signers, "inline") == 0,
    };
    return CM_OK;
}

/* Files carry no authentication. */
static cm_status check_spool_auth(struct settings_build *build,
                                  const struct cm_settings_requester *requester)
{
    if (requester->auth == CM_AUTH_NONE)
        return CM_OK;
    return settings_file_fail(
        build->file, build->err,
        PLACE(build, "requesters[%td].auth", requester - build->settings->requesters),
        "expected none for the requester of the spool: files carry no "
        "authentication");
}

/* A spool whose requester is nobody would refuse every file. */
static cm_status check_spool_requester(struct settings_build *build)
{
    const struct cm_settings *settings = build->settings;
    const char *names[NAMES_MAX];
    const struct cm_settings_requester *requester =
        cm_settings_requester(settings, cm_bytes_str(settings->spool.requester));
    if (settings->queue_kind != CM_QUEUE_KIND_SPOOL)
        return CM_OK;
    if (requester)
        return check_spool_auth(build, requester);
    for (uint32_t n = 0; n < settings->requesters_count; n++)
        names[n] = settings->requesters[n].name;
    return settings_fail_choice(build, "queue.spool.requester", settings->spool.requester,
                                "a requester", names, settings->requesters_count);
}

cm_status settings_build_rest(struct settings_build *build)
{
    static cm_status (*const steps[])(struct settings_build *) = {
        build_queue,           build_providers,           settings_build_authorities,
        build_groups,          settings_build_requesters, settings_build_operators,
        build_engine,          settings_build_status,     settings_build_audit,
        check_spool_requester,
    };
    cm_status status = CM_OK;
    keep_folder(build);
    build->settings->store_path = settings_keep_path(build, build->raw->store.path);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == CM_OK; i++)
        status = steps[i](build);
    return status;
}
