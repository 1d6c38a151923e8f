#include <stdio.h>

#include "tests/conformance/queue_backend.h"

static struct cm_memory_broker *broker;

static bool set_up(struct cm_queue_settings *ret_settings)
{
    broker = cm_memory_broker_new("conformance");
    *ret_settings = (struct cm_queue_settings){ .prefix = "conformance", .deliveries_max = 3 };
    return true;
}

static void tear_down(void)
{
    cm_memory_broker_free(broker);
    broker = NULL;
}

static void push_pairs(const struct cm_memory_pair *pairs, size_t pairs_count)
{
    cm_memory_push(broker, pairs, pairs_count);
}

static void push(const char *name, struct cm_bytes csr)
{
    const struct cm_memory_pair pairs[] = {
        { cm_bytes_str("id"), cm_bytes_str(name) },
        { cm_bytes_str("requester"), cm_bytes_str("tests") },
        { cm_bytes_str("device"), cm_bytes_str(name) },
        { cm_bytes_str("csr"), csr },
    };
    cm_memory_push(broker, pairs, 4);
}

static bool find_answer(const char *name, struct queue_answer *ret_answer)
{
    *ret_answer = (struct queue_answer){ .copies_count = 0 };
    for (size_t i = 0; i < cm_memory_answers_count(broker); i++) {
        const struct cm_answer *answer = cm_memory_answer_at(broker, i);
        if (!cm_bytes_equal(answer->id, cm_bytes_str(name)))
            continue;
        ret_answer->copies_count++;
        snprintf(ret_answer->status, sizeof ret_answer->status, "%s",
                 cm_answer_status_name(answer->status));
        snprintf(ret_answer->code, sizeof ret_answer->code, "%s", cm_refusal_name(answer->code));
        snprintf(ret_answer->certificate, sizeof ret_answer->certificate, "%.*s",
                 (int)answer->certificate.size, (const char *)answer->certificate.data);
    }
    return ret_answer->copies_count > 0;
}

static bool read_notice(size_t index, char *ret_text, size_t space)
{
    char serial[64];
    if (index >= cm_memory_notices_count(broker))
        return false;
    const struct cm_notice *notice = cm_memory_notice_at(broker, index);
    cm_hex_encode(notice->serial, serial);
    snprintf(ret_text, space, " %s %.*s %.*s %s %s %lld %lld %lld", notice->kind,
             (int)notice->campaign.size, (const char *)notice->campaign.data,
             (int)notice->device.size, (const char *)notice->device.data, serial, notice->issuer,
             (long long)notice->not_after, (long long)notice->not_before,
             (long long)notice->deadline);
    return true;
}

static size_t count_pending(void)
{
    return cm_memory_pending_count(broker);
}

const struct queue_backend queue_backend_memory = {
    .name = "memory",
    .ops = &cm_queue_memory,
    .counts_deliveries = true,
    .set_up = set_up,
    .tear_down = tear_down,
    .push = push,
    .push_pairs = push_pairs,
    .find_answer = find_answer,
    .read_notice = read_notice,
    .count_pending = count_pending,
};
