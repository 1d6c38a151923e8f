#include "tests/support/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_main.h"

static unsigned servers_count;

static void run_server(const struct cm_redis_server *server)
{
    const char *aof = server->kind == CM_REDIS_SERVER_AOF ? "yes" : "no";
    char log[340];
    snprintf(log, sizeof log, "%s/log", server->folder);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", server->socket, "--dir",
           server->folder, "--save", "", "--appendonly", aof, "--appendfsync", "always",
           "--logfile", log, "--daemonize", "no", (char *)NULL);
    _exit(127);
}

static bool try_to_connect(struct cm_redis_server *server)
{
    redisContext *connection = redisConnectUnix(server->socket);
    if (connection && !connection->err) {
        redisReply *reply = redisCommand(connection, "PING");
        bool good = reply && reply->type == REDIS_REPLY_STATUS;
        if (reply)
            freeReplyObject(reply);
        if (good) {
            server->connection = connection;
            return true;
        }
    }
    if (connection)
        redisFree(connection);
    return false;
}

bool cm_redis_server_restart(struct cm_redis_server *server)
{
    server->pid = fork();
    if (server->pid == 0)
        run_server(server);
    if (server->pid < 0)
        return false;
    for (unsigned i = 0; i < 1000; i++) {
        if (try_to_connect(server))
            return true;
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            return false;
        }
        usleep(10000);
    }
    cm_redis_server_stop(server);
    return false;
}

bool cm_redis_server_start(struct cm_redis_server *server, enum cm_redis_server_kind kind)
{
    *server = (struct cm_redis_server){ .kind = kind };
    snprintf(server->folder, sizeof server->folder, "%s/redis-%u", cm_test_scratch(),
             servers_count++);
    if (mkdir(server->folder, 0700) != 0)
        return false;
    snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->folder);
    snprintf(server->url, sizeof server->url, "unix://%s", server->socket);
    return cm_redis_server_restart(server);
}

static void end_server(struct cm_redis_server *server, int signal_number)
{
    if (server->connection)
        redisFree(server->connection);
    server->connection = NULL;
    if (server->pid <= 0)
        return;
    kill(server->pid, signal_number);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void cm_redis_server_kill(struct cm_redis_server *server)
{
    end_server(server, SIGKILL);
}

void cm_redis_server_stop(struct cm_redis_server *server)
{
    end_server(server, SIGTERM);
}

static redisReply *run_command(struct cm_redis_server *server, const char *format, va_list args)
{
    redisReply *reply = redisvCommand(server->connection, format, args);
    if (!reply) {
        fprintf(stderr, "redis-server of the test: %s\n", server->connection->errstr);
        abort();
    }
    return reply;
}

redisReply *cm_redis_server_command(struct cm_redis_server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = run_command(server, format, args);
    va_end(args);
    return reply;
}

long long cm_redis_server_number(struct cm_redis_server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = run_command(server, format, args);
    va_end(args);
    long long number = -1;
    if (reply->type == REDIS_REPLY_INTEGER)
        number = reply->integer;
    else if (reply->type == REDIS_REPLY_STRING)
        number = atoll(reply->str);
    freeReplyObject(reply);
    return number;
}
