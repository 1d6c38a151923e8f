#include "tools/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

cm_status cm_scratch_make(const char *prefix, char *ret_path, size_t space, struct cm_error *err)
{
    const char *parent = getenv("TMPDIR");
    snprintf(ret_path, space, "%s/%s.XXXXXX", parent && *parent ? parent : "/var/tmp", prefix);
    if (!mkdtemp(ret_path))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", ret_path);
    return CM_OK;
}

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *walk)
{
    (void)found;
    (void)type;
    (void)walk;
    return remove(path);
}

void cm_scratch_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
