/*
 * Entry: how backends fill what they hand out. For the backends of this folder only.
 *
 *     cm_entry_start(entry);
 *     cm_entry_add_field(entry, name, value);        once for each field, in the order of arrival
 *     cm_entry_finish(entry, deliveries_count, deliveries_max);
 *     cm_queue_deliver(queue, entries, count);
 *
 * The first thing that is wrong with an entry becomes its refusal, but for two that outrank it: an
 * entry that is too large, and one that was delivered too often. What could be read stays in the
 * fields, so that the answer finds its requester.
 */
#ifndef CM_QUEUE_ENTRY_H
#define CM_QUEUE_ENTRY_H

#include "queue/queue.h"

void cm_entry_start(struct cm_entry *entry);

/*
 * Takes a field; the value is borrowed until the entry comes back. A value whose bytes were not
 * kept (too large) has a size and no data: it counts, and the field stays absent.
 */
void cm_entry_add_field(struct cm_entry *entry, struct cm_bytes name, struct cm_bytes value);

/* Of an entry with several requests: a field that each has for itself stands there for all of them. */
void cm_entry_refuse_shared(struct cm_entry *entry, enum cm_field field);

/* Settles the refusal. With a deliveries_max of 0 any number of deliveries is fine. */
void cm_entry_finish(struct cm_entry *entry, uint32_t deliveries_count, uint32_t deliveries_max);

/* Stamps the entries, takes them off the credit and calls the engine. */
void cm_queue_deliver(struct cm_queue *queue, struct cm_entry **entries, uint32_t count);

/* The same for entries that are taken out ahead of others, off the credit for those. */
void cm_queue_deliver_ahead(struct cm_queue *queue, struct cm_entry **entries, uint32_t count);

/* Tells the engine, when it listens. */
void cm_queue_tell(struct cm_queue *queue, enum cm_queue_event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
