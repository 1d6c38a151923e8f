#include "engine/promises.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS_AT_FIRST = 1024 };

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static struct cm_promise **bucket_of(const struct cm_promises *promises,
                                     const struct cm_request_key *key)
{
    uint32_t start;
    memcpy(&start, key->octets, sizeof start);
    return &promises->buckets[start & (promises->buckets_count - 1)];
}

static struct cm_promised_intent **intent_bucket_of(const struct cm_promises *promises,
                                                    int64_t number)
{
    return &promises->intents[(uint64_t)number & (promises->buckets_count - 1)];
}

/* --- the tables: both of one size, as there are no more intents than promises -------------------- */

static void move_promises(struct cm_promises *promises, struct cm_promise *bucket)
{
    while (bucket) {
        struct cm_promise *promise = bucket;
        struct cm_promise **to = bucket_of(promises, &promise->item.key);
        bucket = promise->next;
        promise->next = *to;
        *to = promise;
    }
}

static void move_intents(struct cm_promises *promises, struct cm_promised_intent *bucket)
{
    while (bucket) {
        struct cm_promised_intent *intent = bucket;
        struct cm_promised_intent **to = intent_bucket_of(promises, intent->number);
        bucket = intent->next;
        intent->next = *to;
        *to = intent;
    }
}

static void grow(struct cm_promises *promises)
{
    struct cm_promises old = *promises;
    uint32_t count = old.buckets_count ? 2 * old.buckets_count : BUCKETS_AT_FIRST;
    promises->buckets_count = count;
    promises->buckets = must(calloc(count, sizeof(struct cm_promise *)));
    promises->intents = must(calloc(count, sizeof(struct cm_promised_intent *)));
    for (uint32_t i = 0; i < old.buckets_count; i++) {
        move_promises(promises, old.buckets[i]);
        move_intents(promises, old.intents[i]);
    }
    free(old.buckets);
    free(old.intents);
}

static struct cm_promised_intent *find_intent(const struct cm_promises *promises, int64_t number)
{
    if (promises->open_count == 0)
        return NULL;
    struct cm_promised_intent *intent = *intent_bucket_of(promises, number);
    while (intent && intent->number != number)
        intent = intent->next;
    return intent;
}

static struct cm_promised_intent *find_or_add_intent(struct cm_promises *promises, int64_t number)
{
    struct cm_promised_intent *intent = find_intent(promises, number);
    if (intent)
        return intent;
    struct cm_promised_intent **bucket = intent_bucket_of(promises, number);
    intent = must(calloc(1, sizeof *intent));
    intent->number = number;
    intent->next = *bucket;
    LIST_INIT(&intent->promises);
    *bucket = intent;
    return intent;
}

static void remove_intent(struct cm_promises *promises, struct cm_promised_intent *intent)
{
    struct cm_promised_intent **at = intent_bucket_of(promises, intent->number);
    while (*at != intent)
        at = &(*at)->next;
    *at = intent->next;
    free(intent);
}

/* --- promises ------------------------------------------------------------------------------------ */

struct cm_promise *cm_promises_add(struct cm_promises *promises, const struct cm_intent *intent,
                                   const struct cm_intent_item *item)
{
    struct cm_promise *promise = must(calloc(1, sizeof *promise));
    if (promises->open_count >= promises->buckets_count)
        grow(promises);
    promise->item = *item;
    promise->intent_number = intent->number;
    promise->created_ms = intent->created_ms;
    promise->generation_number = intent->generation_number;
    promise->intent = find_or_add_intent(promises, intent->number);
    LIST_INSERT_HEAD(&promise->intent->promises, promise, of_intent);
    struct cm_promise **bucket = bucket_of(promises, &item->key);
    promise->next = *bucket;
    *bucket = promise;
    promises->open_count++;
    return promise;
}

static void note_finished(struct cm_promises *promises, int64_t intent_number)
{
    size_t size = (promises->finished_count + 1) * sizeof *promises->finished;
    promises->finished = must(realloc(promises->finished, size));
    promises->finished[promises->finished_count++] = intent_number;
}

static bool load_item(const struct cm_intent *intent, const struct cm_intent_item *item, void *arg)
{
    struct cm_promises *promises = arg;
    if (!item) {
        note_finished(promises, intent->number);
        return true;
    }
    struct cm_promise *other = cm_promises_find(promises, &item->key);
    struct cm_promise *promise = cm_promises_add(promises, intent, item);
    if (other && other->intent_number > promise->intent_number)
        promise->is_outdone = true;
    else if (other)
        other->is_outdone = true;
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
        while (promises->intents[i])
            remove_intent(promises, promises->intents[i]);
    }
    free(promises->buckets);
    free(promises->intents);
    free(promises->finished);
    *promises = (struct cm_promises){ 0 };
}

struct cm_promise *cm_promises_find(const struct cm_promises *promises,
                                    const struct cm_request_key *key)
{
    if (promises->open_count == 0)
        return NULL;
    struct cm_promise *promise = *bucket_of(promises, key);
    while (promise
           && (promise->settled_by || promise->is_outdone
               || memcmp(&promise->item.key, key, sizeof *key) != 0))
        promise = promise->next;
    return promise;
}

bool cm_promises_closes(const struct cm_promises *promises, int64_t intent_number,
                        const void *batch)
{
    const struct cm_promised_intent *intent = find_intent(promises, intent_number);
    const struct cm_promise *promise;
    if (!intent)
        return true;
    LIST_FOREACH(promise, &intent->promises, of_intent)
    if (promise->settled_by != batch)
        return false;
    return true;
}

int64_t cm_promises_settle(struct cm_promises *promises, struct cm_promise *promise)
{
    int64_t intent_number = promise->intent_number;
    struct cm_promised_intent *intent = promise->intent;
    struct cm_promise **at = bucket_of(promises, &promise->item.key);
    while (*at != promise) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = promise->next;
    LIST_REMOVE(promise, of_intent);
    promises->open_count--;
    promise->is_over = true;
    if (promise->holders_count == 0)
        free(promise);
    if (!LIST_EMPTY(&intent->promises))
        return 0;
    remove_intent(promises, intent);
    return intent_number;
}

void cm_promise_hold(struct cm_promise *promise)
{
    promise->holders_count++;
}

void cm_promise_let_go(struct cm_promise *promise)
{
    assert(promise->holders_count > 0);
    if (--promise->holders_count == 0 && promise->is_over)
        free(promise);
}

void cm_promises_walk(struct cm_promises *promises,
                      void (*walk)(struct cm_promise *promise, void *arg), void *arg)
{
    for (uint32_t i = 0; i < promises->buckets_count; i++)
        for (struct cm_promise *promise = promises->buckets[i]; promise; promise = promise->next)
            if (promise->holders_count == 0 && !promise->settled_by)
                walk(promise, arg);
}
