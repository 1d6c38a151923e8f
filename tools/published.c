#include "tools/published.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool is_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strchr(name, '/');
}

cm_status cm_published_crl(const struct cm_settings *settings, struct cm_arena *arena,
                           const char *issuer, uint32_t shard, bool is_delta, const char **ret_path,
                           struct cm_error *err)
{
    const char *folder = settings->status.publish_folder;
    if (!folder)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "the settings have no status.publish-folder; ask the engine over HTTP");
    if (!is_name(issuer))
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "\"%s\" is no key of an authority; certmill ca list shows them", issuer);
    const char *path = cm_arena_printf(arena, "%s/crl/%s/%u%s.crl", folder, issuer, shard,
                                       is_delta ? "-delta" : "");
    if (access(path, F_OK) != 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_OS, errno, "%s", path);
    *ret_path = path;
    return CM_OK;
}
