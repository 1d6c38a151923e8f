#include "queue/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "queue/entry.h"

enum { DELIVERY_COUNT_MAX = 256 };

struct request {
    struct cm_entry entry;
    TAILQ_ENTRY(request) link;
    struct cm_memory_pair *pairs; /* one allocation with the bytes they point at */
    size_t pairs_count;
    uint32_t deliveries_count;
    bool has_op; /* whether it may be taken out ahead of others is to be asked */
};
TAILQ_HEAD(request_list, request);

struct kept_answer {
    struct cm_answer answer;
    char *texts; /* what the answer points at */
};

struct kept_notice {
    struct cm_notice notice;
    char *texts;
};

struct cm_memory_broker {
    char name[64];
    struct request_list waiting;
    struct request_list leased;
    size_t pending_count;
    size_t waiting_ops_count; /* of those that wait: the ones with an op */
    struct kept_answer *answers;
    size_t answers_count;
    size_t answers_space;
    bool keeps_no_answers;
    struct kept_notice *notices;
    size_t notices_count;
    struct memory_queue *queue; /* that is open on it */
    SLIST_ENTRY(cm_memory_broker) link;
};

/* A batch whose answered, or notified, is still to be called. */
struct completion {
    cm_answered_fn *answered; /* NULL: notified */
    cm_notified_fn *notified;
    void *arg;
    STAILQ_ENTRY(completion) link;
};

struct memory_queue {
    struct cm_queue head;
    struct cm_memory_broker *broker;
    uint32_t deliveries_max;
    struct cm_timer turn; /* delivers and completes outside the caller's call */
    STAILQ_HEAD(, completion) completions;
};

static SLIST_HEAD(, cm_memory_broker) brokers = SLIST_HEAD_INITIALIZER(brokers);

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ----------------------------------------------------------------------- the broker -- */

struct cm_memory_broker *cm_memory_broker_new(const char *name)
{
    struct cm_memory_broker *broker = must(calloc(1, sizeof *broker));
    snprintf(broker->name, sizeof broker->name, "%s", name);
    TAILQ_INIT(&broker->waiting);
    TAILQ_INIT(&broker->leased);
    SLIST_INSERT_HEAD(&brokers, broker, link);
    return broker;
}

static struct cm_memory_broker *find_broker(const char *name)
{
    struct cm_memory_broker *broker;
    SLIST_FOREACH(broker, &brokers, link)
    if (name && strcmp(broker->name, name) == 0)
        return broker;
    return NULL;
}

static void free_request(struct request *request)
{
    free(request->pairs);
    free(request);
}

static void free_requests(struct request_list *list)
{
    struct request *request;
    while ((request = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, request, link);
        free_request(request);
    }
}

void cm_memory_broker_free(struct cm_memory_broker *broker)
{
    if (!broker)
        return;
    assert(!broker->queue);
    SLIST_REMOVE(&brokers, broker, cm_memory_broker, link);
    free_requests(&broker->waiting);
    free_requests(&broker->leased);
    for (size_t i = 0; i < broker->answers_count && !broker->keeps_no_answers; i++)
        free(broker->answers[i].texts);
    free(broker->answers);
    for (size_t i = 0; i < broker->notices_count; i++)
        free(broker->notices[i].texts);
    free(broker->notices);
    free(broker);
}

static void run_turn(void *arg);

static void schedule_turn(struct memory_queue *queue)
{
    if (queue && !cm_timer_is_running(&queue->turn))
        cm_timer_start(&queue->turn, queue->head.loop, 0, run_turn, queue);
}

static void wait_first(struct cm_memory_broker *broker, struct request *request)
{
    TAILQ_INSERT_HEAD(&broker->waiting, request, link);
    broker->waiting_ops_count += request->has_op;
}

static struct cm_bytes op_of(const struct request *request)
{
    for (size_t i = 0; i < request->pairs_count; i++)
        if (cm_field_find(request->pairs[i].name) == CM_FIELD_OP)
            return request->pairs[i].value;
    return cm_bytes(NULL, 0);
}

static struct cm_bytes copy_to(char **at, struct cm_bytes bytes)
{
    char *copy = *at;
    if (!bytes.data)
        return bytes;
    memcpy(copy, bytes.data, bytes.size);
    *at += bytes.size;
    return cm_bytes(copy, bytes.size);
}

void cm_memory_push(struct cm_memory_broker *broker, const struct cm_memory_pair *pairs,
                    size_t pairs_count)
{
    size_t size = 1;
    for (size_t i = 0; i < pairs_count; i++)
        size += pairs[i].name.size + pairs[i].value.size;
    struct request *request = must(calloc(1, sizeof *request));
    request->pairs = must(malloc(pairs_count * sizeof *pairs + size));
    request->pairs_count = pairs_count;
    char *at = (char *)(request->pairs + pairs_count);
    for (size_t i = 0; i < pairs_count; i++)
        request->pairs[i] = (struct cm_memory_pair){ .name = copy_to(&at, pairs[i].name),
                                                     .value = copy_to(&at, pairs[i].value) };
    request->has_op = op_of(request).data != NULL;
    TAILQ_INSERT_TAIL(&broker->waiting, request, link);
    broker->waiting_ops_count += request->has_op;
    broker->pending_count++;
    schedule_turn(broker->queue);
}

