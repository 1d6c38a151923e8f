#include "engine/settings/settings.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/settings/build.h"
#include "engine/settings/value.h"

/* DESIGN. A file is read in four steps, each of which may name a line: libyaml parses it, the
   walker holds it against the table of keys, libcyaml fills the raw structs, the builders make the
   public struct in one arena. The raw structs and the YAML document are gone afterwards. */

#define ARENA_BLOCK_SIZE 8192

struct owned_settings {
    struct cm_settings settings; /* first: what the caller has is this */
    struct cm_arena arena;
};

static const cyaml_config_t cyaml = {
    .mem_fn = cyaml_mem,
    .log_level = CYAML_LOG_ERROR,
    .flags = CYAML_CFG_DEFAULT,
};

static cm_status build_all(struct settings_build *build)
{
    cm_status status = settings_build_profiles(build);
    return status == CM_OK ? settings_build_rest(build) : status;
}

/* Anything that libcyaml refuses after the walker passed it has no line, but still a file. */
static cm_status load_and_build(struct settings_build *build)
{
    cyaml_data_t *raw = NULL;
    cyaml_err_t error = cyaml_load_data((const uint8_t *)build->file->text, build->file->size,
                                        &cyaml, &settings_schema, &raw, NULL);
    if (error != CYAML_OK)
        return settings_file_fail(build->file, build->err, "", "%s", cyaml_strerror(error));
    build->raw = raw;
    settings_fill_defaults(&settings_mapping_settings, raw);
    cm_status status = build_all(build);
    cyaml_free(&cyaml, &settings_schema, raw, 0);
    return status;
}

static cm_status make_settings(const struct settings_file *file, struct cm_settings **ret_settings,
                               struct cm_error *err)
{
    struct owned_settings *owned = calloc(1, sizeof *owned);
    if (!owned)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "%s: out of memory", file->path);
    cm_arena_init(&owned->arena, ARENA_BLOCK_SIZE);
    struct settings_build build = {
        .file = file, .settings = &owned->settings, .arena = &owned->arena, .err = err
    };
    cm_status status = load_and_build(&build);
    const struct cm_bytes text = cm_bytes(file->text, file->size);
    cm_sha256(&text, 1, owned->settings.sha256);
    if (status == CM_OK)
        *ret_settings = &owned->settings;
    else
        cm_settings_free(&owned->settings);
    return status;
}

cm_status cm_settings_read(const char *path, struct cm_settings **ret_settings,
                           struct cm_error *err)
{
    struct settings_file file;
    cm_status status = settings_file_read(&file, path, err);
    if (status == CM_OK)
        status = settings_file_walk(&file, err);
    if (status == CM_OK)
        status = make_settings(&file, ret_settings, err);
    settings_file_done(&file);
    return status;
}

void cm_settings_free(struct cm_settings *settings)
{
    struct owned_settings *owned = (struct owned_settings *)settings;
    if (!owned)
        return;
    cm_arena_done(&owned->arena);
    free(owned);
}

/* ------------------------------------------------------------------------------ finders -- */

const struct cm_settings_provider *cm_settings_provider(const struct cm_settings *settings,
                                                        const char *name)
{
    for (uint32_t i = 0; i < settings->providers_count; i++)
        if (strcmp(settings->providers[i].name, name) == 0)
            return &settings->providers[i];
    return NULL;
}

const struct cm_settings_authority *cm_settings_authority(const struct cm_settings *settings,
                                                          const char *name)
{
    for (uint32_t i = 0; i < settings->authorities_count; i++)
        if (strcmp(settings->authorities[i].name, name) == 0)
            return &settings->authorities[i];
    return NULL;
}

const struct cm_settings_group *cm_settings_group(const struct cm_settings *settings,
                                                  struct cm_bytes name)
{
    for (uint32_t i = 0; i < settings->groups_count; i++)
        if (cm_bytes_is(name, settings->groups[i].name))
            return &settings->groups[i];
    return NULL;
}

const struct cm_settings_requester *cm_settings_requester(const struct cm_settings *settings,
                                                          struct cm_bytes name)
{
    for (uint32_t i = 0; i < settings->requesters_count; i++)
        if (cm_bytes_is(name, settings->requesters[i].name))
            return &settings->requesters[i];
    return NULL;
}

const struct cm_profile *cm_settings_profile(const struct cm_settings *settings,
                                             struct cm_bytes name)
{
    for (uint32_t i = 0; i < settings->profiles_count; i++)
        if (cm_bytes_is(name, settings->profiles[i]->name))
            return settings->profiles[i];
    return NULL;
}

bool cm_duration_read(const char *text, int64_t *ret_s)
{
    uint64_t ms;
    if (!settings_duration_parse(text, &ms))
        return false;
    *ret_s = (int64_t)(ms / SETTINGS_MS_PER_S);
    return true;
}
