/* Those who ask for CRLs now, and wait until they are published. */
#include "engine/revocation/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct cm_request_to_publish {
    struct cm_request_to_publish *next;
    uint32_t shards_count; /* when it was asked: it waits for none that came later */
    uint32_t waiting_count, published_count, failed_count;
    char why[CM_ERROR_TEXT_SIZE]; /* the first failure */
    cm_published_fn *done;
    void *arg;
    uint8_t waits[]; /* by shard: enum cm_wait */
};

void cm_asked_answer(struct cm_publisher *publisher)
{
    struct cm_request_to_publish **link = &publisher->requests;
    while (*link) {
        struct cm_request_to_publish *request = *link;
        if (request->waiting_count > 0) {
            link = &request->next;
            continue;
        }
        *link = request->next;
        request->done(request->published_count, request->failed_count, request->why, request->arg);
        free(request);
        link = &publisher->requests; /* done may have asked again */
    }
}

void cm_asked_note_outcome(const struct cm_shard *shard, enum cm_wait wait,
                           const struct cm_error *err)
{
    struct cm_publisher *publisher = shard->publisher;
    size_t index = shard->position;
    for (struct cm_request_to_publish *request = publisher->requests; request;
         request = request->next) {
        if (index >= request->shards_count || request->waits[index] != wait)
            continue;
        request->waits[index] = CM_WAIT_NONE;
        request->waiting_count--;
        request->published_count += !err;
        request->failed_count += err != NULL;
        if (err && request->why[0] == '\0')
            snprintf(request->why, sizeof request->why, "%s", err->text);
    }
}

void cm_asked_note_begun(const struct cm_shard *shard)
{
    struct cm_publisher *publisher = shard->publisher;
    size_t index = shard->position;
    for (struct cm_request_to_publish *request = publisher->requests; request;
         request = request->next)
        if (index < request->shards_count && request->waits[index] == CM_WAIT_BEGIN)
            request->waits[index] = CM_WAIT_END;
}

void cm_publisher_publish(struct cm_publisher *publisher, int64_t generation_number,
                          cm_published_fn *done, void *arg)
{
    cm_loop_assert_here(publisher->env.loop);
    struct cm_request_to_publish *request = calloc(1, sizeof *request + publisher->shards_count);
    if (!request)
        abort();
    request->shards_count = publisher->shards_count;
    request->done = done;
    request->arg = arg;
    for (uint32_t i = 0; i < publisher->shards_count; i++) {
        struct cm_shard *shard = publisher->shards[i];
        if (shard->key->is_over
            || (generation_number != 0 && shard->key->generation_number != generation_number))
            continue;
        request->waits[i] = CM_WAIT_BEGIN;
        request->waiting_count++;
        shard->is_asked = true;
        shard->retry_ns = 0;
    }
    request->next = publisher->requests;
    publisher->requests = request;
    cm_publisher_wake(publisher);
}
