#include "engine/base/faultpoint.h"

#ifdef CM_FAULT_POINTS

#    include <signal.h>
#    include <stdatomic.h>
#    include <stdlib.h>
#    include <string.h>
#    include <unistd.h>

enum { HANG_S = 15 };

void cm_fault_point(const char *name)
{
    static atomic_uint passages_count;
    const char *wanted = getenv("CERTMILL_FAULT");
    size_t name_size = strlen(name);
    if (!wanted || strncmp(wanted, name, name_size) != 0 || wanted[name_size] != ':')
        return;
    char *action;
    unsigned long nth = strtoul(wanted + name_size + 1, &action, 10);
    if (atomic_fetch_add(&passages_count, 1) + 1 != nth)
        return;
    if (strcmp(action, ":hang") == 0)
        sleep(HANG_S);
    else
        raise(strcmp(action, ":stop") == 0 ? SIGSTOP : SIGKILL);
}

#else

/* ISO C wants a translation unit to declare something. */
typedef int cm_no_fault_points;

#endif
