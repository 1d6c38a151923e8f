/*
 * Compose: the exact bytes that will be signed.
 *
 * Serials are drawn for the whole batch at once. Where something was promised to a request (by an
 * engine before this one, or before it was set aside), the bytes are composed again from the promise's
 * serial and time: if they hash to what was promised, the promise is kept; if anything has changed, its
 * serial is given up and a new one drawn. Every TBSCertificate is linted before its hash becomes an
 * intent.
 */
#include "engine/internal.h"

#include "engine/base/clock.h"
#include "engine/base/faultpoint.h"
#include "engine/base/hash.h"
#include "engine/x509/lint.h"

enum { ATTRIBUTES_MAX = 64 };

/* key NUL value NUL, repeated */
static size_t split_attributes(struct cm_bytes packed, struct cm_attribute *attributes)
{
    size_t count = 0;
    while (packed.size > 0 && count < ATTRIBUTES_MAX) {
        size_t key_size = strnlen((const char *)packed.data, packed.size);
        struct cm_bytes rest = cm_bytes_from(packed, key_size + 1);
        size_t value_size = rest.size ? strnlen((const char *)rest.data, rest.size) : 0;
        attributes[count++] = (struct cm_attribute){ .key = cm_bytes(packed.data, key_size),
                                                     .value = cm_bytes(rest.data, value_size) };
        packed = cm_bytes_from(rest, value_size + 1);
    }
    return count;
}

static bool compose_bytes(struct cm_request *request, struct cm_worker *worker,
                          struct cm_arena *arena, int64_t time_ms)
{
    const struct cm_template *template = cm_issuer_template(request->issuer, request->profile);
    struct cm_attribute attributes[ATTRIBUTES_MAX];
    const struct cm_csr *csr = &request->csr;
    const struct cm_template_input in = {
        .serial = cm_bytes(request->serial.octets, sizeof request->serial.octets),
        .issue_time_s = time_ms / 1000,
        .device = request->device_id,
        .attributes = attributes,
        .attributes_count = split_attributes(request->device.attributes, attributes),
        .spki = csr->spki,
        .key_type = csr->key.type,
        .csr_name = csr->name,
        .csr_sans = csr->sans,
        .csr_sans_count = csr->sans_count,
    };
    if (!cm_template_compose(template, worker->composer, &in, arena, &request->tbs,
                             &request->refusal))
        return false;
    cm_sha256(&request->tbs.der, 1, request->tbs_hash);
    return true;
}

/* Its bytes say when it was made: what has lain for long would be a certificate of long ago. */
static bool is_too_old(const struct cm_promise *promise, const struct cm_batch *batch)
{
    int64_t hold_ms = (int64_t)batch->engine->settings->engine.intent_hold_s * 1000;
    return batch->time_ms - promise->created_ms > hold_ms;
}

/* True when the bytes of the promise came out again. */
static bool keep_promise(struct cm_request *request, struct cm_worker *worker,
                         struct cm_batch *batch)
{
    const struct cm_promise *promise = request->promise;
    struct cm_serial drawn = request->serial;
    struct cm_refusal ignored = request->refusal;
    if (promise->generation_number == request->issuer->generation_number
        && !is_too_old(promise, batch)) {
        request->serial = promise->item.serial;
        if (compose_bytes(request, worker, &batch->arena, promise->created_ms)
            && memcmp(request->tbs_hash, promise->item.tbs_hash, CM_HASH_SIZE) == 0) {
            request->keeps_promise = true;
            return true;
        }
    }
    request->serial = drawn;
    request->refusal = ignored;
    request->breaks_promise = true;
    return false;
}

static bool compose(struct cm_request *request, struct cm_worker *worker, struct cm_batch *batch)
{
    bool kept = request->promise && keep_promise(request, worker, batch);
    if (!kept && !compose_bytes(request, worker, &batch->arena, batch->time_ms))
        return false;
    return cm_lint_tbs(worker->composer, request->tbs.der, request->profile,
                       &request->issuer->issuer, &request->refusal);
}

/* A clock that has gone back makes certificates that are not valid when they should be: stop. */
static bool clock_is_sane(struct cm_batch *batch)
{
    struct cm_engine *engine = batch->engine;
    int64_t allowed_ms = (int64_t)engine->settings->engine.clock_step_s_max * 1000;
    int64_t last = atomic_load(&engine->last_time_ms);
    while (batch->time_ms > last)
        if (atomic_compare_exchange_weak(&engine->last_time_ms, &last, batch->time_ms))
            return true;
    return batch->time_ms >= last - allowed_ms;
}

static void give_back_open(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++)
        if (cm_request_is_open(&batch->requests[i]))
            batch->requests[i].outcome = CM_OUTCOME_GIVEN_BACK;
}

void cm_compose(struct cm_batch *batch, struct cm_worker *worker)
{
    struct cm_serial *serials =
        cm_arena_alloc(&batch->arena, batch->requests_count * sizeof *serials);
    batch->clock_suspect = !clock_is_sane(batch);
    if (batch->clock_suspect
        || !cm_serials_draw(&worker->engine->serials, batch->time_ms, batch->requests_count,
                            serials)) {
        give_back_open(batch);
        return;
    }
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        request->serial = serials[i];
        if (cm_request_is_open(request) && !compose(request, worker, batch))
            cm_request_refuse(request);
    }
    CM_FAULT_POINT("composed");
}