void cm_memory_end_leases(struct cm_memory_broker *broker)
{
    struct request *request;
    while ((request = TAILQ_LAST(&broker->leased, request_list))) {
        TAILQ_REMOVE(&broker->leased, request, link);
        wait_first(broker, request);
    }
    schedule_turn(broker->queue);
}

void cm_memory_count_only(struct cm_memory_broker *broker)
{
    assert(broker->answers_count == 0);
    broker->keeps_no_answers = true;
}

size_t cm_memory_pending_count(const struct cm_memory_broker *broker)
{
    return broker->pending_count;
}

size_t cm_memory_answers_count(const struct cm_memory_broker *broker)
{
    return broker->answers_count;
}

const struct cm_answer *cm_memory_answer_at(const struct cm_memory_broker *broker, size_t index)
{
    assert(index < broker->answers_count && !broker->keeps_no_answers);
    return &broker->answers[index].answer;
}

size_t cm_memory_notices_count(const struct cm_memory_broker *broker)
{
    return broker->notices_count;
}

const struct cm_notice *cm_memory_notice_at(const struct cm_memory_broker *broker, size_t index)
{
    assert(index < broker->notices_count);
    return &broker->notices[index].notice;
}

/* ------------------------------------------------------------------------ the queue -- */

static cm_status memory_open(struct cm_loop *loop, const struct cm_queue_settings *settings,
                             struct cm_queue **ret_queue, struct cm_error *err)
{
    (void)loop;
    struct cm_memory_broker *broker = find_broker(settings->prefix);
    if (!broker)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "no memory broker named %s",
                       settings->prefix ? settings->prefix : "(none)");
    if (broker->queue)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0, "a queue is open on memory broker %s",
                       broker->name);
    struct memory_queue *queue = must(calloc(1, sizeof *queue));
    queue->broker = broker;
    queue->deliveries_max = settings->deliveries_max;
    STAILQ_INIT(&queue->completions);
    broker->queue = queue;
    *ret_queue = &queue->head;
    return CM_OK;
}

static void memory_start(struct cm_queue *head)
{
    schedule_turn((struct memory_queue *)head);
}

static struct cm_entry *lease_request(struct memory_queue *queue, struct request *request)
{
    struct cm_entry *entry = &request->entry;
    TAILQ_REMOVE(&queue->broker->waiting, request, link);
    queue->broker->waiting_ops_count -= request->has_op;
    TAILQ_INSERT_TAIL(&queue->broker->leased, request, link);
    cm_entry_start(entry);
    for (size_t i = 0; i < request->pairs_count; i++)
        cm_entry_add_field(entry, request->pairs[i].name, request->pairs[i].value);
    entry->backend = request;
    cm_entry_finish(entry, ++request->deliveries_count, queue->deliveries_max);
    return entry;
}

static void complete(struct memory_queue *queue, cm_status status)
{
    struct completion *completion;
    while ((completion = STAILQ_FIRST(&queue->completions))) {
        STAILQ_REMOVE_HEAD(&queue->completions, link);
        if (completion->answered)
            completion->answered(status, completion->arg);
        else
            completion->notified(status, status == CM_OK ? "" : "closed", completion->arg);
        free(completion);
    }
}

static void deliver_first(struct memory_queue *queue)
{
    struct cm_entry *entries[DELIVERY_COUNT_MAX];
    struct request *request;
    uint32_t count = 0;
    while (count < queue->head.credit && count < DELIVERY_COUNT_MAX
           && (request = TAILQ_FIRST(&queue->broker->waiting)))
        entries[count++] = lease_request(queue, request);
    if (count > 0)
        cm_queue_deliver(&queue->head, entries, count);
}

static void deliver_ahead(struct memory_queue *queue)
{
    struct cm_entry *entries[DELIVERY_COUNT_MAX];
    struct request *request, *next = TAILQ_FIRST(&queue->broker->waiting);
    uint32_t count = 0;
    if (queue->broker->waiting_ops_count == 0)
        return;
    while ((request = next) && count < queue->head.ahead_credit && count < DELIVERY_COUNT_MAX) {
        next = TAILQ_NEXT(request, link);
        if (queue->head.is_ahead(op_of(request)))
            entries[count++] = lease_request(queue, request);
    }
    if (count > 0)
        cm_queue_deliver_ahead(&queue->head, entries, count);
}

static void run_turn(void *arg)
{
    struct memory_queue *queue = arg;
    complete(queue, CM_OK);
    deliver_first(queue);
    if (queue->head.credit == 0 && queue->head.ahead_credit > 0)
        deliver_ahead(queue);
    if (queue->head.credit > 0 && !TAILQ_EMPTY(&queue->broker->waiting))
        schedule_turn(queue);
}

