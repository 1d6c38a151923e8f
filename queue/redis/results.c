/*
 * Results: what became of requests, as commands: an entry of a requester's result stream, with one result or
 * several, or a copy in the dead stream.
 *
 * Where several stand in one entry they are numbered like the requests of one (queue/several.h), and what is
 * the same in all of them stands there once, without a number.
 */
#include <assert.h>
#include <stdio.h>

#include "queue/redis/internal.h"

enum {
    REQUESTER_SIZE_MAX = 128,
    RESULT_OVERHEAD = 512,   /* names, and values that are short */
    DEAD_COUNT_MAX = 100000, /* about: the stream of set-aside entries is trimmed to it */
    DEAD_SHARED_SIZE_MAX = 1024
};

/* In their order in an entry. */
enum result_field {
    RESULT_ID,
    RESULT_STATUS,
    RESULT_DEVICE,
    RESULT_SERIAL,
    RESULT_CERTIFICATE,
    RESULT_ISSUER,
    RESULT_NOT_AFTER,
    RESULT_CODE,
    RESULT_MESSAGE,
    RESULT_FIELDS
};

static const char *const names[RESULT_FIELDS] = {
    [RESULT_ID] = "id",
    [RESULT_STATUS] = "status",
    [RESULT_DEVICE] = "device",
    [RESULT_SERIAL] = "serial",
    [RESULT_CERTIFICATE] = "certificate",
    [RESULT_ISSUER] = "issuer",
    [RESULT_NOT_AFTER] = "not_after",
    [RESULT_CODE] = "code",
    [RESULT_MESSAGE] = "message",
};

/* data NULL: it has none. */
struct result {
    struct cm_bytes fields[RESULT_FIELDS];
    char serial[2 * 20 + 1];
    char not_after[1 + CM_DIGITS_MAX];
};

