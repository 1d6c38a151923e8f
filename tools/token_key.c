#include "tools/token_key.h"

#include <stdbool.h>
#include <string.h>

const char *cm_token_key_reference(const char *token, const char *label, struct cm_arena *arena)
{
    const char *uri = token ? token : "pkcs11:";
    size_t path = strcspn(uri, "?");
    bool is_bare = path > 0 && uri[path - 1] == ':';
    return cm_arena_printf(arena, "%.*s%sobject=%s%s", (int)path, uri, is_bare ? "" : ";", label,
                           uri + path);
}
