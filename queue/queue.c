#include "queue/queue.h"

#include <assert.h>

static const char *const field_names[CM_FIELD_COUNT] = {
#define X(symbol, name) [CM_FIELD_##symbol] = name,
    CM_FIELD_MAP(X)
#undef X
};

static const uint8_t field_name_sizes[CM_FIELD_COUNT] = {
#define X(symbol, name) [CM_FIELD_##symbol] = sizeof(name) - 1,
    CM_FIELD_MAP(X)
#undef X
};

const char *cm_field_name(enum cm_field field)
{
    return field < CM_FIELD_COUNT ? field_names[field] : "unknown";
}

enum cm_field cm_field_find(struct cm_bytes name)
{
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
        if (name.size == field_name_sizes[field]
            && memcmp(name.data, field_names[field], name.size) == 0)
            return (enum cm_field)field;
    return CM_FIELD_COUNT;
}

const char *cm_answer_status_name(enum cm_answer_status status)
{
    static const char *const names[] = { [CM_ANSWER_ISSUED] = "issued",
                                         [CM_ANSWER_DONE] = "done",
                                         [CM_ANSWER_REFUSED] = "refused",
                                         [CM_ANSWER_FAILED] = "failed" };
    assert(status <= CM_ANSWER_FAILED);
    return names[status];
}

cm_status cm_queue_open(const struct cm_queue_ops *ops, struct cm_loop *loop,
                        const struct cm_queue_settings *settings, cm_entries_fn *on_entries,
                        cm_queue_event_fn *on_event, void *arg, struct cm_queue **ret_queue,
                        struct cm_error *err)
{
    struct cm_queue *queue = NULL;
    assert(ops && loop && settings && on_entries);
    cm_loop_assert_here(loop);
    cm_status status = ops->open(loop, settings, &queue, err);
    if (status != CM_OK)
        return status;
    queue->ops = ops;
    queue->loop = loop;
    queue->on_entries = on_entries;
    queue->on_event = on_event;
    queue->arg = arg;
    queue->credit = 0;
    queue->ahead_credit = 0;
    queue->is_ahead = NULL;
    *ret_queue = queue;
    ops->start(queue);
    return CM_OK;
}

void cm_queue_want(struct cm_queue *queue, uint32_t count)
{
    cm_loop_assert_here(queue->loop);
    assert(queue->credit <= UINT32_MAX - count);
    if (count == 0)
        return;
    queue->credit += count;
    queue->ops->wanted(queue);
}

void cm_queue_want_ahead(struct cm_queue *queue, uint32_t count, cm_is_ahead_fn *is_ahead)
{
    cm_loop_assert_here(queue->loop);
    assert(is_ahead && queue->ahead_credit <= UINT32_MAX - count);
    if (count == 0)
        return;
    queue->is_ahead = is_ahead;
    queue->ahead_credit += count;
    queue->ops->wanted(queue);
}

void cm_queue_answer(struct cm_queue *queue, struct cm_answer *answers, uint32_t count,
                     cm_answered_fn *answered, void *arg)
{
    cm_loop_assert_here(queue->loop);
    assert(count > 0 && answered);
    queue->ops->answer(queue, answers, count, answered, arg);
}

struct cm_entry *cm_queue_detach(struct cm_queue *queue, struct cm_entry *entry)
{
    cm_loop_assert_here(queue->loop);
    return queue->ops->detach ? queue->ops->detach(queue, entry) : entry;
}

void cm_queue_give_back(struct cm_queue *queue, struct cm_entry **entries, uint32_t count)
{
    cm_loop_assert_here(queue->loop);
    if (count > 0)
        queue->ops->give_back(queue, entries, count);
}

void cm_queue_hurry(struct cm_queue *queue, uint32_t patience_ms)
{
    cm_loop_assert_here(queue->loop);
    if (queue->ops->hurry)
        queue->ops->hurry(queue, patience_ms);
}

void cm_queue_publish_chain(struct cm_queue *queue, const char *issuer, struct cm_bytes pem)
{
    cm_loop_assert_here(queue->loop);
    queue->ops->publish_chain(queue, issuer, pem);
}

cm_status cm_queue_notify(struct cm_queue *queue, const struct cm_notice *notices, uint32_t count,
                          cm_notified_fn *notified, void *arg, struct cm_error *err)
{
    cm_loop_assert_here(queue->loop);
    assert(count > 0 && notified);
    if (!queue->ops->notify)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "the %s queue has no place for notices", queue->ops->name);
    return queue->ops->notify(queue, notices, count, notified, arg, err);
}

void cm_queue_close(struct cm_queue *queue)
{
    if (!queue)
        return;
    cm_loop_assert_here(queue->loop);
    queue->ops->close(queue);
}
