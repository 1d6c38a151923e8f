/*
 * Queues: entries taken on lease, and answers with which they are acknowledged, by backend and the size of the
 * batch: memory, spool (files), redis (a private server, without AOF). And the canonical form of a request.
 *
 * How entries get into the queue is not on the clock. Of redis the counter server_us is the server's processor
 * time for an entry.
 */
#include "queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hiredis/hiredis.h>

#include "bench/suites.h"
#include "queue/canonical.h"
#include "queue/memory.h"
#include "tools/private_redis.h"
#include "tools/scratch.h"

enum { BATCH_MAX = 256, CSR_SIZE = 290, CERTIFICATE_SIZE = 600 };
enum backend { MEMORY, SPOOL, REDIS };

#define SCHEME "unix://"

static const uint8_t csr[CSR_SIZE] = { 0x30 };
static const uint8_t certificate[CERTIFICATE_SIZE] = { 0x30 };
static struct cm_private_redis redis; /* kept */
static char redis_folder[256];

struct traffic {
    struct cm_loop *loop;
    struct cm_queue *queue;
    struct cm_memory_broker *broker;
    char folder[256]; /* of the spool */
    redisContext *requester;
    uint64_t requests_count;
    struct cm_entry *entries[BATCH_MAX];
    uint32_t entries_count, wanted_count;
    cm_status answered;
    double server_us;
};

/* ------------------------------------------------------------------ requests -- */

static void push_to_memory(struct traffic *traffic, const char *id)
{
    const struct cm_memory_pair pairs[] = {
        { cm_bytes_str("id"), cm_bytes_str(id) },
        { cm_bytes_str("requester"), cm_bytes_str("local") },
        { cm_bytes_str("device"), cm_bytes_str("device-000001") },
        { cm_bytes_str("csr"), cm_bytes(csr, CSR_SIZE) },
    };
    cm_memory_push(traffic->broker, pairs, sizeof pairs / sizeof pairs[0]);
}

static bool push_to_spool(struct traffic *traffic, const char *id, struct cm_bench_run *run)
{
    char part[320], path[320];
    snprintf(part, sizeof part, "%s/incoming/.%s.tmp", traffic->folder, id);
    snprintf(path, sizeof path, "%s/incoming/%s.csr", traffic->folder, id);
    FILE *file = fopen(part, "we");
    bool is_written = file && fwrite(csr, 1, CSR_SIZE, file) == CSR_SIZE;
    if (file)
        is_written = fclose(file) == 0 && is_written;
    return (is_written && rename(part, path) == 0) || cm_bench_fail(run, "%s", path);
}

static void push_to_redis(struct traffic *traffic, const char *id)
{
    redisAppendCommand(traffic->requester,
                       "XADD b:requests * id %s requester local device %s csr %b", id,
                       "device-000001", csr, (size_t)CSR_SIZE);
}

static bool read_replies(struct traffic *traffic, uint32_t count, struct cm_bench_run *run)
{
    for (uint32_t i = 0; i < count; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(traffic->requester, (void **)&reply) != REDIS_OK || !reply
            || reply->type == REDIS_REPLY_ERROR)
            return cm_bench_fail(run, "redis takes no request");
        freeReplyObject(reply);
    }
    return true;
}

static bool push_batch(struct cm_bench_run *run)
{
    struct traffic *traffic = run->self;
    for (uint32_t i = 0; i < run->size; i++) {
        char id[40];
        snprintf(id, sizeof id, "bench-%016llx", (unsigned long long)++traffic->requests_count);
        if (run->bench->kind == MEMORY)
            push_to_memory(traffic, id);
        else if (run->bench->kind == REDIS)
            push_to_redis(traffic, id);
        else if (!push_to_spool(traffic, id, run))
            return false;
    }
    return run->bench->kind != REDIS || read_replies(traffic, run->size, run);
}

/* ------------------------------------------------------------------ opening -- */

static void on_entries(struct cm_entry **entries, uint32_t count, void *arg)
{
    struct traffic *traffic = arg;
    memcpy(traffic->entries + traffic->entries_count, entries, count * sizeof *entries);
    traffic->entries_count += count;
    if (traffic->entries_count == traffic->wanted_count)
        cm_loop_stop(traffic->loop);
}

