#include "queue/entry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/clock.h"

void cm_entry_start(struct cm_entry *entry)
{
    memset(entry->fields, 0, sizeof entry->fields);
    /* Not the whole message: this runs for every request. */
    entry->refusal.code = CM_REFUSAL_NONE;
    entry->refusal.message[0] = '\0';
    entry->group = NULL;
    entry->device_from = CM_DEVICE_FROM_FIELD;
    entry->size = 0;
    entry->deliveries_count = 1;
    entry->is_covered = true;
    entry->standing = CM_ENTRY_UNJUDGED;
    entry->is_rated = false;
    entry->is_credited = false;
    entry->is_ahead = false;
    entry->losses_count = 0;
    entry->arrived_ns = 0;
    entry->backend = NULL;
}

static void refuse_unknown_field(struct cm_entry *entry, struct cm_bytes name)
{
    char text[64];
    cm_refuse(&entry->refusal, CM_REFUSAL_REQUEST_FIELD_UNKNOWN, CM_REFUSAL_NO_OFFSET,
              "version 1 knows no field \"%s\"",
              cm_bytes_printable(name.data ? name : cm_bytes_str("..."), text, sizeof text));
}

void cm_entry_add_field(struct cm_entry *entry, struct cm_bytes name, struct cm_bytes value)
{
    entry->size += name.size + value.size;
    enum cm_field field = name.data ? cm_field_find(name) : CM_FIELD_COUNT;
    if (field == CM_FIELD_COUNT) {
        entry->is_covered = false;
        if (entry->refusal.code == CM_REFUSAL_NONE)
            refuse_unknown_field(entry, name);
    } else if (entry->fields[field].data) {
        entry->is_covered = false;
        if (entry->refusal.code == CM_REFUSAL_NONE)
            cm_refuse(&entry->refusal, CM_REFUSAL_REQUEST_FIELD_DUPLICATE, CM_REFUSAL_NO_OFFSET,
                      "the field \"%s\" stands twice", cm_field_name(field));
    } else {
        entry->fields[field] = value.data ? value : cm_bytes(NULL, 0);
    }
}

void cm_entry_refuse_shared(struct cm_entry *entry, enum cm_field field)
{
    entry->is_covered = false;
    if (entry->refusal.code == CM_REFUSAL_NONE)
        cm_refuse(&entry->refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET,
                  "the field \"%s\" has no number, and several requests stand in the entry",
                  cm_field_name(field));
}

void cm_entry_finish(struct cm_entry *entry, uint32_t deliveries_count, uint32_t deliveries_max)
{
    entry->deliveries_count = deliveries_count;
    if (entry->size > CM_ENTRY_SIZE_MAX) {
        entry->is_covered = false;
        cm_refuse(&entry->refusal, CM_REFUSAL_REQUEST_TOO_LARGE, CM_REFUSAL_NO_OFFSET,
                  "%zu bytes; at most %d are accepted", entry->size, CM_ENTRY_SIZE_MAX);
    }
    if (deliveries_max > 0 && deliveries_count > deliveries_max)
        cm_refuse(&entry->refusal, CM_REFUSAL_REQUEST_UNDELIVERABLE, CM_REFUSAL_NO_OFFSET,
                  "delivered %u times without an answer; set aside", deliveries_count - 1);
}

static void deliver(struct cm_queue *queue, struct cm_entry **entries, uint32_t count,
                    bool is_ahead, uint32_t *credit)
{
    uint64_t now_ns = cm_clock_monotonic_ns();
    assert(count > 0 && count <= *credit);
    for (uint32_t i = 0; i < count; i++) {
        entries[i]->arrived_ns = now_ns;
        entries[i]->is_ahead = is_ahead;
    }
    *credit -= count;
    queue->on_entries(entries, count, queue->arg);
}

void cm_queue_deliver(struct cm_queue *queue, struct cm_entry **entries, uint32_t count)
{
    deliver(queue, entries, count, false, &queue->credit);
}

void cm_queue_deliver_ahead(struct cm_queue *queue, struct cm_entry **entries, uint32_t count)
{
    deliver(queue, entries, count, true, &queue->ahead_credit);
}

void cm_queue_tell(struct cm_queue *queue, enum cm_queue_event event, const char *format, ...)
{
    char text[CM_ERROR_TEXT_SIZE];
    va_list args;
    if (!queue->on_event)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    queue->on_event(event, text, queue->arg);
}
