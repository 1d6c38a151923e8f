#include "engine/promises.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS_AT_FIRST = 1024 };

static uint32_t bucket_of(const struct cm_promises *promises, const struct cm_request_key *key)
{
    uint32_t start;
    memcpy(&start, key->octets, sizeof start);
    return start & (promises->buckets_count - 1);
}

struct cm_promise *cm_promises_add(struct cm_promises *promises, const struct cm_intent *intent,
                                   const struct cm_intent_item *item)
{
    struct cm_promise *promise = calloc(1, sizeof *promise);
    if (!promises->buckets) {
        promises->buckets_count = BUCKETS_AT_FIRST;
        promises->buckets = calloc(promises->buckets_count, sizeof(struct cm_promise *));
    }
    if (!promise || !promises->buckets)
        abort();
    promise->item = *item;
    promise->intent_number = intent->number;
    promise->created_ms = intent->created_ms;
    promise->generation_number = intent->generation_number;
    struct cm_promise **bucket = &promises->buckets[bucket_of(promises, &item->key)];
    promise->next = *bucket;
    *bucket = promise;
    promises->open_count++;
    return promise;
}

static bool load_item(const struct cm_intent *intent, const struct cm_intent_item *item, void *arg)
{
    cm_promises_add(arg, intent, item);
    return true;
}

cm_status cm_promises_load(struct cm_promises *promises, struct cm_store_reader *reader,
                           struct cm_error *err)
{
    return cm_store_walk_open_intents(reader, load_item, promises, err);
}

void cm_promises_done(struct cm_promises *promises)
{
    for (uint32_t i = 0; i < promises->buckets_count; i++) {
        while (promises->buckets[i]) {
            struct cm_promise *promise = promises->buckets[i];
            promises->buckets[i] = promise->next;
            free(promise);
        }
    }
    free(promises->buckets);
    *promises = (struct cm_promises){ 0 };
}

struct cm_promise *cm_promises_find(const struct cm_promises *promises,
                                    const struct cm_request_key *key)
{
    if (promises->open_count == 0)
        return NULL;
    struct cm_promise *promise = promises->buckets[bucket_of(promises, key)];
    while (promise && (promise->settled_by || memcmp(&promise->item.key, key, sizeof *key) != 0))
        promise = promise->next;
    return promise;
}

bool cm_promises_closes(const struct cm_promises *promises, int64_t intent_number,
                        const void *batch)
{
    for (uint32_t i = 0; i < promises->buckets_count; i++)
        for (struct cm_promise *promise = promises->buckets[i]; promise; promise = promise->next)
            if (promise->intent_number == intent_number && promise->settled_by != batch)
                return false;
    return true;
}

static bool is_last_of_intent(const struct cm_promises *promises, int64_t intent_number)
{
    for (uint32_t i = 0; i < promises->buckets_count; i++)
        for (struct cm_promise *promise = promises->buckets[i]; promise; promise = promise->next)
            if (promise->intent_number == intent_number)
                return false;
    return true;
}

int64_t cm_promises_settle(struct cm_promises *promises, struct cm_promise *promise)
{
    int64_t intent_number = promise->intent_number;
    struct cm_promise **at = &promises->buckets[bucket_of(promises, &promise->item.key)];
    while (*at != promise) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = promise->next;
    free(promise);
    promises->open_count--;
    return is_last_of_intent(promises, intent_number) ? intent_number : 0;
}

void cm_promises_walk(struct cm_promises *promises,
                      void (*walk)(struct cm_promise *promise, void *arg), void *arg)
{
    for (uint32_t i = 0; i < promises->buckets_count; i++)
        for (struct cm_promise *promise = promises->buckets[i]; promise; promise = promise->next)
            if (!promise->in_work && !promise->settled_by)
                walk(promise, arg);
}
