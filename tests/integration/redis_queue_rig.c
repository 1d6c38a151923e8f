#include "tests/integration/redis_queue_rig.h"

struct cm_redis_server server;
struct cm_queue_settings settings;
struct cm_queue_rig rig;

bool begin(enum cm_redis_server_kind kind, uint32_t lease_ms)
{
    if (!cm_redis_server_start(&server, kind)) {
        cm_test_skip("redis-server is not installed or does not start");
        return false;
    }
    settings = (struct cm_queue_settings){ .url = server.url,
                                           .prefix = "t",
                                           .consumer = "engine-a",
                                           .lease_ms = lease_ms,
                                           .deliveries_max = 3,
                                           .timeout_ms = 1000 };
    cm_queue_rig_init(&rig);
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_open(&rig, &cm_queue_redis, &settings));
    CU_ASSERT_TRUE_FATAL(cm_queue_rig_wait_event(&rig, CM_QUEUE_UP, 1));
    return true;
}

void end(void)
{
    cm_queue_rig_done(&rig);
    cm_redis_server_stop(&server);
}

bool is_retire(struct cm_bytes op)
{
    return cm_bytes_is(op, "retire");
}

long long pending_count(void)
{
    redisReply *reply = cm_redis_server_command(&server, "XPENDING t:requests t");
    long long count = reply->type == REDIS_REPLY_ARRAY ? reply->element[0]->integer : -1;
    freeReplyObject(reply);
    return count;
}

void run_command(const char *command)
{
    freeReplyObject(cm_redis_server_command(&server, command));
}
