/*
 * Private Redis: a redis-server of one's own, on a Unix socket in a folder, without a TCP port. For
 * `bench` and `quickstart`. It dies with the thread that started it, and is stopped by its pid.
 */
#ifndef CM_TOOLS_PRIVATE_REDIS_H
#define CM_TOOLS_PRIVATE_REDIS_H

#include <sys/types.h>

#include "engine/base/status.h"

struct cm_private_redis {
    pid_t pid;            /* 0: not running */
    char made_folder[64]; /* of the socket; empty: it stands in the caller's */
    char url[128];        /* unix:///.../redis.sock */
    char version[32];
};

/*
 * Does:       starts the server and waits until it answers. aof is "no", "everysec" or "always";
 *             its files go into folder, and its socket too where the path is short enough for one,
 *             else below /tmp.
 * Fails with: NOT_FOUND (no redis-server), UNAVAILABLE (not up within 10 s), IO.
 */
CM_MUST_USE cm_status cm_private_redis_start(struct cm_private_redis *redis, const char *folder,
                                             const char *aof, struct cm_error *err);

/* Twice, or without a start, is fine. */
void cm_private_redis_stop(struct cm_private_redis *redis);

#endif