static bool make_spool(struct traffic *traffic, struct cm_bench_run *run)
{
    static const char *const names[] = { "incoming", "answered", "refused" };
    struct cm_error err;
    if (cm_scratch_make("certmill-bench-spool", traffic->folder, sizeof traffic->folder, &err)
        != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", traffic->folder, names[i]);
        if (mkdir(path, 0700) != 0)
            return cm_bench_fail(run, "%s", path);
    }
    return true;
}

static bool start_redis(struct cm_bench_run *run)
{
    struct cm_error err;
    if (redis.pid > 0)
        return true;
    if (cm_scratch_make("certmill-bench-redis", redis_folder, sizeof redis_folder, &err) == CM_OK
        && cm_private_redis_start(&redis, redis_folder, "no", &err) == CM_OK)
        return true;
    return cm_bench_fail(run, "%s", err.text);
}

/* Every run begins with an empty server. */
static bool connect_requester(struct traffic *traffic, struct cm_bench_run *run)
{
    traffic->requester = redisConnectUnix(redis.url + strlen(SCHEME));
    if (!traffic->requester || traffic->requester->err)
        return cm_bench_fail(run, "no connection to redis");
    redisAppendCommand(traffic->requester, "FLUSHALL");
    return read_replies(traffic, 1, run);
}

static bool open_backend(struct traffic *traffic, struct cm_bench_run *run)
{
    if (run->bench->kind == SPOOL)
        return make_spool(traffic, run);
    if (run->bench->kind == REDIS)
        return start_redis(run) && connect_requester(traffic, run);
    traffic->broker = cm_memory_broker_new("b");
    cm_memory_count_only(traffic->broker);
    return true;
}

