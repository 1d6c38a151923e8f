/*
 * A private redis-server for one test: on a Unix socket in the scratch folder, without a TCP port.
 *
 *     if (!cm_redis_server_start(&server, CM_REDIS_SERVER_AOF))
 *         return cm_test_skip("redis-server is not installed");
 *     ... server.url ...
 *     cm_redis_server_stop(&server);
 *
 * The server dies with the test process. Its commands go over a synchronous connection of the test's
 * own, so they do not depend on the code under test.
 */
#ifndef CM_TESTS_SUPPORT_REDIS_SERVER_H
#define CM_TESTS_SUPPORT_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include <hiredis/hiredis.h>

enum cm_redis_server_kind {
    CM_REDIS_SERVER_FLEETING, /* nothing on disk: a restart comes back empty */
    CM_REDIS_SERVER_AOF       /* appendfsync always: a restart comes back with everything */
};

struct cm_redis_server {
    enum cm_redis_server_kind kind;
    pid_t pid; /* 0: not running */
    char folder[300];
    char socket[320];
    char url[340];
    redisContext *connection; /* the test's own */
};

/* False when redis-server is not installed or does not come up within 10 seconds. */
bool cm_redis_server_start(struct cm_redis_server *server, enum cm_redis_server_kind kind);

/* SIGKILL; cm_redis_server_restart brings it back on the same socket and folder. */
void cm_redis_server_kill(struct cm_redis_server *server);
bool cm_redis_server_restart(struct cm_redis_server *server);

/* Ends it and removes nothing: the scratch folder goes with the process. Twice is fine. */
void cm_redis_server_stop(struct cm_redis_server *server);

/* One command; aborts the test process when the connection fails. The reply is the caller's. */
redisReply *cm_redis_server_command(struct cm_redis_server *server, const char *format, ...);

/* The same where only an integer matters: of an integer reply, or a string's; -1 for others. */
long long cm_redis_server_number(struct cm_redis_server *server, const char *format, ...);

#endif
