/* Authorities: what stands in their certificates, and how their status is told. */
#include "engine/settings/build.h"

#include <string.h>

#include "engine/settings/value.h"

/* Every ${...} of an URL is one of the allowed names. */
static cm_status check_placeholders(struct settings_build *build, const char *place,
                                    const char *url, const char *allowed)
{
    for (const char *at = url ? strchr(url, '$') : NULL; at; at = strchr(at + 1, '$')) {
        size_t size = strcspn(at, "}") + 1;
        const char *hit = at[1] == '{' ? memmem(allowed, strlen(allowed), at, size) : NULL;
        if (!hit)
            return settings_file_fail(build->file, build->err, place,
                                      "expected no placeholder but %s",
                                      allowed[0] ? allowed : "none at all");
    }
    return CM_OK;
}

static cm_status check_urls(struct settings_build *build, const struct raw_authority *raw,
                            uint32_t i)
{
    const struct {
        const char *key, *url, *allowed;
    } urls[] = {
        { "crl-url", raw->crl_url, "${issuer} ${shard}" },
        { "ocsp-url", raw->ocsp_url, "" },
        { "ca-issuers-url", raw->ca_issuers_url, "${issuer}" },
    };
    for (size_t u = 0; u < sizeof urls / sizeof urls[0]; u++) {
        cm_status status =
            check_placeholders(build, PLACE(build, "authorities[%u].%s", i, urls[u].key),
                               urls[u].url, urls[u].allowed);
        if (status != CM_OK)
            return status;
    }
    if (*raw->crl_shards > 1 && (!raw->crl_url || !strstr(raw->crl_url, "${shard}")))
        return settings_file_fail(build->file, build->err,
                                  PLACE(build, "authorities[%u].crl-shards", i),
                                  "more than one shard needs ${shard} in crl-url");
    return CM_OK;
}

static cm_status find_responder(struct settings_build *build, const struct raw_authority *raw,
                                uint32_t i, struct cm_settings_authority *authority)
{
    const struct cm_settings *settings = build->settings;
    const char *names[NAMES_MAX];
    const char *validity = PLACE(build, "authorities[%u].responder-validity", i);
    if (!raw->ocsp_responder && settings_file_has(build->file, validity))
        return settings_file_fail(build->file, build->err, validity,
                                  "expected only with ocsp-responder");
    if (!raw->ocsp_responder)
        return CM_OK;
    authority->ocsp_responder = cm_settings_provider(settings, raw->ocsp_responder);
    if (authority->ocsp_responder)
        return CM_OK;
    for (uint32_t n = 0; n < settings->providers_count; n++)
        names[n] = settings->providers[n].name;
    return settings_fail_choice(build, PLACE(build, "authorities[%u].ocsp-responder", i),
                                raw->ocsp_responder, "a provider", names,
                                settings->providers_count);
}

/* Else the next CRL, or delta, would be due before this one is made, or replace nothing. */
static cm_status check_shorter(struct settings_build *build, const struct raw_authority *raw,
                               uint32_t i, const char *key, const char *text)
{
    const char *place = PLACE(build, "authorities[%u].%s", i, key);
    if (!text || settings_duration_ms(text) < settings_duration_ms(raw->crl_validity))
        return CM_OK;
    if (!settings_file_has(build->file, place))
        place = PLACE(build, "authorities[%u].crl-validity", i);
    return settings_file_fail(build->file, build->err, place,
                              "expected %s (%s) to be less than crl-validity (%s)", key, text,
                              raw->crl_validity);
}

static cm_status check_times(struct settings_build *build, const struct raw_authority *raw,
                             uint32_t i)
{
    cm_status status = check_shorter(build, raw, i, "crl-overlap", raw->crl_overlap);
    return status == CM_OK
               ? check_shorter(build, raw, i, "delta-crl-validity", raw->delta_crl_validity)
               : status;
}

/* Keys that say how a schedule is kept, where there is none. */
static cm_status check_scheduled(struct settings_build *build, uint32_t i)
{
    static const char *const keys[] = { "rotate-ahead", "rotation", "retired-keys" };
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        const char *place = PLACE(build, "authorities[%u].%s", i, keys[k]);
        if (settings_file_has(build->file, place))
            return settings_file_fail(build->file, build->err, place,
                                      "expected only with issues-for");
    }
    return CM_OK;
}

