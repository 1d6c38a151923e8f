#include <stdio.h>
#include <stdlib.h>

#include "queue/redis/internal.h"

enum { LEASE_MS_DEFAULT = 60000, TIMEOUT_MS_DEFAULT = 5000 };

static struct cm_redis_queue *queue_of(struct cm_queue *head)
{
    return (struct cm_redis_queue *)head;
}

static char *join(const char *a, const char *b)
{
    char *text;
    if (asprintf(&text, "%s%s", a, b) < 0)
        abort();
    return text;
}

static void free_queue(struct cm_redis_queue *queue)
{
    struct cm_chain *chain;
    while ((chain = SLIST_FIRST(&queue->chains))) {
        SLIST_REMOVE_HEAD(&queue->chains, link);
        free(chain->key);
        free(chain->pem);
        free(chain);
    }
    cm_redis_address_done(&queue->address);
    cm_tls_done(&queue->tls);
    free(queue->prefix);
    free(queue->stream);
    free(queue->dead);
    free(queue->results);
    free(queue->noticed);
    free(queue->consumer);
    free(queue);
}

static cm_status redis_open(struct cm_loop *loop, const struct cm_queue_settings *settings,
                            struct cm_queue **ret_queue, struct cm_error *err)
{
    struct cm_redis_queue *queue = calloc(1, sizeof *queue);
    (void)loop;
    if (!queue)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a queue");
    cm_status status =
        cm_redis_address_read(settings->url, settings->password_ref, &queue->address, err);
    if (status == CM_OK && queue->address.is_tls)
        status = cm_tls_open(&queue->tls, &settings->tls, queue->address.host, err);
    if (status != CM_OK) {
        cm_redis_address_done(&queue->address);
        free(queue);
        return status;
    }
    TAILQ_INIT(&queue->held.leases);
    TAILQ_INIT(&queue->ready.entries);
    TAILQ_INIT(&queue->replies.batches);
    TAILQ_INIT(&queue->notices);
    queue->prefix = join(settings->prefix ? settings->prefix : "certmill", "");
    queue->stream = join(queue->prefix, ":requests");
    queue->dead = join(queue->prefix, ":dead");
    queue->results = join(queue->prefix, ":results:");
    queue->noticed = join(queue->prefix, ":notices");
    queue->consumer = join(settings->consumer ? settings->consumer : "engine", "");
    queue->lease_ms = settings->lease_ms ? settings->lease_ms : LEASE_MS_DEFAULT;
    queue->deliveries_max = settings->deliveries_max;
    queue->results_max = settings->results_max;
    queue->notices_max = settings->notices_max;
    queue->timeout_ms = settings->timeout_ms ? settings->timeout_ms : TIMEOUT_MS_DEFAULT;
    *ret_queue = &queue->head;
    return CM_OK;
}

static void on_extension_timer(void *arg)
{
    struct cm_redis_queue *queue = arg;
    cm_held_extend(queue);
    cm_timer_start(&queue->extension_timer, queue->head.loop, queue->lease_ms / 4 + 1,
                   on_extension_timer, queue);
}

static void redis_start(struct cm_queue *head)
{
    struct cm_redis_queue *queue = queue_of(head);
    cm_replies_open(queue);
    cm_intake_open(queue);
    on_extension_timer(queue);
}

static void redis_wanted(struct cm_queue *head)
{
    cm_intake_go_on(queue_of(head));
}

static void redis_answer(struct cm_queue *head, struct cm_answer *answers, uint32_t count,
                         cm_answered_fn *answered, void *arg)
{
    cm_replies_add(queue_of(head), answers, count, answered, arg);
}

static void redis_give_back(struct cm_queue *head, struct cm_entry **entries, uint32_t count)
{
    cm_back_give(queue_of(head), entries, count);
}

static struct cm_entry *redis_detach(struct cm_queue *head, struct cm_entry *entry)
{
    (void)head;
    return &cm_unpack_detach(entry->backend)->entry;
}