bool cm_result_has_requester(const struct cm_answer *answer)
{
    struct cm_bytes name = answer->requester;
    if (name.size == 0 || name.size > REQUESTER_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~')
            return false;
    return true;
}

static struct cm_bytes if_any(struct cm_bytes value)
{
    return value.size > 0 ? value : cm_bytes(NULL, 0);
}

/* Unix seconds, perhaps before 1970. Returns how many octets. */
static size_t write_time(int64_t time_s, char *text)
{
    size_t size = time_s < 0;
    text[0] = '-';
    return size + cm_digits(time_s < 0 ? -(uint64_t)time_s : (uint64_t)time_s, text + size);
}

static void fill_issued(struct result *result, const struct cm_answer *answer)
{
    assert(answer->serial.size <= 20);
    cm_hex_encode(answer->serial, result->serial);
    result->fields[RESULT_SERIAL] = cm_bytes_str(result->serial);
    result->fields[RESULT_CERTIFICATE] = answer->certificate;
    result->fields[RESULT_ISSUER] = cm_bytes_str(answer->issuer ? answer->issuer : "");
    result->fields[RESULT_NOT_AFTER] =
        cm_bytes(result->not_after, write_time(answer->not_after, result->not_after));
}

static void fill(struct result *result, const struct cm_answer *answer)
{
    memset(result->fields, 0, sizeof result->fields);
    result->fields[RESULT_ID] = if_any(answer->id);
    result->fields[RESULT_STATUS] = cm_bytes_str(cm_answer_status_name(answer->status));
    result->fields[RESULT_DEVICE] = if_any(answer->device);
    if (answer->status == CM_ANSWER_ISSUED)
        fill_issued(result, answer);
    if (answer->status == CM_ANSWER_REFUSED || answer->status == CM_ANSWER_FAILED) {
        const char *message = answer->message ? answer->message : cm_refusal_text(answer->code);
        result->fields[RESULT_CODE] = cm_bytes_str(cm_refusal_name(answer->code));
        result->fields[RESULT_MESSAGE] = cm_bytes_str(message);
    }
}

size_t cm_result_size(const struct cm_answer *answer)
{
    return RESULT_OVERHEAD + answer->id.size + answer->device.size + answer->certificate.size
           + (answer->message ? strlen(answer->message) : 0);
}

/* ------------------------------------------------------------------------------- in one entry -- */

/* Has every result this field, and the same value? */
static bool is_shared(const struct result *results, uint32_t count, enum result_field field)
{
    struct cm_bytes first = results[0].fields[field];
    for (uint32_t i = 1; i < count && first.data; i++)
        if (!results[i].fields[field].data || !cm_bytes_equal(results[i].fields[field], first))
            return false;
    return first.data != NULL;
}

static uint32_t count_pairs(const struct result *results, uint32_t count, const bool *shared)
{
    uint32_t pairs_count = 0;
    for (unsigned field = 0; field < RESULT_FIELDS; field++) {
        pairs_count += shared[field];
        for (uint32_t i = 0; i < count && !shared[field]; i++)
            pairs_count += results[i].fields[field].data != NULL;
    }
    return pairs_count;
}

static void add_shared(struct cm_command *command, const struct result *result, const bool *shared)
{
    for (unsigned field = 0; field < RESULT_FIELDS; field++)
        if (shared[field])
            cm_command_pair(command, names[field], result->fields[field]);
}

static void add_own(struct cm_command *command, const struct result *result, uint32_t number,
                    const bool *shared)
{
    for (unsigned field = 0; field < RESULT_FIELDS; field++)
        if (!shared[field] && result->fields[field].data)
            cm_command_numbered_pair(command, names[field], number, result->fields[field]);
}

void cm_result_build(struct cm_redis_queue *queue, const struct cm_answer *const *answers,
                     uint32_t count)
{
    struct cm_command *command = &queue->replies.link.command;
    struct result results[CM_RESULTS_GROUP_MAX];
    bool shared[RESULT_FIELDS];
    for (uint32_t i = 0; i < count; i++)
        fill(&results[i], answers[i]);
    for (unsigned field = 0; field < RESULT_FIELDS; field++)
        shared[field] = is_shared(results, count, (enum result_field)field);
    cm_command_begin_add(command, cm_bytes_str(queue->results), answers[0]->requester,
                         queue->results_max, count_pairs(results, count, shared));
    add_shared(command, &results[0], shared);
    for (uint32_t i = 0; i < count && count > 1; i++)
        add_own(command, &results[i], i + 1, shared);
}

/* -------------------------------------------------------------------------------- set aside -- */

bool cm_result_is_set_aside(const struct cm_answer *answer)
{
    return answer->status == CM_ANSWER_REFUSED && answer->code == CM_REFUSAL_REQUEST_UNDELIVERABLE;
}

static void add_id_pair(struct cm_command *command, const char *name, struct cm_stream_id id)
{
    char text[CM_REDIS_ID_SIZE];
    cm_command_pair(command, name, cm_bytes_str(cm_stream_id_format(id, text)));
}

/* What is for all requests of an entry goes with each copy only as far as it is little. */
struct copy {
    struct cm_bytes words[CM_REPLY_CHILDREN_MAX]; /* names and values by turns */
    uint32_t count;
    size_t shared_size;
};

static void add_to_copy(struct copy *copy, const struct cm_redis_entry *entry, struct cm_bytes name,
                        struct cm_bytes value)
{
    struct cm_bytes plain;
    if (!name.data || !value.data || !cm_unpack_owns(entry, name, &plain))
        return;
    if (entry->number > 0 && plain.size == name.size) {
        copy->shared_size += name.size + value.size;
        if (copy->shared_size > DEAD_SHARED_SIZE_MAX)
            return;
    }
    copy->words[copy->count++] = plain;
    copy->words[copy->count++] = value;
}

/* The request as it came, as far as it was kept, behind what became of it. */
void cm_result_build_dead(struct cm_redis_queue *queue, const struct cm_answer *answer)
{
    const struct cm_redis_entry *entry = answer->entry->backend;
    struct cm_command *command = &queue->replies.link.command;
    const struct cm_reply *fields = entry->fields;
    struct copy copy;
    char count[12];
    copy.count = 0;
    copy.shared_size = 0;
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        add_to_copy(&copy, entry, cm_reply_child(fields, i)->text,
                    cm_reply_child(fields, i + 1)->text);
    cm_command_begin_add(command, cm_bytes_str(queue->dead), cm_bytes(NULL, 0), DEAD_COUNT_MAX,
                         4 + copy.count / 2);
    add_id_pair(command, "dead_entry", entry->lease->id);
    cm_command_pair(command, "dead_code", cm_bytes_str(cm_refusal_name(answer->code)));
    cm_command_pair(command, "dead_message", cm_bytes_str(answer->message ? answer->message : ""));
    snprintf(count, sizeof count, "%u", entry->entry.deliveries_count);
    cm_command_pair(command, "dead_deliveries", cm_bytes_str(count));
    for (uint32_t i = 0; i < copy.count; i++)
        cm_command_bytes(command, copy.words[i]);
}
