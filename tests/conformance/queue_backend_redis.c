#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/queue_backend.h"
#include "tests/support/redis_server.h"
#include "tests/support/test_main.h"

static struct cm_redis_server server;

static bool set_up(struct cm_queue_settings *ret_settings)
{
    if (!cm_redis_server_start(&server, CM_REDIS_SERVER_FLEETING)) {
        cm_test_skip("redis-server is not installed or does not start");
        return false;
    }
    *ret_settings = (struct cm_queue_settings){ .url = server.url,
                                                .prefix = "t",
                                                .consumer = "engine",
                                                .lease_ms = 60000,
                                                .deliveries_max = 3 };
    return true;
}

static void tear_down(void)
{
    cm_redis_server_stop(&server);
}

static void push_pairs(const struct cm_memory_pair *pairs, size_t pairs_count)
{
    const char *words[64] = { "XADD", "t:requests", "*" };
    size_t sizes[64] = { 4, 10, 1 };
    int count = 3;
    for (size_t i = 0; i < pairs_count; i++) {
        words[count] = (const char *)pairs[i].name.data;
        sizes[count++] = pairs[i].name.size;
        words[count] = (const char *)pairs[i].value.data;
        sizes[count++] = pairs[i].value.size;
    }
    redisReply *reply = redisCommandArgv(server.connection, count, words, sizes);
    if (!reply || reply->type != REDIS_REPLY_STRING)
        abort();
    freeReplyObject(reply);
}

static void push(const char *name, struct cm_bytes csr)
{
    const struct cm_memory_pair pairs[] = {
        { cm_bytes_str("id"), cm_bytes_str(name) },
        { cm_bytes_str("requester"), cm_bytes_str("tests") },
        { cm_bytes_str("device"), cm_bytes_str(name) },
        { cm_bytes_str("csr"), csr },
    };
    push_pairs(pairs, 4);
}

static const char *field_of(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0)
            return fields->element[i + 1]->str;
    return "";
}

static bool find_answer(const char *name, struct queue_answer *ret_answer)
{
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:results:tests - +");
    *ret_answer = (struct queue_answer){ .copies_count = 0 };
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *fields = reply->element[i]->element[1];
        if (strcmp(field_of(fields, "id"), name) != 0)
            continue;
        ret_answer->copies_count++;
        snprintf(ret_answer->status, sizeof ret_answer->status, "%s", field_of(fields, "status"));
        snprintf(ret_answer->code, sizeof ret_answer->code, "%s", field_of(fields, "code"));
        snprintf(ret_answer->certificate, sizeof ret_answer->certificate, "%s",
                 field_of(fields, "certificate"));
    }
    freeReplyObject(reply);
    return ret_answer->copies_count > 0;
}

static bool read_notice(size_t index, char *ret_text, size_t space)
{
    redisReply *reply = cm_redis_server_command(&server, "XRANGE t:notices - +");
    bool found = index < reply->elements;
    size_t size = 0;
    if (found) {
        const redisReply *fields = reply->element[index]->element[1];
        if (strcmp(fields->element[0]->str, "v") != 0 || strcmp(fields->element[1]->str, "1") != 0)
            abort();
        for (size_t i = 3; i < fields->elements && size < space; i += 2)
            size += (size_t)snprintf(ret_text + size, space - size, " %s", fields->element[i]->str);
    }
    freeReplyObject(reply);
    return found;
}

static size_t count_pending(void)
{
    return (size_t)cm_redis_server_number(&server, "XLEN t:requests");
}

const struct queue_backend queue_backend_redis = {
    .name = "redis",
    .ops = &cm_queue_redis,
    .counts_deliveries = true,
    .set_up = set_up,
    .tear_down = tear_down,
    .push = push,
    .push_pairs = push_pairs,
    .find_answer = find_answer,
    .read_notice = read_notice,
    .count_pending = count_pending,
};