static bool open_traffic(struct cm_bench_run *run)
{
    static const struct cm_queue_ops *const ops[] = { &cm_queue_memory, &cm_queue_spool,
                                                      &cm_queue_redis };
    struct traffic *traffic = calloc(1, sizeof *traffic);
    struct cm_error err;
    run->self = traffic;
    const struct cm_queue_settings settings = { .prefix = "b",
                                                .url = redis.url,
                                                .consumer = "bench",
                                                .lease_ms = 60000,
                                                .folder = traffic->folder,
                                                .requester = "local" };
    if (!open_backend(traffic, run))
        return false;
    if (cm_loop_new(&traffic->loop, &err) != CM_OK
        || cm_queue_open(ops[run->bench->kind], traffic->loop, &settings, on_entries, NULL, traffic,
                         &traffic->queue, &err)
               != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    return true;
}

static void close_traffic(struct cm_bench_run *run)
{
    struct traffic *traffic = run->self;
    cm_queue_close(traffic->queue);
    cm_memory_broker_free(traffic->broker);
    if (traffic->requester)
        redisFree(traffic->requester);
    cm_loop_free(traffic->loop);
    if (traffic->folder[0])
        cm_scratch_remove(traffic->folder);
    free(traffic);
}

static const char *redis_missing(void)
{
    return system("command -v redis-server >/dev/null") == 0
               ? NULL
               : "redis-server is not installed (tools/setup --tests)";
}

static void close_all(void)
{
    cm_private_redis_stop(&redis);
    if (redis_folder[0])
        cm_scratch_remove(redis_folder);
}

/* ------------------------------------------------------------------ what is measured -- */

static bool lease(struct cm_bench_run *run)
{
    struct traffic *traffic = run->self;
    traffic->wanted_count = run->size;
    cm_queue_want(traffic->queue, run->size);
    cm_loop_run(traffic->loop);
    return traffic->entries_count == run->size
           || cm_bench_fail(run, "%u entries have come", traffic->entries_count);
}

static void on_answered(cm_status status, void *arg)
{
    struct traffic *traffic = arg;
    traffic->answered = status;
    cm_loop_stop(traffic->loop);
}

static bool answer(struct cm_bench_run *run)
{
    struct traffic *traffic = run->self;
    struct cm_answer answers[BATCH_MAX];
    for (uint32_t i = 0; i < run->size; i++) {
        struct cm_entry *entry = traffic->entries[i];
        answers[i] = (struct cm_answer){ .entry = entry,
                                         .status = CM_ANSWER_ISSUED,
                                         .id = entry->fields[CM_FIELD_ID],
                                         .requester = entry->fields[CM_FIELD_REQUESTER],
                                         .device = entry->fields[CM_FIELD_DEVICE],
                                         .certificate = cm_bytes(certificate, CERTIFICATE_SIZE),
                                         .serial = cm_bytes("0123456789abcdefghij", 20),
                                         .issuer = "issuing-1",
                                         .not_after = INT64_C(4000000000) };
    }
    traffic->entries_count = 0;
    cm_queue_answer(traffic->queue, answers, run->size, on_answered, traffic);
    cm_loop_run(traffic->loop);
    return traffic->answered == CM_OK || cm_bench_fail(run, "answers were not written");
}

static bool look_at_server(struct cm_bench_run *run)
{
    struct traffic *traffic = run->self;
    traffic->server_us = cm_bench_cpu_us_of(redis.pid);
    return true;
}

static bool count_server(struct cm_bench_run *run)
{
    const struct traffic *traffic = run->self;
    if (run->bench->kind == REDIS)
        cm_bench_count(run, "server_us", cm_bench_cpu_us_of(redis.pid) - traffic->server_us);
    return true;
}

static bool before_lease(struct cm_bench_run *run)
{
    return push_batch(run) && look_at_server(run);
}

static bool after_lease(struct cm_bench_run *run)
{
    return count_server(run) && answer(run);
}

static bool before_answer(struct cm_bench_run *run)
{
    return push_batch(run) && lease(run) && look_at_server(run);
}

/* ------------------------------------------------------------------ the canonical form -- */

static bool write_canonical(struct cm_bench_run *run)
{
    static uint8_t canonical[CM_CANONICAL_SIZE_MAX];
    struct cm_bytes fields[CM_FIELD_COUNT] = { { NULL, 0 } };
    fields[CM_FIELD_OP] = cm_bytes_str("issue");
    fields[CM_FIELD_ID] = cm_bytes_str("0123456789abcdef0123456789abcdef");
    fields[CM_FIELD_REQUESTER] = cm_bytes_str("line-1");
    fields[CM_FIELD_DEVICE] = cm_bytes_str("device-000001");
    fields[CM_FIELD_CSR] = cm_bytes(csr, CSR_SIZE);
    fields[CM_FIELD_TIME] = cm_bytes_str("1735689600000");
    return cm_canonical_write(fields, canonical, sizeof canonical) > 0
           || cm_bench_fail(run, "it does not fit");
}

#define LEASE(label, backend, ...)                                                                 \
    {                                                                                              \
        .name = label "/lease", .kind = (backend), .setup = open_traffic, .prepare = before_lease, \
        .run = lease, .settle = after_lease, .teardown = close_traffic,                            \
        .sizes = { 1, 8, 64, 256 }, __VA_ARGS__                                                    \
    }
#define ANSWER(label, backend, ...)                                                                \
    {                                                                                              \
        .name = label "/answer", .kind = (backend), .setup = open_traffic,                         \
        .prepare = before_answer, .run = answer, .settle = count_server,                           \
        .teardown = close_traffic, .sizes = { 1, 8, 64, 256 }, __VA_ARGS__                         \
    }
#define ELSEWHERE .is_concurrent = true, .is_bounded = true

static const struct cm_bench benches[] = {
    { .name = "canonical", .run = write_canonical },
    LEASE("memory", MEMORY, .missing = NULL),
    ANSWER("memory", MEMORY, .missing = NULL),
    LEASE("spool", SPOOL, ELSEWHERE),
    ANSWER("spool", SPOOL, ELSEWHERE),
    LEASE("redis", REDIS, ELSEWHERE, .missing = redis_missing),
    ANSWER("redis", REDIS, ELSEWHERE, .missing = redis_missing),
};

const struct cm_bench_suite cm_bench_queue = { "queue", benches, CM_BENCH_COUNT(benches),
                                               close_all };