static void memory_wanted(struct cm_queue *head)
{
    schedule_turn((struct memory_queue *)head);
}

static char *copy_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    char *copy = *at;
    size_t size = strlen(text) + 1;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static void keep_answer(struct cm_memory_broker *broker, const struct cm_answer *answer)
{
    size_t size = answer->id.size + answer->requester.size + answer->device.size
                  + answer->certificate.size + answer->serial.size + answer->chain.size
                  + text_size(answer->message) + text_size(answer->issuer) + 1;
    if (broker->answers_count == broker->answers_space) {
        broker->answers_space = broker->answers_space ? 2 * broker->answers_space : 256;
        broker->answers =
            must(realloc(broker->answers, broker->answers_space * sizeof *broker->answers));
    }
    struct kept_answer *kept = &broker->answers[broker->answers_count];
    char *at = kept->texts = must(malloc(size));
    kept->answer = *answer;
    kept->answer.entry = NULL;
    kept->answer.id = copy_to(&at, answer->id);
    kept->answer.requester = copy_to(&at, answer->requester);
    kept->answer.device = copy_to(&at, answer->device);
    kept->answer.certificate = copy_to(&at, answer->certificate);
    kept->answer.serial = copy_to(&at, answer->serial);
    kept->answer.chain = copy_to(&at, answer->chain);
    kept->answer.message = copy_text(&at, answer->message);
    kept->answer.issuer = copy_text(&at, answer->issuer);
}

static void memory_answer(struct cm_queue *head, struct cm_answer *answers, uint32_t count,
                          cm_answered_fn *answered, void *arg)
{
    struct memory_queue *queue = (struct memory_queue *)head;
    struct completion *completion = must(malloc(sizeof *completion));
    for (uint32_t i = 0; i < count; i++) {
        struct request *request = answers[i].entry->backend;
        if (!queue->broker->keeps_no_answers)
            keep_answer(queue->broker, &answers[i]);
        queue->broker->answers_count++;
        queue->broker->pending_count--;
        TAILQ_REMOVE(&queue->broker->leased, request, link);
        free_request(request);
    }
    *completion = (struct completion){ .answered = answered, .arg = arg };
    STAILQ_INSERT_TAIL(&queue->completions, completion, link);
    schedule_turn(queue);
}

static void memory_give_back(struct cm_queue *head, struct cm_entry **entries, uint32_t count)
{
    struct memory_queue *queue = (struct memory_queue *)head;
    for (uint32_t i = count; i-- > 0;) {
        struct request *request = entries[i]->backend;
        request->deliveries_count--; /* this one does not count */
        TAILQ_REMOVE(&queue->broker->leased, request, link);
        wait_first(queue->broker, request);
    }
    schedule_turn(queue);
}

/* Answers carry their chain, and nobody asks a broker for one. */
static void memory_publish_chain(struct cm_queue *head, const char *issuer, struct cm_bytes pem)
{
    (void)head;
    (void)issuer;
    (void)pem;
}

static void keep_notice(struct kept_notice *kept, const struct cm_notice *notice)
{
    size_t size = text_size(notice->kind) + notice->campaign.size + notice->device.size
                  + notice->serial.size + text_size(notice->issuer) + 1;
    char *at = kept->texts = must(malloc(size));
    kept->notice = *notice;
    kept->notice.kind = copy_text(&at, notice->kind);
    kept->notice.campaign = copy_to(&at, notice->campaign);
    kept->notice.device = copy_to(&at, notice->device);
    kept->notice.serial = copy_to(&at, notice->serial);
    kept->notice.issuer = copy_text(&at, notice->issuer);
}

static cm_status memory_notify(struct cm_queue *head, const struct cm_notice *notices,
                               uint32_t count, cm_notified_fn *notified, void *arg,
                               struct cm_error *err)
{
    struct memory_queue *queue = (struct memory_queue *)head;
    struct cm_memory_broker *broker = queue->broker;
    struct completion *completion = must(malloc(sizeof *completion));
    (void)err;
    broker->notices =
        must(realloc(broker->notices, (broker->notices_count + count) * sizeof *broker->notices));
    for (uint32_t i = 0; i < count; i++)
        keep_notice(&broker->notices[broker->notices_count++], &notices[i]);
    *completion = (struct completion){ .notified = notified, .arg = arg };
    STAILQ_INSERT_TAIL(&queue->completions, completion, link);
    schedule_turn(queue);
    return CM_OK;
}

static void memory_close(struct cm_queue *head)
{
    struct memory_queue *queue = (struct memory_queue *)head;
    queue->broker->queue = NULL;
    cm_memory_end_leases(queue->broker);
    complete(queue, CM_UNAVAILABLE);
    cm_timer_done(&queue->turn);
    free(queue);
}

const struct cm_queue_ops cm_queue_memory = {
    .name = "memory",
    .open = memory_open,
    .start = memory_start,
    .wanted = memory_wanted,
    .answer = memory_answer,
    .give_back = memory_give_back,
    .publish_chain = memory_publish_chain,
    .notify = memory_notify,
    .close = memory_close,
};
