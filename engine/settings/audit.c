/* Checkpoints of the audit log: which key signs them, when, and where they go. */
#include "engine/settings/build.h"

#include <string.h>

#include "engine/settings/value.h"

static cm_status find_provider(struct settings_build *build,
                               const struct cm_settings_provider **ret_provider)
{
    const struct raw_audit *raw = &build->raw->audit;
    const struct cm_settings *settings = build->settings;
    const char *names[NAMES_MAX];
    if (!raw->provider)
        return settings_file_fail(build->file, build->err, "audit.key",
                                  "expected provider beside it: where the key lives");
    *ret_provider = cm_settings_provider(settings, raw->provider);
    if (*ret_provider)
        return CM_OK;
    for (uint32_t n = 0; n < settings->providers_count; n++)
        names[n] = settings->providers[n].name;
    return settings_fail_choice(build, "audit.provider", raw->provider, "a provider", names,
                                settings->providers_count);
}

/* It logs in whenever there is something to append: nobody is there to be asked. */
static cm_status check_stream(struct settings_build *build)
{
    const struct cm_settings_redis *redis = &build->settings->redis;
    if (!redis->url)
        return settings_file_fail(build->file, build->err, "audit.redis-stream",
                                  "expected queue.redis.url beside it: where the stream is");
    if (redis->password && strncmp(redis->password, "prompt:", 7) == 0)
        return settings_file_fail(build->file, build->err, "audit.redis-stream",
                                  "expected a queue.redis.password that is not asked for");
    return CM_OK;
}

cm_status settings_build_audit(struct settings_build *build)
{
    static const char *const needing[] = { "audit.provider", "audit.file", "audit.redis-stream" };
    const struct raw_audit *raw = &build->raw->audit;
    const struct cm_settings_provider *provider = NULL;
    for (size_t i = 0; !raw->key && i < sizeof needing / sizeof needing[0]; i++)
        if (settings_file_has(build->file, needing[i]))
            return settings_file_fail(build->file, build->err, needing[i],
                                      "expected only with audit.key");
    cm_status status = raw->key ? find_provider(build, &provider) : CM_OK;
    if (status == CM_OK && raw->redis_stream)
        status = check_stream(build);
    if (status != CM_OK)
        return status;
    build->settings->audit = (struct cm_settings_audit){
        .key = settings_keep(build, raw->key),
        .provider = provider,
        .interval_ms = (uint32_t)settings_duration_ms(raw->interval),
        .rows = (uint32_t)*raw->rows,
        .redis_stream = settings_keep(build, raw->redis_stream),
        .file = raw->file ? settings_keep_path(build, raw->file) : NULL,
    };
    return CM_OK;
}
