#include "tools/private_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { TRIES = 1000, TRY_PERIOD_US = 10000, NOT_FOUND_EXIT = 127, SOCKET_PATH_MAX = 107 };

#define SCHEME      "unix://"
#define SOCKET_NAME "redis.sock"

static void run_server(const struct cm_private_redis *redis, const char *folder, const char *aof)
{
    char log[4200];
    snprintf(log, sizeof log, "%s/redis.log", folder);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid(); /* it is told to stop, and not interrupted with the command that it works for */
    int null = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket",
           redis->url + strlen(SCHEME), "--unixsocketperm", "700", "--dir", folder, "--save", "",
           "--appendonly", strcmp(aof, "no") == 0 ? "no" : "yes", "--appendfsync",
           strcmp(aof, "always") == 0 ? "always" : "everysec", "--logfile", log, "--daemonize",
           "no", (char *)NULL);
    _exit(NOT_FOUND_EXIT);
}

static void read_version(redisContext *connection, struct cm_private_redis *redis)
{
    redisReply *reply = redisCommand(connection, "INFO server");
    const char *at = reply && reply->str ? strstr(reply->str, "redis_version:") : NULL;
    if (at)
        sscanf(at, "redis_version:%31[0-9.]", redis->version);
    if (reply)
        freeReplyObject(reply);
}

static bool is_up(struct cm_private_redis *redis)
{
    redisContext *connection = redisConnectUnix(redis->url + strlen(SCHEME));
    bool up = connection && !connection->err;
    if (up)
        read_version(connection, redis);
    if (connection)
        redisFree(connection);
    return up && redis->version[0];
}

static cm_status wait_for_server(struct cm_private_redis *redis, struct cm_error *err)
{
    int how = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        if (is_up(redis))
            return CM_OK;
        if (waitpid(redis->pid, &how, WNOHANG) == redis->pid) {
            redis->pid = 0;
            if (WIFEXITED(how) && WEXITSTATUS(how) == NOT_FOUND_EXIT)
                return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                               "redis-server is not installed (Debian: apt-get install "
                               "redis-server)");
            break;
        }
        usleep(TRY_PERIOD_US);
    }
    return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "redis-server did not come up");
}

static bool place_socket(struct cm_private_redis *redis, const char *folder)
{
    char *whole = realpath(folder, NULL);
    bool fits = whole && strlen(whole) + sizeof SOCKET_NAME <= SOCKET_PATH_MAX;
    snprintf(redis->made_folder, sizeof redis->made_folder, "/tmp/certmill-redis.XXXXXX");
    if (fits)
        redis->made_folder[0] = '\0';
    else if (!mkdtemp(redis->made_folder))
        return false;
    snprintf(redis->url, sizeof redis->url, SCHEME "%s/" SOCKET_NAME,
             fits ? whole : redis->made_folder);
    free(whole);
    return true;
}

cm_status cm_private_redis_start(struct cm_private_redis *redis, const char *folder,
                                 const char *aof, struct cm_error *err)
{
    *redis = (struct cm_private_redis){ .pid = 0 };
    if (!place_socket(redis, folder))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "no place for the socket of redis-server");
    redis->pid = fork();
    if (redis->pid == 0)
        run_server(redis, folder, aof);
    cm_status status = redis->pid > 0 ? wait_for_server(redis, err)
                                      : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "fork");
    if (status != CM_OK)
        cm_private_redis_stop(redis);
    return status;
}

void cm_private_redis_stop(struct cm_private_redis *redis)
{
    if (redis->pid > 0) {
        kill(redis->pid, SIGTERM);
        waitpid(redis->pid, NULL, 0);
    }
    redis->pid = 0;
    if (redis->url[0])
        unlink(redis->url + strlen(SCHEME));
    if (redis->made_folder[0])
        rmdir(redis->made_folder);
    redis->url[0] = redis->made_folder[0] = '\0';
}
