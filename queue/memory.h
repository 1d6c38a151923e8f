/*
 * Memory: a queue inside the process, for tests and benchmarks.
 *
 * A *broker* holds the requests and the answers, and outlives the queues that are opened on it, as a
 * server outlives its clients. A queue finds its broker by name: settings.prefix.
 *
 *     struct cm_memory_broker *broker = cm_memory_broker_new("bench");
 *     cm_memory_push(broker, pairs, 3);
 *     settings.prefix = "bench";
 *     cm_queue_open(&cm_queue_memory, loop, &settings, on_entries, NULL, self, &queue, &err);
 *     ... cm_memory_answer_at(broker, 0)->certificate ...
 *
 * Everything runs on one loop's thread. Out of memory aborts.
 */
#ifndef CM_QUEUE_MEMORY_H
#define CM_QUEUE_MEMORY_H

#include "queue/queue.h"

extern const struct cm_queue_ops cm_queue_memory;

struct cm_memory_broker;

struct cm_memory_broker *cm_memory_broker_new(const char *name);

/* After its queues were closed. Takes NULL. */
void cm_memory_broker_free(struct cm_memory_broker *broker);

struct cm_memory_pair {
    struct cm_bytes name;
    struct cm_bytes value;
};

/* Adds a request at the end; pairs are copied. */
void cm_memory_push(struct cm_memory_broker *broker, const struct cm_memory_pair *pairs,
                    size_t pairs_count);

/* Ends every lease, as if its time had passed: the entries wait again, oldest first. */
void cm_memory_end_leases(struct cm_memory_broker *broker);

/* From now on answers are counted and not kept. */
void cm_memory_count_only(struct cm_memory_broker *broker);

/* Requests that wait or are on lease. */
size_t cm_memory_pending_count(const struct cm_memory_broker *broker);
size_t cm_memory_answers_count(const struct cm_memory_broker *broker);

/* The answer as it was given, with copied spans and no entry. Borrowed until the broker goes. */
const struct cm_answer *cm_memory_answer_at(const struct cm_memory_broker *broker, size_t index);

/* Notices as they were published, with copied spans. Borrowed until the broker goes. */
size_t cm_memory_notices_count(const struct cm_memory_broker *broker);
const struct cm_notice *cm_memory_notice_at(const struct cm_memory_broker *broker, size_t index);

#endif
