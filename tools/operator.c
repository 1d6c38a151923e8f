#include "tools/operator.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

const char *cm_operator_name(struct cm_arena *arena)
{
    const struct passwd *user = getpwuid(getuid());
    const char *caller = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    char shown[80];
    if (caller && *caller)
        return cm_arena_printf(arena, "operator:%s",
                               cm_bytes_printable(cm_bytes_str(caller), shown, sizeof shown));
    if (user)
        return cm_arena_printf(arena, "operator:%s", user->pw_name);
    return cm_arena_printf(arena, "operator:%ld", (long)getuid());
}