/* -------------------------------------------------------------------------------- the chains -- */

static void send_chain(struct cm_redis_queue *queue, const struct cm_chain *chain)
{
    struct cm_command *command = &queue->replies.link.command;
    cm_command_begin(command, 3);
    cm_command_text(command, "SET");
    cm_command_text(command, chain->key);
    cm_command_bytes(command, cm_bytes(chain->pem, chain->pem_size));
    cm_link_send(&queue->replies.link, NULL);
}

void cm_redis_publish_chains(struct cm_redis_queue *queue)
{
    const struct cm_chain *chain;
    SLIST_FOREACH(chain, &queue->chains, link)
    send_chain(queue, chain);
}

static struct cm_chain *find_chain(struct cm_redis_queue *queue, const char *key)
{
    struct cm_chain *chain;
    SLIST_FOREACH(chain, &queue->chains, link)
    if (strcmp(chain->key, key) == 0)
        return chain;
    return NULL;
}

static void redis_publish_chain(struct cm_queue *head, const char *issuer, struct cm_bytes pem)
{
    struct cm_redis_queue *queue = queue_of(head);
    char *prefix = join(queue->prefix, ":ca:");
    char *key = join(prefix, issuer);
    struct cm_chain *chain = find_chain(queue, key);
    char *copy = malloc(pem.size + 1);
    if (!chain && (chain = calloc(1, sizeof *chain))) {
        chain->key = join(key, "");
        SLIST_INSERT_HEAD(&queue->chains, chain, link);
    }
    if (!chain || !copy)
        abort();
    memcpy(copy, pem.data, pem.size);
    free(chain->pem);
    chain->pem = copy;
    chain->pem_size = pem.size;
    free(prefix);
    free(key);
    send_chain(queue, chain);
}

/* -------------------------------------------------------------------------------- its health -- */

void cm_redis_look_up(struct cm_redis_queue *queue)
{
    if (queue->is_up || !queue->intake.group_is_there || !queue->replies.link.is_up)
        return;
    queue->is_up = true;
    queue->down_was_told = false;
    cm_queue_tell(&queue->head, CM_QUEUE_UP, "connected; reading %s as %s", queue->stream,
                  queue->consumer);
}

void cm_redis_look_down(struct cm_redis_queue *queue, const char *text)
{
    queue->is_up = false;
    if (queue->down_was_told)
        return;
    queue->down_was_told = true;
    cm_queue_tell(&queue->head, CM_QUEUE_DOWN, "%s", text);
}

static void redis_close(struct cm_queue *head)
{
    struct cm_redis_queue *queue = queue_of(head);
    queue->head.on_event = NULL;
    cm_timer_done(&queue->extension_timer);
    cm_intake_close(queue);
    cm_replies_close(queue);
    cm_notices_close(queue);
    cm_ready_close(queue);
    cm_held_done(&queue->held);
    cm_reply_blocks_done(&queue->blocks);
    free_queue(queue);
}

static void redis_hurry(struct cm_queue *head, uint32_t patience_ms)
{
    cm_replies_hurry(queue_of(head), patience_ms);
    cm_back_hurry(queue_of(head));
}

static cm_status redis_notify(struct cm_queue *head, const struct cm_notice *notices,
                              uint32_t count, cm_notified_fn *notified, void *arg,
                              struct cm_error *err)
{
    (void)err;
    cm_notices_add(queue_of(head), notices, count, notified, arg);
    return CM_OK;
}

const struct cm_queue_ops cm_queue_redis = {
    .name = "redis",
    .open = redis_open,
    .start = redis_start,
    .wanted = redis_wanted,
    .answer = redis_answer,
    .give_back = redis_give_back,
    .detach = redis_detach,
    .hurry = redis_hurry,
    .publish_chain = redis_publish_chain,
    .notify = redis_notify,
    .close = redis_close,
};
