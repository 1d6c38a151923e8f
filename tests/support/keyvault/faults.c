#include "tests/support/keyvault/keyvault.h"

#include <stdlib.h>
#include <string.h>

/*
 * A fault, as POST /emulator/faults takes it:
 *
 *     {"on":"sign", "kind":"status", "status":503, "delay_ms":0, "retry_after":"2", "count":1, "every":1}
 *
 *     on           an operation of the API ("sign", "get", "token", "identity", ...), or "any" (default)
 *     kind         status: an error answer with `status` (default 503; 401 brings a challenge), and
 *                  nothing is done
 *                  slow: as usual, after delay_ms
 *                  close-before: the connection ends without an answer, and nothing is done
 *                  close-after-headers, truncate: done, and the answer ends before or in its body
 *                  wrong-kid, wrong-version, bad-signature: done, and the answer lies in this point
 *                  bad-json, empty, huge: done, and the body is no JSON, is nothing, is `size` octets
 *                  (default 16 MiB) of JSON
 *     delay_ms     before any of them (default 0)
 *     retry_after  the header's value with kind status: seconds or an HTTP date (default: no header)
 *     count        how often it plays (default 1; 0: until cleared)
 *     every        it plays on each N-th request that meets it (default 1); the others pass as usual
 *
 * A request meets the first fault in the queue that is about its operation; one that has played count
 * times is gone. Requests that are refused for their token meet none.
 */

static const char *const kind_names[KV_FAULT_COUNT] = {
#define X(name, text) text,
    KV_FAULTS(X)
#undef X
};

const char *const kv_operation_names[KV_OPERATION_COUNT] = {
#define X(name) #name,
    KV_OPERATIONS(X)
#undef X
};

static int find_word(const char *const *words, int count, const char *word)
{
    for (int i = 0; word && i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

static bool read_number(json_t *request, const char *name, int64_t usual, int64_t *ret_value)
{
    json_t *member = json_object_get(request, name);
    *ret_value = member ? json_integer_value(member) : usual;
    return (!member || json_is_integer(member)) && *ret_value >= 0;
}

static const char *read_numbers(json_t *request, struct kv_fault *fault)
{
    int64_t status, delay_ms, count;
    if (!read_number(request, "status", 503, &status) || status < 200 || status > 599)
        return "status is a number from 200 to 599";
    if (!read_number(request, "delay_ms", 0, &delay_ms) || delay_ms > 3600000)
        return "delay_ms is a number up to 3600000";
    if (!read_number(request, "count", 1, &count))
        return "count is a number";
    if (!read_number(request, "every", 1, &fault->every) || fault->every == 0)
        return "every is a number from 1";
    if (!read_number(request, "size", 16 << 20, &fault->size) || fault->size > 256 << 20)
        return "size is a number up to 268435456";
    fault->status = (int)status;
    fault->delay_ms = (int)delay_ms;
    fault->left = count == 0 ? -1 : count;
    return NULL;
}

static const char *read_fault(json_t *request, struct kv_fault *fault)
{
    const char *on = json_string_value(json_object_get(request, "on"));
    const char *retry_after = json_string_value(json_object_get(request, "retry_after"));
    fault->on = find_word(kv_operation_names, KV_OPERATION_COUNT, on);
    if (fault->on < 0 && on && strcmp(on, "any") != 0)
        return "on names no operation";
    int kind =
        find_word(kind_names, KV_FAULT_COUNT, json_string_value(json_object_get(request, "kind")));
    if (kind <= KV_FAULT_none)
        return "kind names no fault";
    fault->kind = (enum kv_fault_kind)kind;
    if (retry_after && strlen(retry_after) >= sizeof fault->retry_after)
        return "retry_after is too long";
    if (retry_after)
        memcpy(fault->retry_after, retry_after, strlen(retry_after) + 1);
    return read_numbers(request, fault);
}

static struct kv_fault *new_fault(json_t *request, const char **ret_reason)
{
    struct kv_fault *fault = calloc(1, sizeof *fault);
    if (!fault)
        abort();
    *ret_reason = json_is_object(request) ? read_fault(request, fault) : "a fault is an object";
    if (!*ret_reason)
        return fault;
    free(fault);
    return NULL;
}

bool kv_faults_add(struct kv_faults *faults, json_t *request, const char **ret_reason)
{
    struct kv_faults fresh = { NULL };
    struct kv_fault **end = &fresh.first;
    size_t count = json_is_array(request) ? json_array_size(request) : 1;
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_is_array(request) ? json_array_get(request, i) : request;
        *end = new_fault(one, ret_reason);
        if (!*end) {
            kv_faults_clear(&fresh);
            return false;
        }
        end = &(*end)->next;
    }
    for (end = &faults->first; *end; end = &(*end)->next)
        ;
    *end = fresh.first;
    return true;
}

void kv_faults_clear(struct kv_faults *faults)
{
    while (faults->first) {
        struct kv_fault *fault = faults->first;
        faults->first = fault->next;
        free(fault);
    }
}

struct kv_fault kv_faults_take(struct kv_faults *faults, enum kv_operation operation)
{
    struct kv_fault **at = &faults->first, *fault, played = { .kind = KV_FAULT_none };
    while (*at && (*at)->on >= 0 && (*at)->on != (int)operation)
        at = &(*at)->next;
    fault = *at;
    if (!fault || ++fault->seen % fault->every != 0)
        return played;
    played = *fault;
    if (fault->left > 0 && --fault->left == 0) {
        *at = fault->next;
        free(fault);
    }
    return played;
}