static enum cm_rotation find_rotation(const char *name)
{
    static const char *const names[CM_ROTATION_COUNT] = {
#define X(symbol, text) [CM_ROTATION_##symbol] = text,
        CM_ROTATION_MAP(X)
#undef X
    };
    unsigned rotation = CM_ROTATION_WARN;
    while (rotation + 1 < CM_ROTATION_COUNT && strcmp(name, names[rotation]) != 0)
        rotation++;
    return (enum cm_rotation)rotation;
}

static cm_status build_schedule(struct settings_build *build, const struct raw_authority *raw,
                                uint32_t i, struct cm_settings_authority *authority)
{
    if (!raw->issues_for)
        return check_scheduled(build, i);
    authority->issues_for_ms = (int64_t)settings_duration_ms(raw->issues_for);
    authority->rotate_ahead_ms = raw->rotate_ahead
                                     ? (int64_t)settings_duration_ms(raw->rotate_ahead)
                                     : authority->issues_for_ms / 10;
    authority->rotation = find_rotation(raw->rotation);
    authority->destroys_retired_keys = strcmp(raw->retired_keys, "destroy") == 0;
    const char *place = PLACE(build, "authorities[%u].retired-keys", i);
    if (authority->rotate_ahead_ms >= authority->issues_for_ms)
        return settings_file_fail(build->file, build->err,
                                  PLACE(build, "authorities[%u].rotate-ahead", i),
                                  "expected rotate-ahead (%s) to be less than issues-for (%s)",
                                  raw->rotate_ahead, raw->issues_for);
    if (authority->rotation != CM_ROTATION_AUTOMATIC && settings_file_has(build->file, place))
        return settings_file_fail(build->file, build->err, place,
                                  "expected only with rotation: automatic");
    return CM_OK;
}

static uint32_t seconds(const char *text)
{
    return text ? (uint32_t)(settings_duration_ms(text) / SETTINGS_MS_PER_S) : 0;
}

static cm_status build_authority(struct settings_build *build, uint32_t i,
                                 struct cm_settings_authority *authority)
{
    const struct raw_authority *raw = &build->raw->authorities[i];
    *authority = (struct cm_settings_authority){
        .name = settings_keep(build, raw->name),
        .crl_url = settings_keep(build, raw->crl_url),
        .ocsp_url = settings_keep(build, raw->ocsp_url),
        .ca_issuers_url = settings_keep(build, raw->ca_issuers_url),
        .crl_shards = (uint32_t)*raw->crl_shards,
        .crl_validity_s = seconds(raw->crl_validity),
        .crl_overlap_s = seconds(raw->crl_overlap),
        .crl_delay_ms = (uint32_t)settings_duration_ms(raw->crl_delay),
        .delta_validity_s = seconds(raw->delta_crl_validity),
        .ocsp_validity_s = seconds(raw->ocsp_validity),
        .responder_validity_s = seconds(raw->responder_validity),
        .keeps_on_compromise = strcmp(raw->on_compromise, "keep") == 0,
        .signatures_per_s_max = (uint32_t)*raw->signatures_per_s_max,
    };
    cm_status status = check_urls(build, raw, i);
    if (status == CM_OK)
        status = check_times(build, raw, i);
    if (status == CM_OK)
        status = build_schedule(build, raw, i, authority);
    return status == CM_OK ? find_responder(build, raw, i, authority) : status;
}

cm_status settings_build_authorities(struct settings_build *build)
{
    uint32_t count = build->raw->authorities_count;
    struct cm_settings_authority *all = settings_keep_array(build, count, sizeof *all);
    build->settings->authorities = all;
    for (uint32_t i = 0; i < count; i++) {
        if (cm_settings_authority(build->settings, build->raw->authorities[i].name))
            return settings_fail_twice(build, "authorities", i, build->raw->authorities[i].name);
        cm_status status = build_authority(build, i, &all[i]);
        if (status != CM_OK)
            return status;
        build->settings->authorities_count++;
    }
    return CM_OK;
}
